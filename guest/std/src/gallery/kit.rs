// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 14: a board of the interface kit.

use super::stand::{Build, Stand, live};
use hearth_kit::*;
use hearth_sdk::{peer_name, prelude::*};

const TREES: [&str; 8] = ["alder", "ash", "beech", "birch", "elm", "hazel", "larch", "oak"];
const THEMES: [&str; 4] = ["Dusk", "Paper", "Contrast", "Typewriter"];

#[derive(Clone, Debug)]
enum Does {
    Theme(usize),
    Level(f32),
    Warm(bool),
    Greet,
    Name(String),
    Tree(usize),
    Paint(Color),
}

pub(super) fn board(number: usize) -> Result<(), Error> {
    let caption = "Panels, buttons, sliders, fields, lists, menus: of the package hearth-kit, in themes of colours and letters.";
    Build::new(number, "Interface kit", caption).done()?;
    let stand = Stand::number(number);
    let place = Place::at(stand.outside(vec3(0.0, 1.25, -0.7)), stand.turn()).scaled(2.7);
    live("stand 14", serve(place));
    Ok(())
}

async fn serve(place: Place) -> Result<(), Error> {
    let (bar, last) = (Handle::new(), Handle::new());
    let left = col![
        row![label("Theme"), menu(THEMES, 0, Does::Theme).grow()],
        row![label("Level"), slider(0.0..=1.0, 0.4, Does::Level).grow()],
        progress(0.4).handle(bar),
        row![
            toggle("Warm", true, Does::Warm),
            space(0.0).grow(),
            toggle("Not now", false, Does::Warm).disabled()
        ],
        row![button("Say hello", Does::Greet).main(), button("Disabled", Does::Greet).disabled()],
        field("").placeholder("Your name").len_max(40).on_enter(Does::Name),
    ];
    let body =
        row![left.width(0.52), list(TREES, 6, Does::Tree).width(0.26), picker(srgb(0xf0a030), Does::Paint)];
    let content = col![
        title("Interface kit"),
        body.cross(Cross::Start).gap(0.03),
        label("Nobody has touched it yet.").handle(last).grow()
    ];
    let mut ui = Ui::new(place, Theme::dusk(), content.panel())?;
    loop {
        let said = ui.next().await?;
        let what = match said.message {
            Does::Theme(theme) => {
                ui.set_theme(match theme {
                    0 => Theme::dusk(),
                    1 => Theme::paper(),
                    2 => Theme::contrast(),
                    _ => Theme::paper().in_face(Face::Mono, 1.0),
                });
                format!("has chosen {}", THEMES[theme.min(3)])
            }
            Does::Level(level) => {
                ui.edit(bar, |bar| bar.set(level))?;
                format!("has set the level to {:.0} %", level * 100.0)
            }
            Does::Warm(on) => format!("has put it {}", if on { "on" } else { "off" }),
            Does::Greet => "says hello".to_owned(),
            Does::Name(name) => format!("has written {name:?}"),
            Does::Tree(tree) => format!("likes the {}", TREES[tree % TREES.len()]),
            Does::Paint(color) => format!("has chosen {}", web_color(color)),
        };
        let who = peer_name(said.user).unwrap_or_else(|| format!("peer {}", said.user));
        ui.edit(last, |last| last.set(format!("{who} {what}")))?;
    }
}
