// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine in a window, on a display of its own (Xvfb), with keys and a mouse moved by xdotool.
//!
//! A program of its own, because windows want the main thread: it starts Xvfb, and itself again as the
//! one whose window is tested. Where Xvfb or xdotool is missing it says so loudly, and fails if
//! `HEARTH_TEST_WINDOW=1` promises them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it does"
)]

use hearth_abi::{
    EntityId, PeerId, ProcessId,
    input::{Event as Input, Press, key},
    pointer::{Kind, Wants},
    scene::{Component, MeshSource, Scope, Transform},
    terminal::{Modifiers, Stroke},
};
use hearth_engine::{Command as Order, Controller, EngineConfig, Event, Look, Quality, channel, run};
use hearth_scene::{Change, Owner};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio, exit},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const NAME: &str = "a_window_takes_keys_and_closes";
/// The machine may be busy, and renders in software.
const TIMEOUT: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(text) = std::env::var_os("HEARTH_TEST_IS_ANOTHER") {
        return another_program(&text.into_string().unwrap());
    }
    if std::env::var_os("HEARTH_TEST_IS_WINDOW").is_some() {
        return window();
    }
    if arguments.iter().any(|a| a == "--list") {
        return println!("{NAME}: test");
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    if !filters.is_empty() && !filters.iter().any(|filter| NAME.contains(filter.as_str())) {
        return;
    }
    let missing: Vec<&str> =
        ["Xvfb", "xdotool", "setxkbmap"].into_iter().filter(|program| !exists(program)).collect();
    if !missing.is_empty() {
        eprintln!(
            "\n*** NOT TESTED: {NAME}: {} is missing (apt-get install xvfb xdotool x11-xkb-utils) ***\n",
            missing.join(" and ")
        );
        exit(i32::from(std::env::var_os("HEARTH_TEST_WINDOW").is_some_and(|v| v == "1")));
    }
    let display = Display::start();
    let outcome = in_window(&display);
    drop(display);
    if !outcome {
        exit(1);
    }
    println!("test {NAME} ... ok");
}

fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|p| p.join(program).exists()))
}

struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// Lets the server choose a free number, and say it when it is ready.
    fn start() -> Display {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xvfb did not start");
        Display { server, name: format!(":{}", number.trim()) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs this program again as the window.
fn in_window(display: &Display) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("HEARTH_TEST_IS_WINDOW", "1")
        .env("DISPLAY", &display.name)
        .env_remove("WAYLAND_DISPLAY")
        .spawn()
        .unwrap();
    let deadline = Instant::now() + 3 * TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            eprintln!("the window did not close");
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The engine on the main thread, and its user on another.
fn window() {
    let (control, end) = channel();
    let (failed, failure) = mpsc::sync_channel::<()>(1);
    let user = thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&control)));
        if result.is_err() {
            drop(failed);
            exit(1);
        }
    });
    let config = EngineConfig {
        title: "Hearth under test".into(),
        size: [320, 240],
        quality: Some(Quality::Low),
        ..EngineConfig::default()
    };
    run(config, end).unwrap();
    user.join().unwrap();
    drop(failure);
}

fn act(control: &Controller) {
    // The window is there, and draws.
    wait(control, "a picture", |event| matches!(event, Event::FrameShown { number: 3.., .. }));
    let id = xdotool(&["search", "--sync", "--name", "Hearth under test"]);
    let id = id.trim();
    // Without a window manager nobody gives it the keyboard.
    xdotool(&["windowfocus", "--sync", id]);
    wait(control, "the focus", |event| *event == Event::Input(Input::Focus(true)));

    types(control);
    copies(control);

    xdotool(&["mousemove", "--window", id, "100", "50", "click", "1"]);
    let button = |event: &Event, wanted| match event {
        Event::Input(Input::Button { button: 0, press, at }) => *press == wanted && *at == [100.0, 50.0],
        _ => false,
    };
    let place = Event::Input(Input::Pointer { at: [100.0, 50.0], picture: [320.0, 240.0] });
    wait(control, "the pointer's place", |event| *event == place);
    wait(control, "a click", |event| button(event, Press::Pressed));
    wait(control, "its end", |event| button(event, Press::Released));
    // That a device without scroll axes, as xdotool's, has two lines a click is winit's doing: for it the release of
    // such a button is a turn as well (rust-windowing/winit pull request 4386, not in 0.30).
    xdotool(&["click", "4"]);
    let mut lines = 0.0;
    wait(control, "the wheel", |event| {
        if let Event::Input(Input::Wheel([x, y])) = event {
            assert_eq!(*x, 0.0);
            lines += *y;
        }
        lines > 0.0
    });
    assert_eq!(lines.fract(), 0.0, "whole lines");

    touches(control, id);

    // Motion is told while the pointer is held.
    control.send(Order::CapturePointer(true)).unwrap();
    wait(control, "the pointer is held", |event| *event == Event::Input(Input::Captured(true)));
    xdotool(&["mousemove_relative", "--", "7", "-3"]);
    let motion = |event: &Event| match event {
        Event::Input(Input::Motion(by)) => Some(*by),
        _ => None,
    };
    wait(control, "motion", |event| motion(event).is_some());
    // Upside down for who has it so, from one of the next pictures on.
    control.send(Order::Look(Look { speed: 2.0, is_inverted: true })).unwrap();
    let is_inverted = (0..50).any(|_| {
        xdotool(&["mousemove_relative", "--", "4", "2"]);
        let mut told = [0.0; 2];
        wait(control, "motion of a user", |event| motion(event).inspect(|by| told = *by).is_some());
        told[0] > 0.0 && told[1] < 0.0
    });
    assert!(is_inverted, "motion down is told as motion up");
    control.send(Order::Look(Look::default())).unwrap();

    looks_like_something(control);

    // What is down goes up, and the pointer is free, when the focus goes.
    xdotool(&["keydown", "d"]);
    stroke(control, "d goes down", |s| s.code == key::D && s.press == Press::Pressed);
    xdotool(&["getwindowfocus", "windowunmap", id]);
    stroke(control, "d is let go", |s| s.code == key::D && s.press == Press::Released && s.key == Some('d'));
    wait(control, "the pointer is free", |event| *event == Event::Input(Input::Captured(false)));
    wait(control, "the focus is lost", |event| *event == Event::Input(Input::Focus(false)));
    xdotool(&["keyup", "d", "windowmap", "--sync", id]);

    looks_like_something(control);

    close(id);
    wait(control, "it is closed", |event| *event == Event::Closed);
}

/// What stands in the middle of the picture is touched there.
fn touches(control: &Controller, window: &str) {
    let entity = EntityId::new(PeerId::SERVER, 1).unwrap();
    let owner = Owner::Process(ProcessId::new(PeerId::SERVER, 1).unwrap());
    let set = |component| Change::Set { id: entity, component };
    let changes = vec![
        Change::Created { id: entity, scope: Scope::Shared, owner },
        set(Component::Transform(Transform::at(0.0, 1.7, 3.0))),
        set(Component::Mesh(MeshSource::Cuboid([1.0; 3]))),
        set(Component::Pointer(Wants::HOVER.and(Wants::PRESS))),
    ];
    control.send(Order::Changes(changes)).unwrap();
    let touched = |kind: Kind| move |event: &Event| matches!(event, Event::Pointer(event) if event.kind == kind && event.entity == entity);
    xdotool(&["mousemove", "--window", window, "160", "120"]);
    wait(control, "the pointer is on it", touched(Kind::Over));
    let on_it = |event: &Event| matches!(event, Event::Input(Input::Target { entity: Some(on), .. }) if *on == entity);
    wait(control, "that is told", on_it);
    xdotool(&["click", "1"]);
    wait(control, "it is pressed", touched(Kind::Press));
    wait(control, "it is clicked", touched(Kind::Click));
    xdotool(&["mousemove", "--window", window, "5", "5"]);
    wait(control, "the pointer leaves it", touched(Kind::Out));
    control.send(Order::Changes(vec![Change::Removed { id: entity }])).unwrap();
}

/// Keys by their numbers under Linux, which are those of evdev and 8.
mod code {
    pub(super) const ACUTE: &str = "21";
    pub(super) const Q: &str = "24";
    pub(super) const E: &str = "26";
    pub(super) const NUM_LOCK: &str = "77";
    pub(super) const KEYPAD_7: &str = "79";
    pub(super) const ALT_GR: &str = "108";
}

const LOCKS: u8 = Modifiers::CAPS_LOCK.0 | Modifiers::NUM_LOCK.0;

fn types(control: &Controller) {
    let held = |s: &Stroke| Modifiers(s.modifiers.0 & !LOCKS);
    xdotool(&["key", "w"]);
    let w = |s: &Stroke| s.code == key::W && s.key == Some('w') && held(s) == Modifiers::default();
    stroke(control, "w", |s| w(s) && s.press == Press::Pressed && s.text == "w");
    stroke(control, "w goes up", |s| w(s) && s.press == Press::Released && s.text.is_empty());

    xdotool(&["key", "ctrl+c"]);
    let c = |s: &Stroke| s.code == key::C && s.key == Some('c') && s.press == Press::Pressed;
    stroke(control, "control itself", |s| s.code == key::LEFT_CONTROL && held(s) == Modifiers::CONTROL);
    stroke(control, "Ctrl+C", |s| c(s) && held(s) == Modifiers::CONTROL && s.text == "c");
    stroke(control, "the end of control", |s| {
        s.code == key::LEFT_CONTROL && s.press == Press::Released && held(s) == Modifiers::default()
    });
    xdotool(&["key", "ctrl+shift+c"]);
    let both = Modifiers::CONTROL.and(Modifiers::SHIFT);
    stroke(control, "Ctrl+Shift+C", |s| c(s) && held(s) == both && s.shifted == Some('C'));
    xdotool(&["key", "alt+Return"]);
    stroke(control, "Alt+Enter", |s| {
        s.code == key::ENTER && held(s) == Modifiers::ALT && s.key.is_none() && s.text.is_empty()
    });
    xdotool(&["key", "shift+Tab"]);
    stroke(control, "Shift+Tab", |s| s.code == 0x2B && held(s) == Modifiers::SHIFT);

    xdotool(&["keydown", "w"]);
    for _ in 0..3 {
        stroke(control, "w repeats", |s| w(s) && s.press == Press::Repeated && s.text == "w");
    }
    xdotool(&["keyup", "w"]);
    stroke(control, "its end", |s| w(s) && s.press == Press::Released);

    layout("de");
    xdotool(&["keydown", code::ALT_GR, "key", code::Q, "keyup", code::ALT_GR]);
    stroke(control, "AltGr+Q", |s| s.text == "@" && s.key == Some('q') && held(s) == Modifiers::default());
    xdotool(&["key", code::ACUTE, "key", code::E]);
    stroke(control, "a dead key", |s| s.code == 0x2E && s.text.is_empty() && s.press == Press::Pressed);
    stroke(control, "what it makes", |s| s.code == key::E && s.text == "é" && s.key == Some('e'));
    xdotool(&["key", "z"]);
    stroke(control, "Z where Y is elsewhere", |s| s.code == 0x1C && s.key == Some('z'));
    xdotool(&["key", code::KEYPAD_7]);
    let seven = |s: &Stroke| s.code == 0x5F && s.press == Press::Pressed;
    stroke(control, "home", |s| seven(s) && s.text.is_empty() && !s.modifiers.has(Modifiers::NUM_LOCK));
    xdotool(&["key", code::NUM_LOCK, "key", code::KEYPAD_7, "key", code::NUM_LOCK]);
    stroke(control, "7", |s| seven(s) && s.text == "7" && s.modifiers.has(Modifiers::NUM_LOCK));
    layout("ru");
    xdotool(&["key", "54"]);
    stroke(control, "a Cyrillic letter", |s| s.code == key::C && s.text == "с" && s.key == Some('с'));

    // With input methods asked (there is none here) keys come as before, and what dead keys make in any case.
    layout("de");
    control.send(Order::TextInput(true)).unwrap();
    xdotool(&["key", "w"]);
    stroke(control, "w again", |s| w(s) && s.text == "w");
    xdotool(&["key", code::ACUTE, "key", code::E]);
    stroke(control, "what a dead key makes", |s| s.text == "é");
    control.send(Order::TextInput(false)).unwrap();
    layout("us");
}

/// Sets the keyboard's layout.
fn layout(name: &str) {
    let arguments = ["-rules", "evdev", "-model", "pc105", "-layout", name];
    assert!(Command::new("setxkbmap").args(arguments).status().unwrap().success(), "setxkbmap {name}");
}

fn stroke(control: &Controller, what: &str, mut holds: impl FnMut(&Stroke) -> bool) {
    wait(control, what, |event| matches!(event, Event::Stroke(stroke) if holds(stroke)));
}

/// Text goes to other programs, and comes from them.
fn copies(control: &Controller) {
    let read = |primary| {
        let (tell, told) = mpsc::sync_channel(1);
        let done = Box::new(move |text| drop(tell.send(text)));
        control.send(Order::ClipboardRead { primary, done }).unwrap();
        told.recv_timeout(TIMEOUT).unwrap()
    };
    assert_eq!(read(false), Ok(String::new()), "nobody has copied anything");
    control.send(Order::ClipboardWrite { text: "grüße\n".into(), primary: false }).unwrap();
    control.send(Order::ClipboardWrite { text: "selected".into(), primary: true }).unwrap();
    assert_eq!((read(false), read(true)), (Ok("grüße\n".into()), Ok("selected".into())));
    let another = |text: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("HEARTH_TEST_IS_ANOTHER", text).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let reader = another("").wait_with_output().unwrap();
    assert_eq!(String::from_utf8(reader.stdout).unwrap(), "grüße\n");
    let mut writer = another("from elsewhere");
    BufReader::new(writer.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    assert_eq!(read(false), Ok("from elsewhere".into()));
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
}

/// A program that prints what is on the clipboard, or puts a text there until its input ends.
fn another_program(text: &str) {
    let mut clipboard = arboard::Clipboard::new().unwrap();
    if text.is_empty() {
        return print!("{}", clipboard.get_text().unwrap());
    }
    clipboard.set_text(text).unwrap();
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn looks_like_something(control: &Controller) {
    let (tell, told) = mpsc::sync_channel(16);
    control.send(Order::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
    let picture = told.recv_timeout(TIMEOUT).unwrap().unwrap();
    if let Some(path) = std::env::var_os("HEARTH_TEST_PICTURE") {
        std::fs::write(path, picture.to_png().unwrap()).unwrap();
    }
    assert_eq!((picture.width, picture.height), (320, 240));
    assert!(picture.rgba.chunks_exact(4).any(|pixel| pixel[..3] != [0; 3]), "the window is black");
}

fn wait(control: &Controller, what: &str, mut holds: impl FnMut(&Event) -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match control.event_timeout(Duration::from_secs(1)) {
            Some(event) if holds(&event) => return,
            _ => {}
        }
    }
    panic!("it did not happen: {what}");
}

fn xdotool(arguments: &[&str]) -> String {
    let output = Command::new("xdotool").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "xdotool {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Asks the window to close, as the button of a window manager does (ICCCM, section 4.2.8.1).
fn close(id: &str) {
    use x11rb::{
        connection::Connection as _,
        protocol::xproto::{ClientMessageEvent, ConnectionExt as _, EventMask},
    };
    let window: u32 = id.parse().unwrap();
    let (connection, _) = x11rb::connect(None).unwrap();
    let atom = |name: &str| connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
    let data = [atom("WM_DELETE_WINDOW"), x11rb::CURRENT_TIME, 0, 0, 0];
    let event = ClientMessageEvent::new(32, window, atom("WM_PROTOCOLS"), data);
    connection.send_event(false, window, EventMask::NO_EVENT, event).unwrap().check().unwrap();
    connection.flush().unwrap();
}
