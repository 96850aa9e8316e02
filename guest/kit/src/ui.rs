// SPDX-License-Identifier: AGPL-3.0-or-later
//! An interface on show: its widgets, and what is done to them.

use crate::{
    KitError,
    layout::{self, Flow, Key, Length, Rect, Tree, Window},
    paint::{Item, OVER, Paint},
    place::Place,
    shown::Shown,
    theme::Theme,
    toast::Toasts,
    widget::{At, Focus, Handle, IntoNode, Look, Node, Widget, group::Group},
};
use hearth_sdk::{
    Errno, PeerId,
    abi::{
        EntityId,
        scene::{Component, Transform},
    },
    clipboard,
    input::{Input, mask},
    keyboard::{Did, Hands},
    math::{Quat, Vec3},
    pointer::Wants,
    race,
    scene::{self, Batch, Entity},
    sleep,
    task::Task,
    time, warn,
};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::{Future, pending},
    pin::pin,
    task::Poll,
    time::Duration,
};

mod hands;
mod keyboard;
#[cfg(test)]
mod tests;

use hands::Hand;
use keyboard::{Focused, Keyboard};

/// Most widgets of an interface, so that one which grows without end is noticed.
pub const NODES_MAX: usize = 2048;
/// Deepest that groups are nested.
pub const DEPTH_MAX: usize = 24;
/// Most messages that wait to be taken. The oldest are lost.
const SAID_MAX: usize = 256;
/// The first of the slots of what stands over everything.
const OVER_SLOT: usize = 1 << 20;
/// When it is tried again if too many changes of the scene wait.
const RETRY: Duration = Duration::from_millis(100);
/// What is open, but nobody points at, closes after so long.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// What a widget says, and whose hands made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<M> {
    /// What it says.
    pub message: M,
    /// The peer of the user.
    pub user: PeerId,
}

struct Slot<M> {
    widget: Box<dyn Widget<M>>,
    children: Vec<Key>,
    parent: Option<Key>,
    size: [Length; 2],
    is_disabled: bool,
    is_hidden: bool,
    /// Where it is, if it is in view.
    rect: Option<Rect>,
    /// How far before the front it was painted, and when.
    level: f32,
    drawn_at: Duration,
}

/// The widgets by their keys.
struct Forest<M> {
    slots: BTreeMap<Key, Slot<M>>,
    handles: BTreeMap<u64, Key>,
    last: Key,
}

impl<M> Forest<M> {
    fn children(&self, node: Key) -> Vec<Key> {
        let children = self.slots.get(&node).map(|slot| slot.children.as_slice()).unwrap_or_default();
        let is_there = |child: &Key| self.slots.get(child).is_some_and(|slot| !slot.is_hidden);
        children.iter().copied().filter(is_there).collect()
    }

    fn depth(&self, node: Key) -> usize {
        self.above(node).count()
    }

    /// The node, what it is in, what that is in, and so on.
    fn above(&self, node: Key) -> impl Iterator<Item = Key> {
        let parent = |key: &Key| self.slots.get(key).and_then(|slot| slot.parent);
        std::iter::successors(Some(node), move |key| parent(key))
    }

    fn is_disabled(&self, node: Key) -> bool {
        self.above(node).any(|key| self.slots.get(&key).is_some_and(|slot| slot.is_disabled))
    }

    fn is_hidden(&self, node: Key) -> bool {
        self.above(node).any(|key| self.slots.get(&key).is_some_and(|slot| slot.is_hidden))
    }

    fn add(&mut self, node: Node<M>, parent: Option<Key>, depth: usize) -> Result<Key, KitError> {
        if self.slots.len() >= NODES_MAX {
            return Err(KitError::TooMany { most: NODES_MAX });
        }
        if depth > DEPTH_MAX {
            return Err(KitError::TooDeep { most: DEPTH_MAX });
        }
        self.last += 1;
        let key = self.last;
        if let Some(handle) = node.handle {
            self.handles.insert(handle, key);
        }
        let slot = Slot {
            widget: node.widget,
            children: Vec::new(),
            parent,
            size: node.size,
            is_disabled: node.is_disabled,
            is_hidden: node.is_hidden,
            rect: None,
            level: 0.0,
            drawn_at: Duration::ZERO,
        };
        self.slots.insert(key, slot);
        for child in node.children {
            match self.add(child, Some(key), depth + 1) {
                Ok(child) => {
                    if let Some(slot) = self.slots.get_mut(&key) {
                        slot.children.push(child);
                    }
                }
                Err(error) => {
                    self.remove(key);
                    return Err(error);
                }
            }
        }
        Ok(key)
    }

    fn remove(&mut self, node: Key) {
        let Some(slot) = self.slots.remove(&node) else { return };
        for child in slot.children {
            self.remove(child);
        }
        if let Some(parent) = slot.parent.and_then(|parent| self.slots.get_mut(&parent)) {
            parent.children.retain(|child| *child != node);
        }
        self.handles.retain(|_, key| *key != node);
    }

    /// All that may be seen, each before what is in it.
    fn in_order(&self, from: Key, found: &mut Vec<Key>) {
        found.push(from);
        for child in self.children(from) {
            self.in_order(child, found);
        }
    }
}

/// The widgets as the layout sees them.
struct Laid<'a, M> {
    forest: &'a mut Forest<M>,
    theme: &'a Theme,
}

impl<M> Laid<'_, M> {
    fn of<R: Default>(&self, node: Key, tell: impl FnOnce(&Slot<M>) -> R) -> R {
        self.forest.slots.get(&node).map(tell).unwrap_or_default()
    }
}

impl<M: 'static> Tree for Laid<'_, M> {
    fn children(&self, node: Key) -> Vec<Key> {
        self.forest.children(node)
    }
    fn flow(&self, node: Key) -> Option<Flow> {
        self.of(node, |slot| slot.widget.flow(self.theme))
    }
    fn size(&self, node: Key) -> [Length; 2] {
        self.of(node, |slot| slot.size)
    }
    fn natural_width(&self, node: Key) -> f32 {
        self.of(node, |slot| slot.widget.width(self.theme))
    }
    fn natural_height(&self, node: Key, width: f32) -> f32 {
        self.of(node, |slot| slot.widget.height(self.theme, width))
    }
    fn place(&mut self, node: Key, rect: Option<Rect>) {
        if let Some(slot) = self.forest.slots.get_mut(&node) {
            slot.rect = rect;
        }
    }
    fn scrolled(&mut self, node: Key, window: Window) {
        if let Some(slot) = self.forest.slots.get_mut(&node) {
            slot.widget.scrolled(window);
        }
    }
}

/// An interface in the scene. Whoever has it hears by [`Ui::next`] what its widgets say; nothing goes on without.
/// It goes when this is dropped, and when the process ends.
///
/// ```
/// use hearth_kit::*;
/// use hearth_sdk::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq)]
/// enum Said { Level(f32), Off }
///
/// async fn run() -> Result<(), Error> {
///     let level = Handle::new();
///     let content = col![
///         title("Lamp"),
///         row![label("level"), slider(0.0..=1.0, 0.5, Said::Level).handle(level)],
///         button("off", Said::Off).main(),
///     ];
///     let place = Place::at(vec3(0.0, 1.5, 0.0), Quat::IDENTITY);
///     let mut ui = Ui::new(place, Theme::dusk(), content.panel().width(0.5))?;
///     loop {
///         match ui.next().await?.message {
///             Said::Level(level) => info!("level {level:.1}"),
///             Said::Off => ui.edit(level, |slider| slider.set(0.0))?,
///         }
///     }
/// }
/// # hearth_sdk::testing::run_for(run(), Duration::from_secs(1));
/// # assert_eq!(hearth_sdk::testing::batches().len(), 3);  // the root, the rest, and away
/// ```
pub struct Ui<M> {
    forest: Forest<M>,
    top: Key,
    theme: Theme,
    place: Place,
    root: EntityId,
    shown: Shown,
    size: [f32; 2],
    did: Hands,
    hands: BTreeMap<PeerId, Hand>,
    keyboard: Keyboard,
    /// Whose keys are for which widget.
    focus: BTreeMap<PeerId, Focused>,
    toasts: Toasts,
    said: VecDeque<Said<M>>,
    /// What is shown is not what should be.
    is_stale: bool,
    /// Only these look different, and have the size that they had.
    restless: BTreeSet<Key>,
    touched_at: Duration,
    /// When it was last looked whether the users are still there.
    looked_at: Duration,
    paste: Option<(Key, Task<Result<String, hearth_sdk::Error>>)>,
}

impl<M: Clone + 'static> Ui<M> {
    /// Shows an interface.
    ///
    /// # Errors
    /// [`KitError::TooMany`], [`KitError::TooDeep`], or the scene does not take it: on a peer without a user nothing is local.
    pub fn new(place: Place, theme: Theme, content: impl IntoNode<M>) -> Result<Ui<M>, KitError> {
        let mut forest = Forest { slots: BTreeMap::new(), handles: BTreeMap::new(), last: 0 };
        let top = forest.add(content.into_node(), None, 1)?;
        let wants = Wants::HOVER.and(Wants::MOVE).and(Wants::PRESS).and(Wants::WHEEL);
        let mut root = Entity::new().name("interface").with(place.pose).pointer(wants);
        if place.is_local {
            root = root.local();
        }
        if let Some(parent) = place.under.first() {
            root = root.parent(*parent);
        }
        let root = root.spawn()?;
        let mut ui = Ui {
            forest,
            top,
            theme: theme.sound(),
            shown: Shown::new(root, place.is_local),
            place,
            root,
            size: [0.0; 2],
            did: Hands::of(root),
            hands: BTreeMap::new(),
            keyboard: Keyboard::default(),
            focus: BTreeMap::new(),
            toasts: Toasts::default(),
            said: VecDeque::new(),
            is_stale: true,
            restless: BTreeSet::new(),
            touched_at: time::monotonic(),
            looked_at: time::monotonic(),
            paste: None,
        };
        ui.settle()?;
        Ok(ui)
    }

    /// The entity that all of it hangs under.
    pub fn root(&self) -> EntityId {
        self.root
    }

    /// Its width and height in metres, before the scale of its place.
    pub fn size(&self) -> [f32; 2] {
        self.size
    }

    /// Its colours and sizes.
    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Gives it other colours and sizes.
    pub fn set_theme(&mut self, theme: Theme) {
        self.theme = theme.sound();
        self.is_stale = true;
    }

    /// Puts it somewhere else: with its middle there, turned so, relative to what it hangs under.
    ///
    /// # Errors
    /// The scene does not take it.
    pub fn move_to(&mut self, place: Vec3, turn: Quat) -> Result<(), KitError> {
        let pose = Transform { scale: self.place.pose.scale, ..scene::pose(place, turn) };
        scene::set(self.root, pose)?;
        self.place.pose = pose;
        Ok(())
    }

    /// Shows or hides all of it.
    ///
    /// # Errors
    /// The scene does not take it.
    pub fn set_visible(&mut self, on: bool) -> Result<(), KitError> {
        if !on {
            self.blur();
        }
        scene::set(self.root, Component::Hidden(!on))?;
        Ok(())
    }

    fn key_of<W>(&self, handle: Handle<W>) -> Result<Key, KitError> {
        self.forest.handles.get(&handle.number).copied().ok_or(KitError::NotFound)
    }

    /// A widget.
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn get<W: Any>(&self, handle: Handle<W>) -> Result<&W, KitError> {
        let slot = self.forest.slots.get(&self.key_of(handle)?).ok_or(KitError::NotFound)?;
        let widget: &dyn Any = slot.widget.as_ref();
        widget.downcast_ref().ok_or(KitError::NotFound)
    }

    /// Changes a widget. What it looks like then is shown with the next [`Ui::next`], or by [`Ui::settle`].
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn edit<W: Any, R>(
        &mut self,
        handle: Handle<W>,
        change: impl FnOnce(&mut W) -> R,
    ) -> Result<R, KitError> {
        let key = self.key_of(handle)?;
        let slot = self.forest.slots.get_mut(&key).ok_or(KitError::NotFound)?;
        let widget: &mut dyn Any = slot.widget.as_mut();
        let changed = change(widget.downcast_mut().ok_or(KitError::NotFound)?);
        self.is_stale = true;
        Ok(changed)
    }

    /// Lets a widget do something, or not.
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn enable<W>(&mut self, handle: Handle<W>, on: bool) -> Result<(), KitError> {
        let key = self.key_of(handle)?;
        if let Some(slot) = self.forest.slots.get_mut(&key) {
            slot.is_disabled = !on;
        }
        self.check_hands();
        Ok(())
    }

    /// Shows a widget, or not: its room goes to others.
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn show<W>(&mut self, handle: Handle<W>, on: bool) -> Result<(), KitError> {
        let key = self.key_of(handle)?;
        if let Some(slot) = self.forest.slots.get_mut(&key) {
            slot.is_hidden = !on;
        }
        self.check_hands();
        Ok(())
    }

    /// Puts something more into a group, at its end.
    ///
    /// # Errors
    /// [`KitError::NotFound`], [`KitError::TooMany`], [`KitError::TooDeep`].
    pub fn add(&mut self, group: Handle<Group<M>>, content: impl IntoNode<M>) -> Result<(), KitError> {
        let key = self.key_of(group)?;
        let child = self.forest.add(content.into_node(), Some(key), self.forest.depth(key) + 1)?;
        if let Some(slot) = self.forest.slots.get_mut(&key) {
            slot.children.push(child);
        }
        self.is_stale = true;
        Ok(())
    }

    /// Takes a widget away, and all that is in it.
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn remove<W>(&mut self, handle: Handle<W>) -> Result<(), KitError> {
        let key = self.key_of(handle)?;
        self.forest.remove(key);
        self.check_hands();
        Ok(())
    }

    /// Takes away all that is in a group.
    ///
    /// # Errors
    /// [`KitError::NotFound`].
    pub fn clear(&mut self, group: Handle<Group<M>>) -> Result<(), KitError> {
        let key = self.key_of(group)?;
        let children = self.forest.slots.get_mut(&key).map(|slot| std::mem::take(&mut slot.children));
        for child in children.unwrap_or_default() {
            self.forest.remove(child);
        }
        self.check_hands();
        Ok(())
    }

    /// Shows a note below it for four seconds, or until it is pressed. There are at most four; the oldest goes.
    pub fn toast(&mut self, text: impl Into<String>) {
        self.toasts.add(text.into(), time::monotonic());
        self.is_stale = true;
    }

    /// Listens to the keyboard of this peer's user: for an interface on a client. It takes keys while one of its widgets has
    /// been pressed, or Tab was pressed while the pointer was on it; Escape gives them back. Meanwhile the avatar and the
    /// workshop leave them alone.
    ///
    /// Into the fields of an interface without it any user types who presses one, wherever it runs (see
    /// [`hearth_sdk::keyboard`]); so they do into those of one in the space with it.
    ///
    /// A process has one [`Input`]: one that listens itself, or has several interfaces, passes its events to [`Ui::input`].
    ///
    /// # Errors
    /// [`Errno::Permission`] if this process came from another peer; [`Errno::Unsupported`] on a peer without a picture.
    pub fn listen_to_keyboard(&mut self) -> Result<(), Errno> {
        self.keyboard.source = keyboard::Source::Own(Input::subscribe(mask::KEYBOARD | mask::MOUSE)?);
        self.is_stale = true;
        Ok(())
    }

    /// Says something to the script in a user's name.
    fn say(&mut self, message: M, user: PeerId) {
        if self.said.len() >= SAID_MAX {
            warn!("a message of an interface is lost: this script does not take them as fast as they come");
            self.said.pop_front();
        }
        self.said.push_back(Said { message, user });
    }

    fn at<'a>(&self, key: Key, rect: Rect, theme: &'a Theme) -> At<'a> {
        let has_keyboard = self.keyboard.is_there() || self.has_typist(key);
        let focus = self.forest.slots.get(&key).map_or(Focus::Never, |slot| slot.widget.focus());
        let look = Look {
            over: self.hands.values().any(|hand| hand.over == Some(key)),
            down: self.hands.values().any(|hand| hand.held == Some(key) && hand.over == Some(key)),
            // Where there are no keys, a ring would tell nothing.
            focused: self.is_focus(key) && (has_keyboard || focus == Focus::Text),
            disabled: self.forest.is_disabled(key),
        };
        At { rect, whole: self.size, theme, look, now: time::monotonic(), has_keyboard }
    }

    /// Everything that stands over all else, and where.
    fn overs(&self) -> Vec<(Key, Rect)> {
        let over = |(key, slot): (&Key, &Slot<M>)| {
            let rect = slot.rect?;
            Some((*key, slot.widget.over(&self.at(*key, rect, &self.theme))?))
        };
        self.forest.slots.iter().filter_map(over).collect()
    }

    /// Shows what has changed. [`Ui::next`] does it too.
    ///
    /// # Errors
    /// The scene does not take it; the next try shows everything that is missing.
    pub fn settle(&mut self) -> Result<(), KitError> {
        if !self.is_stale {
            return self.settle_restless();
        }
        // What is hidden has no place, and does not go on by itself.
        self.forest.slots.values_mut().for_each(|slot| slot.rect = None);
        let mut items: Vec<((Key, usize), Item)> = Vec::new();
        if !self.forest.is_hidden(self.top) {
            let mut laid = Laid { forest: &mut self.forest, theme: &self.theme };
            self.size = layout::lay_out(&mut laid, self.top);
            self.paint_all(self.top, 0.0, &mut items);
        }
        for (key, _) in self.overs() {
            self.paint_over(key, &mut items);
        }
        for (number, paint) in self.toasts.paint(&self.theme, self.size, OVER) {
            let note = paint.into_items().into_iter();
            items.extend(note.map(|(at, item)| ((Key::MAX - number, at), item)));
        }
        self.shown.show(self.size, items)?;
        self.is_stale = false;
        self.restless.clear();
        Ok(())
    }

    /// Shows what looks different where nothing has another size or place: what a pointer passes, and what moves by itself.
    fn settle_restless(&mut self) -> Result<(), KitError> {
        if self.restless.is_empty() {
            return Ok(());
        }
        let mut items = Vec::new();
        for key in &self.restless {
            let Some(slot) = self.forest.slots.get(key) else { continue };
            let Some(rect) = slot.rect else { continue };
            let painted = self.painted(*key, slot, rect, slot.level);
            items.extend(painted.into_iter().map(|(at, item)| ((*key, at), item)));
            if slot.widget.over(&self.at(*key, rect, &self.theme)).is_some() {
                self.paint_over(*key, &mut items);
            }
        }
        self.shown.show_part(self.size, items, |key| self.restless.contains(&key))?;
        let now = time::monotonic();
        for key in std::mem::take(&mut self.restless) {
            if let Some(slot) = self.forest.slots.get_mut(&key) {
                slot.drawn_at = now;
            }
        }
        Ok(())
    }

    fn paint_over(&self, key: Key, items: &mut Vec<((Key, usize), Item)>) {
        let Some(slot) = self.forest.slots.get(&key) else { return };
        let mut paint = Paint::new(&self.theme, OVER);
        slot.widget.paint_over(&self.at(key, slot.rect.unwrap_or_default(), &self.theme), &mut paint);
        items.extend(paint.into_items().into_iter().map(|(at, item)| ((key, OVER_SLOT + at), item)));
    }

    fn painted(&self, key: Key, slot: &Slot<M>, rect: Rect, level: f32) -> Vec<(usize, Item)> {
        let mut paint = Paint::new(&self.theme, level);
        slot.widget.paint(&self.at(key, rect, &self.theme), &mut paint);
        let mut items = paint.into_items();
        if !self.asks_for_keys() || self.forest.is_disabled(key) {
            items.iter_mut().for_each(|(_, item)| item.takes_keys = false);
        }
        items
    }

    fn paint_all(&mut self, key: Key, level: f32, items: &mut Vec<((Key, usize), Item)>) {
        let Some(slot) = self.forest.slots.get_mut(&key) else { return };
        let Some(rect) = slot.rect else { return };
        (slot.level, slot.drawn_at) = (level, time::monotonic());
        let Some(slot) = self.forest.slots.get(&key) else { return };
        let painted = self.painted(key, slot, rect, level);
        let top = painted.iter().map(|(_, item)| item.level + 1.0).fold(level, f32::max);
        items.extend(painted.into_iter().map(|(at, item)| ((key, at), item)));
        for child in self.forest.children(key) {
            self.paint_all(child, top, items);
        }
    }

    /// When something is to be done without anybody doing anything, from now.
    fn next_beat(&self, now: Duration) -> Option<Duration> {
        let visible = self.forest.slots.values().filter(|slot| slot.rect.is_some());
        let beats = visible.filter_map(|slot| Some(slot.drawn_at + slot.widget.beat()?));
        let forgotten = self.is_open().then_some(self.touched_at + FORGOTTEN);
        let typing = self.keyboard.next_telling(self.has_own_keys());
        let times =
            beats.chain(self.toasts.next_end()).chain(forgotten).chain(typing).chain(self.next_look());
        // Not at once, however late it is: who beats faster than this has all the time there is.
        times.min().map(|time| time.saturating_sub(now).max(Duration::from_millis(10)))
    }

    /// Whether something is open that stands over everything, and is closed by what users do.
    fn is_open(&self) -> bool {
        !self.overs().is_empty()
    }

    /// Does what is due.
    fn beat(&mut self) {
        let now = time::monotonic();
        self.is_stale |= self.toasts.expire(now);
        let is_due = |slot: &Slot<M>| slot.widget.beat().is_some_and(|beat| now >= slot.drawn_at + beat);
        let slots = self.forest.slots.iter().filter(|(_, slot)| slot.rect.is_some() && is_due(slot));
        self.restless.extend(slots.map(|(key, _)| *key));
        if now >= self.touched_at + FORGOTTEN && self.is_open() {
            self.dismiss_but(None);
            self.blur();
        }
        if self.next_look().is_some_and(|look| now >= look) {
            self.forget_absent(now);
        }
        self.keyboard.tell(self.has_own_keys(), now);
    }

    /// What a widget says next. Everything that users do meanwhile is done in here. It may be dropped while it waits, as by
    /// [`race`]: nothing is lost.
    ///
    /// # Errors
    /// The scene takes it no longer, as when somebody has removed its entities. That too many changes wait is no error: it is
    /// tried again.
    pub async fn next(&mut self) -> Result<Said<M>, KitError> {
        loop {
            let mut retry = None;
            match self.settle() {
                Ok(()) => {}
                Err(KitError::Scene(error)) if error.errno == Errno::Full => retry = Some(RETRY),
                Err(error) => return Err(error),
            }
            if let Some(said) = self.said.pop_front() {
                return Ok(said);
            }
            let beat = retry.or(self.next_beat(time::monotonic()));
            let timer = async {
                match beat {
                    Some(beat) => sleep(beat).await,
                    None => pending().await,
                }
            };
            let pasted = async {
                match &mut self.paste {
                    Some((_, task)) => task.await,
                    None => pending().await,
                }
            };
            let hands = race(self.did.next(), self.keyboard.source.next());
            match first_of(hands, timer, pasted).await {
                First::Hands(race) => match race {
                    hearth_sdk::Either::Left(Did::Pointer(event)) => self.pointer(&event),
                    hearth_sdk::Either::Left(Did::Keyboard(event)) => self.typed(&event),
                    hearth_sdk::Either::Right(event) => self.input(&event),
                },
                First::Timer => self.beat(),
                First::Pasted(text) => self.pasted(text),
            }
        }
    }

    fn pasted(&mut self, text: Result<String, hearth_sdk::Error>) {
        let Some((key, _)) = self.paste.take() else { return };
        match text {
            Ok(text) => {
                let me = hearth_sdk::peer();
                self.is_stale = true;
                self.with_widget(key, me, |widget, _at, with| widget.pasted(&text, with));
            }
            Err(error) => self.toast(format!("nothing to paste: {error}")),
        }
    }

    fn copy(&mut self, text: &str, user: PeerId) {
        if text.is_empty() {
            return;
        }
        // A clipboard is its user's: no other peer puts anything there.
        if user != hearth_sdk::peer() {
            return self.toast("not copied: that is for scripts of one's own");
        }
        if let Err(errno) = clipboard::write(text) {
            self.toast(format!("not copied: {errno}"));
        }
    }
}

impl<M> Drop for Ui<M> {
    fn drop(&mut self) {
        let mut batch = Batch::new();
        batch.remove(self.root);
        if let Err(error) = batch.commit() {
            hearth_sdk::debug!("an interface stays, or is gone already: {error}");
        }
    }
}

impl<M> std::fmt::Debug for Ui<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("root", &self.root).field("size", &self.size).finish_non_exhaustive()
    }
}

/// The one of three that was ready first.
enum First<A, C> {
    Hands(A),
    Timer,
    Pasted(C),
}

async fn first_of<A, C>(
    hands: impl Future<Output = A>,
    timer: impl Future<Output = ()>,
    pasted: impl Future<Output = C>,
) -> First<A, C> {
    let (mut hands, mut timer, mut pasted) = (pin!(hands), pin!(timer), pin!(pasted));
    std::future::poll_fn(|context| {
        if let Poll::Ready(event) = hands.as_mut().poll(context) {
            return Poll::Ready(First::Hands(event));
        }
        if let Poll::Ready(text) = pasted.as_mut().poll(context) {
            return Poll::Ready(First::Pasted(text));
        }
        timer.as_mut().poll(context).map(|()| First::Timer)
    })
    .await
}
