// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps: load, get, pin, list.

use super::{
    Peer, SHORT_DIGITS,
    file::{self, PIECE_BYTES, Sink},
};
use crate::{
    exit::Exit,
    output::{Output, left, right, size},
    problem::{Problem, Result},
};
use hearth_abi::LumpId;
use hearth_ipc::Answer;
use hearth_protocol::operator::{AssetInfo, LumpInfo, Request};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

pub(super) async fn load(peer: &Peer, path: &Path, output: &mut Output) -> Result<()> {
    let info = load_from(peer, file::open(path)?, path).await?;
    match output.json {
        true => output.json_line(&info),
        false => output.line(&info.id.to_string()),
    }
}

/// Sends what can be read as a lump. Nothing is connected before the first bytes are there: a
/// peer does not wait for a person.
pub(super) async fn load_from(peer: &Peer, mut from: Box<dyn Read>, path: &Path) -> Result<LumpInfo> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut len = file::read_piece(&mut from, path, &mut buffer)?;
    let mut client = peer.connect().await?;
    client.request(&Request::LoadLump {}).await?;
    while len > 0 && client.send_data(&buffer[..len]).await {
        len = file::read_piece(&mut from, path, &mut buffer)?;
    }
    client.end_data().await;
    Ok(client.only_value().await?)
}

pub(super) async fn get(peer: &Peer, id: LumpId, to: Option<PathBuf>, output: &mut Output) -> Result<()> {
    let to = match to {
        Some(to) => to,
        None if output.terminal => {
            return Err(Problem::new(Exit::Usage, "standard output is a terminal")
                .hint("-o FILE writes to a file; -o - shows the bytes here all the same"));
        }
        None => "-".into(),
    };
    fetch(peer, &Request::GetLump { id }, &to, output, |info: &LumpInfo| info.size).await
}

/// Writes what a request gives: a value that tells the size, then so many bytes.
pub(super) async fn fetch<T: Serialize + DeserializeOwned>(
    peer: &Peer,
    request: &Request,
    to: &Path,
    output: &mut Output,
    size: impl Fn(&T) -> u64,
) -> Result<()> {
    let mut client = peer.connect().await?;
    client.request(request).await?;
    let malformed = || Problem::new(Exit::Protocol, "the peer's answer is malformed");
    // Nothing is made before it is known that there is something to put there.
    let info: T = client.value().await?.ok_or_else(malformed)?;
    let mut sink = Sink::open(to)?;
    let mut missing = size(&info);
    while let Some(answer) = client.next().await? {
        let Answer::Data(bytes) = answer else { return Err(malformed()) };
        missing = missing.checked_sub(bytes.len() as u64).ok_or_else(malformed)?;
        sink.write(&bytes, output)?;
    }
    if missing > 0 {
        return Err(malformed());
    }
    sink.finish()?;
    if output.json && !file::is_dash(to) { output.json_line(&info) } else { Ok(()) }
}

pub(super) async fn pin(peer: &Peer, request: &Request, output: &mut Output) -> Result<()> {
    let info: LumpInfo = peer.call(request).await?;
    if output.json { output.json_line(&info) } else { Ok(()) }
}

pub(super) async fn list_assets(peer: &Peer, output: &mut Output) -> Result<()> {
    let assets: Vec<AssetInfo> = peer.list(&Request::ListAssets {}).await?;
    let columns =
        [left("LUMP"), left("CLASS"), left("STATE"), right("MEMORY"), right("USERS"), left("REASON")];
    output.table(columns, &assets, |asset, pretty| {
        let (mut lump, mut memory) = (asset.id.to_string(), asset.memory_bytes.to_string());
        if pretty {
            lump.truncate(SHORT_DIGITS);
            memory = size(asset.memory_bytes);
        }
        [
            lump,
            asset.class.clone(),
            asset.state.name().to_owned(),
            memory,
            (asset.users + asset.holds).to_string(),
            asset.reason.clone().unwrap_or_default(),
        ]
    })
}

pub(super) async fn list(peer: &Peer, output: &mut Output) -> Result<()> {
    let lumps: Vec<LumpInfo> = peer.list(&Request::ListLumps {}).await?;
    output.table([left("ID"), right("SIZE"), left("PINNED")], &lumps, |lump, pretty| {
        let bytes = if pretty { size(lump.size) } else { lump.size.to_string() };
        [lump.id.to_string(), bytes, if lump.pinned { "pinned".into() } else { String::new() }]
    })
}
