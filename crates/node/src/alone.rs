// SPDX-License-Identifier: AGPL-3.0-or-later
//! A node alone: processes, lumps and a scene for one user, and no way to anybody else.

use crate::{
    client::show,
    folder::Folder,
    limits::PeerLimits,
    network::failure,
    node::{Inner, Node, Parts, StartError, about_program},
    picture::Picture,
    world::World,
};
use bytes::Bytes;
use hearth_abi::{PeerId, ProcessId};
use hearth_protocol::control::Failure;
use std::{path::PathBuf, sync::Arc};

/// The number of a peer that is alone: that of a client, since what it makes is local.
const ME: u32 = 1;

/// What a node alone is started with.
pub struct AloneOptions {
    /// Its data folder; made if it is not there. What it keeps is for as long as it runs.
    pub data: PathBuf,
    /// Its name.
    pub name: String,
    /// The engine that shows its scene, if there is one.
    pub picture: Option<Arc<dyn Picture>>,
    /// Threads that run processes.
    pub workers: usize,
}

impl AloneOptions {
    /// The usual, without a picture.
    pub fn new(data: impl Into<PathBuf>, name: impl Into<String>) -> AloneOptions {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        AloneOptions { data: data.into(), name: name.into(), picture: None, workers }
    }
}

/// A node alone that runs.
pub struct RunningAlone {
    /// The peer. It has no server, no others, no local socket, and starts nothing by itself.
    pub node: Node,
    done: tokio::task::JoinHandle<()>,
}

impl RunningAlone {
    /// Stores a module and spawns a process from it, with the authority of this program, and waits until it has
    /// started.
    ///
    /// # Errors
    /// The disk refuses, or the module cannot be run.
    pub async fn spawn(&self, module: Bytes, name: &str, args: &[&str]) -> Result<ProcessId, Failure> {
        let stored = self.node.put_lump(module).await;
        let module = stored.map_err(|error| failure(hearth_abi::Errno::Host, crate::lumps::chain(&error)))?;
        self.node.spawn(self.node.id(), module, Some(name.into()), args).await
    }

    /// Waits until it has ended, after [`Node::shut_down`].
    pub async fn ended(self) {
        // A panic of the task was printed by its thread.
        let _ = self.done.await;
    }
}

/// Starts a node alone.
///
/// # Errors
/// The folder cannot be used, or the WebAssembly engine does not start.
pub fn alone(options: AloneOptions) -> Result<RunningAlone, StartError> {
    let folder = Folder::open(&options.data)?;
    let me = PeerId::new(ME).unwrap_or(PeerId::SERVER);
    let inner = Inner::start(Parts {
        me,
        name: options.name.clone(),
        space: options.name.clone(),
        folder,
        world: World::client(me),
        limits: PeerLimits::default(),
        workers: options.workers,
    })?;
    inner.network.insert(me, about_program(ME, &options.name, [0; 32], Vec::new()), None);
    if let Some(picture) = options.picture {
        // Nobody set it before: the node is new.
        let _ = inner.picture.set(picture);
        tokio::spawn(show(inner.clone()));
    }
    let running = inner.clone();
    let done = tokio::spawn(async move {
        running.shutdown.cancelled().await;
        running.finish().await;
    });
    Ok(RunningAlone { node: Node { inner }, done })
}
