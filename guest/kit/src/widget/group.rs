// SPDX-License-Identifier: AGPL-3.0-or-later
//! What holds others: rows, columns, panels, and columns that scroll.

use super::{At, Deed, Focus, Key, Node, Stroke, Touch, Widget, With};
use crate::{
    layout::{Cross, Flow, Length, Rect, Window},
    paint::Paint,
    theme::{Theme, mixed},
};

/// What lies below the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    Nothing,
    Panel,
    Inset,
}

/// Things beside or below each other, before they are shown. Made by [`row!`](crate::row), [`col!`](crate::col) and
/// [`scroll`].
#[derive(Debug)]
pub struct Group<M> {
    children: Vec<Node<M>>,
    area: Area,
}

/// Things side by side.
pub fn row_of<M>(children: Vec<Node<M>>) -> Group<M> {
    Group { children, area: Area::new(true) }
}

/// Things below each other.
pub fn column_of<M>(children: Vec<Node<M>>) -> Group<M> {
    Group { children, area: Area { cross: Cross::Start, ..Area::new(false) } }
}

/// Rows of which as many are shown as there is room for; the wheel, a bar at the right, and the keys show the others.
/// It wants a height: `.height(0.4)`, or `.grow_down()`. Rows are shown whole or not at all.
pub fn scroll<M>(children: Vec<Node<M>>) -> Group<M> {
    let area = Area { ground: Ground::Inset, scroll: Some(Scroll::default()), ..Area::new(false) };
    Group { children, area: Area { cross: Cross::Stretch, ..area } }
}

/// Things side by side: `row![label("level"), slider(0.0..=1.0, 0.5, Said::Level)]`.
#[macro_export]
macro_rules! row {
    ($($child:expr),* $(,)?) => {
        $crate::row_of(vec![$($crate::IntoNode::into_node($child)),*])
    };
}

/// Things below each other: `col![title("Lamp"), button("off", Said::Off)]`.
#[macro_export]
macro_rules! col {
    ($($child:expr),* $(,)?) => {
        $crate::column_of(vec![$($crate::IntoNode::into_node($child)),*])
    };
}

impl<M: 'static> Group<M> {
    /// On a plate of its own, with room around.
    #[must_use]
    pub fn panel(mut self) -> Group<M> {
        self.area.ground = Ground::Panel;
        self
    }

    /// In a plate that is deeper than what is around.
    #[must_use]
    pub fn inset(mut self) -> Group<M> {
        self.area.ground = Ground::Inset;
        self
    }

    /// So many metres between two of them, instead of what the theme says.
    #[must_use]
    pub fn gap(mut self, metres: f32) -> Group<M> {
        self.area.gap = Some(metres);
        self
    }

    /// So many metres around them, instead of what the theme says.
    #[must_use]
    pub fn padding(mut self, metres: f32) -> Group<M> {
        self.area.padding = Some(metres);
        self
    }

    /// How they stand across.
    #[must_use]
    pub fn cross(mut self, cross: Cross) -> Group<M> {
        self.area.cross = cross;
        self
    }

    pub(crate) fn build(self) -> Node<M> {
        // A group with something in it that takes what is left has to have that to give.
        let grows = |node: &Node<M>| matches!(node.size[0], Length::Grow(_));
        let is_wide = self.area.scroll.is_some() || self.children.iter().any(grows);
        let mut node = Node::of(self.area);
        if is_wide {
            node = node.grow_across();
        }
        node.children = self.children;
        node
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Scroll {
    window: Window,
    /// Where on the thumb of the bar it was taken.
    taken: Option<f32>,
}

/// What is left of a group once it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    is_row: bool,
    gap: Option<f32>,
    padding: Option<f32>,
    cross: Cross,
    ground: Ground,
    scroll: Option<Scroll>,
}

impl Area {
    fn new(is_row: bool) -> Area {
        Area { is_row, gap: None, padding: None, cross: Cross::Center, ground: Ground::Nothing, scroll: None }
    }

    fn go(&mut self, to: isize) -> bool {
        let Some(scroll) = &mut self.scroll else { return false };
        let first = to.clamp(0, scroll.window.last_first() as isize) as usize;
        let moved = first != scroll.window.first;
        scroll.window.first = first;
        moved
    }
}

/// Where the bar of something that scrolls is.
pub(crate) fn bar(rect: Rect, theme: &Theme) -> Rect {
    let wide = theme.gap * 0.5;
    Rect::new(rect.right() - wide * 1.5, rect.y + wide, wide, (rect.h - 2.0 * wide).max(0.0))
}

/// The part of the bar that is taken.
pub(crate) fn thumb(bar: Rect, window: &Window) -> Rect {
    let total = window.total.max(1) as f32;
    let high = (bar.h * window.shown as f32 / total).max(bar.w * 2.0).min(bar.h);
    let part = window.first as f32 / window.last_first().max(1) as f32;
    Rect { y: bar.y + (bar.h - high) * part, h: high, ..bar }
}

/// Which row is first when the thumb, taken so far below its top, is dragged here.
pub(crate) fn dragged(bar: Rect, window: &Window, taken: f32, y: f32) -> isize {
    let free = (bar.h - thumb(bar, window).h).max(1e-4);
    ((y - taken - bar.y) / free * window.last_first() as f32).round() as isize
}

pub(crate) fn paint_bar(rect: Rect, window: &Window, at: &At<'_>, is_taken: bool, paint: &mut Paint<'_>) {
    if window.last_first() == 0 {
        return;
    }
    let bar = bar(rect, at.theme);
    paint.rod_down(bar, at.dim(mixed(at.theme.sunken, at.theme.ink, 0.12)));
    paint.up();
    let color = if is_taken { at.theme.accent } else { at.theme.faint };
    paint.rod_down(thumb(bar, window), at.dim(color));
}

impl<M: 'static> Widget<M> for Area {
    fn width(&self, _theme: &Theme) -> f32 {
        0.0
    }

    fn height(&self, _theme: &Theme, _width: f32) -> f32 {
        0.0
    }

    fn flow(&self, theme: &Theme) -> Option<Flow> {
        let around = match self.ground {
            Ground::Nothing => 0.0,
            Ground::Panel => theme.padding,
            // The bar needs room too.
            Ground::Inset => theme.gap * if self.scroll.is_some() { 1.2 } else { 1.0 },
        };
        let around = self.padding.unwrap_or(around);
        Some(Flow {
            is_row: self.is_row,
            gap: self.gap.unwrap_or(theme.gap),
            padding: [around; 2],
            cross: self.cross,
            scroll: self.scroll.map(|scroll| scroll.window.first),
        })
    }

    fn scrolled(&mut self, window: Window) {
        if let Some(scroll) = &mut self.scroll {
            scroll.window = window;
        }
    }

    fn reveal(&mut self, child: usize) {
        let Some(Scroll { window, .. }) = self.scroll else { return };
        if child < window.first {
            self.go(child as isize);
        } else if child >= window.first + window.shown {
            self.go((child + 1).saturating_sub(window.shown.max(1)) as isize);
        }
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let theme = at.theme;
        match self.ground {
            Ground::Nothing => {}
            Ground::Panel => paint.board(at.rect, theme.panel_radius, theme.ground),
            Ground::Inset => {
                paint.ring(at.rect, theme.radius, at.look.focused);
                paint.framed(at.rect, theme.radius, theme.sunken, theme.edge);
            }
        }
        if let Some(scroll) = &self.scroll {
            paint.up();
            paint_bar(at.rect, &scroll.window, at, scroll.taken.is_some(), paint);
        }
    }

    fn touches(&self) -> bool {
        self.scroll.is_some()
    }

    fn focus(&self) -> Focus {
        // Its rows are reached one by one; by itself it is reached for those that take no keys.
        if self.scroll.is_some_and(|scroll| scroll.window.last_first() > 0) {
            Focus::Keys
        } else {
            Focus::Never
        }
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, _with: &mut With<M>) -> bool {
        let Some(scroll) = &mut self.scroll else { return false };
        let window = scroll.window;
        match touch.deed {
            Deed::Wheel(up) => return self.go(window.first as isize - wheel_rows(up)),
            Deed::Press(_) => {
                let bar = bar(at.rect, at.theme);
                if touch.at[0] >= bar.x - bar.w {
                    let thumb = thumb(bar, &window);
                    let inside = (thumb.y..thumb.bottom()).contains(&touch.at[1]);
                    let taken = if inside { touch.at[1] - thumb.y } else { thumb.h * 0.5 };
                    scroll.taken = Some(taken);
                    self.go(dragged(bar, &window, taken, touch.at[1]));
                }
            }
            Deed::Move if touch.is_held => {
                if let Some(taken) = scroll.taken {
                    self.go(dragged(bar(at.rect, at.theme), &window, taken, touch.at[1]));
                }
            }
            Deed::Release(_) | Deed::Cancel => scroll.taken = None,
            _ => {}
        }
        true
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, _with: &mut With<M>) -> bool {
        let Some(Scroll { window, .. }) = self.scroll else { return false };
        let (first, page) = (window.first as isize, window.shown.max(1) as isize);
        let to = match stroke.key {
            Key::Up => first - 1,
            Key::Down => first + 1,
            Key::PageUp => first - page,
            Key::PageDown => first + page,
            Key::Home => 0,
            Key::End => window.total as isize,
            _ => return false,
        };
        self.go(to);
        true
    }
}

/// How many rows the wheel moves: at least one, whatever small steps a mouse makes.
pub(crate) fn wheel_rows(up: f32) -> isize {
    let rows = if up.is_finite() { up.clamp(-100.0, 100.0) } else { 0.0 };
    if rows == 0.0 { 0 } else { (rows.abs().ceil() * rows.signum()) as isize }
}
