// SPDX-License-Identifier: AGPL-3.0-or-later
//! A board with everything that the interface kit has, for anybody to try.
//!
//! Arguments: where its middle is, `x y z` in metres, and how far it is turned left from facing +Z, in radians; or `view`: then it is
//! fixed to this user's view, and takes their keyboard. `hearth-ctl spawn --peer 0 kit.wasm -- 0 1.6 2` puts it up for everybody.
//! `font=LUMP`, or `font=LUMP:0.88` for letters that are so many times as wide as those without serifs: it is written in that at
//! first.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_kit::*;
use hearth_sdk::{peer_name, prelude::*};

hearth_sdk::main!(run);

const THEMES: [&str; 3] = ["Dusk", "Paper", "Contrast"];
const FACES: [&str; 3] = ["Without serifs", "One width", "Another font"];
const TREES: [&str; 12] =
    ["alder", "ash", "beech", "birch", "elm", "hazel", "larch", "lime", "maple", "oak", "rowan", "willow"];
/// How far the board stands from the eye in metres when it is fixed to the view, and how large it is there.
const VIEW: [f32; 3] = [0.0, 0.0, 0.5];
const VIEW_SCALE: f32 = 0.32;

#[derive(Clone, Debug)]
enum Does {
    Theme(usize),
    Face(usize),
    Level(f32),
    Warm(bool),
    Greet,
    Do(usize),
    Name(String),
    Tree(usize),
    Row(usize),
    Paint(Color),
}

struct Board {
    ui: Ui<Does>,
    last: Handle<Label>,
    value: Handle<Label>,
    bar: Handle<Progress>,
    name: Handle<Field<Does>>,
    level: Handle<Slider<Does>>,
    /// A font that it can be written in, and how wide that is.
    font: Option<(LumpId, f32)>,
    face: (Face, f32),
}

/// A font as an argument names it.
fn font(arg: &str) -> Option<(LumpId, f32)> {
    let font = arg.strip_prefix("font=")?;
    let (lump, width) = font.split_once(':').unwrap_or((font, "1"));
    Some((lump.parse().ok()?, width.parse().ok()?))
}

fn board(place: Place, font: Option<(LumpId, f32)>) -> Result<Board, Error> {
    let (last, value, bar, name, level) =
        (Handle::new(), Handle::new(), Handle::new(), Handle::new(), Handle::new());
    let faces = FACES.into_iter().take(if font.is_some() { 3 } else { 2 });
    let head = row![
        title("Interface kit"),
        space(0.0).grow(),
        label("Theme"),
        menu(THEMES, 0, Does::Theme),
        label("Letters"),
        menu(faces, if font.is_some() { 2 } else { 0 }, Does::Face),
    ];
    let controls = col![
        row![label("Level").width(0.11), slider(0.0..=1.0, 0.4, Does::Level).handle(level), label("40 %").right().handle(value).width(0.085)],
        progress(0.4).handle(bar),
        row![hint("while nobody knows").width(0.24), progress(None)],
        row![toggle("Warm", true, Does::Warm), space(0.0).grow(), toggle("Not now", false, Does::Warm).disabled()],
        row![
            button("Say hello", Does::Greet).main(),
            menu(["Level to 0", "Level to 1", "Forget the name"], None, Does::Do).title("More"),
            button("Disabled", Does::Greet).disabled(),
        ],
        field("").placeholder("Your name").len_max(60).on_enter(Does::Name).handle(name),
        paragraph(
            "Press, drag and scroll. Enter in the field says the name; where there is no keyboard, keys come up. \
             Whoever does something is named below.",
        )
        .small(),
    ];
    let rows = TREES.iter().enumerate();
    let rows = rows.map(|(at, tree)| row![label(*tree).grow(), button("Water", Does::Row(at))].into_node());
    let lists = col![
        label("A list"),
        list(TREES, 5, Does::Tree),
        label("Rows that scroll"),
        scroll(rows.collect()).height(0.26),
    ];
    let colors = col![label("A colour"), picker(srgb(0xf0a030), Does::Paint)];
    let body = row![controls.width(0.52), lists.width(0.34), colors].cross(Cross::Start).gap(0.04);
    let content = col![head.grow(), body, label("Nobody has touched it yet.").handle(last).grow()].panel();
    let face = font.map_or((Face::Sans, 1.0), |(lump, width)| (Face::Lump(lump), width));
    let ui = Ui::new(place, Theme::dusk().in_face(face.0, face.1), content)?;
    Ok(Board { ui, last, value, bar, name, level, font, face })
}

async fn run() -> Result<(), Error> {
    let args = args();
    let is_view = args.first().is_some_and(|arg| arg == "view");
    let numbers: Vec<f32> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let place = match numbers[..] {
        _ if is_view => Place::view(eye().await?, VIEW).scaled(VIEW_SCALE),
        [x, y, z] => Place::at(vec3(x, y, z), Quat::IDENTITY),
        [x, y, z, yaw] => Place::at(vec3(x, y, z), Quat::about(Vec3::Y, yaw)),
        _ => Place::at(vec3(0.0, 1.6, 2.0), Quat::IDENTITY),
    };
    let mut board = board(place, args.iter().find_map(|arg| font(arg)))?;
    if is_view {
        board.ui.listen_to_keyboard()?;
    }
    info!("the board is {}", board.ui.root());
    loop {
        let said = board.ui.next().await?;
        let who = peer_name(said.user).unwrap_or_else(|| format!("peer {}", said.user));
        let what = board.does(said.message, &who)?;
        board.ui.edit(board.last, |last| last.set(format!("{who} {what}")))?;
    }
}

impl Board {
    /// Does what was asked for, and says what that was.
    fn does(&mut self, message: Does, who: &str) -> Result<String, Error> {
        Ok(match message {
            Does::Theme(theme) => {
                let colors = match theme {
                    0 => Theme::dusk(),
                    1 => Theme::paper(),
                    _ => Theme::contrast(),
                };
                let (face, width) = self.face;
                self.ui.set_theme(colors.in_face(face, width));
                format!("has chosen {}", THEMES[theme.min(2)])
            }
            Does::Face(face) => {
                self.face = match (face, self.font) {
                    (0, _) => (Face::Sans, 1.0),
                    (2, Some((lump, width))) => (Face::Lump(lump), width),
                    _ => (Face::Mono, 1.0),
                };
                let (face_now, width) = self.face;
                let theme = self.ui.theme().clone().in_face(face_now, width);
                self.ui.set_theme(theme);
                format!("has chosen {}", FACES[face.min(2)].to_lowercase())
            }
            Does::Level(level) => {
                self.show_level(level)?;
                format!("has set the level to {:.0} %", level * 100.0)
            }
            Does::Warm(on) => format!("has put it {}", if on { "on" } else { "off" }),
            Does::Greet => {
                self.ui.toast(format!("{who} says hello."));
                "has said hello".into()
            }
            Does::Do(2) => {
                self.ui.edit(self.name, |name| name.set(""))?;
                "has forgotten the name".into()
            }
            Does::Do(line) => {
                let level = line as f32;
                self.ui.edit(self.level, |slider| slider.set(level))?;
                self.show_level(level)?;
                format!("has set the level to {:.0} %", level * 100.0)
            }
            Does::Name(name) => format!("has written {name:?}"),
            Does::Tree(tree) => format!("likes the {}", TREES[tree % TREES.len()]),
            Does::Row(tree) => format!("has watered the {}", TREES[tree % TREES.len()]),
            Does::Paint(color) => format!("has chosen {}", web_color(color)),
        })
    }

    fn show_level(&mut self, level: f32) -> Result<(), Error> {
        self.ui.edit(self.value, |label| label.set(format!("{:.0} %", level * 100.0)))?;
        self.ui.edit(self.bar, |bar| bar.set(level))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::{abi::scene::Op, testing};

    #[test]
    fn it_shows_everything_and_does_what_it_is_told() {
        let run = async {
            let own = font(&format!("font={}:0.8", LumpId([7; 32])));
            let mut board = board(Place::at(Vec3::ZERO, Quat::IDENTITY), own)?;
            let [width, height] = board.ui.size();
            assert!((1.0..1.8).contains(&width) && (0.5..1.2).contains(&height), "{width} × {height}");
            assert_eq!(board.does(Does::Do(1), "Ada")?, "has set the level to 100 %");
            for theme in 0..3 {
                board.does(Does::Theme(theme), "Ada")?;
                board.ui.settle()?;
            }
            board.does(Does::Greet, "Ada")?;
            board.ui.settle()?;
            assert_eq!(board.does(Does::Face(0), "Ada")?, "has chosen without serifs");
            board.ui.settle()?;
            assert_eq!(board.does(Does::Face(2), "Ada")?, "has chosen another font");
            board.does(Does::Theme(1), "Ada")?;
            board.ui.settle()?;
            assert_eq!(
                (board.ui.theme().face, board.ui.theme().face_width),
                (Face::Lump(LumpId([7; 32])), 0.8)
            );
            Ok::<(), Error>(())
        };
        assert_eq!(testing::run_for(run, Duration::from_secs(1)), Some(Ok(())));
        let ops: Vec<Op> = testing::batches().into_iter().flatten().collect();
        let wrote = |wanted: &str| {
            ops.iter().any(|op| matches!(op, Op::Set(_, Component::Text(text)) if text.text == wanted))
        };
        let in_face = |wanted: Face| {
            ops.iter().any(|op| matches!(op, Op::Set(_, Component::Text(text)) if text.face == wanted))
        };
        assert!(in_face(Face::Lump(LumpId([7; 32]))) && in_face(Face::Sans));
        assert_eq!(font("font=no id"), None);
        assert!(wrote("100 %") && wrote("Ada says hello.") && wrote("Interface kit"));
    }

    #[test]
    fn it_runs_until_it_is_ended() {
        testing::set_args(&["0", "1.5", "2", "0.3"]);
        assert_eq!(testing::run_for(run(), Duration::from_secs(3)), None);
        let made = testing::batches().iter().flatten().filter(|op| matches!(op, Op::Create(..))).count();
        assert!((100..400).contains(&made), "{made}");
    }
}
