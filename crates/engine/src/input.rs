// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user does at the window, as events of the contract.

use crate::{Event, keys, link::Link};
use bevy::{
    input::{ButtonState, mouse::MouseButton, mouse::MouseScrollUnit},
    prelude::*,
    window::{CursorGrabMode, CursorOptions, PrimaryWindow, WindowEvent},
};
use hearth_abi::input::{self, Press, TEXT_LEN_MAX};
use std::collections::BTreeSet;

/// Logical pixels that a touchpad scrolls for a line of a wheel.
const PIXELS_PER_LINE: f32 = 40.0;

/// What is down, and where the pointer is.
#[derive(Resource, Default)]
pub(crate) struct Held {
    keys: BTreeSet<u16>,
    buttons: BTreeSet<u8>,
    pointer: [f32; 2],
    captured: bool,
    focused: bool,
}

impl Held {
    /// Hides the pointer and holds it, or sets it free.
    pub(crate) fn capture(
        &mut self,
        cursor: &mut CursorOptions,
        on: bool,
        say: &mut impl FnMut(input::Event),
    ) {
        // A window without the focus has no right to the pointer.
        let on = on && self.focused;
        if on != self.captured {
            cursor.grab_mode = if on { CursorGrabMode::Locked } else { CursorGrabMode::None };
            cursor.visible = !on;
            self.captured = on;
        }
        say(input::Event::Captured(on));
    }

    /// Whatever is down goes up: its release will go to another window.
    fn let_go(&mut self, say: &mut impl FnMut(input::Event)) {
        for code in std::mem::take(&mut self.keys) {
            say(input::Event::Key { code, press: Press::Released });
        }
        for button in std::mem::take(&mut self.buttons) {
            say(input::Event::Button { button, press: Press::Released, at: self.pointer });
        }
    }
}

/// Passes on what happened at the window.
pub(crate) fn read(
    mut happened: MessageReader<WindowEvent>,
    mut held: ResMut<Held>,
    mut cursor: Option<Single<&mut CursorOptions, With<PrimaryWindow>>>,
    mut exit: MessageWriter<AppExit>,
    link: Res<Link>,
) {
    let held = &mut *held;
    let mut say = |event| link.say(Event::Input(event));
    for event in happened.read() {
        match event {
            WindowEvent::KeyboardInput(key) => {
                let press = match (key.state, key.repeat) {
                    (ButtonState::Released, _) => Press::Released,
                    (ButtonState::Pressed, false) => Press::Pressed,
                    (ButtonState::Pressed, true) => Press::Repeated,
                };
                if let Some(code) = keys::usage(key.key_code) {
                    // One that was down when the window got the focus is not ours to let go.
                    let known = match press {
                        Press::Released => held.keys.remove(&code),
                        _ => {
                            held.keys.insert(code);
                            true
                        }
                    };
                    if known {
                        say(input::Event::Key { code, press });
                    }
                }
                if press != Press::Released
                    && let Some(text) = &key.text
                    && !text.is_empty()
                    && text.len() <= TEXT_LEN_MAX
                    && !text.chars().any(char::is_control)
                {
                    say(input::Event::Text(text.as_str().into()));
                }
            }
            WindowEvent::MouseMotion(motion) if held.captured => {
                say(input::Event::Motion(motion.delta.into()));
            }
            WindowEvent::CursorMoved(moved) => held.pointer = moved.position.into(),
            WindowEvent::MouseButtonInput(pressed) => {
                let button = match pressed.button {
                    MouseButton::Left => 0,
                    MouseButton::Right => 1,
                    MouseButton::Middle => 2,
                    MouseButton::Back => 3,
                    MouseButton::Forward => 4,
                    MouseButton::Other(_) => continue,
                };
                let (press, known) = match pressed.state {
                    ButtonState::Pressed => (Press::Pressed, held.buttons.insert(button)),
                    ButtonState::Released => (Press::Released, held.buttons.remove(&button)),
                };
                if known {
                    say(input::Event::Button { button, press, at: held.pointer });
                }
            }
            WindowEvent::MouseWheel(wheel) => {
                let lines = match wheel.unit {
                    MouseScrollUnit::Line => 1.0,
                    MouseScrollUnit::Pixel => 1.0 / PIXELS_PER_LINE,
                };
                // The window system tells where the content goes, which for x is the other way.
                say(input::Event::Wheel([-wheel.x * lines, wheel.y * lines]));
            }
            WindowEvent::WindowFocused(focus) => {
                held.focused = focus.focused;
                if !focus.focused {
                    held.let_go(&mut say);
                    if held.captured
                        && let Some(cursor) = &mut cursor
                    {
                        held.capture(cursor, false, &mut say);
                    }
                }
                say(input::Event::Focus(focus.focused));
            }
            WindowEvent::WindowCloseRequested(_) => {
                link.say(Event::Closed);
                exit.write(AppExit::Success);
            }
            _ => {}
        }
    }
}
