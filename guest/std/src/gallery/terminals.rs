// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 18: how terminals are opened, and one that is: of the machine that the gallery runs on, with a program of its own.

use super::{
    Motion,
    stand::{Build, live, writing},
};
use hearth_sdk::{
    prelude::*,
    terminal::{Event, Open},
};

const KEYS: [(&str, &str); 5] = [
    ("T", "opens a terminal of your machine"),
    ("Enter, click", "you type into it"),
    ("Ctrl+Shift+Space", "you have the space again"),
    ("drag", "its bar: carry; its corners: scale"),
    ("×", "closes it"),
];
const CODE: &str = "let open = Open::default();
let shell = Terminal::open(&open).await?;
Entity::new()
    .at(0.0, 1.5, -2.0)
    .terminal(shell.id(), 0.03)
    .spawn()?;";

/// The colours of letters.
const GREEN: [f32; 4] = [0.35, 0.8, 0.4, 1.0];
const PALE: [f32; 4] = [0.75, 0.77, 0.8, 1.0];
const DIM: [f32; 4] = [0.36, 0.38, 0.42, 1.0];

/// The terminal of the stand: its columns and rows, the height of a cell in metres, and where its middle is.
const FORM: [u16; 2] = [64, 8];
const CELL: f32 = 0.056;
const PLACE: [f32; 3] = [0.0, 0.46, -0.86];
/// What runs in it: the time of the machine, and colours that go by. With the argument `still` it writes once, and waits.
const PROGRAM: &str = r#"
paint() {
    printf '\033[H\033[1;32m$\033[0m date\n\033[1;33m%s\033[0m\033[K\n\n' "$2"
    printf '\033[1;32m$\033[0m seq 0 63 | paint\n'
    for row in 0 1 2; do
        line='' column=0
        while [ $column -lt 63 ]; do
            line="$line\033[48;5;$((16 + (column + row * 5 + $1) % 63 * 3))m "
            column=$((column + 1))
        done
        printf "$line\033[0m\n"
    done
}
printf '\033[2J\033[?25l'
if [ "$1" = still ]; then
    paint 0 'noon'
    while :; do sleep 3600; done
fi
count=0
while :; do
    paint $count "$(date '+%A, %H:%M:%S')"
    count=$((count + 1))
    sleep 1
done
"#;

pub(super) fn terminals(number: usize, motion: Motion) -> Result<(), Error> {
    let caption =
        "A program of somebody's machine in the space. Everybody sees it, its user alone types into it.";
    let mut stand = Build::new(number, "Terminals", caption);
    let lines = |text: &str, face: Face, size: f32, color: [f32; 4]| Text {
        text: text.into(),
        face,
        size,
        color,
        align: Align::Left,
        anchor: Anchor::Top,
        ..Text::default()
    };
    for (x, width, title) in [(-1.0, 2.14, "you"), (1.1, 1.94, "a script")] {
        stand.cuboid([width, 1.2, 0.04], [x, 1.42, -0.92], [0.012, 0.014, 0.02]);
        stand.cuboid([width, 0.13, 0.05], [x, 1.955, -0.92], [0.05, 0.055, 0.07]);
        let at = Entity::new().at(x - width * 0.5 + 0.07, 1.99, -0.89);
        stand.add(at.with(lines(title, Face::Sans, 0.07, PALE)));
    }
    for (row, (key, does)) in KEYS.into_iter().enumerate() {
        let y = 1.8 - 0.19 * row as f32;
        stand.add(Entity::new().at(-2.0, y, -0.895).with(lines(key, Face::Mono, 0.07, GREEN)));
        stand.add(Entity::new().at(-1.25, y, -0.895).with(lines(does, Face::Sans, 0.075, PALE)));
    }
    stand.add(
        Entity::new()
            .at(0.2, 1.8, -0.895)
            .with(Text { line_spacing: 1.2, ..lines(CODE, Face::Mono, 0.07, PALE) }),
    );
    let where_to = "guest/std/src/workshop.rs";
    stand.add(Entity::new().at(0.2, 1.0, -0.895).with(lines(where_to, Face::Mono, 0.06, DIM)));
    let root = stand.root;
    stand.done()?;
    live("stand 18", program(root, motion));
    Ok(())
}

/// Opens the terminal. Where a machine has none to give, a sign says why.
async fn program(stand: EntityId, motion: Motion) -> Result<(), Error> {
    let [x, y, z] = PLACE;
    let place = || Entity::new().parent(stand).name("program").at(x, y, z);
    let pace = if motion.still { "still" } else { "live" };
    let command = ["sh", "-c", PROGRAM, "gallery", pace].map(str::to_owned).into();
    let [columns, rows] = FORM;
    let terminal = match Terminal::open(&Open { columns, rows, command, ..Open::default() }).await {
        Ok(terminal) => terminal,
        Err(error) => {
            info!("this machine shows no terminal: {error}");
            place().with(writing(&format!("This machine shows no terminal: {error}"), 0.08)).spawn()?;
            return Ok(());
        }
    };
    let shown = place().terminal(terminal.id(), CELL).spawn()?;
    loop {
        match terminal.event().await {
            Event::Exited(code) => info!("the program of the terminal has ended: {code}"),
            // What it has shown last stays until then.
            Event::Closed => return scene::remove(shown),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::{
        abi::{
            TerminalId,
            scene::{Component, Op},
        },
        testing,
    };

    /// What the stand shows when this has been done to its terminal.
    fn shown_after(done: impl FnOnce() + 'static) -> Vec<Op> {
        let run = async {
            let stand = scene::new_id().unwrap();
            drop(spawn_local(async move { program(stand, Motion { still: true }).await.unwrap() }));
            sleep(Duration::from_millis(1)).await;
            done();
            sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(testing::run_for(run, Duration::from_secs(1)), Some(()));
        testing::batches().concat()
    }

    #[test]
    fn a_terminal_is_shown_until_it_closes() {
        let terminal = TerminalId::from_bits(9);
        let opens = move || {
            assert_eq!(testing::answer(Ok(0), &9u64.to_le_bytes()), Some("terminal_open"));
            testing::terminal_event(terminal, &Event::Exited(0));
        };
        let is_shown =
            |op: &Op| matches!(op, Op::Set(_, Component::Terminal(view)) if view.terminal == terminal);
        let ops = shown_after(opens);
        // What was seen last stays when its program ends.
        assert!(ops.iter().any(is_shown) && !ops.iter().any(|op| matches!(op, Op::Remove(_))));
        let ops = shown_after(move || {
            opens();
            testing::terminal_event(terminal, &Event::Closed);
        });
        assert!(ops.iter().any(is_shown) && ops.iter().any(|op| matches!(op, Op::Remove(_))));
    }

    #[test]
    fn where_there_is_none_a_sign_says_why() {
        let ops = shown_after(|| {
            assert!(testing::answer(Err(Errno::Limit), b"the peer has 64 terminals").is_some());
        });
        let says = |op: &Op| matches!(op, Op::Set(_, Component::Text(text)) if text.text.contains("has 64 terminals"));
        assert!(ops.iter().any(says));
    }
}
