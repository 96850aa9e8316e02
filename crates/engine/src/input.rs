// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user does at the window, as events of the contract.

use crate::{
    Event, Look, keys,
    link::Link,
    stroke::{KeyEvent, Keyboard},
    touch::{Deed, Hands, Spot},
};
use bevy::{
    ecs::message::{MessageCursor, Messages},
    input::{ButtonState, keyboard::KeyboardInput, mouse::MouseButton, mouse::MouseScrollUnit},
    prelude::*,
    window::{CursorGrabMode, CursorOptions, FileDragAndDrop, Ime, PrimaryWindow, WindowEvent},
    winit::RawWinitWindowEvent,
};
use hearth_abi::{
    input::{self, Press},
    terminal::Modifiers,
};
use std::collections::{BTreeSet, VecDeque};
use winit::platform::modifier_supplement::KeyEventExtModifierSupplement as _;

/// Logical pixels that a touchpad scrolls for a line of a wheel.
const PIXELS_PER_LINE: f32 = 40.0;

/// What is down, and where the pointer is.
#[derive(Resource, Default)]
pub(crate) struct Held {
    keyboard: Keyboard,
    buttons: BTreeSet<u8>,
    pointer: [f32; 2],
    /// The pointer is in the window.
    is_inside: bool,
    captured: bool,
    focused: bool,
    /// What is told of motion while it is captured.
    pub(crate) look: Look,
}

impl Held {
    /// Where the pointer is.
    pub(crate) fn spot(&self) -> Spot {
        match (self.captured, self.is_inside) {
            (true, _) => Spot::Middle,
            (_, true) => Spot::At(self.pointer),
            (_, false) => Spot::Nowhere,
        }
    }

    /// Whether the window has the user's keyboard.
    pub(crate) fn has_focus(&self) -> bool {
        self.focused
    }

    /// The keys that are held.
    pub(crate) fn modifiers(&self) -> Modifiers {
        self.keyboard.held()
    }

    /// Hides the pointer and holds it, or sets it free.
    pub(crate) fn capture(&mut self, cursor: &mut CursorOptions, on: bool, say: &mut impl FnMut(Event)) {
        // A window without the focus has no right to the pointer.
        let on = on && self.focused;
        if on != self.captured {
            cursor.grab_mode = if on { CursorGrabMode::Locked } else { CursorGrabMode::None };
            cursor.visible = !on;
            self.captured = on;
        }
        say(Event::Input(input::Event::Captured(on)));
    }

    /// Whatever is down goes up: its release will go to another window.
    fn let_go(&mut self, say: &mut impl FnMut(Event)) {
        self.keyboard.let_go().into_iter().for_each(|stroke| say(Event::Stroke(stroke)));
        for button in std::mem::take(&mut self.buttons) {
            say(Event::Input(input::Event::Button { button, press: Press::Released, at: self.pointer }));
        }
    }

    /// A key, with what the window system says of it beyond what the engine hands on.
    fn key(&mut self, key: &KeyboardInput, raw: &mut Raw, say: &mut impl FnMut(Event)) {
        let press = match (key.state, key.repeat) {
            (ButtonState::Released, _) => Press::Released,
            (ButtonState::Pressed, false) => Press::Pressed,
            (ButtonState::Pressed, true) => Press::Repeated,
        };
        let unmodified = raw.take(key, &mut self.keyboard);
        let event = KeyEvent {
            code: keys::usage(key.key_code).unwrap_or(0),
            press,
            logical: &key.logical_key,
            unmodified: unmodified.as_ref(),
            text: key.text.as_deref(),
        };
        if let Some(stroke) = self.keyboard.stroke(&event) {
            say(Event::Stroke(stroke));
        }
    }
}

/// What the window system said about keys, which comes beside the engine's own events: in the same
/// order, but without those that the engine makes itself when the focus goes.
struct Raw(VecDeque<winit::event::WindowEvent>);

impl Raw {
    fn read(
        messages: Option<&Messages<RawWinitWindowEvent>>,
        cursor: &mut MessageCursor<RawWinitWindowEvent>,
    ) -> Raw {
        let of_keys = |raw: &RawWinitWindowEvent| {
            use winit::event::WindowEvent as Raw;
            match &raw.event {
                Raw::KeyboardInput { is_synthetic: false, .. } | Raw::ModifiersChanged(_) => {
                    Some(raw.event.clone())
                }
                _ => None,
            }
        };
        Raw(messages.map(|messages| cursor.read(messages).filter_map(of_keys).collect()).unwrap_or_default())
    }

    /// What the layout puts on this key without modifiers; tells the keyboard which were held then.
    fn take(&mut self, key: &KeyboardInput, keyboard: &mut Keyboard) -> Option<winit::keyboard::Key> {
        self.modifiers(keyboard);
        match self.0.front() {
            Some(winit::event::WindowEvent::KeyboardInput { event, .. })
                if event.state.is_pressed() == key.state.is_pressed()
                    && bevy::winit::converters::convert_physical_key_code(event.physical_key)
                        == key.key_code =>
            {
                let unmodified = event.key_without_modifiers();
                self.0.pop_front();
                Some(unmodified)
            }
            _ => None,
        }
    }

    /// Takes what is said about modifiers before the next key.
    fn modifiers(&mut self, keyboard: &mut Keyboard) {
        while let Some(winit::event::WindowEvent::ModifiersChanged(modifiers)) = self.0.front() {
            keyboard.modifiers(modifiers.state());
            self.0.pop_front();
        }
    }
}

/// Passes on what happened at the window.
#[allow(clippy::too_many_arguments, reason = "a system of the engine names all that it reads")]
pub(crate) fn read(
    mut happened: MessageReader<WindowEvent>,
    raw: Option<Res<Messages<RawWinitWindowEvent>>>,
    mut raw_read: Local<MessageCursor<RawWinitWindowEvent>>,
    mut held: ResMut<Held>,
    mut hands: ResMut<Hands>,
    mut cursor: Option<Single<&mut CursorOptions, With<PrimaryWindow>>>,
    window: Option<Single<&Window, With<PrimaryWindow>>>,
    mut exit: MessageWriter<AppExit>,
    link: Res<Link>,
) {
    let held = &mut *held;
    let scale = window.as_ref().map_or(1.0, |window| window.scale_factor());
    let mut raw = Raw::read(raw.as_deref(), &mut raw_read);
    let mut say = |event| link.say(event);
    for event in happened.read() {
        match event {
            WindowEvent::KeyboardInput(key) => held.key(key, &mut raw, &mut say),
            WindowEvent::Ime(Ime::Commit { value, .. }) => {
                Keyboard::typed(value).into_iter().for_each(|stroke| say(Event::Stroke(stroke)));
            }
            WindowEvent::MouseMotion(motion) if held.captured => {
                say(Event::Input(input::Event::Motion(held.look.told(motion.delta.into()))));
            }
            WindowEvent::CursorMoved(moved) => {
                held.pointer = moved.position.into();
                held.is_inside = true;
                if let Some(window) = &window
                    && !held.captured
                {
                    let picture = [window.width(), window.height()];
                    say(Event::Input(input::Event::Pointer { at: held.pointer, picture }));
                }
            }
            WindowEvent::FileDragAndDrop(FileDragAndDrop::DroppedFile { path_buf, .. }) => {
                hands.drop_file(path_buf.clone(), held.spot());
            }
            WindowEvent::CursorLeft(_) => held.is_inside = false,
            WindowEvent::MouseButtonInput(pressed) => {
                let button = match pressed.button {
                    MouseButton::Left => 0,
                    MouseButton::Right => 1,
                    MouseButton::Middle => 2,
                    MouseButton::Back => 3,
                    MouseButton::Forward => 4,
                    MouseButton::Other(_) => continue,
                };
                let (press, deed, known) = match pressed.state {
                    ButtonState::Pressed => {
                        (Press::Pressed, Deed::Press(button), held.buttons.insert(button))
                    }
                    ButtonState::Released => {
                        (Press::Released, Deed::Release(button), held.buttons.remove(&button))
                    }
                };
                if known {
                    hands.note(deed, held.spot(), held.modifiers());
                    say(Event::Input(input::Event::Button { button, press, at: held.pointer }));
                }
            }
            WindowEvent::MouseWheel(wheel) => {
                let lines = match wheel.unit {
                    MouseScrollUnit::Line => 1.0,
                    // These come in the pixels of the screen.
                    MouseScrollUnit::Pixel => 1.0 / (PIXELS_PER_LINE * scale),
                };
                // The window system tells where the content goes, which for x is the other way.
                let turned = [-wheel.x * lines, wheel.y * lines];
                hands.note(Deed::Wheel(turned), held.spot(), held.modifiers());
                say(Event::Input(input::Event::Wheel(turned)));
            }
            WindowEvent::WindowFocused(focus) => {
                held.focused = focus.focused;
                if !focus.focused {
                    hands.note(Deed::Cancel, held.spot(), held.modifiers());
                    held.let_go(&mut say);
                    if held.captured
                        && let Some(cursor) = &mut cursor
                    {
                        held.capture(cursor, false, &mut say);
                    }
                }
                say(Event::Input(input::Event::Focus(focus.focused)));
            }
            WindowEvent::WindowCloseRequested(_) => {
                link.say(Event::Closed);
                exit.write(AppExit::Success);
            }
            _ => {}
        }
    }
    raw.modifiers(&mut held.keyboard);
}
