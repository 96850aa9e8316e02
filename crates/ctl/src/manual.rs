// SPDX-License-Identifier: AGPL-3.0-or-later
//! The reference, the man pages and the completions, all made from the command line's definition.

use crate::{
    cli::{self, Command},
    exit::{Exit, Row},
    output::Output,
    problem::{Problem, Result},
};
use clap_mangen::Man;
use std::{fmt::Write, fs, path::Path};

/// Runs the commands that need no peer; `None` for all others.
pub(crate) fn run(command: &Command, output: &mut Output) -> Option<Result<()>> {
    match command {
        Command::Man { folder } => Some(man_pages(folder)),
        Command::Manual => Some(output.bytes(markdown().as_bytes())),
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            clap_complete::generate(*shell, &mut cli::definition(), "hearth-ctl", &mut bytes);
            Some(output.bytes(&bytes))
        }
        _ => None,
    }
}

fn man_pages(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Problem::creating(folder, &error))?;
    let mut definition = cli::definition();
    definition.build();
    write_page(folder, definition.clone())?;
    for command in definition.get_subcommands().filter(|command| !command.is_hide_set()) {
        if command.get_name() == "help" {
            continue;
        }
        write_page(folder, command.clone())?;
    }
    Ok(())
}

fn write_page(folder: &Path, command: clap::Command) -> Result<()> {
    let page = Man::new(command).manual("Hearth");
    let path = folder.join(page.get_filename());
    let mut bytes = Vec::new();
    page.render(&mut bytes)
        .and_then(|()| fs::write(&path, &bytes))
        .map_err(|error| Problem::creating(&path, &error))
}

/// The reference as it stands in `docs/manual/hearth-ctl.md`.
fn markdown() -> String {
    let mut definition = cli::definition().term_width(100).disable_help_subcommand(true);
    definition.build();
    let mut text = String::from(
        "<!-- Made by `hearth-ctl manual`. A test compares the two; HEARTH_BLESS=1 writes this file anew. -->\n\n\
         # hearth-ctl\n\n",
    );
    if let Some(about) = definition.get_long_about() {
        let _ = writeln!(text, "{}\n", about.to_string().trim());
    }
    text.push_str("## Commands\n\n| command | what it does |\n|---|---|\n");
    let shown = |command: &&clap::Command| !command.is_hide_set();
    for command in definition.get_subcommands().filter(shown) {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "| [`{name}`](#{name}) | {about} |");
    }
    text.push_str(
        "\n## Exit codes\n\nBy sysexits(3), where it has one.\n\n| code | name | meaning |\n|---|---|---|\n",
    );
    for Row { code, name, meaning } in Exit::table() {
        let _ = writeln!(text, "| {code} | {name} | {meaning} |");
    }
    text.push_str(JSON);
    for command in definition.get_subcommands().filter(shown) {
        let name = command.get_name().to_string();
        let help = command.clone().bin_name(format!("hearth-ctl {name}")).term_width(100).render_help();
        let help = help.to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    text
}

const JSON: &str = "
## JSON

With `--json` a command that prints one thing prints one JSON document on one line; a command that prints a list or a
log prints one document for each entry, each on its line. The fields are those of the answers in
[operator.md](../formats/operator.md); a field that does not apply is left out, and new ones may come. A command that
prints nothing prints `{\"ok\":true}`. `send --reply` prints `{\"reply\":…}`, or `{\"reply_base16\":\"…\"}` where the
reply is no CBOR. `get-lump` and `screenshot` print what was written, as `{\"id\":…,\"size\":…}` and
`{\"width\":…,\"height\":…,\"size\":…}`, unless the bytes themselves go to standard output.

An error is one line on standard error: `{\"error\":{\"code\":…,\"exit\":…,\"message\":…,\"causes\":[…],\"hint\":…}}`, where
`code` is the peer's name of what went wrong (null where no peer said it) and `exit` the exit code.
";
