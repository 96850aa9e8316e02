// SPDX-License-Identifier: AGPL-3.0-or-later
//! Gamepads as the kernel has them: the joystick devices `/dev/input/js*`, which need no library.
//!
//! Which button and axis of a device has which number follows from what it says that it has: buttons from `BTN_JOYSTICK`
//! on in order of their codes, then those from `BTN_MISC` on; axes in order of theirs (`drivers/input/joydev.c`).
//! What the codes mean is in the kernel's "Linux Gamepad Specification". A device without a button `BTN_SOUTH` is no
//! gamepad.

use super::{Heard, PADS_MAX, Source};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// How often it is looked for new ones.
const LOOK: Duration = Duration::from_secs(1);
/// Length of an event: `u32` milliseconds, `i16` value, `u8` type, `u8` number.
const EVENT_LEN: usize = 8;
const TYPE_BUTTON: u8 = 1;
const TYPE_AXIS: u8 = 2;
/// Said of the state when the device is opened.
const TYPE_INIT: u8 = 0x80;

/// Codes of buttons (`linux/input-event-codes.h`).
const BTN_MISC: usize = 0x100;
const BTN_JOYSTICK: usize = 0x120;
const BTN_SOUTH: usize = 0x130;
const KEY_MAX: usize = 0x2ff;
const ABS_MAX: usize = 0x3f;

/// What something on a device is on the standard gamepad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    Button(u8),
    Axis(u8),
    /// From released at one end to pressed at the other.
    Trigger(u8),
    /// Two buttons at its ends.
    Hat(u8, u8),
}

/// Which part each button and axis of a device is.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    buttons: Vec<Part>,
    axes: Vec<Part>,
}

impl Layout {
    /// Of a device with these codes; `None` if it is no gamepad. The driver `xpad` names the left and the
    /// upper button the other way round.
    fn new(keys: &BTreeSet<usize>, axes: &BTreeSet<usize>, is_xpad: bool) -> Option<Layout> {
        if !keys.contains(&BTN_SOUTH) {
            return None;
        }
        let axes: Vec<Part> = axes.range(..=ABS_MAX).map(|code| axis(*code)).collect();
        let has_triggers = [6, 7].map(|button| axes.contains(&Part::Trigger(button)));
        let button = |code: &usize| match (*code, button(*code, is_xpad)) {
            // The trigger tells the same, and more.
            (0x138, _) if has_triggers[0] => Part::Nothing,
            (0x139, _) if has_triggers[1] => Part::Nothing,
            (_, Some(button)) => Part::Button(button),
            (_, None) => Part::Nothing,
        };
        let (first, last) = (keys.range(BTN_JOYSTICK..=KEY_MAX), keys.range(BTN_MISC..BTN_JOYSTICK));
        Some(Layout { buttons: first.chain(last).map(button).collect(), axes })
    }

    /// What an event says.
    fn read(&self, id: u64, event: [u8; EVENT_LEN], heard: &mut Vec<Heard>) {
        let [_, _, _, _, low, high, kind, number] = event;
        let value = (f32::from(i16::from_le_bytes([low, high])) / 32767.0).clamp(-1.0, 1.0);
        let parts = match kind & !TYPE_INIT {
            TYPE_BUTTON => &self.buttons,
            TYPE_AXIS => &self.axes,
            _ => return,
        };
        match parts.get(usize::from(number)) {
            Some(Part::Button(button)) => {
                let value = if [low, high] == [0, 0] { 0.0 } else { 1.0 };
                heard.push(Heard::Button { id, button: *button, value });
            }
            Some(Part::Axis(axis)) => heard.push(Heard::Axis { id, axis: *axis, value }),
            Some(Part::Trigger(button)) => {
                heard.push(Heard::Button { id, button: *button, value: (value + 1.0) / 2.0 });
            }
            Some(Part::Hat(less, more)) => {
                let end = |is_it: bool| if is_it { 1.0 } else { 0.0 };
                heard.push(Heard::Button { id, button: *less, value: end(value < -0.5) });
                heard.push(Heard::Button { id, button: *more, value: end(value > 0.5) });
            }
            Some(Part::Nothing) | None => {}
        }
    }
}

/// The button of the standard gamepad that a code is.
fn button(code: usize, is_xpad: bool) -> Option<u8> {
    let [upper, left] = if is_xpad { [0x134, 0x133] } else { [0x133, 0x134] };
    Some(match code {
        0x130 => 0,
        0x131 => 1,
        code if code == left => 2,
        code if code == upper => 3,
        0x136 => 4,
        0x137 => 5,
        0x138 => 6,
        0x139 => 7,
        0x13a => 8,
        0x13b => 9,
        0x13d => 10,
        0x13e => 11,
        0x220 => 12,
        0x221 => 13,
        0x222 => 14,
        0x223 => 15,
        0x13c => 16,
        _ => return None,
    })
}

fn axis(code: usize) -> Part {
    match code {
        0 => Part::Axis(0),
        1 => Part::Axis(1),
        3 => Part::Axis(2),
        4 => Part::Axis(3),
        2 => Part::Trigger(6),
        5 => Part::Trigger(7),
        16 => Part::Hat(14, 15),
        17 => Part::Hat(12, 13),
        _ => Part::Nothing,
    }
}

/// The codes in a bitmap as `sysfs` writes it: words in hexadecimal, the last holds the lowest.
fn codes(bitmap: &str) -> BTreeSet<usize> {
    let mut codes = BTreeSet::new();
    for (place, word) in bitmap.split_whitespace().rev().enumerate() {
        let Ok(word) = u64::from_str_radix(word, 16) else { continue };
        let base = place * usize::BITS as usize;
        codes.extend((0..64).filter(|bit| word >> bit & 1 == 1).map(|bit| base + bit));
    }
    codes
}

/// A gamepad that was found.
struct Found {
    number: u64,
    name: String,
    layout: Layout,
    file: File,
}

/// One that is open.
struct Device {
    id: u64,
    layout: Layout,
    file: File,
    /// The beginning of an event of which the rest has not come.
    rest: Vec<u8>,
}

/// The gamepads of this machine.
pub(super) struct Devices {
    // The lock is there only to share what one system reads.
    found: Mutex<Receiver<Found>>,
    /// Told which device may be looked at again.
    gone: SyncSender<u64>,
    open: Vec<Device>,
}

impl Devices {
    /// Looks for them from now on; `None` if there can be no thread for that.
    pub(super) fn watch() -> Option<Devices> {
        // Few: whoever finds more waits.
        let (tell, found) = sync_channel(PADS_MAX);
        let (gone, closed) = sync_channel(PADS_MAX);
        let watcher = thread::Builder::new().name("gamepads".into());
        match watcher
            .spawn(move || look(Path::new("/dev/input"), Path::new("/sys/class/input"), &tell, &closed))
        {
            Ok(_runs_by_itself) => Some(Devices { found: found.into(), gone, open: Vec::new() }),
            Err(error) => {
                tracing::warn!(%error, "gamepads are not heard");
                None
            }
        }
    }
}

/// Opens devices as they come, until nobody hears of them.
fn look(devices: &Path, classes: &Path, tell: &SyncSender<Found>, closed: &Receiver<u64>) {
    let mut known = BTreeSet::new();
    loop {
        for number in numbers(devices) {
            if known.contains(&number) {
                continue;
            }
            // One that is no gamepad, or not for us, is asked again: its rights come a moment after it.
            let Some(found) = open(number, devices, classes) else { continue };
            known.insert(number);
            if tell.send(found).is_err() {
                return;
            }
        }
        match closed.recv_timeout(LOOK) {
            Ok(number) => drop(known.remove(&number)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The numbers of the joystick devices in a folder.
fn numbers(folder: &Path) -> BTreeSet<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("js")?.parse().ok();
    entries.filter_map(|entry| number(&entry.file_name().to_string_lossy())).collect()
}

fn open(number: u64, devices: &Path, classes: &Path) -> Option<Found> {
    let about = classes.join(format!("js{number}/device"));
    let text = |name: &str| fs::read_to_string(about.join(name)).unwrap_or_default();
    let driver = fs::read_link(about.join("device/driver")).unwrap_or_default();
    let is_xpad = driver.file_name().is_some_and(|name| name == "xpad");
    let layout = Layout::new(&codes(&text("capabilities/key")), &codes(&text("capabilities/abs")), is_xpad)?;
    let path: PathBuf = devices.join(format!("js{number}"));
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = File::options().read(true).custom_flags(flags).open(&path).ok()?;
    let name = text("name").trim().to_owned();
    tracing::info!(name, device = %path.display(), "a gamepad");
    Some(Found { number, name, layout, file })
}

impl Source for Devices {
    fn hear(&mut self, most: usize, heard: &mut Vec<Heard>) {
        let found = self.found.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Found { number, name, layout, file } in found.try_iter() {
            heard.push(Heard::Connected { id: number, name });
            self.open.push(Device { id: number, layout, file, rest: Vec::new() });
        }
        let gone = &self.gone;
        self.open.retain_mut(|device| {
            let is_there = device.read(most, heard);
            if !is_there {
                heard.push(Heard::Disconnected { id: device.id });
                // Full only if it has room for none anyway; then it stays unseen until the next start.
                let _ = gone.try_send(device.id);
            }
            is_there
        });
    }
}

impl Device {
    /// Reads what there is, until so much was heard in all. `false` if the device is gone.
    fn read(&mut self, most: usize, heard: &mut Vec<Heard>) -> bool {
        let mut buffer = [0; EVENT_LEN * 64];
        while heard.len() < most {
            match self.file.read(&mut buffer) {
                Ok(0) => return false,
                Ok(len) => self.take(&buffer[..len], heard),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_gone) => return false,
            }
        }
        true
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Vec<Heard>) {
        self.rest.extend_from_slice(bytes);
        let (events, rest) = self.rest.as_chunks::<EVENT_LEN>();
        events.iter().for_each(|event| self.layout.read(self.id, *event, heard));
        let whole = self.rest.len() - rest.len();
        self.rest.drain(..whole);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::io::Write as _;

    /// As the kernel says of a gamepad of that sort.
    const XBOX_360: [&str; 2] = ["7cdb000000000000 0 0 0 0", "3003f"];
    const DUALSHOCK_4: [&str; 2] = ["7fdb000000000000 0 0 0 0", "3003f"];

    fn layout([keys, axes]: [&str; 2], is_xpad: bool) -> Layout {
        Layout::new(&codes(keys), &codes(axes), is_xpad).unwrap()
    }

    #[test]
    fn bitmaps_are_read_from_their_end() {
        assert_eq!(codes("3003f").into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 16, 17]);
        let keys: Vec<usize> = codes(XBOX_360[0]).into_iter().collect();
        assert_eq!(keys, [0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x13a, 0x13b, 0x13c, 0x13d, 0x13e]);
        assert!(codes("").is_empty() && codes("nonsense").is_empty());
    }

    #[test]
    fn gamepads_of_two_makers_are_one() {
        use Part::{Axis, Button, Hat, Nothing, Trigger};
        let xbox = layout(XBOX_360, true);
        assert_eq!(xbox.buttons, [0, 1, 2, 3, 4, 5, 8, 9, 16, 10, 11].map(Button));
        let axes = [Axis(0), Axis(1), Trigger(6), Axis(2), Axis(3), Trigger(7), Hat(14, 15), Hat(12, 13)];
        assert_eq!(xbox.axes, axes);
        let dualshock = layout(DUALSHOCK_4, false);
        assert_eq!(dualshock.axes, axes);
        // Its triggers are buttons too, which tell nothing new.
        assert_eq!(dualshock.buttons[..4], [0, 1, 3, 2].map(Button));
        assert_eq!(dualshock.buttons[6..8], [Nothing, Nothing]);
        // A joystick, and a mouse.
        assert_eq!(Layout::new(&codes("ff00000000 0 0 0 0"), &codes("7"), false), None);
        assert_eq!(Layout::new(&BTreeSet::new(), &BTreeSet::new(), false), None);
    }

    fn event(kind: u8, number: u8, value: i16) -> [u8; EVENT_LEN] {
        let [low, high] = value.to_le_bytes();
        [1, 2, 3, 4, low, high, kind, number]
    }

    #[test]
    fn events_are_what_the_device_says() {
        let xbox = layout(XBOX_360, true);
        let read = |event| {
            let mut heard = Vec::new();
            xbox.read(7, event, &mut heard);
            heard
        };
        let button = |button, value| Heard::Button { id: 7, button, value };
        assert_eq!(read(event(TYPE_BUTTON, 2, 1)), [button(2, 1.0)]);
        assert_eq!(read(event(TYPE_BUTTON | TYPE_INIT, 2, 0)), [button(2, 0.0)]);
        assert_eq!(read(event(TYPE_AXIS, 1, i16::MIN)), [Heard::Axis { id: 7, axis: 1, value: -1.0 }]);
        assert_eq!(read(event(TYPE_AXIS, 2, -32767)), [button(6, 0.0)]);
        assert_eq!(read(event(TYPE_AXIS, 5, 32767)), [button(7, 1.0)]);
        assert_eq!(read(event(TYPE_AXIS, 6, -32767)), [button(14, 1.0), button(15, 0.0)]);
        for nothing in [event(TYPE_AXIS, 99, 1), event(TYPE_BUTTON, 99, 1), event(3, 0, 1)] {
            assert_eq!(read(nothing), []);
        }
    }

    #[test]
    fn devices_are_found_read_and_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (devices, classes) = (folder.path().join("dev"), folder.path().join("sys"));
        let about = classes.join("js3/device");
        fs::create_dir_all(about.join("capabilities")).unwrap();
        fs::create_dir_all(&devices).unwrap();
        for (name, text) in
            [("name", "A pad\n"), ("capabilities/key", XBOX_360[0]), ("capabilities/abs", XBOX_360[1])]
        {
            fs::write(about.join(name), text).unwrap();
        }
        // What is read of it comes in pieces, and then it is gone.
        let mut file = File::create(devices.join("js3")).unwrap();
        file.write_all(&event(TYPE_BUTTON, 0, 1)).unwrap();
        file.write_all(&event(TYPE_AXIS, 0, 32767)[..5]).unwrap();
        fs::write(devices.join("event3"), "").unwrap();
        fs::write(devices.join("js9"), "no gamepad").unwrap();
        assert_eq!(numbers(&devices).into_iter().collect::<Vec<_>>(), [3, 9]);
        assert!(open(9, &devices, &classes).is_none());
        let found = open(3, &devices, &classes).unwrap();
        assert_eq!((found.number, found.name.as_str()), (3, "A pad"));
        let (tell, receiver) = sync_channel(1);
        let (gone, closed) = sync_channel(1);
        tell.send(found).unwrap();
        let mut source = Devices { found: receiver.into(), gone, open: Vec::new() };
        let mut heard = Vec::new();
        source.hear(100, &mut heard);
        let wanted = [
            Heard::Connected { id: 3, name: "A pad".into() },
            Heard::Button { id: 3, button: 0, value: 1.0 },
            Heard::Disconnected { id: 3 },
        ];
        assert_eq!(heard, wanted);
        assert_eq!(closed.try_recv(), Ok(3));
    }
}
