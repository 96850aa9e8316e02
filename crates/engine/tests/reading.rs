// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures of terminals and of text beside those that are kept in `tests/golden`, and their colours.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod common;

use common::{Stage, about, at, day, look, pixel, turned};
use hearth_abi::{
    LumpId, TerminalId,
    scene::{
        Align, Anchor, Camera, Component, ComponentKind, Face, Material, MeshSource, Scope, TerminalView,
        Text,
    },
    screen::{Cell, Cursor, CursorShape, Extra, Screen, style},
};
use hearth_engine::{AssetReport, AssetState, Command, EngineConfig, Picture, Quality};
use hearth_glyph::{Bounds, Bundled, Metrics};
use hearth_scene::Change;
use std::{
    collections::HashMap,
    f32::consts::FRAC_PI_3,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const SIZE: [u32; 2] = [320, 240];
const FOREGROUND: u32 = 0x00E8_E2D8;
const BACKGROUND: u32 = 0x0014_1618;

/// Fonts of the machine would make other pictures of each.
fn stage_of(size: [u32; 2], quality: Quality) -> Stage {
    Stage::with(EngineConfig { size, quality: Some(quality), system_fonts: false, ..EngineConfig::default() })
}

fn stage() -> Stage {
    let mut stage = stage_of(SIZE, Quality::Low);
    stage.make([day()]);
    stage
}

fn terminal() -> TerminalId {
    TerminalId::from_bits(1 << 44 | 1)
}

/// A screen with these lines on it.
fn screen(columns: u16, lines: &[&str]) -> Screen {
    let mut screen = Screen::new(columns, lines.len() as u16);
    screen.background = BACKGROUND;
    screen.cells_mut().fill(Cell::blank(FOREGROUND, BACKGROUND));
    for (row, line) in lines.iter().enumerate() {
        write(&mut screen, 0, row as u16, line, |_| {});
    }
    screen
}

/// Writes from a place on.
fn write(screen: &mut Screen, column: u16, row: u16, text: &str, change: impl Fn(&mut Cell)) {
    let first = usize::from(row) * usize::from(screen.columns()) + usize::from(column);
    for (cell, character) in screen.cells_mut()[first..].iter_mut().zip(text.chars()) {
        cell.character = character;
        change(cell);
    }
}

fn show(stage: &Stage, screen: Screen) {
    let screen = Some(Arc::new(screen));
    stage.control.send(Command::Screen { terminal: terminal(), screen }).unwrap();
}

fn view(cell_height: f32, opacity: f32) -> Component {
    Component::Terminal(TerminalView { terminal: terminal(), cell_height, opacity })
}

const FOV_Y: f32 = 0.6;

/// An eye on the z axis that sees `pixels` to a metre at the origin in a picture of this height.
fn eye(stage: &mut Stage, height: u32, pixels: f32) -> f32 {
    let distance = height as f32 / pixels / 2.0 / (FOV_Y / 2.0).tan();
    let camera = Component::Camera(Camera { fov_y: FOV_Y, ..Camera::default() });
    stage.make_by(common::PEER, Scope::Local, [at(0.0, 0.0, distance), camera]);
    distance
}

fn program() -> Screen {
    let lines = [
        "fn main() -> Result<(), Error> {   ",
        "    let mut orb = Entity::new()    ",
        "        .mesh(Sphere(0.25))        ",
        "        .material(glow([3., 1.]))  ",
        "        .spawn()?;  // it hovers   ",
        "    loop { orb.rise(0.1 * t())?; } ",
        "}                                  ",
    ];
    screen(36, &lines)
}

#[test]
fn a_terminal_from_the_front() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    stage.make([view(0.16, 1.0)]);
    show(&stage, program());
    stage.settle();
    stage.check("terminal");
    // It is gone, and comes back.
    stage.control.send(Command::Screen { terminal: terminal(), screen: None }).unwrap();
    let without = stage.picture();
    assert!(pixel(&without, 160, 120)[0] > 60, "{:?}", pixel(&without, 160, 120));
    show(&stage, program());
    stage.check("terminal");
}

#[test]
fn a_terminal_at_a_slant() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 130.0);
    stage.make([turned(0.2, 0.0, 0.3, about([0.0, 1.0, 0.0], FRAC_PI_3)), view(0.2, 1.0)]);
    show(&stage, program());
    stage.settle();
    stage.check("terminal-slanted");
}

#[test]
fn terminals_from_across_the_room() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    // The same at smaller and smaller sizes, each a little before the one above it, and one from behind.
    for (i, cell_height) in [0.1, 0.06, 0.035, 0.02, 0.01].into_iter().enumerate() {
        stage.make([at(-0.4, 0.95 - 0.45 * i as f32, 0.005 * i as f32), view(cell_height, 1.0)]);
    }
    stage.make([turned(1.1, 0.0, 0.0, about([0.0, 1.0, 0.0], 3.0)), view(0.04, 0.8)]);
    show(&stage, program());
    stage.settle();
    stage.check("terminal-far");
}

#[test]
fn borders_have_no_seams() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let lines = [
        "╭─ cpu ──────╮┏━━━━━┓╔═════╗",
        "│▁▂▃▄▅▆▇█▇▆▅▄│┃ ░▒▓█┃║⣀⣤⣶⣿ ║",
        "│1[||||||    ]│┠──┬──┨╟──┬──╢",
        "├────────────┤┃  │  ┃║  │  ║",
        "│████▌ 56.2% │┗━━┷━━┛╚══╧══╝",
        "╰────────────╯ \u{e0b0}main\u{e0b0} ╱╲╳ ",
    ];
    let mut screen = screen(28, &lines);
    for cell in screen.cells_mut() {
        if cell.character != ' ' {
            cell.foreground = 0x0086_C166;
        }
    }
    stage.make([turned(0.0, 0.0, 0.0, about([0.0, 1.0, 0.0], 0.35)), view(0.22, 1.0)]);
    show(&stage, screen);
    stage.settle();
    stage.check("terminal-borders");
}

#[test]
fn styles_underlines_and_a_cursor() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let mut screen = screen(24, &["", "", "", "", "", ""]);
    let styles = [
        (0, 0, "regular", 0),
        (8, 0, "bold", style::BOLD),
        (13, 0, "italic", style::ITALIC),
        (20, 0, "both", style::BOLD | style::ITALIC),
        (0, 1, "single", style::UNDERLINE_SINGLE),
        (8, 1, "double", style::UNDERLINE_DOUBLE),
        (16, 1, "curly", style::UNDERLINE_CURLY),
        (0, 2, "dotted", style::UNDERLINE_DOTTED),
        (8, 2, "dashed", style::UNDERLINE_DASHED),
        (16, 2, "struck", style::STRIKEOUT),
        (0, 3, "selected", style::SELECTED),
        (10, 3, "found", style::FOUND),
        (0, 4, "e\u{0}o", 0),
    ];
    for (column, row, text, bits) in styles {
        write(&mut screen, column, row, text, |cell| cell.style |= bits);
    }
    // A curly line in red, an e with marks that stand over each other, a coloured background.
    for column in 16..21 {
        let index = 24 + column;
        screen.cells_mut()[index].style |= style::EXTRA;
        screen.extras.insert(index as u32, Extra { underline: Some(0x00F0_6C64), ..Extra::default() });
    }
    for (column, marks) in [(0, "\u{302}\u{301}"), (1, ""), (2, "\u{308}")] {
        let index = 4 * 24 + column;
        if !marks.is_empty() {
            screen.cells_mut()[index].style |= style::EXTRA;
            screen.extras.insert(index as u32, Extra { marks: marks.into(), ..Extra::default() });
        }
    }
    write(&mut screen, 6, 4, " on blue ", |cell| cell.background = 0x0030_509A);
    write(&mut screen, 0, 5, "cursor", |_| {});
    screen.cursor = Cursor { shape: CursorShape::Block, column: 3, row: 0, color: 0x00FF_B454, blinks: true };
    stage.make([view(0.24, 0.7)]);
    show(&stage, screen.clone());
    stage.settle();
    stage.picture();
    // Glyphs come by the clock of the wall, and the engine's ran on meanwhile; a cursor that moves is on.
    screen.cursor.row = 5;
    show(&stage, screen.clone());
    stage.check("terminal-styles");

    // It blinks: after half a second it is not there, and any move brings it back.
    let at_cursor =
        |picture: &Picture| picture.rgba.chunks_exact(4).filter(|p| p[0] > 230 && p[2] < 120).count();
    let on = at_cursor(&stage.picture());
    (0..32).for_each(|_| drop(stage.step()));
    let off = at_cursor(&stage.picture());
    let mut areas = Vec::new();
    for shape in [CursorShape::Bar, CursorShape::Underline, CursorShape::Hollow, CursorShape::Hidden] {
        screen.cursor.shape = shape;
        screen.cursor.column += 1;
        show(&stage, screen.clone());
        areas.push(at_cursor(&stage.picture()));
    }
    assert!(on > 100 && off < on / 3, "{on} {off}");
    let [bar, line, hollow, hidden] = areas[..] else { panic!() };
    assert!(bar > hidden + 5 && line > hidden + 5 && hollow > hidden + 10 && hollow < on, "{areas:?}");
}

#[test]
fn labels_with_alignments_wrapping_and_a_plate() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let text = |text: &str| Text { text: text.into(), size: 0.16, ..Text::default() };
    let label = |text: Text| Component::Text(Box::new(text));
    stage.make([at(0.0, 0.95, 0.0), label(Text { size: 0.3, bold: true, ..text("Hearth") })]);
    let left = Text { align: Align::Left, anchor: Anchor::Top, width: 1.3, ..text("") };
    let words = "A paragraph that is wrapped at a metre and a bit, in dark letters.";
    stage.make([
        at(-1.5, 0.7, 0.0),
        label(Text { text: words.into(), color: [0.02, 0.03, 0.1, 1.0], ..left }),
    ]);
    let plate =
        Text { background: [0.02, 0.02, 0.03, 0.85], color: [1.0, 0.45, 0.1, 1.0], ..text("orb.rs\n12 ms") };
    stage.make([at(0.75, 0.4, 0.0), label(plate)]);
    let right = Text {
        align: Align::Right,
        anchor: Anchor::Baseline,
        face: Face::Mono,
        italic: true,
        ..text("mono, right")
    };
    let sign = stage.make([at(1.5, -0.3, 0.0), label(right)]);
    // Behind a pillar, at a slant, and from behind, where there is nothing but a plate to be seen.
    let blue = look(Material { unlit: true, base_color: [0.1, 0.2, 0.6, 1.0], ..Material::default() });
    stage.make([at(-1.0, -0.75, 0.2), Component::Mesh(MeshSource::Cuboid([0.25, 0.6, 0.1])), blue]);
    stage.make([turned(-0.9, -0.7, 0.0, about([0.0, 1.0, 0.0], 0.8)), label(text("half hidden"))]);
    let back = Text { background: [0.3, 0.05, 0.05, 1.0], ..text("from behind") };
    stage.make([turned(0.9, -0.8, 0.0, about([0.0, 1.0, 0.0], 2.8)), label(back)]);
    stage.settle();
    stage.check("labels");

    // Longer than what is laid out at once, and then nothing.
    stage.set(sign, label(Text { size: 0.05, width: 1.5, ..text(&"long ".repeat(80)) }));
    let long = stage.picture();
    stage.set(sign, label(text("")));
    let none = stage.picture();
    assert_ne!(long.rgba, none.rgba);
}

/// A font that no face has: a bundled one that claims that so many of its units are an em, where they are 1,000.
fn font(units: u16) -> Vec<u8> {
    let mut bytes = include_bytes!("../../glyph/fonts/JetBrainsMono-BoldItalic.ttf").to_vec();
    let record = bytes.windows(4).position(|tag| tag == b"head").unwrap();
    let head = u32::from_be_bytes(bytes[record + 8..record + 12].try_into().unwrap()) as usize;
    bytes[head + 18..head + 20].copy_from_slice(&units.to_be_bytes());
    bytes
}

/// A font of eight simple glyphs, with outlines of the other format.
const SIMPLE: &[u8] = include_bytes!("../../glyph/tests/files/plain.otf");

#[test]
fn labels_in_fonts_that_lumps_bring() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let (wide, simple, broken) = (stage.lump(font(800)), stage.lump(SIMPLE), stage.lump(b"no font"));
    let nowhere = stage.answer(Err("nobody has it".into()));
    let text = |text: &str, face| Text { text: text.into(), size: 0.17, face, ..Text::default() };
    let label = |text: Text| Component::Text(Box::new(text));
    stage
        .make([at(0.0, 0.95, 0.0), label(Text { size: 0.24, ..text("Hearth, ♞ & fire", Face::Lump(wide)) })]);
    let words = "Wrapped at a metre and a bit, with what it has not: ♜ ♝.";
    let wrapped =
        Text { align: Align::Left, anchor: Anchor::Top, width: 1.35, ..text(words, Face::Lump(wide)) };
    stage.make([at(-1.5, 0.65, 0.0), label(Text { color: [0.02, 0.03, 0.1, 1.0], ..wrapped })]);
    let plate =
        Text {
            size: 0.22, background: [0.02, 0.02, 0.03, 0.85], ..text("AVÄoo\nAV 0V", Face::Lump(simple))
        };
    stage.make([at(0.3, 0.3, 0.0), label(plate.clone())]);
    stage.make([at(1.15, 0.3, 0.0), label(Text { bold: true, italic: true, ..plate })]);
    let bad = [broken, nowhere].map(|lump| text("in Sans", Face::Lump(lump)));
    let mut entities = Vec::new();
    for (i, text) in bad.into_iter().enumerate() {
        entities.push(stage.make([at(0.3 + 0.8 * i as f32, -0.35, 0.0), label(text)]));
    }
    stage.make([at(0.7, -0.7, 0.0), label(Text { bold: true, ..text("in Sans", Face::Sans) })]);
    stage.settle();
    stage.check("fonts");
    stage.failures.sort();
    let reason = "not a TrueType or OpenType font that can be read";
    assert_eq!(
        stage.failures,
        [
            (vec![entities[0]], broken, reason.to_owned()),
            (vec![entities[1]], nowhere, "nobody has it".to_owned())
        ]
    );
}

#[test]
fn a_font_that_comes_changes_and_goes() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let label = |face| Text { text: "AVÄo 0".into(), size: 0.5, face, ..Text::default() };
    let label = |face| Component::Text(Box::new(label(face)));
    let sign = stage.make([label(Face::Sans)]);
    stage.settle();
    let sans = stage.picture().rgba;
    // Legible at once, while the lump is on its way.
    let late = LumpId([0xab; 32]);
    stage.set(sign, label(Face::Lump(late)));
    assert!(stage.picture().rgba == sans, "the face that stands in");
    assert_eq!(stage.wanted, [late]);
    stage.control.send(Command::Lump { id: late, bytes: Ok(SIMPLE.to_vec().into()) }).unwrap();
    stage.settle();
    let simple = stage.picture().rgba;
    assert!(simple != sans);
    // Another in its place, by which the first is not used any more; and a long text, which is laid out beside the frame.
    let other = stage.lump(font(1200));
    stage.set(sign, label(Face::Lump(other)));
    stage.settle();
    let changed = stage.picture().rgba;
    assert!(changed != simple && changed != sans);
    let long =
        Text { text: "AV 0 ".repeat(80), width: 2.0, size: 0.05, face: Face::Lump(other), ..Text::default() };
    stage.set(sign, Component::Text(Box::new(long)));
    assert!(stage.picture().rgba != changed);
    stage.set(sign, label(Face::Lump(other)));
    assert!(stage.picture().rgba == changed);
    let reports = |stage: &mut Stage| -> Vec<AssetReport> {
        let (tell, told) = mpsc::sync_channel(1);
        stage.control.send(Command::Assets(Box::new(move |all| drop(tell.send(all))))).unwrap();
        stage.step();
        told.try_recv().unwrap().unwrap()
    };
    let found = reports(&mut stage);
    let [report] = &found[..] else { panic!("{found:?}") };
    assert_eq!((report.class, report.lump, report.users), ("Font", other, 1));
    assert!(matches!(report.state, AssetState::Ready { memory_bytes } if memory_bytes > 200_000));
    // The first is gone, and is fetched again when it is loaded; a text that comes then has it at once.
    let (tell, told) = mpsc::sync_channel(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    stage.control.send(Command::Load { class: "Font".into(), id: late, done }).unwrap();
    stage.control.send(Command::Lump { id: late, bytes: Ok(SIMPLE.to_vec().into()) }).unwrap();
    stage.settle();
    assert_eq!(told.try_recv(), Ok(Ok(())));
    stage.set(sign, label(Face::Lump(late)));
    assert!(stage.picture().rgba == simple);
    stage.change(Change::Unset { id: sign, kind: ComponentKind::Text });
    stage.control.send(Command::Drop { class: "Font".into(), id: late }).unwrap();
    stage.step();
    assert!(reports(&mut stage).is_empty());
    stage.set(sign, label(Face::Sans));
    assert!(stage.picture().rgba == sans);
}

/// How many pixels are lighter than the ground of a plate.
fn inked(picture: &Picture) -> usize {
    picture.rgba.chunks_exact(4).filter(|pixel| pixel[0] > 120).count()
}

fn plate(text: String) -> Component {
    let background = [0.0, 0.0, 0.0, 1.0];
    Component::Text(Box::new(Text { text, size: 0.08, background, width: 3.0, ..Text::default() }))
}

#[test]
fn long_text_that_changes_before_every_picture_is_shown() {
    let mut stage = stage();
    eye(&mut stage, SIZE[1], 100.0);
    let sign = stage.make([plate(String::new())]);
    stage.settle();
    let without = inked(&stage.picture());
    let began = Instant::now();
    let (tell, told) = mpsc::sync_channel(64);
    let ask = |stage: &Stage| {
        let tell = tell.clone();
        let done = Box::new(move |picture| drop(tell.send(picture)));
        stage.control.send(Command::Screenshot(done)).unwrap();
    };
    ask(&stage);
    for number in 0.. {
        stage.set(sign, plate(format!("{number} {}", "long ".repeat(600))));
        stage.step();
        match told.try_recv() {
            Ok(picture) if inked(picture.as_ref().unwrap()) != without => break,
            Ok(_) => ask(&stage),
            Err(_) => {}
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it was never shown");
    }
}

#[test]
fn signs_that_are_drawn_go_on_in_labels_without_a_seam() {
    for (sign, opacity) in [('█', 1.0), ('█', 0.5), ('░', 1.0)] {
        let mut stage = stage();
        eye(&mut stage, SIZE[1], 100.0);
        let text = Text {
            text: sign.to_string().repeat(8),
            size: 0.4,
            face: Face::Mono,
            color: [1.0, 1.0, 1.0, opacity],
            ..Text::default()
        };
        let black = look(Material { unlit: true, base_color: [0.0, 0.0, 0.0, 1.0], ..Material::default() });
        stage.make([at(0.0, 0.0, -0.1), Component::Mesh(MeshSource::Cuboid([8.0, 8.0, 0.1])), black]);
        stage.make([Component::Text(Box::new(text))]);
        let picture = stage.picture();
        // A line through the middle of the signs, without their ends.
        let line: Vec<u8> = (100..220).map(|x| pixel(&picture, x, 120)[1]).collect();
        let (least, most) = (line.iter().min().unwrap(), line.iter().max().unwrap());
        assert!(*least > 40 && most - least <= 3, "{sign} at {opacity}: {line:?}");
    }
}

#[test]
fn colours_are_those_of_the_theme() {
    for quality in [Quality::Low, Quality::High] {
        let mut stage = stage_of(SIZE, quality);
        stage.make([day()]);
        eye(&mut stage, SIZE[1], 100.0);
        // Something bright beside it, whose glow must not lie over it.
        let glow = look(Material { emissive: [60.0, 50.0, 20.0], ..Material::default() });
        stage.make([at(0.0, 1.1, 0.0), Component::Mesh(MeshSource::Sphere(0.15)), glow]);
        let colors = [
            0x0014_1618,
            0x00FF_0000,
            0x0000_FF00,
            0x0000_00FF,
            0x00FF_FFFF,
            0x0000_0000,
            0x00E8_E2D8,
            0x00FF_B454,
            0x0086_C166,
            0x0001_0203,
            0x0080_8080,
            0x00C2_8FE0,
            0x00F0_6C64,
            0x0056_C2B8,
            0x000A_0A0A,
            0x00FE_FE00,
        ];
        let mut screen = Screen::new(16, 1);
        screen.background = 0x0040_3020;
        for (cell, color) in screen.cells_mut().iter_mut().zip(colors) {
            *cell = Cell { character: '█', foreground: color, background: 0x0012_3456, style: 0 };
        }
        let metrics = Metrics::mono();
        stage.make([view(0.3, 1.0)]);
        show(&stage, screen);
        stage.settle();
        let picture = stage.picture();
        let cell_width = 30.0 * metrics.cell_width / metrics.line_height;
        let seen = |column: f32| pixel(&picture, (160.0 + (column - 8.0) * cell_width) as u32, 120);
        let near = |seen: [u8; 3], color: u32| {
            let wanted = [color >> 16 & 255, color >> 8 & 255, color & 255];
            let far = (0..3).any(|i| u32::from(seen[i]).abs_diff(wanted[i]) > 2);
            assert!(!far, "{quality:?}: {seen:?}, not {wanted:?}");
        };
        for (column, color) in colors.into_iter().enumerate() {
            near(seen(column as f32 + 0.5), color);
        }
        near(seen(-0.2), 0x0040_3020);
    }
}

/// Lines of the sheet whose error is measured.
const SHEET: [&str; 5] = [
    "fn main() -> Result<(), Error> { // the quick ox",
    "    let mut orb = Entity::new().mesh(Sphere(0.25)",
    "The five boxing wizards jump quickly. 0123456789",
    "if (a != b && c <= d) { x[i] += y[j] * 3.14159; }",
    "WAVE @#$%&*{}[]<>~^|\\/ SPHINX OF BLACK QUARTZ!?",
];

/// The sheet's letters by many points to an em: what is there at a place in em from the upper left.
struct Sheet {
    columns: usize,
    lines: Vec<Vec<char>>,
    maps: HashMap<char, Vec<f32>>,
    size: [usize; 2],
}

impl Sheet {
    fn new(columns: usize, per_em: f32) -> Sheet {
        let metrics = Metrics::mono();
        let cell =
            Bounds { left: 0.0, bottom: metrics.descent, right: metrics.cell_width, top: metrics.ascent };
        let size = [cell.width(), cell.height()].map(|edge| (edge * per_em).round() as usize);
        let mut maps = HashMap::new();
        for character in SHEET.iter().flat_map(|line| line.chars().take(columns)) {
            maps.entry(character).or_insert_with(|| {
                let map = Bundled::MonoRegular.coverage(character, cell, size[0], size[1], 3);
                map.unwrap_or_else(|| vec![0.0; size[0] * size[1]])
            });
        }
        let lines =
            SHEET.iter().map(|line| line.chars().chain(std::iter::repeat(' ')).take(columns).collect());
        Sheet { columns, lines: lines.collect(), maps, size }
    }

    fn at(&self, x: f32, y: f32) -> Option<f32> {
        let metrics = Metrics::mono();
        let (column, row) = ((x / metrics.cell_width).floor(), (y / metrics.line_height).floor());
        if column < 0.0 || row < 0.0 || column as usize >= self.columns || row as usize >= SHEET.len() {
            return None;
        }
        let map = &self.maps[&self.lines[row as usize][column as usize]];
        // Between the middles of the points about it.
        let [width, height] = self.size;
        let place = |at: f32, cell: f32, edge: usize| {
            let place = ((at / cell).fract() * edge as f32 - 0.5).clamp(0.0, edge as f32 - 1.001);
            (place as usize, place.fract())
        };
        let (column, right) = place(x, metrics.cell_width, width);
        let (row, lower) = place(y, metrics.line_height, height);
        let along = |row: usize| {
            let (a, b) = (map[row * width + column], map[row * width + column + 1]);
            a + (b - a) * right
        };
        let (above, below) = (along(row), along(row + 1));
        Some(above + (below - above) * lower)
    }
}

/// The error of a sheet that is drawn with so many pixels to an em, turned by an angle, in dB.
fn psnr(columns: usize, pixels: f32, angle: f32) -> f64 {
    const PER_METRE: f32 = 1000.0;
    let metrics = Metrics::mono();
    let width = columns as f32 * metrics.cell_width * pixels;
    let height = SHEET.len() as f32 * metrics.line_height * pixels;
    let size = [(width * 1.1) as u32 + 32, (height * if angle == 0.0 { 1.0 } else { 1.7 }) as u32 + 32];
    let mut stage = stage_of(size, Quality::Low);
    let distance = eye(&mut stage, size[1], PER_METRE);
    let mut screen = Screen::new(columns as u16, SHEET.len() as u16);
    screen.background = 0;
    screen.cells_mut().fill(Cell::blank(0x00FF_FFFF, 0));
    for (row, line) in SHEET.iter().enumerate() {
        let text: String = line.chars().take(columns).collect();
        write(&mut screen, 0, row as u16, &text, |_| {});
    }
    let cell_height = metrics.line_height * pixels / PER_METRE;
    stage.make([turned(0.0, 0.0, 0.0, about([0.0, 1.0, 0.0], angle)), view(cell_height, 1.0)]);
    show(&stage, screen);
    stage.settle();
    let picture = stage.picture();

    let samples = if pixels > 50.0 { 8 } else { 16u32 };
    let sheet = Sheet::new(columns, pixels * samples as f32 * if angle == 0.0 { 1.0 } else { 1.5 });
    let focal = size[1] as f32 / 2.0 / (FOV_Y / 2.0).tan();
    let em = PER_METRE / pixels;
    let (sin, cos) = angle.sin_cos();
    // Where a ray through a place of the picture meets the sheet, in em from its upper left.
    let meet = |x: f32, y: f32| {
        let ray = [(x - size[0] as f32 / 2.0) / focal, (size[1] as f32 / 2.0 - y) / focal];
        // The sheet's normal is (sin, 0, cos), its x axis (cos, 0, -sin).
        let along = -distance * cos / (ray[0] * sin - cos);
        let (hit_x, hit_y, hit_z) = (ray[0] * along, ray[1] * along, distance - along);
        let across = hit_x * cos - hit_z * sin;
        [
            across * em + columns as f32 * metrics.cell_width / 2.0,
            SHEET.len() as f32 * metrics.line_height / 2.0 - hit_y * em,
        ]
    };
    let (mut sum, mut count) = (0.0f64, 0.0f64);
    for y in 0..size[1] {
        for x in 0..size[0] {
            let mut covered = 0.0;
            let mut outside = false;
            for i in 0..samples * samples {
                let part = |i: u32| (i as f32 + 0.5) / samples as f32;
                let [u, v] = meet(x as f32 + part(i % samples), y as f32 + part(i / samples));
                match sheet.at(u, v) {
                    Some(here) => covered += here,
                    None => outside = true,
                }
            }
            if outside {
                continue;
            }
            let code = f64::from(pixel(&picture, x, y)[1]) / 255.0;
            let linear = if code <= 0.04045 { code / 12.92 } else { ((code + 0.055) / 1.055).powf(2.4) };
            let error = linear - f64::from(covered) / f64::from(samples * samples);
            sum += error * error;
            count += 1.0;
        }
    }
    assert!(count > 1000.0, "{count}");
    -10.0 * (sum / count).log10()
}

#[test]
fn letters_are_as_good_as_supersampled_ones() {
    let mut report = String::new();
    let mut is_bad = false;
    for (columns, pixels, angle, least) in [
        (48, 6.0, 0.0, 34.0),
        (48, 12.0, 0.0, 39.0),
        (48, 24.0, 0.0, 43.0),
        (16, 96.0, 0.0, 42.0),
        (48, 12.0, FRAC_PI_3, 38.0),
        (48, 24.0, FRAC_PI_3, 43.9),
    ] {
        let found = psnr(columns, pixels, angle);
        is_bad |= found < least;
        report += &format!("{pixels} px at {:.0}°: {found:.2} dB, at least {least}\n", angle.to_degrees());
    }
    eprint!("{report}");
    assert!(!is_bad, "\n{report}");
}

/// What tells the user who has their keyboard.
fn typing(stage: &mut Stage, line: Option<&str>) {
    stage.control.send(Command::Typing(line.map(str::to_owned))).unwrap();
}

/// How many pixels of the upper part have its colours: letters, and a plate that is nearly black.
fn marked(picture: &Picture) -> [usize; 2] {
    let rows = picture.height / 8;
    let all = (0..rows).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
    let all: Vec<[u8; 3]> = all.map(|(x, y)| pixel(picture, x, y)).collect();
    let is_ink = |[r, g, b]: &[u8; 3]| *r > 220 && (180..240).contains(g) && (130..200).contains(b);
    let is_plate = |[r, g, b]: &[u8; 3]| *r < 60 && *g < 60 && *b < 60;
    [all.iter().filter(|at| is_ink(at)).count(), all.iter().filter(|at| is_plate(at)).count()]
}

#[test]
fn the_line_that_tells_who_has_the_keyboard_stands_over_everything() {
    const LINE: &str = "a script of ann gets what you type: “guest book”. Esc leaves";
    for quality in [Quality::Low, Quality::High] {
        let mut stage = stage_of([640, 360], quality);
        stage.make([day()]);
        let eye = stage.make_by(
            common::PEER,
            Scope::Local,
            [at(3.0, 1.0, 2.0), Component::Camera(Camera { near: 0.05, ..Camera::default() })],
        );
        stage.settle();
        let without = stage.picture();
        assert_eq!(marked(&without), [0, 0]);
        typing(&mut stage, Some(LINE));
        let shown = marked(&stage.picture());
        assert!(shown[0] > 300 && shown[1] > 2500, "{shown:?}");
        // What a script puts right before the eye: a plate, a bright one that blends, and writing, all nearer than the line.
        let white = Material { unlit: true, base_color: [1.0; 4], ..Material::default() };
        let parent = |id| Change::Reparented { id, parent: Some(eye) };
        let plate = stage.make_by(
            common::PEER,
            Scope::Local,
            [at(0.0, 0.0, -0.06), Component::Mesh(MeshSource::Cuboid([1.0, 1.0, 0.001])), look(white)],
        );
        let glass =
            Material { blend: true, base_color: [1.0, 1.0, 1.0, 0.9], unlit: true, ..Material::default() };
        let pane = stage.make_by(
            common::PEER,
            Scope::Local,
            [at(0.0, 0.0, -0.055), Component::Mesh(MeshSource::Cuboid([1.0, 1.0, 0.001])), look(glass)],
        );
        let lie = Text { text: "all is well".into(), size: 0.02, background: [1.0; 4], ..Text::default() };
        let words = stage.make_by(
            common::PEER,
            Scope::Local,
            [at(0.0, 0.025, -0.052), Component::Text(Box::new(lie))],
        );
        [plate, pane, words].into_iter().for_each(|id| stage.change(parent(id)));
        // Nor do the layers that a camera sees, or its angle, or where it is.
        stage.set(eye, Component::Layers(hearth_abi::scene::Layers::of(&[3])));
        stage.settle();
        let blind = marked(&stage.picture());
        stage.change(Change::Unset { id: eye, kind: ComponentKind::Layers });
        stage.settle();
        let covered = stage.picture();
        assert!(pixel(&covered, 320, 300).iter().all(|part| *part > 200), "all else is covered");
        for (what, now) in [("covered", marked(&covered)), ("in another layer", blind)] {
            assert!(
                now.iter().zip(shown).all(|(now, shown)| now.abs_diff(shown) * 5 < shown),
                "{what}: {now:?}, {shown:?}"
            );
        }
        let wide = Camera { near: 2.0, fov_y: 2.2, ..Camera::default() };
        stage.set(eye, Component::Camera(wide));
        stage.set(eye, at(-4000.0, 900.0, 3000.0));
        stage.settle();
        let moved = marked(&stage.picture());
        assert!(
            moved.iter().zip(shown).all(|(now, shown)| now.abs_diff(shown) * 4 < shown),
            "{moved:?}, {shown:?}"
        );
        typing(&mut stage, None);
        assert_eq!(marked(&stage.picture())[0], 0);
    }
}
