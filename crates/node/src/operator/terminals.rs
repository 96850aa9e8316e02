// SPDX-License-Identifier: AGPL-3.0-or-later
//! The terminals that an operator's peer knows of, and what they show.

use crate::{node::Inner, terminals::Hosting};
use hearth_abi::{TerminalId, screen::CursorShape};
use hearth_protocol::operator::{ErrorCode, Failure, ScreenInfo, TerminalInfo};

/// Those of this peer, and those that others show it.
pub(super) fn list(inner: &Inner) -> Vec<TerminalInfo> {
    let focus = inner.terminals.keyboard.focus().map(|focus| focus.terminal);
    let hosted = inner.terminals.list().into_iter().map(|(id, screen, hosting)| {
        let Hosting { owner, typists, status } = hosting;
        (id, screen, Some(owner), typists, status)
    });
    let others = inner.screens.list().into_iter().filter(|(id, _)| id.peer() != inner.me);
    let others = others.map(|(id, screen)| {
        let typists = if focus == Some(id) { vec![inner.me] } else { Vec::new() };
        (id, screen, None, typists, None)
    });
    let mut listed: Vec<TerminalInfo> = hosted
        .chain(others)
        .map(|(id, screen, owner, typists, status)| TerminalInfo {
            id,
            columns: screen.columns(),
            rows: screen.rows(),
            title: plain(&screen.title),
            owner,
            typists,
            status,
        })
        .collect();
    listed.sort_by_key(|info| info.id);
    listed
}

/// What one shows: about it, and its text, of which each row is a line.
pub(super) fn show(inner: &Inner, id: TerminalId) -> Result<(ScreenInfo, String), Failure> {
    let screen = inner.screen_of(id).ok_or_else(|| {
        Failure::new(ErrorCode::NotFound, format!("no terminal `{id}`"))
            .with_hint("`hearth-ctl list-terminals` shows those that this peer knows")
    })?;
    let mut text = String::new();
    for row in 0..screen.rows() {
        text.push_str(&plain(&screen.text(row)));
        text.push('\n');
    }
    let cursor = screen.cursor;
    let info = ScreenInfo {
        id,
        columns: screen.columns(),
        rows: screen.rows(),
        title: plain(&screen.title),
        cursor: (cursor.shape != CursorShape::Hidden).then_some([cursor.column, cursor.row]),
        size: text.len() as u64,
    };
    Ok((info, text))
}

/// Without control characters: it may be printed on a terminal, and comes from another peer.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
