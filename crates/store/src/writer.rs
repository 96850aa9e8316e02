// SPDX-License-Identifier: AGPL-3.0-or-later
//! The one thread that writes the database. It puts whatever waits into one transaction, so that callers
//! who come at the same time share one sync of the disk.

use crate::{
    database::{self, Database, Key, LUMPS, PIN_MARK, PINS, SIZES, WriteError},
    files::Files,
    layout::Layout,
    sys,
    usage::Usage,
};
use bytes::Bytes;
use hearth_abi::LumpId;
use parking_lot::Mutex;
use redb::{ReadableTable, WriteTransaction};
use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

/// Most jobs that wait for the writer, and most in one transaction; who comes then waits too. With lumps of
/// at most 64 KiB this bounds what lies in memory to 16 MiB.
const JOBS_MAX: usize = 256;

/// Most lumps that are known by name as stored since the last collection; beyond, all are taken to be.
const RECENT_MAX: usize = 1 << 20;

/// What the writer is asked for.
#[derive(Debug)]
pub(crate) enum Op {
    /// Store a small lump.
    Put {
        id: LumpId,
        bytes: Bytes,
    },
    /// Move a small lump aside if it is (still) not what its id says.
    Evict(LumpId),
    Pin(LumpId),
    Unpin(LumpId),
    /// Remove these, unless they are pinned or were stored recently.
    Remove(Vec<LumpId>),
    /// Nothing: answered when all that came before is on the disk.
    Flush,
}

/// What the writer did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// Whether there was something to do: the lump was here to pin, the pin was there to take off.
    pub(crate) found: bool,
    pub(crate) removed_lumps: u64,
    pub(crate) removed_bytes: u64,
    pub(crate) moved_to: Option<PathBuf>,
}

struct Job {
    op: Op,
    reply: SyncSender<Result<Done, WriteError>>,
}

/// Lumps stored since the last collection began.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Since the collection before that, while one runs.
    older: Set,
    newer: Set,
}

#[derive(Debug, Default)]
struct Set {
    ids: HashSet<LumpId>,
    overflown: bool,
}

impl Set {
    fn contains(&self, id: &LumpId) -> bool {
        self.overflown || self.ids.contains(id)
    }
}

impl Recent {
    /// To be called before looking whether the lump is here already.
    pub(crate) fn insert(&mut self, id: LumpId) {
        if self.newer.ids.len() < RECENT_MAX {
            self.newer.ids.insert(id);
        } else {
            self.newer.overflown = true;
        }
    }

    /// A collection begins: what is recent now is spared by it, and by no later one.
    pub(crate) fn turn(&mut self) {
        self.older = std::mem::take(&mut self.newer);
    }

    fn contains(&self, id: &LumpId) -> bool {
        self.older.contains(id) || self.newer.contains(id)
    }
}

/// What the writer shares with the callers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Arc<Layout>,
    pub(crate) database: Database,
    pub(crate) files: Files,
    pub(crate) usage: Arc<Usage>,
    pub(crate) recent: Mutex<Recent>,
}

/// The writer's thread; it ends, when all is written, as this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Writer> {
        let (jobs, queue) = sync_channel(JOBS_MAX);
        let thread =
            std::thread::Builder::new().name("lump-store".into()).spawn(move || run(&shared, &queue))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has something done, and waits until it is on the disk.
    pub(crate) fn ask(&self, shared: &Shared, op: Op) -> Result<Done, WriteError> {
        let (reply, answer) = sync_channel(1);
        let ended = || {
            let source = Arc::new(io::Error::other("its writer has ended"));
            WriteError::Database(shared.database.error(source))
        };
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(Job { op, reply }).map_err(|_gone| ended())?;
        answer.recv().map_err(|_gone| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the lump store broke off");
        }
    }
}

fn run(shared: &Shared, queue: &Receiver<Job>) {
    // Free bytes when the disk was last found full. Finding out is dear: the database must be opened anew.
    let mut full_at = None;
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(JOBS_MAX - 1));
        let outcome = write_batch(shared, &jobs, &mut full_at);
        for (n, job) in jobs.into_iter().enumerate() {
            let answer = match &outcome {
                Ok(done) => Ok(done[n].clone()),
                Err(error) => Err(error.clone()),
            };
            // A caller that is gone wants no answer.
            let _ = job.reply.send(answer);
        }
    }
}

#[derive(Default)]
struct Sums {
    added: u64,
    removed: u64,
}

fn write_batch(shared: &Shared, jobs: &[Job], full_at: &mut Option<u64>) -> Result<Vec<Done>, WriteError> {
    if jobs.iter().all(|job| matches!(job.op, Op::Flush)) {
        return Ok(vec![Done::default(); jobs.len()]);
    }
    // The database has room of its own inside, so that only trying tells. But what failed once is not tried
    // again before something has gone.
    let wanted: u64 = jobs.iter().map(|job| room_for(&job.op)).sum();
    let free = || sys::free_bytes(&shared.layout.dir);
    if wanted > 0
        && let Some(full_at) = *full_at
        && free().is_some_and(|free| free < full_at + wanted)
    {
        return Err(WriteError::Full);
    }
    // While something is removed nobody can come to know that it is here.
    let removes = jobs.iter().any(|job| matches!(job.op, Op::Remove(_)));
    let recent = removes.then(|| shared.recent.lock());
    let mut sums = Sums::default();
    let outcome = shared.database.write(|txn| {
        jobs.iter().map(|job| apply(shared, txn, &job.op, recent.as_deref(), &mut sums)).collect()
    });
    match &outcome {
        Ok(_) => {
            shared.usage.small_changed(sums.added, sums.removed);
            if wanted > 0 || sums.removed > 0 {
                *full_at = None;
            }
        }
        Err(error) => {
            *full_at = if matches!(error, WriteError::Full) { free() } else { None };
            tracing::error!(?error, "a write to the database of the lump store failed");
            if let Ok(bytes) = shared.database.read(database::small_bytes) {
                shared.usage.set_small(bytes);
            }
        }
    }
    outcome
}

/// Bytes that an operation may take on the disk: a new copy of every page on the way to its rows.
fn room_for(op: &Op) -> u64 {
    match op {
        Op::Put { bytes, .. } => 2 * bytes.len() as u64 + (64 << 10),
        Op::Pin(_) => 64 << 10,
        // These make room; let them try.
        Op::Unpin(_) | Op::Evict(_) | Op::Remove(_) | Op::Flush => 0,
    }
}

fn apply(
    shared: &Shared,
    txn: &WriteTransaction,
    op: &Op,
    recent: Option<&Recent>,
    sums: &mut Sums,
) -> Result<Done, redb::Error> {
    let mut done = Done::default();
    match op {
        Op::Put { id, bytes } => {
            let mut sizes = txn.open_table(SIZES)?;
            let mut lumps = txn.open_table(LUMPS)?;
            let same = lumps.get(&id.0)?.is_some_and(|row| row.value() == bytes);
            if !same {
                lumps.insert(&id.0, &bytes[..])?;
            }
            let size = bytes.len() as u32;
            let before = sizes.get(&id.0)?.map(|row| row.value());
            if before != Some(size) {
                sizes.insert(&id.0, size)?;
                sums.removed += u64::from(before.unwrap_or(0));
                sums.added += u64::from(size);
            }
        }
        Op::Evict(id) => {
            let bad = txn.open_table(LUMPS)?.get(&id.0)?.map(|row| row.value().to_vec());
            if let Some(bad) = bad.as_ref().filter(|bad| blake3::hash(bad).as_bytes() == &id.0) {
                // Somebody stored it again meanwhile; only the size may be wrong.
                let before = txn.open_table(SIZES)?.insert(&id.0, bad.len() as u32)?.map(|row| row.value());
                sums.removed += u64::from(before.unwrap_or(0));
                sums.added += bad.len() as u64;
                return Ok(done);
            }
            if let Some(bad) = bad {
                done.found = true;
                done.moved_to = shared.layout.write_aside(&bad, &id.to_string());
            }
            sums.removed += remove_small(txn, &id.0)?.unwrap_or(0);
        }
        Op::Pin(id) => {
            done.found = txn.open_table(SIZES)?.get(&id.0)?.is_some() || shared.files.size(id).is_some();
            if done.found {
                txn.open_table(PINS)?.insert(&id.0, PIN_MARK)?;
            }
        }
        Op::Unpin(id) => done.found = txn.open_table(PINS)?.remove(&id.0)?.is_some(),
        Op::Remove(ids) => {
            for id in ids {
                let pinned = txn.open_table(PINS)?.get(&id.0)?.is_some();
                if pinned || recent.is_none_or(|recent| recent.contains(id)) {
                    continue;
                }
                let small = remove_small(txn, &id.0)?;
                sums.removed += small.unwrap_or(0);
                if let Some(size) = small.or_else(|| shared.files.forget(id)) {
                    done.removed_lumps += 1;
                    done.removed_bytes += size;
                }
            }
        }
        Op::Flush => {}
    }
    Ok(done)
}

fn remove_small(txn: &WriteTransaction, key: &Key) -> Result<Option<u64>, redb::Error> {
    txn.open_table(LUMPS)?.remove(key)?;
    Ok(txn.open_table(SIZES)?.remove(key)?.map(|row| u64::from(row.value())))
}
