// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a widget is, and how widgets are put together.

use crate::{
    layout::{Flow, Length, Rect, Window},
    paint::Paint,
    theme::Theme,
};
use hearth_sdk::PeerId;
use std::{any::Any, cell::Cell, fmt, marker::PhantomData, time::Duration};

pub(crate) mod button;
pub(crate) mod field;
pub(crate) mod group;
pub(crate) mod keys;
pub(crate) mod label;
pub(crate) mod list;
pub(crate) mod menu;
pub(crate) mod picker;
pub(crate) mod progress;
pub(crate) mod slider;

/// How a widget stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Look {
    /// A pointer is on it.
    pub over: bool,
    /// It is pressed.
    pub down: bool,
    /// It has the keyboard.
    pub focused: bool,
    /// It does nothing now.
    pub disabled: bool,
}

/// Where a widget is, and how things stand.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Where it is.
    pub rect: Rect,
    /// Size of the whole interface in metres.
    pub whole: [f32; 2],
    /// Colours and sizes.
    pub theme: &'a Theme,
    /// How it stands.
    pub look: Look,
    /// The clock that only goes forward.
    pub now: Duration,
    /// Whether there is a keyboard; without one a field shows keys of its own.
    pub has_keyboard: bool,
}

impl At<'_> {
    /// The colour of a surface as it stands now.
    pub fn surface(&self, color: crate::Color) -> crate::Color {
        let theme = self.theme;
        let part = match self.look {
            Look { disabled: true, .. } => return self.dim(color),
            Look { down: true, .. } => theme.press,
            Look { over: true, .. } => theme.hover,
            _ => return color,
        };
        crate::theme::mixed(color, theme.ink, part)
    }

    /// The colour of writing as it stands now.
    pub fn dim(&self, color: crate::Color) -> crate::Color {
        let part = if self.look.disabled { self.theme.disabled } else { 0.0 };
        crate::theme::mixed(color, self.theme.ground, part)
    }
}

/// What a pointer does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// It is on the widget, or drags from it.
    Move,
    /// It has left.
    Out,
    /// The first button went down; so many times in a row, from 1 to 3.
    Press(u8),
    /// It went up; whether still on the widget.
    Release(bool),
    /// What was pressed will not be released.
    Cancel,
    /// The wheel has turned, by so many lines up.
    Wheel(f32),
}

/// What the pointer of a user does to a widget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// What it does.
    pub deed: Deed,
    /// Where, in metres from the left upper corner of the interface.
    pub at: [f32; 2],
    /// Whose pointer it is.
    pub user: PeerId,
    /// Whether Shift is held.
    pub shift: bool,
    /// Whether it is pressed on this widget.
    pub is_held: bool,
}

/// What a key means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named by what is printed on the key")]
pub enum Key {
    Enter,
    Space,
    Escape,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Backspace,
    Delete,
    Tab,
    /// With Ctrl held: all, copy, cut, paste.
    All,
    Copy,
    Cut,
    Paste,
    /// What was typed.
    Text(String),
}

/// A key, and what is held with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// The key.
    pub key: Key,
    /// Shift is held.
    pub shift: bool,
    /// Ctrl is held.
    pub ctrl: bool,
}

/// What a widget may do while something is done to it.
#[derive(Debug)]
pub struct With<M> {
    pub(crate) said: Vec<M>,
    pub(crate) copy: Option<String>,
    pub(crate) paste: bool,
    pub(crate) leave: bool,
}

impl<M> Default for With<M> {
    fn default() -> With<M> {
        With { said: Vec::new(), copy: None, paste: false, leave: false }
    }
}

impl<M> With<M> {
    /// Says something to the script.
    pub fn say(&mut self, message: M) {
        self.said.push(message);
    }

    /// Puts a text on the clipboard.
    pub fn copy(&mut self, text: impl Into<String>) {
        self.copy = Some(text.into());
    }

    /// Asks for what is on the clipboard; it comes to [`Widget::pasted`].
    pub fn paste(&mut self) {
        self.paste = true;
    }

    /// Gives the keyboard back.
    pub fn leave(&mut self) {
        self.leave = true;
    }
}

/// What a widget does with the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Focus {
    /// Nothing: it is left out by Tab.
    #[default]
    Never,
    /// It takes keys.
    Keys,
    /// It takes text; without a keyboard it shows keys.
    Text,
}

/// Something of an interface. It keeps its own state, says how large it is and what it looks like, and hears what is done
/// to it; the [`Ui`](crate::Ui) does the rest. A script may make widgets of its own:
///
/// ```
/// use hearth_kit::*;
///
/// /// A square that says how often it was pressed.
/// struct Counter(u32);
///
/// impl Widget<u32> for Counter {
///     fn width(&self, theme: &Theme) -> f32 { theme.control }
///     fn height(&self, theme: &Theme, _width: f32) -> f32 { theme.control }
///     fn touches(&self) -> bool { true }
///     fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
///         paint.plate(at.rect, at.theme.radius, at.surface(at.theme.raised));
///         paint.up();
///         paint.text(at.rect, self.0.to_string(), Letters::new(at.theme.text, at.theme.ink).centered());
///     }
///     fn pointer(&mut self, touch: &Touch, _at: &At<'_>, with: &mut With<u32>) -> bool {
///         if touch.deed == Deed::Release(true) {
///             self.0 += 1;
///             with.say(self.0);
///         }
///         true
///     }
/// }
///
/// let count = Handle::new();
/// let content = row![label("pressed"), Node::named(Counter(0), count)];
/// # use hearth_sdk::math::{Quat, Vec3};
/// let mut ui = Ui::new(Place::at(Vec3::ZERO, Quat::IDENTITY), Theme::dusk(), content)?;
/// ui.edit(count, |counter| counter.0 = 7)?;
/// # assert_eq!(ui.get(count)?.0, 7);
/// # Ok::<(), KitError>(())
/// ```
pub trait Widget<M>: Any {
    /// How wide it is by itself, in metres.
    fn width(&self, theme: &Theme) -> f32;

    /// How high it is at a width.
    fn height(&self, theme: &Theme, width: f32) -> f32;

    /// How it lays out children, if it has any.
    fn flow(&self, theme: &Theme) -> Option<Flow> {
        let _ = theme;
        None
    }

    /// Which of its children are in view, if it scrolls.
    fn scrolled(&mut self, window: Window) {
        let _ = window;
    }

    /// A child is to be in view.
    fn reveal(&mut self, child: usize) {
        let _ = child;
    }

    /// What it looks like.
    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>);

    /// Where it stands over everything else now, if it does, as a menu that is open.
    fn over(&self, at: &At<'_>) -> Option<Rect> {
        let _ = at;
        None
    }

    /// What that looks like.
    fn paint_over(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let _ = (at, paint);
    }

    /// Whether pointers do anything to it.
    fn touches(&self) -> bool {
        false
    }

    /// A pointer does something to it. Tells whether it has taken that; a wheel that it has not taken goes to what it is in.
    /// A motion may change what it looks like, but not how large it is.
    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        let _ = (touch, at, with);
        false
    }

    /// What it does with the keyboard.
    fn focus(&self) -> Focus {
        Focus::Never
    }

    /// It has the keyboard now, or no longer.
    fn focused(&mut self, on: bool) {
        let _ = on;
    }

    /// A key. Tells whether it has taken that.
    fn key(&mut self, stroke: &Stroke, at: &At<'_>, with: &mut With<M>) -> bool {
        let _ = (stroke, at, with);
        false
    }

    /// What it has asked for from the clipboard.
    fn pasted(&mut self, text: &str, with: &mut With<M>) {
        let _ = (text, with);
    }

    /// Something else was pressed: what stands over everything goes.
    fn dismiss(&mut self) {}

    /// How long until it looks different by itself, at the same size.
    fn beat(&self) -> Option<Duration> {
        None
    }
}

/// Names a widget that is to be changed later. It is a number: copies name the same widget.
pub struct Handle<W> {
    pub(crate) number: u64,
    widget: PhantomData<fn() -> W>,
}

impl<W> Handle<W> {
    /// A name that no widget has yet.
    pub fn new() -> Handle<W> {
        thread_local! {
            static LAST: Cell<u64> = const { Cell::new(0) };
        }
        let number = LAST.get() + 1;
        LAST.set(number);
        Handle { number, widget: PhantomData }
    }
}

impl<W> Default for Handle<W> {
    fn default() -> Handle<W> {
        Handle::new()
    }
}

impl<W> Clone for Handle<W> {
    fn clone(&self) -> Handle<W> {
        *self
    }
}

impl<W> Copy for Handle<W> {}

impl<W> fmt::Debug for Handle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.number)
    }
}

/// A widget, how large it is to be, and what is in it: a part of an interface before it is shown.
pub struct Node<M> {
    pub(crate) widget: Box<dyn Widget<M>>,
    pub(crate) children: Vec<Node<M>>,
    pub(crate) size: [Length; 2],
    pub(crate) handle: Option<u64>,
    pub(crate) is_disabled: bool,
    pub(crate) is_hidden: bool,
}

impl<M: 'static> Node<M> {
    /// Of a widget of one's own.
    pub fn of(widget: impl Widget<M>) -> Node<M> {
        Node {
            widget: Box::new(widget),
            children: Vec::new(),
            size: [Length::Fit; 2],
            handle: None,
            is_disabled: false,
            is_hidden: false,
        }
    }

    /// Of a widget of one's own that is to be changed later.
    pub fn named<W: Widget<M>>(widget: W, handle: Handle<W>) -> Node<M> {
        Node { handle: Some(handle.number), ..Node::of(widget) }
    }

    pub(crate) fn grow_across(mut self) -> Node<M> {
        self.size[0] = Length::Grow(1.0);
        self
    }
}

impl<M> fmt::Debug for Node<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("size", &self.size)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// What can be put into an interface. First a widget's own settings are said, then its handle, then these.
pub trait IntoNode<M: 'static>: Sized {
    /// As a node.
    fn into_node(self) -> Node<M>;

    /// Names it, to be changed later.
    fn handle(self, handle: Handle<Self>) -> Node<M> {
        Node { handle: Some(handle.number), ..self.into_node() }
    }

    /// So many metres wide, and no wider or narrower.
    fn width(self, metres: f32) -> Node<M> {
        let mut node = self.into_node();
        node.size[0] = Length::Fixed(metres);
        node
    }

    /// So many metres high.
    fn height(self, metres: f32) -> Node<M> {
        let mut node = self.into_node();
        node.size[1] = Length::Fixed(metres);
        node
    }

    /// As wide as there is room.
    fn grow(self) -> Node<M> {
        self.into_node().grow_across()
    }

    /// As high as there is room.
    fn grow_down(self) -> Node<M> {
        let mut node = self.into_node();
        node.size[1] = Length::Grow(1.0);
        node
    }

    /// It does nothing until [`Ui::enable`](crate::Ui::enable).
    fn disabled(self) -> Node<M> {
        Node { is_disabled: true, ..self.into_node() }
    }

    /// It is not there until [`Ui::show`](crate::Ui::show).
    fn hidden(self) -> Node<M> {
        Node { is_hidden: true, ..self.into_node() }
    }
}

impl<M: 'static> IntoNode<M> for Node<M> {
    fn into_node(self) -> Node<M> {
        self
    }
}

/// Makes the widgets of this kit something that can be put into an interface.
macro_rules! nodes {
    ($($widget:ty, $size:ident;)*) => {
        $(impl<M: Clone + 'static> IntoNode<M> for $widget {
            fn into_node(self) -> Node<M> {
                nodes!(@$size Node::of(self))
            }
        })*
    };
    (@fit $node:expr) => { $node };
    (@wide $node:expr) => { $node.grow_across() };
}

nodes! {
    label::Label, fit;
    label::Paragraph, wide;
    label::Space, fit;
    button::Button<M>, fit;
    button::Toggle<M>, fit;
    slider::Slider<M>, wide;
    progress::Progress, wide;
    field::Field<M>, wide;
    list::List<M>, wide;
    menu::Menu<M>, fit;
    picker::Picker<M>, fit;
}

impl<M: 'static> IntoNode<M> for group::Group<M> {
    fn into_node(self) -> Node<M> {
        self.build()
    }
}
