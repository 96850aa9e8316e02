// SPDX-License-Identifier: AGPL-3.0-or-later
//! Messages to processes.

use super::{Peer, file};
use crate::{
    cbor,
    exit::Exit,
    output::Output,
    problem::{Problem, Result},
};
use hearth_abi::ProcessId;
use hearth_ipc::{Answer, Client};
use hearth_protocol::operator::{Request, SEND_BYTES_MAX};
use serde_json::json;
use std::{io, path::Path, time::Duration};
use tokio::time::timeout;

/// Most bytes of JSON: its CBOR is never much longer, but may be far shorter.
const JSON_BYTES_MAX: usize = 8 << 20;

/// How much longer than the peer this program waits: a peer that hangs shall not hang its operator.
const GRACE: Duration = Duration::from_secs(5);

/// Most bytes of a reply.
const REPLY_BYTES_MAX: usize = 64 << 20;

pub(super) async fn send(
    peer: &Peer,
    id: ProcessId,
    text: Option<String>,
    raw: bool,
    wait: Option<Duration>,
    output: &mut Output,
) -> Result<()> {
    let message = match text {
        Some(text) => text.into_bytes(),
        None => file::read_all(io::stdin().lock(), Path::new("-"), JSON_BYTES_MAX)?,
    };
    let message = if raw { message } else { cbor::from_json(&message)? };
    if message.len() > SEND_BYTES_MAX {
        let text = format!("the message has {} bytes, and may have {SEND_BYTES_MAX}", message.len());
        return Err(
            Problem::new(Exit::Limit, text).hint("what is larger is a lump; a message can carry its id")
        );
    }
    let mut client = peer.connect().await?;
    let timeout_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    client.request(&Request::Send { to: id, reply: wait.is_some(), timeout_ms }).await?;
    client.send_data(&message).await;
    client.end_data().await;
    let Some(wait) = wait else {
        reply(&mut client).await?;
        return output.done();
    };
    let reply = timeout(wait + GRACE, reply(&mut client))
        .await
        .map_err(|_elapsed| Problem::new(Exit::TimedOut, format!("the peer did not answer for `{id}`")))??;
    match (raw, output.json, cbor::to_json(&reply)) {
        (false, false, Some(text)) => output.line(&text),
        (false, true, Some(text)) => output.line(&format!("{{\"reply\":{text}}}")),
        (_, true, _) => {
            let digits: String = reply.iter().map(|byte| format!("{byte:02x}")).collect();
            output.json_line(&json!({ "reply_base16": digits }))
        }
        (true, false, _) => output.bytes(&reply),
        (false, false, None) => {
            // The call was made and cannot be made again, so the reply is not kept back.
            eprintln!("note: the reply is no CBOR; these are its bytes");
            output.bytes(&reply)
        }
    }
}

/// The data of the answer, to its end.
async fn reply(client: &mut Client) -> Result<Vec<u8>> {
    let mut reply = Vec::new();
    while let Some(answer) = client.next().await? {
        if let Answer::Data(piece) = answer {
            reply.extend_from_slice(&piece);
        }
        if reply.len() > REPLY_BYTES_MAX {
            return Err(Problem::new(Exit::Protocol, "the reply has no end"));
        }
    }
    Ok(reply)
}
