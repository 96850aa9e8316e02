// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where things stand: rows and columns, one within another.
//!
//! Metres to the right and down from the left upper corner. Widths are settled first, from the outside inward, and
//! heights after, since a paragraph is as high as its width makes it. What has not enough room is made smaller, all
//! alike: nothing stands outside of what it is in.

use std::collections::BTreeMap;

/// A number of a node.
pub(crate) type Key = u64;

/// How long something is along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Length {
    /// As long as what it holds.
    #[default]
    Fit,
    /// So many metres.
    Fixed(f32),
    /// What is left, shared with others by these weights.
    Grow(f32),
}

/// How children stand across the direction in which they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cross {
    /// At the left or at the top.
    Start,
    /// In the middle.
    #[default]
    Center,
    /// At the right or at the bottom.
    End,
    /// From one side to the other.
    Stretch,
}

/// A rectangle in metres: right and down from the left upper corner of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// A rectangle.
    pub const fn new(x: f32, y: f32, w: f32, h: f32) -> Rect {
        Rect { x, y, w, h }
    }

    /// Whether the point is in it.
    pub fn holds(&self, [x, y]: [f32; 2]) -> bool {
        x >= self.x && x < self.x + self.w && y >= self.y && y < self.y + self.h
    }

    /// Smaller by this on each side, or larger; never less than nothing.
    #[must_use]
    pub fn inset(&self, by: f32) -> Rect {
        let (w, h) = ((self.w - 2.0 * by).max(0.0), (self.h - 2.0 * by).max(0.0));
        Rect { x: self.x + (self.w - w) * 0.5, y: self.y + (self.h - h) * 0.5, w, h }
    }

    /// Its middle.
    pub fn middle(&self) -> [f32; 2] {
        [self.x + self.w * 0.5, self.y + self.h * 0.5]
    }

    /// Its right edge.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Its lower edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }
}

/// How a node lays out its children.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Side by side; else below each other.
    pub is_row: bool,
    /// Between two children.
    pub gap: f32,
    /// Between the edge and the children: left and right, top and bottom.
    pub padding: [f32; 2],
    /// How they stand across.
    pub cross: Cross,
    /// Children of a column that are scrolled past; `None` if it does not scroll.
    pub scroll: Option<usize>,
}

/// Which children of a column that scrolls are in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    /// The first.
    pub first: usize,
    /// How many.
    pub shown: usize,
    /// How many there are.
    pub total: usize,
}

impl Window {
    /// The furthest that one can scroll.
    pub fn last_first(&self) -> usize {
        self.total.saturating_sub(self.shown)
    }
}

/// What is laid out.
pub(crate) trait Tree {
    fn children(&self, node: Key) -> Vec<Key>;
    /// `None` for what lays out no children.
    fn flow(&self, node: Key) -> Option<Flow>;
    fn size(&self, node: Key) -> [Length; 2];
    /// Of a node without children, or the least of one with.
    fn natural_width(&self, node: Key) -> f32;
    fn natural_height(&self, node: Key, width: f32) -> f32;
    /// `None`: it is out of view.
    fn place(&mut self, node: Key, rect: Option<Rect>);
    fn scrolled(&mut self, node: Key, window: Window);
}

/// Lays out a tree whose left upper corner is the origin, and tells its size.
pub(crate) fn lay_out(tree: &mut impl Tree, root: Key) -> [f32; 2] {
    let mut pass = Pass { tree, natural: [BTreeMap::new(), BTreeMap::new()], x: BTreeMap::new() };
    pass.hide(root);
    let width = pass.natural_width(root);
    pass.widths(root, 0.0, width);
    let height = pass.natural_height(root);
    pass.heights(root, 0.0, height);
    [width, height]
}

struct Pass<'a, T> {
    tree: &'a mut T,
    natural: [BTreeMap<Key, f32>; 2],
    /// Left edges and widths.
    x: BTreeMap<Key, [f32; 2]>,
}

/// What is to be along an axis: how long it is by itself, and its weight if it grows.
type Wish = (f32, Option<f32>);

/// Shares out a length. What is too much is taken from all alike.
fn share(wishes: &[Wish], room: f32) -> Vec<f32> {
    let room = room.max(0.0);
    let fixed: f32 = wishes.iter().map(|(natural, _)| natural).sum();
    let weights: f32 = wishes.iter().filter_map(|(_, weight)| *weight).sum();
    if fixed > room {
        let factor = room / fixed;
        return wishes.iter().map(|(natural, _)| natural * factor).collect();
    }
    let left = room - fixed;
    let more =
        |weight: Option<f32>| weight.filter(|_| weights > 0.0).map_or(0.0, |weight| left * weight / weights);
    wishes.iter().map(|(natural, weight)| natural + more(*weight)).collect()
}

fn sound(length: f32) -> f32 {
    if length.is_finite() { length.max(0.0) } else { 0.0 }
}

fn weight(length: Length) -> Option<f32> {
    match length {
        Length::Grow(weight) => Some(sound(weight)),
        _ => None,
    }
}

fn across(cross: Cross, length: Length, natural: f32, room: f32) -> [f32; 2] {
    let long = if cross == Cross::Stretch || weight(length).is_some() { room } else { natural.min(room) };
    let at = match cross {
        Cross::Start | Cross::Stretch => 0.0,
        Cross::Center => (room - long) * 0.5,
        Cross::End => room - long,
    };
    [at, long]
}

impl<T: Tree> Pass<'_, T> {
    fn hide(&mut self, node: Key) {
        self.tree.place(node, None);
        for child in self.tree.children(node) {
            self.hide(child);
        }
    }

    fn gaps(flow: &Flow, count: usize) -> f32 {
        sound(flow.gap) * count.saturating_sub(1) as f32
    }

    fn natural_width(&mut self, node: Key) -> f32 {
        let mut inner = 0.0;
        if let Some(flow) = self.tree.flow(node) {
            let children = self.tree.children(node);
            let widths: Vec<f32> = children.iter().map(|child| self.natural_width(*child)).collect();
            inner = match flow.is_row {
                true => widths.iter().sum::<f32>() + Self::gaps(&flow, widths.len()),
                false => widths.into_iter().fold(0.0, f32::max),
            } + 2.0 * sound(flow.padding[0]);
        }
        let natural = match self.tree.size(node)[0] {
            Length::Fixed(width) => sound(width),
            _ => sound(self.tree.natural_width(node)).max(inner),
        };
        self.natural[0].insert(node, natural);
        natural
    }

    fn widths(&mut self, node: Key, x: f32, width: f32) {
        self.x.insert(node, [x, width]);
        let Some(flow) = self.tree.flow(node) else { return };
        let children = self.tree.children(node);
        let padding = sound(flow.padding[0]).min(width * 0.5);
        let room = width - 2.0 * padding;
        let natural = |pass: &Self, child: &Key| pass.natural[0].get(child).copied().unwrap_or(0.0);
        if !flow.is_row {
            for child in &children {
                let length = self.tree.size(*child)[0];
                let [at, long] = across(flow.cross, length, natural(self, child), room);
                self.widths(*child, x + padding + at, long);
            }
            return;
        }
        let gaps = Self::gaps(&flow, children.len()).min(room);
        let wishes: Vec<Wish> =
            children.iter().map(|child| (natural(self, child), weight(self.tree.size(*child)[0]))).collect();
        let gap = gaps / children.len().saturating_sub(1).max(1) as f32;
        let mut at = x + padding;
        for (child, long) in children.iter().zip(share(&wishes, room - gaps)) {
            self.widths(*child, at, long);
            at += long + gap;
        }
    }

    fn natural_height(&mut self, node: Key) -> f32 {
        let mut inner = 0.0;
        if let Some(flow) = self.tree.flow(node) {
            let children = self.tree.children(node);
            let heights: Vec<f32> = children.iter().map(|child| self.natural_height(*child)).collect();
            // What scrolls is as high as it is told to be, and not as what is in it.
            inner = match flow.is_row || flow.scroll.is_some() {
                true => heights.into_iter().fold(0.0, f32::max),
                false => heights.iter().sum::<f32>() + Self::gaps(&flow, heights.len()),
            } + 2.0 * sound(flow.padding[1]);
        }
        let width = self.x.get(&node).map_or(0.0, |[_, width]| *width);
        let natural = match self.tree.size(node)[1] {
            Length::Fixed(height) => sound(height),
            _ => sound(self.tree.natural_height(node, width)).max(inner),
        };
        self.natural[1].insert(node, natural);
        natural
    }

    fn heights(&mut self, node: Key, y: f32, height: f32) {
        let [x, width] = self.x.get(&node).copied().unwrap_or_default();
        self.tree.place(node, Some(Rect { x, y, w: width, h: height }));
        let Some(flow) = self.tree.flow(node) else { return };
        let children = self.tree.children(node);
        let padding = sound(flow.padding[1]).min(height * 0.5);
        let room = height - 2.0 * padding;
        let natural = |pass: &Self, child: &Key| pass.natural[1].get(child).copied().unwrap_or(0.0);
        if flow.is_row {
            for child in &children {
                let length = self.tree.size(*child)[1];
                let [at, long] = across(flow.cross, length, natural(self, child), room);
                self.heights(*child, y + padding + at, long);
            }
            return;
        }
        if let Some(first) = flow.scroll {
            let heights: Vec<f32> = children.iter().map(|child| natural(self, child)).collect();
            let window = window(&heights, sound(flow.gap), room, first);
            self.tree.scrolled(node, window);
            let mut at = y + padding;
            for index in window.first..window.first + window.shown {
                let long = heights[index].min(room);
                self.heights(children[index], at, long);
                at += long + sound(flow.gap);
            }
            return;
        }
        let gaps = Self::gaps(&flow, children.len()).min(room);
        let wishes: Vec<Wish> =
            children.iter().map(|child| (natural(self, child), weight(self.tree.size(*child)[1]))).collect();
        let gap = gaps / children.len().saturating_sub(1).max(1) as f32;
        let mut at = y + padding;
        for (child, long) in children.iter().zip(share(&wishes, room - gaps)) {
            self.heights(*child, at, long);
            at += long + gap;
        }
    }
}

/// Which rows are in view: whole ones only, the first as wished as long as the last page is full, and at least one.
fn window(heights: &[f32], gap: f32, room: f32, first: usize) -> Window {
    let total = heights.len();
    let fits = |rows: &mut dyn Iterator<Item = &f32>| {
        let mut used = -gap;
        rows.take_while(|height| {
            used += **height + gap;
            used <= room + 1e-5
        })
        .count()
    };
    let last_page = fits(&mut heights.iter().rev()).max(1).min(total);
    let first = first.min(total - last_page);
    let shown = fits(&mut heights[first..].iter()).max(1).min(total - first);
    Window { first, shown, total }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    struct Item {
        flow: Option<Flow>,
        size: [Length; 2],
        natural: [f32; 2],
        children: Vec<Key>,
        rect: Option<Rect>,
        window: Window,
    }

    #[derive(Clone, Debug, Default)]
    struct Forest(Vec<Item>);

    impl Forest {
        fn add(
            &mut self,
            flow: Option<Flow>,
            size: [Length; 2],
            natural: [f32; 2],
            children: Vec<Key>,
        ) -> Key {
            self.0.push(Item { flow, size, natural, children, rect: None, window: Window::default() });
            self.0.len() as Key - 1
        }

        fn rect(&self, key: Key) -> Rect {
            self.0[key as usize].rect.expect("it is in view")
        }
    }

    impl Tree for Forest {
        fn children(&self, node: Key) -> Vec<Key> {
            self.0[node as usize].children.clone()
        }
        fn flow(&self, node: Key) -> Option<Flow> {
            self.0[node as usize].flow
        }
        fn size(&self, node: Key) -> [Length; 2] {
            self.0[node as usize].size
        }
        fn natural_width(&self, node: Key) -> f32 {
            self.0[node as usize].natural[0]
        }
        fn natural_height(&self, node: Key, width: f32) -> f32 {
            // As of a paragraph: the narrower the higher.
            let [wide, high] = self.0[node as usize].natural;
            if width > 0.0 && width < wide { high * (wide / width).ceil().min(50.0) } else { high }
        }
        fn place(&mut self, node: Key, rect: Option<Rect>) {
            self.0[node as usize].rect = rect;
        }
        fn scrolled(&mut self, node: Key, window: Window) {
            self.0[node as usize].window = window;
        }
    }

    fn flow(is_row: bool) -> Flow {
        Flow { is_row, gap: 1.0, padding: [2.0, 3.0], cross: Cross::Start, scroll: None }
    }

    const FIT: [Length; 2] = [Length::Fit; 2];

    #[test]
    fn rows_and_columns_add_up() {
        let mut forest = Forest::default();
        let a = forest.add(None, FIT, [10.0, 4.0], vec![]);
        let b = forest.add(None, [Length::Grow(1.0), Length::Fit], [2.0, 6.0], vec![]);
        let c = forest.add(None, [Length::Fixed(5.0), Length::Fixed(5.0)], [1.0, 1.0], vec![]);
        let row = forest.add(Some(flow(true)), [Length::Fixed(40.0), Length::Fit], [0.0; 2], vec![a, b, c]);
        assert_eq!(lay_out(&mut forest, row), [40.0, 12.0]);
        assert_eq!(forest.rect(a), Rect::new(2.0, 3.0, 10.0, 4.0));
        assert_eq!(forest.rect(b), Rect::new(13.0, 3.0, 19.0, 6.0));
        assert_eq!(forest.rect(c), Rect::new(33.0, 3.0, 5.0, 5.0));
        let column = Some(Flow { cross: Cross::Center, ..flow(false) });
        let column = forest.add(column, FIT, [0.0; 2], vec![a, c]);
        assert_eq!(lay_out(&mut forest, column), [14.0, 16.0]);
        assert_eq!(forest.rect(c), Rect::new(4.5, 8.0, 5.0, 5.0));
    }

    #[test]
    fn what_is_too_narrow_is_made_smaller_alike() {
        let mut forest = Forest::default();
        let a = forest.add(None, FIT, [20.0, 1.0], vec![]);
        let b = forest.add(None, FIT, [40.0, 1.0], vec![]);
        let row = forest.add(Some(flow(true)), [Length::Fixed(35.0), Length::Fit], [0.0; 2], vec![a, b]);
        lay_out(&mut forest, row);
        assert_eq!([forest.rect(a).w, forest.rect(b).w], [10.0, 20.0]);
        assert_eq!(forest.rect(row).h, 8.0, "its text takes two lines now");
    }

    #[test]
    fn scrolling_shows_whole_rows() {
        for (first, room, window) in [
            (0, 10.0, Window { first: 0, shown: 3, total: 6 }),
            (2, 10.0, Window { first: 2, shown: 3, total: 6 }),
            (99, 10.0, Window { first: 3, shown: 3, total: 6 }),
            (1, 0.5, Window { first: 1, shown: 1, total: 6 }),
            (5, 99.0, Window { first: 0, shown: 6, total: 6 }),
        ] {
            assert_eq!(super::window(&[2.0; 6], 1.0, room, first), window, "{first} {room}");
        }
        assert_eq!(super::window(&[], 1.0, 5.0, 3), Window::default());
        let mut forest = Forest::default();
        let rows: Vec<Key> = (0..4).map(|_| forest.add(None, FIT, [5.0, 2.0], vec![])).collect();
        let scroll = Flow { scroll: Some(1), padding: [0.0; 2], ..flow(false) };
        let scroll = forest.add(Some(scroll), [Length::Fit, Length::Fixed(5.5)], [0.0; 2], rows.clone());
        lay_out(&mut forest, scroll);
        let seen: Vec<bool> = rows.iter().map(|row| forest.0[*row as usize].rect.is_some()).collect();
        assert_eq!(seen, [false, true, true, false]);
        assert_eq!(forest.rect(rows[1]).y, 0.0);
    }

    fn length() -> impl Strategy<Value = Length> {
        prop_oneof![
            Just(Length::Fit),
            (-1.0f32..30.0).prop_map(Length::Fixed),
            (0.0f32..3.0).prop_map(Length::Grow)
        ]
    }

    fn flows() -> impl Strategy<Value = Flow> {
        let cross =
            prop_oneof![Just(Cross::Start), Just(Cross::Center), Just(Cross::End), Just(Cross::Stretch)];
        let scroll = prop_oneof![3 => Just(None), 1 => (0usize..9).prop_map(Some)];
        (any::<bool>(), -1.0f32..5.0, [0.0f32..9.0, 0.0f32..9.0], cross, scroll).prop_map(
            |(is_row, gap, padding, cross, scroll)| Flow {
                is_row,
                gap,
                padding,
                cross,
                scroll: scroll.filter(|_| !is_row),
            },
        )
    }

    proptest! {
        /// Each new node takes some of those before it as children.
        #[test]
        fn nothing_stands_outside_or_over_another(
            items in proptest::collection::vec((flows(), [length(), length()], [0.0f32..20.0, 0.0f32..9.0], 0usize..5), 1..24),
        ) {
            let mut forest = Forest::default();
            let mut free: Vec<Key> = Vec::new();
            for (flow, size, natural, count) in items {
                let children = free.split_off(free.len().saturating_sub(count));
                let flow = (!children.is_empty()).then_some(flow);
                let key = forest.add(flow, size, natural, children);
                free.push(key);
            }
            let root = forest.add(Some(flow(false)), FIT, [0.0; 2], free);
            let size = lay_out(&mut forest, root);
            prop_assert!(size.iter().all(|side| side.is_finite()));
            for item in &forest.0 {
                let (Some(flow), Some(rect)) = (item.flow, item.rect) else { continue };
                let placed: Vec<Rect> =
                    item.children.iter().filter_map(|child| forest.0[*child as usize].rect).collect();
                prop_assert!(flow.scroll.is_some() || placed.len() == item.children.len());
                if flow.scroll.is_some() {
                    prop_assert_eq!(placed.len(), item.window.shown);
                }
                for child in &placed {
                    prop_assert!(child.w >= 0.0 && child.h >= 0.0);
                    prop_assert!(child.x >= rect.x - 1e-3 && child.right() <= rect.right() + 1e-3, "{child:?} {rect:?}");
                    prop_assert!(child.y >= rect.y - 1e-3 && child.bottom() <= rect.bottom() + 1e-3, "{child:?} {rect:?}");
                }
                for pair in placed.windows(2) {
                    let apart = if flow.is_row { pair[1].x - pair[0].right() } else { pair[1].y - pair[0].bottom() };
                    prop_assert!(apart >= -1e-3, "{pair:?}");
                }
            }
        }
    }
}
