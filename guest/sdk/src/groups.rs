// SPDX-License-Identifier: AGPL-3.0-or-later
//! Groups of processes, by name, in the whole space. The server keeps them. A process is in a group once or not at
//! all; it is out of it when it has ended, or its peer is not to be reached any more.

use crate::{Error, global, message, runtime::Pending, sys};
use hearth_abi::ProcessId;
use serde::Serialize;

/// Puts this process into a group, which begins with its first member.
///
/// # Errors
/// [`Errno::Limit`](hearth_abi::Errno::Limit) if it is in 64 groups or the group has 16,384 members, or the server is not to be reached.
pub async fn join(group: &str) -> Result<(), Error> {
    Pending::ask(|tag| sys::group_join(group, tag))?.await.success().map(drop)
}

/// Takes this process out of a group.
///
/// # Errors
/// It is not in it, or the server is not to be reached.
pub async fn leave(group: &str) -> Result<(), Error> {
    Pending::ask(|tag| sys::group_leave(group, tag))?.await.success().map(drop)
}

/// Who is in a group now, in the order of their ids.
///
/// # Errors
/// The server is not to be reached.
pub async fn members(group: &str) -> Result<Vec<ProcessId>, Error> {
    let answer = Pending::ask(|tag| sys::group_members(group, tag))?.await.success()?;
    Ok(global::ids(&answer.body).collect())
}

/// Sends a message to everybody in a group, this process too if it is in it, and tells to how many it went. One
/// that has just ended, or whose mailbox or way is full, is left out.
///
/// # Errors
/// The message cannot be written as CBOR, or the server is not to be reached.
pub async fn broadcast<T: Serialize + ?Sized>(group: &str, body: &T) -> Result<usize, Error> {
    let body = message::encode(body)?;
    let members = members(group).await?;
    Ok(members.into_iter().filter(|to| message::send_bytes(*to, &body).is_ok()).count())
}
