// SPDX-License-Identifier: AGPL-3.0-or-later
//! An evening in a terminal of the space: the programs that people live in, driven through the window's own
//! keyboard and mouse, with a picture at each step. What can be told by a program is checked; the pictures are
//! for a person to look at.

use crate::{
    album::Album,
    alone,
    display::Display,
    workshop::{has_keyboard, installed, keep_toolchain, shows, terminal},
};
use hearth_e2e::{LONG, Peer, Space};

/// Somebody at a window.
struct Seat<'a> {
    ada: &'a Peer,
    display: &'a Display,
    album: &'a Album,
    terminal: String,
}

impl Seat<'_> {
    /// Keeps a picture once the terminal shows this.
    #[track_caller]
    fn sees(&self, text: &str, title: &str) {
        shows(self.ada, &self.terminal, text, LONG);
        self.album.wait(self.ada, title, |_| true);
    }

    /// Types a line, and keeps a picture once the terminal shows this.
    #[track_caller]
    fn runs(&self, line: &str, text: &str, title: &str) {
        self.display.types(line);
        self.display.keys(&["Return"]);
        self.sees(text, title);
    }

    #[track_caller]
    fn presses(&self, keys: &[&str], text: &str, title: &str) {
        self.display.keys(keys);
        self.sees(text, title);
    }

    /// A fresh screen with nothing but the prompt.
    #[track_caller]
    fn clears(&self) {
        self.display.types("clear; echo cle''ared\n");
        shows(self.ada, &self.terminal, "cleared\n~ ready$", LONG);
    }

    /// Text, colours, and what a line is made of.
    fn writes(&self) {
        self.runs("ls --color=always /", "usr", "01-ls");
        let gradient =
            r#"for i in $(seq 0 5 255); do printf "\e[48;2;$i;80;$((255-i))m "; done; printf '\e[0m\n'"#;
        self.runs(gradient, "ready$", "02-colours");
        self.runs(
            r"printf '\e[1mbold\e[0m \e[3mitalic\e[0m \e[4mline\e[0m \e[4:3mwave\e[0m \e[9mstruck\e[0m \e[7mturned\e[0m \e[2mfaint\e[0m\n'",
            "faint",
            "03-styles",
        );
        self.runs(
            r"printf '\u65e5\u672c\u8a9e \uc548\ub155 \u0416\u0438\u0437\u043d\u044c \u03b1\u03b2\u03b3 e\u0301a\u0308 \U1F600\U1F680\U1F33B \ue0b0\ue0b2 \u2588\u2593\u2592\u2591 \u250c\u2500\u252c\u2500\u2510\n'",
            "日本語",
            "04-scripts",
        );
        self.runs("seq 1 300 | paste -sd' ' | fold -w 60", "300", "05-long");
        self.presses(&["shift+Prior", "shift+Prior"], "ready$", "06-scrolled-back");
        self.presses(&["shift+Next", "shift+Next"], "300", "07-scrolled-forth");
        self.clears();
        // A thing that is under way is stopped, another is taken up again.
        self.display.types("yes\n");
        shows(self.ada, &self.terminal, "y\ny\ny\ny", LONG);
        self.presses(&["ctrl+c"], "^C\n~ ready$", "08-stopped");
        // What is typed before a program reads is edited by the shell's rules, not by its own.
        self.display.types("echo re''ady; cat\n");
        shows(self.ada, &self.terminal, "\nready", LONG);
        self.display.types("heard\n");
        shows(self.ada, &self.terminal, "heard\nheard", LONG);
        self.presses(&["ctrl+z"], "Stopped", "09-put-aside");
        self.runs("fg", "cat", "10-taken-up");
        self.display.keys(&["ctrl+d"]);
        shows(self.ada, &self.terminal, "fg\ncat\n~ ready$", LONG);
        self.presses(&["ctrl+r"], "reverse-i-search", "11-search-of-history");
        self.display.types("seq");
        self.sees("seq 1 300", "12-found");
        self.display.keys(&["ctrl+g"]);
        self.clears();
        self.display.types("ls /usr/sh");
        self.display.keys(&["Tab"]);
        self.sees("ls /usr/share", "13-completed");
        self.display.keys(&["ctrl+u"]);
        self.runs("head -c 60000 /dev/urandom; tput reset; echo wh''ole", "whole", "14-after-noise");
        // Noise asks questions too, and the answers are typed.
        self.display.keys(&["ctrl+c"]);
        self.clears();
        self.runs("stty size", "stty size", "15-size");
        self.presses(&["ctrl+shift+plus", "ctrl+shift+plus"], "ready$", "16-larger-letters");
        self.presses(&["ctrl+shift+minus", "ctrl+shift+minus"], "ready$", "17-smaller-letters");
    }

    /// The middle of a cell in a picture of 1280 by 720, of the terminal as it is opened: 100 columns and 30 rows
    /// straight ahead.
    fn cell(column: f32, row: f32) -> [f32; 2] {
        [280.5 + 7.22 * (column + 0.5), 146.4 + 15.95 * (row + 0.5)]
    }

    /// What the mouse does.
    fn points(&self) {
        // Each step is seen before the next: what comes in one picture is one motion.
        let seen = |title: &str| drop(self.album.wait(self.ada, title, |_| true));
        let drags = |from: [f32; 2], to: [f32; 2], title: &str| {
            self.display.moves(from);
            seen(title);
            self.display.button(true);
            seen(title);
            for place in [[(from[0] + to[0]) / 2.0, (from[1] + to[1]) / 2.0], to] {
                self.display.moves(place);
                seen(title);
            }
            self.display.button(false);
            seen(title);
        };
        self.clears();
        self.runs("echo pick-me-up", "\npick-me-up", "85-to-be-chosen");
        // From the left half of the first letter: from the right one on, it is not chosen.
        drags(Self::cell(-0.25, 2.0), Self::cell(10.0, 2.0), "86-chosen-by-mouse");
        // What is copied goes by way of a script; a hand is slower than that.
        self.display.keys(&["ctrl+shift+c"]);
        seen("86-copied");
        self.display.types("echo pasted=");
        self.display.keys(&["ctrl+shift+v", "Return"]);
        self.sees("\npasted=pick-me-up", "87-pasted");
        self.display.types("clear; seq 500\n");
        self.sees("500", "88-before-the-wheel");
        self.display.moves(Self::cell(50.0, 15.0));
        seen("88-before-the-wheel");
        self.display.wheels(5);
        self.sees("\n470\n", "89-after-the-wheel");
        self.clears();
        drags([640.0, 133.0], [760.0, 200.0], "90-moved");
        drags([760.0, 200.0], [640.0, 133.0], "91-moved-back");
        drags([1008.0, 634.0], [900.0, 560.0], "92-scaled");
        drags([900.0, 560.0], [1008.0, 634.0], "93-scaled-back");
        // Whoever looks away still types; the chord gives the keyboard back, and Enter takes it again.
        self.display.keys(&["ctrl+shift+space"]);
        has_keyboard(self.ada, &self.terminal, false);
        self.album.wait(self.ada, "94-keyboard-back", |_| true);
        self.display.keys(&["Return"]);
        has_keyboard(self.ada, &self.terminal, true);
        self.runs("echo he''re", "here", "95-keyboard-taken");
    }

    fn edits(&self, editor: &str, number: u32) {
        let title = |step: u32, what: &str| format!("{}-{editor}-{what}", number + step);
        self.clears();
        self.runs(&format!("{editor} orb.rs"), "orb.rs", &title(0, "open"));
        self.display.types(":set nu | syntax on\n");
        self.display.types("ifn main() {\n    let answer = 42; // a comment\nprintln!(\"{answer}\");\n}");
        self.sees("println", &title(1, "written"));
        self.display.keys(&["Escape"]);
        self.display.types("ggVG");
        self.sees("VISUAL LINE", &title(2, "chosen"));
        self.display.types("y");
        self.display.types("40p");
        self.sees("160", &title(3, "pasted"));
        self.display.keys(&["ctrl+d", "ctrl+d", "ctrl+u"]);
        self.display.types("/answer\n");
        self.sees("/answer", &title(4, "searched"));
        self.display.types(":vsplit | split\n");
        self.sees("orb.rs", &title(5, "split"));
        self.display.keys(&["ctrl+w", "w", "ctrl+w", "plus"]);
        self.display.types("gg");
        // What was typed is completed from a list.
        self.display.types("opri");
        self.display.keys(&["ctrl+n"]);
        self.sees("println", &title(6, "completed"));
        self.display.keys(&["Escape", "u"]);
        self.display.types(":help\n");
        self.sees("help", &title(7, "help"));
        self.display.types(":qa!\n");
        self.sees("ready$", &title(8, "left"));
    }

    fn reads(&self) {
        self.clears();
        self.runs("seq -f 'line %g of a long text' 5000 > long; less long", "line 1 of", "40-less");
        self.presses(&["space", "space"], "line 61 of", "41-less-pages");
        self.presses(&["shift+g"], "line 5000 of", "42-less-end");
        self.runs("?line 25", "line 25", "43-less-searched");
        self.display.types("q");
        self.sees("ready$", "44-less-left");
    }

    fn watches(&self) {
        self.clears();
        self.runs("htop", "CPU%", "50-htop");
        self.presses(&["F5"], "CPU%", "51-htop-tree");
        self.presses(&["Down", "Down", "Down"], "CPU%", "52-htop-down");
        self.presses(&["F6"], "Sort by", "53-htop-sort");
        self.display.keys(&["Escape"]);
        self.presses(&["F10"], "ready$", "54-htop-left");
    }

    /// Presses a key of tmux. It takes what comes faster than a hand for a paste, and here all keys of one picture
    /// come together.
    #[track_caller]
    fn prefixed(&self, key: &str, title: &str) {
        for key in ["ctrl+b", key] {
            self.display.keys(&[key]);
            self.album.wait(self.ada, title, |_| true);
        }
    }

    fn divides(&self) {
        self.clears();
        self.runs("tmux new -s evening", "[evening]", "60-tmux");
        self.prefixed("percent", "61-tmux-two");
        self.runs("htop", "Load average", "62-tmux-htop");
        self.prefixed("quotedbl", "63-tmux-three");
        self.runs("seq 200", "200", "63-tmux-three");
        self.prefixed("bracketleft", "64-tmux-back");
        self.presses(&["Prior"], "18", "64-tmux-back");
        self.display.types("q");
        self.prefixed("ctrl+Up", "65-tmux-larger");
        self.prefixed("z", "65-tmux-alone");
        self.prefixed("z", "65-tmux-not-alone");
        self.prefixed("d", "66-tmux-put-aside");
        self.sees("[detached", "66-tmux-put-aside");
        self.runs("tmux attach", "[evening]", "67-tmux-again");
        self.prefixed("d", "68-tmux-put-aside");
        self.runs("tmux kill-server; echo e''nded", "ended", "69-tmux-left");
    }

    fn builds(&self) {
        self.clears();
        self.runs("cargo new hello && cd hello && cargo run", "Hello, world!", "70-cargo");
        self.runs(
            "echo 'fn main() { let x: u32 = \"no\"; }' > src/main.rs; cargo check",
            "E0308",
            "71-cargo-error",
        );
        self.runs("cd; rm -rf hello; echo go''ne", "gone", "72-cargo-left");
    }
}

/// Lets somebody sit down before a fresh terminal.
fn sits_down(name: &str, programs: &[&str], act: impl FnOnce(&Seat<'_>)) {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "1280x720") else { return };
    if !programs.iter().copied().all(installed) {
        return;
    }
    let home = space.path("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(".bashrc"), "PS1='\\W ready$ '\n").unwrap();
    std::fs::write(home.join(".tmux.conf"), "set -g default-command bash\n").unwrap();
    let album = Album::new(name);
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("1280x720");
    let ada = ada.env("DISPLAY", &display.name).env("SHELL", "/bin/bash").env("HOME", &home);
    let ada = keep_toolchain(ada).without_env("WAYLAND_DISPLAY").without_env("TMUX").start();
    display.focus("Hearth: ada");
    album.wait(&ada, "place", |picture| picture.pixels().any(|pixel| pixel.0[0] > 60));
    display.keys(&["t"]);
    let terminal = terminal(&ada);
    shows(&ada, &terminal, "ready$", LONG);
    has_keyboard(&ada, &terminal, true);
    act(&Seat { ada: &ada, display: &display, album: &album, terminal });
}

#[test]
#[ignore = "fifteen minutes long, and for a person to look at: `cargo test --test pictures -- --ignored evening`"]
fn an_evening_in_a_terminal() {
    sits_down("evening", &["vim", "nvim", "less", "htop", "tmux", "cargo"], |seat| {
        seat.writes();
        seat.edits("vim", 20);
        seat.edits("nvim", 30);
        seat.reads();
        seat.watches();
        seat.divides();
        seat.builds();
        seat.display.types("exit 3\n");
        seat.sees("3", "80-ended");
        seat.presses(&["Return"], "ready$", "81-again");
    });
}

#[test]
#[ignore = "minutes long, and for a person to look at: `cargo test --test pictures -- --ignored evening`"]
fn a_mouse_in_an_evening() {
    sits_down("evening-mouse", &[], |seat| seat.points());
}
