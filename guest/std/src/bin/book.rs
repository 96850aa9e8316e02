// SPDX-License-Identifier: AGPL-3.0-or-later
//! A guest book: whoever presses its field types into it, wherever they are, and on Enter their line stands in the book.
//!
//! Arguments: where its middle is, `x y z` in metres, and how far it is turned left from facing +Z, in radians. Start it on the server, and
//! it stays when its author leaves: `hearth-ctl spawn --peer 0 book.wasm -- 0 1.6 2`.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_kit::*;
use hearth_sdk::{peer_name, prelude::*};

hearth_sdk::main!(run);

/// Most lines that are shown; the oldest go.
const LINES: usize = 3;

#[derive(Clone, Debug)]
enum Does {
    Writes,
    Says(String),
}

struct Book {
    ui: Ui<Does>,
    field: Handle<Field<Does>>,
    rows: [Handle<Label>; LINES],
    lines: Vec<String>,
    /// Who writes now, as far as it was said.
    writer: Option<PeerId>,
}

impl Book {
    fn open(place: Place) -> Result<Book, Error> {
        let (field, rows) = (Handle::new(), [(); LINES].map(|()| Handle::new()));
        let line = hearth_kit::field("").placeholder("Press here and write").len_max(80);
        let line = line.on_change(|_| Does::Writes).on_enter(Does::Says).handle(field);
        // As much above the field as below: the field is in the middle.
        let above = col![space(0.0).grow_down(), title("Guest book")].height(0.12);
        let below = rows.map(|row| label("").handle(row).grow());
        let content = col![above, line, column_of(below.into()).height(0.12)].panel().width(0.6);
        let ui = Ui::new(place, Theme::dusk(), content)?;
        scene::set(ui.root(), Component::Name("guest book".into()))?;
        Ok(Book { ui, field, rows, lines: Vec::new(), writer: None })
    }

    fn does(&mut self, said: Said<Does>) -> Result<(), Error> {
        let who = peer_name(said.user).unwrap_or_else(|| format!("peer {}", said.user));
        match said.message {
            Does::Writes if self.writer == Some(said.user) => {}
            Does::Writes => {
                info!("{who} writes");
                self.writer = Some(said.user);
            }
            Does::Says(text) if text.trim().is_empty() => {}
            Does::Says(text) => {
                info!("{who} has written {text:?}");
                self.writer = None;
                self.lines.push(format!("{who}: {text}"));
                self.ui.edit(self.field, |field| field.set(""))?;
                let shown = self.lines.iter().rev().take(LINES);
                for (row, line) in self.rows.iter().zip(shown) {
                    self.ui.edit(*row, |label| label.set(line))?;
                }
            }
        }
        Ok(())
    }
}

async fn run() -> Result<(), Error> {
    let numbers: Vec<f32> = args().iter().filter_map(|arg| arg.parse().ok()).collect();
    let place = match numbers[..] {
        [x, y, z] => Place::at(vec3(x, y, z), Quat::IDENTITY),
        [x, y, z, yaw] => Place::at(vec3(x, y, z), Quat::about(Vec3::Y, yaw)),
        _ => Place::at(vec3(0.0, 1.6, 2.0), Quat::IDENTITY),
    };
    let mut book = Book::open(place)?;
    info!("the book {} is open", book.ui.root());
    loop {
        let said = book.ui.next().await?;
        book.does(said)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::{
        abi::scene::Op,
        input::{Event, Press, key},
        pointer::Kind,
        testing,
    };

    #[test]
    fn a_visitor_writes_a_line() {
        let mut book = Book::open(Place::at(Vec3::ZERO, Quat::IDENTITY)).unwrap();
        let root = book.ui.root();
        let user: PeerId = "2".parse().unwrap();
        let tell = |did| testing::keyboard(&keyboard::Event { user, entity: root, did });
        tell(Event::Focus(true));
        let mut press = testing::pointer_event(Kind::Press, root);
        (press.from, press.way) = ([0.0, 0.0, 2.0], [0.0, 0.0, -1.0]);
        testing::pointer(&press);
        tell(Event::Text("Ada was here".into()));
        tell(Event::Key { code: key::ENTER, press: Press::Pressed });
        let run = async move {
            for _ in 0..2 {
                let said = book.ui.next().await?;
                book.does(said)?;
            }
            book.ui.settle()?;
            Ok::<(), Error>(())
        };
        assert_eq!(testing::run_for(run, Duration::from_secs(1)), Some(Ok(())));
        let ops = testing::batches().concat();
        let wrote = |op: &Op| matches!(op, Op::Set(_, Component::Text(text)) if text.text.ends_with(": Ada was here"));
        assert!(ops.iter().any(wrote), "{ops:?}");
    }
}
