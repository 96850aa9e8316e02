// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer's socket, and the loop that serves it.

use crate::{
    exchange::Exchange,
    folder::{FolderError, RuntimeDir, user},
    limits::{CONNECTIONS_MAX, NAME_CHARS_MAX, PATH_BYTES_MAX, REQUEST_TIMEOUT, SAME_NAME_MAX},
};
use futures::future::BoxFuture;
use hearth_protocol::operator::{ErrorCode, Failure, Request, Role};
use std::{
    convert::Infallible,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// How long to wait when the system gives no more connections, as when there are no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a peer does with requests.
pub trait Operator: Send + Sync + 'static {
    /// Answers one request: writes values and data to `io` and returns. The end of the answer, or the
    /// failure, is written by the caller, so a handler may use `?` on what `io` gives.
    ///
    /// The future is dropped only when the server ends; a handler that waits for long should watch
    /// [`Exchange::hung_up`]. Bodies that a handler does not read are thrown away.
    fn handle<'a>(&'a self, request: Request, io: &'a mut Exchange) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The folder is not safe, or cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system would cut the path off.
    #[error("the path of the socket has {len} bytes, and may have {PATH_BYTES_MAX}: `{path}`")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Another peer runs there.
    #[error("another peer serves `{0}`")]
    InUse(PathBuf),
    /// Something that is no socket is in its place, and is not ours to remove.
    #[error("`{0}` is there and is no socket")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot serve `{path}`")]
    Io {
        /// The socket or its lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The name of a peer's socket without its ending: the role and as much of the label as can stand in the
/// name of a file (ASCII letters, digits, `.`, `_`; all else becomes `-`).
pub fn socket_name(role: Role, label: &str) -> String {
    let role = match role {
        Role::Server => "server",
        Role::Client => "client",
    };
    let mut name = String::from(role);
    name.push('-');
    for c in label.chars().take(NAME_CHARS_MAX) {
        let fits = c.is_ascii_alphanumeric() || c == '.' || c == '_';
        match fits {
            true => name.push(c),
            false if name.ends_with('-') => {}
            false => name.push('-'),
        }
    }
    name.trim_end_matches('-').to_string()
}

/// The socket of one peer. While it lives, its lock file is locked, which the kernel undoes even
/// after a crash; so whoever gets the lock may remove a socket that is left over.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    lock: File,
}

impl Server {
    /// Opens the socket `NAME.sock` in the folder; if a peer serves it already, `NAME-2.sock`, and so on.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If the path is too long, if [`SAME_NAME_MAX`] peers have this name, or if the system refuses.
    pub fn bind(folder: &RuntimeDir, name: &str) -> Result<Server, BindError> {
        let mut refused = None;
        for number in 1..=SAME_NAME_MAX {
            let file = if number == 1 { format!("{name}.sock") } else { format!("{name}-{number}.sock") };
            match Server::bind_at(&folder.path().join(file)) {
                Err(BindError::InUse(path)) => refused = Some(path),
                result => return result,
            }
        }
        Err(BindError::InUse(refused.unwrap_or_else(|| folder.path().join(name))))
    }

    /// Opens the socket at this path, which ends in a file name; the lock file is beside it, with the
    /// ending `.lock`. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If the path is too long, if a peer serves it, if something else is there, or if the system refuses.
    pub fn bind_at(path: &Path) -> Result<Server, BindError> {
        let io = |path: &Path, source| BindError::Io { path: path.into(), source };
        let path = std::path::absolute(path).map_err(|error| io(path, error))?;
        let len = path.as_os_str().len();
        if len > PATH_BYTES_MAX {
            return Err(BindError::PathTooLong { path, len });
        }
        let lock_path = path.with_extension("lock");
        let lock = File::options().create(true).append(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(|error| io(&lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BindError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(io(&lock_path, error)),
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => {
                debug!(path = %path.display(), "removing the socket of a peer that crashed");
                fs::remove_file(&path).map_err(|error| io(&path, error))?;
            }
            Ok(_) => return Err(BindError::NotASocket(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(&path, error)),
        }
        let listener = UnixListener::bind(&path).map_err(|error| io(&path, error))?;
        let server = Server { listener, path, lock };
        let private = fs::set_permissions(&server.path, fs::Permissions::from_mode(0o600));
        private.map_err(|error| io(&server.path, error))?;
        Ok(server)
    }

    /// The absolute path of the socket: what `$HEARTH_SOCKET` should be for programs that this peer starts.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves requests until the future is dropped; then every connection is closed and the socket is
    /// removed.
    pub async fn serve(self, operator: Arc<dyn Operator>) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "cannot accept a connection of the local socket");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a request of the local socket failed");
                    }
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(who) if who.uid() == user() => {}
                Ok(who) => {
                    warn!(uid = who.uid(), pid = who.pid(), "turned away a program of another user");
                    continue;
                }
                Err(error) => {
                    warn!(%error, "cannot tell whose program connects to the local socket");
                    continue;
                }
            }
            match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let operator = Arc::clone(&operator);
                    connections.spawn(async move {
                        serve_one(stream, &*operator).await;
                        drop(place);
                    });
                }
                Err(_) => turn_away(stream),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The lock is still held here, so it is ours. The lock file stays: whoever removed it could
        // take it away from one who has just locked it.
        let _ = fs::remove_file(&self.path);
        // Closing it is not enough: a program that this process is starting has it open too, until it runs.
        let _ = self.lock.unlock();
    }
}

async fn serve_one(stream: UnixStream, operator: &dyn Operator) {
    let mut io = match Exchange::new(stream) {
        Ok(io) => io,
        Err(error) => return warn!(%error, "cannot serve a connection of the local socket"),
    };
    let result = match timeout(REQUEST_TIMEOUT, io.request()).await {
        Ok(Ok(request)) => {
            debug!(op = request.op(), "request of the local socket");
            operator.handle(request, &mut io).await
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_elapsed) => Err(Failure::new(
            ErrorCode::TimedOut,
            format!("no request came within {} seconds", REQUEST_TIMEOUT.as_secs()),
        )),
    };
    if let Err(error) = io.finish(result).await {
        debug!(%error, "the answer did not reach its client");
    }
}

/// Tells a client that there are too many; what does not fit into the socket at once is not sent.
fn turn_away(stream: UnixStream) {
    let failure = Failure::new(
        ErrorCode::Limit,
        format!("{CONNECTIONS_MAX} programs are connected to this peer already"),
    );
    let mut bytes = bytes::BytesMut::new();
    if let Ok(json) = serde_json::to_vec(&failure) {
        crate::frame::encode(hearth_protocol::operator::FrameKind::Error, &json, &mut bytes);
        let _ = stream.try_write(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sockets() {
        let check = |label: &str, expect: &str| assert_eq!(socket_name(Role::Client, label), expect);
        check("ann", "client-ann");
        check("Ann & Bob", "client-Ann-Bob");
        check("../../etc/passwd", "client-..-..-etc-passwd");
        check("", "client");
        check("日本", "client");
        check("a\0b\nc", "client-a-b-c");
        check(&"x".repeat(99), &format!("client-{}", "x".repeat(NAME_CHARS_MAX)));
        assert_eq!(socket_name(Role::Server, "a1b2c3"), "server-a1b2c3");
    }
}
