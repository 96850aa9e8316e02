// SPDX-License-Identifier: AGPL-3.0-or-later
//! The commands.

mod dev;
mod file;
mod grants;
mod log;
mod lumps;
mod new;
mod peers;
mod processes;
mod sdk;
mod send;
mod terminals;
pub(crate) mod tools;
mod tree;

use crate::{
    cli::{Arguments, Command, Place},
    exit::Exit,
    output::Output,
    problem::{Problem, Result},
};
use hearth_abi::PeerId;
use hearth_ipc::{Client, find_peer};
use hearth_protocol::operator::{PeerInfo, Request};
use serde::de::DeserializeOwned;
use std::{cell::RefCell, path::PathBuf};

/// Runs a command that needs a peer.
pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<()> {
    let peer = Peer { explicit: arguments.socket, found: RefCell::default() };
    match arguments.command {
        Command::LoadLump { file } => lumps::load(&peer, &file, output).await,
        Command::GetLump { id, output: to } => lumps::get(&peer, id, to, output).await,
        Command::Pin { id } => lumps::pin(&peer, &Request::Pin { id }, output).await,
        Command::Unpin { id } => lumps::pin(&peer, &Request::Unpin { id }, output).await,
        Command::ListLumps => lumps::list(&peer, output).await,
        Command::ListAssets => lumps::list_assets(&peer, output).await,
        Command::ListProcesses { place } => processes::list(&peer, &place, output).await,
        Command::Tree { place } => tree::tree(&peer, &place, output).await,
        Command::Spawn { what } => processes::spawn(&peer, what, output).await,
        Command::New { path, lang } => new::new(&path, lang, output),
        Command::Dev(options) => dev::dev(&peer, options, output).await,
        Command::Run { what } => log::run(&peer, what, output).await,
        Command::Kill { ids, reason } => processes::kill(&peer, ids, reason, output).await,
        Command::Restart { id } => processes::restart(&peer, id, output).await,
        Command::Replace { id, module } => processes::replace(&peer, id, &module, output).await,
        Command::Rollback { id } => processes::rollback(&peer, id, output).await,
        Command::Info { id } => processes::info(&peer, id, output).await,
        Command::Tail { id, follow, lines } => log::tail(&peer, id, lines, follow, output).await,
        Command::Send { id, text, raw, reply, timeout } => {
            let wait = reply.then_some(std::time::Duration::from_secs_f64(timeout));
            send::send(&peer, id, text, raw, wait, output).await
        }
        Command::Grant { peer: whom, what } => grants::grant(&peer, &whom, what, output).await,
        Command::Revoke { peer: whom, what } => grants::revoke(&peer, &whom, what, output).await,
        Command::ListTerminals => terminals::list(&peer, output).await,
        Command::ShowTerminal { id } => terminals::show(&peer, id, output).await,
        Command::ListGrants => grants::list(&peer, output).await,
        Command::ListPeers => peers::list(&peer, output).await,
        Command::Status => peers::status(&peer, output).await,
        Command::Shutdown => peers::shutdown(&peer, output).await,
        Command::Screenshot { file, view } => peers::screenshot(&peer, &file, view, output).await,
        Command::Passwd { password_file } => peers::passwd(&peer, password_file, output).await,
        Command::Man { .. } | Command::Completions { .. } | Command::Manual => Ok(()),
    }
}

/// Digits of a lump's id that are shown on a terminal.
const SHORT_DIGITS: usize = 12;

/// The peer that is spoken to. Each request has its own connection.
struct Peer {
    explicit: Option<PathBuf>,
    /// Where it was found: a command of several requests speaks to one peer, also when another starts meanwhile.
    found: RefCell<Option<PathBuf>>,
}

impl Peer {
    async fn connect(&self) -> Result<Client> {
        let found = self.found.borrow().clone();
        let path = match found {
            Some(path) => path,
            None => self.found.borrow_mut().insert(find_peer(self.explicit.as_deref())?).clone(),
        };
        Ok(Client::connect(&path).await?)
    }

    /// Lets the next request find a peer anew, if the one that was found is there no more.
    fn find_again(&self) {
        let mut found = self.found.borrow_mut();
        found.take_if(|path| std::os::unix::net::UnixStream::connect(path).is_err());
    }

    async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        Ok(self.connect().await?.call(request).await?)
    }

    async fn list<T: DeserializeOwned>(&self, request: &Request) -> Result<Vec<T>> {
        Ok(self.connect().await?.list(request).await?)
    }

    /// A request whose answer is nothing but its end.
    async fn ask(&self, request: &Request) -> Result<()> {
        self.list::<serde_json::Value>(request).await.map(drop)
    }

    /// The number of the peer that the user names by number or by name.
    async fn number_of(&self, place: &Place) -> Result<Option<PeerId>> {
        match &place.peer {
            Some(text) => self.number_of_peer(text, "--peer ").await.map(Some),
            None => Ok(None),
        }
    }

    /// The number of the peer with this number or name. `before` stands before a number on the command line.
    async fn number_of_peer(&self, text: &str, before: &str) -> Result<PeerId> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let mut peers: Vec<PeerInfo> = self.list(&Request::ListPeers {}).await?;
        peers.retain(|peer| peer.name == text);
        match &peers[..] {
            [] => Err(Problem::new(Exit::NoPeer, format!("no peer `{text}` is connected"))
                .hint("`hearth-ctl list-peers` shows who is here")),
            [peer] => Ok(peer.id),
            _ => {
                let ids: Vec<PeerId> = peers.iter().map(|peer| peer.id).collect();
                Err(several(text, before, &ids))
            }
        }
    }
}

/// A name that does not tell which peer is meant.
fn several(name: &str, before: &str, ids: &[PeerId]) -> Problem {
    let choices: Vec<String> = ids.iter().map(|id| format!("{before}{id}")).collect();
    Problem::new(Exit::Usage, format!("{} peers have the name `{name}`", ids.len()))
        .hint(format!("choose one by its number: {}", choices.join(", ")))
}
