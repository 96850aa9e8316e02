// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals with programs that write as fast as they can, beside the bare grid in the same run.
//!
//! `cargo bench -p hearth-terminal [-- PART...]`, with any of `parser`, `throughput`, `flood`, `interrupt`, `echo`, `fifty`,
//! `sharing`. Wall time says most on a machine that does nothing else; CPU time is of the threads that are named.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark, run by hand")]

mod streams;

use alacritty_terminal::{
    event::VoidListener,
    term::{Config, Term, test::TermSize},
    vte::ansi::Processor,
};
use hearth_abi::{
    input::Press,
    screen::{Numbers, Screen},
    terminal::{Command, Event, Modifiers, Open, Stroke},
};
use hearth_terminal::{Environment, Listener, Sharer, Terminal, UPDATE_INTERVAL, pack};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

const COLUMNS: u16 = 200;
const ROWS: u16 = 60;
const STREAM_LEN: usize = 16 << 20;
const RUNS: usize = 5;

#[derive(Default)]
struct News {
    count: Mutex<u64>,
    more: Condvar,
    title: Mutex<String>,
    bells: Mutex<u64>,
}

impl Listener for News {
    fn changed(&self) {
        *self.count.lock().unwrap() += 1;
        self.more.notify_all();
    }

    fn event(&self, event: Event) {
        match event {
            Event::Title(title) => *self.title.lock().unwrap() = title,
            Event::Bell => *self.bells.lock().unwrap() += 1,
            _ => return,
        }
        self.changed();
    }
}

struct Bench {
    terminal: Terminal,
    news: Arc<News>,
}

impl Bench {
    fn open(command: &[&str]) -> Bench {
        let news = Arc::new(News::default());
        let open = Open {
            columns: COLUMNS,
            rows: ROWS,
            folder: "/".into(),
            command: command.iter().map(|word| (*word).into()).collect(),
            ..Open::default()
        };
        let set = vec![("PS1".into(), "ready> ".into()), ("HOME".into(), "/nonexistent".into())];
        let environment = Environment { set, removed: Vec::new() };
        Bench { terminal: Terminal::open(&open, environment, news.clone()).unwrap(), news }
    }

    fn until(&self, mut holds: impl FnMut(&Bench) -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        let mut count = self.news.count.lock().unwrap();
        loop {
            let before = *count;
            drop(count);
            if holds(self) {
                return;
            }
            assert!(Instant::now() < end, "it takes too long");
            count = self.news.count.lock().unwrap();
            if *count == before {
                count = self.news.more.wait_timeout(count, Duration::from_millis(50)).unwrap().0;
            }
        }
    }

    fn until_shown(&self, text: &str) {
        self.until(|bench| shows(&bench.terminal.screen(), text));
    }

    fn until_bell(&self) {
        self.until(|bench| *bench.news.bells.lock().unwrap() > 0);
    }

    fn until_title(&self, title: &str) {
        self.until(|bench| *bench.news.title.lock().unwrap() == title);
    }

    fn type_in(&self, text: &str) {
        self.terminal.command(Command::Text(text.into())).unwrap();
    }

    fn control(&self, letter: char) {
        let code = 0x04 + (letter as u16 - 'a' as u16);
        let (press, modifiers) = (Press::Pressed, Modifiers::CONTROL);
        let stroke = Stroke { code, press, modifiers, key: Some(letter), shifted: None, text: letter.into() };
        self.terminal.command(Command::Key(stroke)).unwrap();
    }

    fn close(self) {
        self.terminal.close();
        self.terminal.wait_closed(Duration::from_secs(10));
    }
}

fn shows(screen: &Screen, text: &str) -> bool {
    (0..screen.rows()).any(|row| screen.text(row).contains(text))
}

/// CPU time of all threads of this process with this name.
fn cpu_of(name: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = tasks
        .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    of.map(|task| {
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
    })
    .sum()
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    values[values.len() / 2]
}

fn percentiles(name: &str, unit: &str, values: Vec<f64>) {
    let values = sorted(values);
    let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    println!(
        "{name}: p50 {:.3} {unit}, p99 {:.3} {unit}, max {:.3} {unit}, n = {}",
        at(0.5),
        at(0.99),
        at(1.0),
        values.len()
    );
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [(&str, fn()); 7] = [
        ("parser", parser),
        ("throughput", throughput),
        ("flood", flood),
        ("interrupt", interrupt),
        ("echo", echo),
        ("fifty", fifty),
        ("sharing", sharing),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("\n== {name}");
            part();
        }
    }
}

fn bare_term() -> (Term<VoidListener>, Processor) {
    let config = Config { scrolling_history: 10_000, kitty_keyboard: true, ..Config::default() };
    (Term::new(config, &TermSize::new(COLUMNS.into(), ROWS.into()), VoidListener), Processor::new())
}

/// The bare grid: seconds of wall and of CPU.
fn bare(bytes: &[u8]) -> (f64, f64) {
    let (mut term, mut processor) = bare_term();
    let (start, cpu) = (Instant::now(), clock(ClockId::ThreadCPUTime));
    for chunk in bytes.chunks(64 << 10) {
        processor.advance(&mut term, chunk);
    }
    (start.elapsed().as_secs_f64(), (clock(ClockId::ThreadCPUTime) - cpu).as_secs_f64())
}

/// The emulator without threads: the least CPU time of several runs each, in turns, as on a busy machine others
/// disturb both.
fn parser() {
    println!("stream               bare  emulator  ratio; MB/s of CPU, the best of {} runs", RUNS * 3);
    let mut ratios = Vec::new();
    for (name, bytes) in streams::all(STREAM_LEN / 4, COLUMNS, ROWS) {
        let (mut alone, mut whole) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS * 3 {
            alone = alone.min(bare(&bytes).1);
            let mut emulator =
                hearth_terminal::Emulator::new(COLUMNS, ROWS, hearth_abi::terminal::Theme::default());
            let cpu = clock(ClockId::ThreadCPUTime);
            for chunk in bytes.chunks(16 << 10) {
                emulator.advance(chunk, Instant::now());
                emulator.take_output();
                emulator.take_events();
            }
            whole = whole.min((clock(ClockId::ThreadCPUTime) - cpu).as_secs_f64());
        }
        let rate = |secs: f64| bytes.len() as f64 / 1e6 / secs;
        println!("{name:18} {:6.1}    {:6.1} {:6.2}", rate(alone), rate(whole), alone / whole);
        ratios.push(alone / whole);
    }
    println!("least ratio {:.2}, median {:.2}", sorted(ratios.clone())[0], median(ratios));
}

/// A program that waits for a byte, writes this file, rings, and waits again.
fn script(file: &Path) -> String {
    format!(
        "stty raw -echo; printf up; head -c 1 > /dev/null; cat {}; printf '\\007'; head -c 1 > /dev/null",
        file.display()
    )
}

/// From a program's writing to the emulator's having read all of it: seconds of wall, and of CPU of the emulator's
/// thread. A bell is heard at once; a title only with a screen, which waits if nobody takes screens.
fn through(file: &Path) -> (f64, f64) {
    let bench = Bench::open(&["sh", "-c", &script(file)]);
    bench.until_shown("up");
    let (start, cpu) = (Instant::now(), cpu_of("terminal"));
    bench.type_in("x");
    bench.until_bell();
    let took = (start.elapsed().as_secs_f64(), (cpu_of("terminal") - cpu).as_secs_f64());
    bench.close();
    took
}

/// The same program at a pseudo terminal of which one thread reads all there is and does `take` with it, until a bell: seconds
/// of wall.
fn read_by_one(file: &Path, mut take: impl FnMut(&[u8])) -> f64 {
    let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", &script(file)]);
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut buffer = vec![0; 64 << 10];
    let mut read = |buffer: &mut [u8]| reader.read(buffer).unwrap();
    loop {
        let len = read(&mut buffer);
        if buffer[..len].ends_with(b"up") {
            break;
        }
    }
    let mut writer = pair.master.take_writer().unwrap();
    let start = Instant::now();
    writer.write_all(b"x").unwrap();
    loop {
        let len = read(&mut buffer);
        take(&buffer[..len]);
        if buffer[..len].last() == Some(&7) {
            break;
        }
    }
    let took = start.elapsed().as_secs_f64();
    writer.write_all(b"x").unwrap();
    child.wait().unwrap();
    took
}

/// The bare grid at a pseudo terminal, as a terminal without frames to draw would be written.
fn bare_at_pty(file: &Path) -> f64 {
    let (mut term, mut processor) = bare_term();
    read_by_one(file, |bytes| processor.advance(&mut term, bytes))
}

fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    println!("{COLUMNS} x {ROWS}, {} MiB a stream, the best of {RUNS} runs in turns; MB/s", STREAM_LEN >> 20);
    println!(
        "bare: the grid alone from memory; at pty: the grid alone, read by one thread; read: thrown away; ours: to the grid"
    );
    println!(
        "stream               bare  at pty    read    ours | ours/at pty  ours/bare | CPU: bare  ours  ratio"
    );
    let mut ratios = Vec::new();
    for (name, bytes) in streams::all(STREAM_LEN, COLUMNS, ROWS) {
        let file = folder.path().join(name);
        fs::write(&file, &bytes).unwrap();
        let (mut alone, mut whole) = ([f64::MAX; 2], [f64::MAX; 2]);
        let (mut at_pty, mut thrown) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS {
            let (wall, cpu) = bare(&bytes);
            alone = [alone[0].min(wall), alone[1].min(cpu)];
            let (wall, cpu) = through(&file);
            whole = [whole[0].min(wall), whole[1].min(cpu)];
            at_pty = at_pty.min(bare_at_pty(&file));
            thrown = thrown.min(read_by_one(&file, |_| {}));
        }
        let rate = |secs: f64| bytes.len() as f64 / 1e6 / secs;
        let of = [at_pty / whole[0], alone[0] / whole[0], alone[1] / whole[1]];
        println!(
            "{name:18} {:6.1}  {:6.1}  {:6.1}  {:6.1} | {:11.2} {:10.2} | {:9.1} {:5.1} {:6.2}",
            rate(alone[0]),
            rate(at_pty),
            rate(thrown),
            rate(whole[0]),
            of[0],
            of[1],
            rate(alone[1]),
            rate(whole[1]),
            of[2]
        );
        ratios.push(of);
        fs::remove_file(file).unwrap();
    }
    for (index, what) in ["beside the grid at a pty", "beside the grid alone", "CPU of the emulator's thread"]
        .into_iter()
        .enumerate()
    {
        let ratios: Vec<f64> = ratios.iter().map(|of| of[index]).collect();
        println!("{what}: least ratio {:.2}, median {:.2}", sorted(ratios.clone())[0], median(ratios));
    }
}

fn flood() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, streams::cargo_colour(48 << 20)).unwrap();
    let script = format!("cat {0}; printf '\\033]2;end\\007'; read x", file.display());
    let bench = Bench::open(&["sh", "-c", &script]);
    let (mut waits, start) = (Vec::new(), Instant::now());
    while *bench.news.title.lock().unwrap() != "end" {
        let before = Instant::now();
        let screen = bench.terminal.screen();
        waits.push(before.elapsed().as_secs_f64() * 1e3);
        drop(screen);
        std::thread::sleep(Duration::from_micros(11_111));
    }
    println!(
        "48 MiB in {:.2} s ({:.1} MB/s)",
        start.elapsed().as_secs_f64(),
        50.3 / start.elapsed().as_secs_f64()
    );
    percentiles("a frame that takes a screen waits", "ms", waits);
    bench.close();
}

fn interrupt() {
    let times = (0..20).map(|_| {
        let bench = Bench::open(&["bash", "--norc", "--noprofile"]);
        bench.until_shown("ready>");
        bench.type_in("clear; yes\r");
        bench.until(|bench| bench.terminal.screen().history > 1000);
        let start = Instant::now();
        bench.control('c');
        bench.until_shown("ready>");
        let took = start.elapsed().as_secs_f64() * 1e3;
        bench.close();
        took
    });
    percentiles("Ctrl-C during `yes` to the prompt", "ms", times.collect());
}

fn echo() {
    let bench = Bench::open(&["sh", "-c", "printf up; exec cat"]);
    bench.until_shown("up");
    let mut times = Vec::new();
    for index in 0..100 {
        let text = format!("k{index}k");
        let start = Instant::now();
        bench.type_in(&text);
        bench.until_shown(&text);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        bench.type_in("\r");
        std::thread::sleep(Duration::from_millis(20));
    }
    percentiles("key to screen (`cat`)", "ms", times);
    bench.close();
}

fn fifty() {
    let line = "a line of a flood, with \x1b[32mcolour\x1b[0m, that goes on and on until it is long enough";
    let benches: Vec<Bench> = (0..50).map(|_| Bench::open(&["yes", line])).collect();
    for bench in &benches {
        bench.until(|bench| bench.terminal.screen().history > 200);
    }
    let (mut cpus, mut walls) = (Vec::new(), Vec::new());
    let (start, all, parsers) = (Instant::now(), clock(ClockId::ProcessCPUTime), cpu_of("terminal"));
    let frames = 300;
    for _ in 0..frames {
        let next = Instant::now() + Duration::from_micros(16_667);
        let (wall, cpu) = (Instant::now(), clock(ClockId::ThreadCPUTime));
        let screens: Vec<Arc<Screen>> = benches.iter().map(|bench| bench.terminal.screen()).collect();
        cpus.push((clock(ClockId::ThreadCPUTime) - cpu).as_secs_f64() * 1e3);
        walls.push(wall.elapsed().as_secs_f64() * 1e3);
        drop(screens);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    percentiles("CPU of a frame that takes 50 screens", "ms", cpus);
    percentiles("wall time of it", "ms", walls);
    let per_frame = |cpu: Duration| cpu.as_secs_f64() * 1e3 / f64::from(frames);
    println!(
        "{frames} frames in {:.2} s; whole process {:.2} ms of CPU a frame, emulators' threads {:.2} ms (the flood takes what is left)",
        start.elapsed().as_secs_f64(),
        per_frame(clock(ClockId::ProcessCPUTime) - all),
        per_frame(cpu_of("terminal") - parsers)
    );
    benches.into_iter().for_each(Bench::close);
    // What publishing costs, without the flood.
    let mut emulator = hearth_terminal::Emulator::new(COLUMNS, ROWS, hearth_abi::terminal::Theme::default());
    let text = streams::cargo_colour(1 << 20);
    let mut screen = Screen::new(1, 1);
    let mut times = Vec::new();
    for chunk in text.chunks(16 << 10).cycle().take(500) {
        emulator.advance(chunk, Instant::now());
        let cpu = clock(ClockId::ThreadCPUTime);
        emulator.refresh(&mut screen, false);
        times.push((clock(ClockId::ThreadCPUTime) - cpu).as_secs_f64() * 1e3);
    }
    percentiles("CPU of making one screen anew", "ms", times);
}

/// Takes updates of a terminal as they may be sent, while `act` acts.
fn shared(bench: &Bench, act: impl FnOnce(&Bench) + Send) -> (usize, usize) {
    let mut sharer = Sharer::new();
    let mut bytes = 0;
    // What is there before is not counted.
    sharer.update(&bench.terminal.screen(), Instant::now());
    let mut updates = 0;
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| act(bench));
        loop {
            let done = acting.is_finished();
            std::thread::sleep(UPDATE_INTERVAL);
            if let Some(update) = sharer.update(&bench.terminal.screen(), Instant::now()) {
                bytes += update.len();
                updates += 1;
            }
            if done {
                break;
            }
        }
    });
    (bytes, updates)
}

fn sharing() {
    let pause = || std::thread::sleep(Duration::from_millis(300));
    let report = |name: &str, bench: &Bench, (bytes, updates): (usize, usize)| {
        let keyframe = pack(Numbers { number: 1, base: 0 }, None, &bench.terminal.screen()).len();
        println!("{name:24} {bytes:8} B in {updates:4} updates, keyframe {keyframe:6} B");
    };
    let keys = |bench: &Bench, keys: &[&str]| {
        for key in keys {
            bench.type_in(key);
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let bench = Bench::open(&["bash", "--norc", "--noprofile"]);
    bench.until_shown("ready>");
    pause();
    report("bash, 10 keys", &bench, shared(&bench, |bench| keys(bench, &["l"; 10])));
    bench.close();

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.rs");
    fs::write(&source, include_str!("terminals.rs").repeat(4)).unwrap();
    let source = source.to_str().unwrap();
    if Path::new("/usr/bin/nvim").exists() {
        let bench = Bench::open(&["nvim", "-u", "NONE", "-n", "-c", "syntax on", "-c", "set number", source]);
        bench.until_shown("use alacritty_terminal");
        pause();
        bench.type_in("o");
        pause();
        report("nvim, 10 keys insert", &bench, shared(&bench, |bench| keys(bench, &["x"; 10])));
        bench.type_in("\x1b");
        pause();
        report("nvim, 20 x Ctrl-F", &bench, shared(&bench, |bench| keys(bench, &["\x06"; 20])));
        bench.close();
    }
    if Path::new("/usr/bin/htop").exists() {
        let bench = Bench::open(&["htop"]);
        bench.until_shown("Load average");
        pause();
        report("htop 10 s", &bench, shared(&bench, |_| std::thread::sleep(Duration::from_secs(10))));
        bench.close();
    }
    let file = folder.path().join("log");
    fs::write(&file, streams::cargo_colour(48 << 20)).unwrap();
    let script =
        format!("head -n 1 >/dev/null; cat {0}; printf '\\033]2;end\\007'; head -n 1", file.display());
    let bench = Bench::open(&["sh", "-c", &script]);
    pause();
    report(
        "cat 48 MiB",
        &bench,
        shared(&bench, |bench| {
            bench.type_in("\r");
            bench.until_title("end");
        }),
    );
    bench.close();
}
