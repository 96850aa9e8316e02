// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files of this machine that become lumps: those that scripts of its user name, and those that the user drops on the
//! window.

use crate::{lumps::chain, network::failure, node::Inner};
use hearth_abi::{
    EntityId, Errno, LumpId,
    input::{self, Event, FILE_LEN_MAX, mask},
};
use hearth_protocol::control::Failure;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Most dropped files that are being read or wait for it: each holds a thread while it is read.
const DROPS_MAX: usize = 256;
/// Most that are read at a time.
const READS_MAX: usize = 2;

/// How many dropped files there are at a time.
pub(crate) struct Files {
    places: Arc<Semaphore>,
    reads: Semaphore,
}

impl Default for Files {
    fn default() -> Files {
        Files { places: Arc::new(Semaphore::new(DROPS_MAX)), reads: Semaphore::new(READS_MAX) }
    }
}

/// Makes a lump of a regular file of at most so many bytes: tells its id and its size.
pub(crate) async fn store(inner: &Inner, path: PathBuf, len_max: u64) -> Result<(LumpId, u64), Failure> {
    let store = inner.lumps.store().clone();
    let stored = tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::OpenOptionsExt as _;
        let shown = path.display();
        // A pipe that nobody writes to would hold this thread, and the end of the peer, for ever.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = opened.map_err(|error| {
            let errno = match error.kind() {
                std::io::ErrorKind::NotFound => Errno::NotFound,
                _ => Errno::Host,
            };
            failure(errno, format!("could not open `{shown}`: {error}"))
        })?;
        let meta = file.metadata().map_err(|error| failure(Errno::Host, error))?;
        if !meta.is_file() {
            return Err(failure(Errno::Invalid, format!("`{shown}` is no regular file")));
        }
        let too_long =
            |len| failure(Errno::Limit, format!("`{shown}`: {len} bytes are over the limit of {len_max}"));
        if meta.len() > len_max {
            return Err(too_long(meta.len()));
        }
        // It may grow meanwhile.
        let mut bounded = file.take(len_max.saturating_add(1));
        let (id, size) =
            store.put_reader(&mut bounded).map_err(|error| failure(Errno::Host, chain(&error)))?;
        if size > len_max { Err(too_long(size)) } else { Ok((id, size)) }
    });
    stored.await.map_err(|error| failure(Errno::Host, error))?
}

/// The user dropped a file on the window: those who asked for files hear of it when it is a lump, or read in
/// their logs why it is none.
pub(crate) fn dropped(
    inner: &Arc<Inner>,
    path: PathBuf,
    entity: Option<EntityId>,
    point: [f32; 3],
    normal: [f32; 3],
) {
    if !inner.inputs.are_wanted(mask::FILES) {
        tracing::info!(file = %path.display(), "no script asks for the files that are dropped");
        return;
    }
    let Ok(place) = inner.files.places.clone().try_acquire_owned() else {
        let text = format!("`{}` is left out: {DROPS_MAX} files are waiting already", path.display());
        return inner.inputs.warn(&inner.processes, mask::FILES, "file", &text);
    };
    let inner = inner.clone();
    tokio::spawn(async move {
        let _place = place;
        let name = name_of(&path);
        let stored = tokio::select! {
            stored = read(&inner, path) => stored,
            () = inner.shutdown.cancelled() => return,
        };
        match stored {
            Ok((lump, size)) => {
                let event = Event::File { lump, size, entity, point, normal, name };
                inner.inputs.deliver(&inner.processes, &event);
            }
            Err(failure) => inner.inputs.warn(&inner.processes, mask::FILES, "file", &failure.reason),
        }
    });
}

async fn read(inner: &Inner, path: PathBuf) -> Result<(LumpId, u64), Failure> {
    let _turn = inner.files.reads.acquire().await;
    store(inner, path, FILE_LEN_MAX).await
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    input::cut_name(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_folders_and_fit() {
        assert_eq!(name_of(Path::new("/home/ada/Tür.png")), "Tür.png");
        assert_eq!(name_of(Path::new("/")), "");
        assert_eq!(name_of(Path::new(&format!("/tmp/{}", "ü".repeat(200)))).len(), input::NAME_LEN_MAX - 1);
    }
}
