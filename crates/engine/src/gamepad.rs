// SPDX-License-Identifier: AGPL-3.0-or-later
//! Gamepads, as events of the contract: by the numbers of the W3C's standard gamepad, at rest within their dead zones,
//! and at most one event of each stick and trigger in a picture.
//!
//! Where they are heard is a [`Source`]: on Linux the devices of the kernel (`linux`), elsewhere none.

#[cfg(target_os = "linux")]
mod linux;

use crate::{Event, input::Held, link::Link};
use bevy::prelude::*;
use hearth_abi::input::{self, Press};

/// Most gamepads at a time: more hands than stand before one screen.
const PADS_MAX: usize = 8;
/// Most that is heard of all of them before one picture. The rest is heard before the next.
const HEARD_MAX: usize = 1024;
/// Buttons of the standard gamepad, and axes.
const BUTTONS: usize = 17;
const AXES: usize = 4;
/// A stick that is nearer to its middle is at rest; from there on its value grows from 0.
const DEAD_ZONE: f32 = 0.12;
/// A trigger that is less pressed is at rest.
const DEAD_TRIGGER: f32 = 0.05;
/// A button goes down from this value on, and up below that: what trembles between them stays.
const DOWN: f32 = 0.5;
const UP: f32 = 0.4;
/// Changes of a value that are not told.
const STEP: f32 = 1.0 / 128.0;

/// What a source hears.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// A gamepad is there, under a number of the source's own.
    Connected { id: u64, name: String },
    /// It is gone.
    Disconnected { id: u64 },
    /// A button, of the standard gamepad, has this value from 0 to 1.
    Button { id: u64, button: u8, value: f32 },
    /// An axis, of the standard gamepad, has this value from −1 to 1.
    Axis { id: u64, axis: u8, value: f32 },
}

/// Where gamepads are heard.
pub(crate) trait Source: Send + Sync + 'static {
    /// Adds what has happened since the last call, at most so much. Does not wait.
    fn hear(&mut self, most: usize, heard: &mut Vec<Heard>);
}

/// The gamepads, and where they are heard.
#[derive(Resource)]
pub(crate) struct Gamepads {
    source: Option<Box<dyn Source>>,
    pads: Pads,
}

impl Gamepads {
    /// Those of this machine, if somebody is at it.
    pub(crate) fn new(has_user: bool) -> Gamepads {
        Gamepads { source: has_user.then(of_machine).flatten(), pads: Pads::default() }
    }

    #[cfg(test)]
    fn with(source: impl Source) -> Gamepads {
        Gamepads { source: Some(Box::new(source)), pads: Pads::default() }
    }
}

#[cfg(target_os = "linux")]
fn of_machine() -> Option<Box<dyn Source>> {
    linux::Devices::watch().map(|devices| Box::new(devices) as Box<dyn Source>)
}

#[cfg(not(target_os = "linux"))]
fn of_machine() -> Option<Box<dyn Source>> {
    None
}

/// Tells what gamepads did since the last picture.
pub(crate) fn read(mut gamepads: ResMut<Gamepads>, held: Res<Held>, link: Res<Link>) {
    let Gamepads { source: Some(source), pads } = &mut *gamepads else { return };
    let mut heard = Vec::new();
    source.hear(HEARD_MAX, &mut heard);
    let mut tell = |event| link.say(Event::Input(event));
    pads.focus(held.has_focus(), &mut tell);
    heard.into_iter().for_each(|heard| pads.take(heard, &mut tell));
    pads.settle(&mut tell);
}

/// One gamepad.
struct Pad {
    id: u64,
    name: String,
    buttons: [f32; BUTTONS],
    axes: [f32; AXES],
    /// What was told last: which buttons are down, how far, and where the sticks are.
    down: [bool; BUTTONS],
    told_buttons: [f32; BUTTONS],
    told_axes: [f32; AXES],
}

/// All gamepads, by the numbers that they are told under.
#[derive(Default)]
struct Pads {
    pads: [Option<Pad>; PADS_MAX],
    /// Whether the user is at our window: what they do elsewhere is not for us.
    has_focus: bool,
}

impl Pads {
    fn focus(&mut self, has_focus: bool, tell: &mut impl FnMut(input::Event)) {
        if self.has_focus && !has_focus {
            for (number, pad) in (0..).zip(&mut self.pads) {
                if let Some(pad) = pad {
                    pad.let_go(number, tell);
                }
            }
        }
        self.has_focus = has_focus;
    }

    fn take(&mut self, heard: Heard, tell: &mut impl FnMut(input::Event)) {
        let number_of = |pads: &[Option<Pad>], id: u64| {
            pads.iter().position(|pad| pad.as_ref().is_some_and(|pad| pad.id == id))
        };
        match heard {
            Heard::Connected { id, name } if number_of(&self.pads, id).is_none() => {
                let Some(number) = self.pads.iter().position(Option::is_none) else {
                    tracing::warn!(name, "a gamepad too many");
                    return;
                };
                let name = input::cut_name(&name).to_owned();
                let event =
                    input::Event::Gamepad { gamepad: number as u8, connected: true, name: name.clone() };
                self.pads[number] = Some(Pad {
                    id,
                    name,
                    buttons: [0.0; BUTTONS],
                    axes: [0.0; AXES],
                    down: [false; BUTTONS],
                    told_buttons: [0.0; BUTTONS],
                    told_axes: [0.0; AXES],
                });
                tell(event);
            }
            Heard::Connected { .. } => {}
            Heard::Disconnected { id } => {
                let Some(number) = number_of(&self.pads, id) else { return };
                if let Some(mut pad) = self.pads[number].take() {
                    let gamepad = number as u8;
                    pad.let_go(gamepad, tell);
                    tell(input::Event::Gamepad { gamepad, connected: false, name: pad.name });
                }
            }
            Heard::Button { id, button, value } => {
                let Some(number) = number_of(&self.pads, id) else { return };
                let Some(pad) = &mut self.pads[number] else { return };
                pad.button(number as u8, button, value, self.has_focus, tell);
            }
            Heard::Axis { id, axis, value } => {
                let Some(number) = number_of(&self.pads, id) else { return };
                let axis = self.pads[number].as_mut().and_then(|pad| pad.axes.get_mut(usize::from(axis)));
                if let Some(axis) = axis.filter(|_| value.is_finite()) {
                    *axis = value.clamp(-1.0, 1.0);
                }
            }
        }
    }

    /// Tells where sticks and triggers are now, of those that have moved.
    fn settle(&mut self, tell: &mut impl FnMut(input::Event)) {
        if !self.has_focus {
            return;
        }
        for (gamepad, pad) in (0..).zip(&mut self.pads) {
            let Some(pad) = pad else { continue };
            let [x, y, right_x, right_y] = pad.axes;
            let sticks = [stick([x, y]), stick([right_x, right_y])];
            for (axis, value) in (0..).zip(sticks.into_iter().flatten()) {
                let told = &mut pad.told_axes[usize::from(axis)];
                if has_changed(*told, value) {
                    *told = value;
                    tell(input::Event::GamepadAxis { gamepad, axis, value });
                }
            }
            for (button, value) in (0..).zip(pad.buttons) {
                let told = &mut pad.told_buttons[usize::from(button)];
                if has_changed(*told, value) {
                    *told = value;
                    tell(input::Event::GamepadButton { gamepad, button, press: Press::Repeated, value });
                }
            }
        }
    }
}

impl Pad {
    fn button(
        &mut self,
        gamepad: u8,
        button: u8,
        value: f32,
        has_focus: bool,
        tell: &mut impl FnMut(input::Event),
    ) {
        let at = usize::from(button);
        if at >= BUTTONS || !value.is_finite() {
            return;
        }
        let value = if value < DEAD_TRIGGER { 0.0 } else { value.min(1.0) };
        self.buttons[at] = value;
        let is_down = value >= if self.down[at] { UP } else { DOWN };
        if !has_focus || is_down == self.down[at] {
            return;
        }
        self.down[at] = is_down;
        self.told_buttons[at] = value;
        let press = if is_down { Press::Pressed } else { Press::Released };
        tell(input::Event::GamepadButton { gamepad, button, press, value });
    }

    /// Whatever is held goes up, and the sticks to their middle.
    fn let_go(&mut self, gamepad: u8, tell: &mut impl FnMut(input::Event)) {
        for button in 0..BUTTONS {
            let was_down = std::mem::take(&mut self.down[button]);
            let told = std::mem::take(&mut self.told_buttons[button]);
            if was_down || told != 0.0 {
                let press = if was_down { Press::Released } else { Press::Repeated };
                let button = button as u8;
                tell(input::Event::GamepadButton { gamepad, button, press, value: 0.0 });
            }
        }
        for axis in 0..AXES {
            if std::mem::take(&mut self.told_axes[axis]) != 0.0 {
                tell(input::Event::GamepadAxis { gamepad, axis: axis as u8, value: 0.0 });
            }
        }
    }
}

/// Whether a value is to be told anew: the ends are always reached.
fn has_changed(told: f32, value: f32) -> bool {
    let is_end = value == 0.0 || value.abs() == 1.0;
    told != value && (is_end || (told - value).abs() >= STEP)
}

/// A stick without its dead zone, which is round.
fn stick([x, y]: [f32; 2]) -> [f32; 2] {
    let length = x.hypot(y);
    if length <= DEAD_ZONE {
        return [0.0; 2];
    }
    let scale = ((length - DEAD_ZONE) / (1.0 - DEAD_ZONE)).min(1.0) / length;
    [x * scale, y * scale].map(|value| value.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{EngineConfig, Headless, channel};
    use hearth_abi::input::Event as Told;
    use std::sync::{Arc, Mutex};

    fn pads() -> Pads {
        let mut pads = Pads::default();
        pads.focus(true, &mut |event| panic!("{event:?}"));
        pads
    }

    fn told(pads: &mut Pads, heard: impl IntoIterator<Item = Heard>) -> Vec<Told> {
        let mut told = Vec::new();
        heard.into_iter().for_each(|heard| pads.take(heard, &mut |event| told.push(event)));
        pads.settle(&mut |event| told.push(event));
        for event in &told {
            assert_eq!(Told::decode(&event.encode()).as_ref(), Ok(event));
        }
        told
    }

    fn connected(id: u64) -> Heard {
        Heard::Connected { id, name: format!("pad {id}") }
    }

    fn number(event: &Told) -> (u8, bool) {
        match event {
            Told::Gamepad { gamepad, connected, .. } => (*gamepad, *connected),
            other => panic!("{other:?}"),
        }
    }

    fn button(id: u64, button: u8, value: f32) -> Heard {
        Heard::Button { id, button, value }
    }

    fn pressed(gamepad: u8, button: u8, press: Press, value: f32) -> Told {
        Told::GamepadButton { gamepad, button, press, value }
    }

    #[test]
    fn numbers_are_given_anew_and_bounded() {
        let mut pads = pads();
        assert_eq!(told(&mut pads, [connected(70)]).iter().map(number).collect::<Vec<_>>(), [(0, true)]);
        assert_eq!(told(&mut pads, [connected(70)]), [], "it is there already");
        assert_eq!(number(&told(&mut pads, [connected(80)])[0]), (1, true));
        assert_eq!(number(&told(&mut pads, [Heard::Disconnected { id: 70 }])[0]), (0, false));
        assert_eq!(number(&told(&mut pads, [connected(90)])[0]), (0, true));
        let more = told(&mut pads, (100..200).map(connected));
        assert_eq!(more.len(), PADS_MAX - 2);
        assert_eq!(told(&mut pads, [Heard::Disconnected { id: 199 }, button(199, 0, 1.0)]), []);
    }

    #[test]
    fn buttons_go_down_and_up_and_triggers_have_a_way() {
        let mut pads = pads();
        told(&mut pads, [connected(1)]);
        // A tap between two pictures is heard.
        let tap = told(&mut pads, [button(1, 0, 1.0), button(1, 0, 0.0)]);
        assert_eq!(tap, [pressed(0, 0, Press::Pressed, 1.0), pressed(0, 0, Press::Released, 0.0)]);
        // Of a trigger's way the last is told once; it trembles about neither end.
        let way = [0.01, 0.03, 0.2, 0.3].map(|value| button(1, 7, value));
        assert_eq!(told(&mut pads, way), [pressed(0, 7, Press::Repeated, 0.3)]);
        assert_eq!(told(&mut pads, [button(1, 7, 0.55)]), [pressed(0, 7, Press::Pressed, 0.55)]);
        assert_eq!(told(&mut pads, [button(1, 7, 0.45)]), [pressed(0, 7, Press::Repeated, 0.45)]);
        assert_eq!(told(&mut pads, [button(1, 7, 0.451)]), []);
        assert_eq!(told(&mut pads, [button(1, 7, 0.02)]), [pressed(0, 7, Press::Released, 0.0)]);
        // What is none is not told.
        assert_eq!(told(&mut pads, [button(1, 17, 1.0), button(1, 0, f32::NAN), button(2, 0, 1.0)]), []);
    }

    #[test]
    fn sticks_rest_in_a_round_dead_zone_and_reach_their_ends() {
        let mut pads = pads();
        told(&mut pads, [connected(1)]);
        let axis = |axis, value| Heard::Axis { id: 1, axis, value };
        assert_eq!(told(&mut pads, [axis(0, 0.08), axis(1, -0.08)]), []);
        let moved = told(&mut pads, [axis(0, 0.5), axis(1, 0.0), axis(0, 1.0)]);
        assert_eq!(moved, [Told::GamepadAxis { gamepad: 0, axis: 0, value: 1.0 }]);
        let [x, y] = stick([0.3, 0.4]);
        assert!((x / y - 0.75).abs() < 1e-6, "the direction stays");
        assert!(((x.hypot(y)) - (0.5 - DEAD_ZONE) / (1.0 - DEAD_ZONE)).abs() < 1e-6);
        assert_eq!(told(&mut pads, [axis(0, 0.0)]), [Told::GamepadAxis { gamepad: 0, axis: 0, value: 0.0 }]);
        // The right one, and what no stick does.
        let odd = [axis(3, -7.0), axis(4, 1.0), axis(2, f32::INFINITY)];
        assert_eq!(told(&mut pads, odd), [Told::GamepadAxis { gamepad: 0, axis: 3, value: -1.0 }]);
    }

    #[test]
    fn what_is_held_is_let_go_when_the_user_goes() {
        let mut pads = pads();
        let held = [connected(1), button(1, 2, 1.0), Heard::Axis { id: 1, axis: 1, value: 1.0 }];
        assert_eq!(told(&mut pads, held).len(), 3);
        let mut gone = Vec::new();
        pads.focus(false, &mut |event| gone.push(event));
        let up = pressed(0, 2, Press::Released, 0.0);
        let middle = Told::GamepadAxis { gamepad: 0, axis: 1, value: 0.0 };
        assert_eq!(gone, [up.clone(), middle.clone()]);
        // Elsewhere they do what they like.
        assert_eq!(told(&mut pads, [button(1, 3, 1.0), button(1, 3, 0.0), button(1, 4, 1.0)]), []);
        pads.focus(true, &mut |event| panic!("{event:?}"));
        // The stick is where it is; a button is pressed when it goes down here.
        let back = told(&mut pads, [button(1, 2, 0.0), button(1, 4, 0.0), button(1, 2, 1.0)]);
        let stick = Told::GamepadAxis { gamepad: 0, axis: 1, value: 1.0 };
        assert_eq!(back, [pressed(0, 2, Press::Pressed, 1.0), stick]);
        let gone = told(&mut pads, [Heard::Disconnected { id: 1 }]);
        assert_eq!(gone[..2], [up, middle]);
        assert_eq!(number(&gone[2]), (0, false));
    }

    struct Script(Arc<Mutex<Vec<Heard>>>);

    impl Source for Script {
        fn hear(&mut self, most: usize, heard: &mut Vec<Heard>) {
            let mut waiting = self.0.lock().unwrap();
            let most = most.min(waiting.len());
            heard.extend(waiting.drain(..most));
        }
    }

    #[test]
    fn the_engine_tells_of_them() {
        let (control, end) = channel();
        let config = EngineConfig { size: [64, 48], ..EngineConfig::default() };
        let mut engine = Headless::new(config, end).unwrap();
        let script = Arc::new(Mutex::new(vec![connected(5), button(5, 0, 1.0)]));
        engine.world_mut().insert_resource(Gamepads::with(Script(script.clone())));
        let mut step = |focused| {
            let event = bevy::window::WindowFocused { window: Entity::PLACEHOLDER, focused };
            engine.world_mut().write_message(bevy::window::WindowEvent::from(event));
            assert!(engine.step().unwrap());
            let events = std::iter::from_fn(|| control.try_event());
            let told = events.filter_map(|event| match event {
                Event::Input(event) if event.mask() == input::mask::GAMEPAD => Some(event),
                _ => None,
            });
            told.collect::<Vec<_>>()
        };
        let told = step(true);
        assert_eq!(number(&told[0]), (0, true));
        assert_eq!(told[1..], [pressed(0, 0, Press::Pressed, 1.0)]);
        assert_eq!(step(false), [pressed(0, 0, Press::Released, 0.0)]);
        // A flood is heard in parts.
        step(true);
        *script.lock().unwrap() = (0..3000).map(|n| button(5, 1, (n % 2) as f32)).collect();
        assert!(step(true).len() <= HEARD_MAX);
        assert!(!script.lock().unwrap().is_empty());
    }
}
