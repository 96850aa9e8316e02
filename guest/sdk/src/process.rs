// SPDX-License-Identifier: AGPL-3.0-or-later
//! This process, and others.

pub use crate::exit::{
    Down, Exit, ExitKind, ExitReason, Monitor, exit_to, exit_with, link, monitor, next_exit, trap_exits,
    unlink,
};

use crate::{Error, runtime::Pending, sys};
use hearth_abi::{
    Errno, LumpId, PeerId, ProcessId,
    signal::{decode_args, encode_args},
};

/// The id of this process.
pub fn self_id() -> ProcessId {
    ProcessId::from_bits(sys::self_())
}

fn peer_id(number: u32) -> PeerId {
    PeerId::new(number).unwrap_or(PeerId::MAX)
}

/// The peer that this process runs on.
pub fn peer() -> PeerId {
    peer_id(sys::peer())
}

/// The peer whose authority this process has: the one that spawned it.
pub fn origin() -> PeerId {
    peer_id(sys::origin())
}

/// The arguments that this process was spawned with, as text. What is no UTF-8 is replaced by `�`.
pub fn args() -> Vec<String> {
    raw_args().iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// The arguments that this process was spawned with.
pub fn raw_args() -> Vec<Vec<u8>> {
    let bytes = sys::whole(sys::args).unwrap_or_default();
    decode_args(&bytes).map(|args| args.into_iter().map(Vec::from).collect()).unwrap_or_default()
}

/// Ends this process. An empty reason is a normal end.
pub fn exit(reason: &str) -> ! {
    sys::exit(reason)
}

/// Spawns a process on this peer from a lump that holds a module.
///
/// The id is valid at once, and messages may be sent to it; if the module cannot be had or run, that
/// process ends with the reason.
///
/// # Errors
/// [`Errno::Taken`] if another process has the name, [`Errno::Limit`] if there are too many processes.
pub fn spawn<I: IntoIterator<Item: AsRef<[u8]>>>(
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<ProcessId, Errno> {
    let id = sys::spawn(&module.0, name.unwrap_or_default(), &encode_args(args));
    sys::check_id(id).map(ProcessId::from_bits)
}

/// As [`spawn`], and links the two before the new one runs: however soon it ends, this process is told why, or ends
/// with it.
///
/// # Errors
/// As [`spawn`]; [`Errno::Limit`] if this process has as many links as it may.
pub fn spawn_link<I: IntoIterator<Item: AsRef<[u8]>>>(
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<ProcessId, Errno> {
    let id = sys::spawn_link(&module.0, name.unwrap_or_default(), &encode_args(args));
    sys::check_id(id).map(ProcessId::from_bits)
}

/// As [`spawn`], and monitors the new process before it runs.
///
/// # Errors
/// As [`spawn`]; [`Errno::Limit`] if this process has as many monitors as it may.
pub fn spawn_monitor<I: IntoIterator<Item: AsRef<[u8]>>>(
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<Monitor, Errno> {
    let (args, mut id) = (encode_args(args), 0);
    let pending = Pending::ask(|tag| {
        id = sys::spawn_monitor(&module.0, name.unwrap_or_default(), &args, tag);
        // An error number is small.
        i32::try_from(id.min(0)).unwrap_or(i32::MIN)
    })?;
    Ok(Monitor::new(ProcessId::from_bits(sys::check_id(id)?), pending))
}

/// Spawns a process on a peer, and waits until it has started there. Its origin is this process's. To learn of its end, use
/// [`spawn_on_link`] or [`spawn_on_monitor`]: to who links or monitors it only then, it may be `noproc`.
///
/// # Errors
/// The peer is not connected, or has refused the module; the reason tells why.
pub async fn spawn_on<I: IntoIterator<Item: AsRef<[u8]>>>(
    peer: PeerId,
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<ProcessId, Error> {
    let (args, name) = (encode_args(args), name.unwrap_or_default());
    let pending = Pending::ask(|tag| sys::spawn_on(peer.number(), &module.0, name, &args, tag))?;
    spawned(pending).await
}

/// As [`spawn_on`], and links the two: however soon the new process ends, this process is told why, or ends with it. If
/// this one ends before the other has started, that ends with its reason. Dropped before that, they are linked all the same.
///
/// # Errors
/// As [`spawn_on`], and then there is no link; [`Errno::Limit`] if this process has as many links as it may.
pub async fn spawn_on_link<I: IntoIterator<Item: AsRef<[u8]>>>(
    peer: PeerId,
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<ProcessId, Error> {
    let (args, name) = (encode_args(args), name.unwrap_or_default());
    let pending = Pending::ask(|tag| sys::spawn_on_link(peer.number(), &module.0, name, &args, tag))?;
    spawned(pending).await
}

/// As [`spawn_on`], and monitors the new process: however soon it ends, the monitor tells why. Dropped before it has
/// started, nothing is monitored, and the other goes on.
///
/// # Errors
/// As [`spawn_on`], and then there is no monitor; [`Errno::Limit`] if this process has as many monitors as it may.
pub async fn spawn_on_monitor<I: IntoIterator<Item: AsRef<[u8]>>>(
    peer: PeerId,
    module: LumpId,
    name: Option<&str>,
    args: I,
) -> Result<Monitor, Error> {
    let (args, name) = (encode_args(args), name.unwrap_or_default());
    // Whom is known when the answer is there. Dropped meanwhile, it takes itself away.
    let unknown = Monitor::new(ProcessId::from_bits(0), Pending::ask(|_tag| 0)?);
    let pending =
        Pending::ask(|tag| sys::spawn_on_monitor(peer.number(), &module.0, name, &args, tag, unknown.tag()))?;
    Ok(unknown.of(spawned(pending).await?))
}

/// The id that the answer to a wish to spawn holds.
async fn spawned(pending: Pending) -> Result<ProcessId, Error> {
    let answer = pending.await.success()?;
    let bits = answer.body.try_into().map_err(|_short| Error::new(Errno::Host, "the reply holds no id"))?;
    Ok(ProcessId::from_bits(u64::from_le_bytes(bits)))
}

/// Ends a process wherever it runs.
///
/// # Errors
/// It is on this peer and does not exist, or its peer is not connected.
pub fn kill(who: ProcessId, reason: &str) -> Result<(), Errno> {
    sys::check(sys::kill(who.to_bits(), reason)).map(drop)
}

/// Gives this process a name on this peer: 1 to 128 bytes.
///
/// # Errors
/// [`Errno::Taken`] if another process has it.
pub fn register(name: &str) -> Result<(), Errno> {
    sys::check(sys::register(name)).map(drop)
}

/// Takes one of this process's names away.
///
/// # Errors
/// It has no such name.
pub fn unregister(name: &str) -> Result<(), Errno> {
    sys::check(sys::unregister(name)).map(drop)
}

/// The process of that name on this peer, if there is one.
pub fn whereis(name: &str) -> Option<ProcessId> {
    sys::check_id(sys::whereis(name)).ok().map(ProcessId::from_bits)
}

/// The name that a connected peer goes by.
pub fn peer_name(peer: PeerId) -> Option<String> {
    let name = sys::whole(|out| sys::peer_name(peer.number(), out)).ok()?;
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// Random bytes from the secure generator of the peer's system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    for part in bytes.chunks_mut(1 << 16) {
        sys::random(part);
    }
    bytes
}

/// Runs a program of this machine with the user's authority and without input; its exit code and
/// what it wrote, cut at 1 MiB.
///
/// # Errors
/// [`Errno::Permission`] if this process came from another peer; or the program could not be run.
pub async fn command<I: IntoIterator<Item: AsRef<[u8]>>>(args: I) -> Result<(i32, Vec<u8>), Error> {
    let args = encode_args(args);
    let answer = Pending::ask(|tag| sys::command(&args, tag))?.await.success()?;
    Ok((answer.status, answer.body))
}
