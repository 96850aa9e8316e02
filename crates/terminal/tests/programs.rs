// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals with real programs on real pseudo terminals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::{
    input::Press,
    screen::Screen,
    terminal::{Command, Event, Modifiers, Open, Pointer, PointerAction, Stroke, TEXT_LEN_MAX},
};
use hearth_terminal::{CommandError, Environment, HANG_UP_GRACE, Listener, Terminal};
use parking_lot::{Condvar, Mutex};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long anything may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Heard {
    events: Mutex<Vec<Event>>,
    screens: Mutex<u64>,
    starts: Mutex<u64>,
    news: Condvar,
}

impl Listener for Heard {
    fn changed(&self) {
        *self.screens.lock() += 1;
        self.news.notify_all();
    }

    fn event(&self, event: Event) {
        self.events.lock().push(event);
        let _screens = self.screens.lock();
        self.news.notify_all();
    }

    fn started(&self) {
        *self.starts.lock() += 1;
    }
}

struct Tester {
    terminal: Terminal,
    heard: Arc<Heard>,
}

impl Tester {
    fn open(open: Open, environment: Environment) -> Tester {
        let heard = Arc::new(Heard::default());
        let terminal = Terminal::open(&open, environment, heard.clone()).unwrap();
        Tester { terminal, heard }
    }

    fn run(command: &[&str]) -> Tester {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Tester::open(Open { command, columns: 120, ..Open::default() }, Environment::default())
    }

    fn shell(script: &str) -> Tester {
        Tester::run(&["sh", "-c", script])
    }

    /// Waits until this holds; looks whenever something is heard.
    fn until<R>(&self, what: &str, mut holds: impl FnMut(&Tester) -> Option<R>) -> R {
        let end = Instant::now() + PATIENCE;
        let mut screens = self.heard.screens.lock();
        loop {
            drop(screens);
            if let Some(result) = holds(self) {
                return result;
            }
            screens = self.heard.screens.lock();
            // Something may have come in between: so look again after a while, too.
            self.heard.news.wait_for(&mut screens, Duration::from_millis(100));
            let shown = self.text();
            assert!(Instant::now() < end, "{what}: {:?}\n{shown}", self.heard.events.lock());
        }
    }

    fn until_shown(&self, text: &str) -> String {
        self.until(&format!("`{text}` is not shown"), |t| Some(t.text()).filter(|shown| shown.contains(text)))
    }

    fn until_event(&self, event: &Event) {
        self.until(&format!("{event:?} is not heard"), |t| {
            t.heard.events.lock().contains(event).then_some(())
        });
    }

    fn text(&self) -> String {
        text(&self.terminal.screen())
    }

    fn type_in(&self, text: &str) {
        self.terminal.command(Command::Text(text.into())).unwrap();
    }

    fn control(&self, letter: char) {
        let stroke = Stroke {
            code: 0x04 + (letter as u16 - 'a' as u16),
            press: Press::Pressed,
            modifiers: Modifiers::CONTROL,
            key: Some(letter),
            shifted: None,
            text: letter.into(),
        };
        self.terminal.command(Command::Key(stroke)).unwrap();
    }

    fn enter(&self) {
        let stroke = Stroke {
            code: 0x28,
            press: Press::Pressed,
            modifiers: Modifiers::default(),
            key: Some('\r'),
            shifted: None,
            text: String::new(),
        };
        self.terminal.command(Command::Key(stroke)).unwrap();
    }
}

fn text(screen: &Screen) -> String {
    let rows: Vec<String> = (0..screen.rows()).map(|row| screen.text(row)).collect();
    rows.join("\n").trim_end().to_owned()
}

/// Whether a process with this number lives, zombies included.
fn lives(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn a_shell_runs_what_is_typed() {
    let t = Tester::open(
        Open { command: vec!["bash".into(), "--norc".into(), "--noprofile".into()], ..Open::default() },
        Environment {
            set: vec![("PS1".into(), "ready> ".into()), ("HEARTH_TERMINAL".into(), "1.2".into())],
            removed: vec!["HEARTH_PASSWORD".into(), "HOME_OF_NOBODY".into()],
        },
    );
    // What is typed before the prompt is not lost.
    t.type_in("echo \"<$TERM $COLORTERM $HEARTH_TERMINAL $((6 * 7))>\"\r");
    t.until_shown("<xterm-256color truecolor 1.2 42>");
    t.type_in("printf 'ü\\xff界\\n'; stty size; tput cols\r");
    t.until_shown("ü\u{fffd}界\n24 80\n80");
    t.type_in("exit 3\r");
    let shown = t.until_shown("exited with 3 · Enter starts it again");
    assert_eq!(shown.matches("exited").count(), 1);
    t.until_event(&Event::Exited(3));
    assert_eq!(*t.heard.starts.lock(), 0, "only those after the first are told");
    t.enter();
    t.until("it does not start again", |t| (t.text().matches("ready>").count() > 3).then_some(()));
    assert_eq!(*t.heard.starts.lock(), 1);
    t.terminal.close();
    assert!(t.terminal.wait_closed(PATIENCE));
    assert_eq!(t.terminal.command(Command::Copy), Err(CommandError::Closed));
}

#[test]
fn the_line_editor_of_the_kernel_erases_whole_characters() {
    let t = Tester::shell("echo up; exec cat");
    t.until_shown("up");
    t.type_in("ä\u{7f}b\r");
    t.until_shown("up\nb\nb");
    t.control('d');
    t.until_shown("exited with 0");
}

#[test]
fn the_programs_environment_has_what_was_set_and_not_what_was_removed() {
    let environment = Environment {
        set: vec![("SECRET".into(), "visible".into()), ("PATH".into(), format!("/first:{}", env!("PATH")))],
        removed: vec!["SECRET".into(), "CARGO_MANIFEST_DIR".into()],
    };
    let command = ["sh", "-c", "echo ${SECRET-none} ${CARGO_MANIFEST_DIR-none} ${PATH%%:*}; pwd"];
    let command = command.iter().map(|word| (*word).into()).collect();
    let t = Tester::open(Open { command, folder: "/usr".into(), ..Open::default() }, environment);
    t.until_shown("none none /first\n/usr\nexited with 0");
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let open = Open { folder: "/nowhere".into(), command: vec!["pwd".into()], ..Open::default() };
    let home = tempfile::tempdir().unwrap();
    let set = vec![("HOME".into(), home.path().to_str().unwrap().to_owned())];
    let t = Tester::open(open, Environment { set, removed: Vec::new() });
    let shown = t.until_shown("exited with 0");
    assert!(shown.starts_with("there is no folder `/nowhere`; this is your home\n/"), "{shown}");
}

#[test]
fn what_cannot_start_says_why_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", b"hello", 0o644);
    let script = file("script", b"#! /no/such/interpreter -x\n", 0o755);
    let bare = file("bare", b"echo from $0 $1", 0o755);
    let check = |command: &str, expected: &str| {
        let t = Tester::run(&[command, "first"]);
        t.until_shown(expected);
        t
    };
    let later = folder.path().join("later").to_str().unwrap().to_owned();
    let t = check(&later, &format!("could not start `{later}`: there is no such"));
    t.until_event(&Event::Exited(127));
    t.terminal.command(Command::Restart).unwrap();
    t.until("it is not tried again", |t| (t.text().matches("could not start").count() == 2).then_some(()));
    assert_eq!(*t.heard.starts.lock(), 0, "it has not started");
    file("later", b"#!/bin/sh\necho it is here\n", 0o755);
    t.enter();
    t.until_shown("it is here\nexited with 0");
    assert_eq!(*t.heard.starts.lock(), 1);
    check(
        "no-such-program",
        "could not start `no-such-program`: there is no such program · Enter tries again",
    );
    check("/etc", "could not start `/etc`: it is a folder · Enter tries again");
    check(&script, "its interpreter `/no/such/interpreter` is missing");
    check(&bare, "from /");
    // Programs that the system would not start, and cannot say so itself.
    let good = std::fs::read("/bin/true").unwrap();
    let mut other = good.clone();
    other[18..20].copy_from_slice(&[0x34, 0x12]);
    check(&file("other", &other, 0o755), "it is for another kind of machine · Enter tries again");
    let mut lost = good.clone();
    let at = lost.windows(4).position(|bytes| bytes == b"/ld-").unwrap();
    lost[at..at + 4].copy_from_slice(b"/no-");
    let t = check(&file("lost", &lost, 0o755), "its interpreter `/");
    t.until_shown("is missing · Enter tries again");
    check(&file("cut", &good[..40], 0o755), "it is damaged · Enter tries again");
    check(&file("nothing", b"\0\x01\x02", 0o755), "it is no program · Enter tries again");
    check(&file("good", &good, 0o755), "exited with 0");
    check(&file("empty", b"", 0o755), "exited with 0");
    // Root may execute what nobody may, but for files without any such bit.
    check(&plain, "it may not be executed");
    // The user's shell.
    let set = vec![("SHELL".into(), "/no/such/shell".into())];
    let t = Tester::open(Open::default(), Environment { set, removed: Vec::new() });
    t.until_shown("could not start `/no/such/shell`: there is no such file · Enter tries again");
}

#[test]
fn a_program_that_is_killed_says_so() {
    let t = Tester::shell("kill -9 $$");
    t.until_shown("ended by signal 9 (kill) · Enter starts it again");
    t.until_event(&Event::Exited(-9));
    let t = Tester::shell("echo up; exec sleep 1000");
    t.until_shown("up");
    t.terminal.command(Command::Signal(15)).unwrap();
    t.until_shown("ended by signal 15 (terminate)");
    t.until_event(&Event::Exited(-15));
    // Numbers that are no signals do nothing.
    let t = Tester::shell("echo up; read line; echo got $line");
    t.until_shown("up");
    for number in [0, -1, 12_345, i32::MIN] {
        t.terminal.command(Command::Signal(number)).unwrap();
    }
    t.type_in("it\r");
    t.until_shown("got it");
}

#[test]
fn a_size_is_told_to_the_program() {
    let open = Open { columns: 100, rows: 30, ..Open::default() };
    let script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done";
    let t = Tester::open(
        Open { command: vec!["sh".into(), "-c".into(), script.into()], ..open },
        Environment::default(),
    );
    t.until_shown("30 100");
    t.terminal.command(Command::Resize { columns: 61, rows: 12 }).unwrap();
    t.until_shown("12 61");
    t.until_event(&Event::Resized { columns: 61, rows: 12 });
    t.terminal.command(Command::Resize { columns: 1, rows: 1 }).unwrap();
    t.until("it has no other size", |t| (t.terminal.screen().columns() == 2).then_some(()));
    t.terminal.command(Command::Resize { columns: u16::MAX, rows: u16::MAX }).unwrap();
    t.until_shown("1000 1000");
}

#[test]
fn last_words_are_shown() {
    // More than the kernel keeps, and the end comes at once.
    let t = Tester::shell("head -c 300000 /dev/zero | tr '\\0' x; printf '\\nlast words'");
    t.until_shown("last words\nexited with 0");
    assert!(t.terminal.screen().history > 2000);
}

#[test]
fn ctrl_c_ends_a_flood() {
    let t = Tester::run(&["bash", "--norc", "--noprofile"]);
    t.type_in("PS1='rea''dy> '; yes\r");
    t.until_shown("y\ny\ny\ny\ny\ny");
    t.control('c');
    t.until_shown("\nready>");
}

#[test]
fn a_flood_waits_for_the_emulator_and_not_the_other_way_round() {
    // Lines that differ, so that one sees whether it goes on.
    let t = Tester::run(&["seq", "-f", "flood %.0f", "1000000000"]);
    t.until_shown("flood");
    let mut longest = Duration::ZERO;
    for _ in 0..1000 {
        let start = Instant::now();
        let screen = t.terminal.screen();
        longest = longest.max(start.elapsed());
        assert_eq!(screen.columns(), 120);
        std::thread::yield_now();
    }
    // On a busy machine a thread may wait for its turn; it never waits for the parser.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let before = t.text();
    t.until("the flood stands still", |t| (t.text() != before).then_some(()));
}

#[test]
fn one_who_does_not_read_is_full_at_last() {
    let t = Tester::shell("stty raw -echo; echo up; exec sleep 1000");
    t.until_shown("up");
    let paste = "x".repeat(100 << 10);
    let mut taken = 0;
    let refused = loop {
        match t.terminal.command(Command::Paste(paste.clone())) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "nothing is ever refused");
    };
    assert_eq!(refused, CommandError::Full);
    // What is no input still comes through.
    t.terminal.command(Command::Scroll(1)).unwrap();
    t.terminal.command(Command::Signal(9)).unwrap();
    t.until_shown("ended by signal 9");
}

#[test]
fn a_program_that_asks_without_reading_does_no_harm() {
    let t = Tester::shell(
        "stty raw -echo; for i in $(seq 20000); do printf '\\033[c\\033[6n\\033[>q'; done; printf done; exec sleep 1000",
    );
    t.until_shown("done");
    // What is typed has its room none the less.
    for _ in 0..3 {
        t.terminal.command(Command::Paste("x".repeat(TEXT_LEN_MAX))).unwrap();
    }
    t.terminal.command(Command::Paste("x".repeat(TEXT_LEN_MAX - 1000))).unwrap();
    let more = Command::Paste("x".repeat(TEXT_LEN_MAX));
    assert_eq!(t.terminal.command(more), Err(CommandError::Full));
}

#[test]
fn any_number_of_lines_may_be_turned() {
    let t = Tester::shell("printf '\\033[?1003;1006h'; stty raw -echo; echo up; exec cat -v");
    t.until_shown("up");
    let numbers = [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e10, -0.0, 3.0];
    for one in numbers {
        for other in numbers {
            let (modifiers, at) = (Modifiers::default(), [one, other]);
            t.terminal.command(Command::Wheel { lines: [one, other], modifiers, at }).unwrap();
            let action = PointerAction::Move;
            let pointer = Pointer { action, button: 255, modifiers, clicks: 255, column: one, row: other };
            t.terminal.command(Command::Pointer(pointer)).unwrap();
        }
    }
    t.until_shown("^[[<65;");
}

#[test]
fn what_is_asked_at_the_end_is_not_for_the_next_program() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!(
        "if [ -e {0} ]; then stty raw -echo; printf '\\033[H\\033[2Jsecond'; head -c 1 | od -A n -c; \
         else touch {0}; printf a; yes \"$(printf '\\033[65535b')\" | tr -d '\\n' | head -c 16000; printf '\\033[c'; fi",
        mark.display()
    );
    // What is written last takes so long that its program has ended before it is read.
    let t = Tester::shell(&script);
    t.until_shown("exited with 0");
    t.enter();
    t.until_shown("second");
    t.type_in("k");
    let shown = t.until_shown("exited with 0");
    assert!(shown.contains(" k") && !shown.contains("033"), "{shown}");
}

#[test]
fn a_few_bytes_that_mean_much_do_not_hold_it_up() {
    // Each of these repeats a character 65,535 times; all of them are one update, which nobody sees the end of.
    let script = "echo up; printf 'a\\033[?2026h'; yes \"$(printf '\\033[65535b')\" | tr -d '\\n' | head -c 2000000; \
        printf '\\033[?2026l'; exec sleep 1000";
    let t = Tester::shell(script);
    t.until("nothing is shown", |t| (t.terminal.screen().history > 0).then_some(()));
    for _ in 0..3 {
        t.heard.events.lock().clear();
        t.terminal.command(Command::Search { backwards: true, pattern: "b".into() }).unwrap();
        t.until("it does not obey", |t| (!t.heard.events.lock().is_empty()).then_some(()));
    }
    t.terminal.close();
    assert!(t.terminal.wait_closed(Duration::from_secs(20)));
}

#[test]
fn updates_are_shown_whole() {
    let script = r#"printf up; read line; while :; do for letter in a b; do
        printf '\033[?2026h\033[H'; for row in 1 2 3 4 5 6 7 8; do printf '%s\r\n' $letter$letter$letter; done
        printf '\033[?2026l'; done; done"#;
    let t = Tester::run(&["bash", "-c", script]);
    t.until_shown("up");
    t.type_in("\r");
    let (mut whole, mut half) = (0, 0);
    let mut last = Arc::new(Screen::new(1, 1));
    t.until("nothing is shown", |t| {
        let screen = t.terminal.screen();
        let rows: Vec<String> = (0..8).map(|row| screen.text(row)).collect();
        if !Arc::ptr_eq(&screen, &last) && rows.iter().all(|row| row == "aaa" || row == "bbb") {
            let same = rows.iter().all(|row| *row == rows[0]);
            (whole, half) = if same { (whole + 1, half) } else { (whole, half + 1) };
        }
        last = screen;
        (whole + half >= 40).then_some(())
    });
    // The machine may be so busy that the time of one is over.
    assert!(whole > 30, "{half} of 40 were shown half made");
}

#[test]
fn commands_that_wait_hold_nothing_up() {
    let t = Tester::shell("seq 200000; echo up; exec sleep 1000");
    t.until_shown("up");
    let search = Command::Search { backwards: true, pattern: "no such text".into() };
    // While the first is at work, the sizes wait.
    t.terminal.command(search.clone()).unwrap();
    for columns in (0..1000).rev() {
        t.terminal.command(Command::Resize { columns: 80 + columns % 50, rows: 24 }).unwrap();
    }
    t.until("it has another size", |t| (t.terminal.screen().columns() == 80).then_some(()));
    let resized = |event: &&Event| matches!(event, Event::Resized { .. });
    assert!(t.heard.events.lock().iter().filter(resized).count() < 500);
    // It closes, however much waits.
    while t.terminal.command(search.clone()).is_ok() {}
    t.terminal.close();
    let start = Instant::now();
    assert!(t.terminal.wait_closed(PATIENCE));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn closing_ends_everything_in_bounded_time() {
    // One that obeys, one in the background, one that is stopped, and one that takes no notice.
    let script = "sleep 1001 & sleep 1002 & kill -STOP $!; (trap '' HUP TERM INT; echo deaf; while :; do sleep 0.1; done) & \
        trap '' HUP; echo pids $$ $(jobs -p) up; wait";
    let t = Tester::run(&["bash", "-c", script]);
    t.until_shown("deaf");
    let shown = t.until_shown(" up").replace('\n', " ");
    let pids: Vec<String> = shown
        .split_whitespace()
        .skip_while(|word| *word != "pids")
        .skip(1)
        .take_while(|word| *word != "up")
        .map(str::to_owned)
        .collect();
    assert_eq!(pids.len(), 4, "{shown}");
    assert!(pids.iter().all(|pid| lives(pid)));
    let start = Instant::now();
    t.terminal.close();
    assert!(start.elapsed() < Duration::from_secs(1), "it does not wait");
    assert!(t.terminal.wait_closed(PATIENCE));
    assert!(start.elapsed() >= HANG_UP_GRACE, "they had their time");
    // Those in the background are waited for by the first process of the system, which may take a moment.
    t.until("it still runs", |_| pids.iter().all(|pid| !lives(pid) || is_zombie(pid)).then_some(()));
    assert!(!lives(&pids[0]), "the program itself was waited for");
    assert_eq!(t.heard.events.lock().as_slice(), [], "of a closed terminal nothing is heard");
}

fn is_zombie(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, fields)| fields.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn what_a_program_leaves_behind_ends_with_the_terminal() {
    let t = Tester::shell("trap '' HUP; sleep 1003 & echo pid $! left");
    let shown = t.until_shown("exited with 0");
    let pid = shown.split_whitespace().nth(1).unwrap().to_owned();
    assert!(lives(&pid), "it was not asked to end yet");
    t.terminal.close();
    assert!(t.terminal.wait_closed(PATIENCE));
    t.until("it still runs", |_| (!lives(&pid) || is_zombie(&pid)).then_some(()));
}

#[test]
fn terminals_leave_no_threads_descriptors_or_children() {
    // In a process of its own: other tests have terminals, too.
    if std::env::var_os("HEARTH_TERMINAL_LEAK_TEST").is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "terminals_leave_no_threads_descriptors_or_children", "--nocapture"])
            .env("HEARTH_TERMINAL_LEAK_TEST", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    let counts = || {
        let children: usize = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .flatten()
            .map(|task| {
                let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                children.split_whitespace().count()
            })
            .sum();
        (count("/proc/self/fd"), count("/proc/self/task"), children)
    };
    let one = || {
        let t = Tester::shell("echo up; read line");
        t.until_shown("up");
        t.enter();
        t.until_shown("exited with 0");
        t.enter();
        t.until("it is not up again", |t| (t.text().matches("up").count() == 2).then_some(()));
        let failing = Tester::run(&["no-such-program"]);
        failing.until_shown("could not start");
        for t in [t, failing] {
            t.terminal.close();
            assert!(t.terminal.wait_closed(PATIENCE));
        }
    };
    one();
    // A thread is gone a moment after it says so.
    let settled = || {
        let end = Instant::now() + PATIENCE;
        while count("/proc/self/task") > 2 && Instant::now() < end {
            std::thread::yield_now();
        }
        counts()
    };
    let before = settled();
    for _ in 0..5 {
        one();
    }
    assert_eq!(settled(), before);
    assert_eq!(before.2, 0, "a child was not waited for");
}

#[test]
fn a_dropped_terminal_closes() {
    let t = Tester::shell("echo $$ up; exec sleep 1004");
    let pid = t.until_shown("up").split_whitespace().next().unwrap().to_owned();
    let Tester { terminal, heard } = t;
    drop(terminal);
    let end = Instant::now() + PATIENCE;
    while lives(&pid) {
        assert!(Instant::now() < end, "it still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The threads let go of the listener.
    while Arc::strong_count(&heard) > 1 {
        assert!(Instant::now() < end, "its threads still run");
        std::thread::sleep(Duration::from_millis(10));
    }
}
