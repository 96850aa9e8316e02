// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals: list-terminals, show-terminal.

use super::Peer;
use crate::{
    exit::Exit,
    output::{Output, left, right},
    problem::{Problem, Result},
};
use hearth_abi::TerminalId;
use hearth_ipc::Answer;
use hearth_protocol::operator::{Request, ScreenInfo, TerminalInfo};
use serde::Serialize;

pub(super) async fn list(peer: &Peer, output: &mut Output) -> Result<()> {
    let terminals: Vec<TerminalInfo> = peer.list(&Request::ListTerminals {}).await?;
    let columns =
        [left("ID"), right("SIZE"), left("TITLE"), left("KEYBOARD"), left("PROGRAM"), left("OWNER")];
    output.table(columns, &terminals, |terminal, _pretty| {
        let typists: Vec<String> = terminal.typists.iter().map(ToString::to_string).collect();
        let program = match (terminal.status, terminal.owner) {
            (Some(status), _) => status.to_string(),
            (None, Some(_)) => "running".to_owned(),
            (None, None) => String::new(),
        };
        [
            terminal.id.to_string(),
            format!("{}×{}", terminal.columns, terminal.rows),
            terminal.title.clone(),
            typists.join(","),
            program,
            terminal.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        ]
    })
}

/// What a terminal shows, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    info: &'a ScreenInfo,
    lines: Vec<&'a str>,
}

pub(super) async fn show(peer: &Peer, id: TerminalId, output: &mut Output) -> Result<()> {
    let mut client = peer.connect().await?;
    client.request(&Request::ShowTerminal { id }).await?;
    let malformed = || Problem::new(Exit::Protocol, "the peer's answer is malformed");
    let info: ScreenInfo = client.value().await?.ok_or_else(malformed)?;
    let mut text = Vec::new();
    while let Some(answer) = client.next().await? {
        let Answer::Data(bytes) = answer else { return Err(malformed()) };
        text.extend_from_slice(&bytes);
        if text.len() as u64 > info.size {
            return Err(malformed());
        }
    }
    if text.len() as u64 != info.size {
        return Err(malformed());
    }
    if !output.json {
        return output.bytes(&text);
    }
    let text = String::from_utf8(text).map_err(|_not_utf8| malformed())?;
    output.json_line(&Shown { info: &info, lines: text.lines().collect() })
}
