// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers: list, status, shutdown, screenshot, passwd.

use super::{Peer, file, lumps};
use crate::{
    exit::Exit,
    output::{Output, left, moment, right, size, span},
    problem::{Problem, Result},
};
use hearth_abi::EntityId;
use hearth_protocol::operator::{PASSWORD_BYTES_MAX, PeerInfo, PictureInfo, Request, Role, Status};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

pub(super) async fn list(peer: &Peer, output: &mut Output) -> Result<()> {
    let peers: Vec<PeerInfo> = peer.list(&Request::ListPeers {}).await?;
    let columns = [
        left("ID"),
        left("NAME"),
        left("ADDRESS"),
        left("VERSION"),
        left("SYSTEM"),
        left("OFFERS"),
        right("ROUND TRIP"),
    ];
    output.table(columns, &peers, |peer, pretty| {
        let round_trip = peer.round_trip_us.map(|us| match pretty {
            true => span(us.saturating_mul(1000)),
            false => format!("{}.{:03}", us / 1000, us % 1000),
        });
        [
            peer.id.to_string(),
            peer.name.clone(),
            peer.address.clone().unwrap_or_default(),
            peer.version.clone(),
            peer.system.clone(),
            peer.offers.join(","),
            round_trip.unwrap_or_default(),
        ]
    })
}

pub(super) async fn status(peer: &Peer, output: &mut Output) -> Result<()> {
    let status: Status = peer.call(&Request::Status {}).await?;
    let pretty = output.pretty();
    let bytes = |bytes: u64| if pretty { size(bytes) } else { bytes.to_string() };
    let role = match status.role {
        Role::Server => "server",
        Role::Client => "client",
    };
    let fields = [
        ("role", role.into()),
        ("peer", status.peer.to_string()),
        ("name", status.name.clone()),
        ("version", status.version.clone()),
        ("pid", status.pid.to_string()),
        ("started", moment(status.started_ms)),
        ("data", status.data.clone().unwrap_or_default()),
        ("listen", status.listen.clone().unwrap_or_default()),
        ("server", status.server.clone().unwrap_or_default()),
        ("connected", if status.connected { "yes" } else { "no" }.into()),
        ("peers", status.peers.to_string()),
        ("processes", status.processes.to_string()),
        ("lumps", status.lumps.to_string()),
        ("lump-bytes", bytes(status.lump_bytes)),
        ("entities", status.entities.to_string()),
        ("server-key", status.server_key.clone().unwrap_or_default()),
        ("resident", status.resident_bytes.map(bytes).unwrap_or_default()),
    ];
    output.record(&status, &fields)
}

pub(super) async fn shutdown(peer: &Peer, output: &mut Output) -> Result<()> {
    peer.ask(&Request::Shutdown {}).await?;
    output.done()
}

pub(super) async fn screenshot(
    peer: &Peer,
    path: &Path,
    view: Option<EntityId>,
    output: &mut Output,
) -> Result<()> {
    if file::is_dash(path) && std::io::stdout().is_terminal() {
        return Err(
            Problem::new(Exit::Usage, "standard output is a terminal").hint("name a file to write to")
        );
    }
    lumps::fetch(peer, &Request::Screenshot { view }, path, output, |picture: &PictureInfo| picture.size)
        .await
}

pub(super) async fn passwd(peer: &Peer, path: Option<PathBuf>, output: &mut Output) -> Result<()> {
    let password = match path {
        Some(path) => first_line(&path)?,
        None if file::stdin_is_terminal() => ask()?,
        None => first_line(Path::new("-"))?,
    };
    if password.is_empty() {
        return Err(Problem::new(Exit::Usage, "the new password is empty"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        let text = format!("the new password has more than {PASSWORD_BYTES_MAX} bytes");
        return Err(Problem::new(Exit::Usage, text));
    }
    let mut client = peer.connect().await?;
    client.request(&Request::Passwd {}).await?;
    client.send_data(password.as_bytes()).await;
    client.end_data().await;
    while client.next().await?.is_some() {}
    output.done()
}

fn ask() -> Result<Zeroizing<String>> {
    let prompt = |text: &str| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|error| Problem::new(Exit::Io, "cannot ask for the new password").cause(error))
    };
    let password = prompt("New password: ")?;
    if *prompt("The same again: ")? != *password {
        return Err(Problem::new(Exit::Usage, "the two are not the same"));
    }
    Ok(password)
}

fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(file::read_all(file::open(path)?, path, 64 << 10)?);
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line)
        .map_err(|error| Problem::new(Exit::Data, "the new password is not UTF-8").cause(error))?;
    Ok(Zeroizing::new(text.into()))
}
