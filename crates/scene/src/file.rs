// SPDX-License-Identifier: AGPL-3.0-or-later
//! The file of the entities that were given to the space.
//!
//! A redb database. Table `entities`: `u64` id → `u32` checksum, `u64` parent (zero for the root), and the components as
//! in a snapshot. Table `meta`: `version` → 1. `docs/formats/scene.md` has the layout.

use crate::wire::{decode_components, encode_components};
use hearth_abi::{DecodeError, EntityId, codec::Reader, scene::Component};
use redb::{
    Builder, CommitError, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError, TransactionError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use thiserror::Error;

const ENTITIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entities");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION: u64 = 1;
/// Bytes of pages that redb keeps in memory.
const CACHE_LEN: usize = 16 << 20;

/// An entity that belongs to the space.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedEntity {
    /// The entity.
    pub id: EntityId,
    /// What it hung under when it was saved.
    pub parent: Option<EntityId>,
    /// Its components, in order of kind.
    pub components: Vec<Component>,
}

/// What has to be written to the file.
#[derive(Clone, Debug, PartialEq)]
pub enum SavedChange {
    /// The entity is like this now.
    Put(SavedEntity),
    /// The entity is gone, or is no longer the space's.
    Remove(EntityId),
}

impl SavedChange {
    /// The entity that it is about.
    pub const fn entity(&self) -> EntityId {
        match self {
            SavedChange::Put(entity) => entity.id,
            SavedChange::Remove(id) => *id,
        }
    }
}

/// Why the file could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// What is in the file cannot have been written there.
    #[error("`{}` is damaged: {problem}; keep a copy, then run `hearth-server repair --data {}`", path.display(), folder(path).display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process has the file open.
    #[error("`{}` is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is of a newer Hearth.
    #[error("`{}` has format {version}, which this program does not know", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it states.
        version: u64,
    },
    /// The system refused to read or write: no space, no permission, a broken disk.
    #[error("could not read or write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What [`SceneFile::repair`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Entities that are in the new file.
    pub kept: usize,
    /// Entities that were seen and could not be read. Others may be lost without a trace.
    pub lost: usize,
    /// Where the damaged file is now.
    pub moved_to: PathBuf,
}

/// The file of the entities that were given to the space.
///
/// Its calls block on the disk: keep them off the threads that must not wait.
#[derive(Debug)]
pub struct SceneFile {
    path: PathBuf,
    database: Database,
}

/// What redb says, sorted by what the user can do about it.
enum Cause {
    Damaged(String),
    InUse,
    Io(io::Error),
}

impl Cause {
    fn at(self, path: &Path) -> FileError {
        let path = path.to_owned();
        match self {
            Cause::Damaged(problem) => FileError::Damaged { path, problem },
            Cause::InUse => FileError::InUse { path },
            Cause::Io(source) => FileError::Io { path, source },
        }
    }
}

impl From<StorageError> for Cause {
    fn from(error: StorageError) -> Cause {
        match error {
            // redb reports a file without its first bytes, or cut short, as such an input error.
            StorageError::Io(e)
                if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Cause::Damaged(e.to_string())
            }
            StorageError::Io(error) => Cause::Io(error),
            StorageError::Corrupted(problem) => Cause::Damaged(problem),
            other => Cause::Damaged(other.to_string()),
        }
    }
}

impl From<DatabaseError> for Cause {
    fn from(error: DatabaseError) -> Cause {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Cause::InUse,
            DatabaseError::Storage(error) => error.into(),
            other => Cause::Damaged(other.to_string()),
        }
    }
}

impl From<TransactionError> for Cause {
    fn from(error: TransactionError) -> Cause {
        match error {
            TransactionError::Storage(error) => error.into(),
            other => Cause::Damaged(other.to_string()),
        }
    }
}

impl From<TableError> for Cause {
    fn from(error: TableError) -> Cause {
        match error {
            TableError::Storage(error) => error.into(),
            other => Cause::Damaged(other.to_string()),
        }
    }
}

impl From<CommitError> for Cause {
    fn from(error: CommitError) -> Cause {
        match error {
            CommitError::Storage(error) => error.into(),
            other => Cause::Damaged(other.to_string()),
        }
    }
}

/// redb checks most of what it reads, and panics at some of what it does not expect. From a file that
/// was altered outside, both are the same news.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Cause>) -> Result<T, FileError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_panic| Err(Cause::Damaged("its structure is broken".into())))
        .map_err(|cause| cause.at(path))
}

impl SceneFile {
    /// Opens the file, or makes an empty one. All of it is read and checked once.
    ///
    /// # Errors
    /// The file is damaged, in use, of a newer version, or cannot be read or made.
    pub fn open(path: &Path) -> Result<SceneFile, FileError> {
        let file = SceneFile::open_unchecked(path)?;
        let version = guarded(path, || {
            let transaction = file.database.begin_read()?;
            let meta = transaction.open_table(META)?;
            Ok(meta.get("version")?.map(|version| version.value()))
        })?;
        match version {
            Some(VERSION) => Ok(file),
            Some(version) => Err(FileError::Version { path: path.to_owned(), version }),
            None => Err(Cause::Damaged("it states no version".into()).at(path)),
        }
    }

    fn open_unchecked(path: &Path) -> Result<SceneFile, FileError> {
        let is_new = match std::fs::metadata(path) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(Cause::Io(error).at(path)),
        };
        let database = guarded(path, || {
            if is_new {
                return create(path);
            }
            let mut database = Builder::new().set_cache_size(CACHE_LEN).open(path)?;
            // False when something had to be mended, as after a crash: the last commit is whole.
            let _was_clean = database.check_integrity()?;
            Ok(database)
        })?;
        Ok(SceneFile { path: path.to_owned(), database })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that was saved, in order of id.
    ///
    /// # Errors
    /// The file cannot be read, or holds an entity that no Hearth wrote.
    pub fn load(&self) -> Result<Vec<SavedEntity>, FileError> {
        guarded(&self.path, || {
            let table = self.database.begin_read()?.open_table(ENTITIES)?;
            let mut entities = Vec::new();
            for row in table.iter()? {
                let (id, value) = row?;
                let id = EntityId::from_bits(id.value());
                let entity = decode(id, value.value())
                    .map_err(|error| Cause::Damaged(format!("entity {id}: {error}")))?;
                entities.push(entity);
            }
            Ok(entities)
        })
    }

    /// Writes changes, all or none. When it returns they are on the disk: only then may they be
    /// acknowledged.
    ///
    /// # Errors
    /// The disk is full or failed; nothing was changed. Give the changes to
    /// [`Scene::not_saved`](crate::Scene::not_saved) and try again later.
    pub fn save(&self, changes: &[SavedChange]) -> Result<(), FileError> {
        if changes.is_empty() {
            return Ok(());
        }
        guarded(&self.path, || write(&self.database, changes))
    }

    /// Moves a damaged file aside and makes a new one of what can still be read. A file that is not
    /// damaged is left as it is: `None`.
    ///
    /// # Errors
    /// The file is in use, of a newer version, or files cannot be moved or made.
    pub fn repair(path: &Path) -> Result<Option<Repaired>, FileError> {
        match SceneFile::open(path).and_then(|file| file.load()) {
            Ok(_) => return Ok(None),
            Err(FileError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let moved_to = aside(path)?;
        let mut kept = BTreeMap::new();
        let mut lost = BTreeSet::new();
        // From both ends, as far as the damage lets it. What cannot be opened at all is kept aside
        // for those who can read it by other means.
        for backwards in [false, true] {
            let _rest_is_lost = guarded(&moved_to, || {
                let database = Builder::new().set_cache_size(CACHE_LEN).open(&moved_to)?;
                let table = database.begin_read()?.open_table(ENTITIES)?;
                let mut rows = table.iter()?;
                while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                    let (id, value) = row?;
                    let id = EntityId::from_bits(id.value());
                    match decode(id, value.value()) {
                        Ok(entity) => kept.insert(id, SavedChange::Put(entity)).is_none(),
                        Err(_) => lost.insert(id),
                    };
                }
                Ok(())
            });
        }
        let kept = Vec::from_iter(kept.into_values());
        SceneFile::open(path)?.save(&kept)?;
        Ok(Some(Repaired { kept: kept.len(), lost: lost.len(), moved_to }))
    }
}

/// Makes an empty file under another name first: a crash midway leaves none, and not one that
/// looks damaged.
fn create(path: &Path) -> Result<Database, Cause> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Cause::Io(error)),
        _ => {}
    }
    let database = Builder::new().set_cache_size(CACHE_LEN).create(&new)?;
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("version", VERSION)?;
    transaction.open_table(ENTITIES)?;
    transaction.commit()?;
    std::fs::rename(&new, path).map_err(Cause::Io)?;
    sync_folder(path)?;
    Ok(database)
}

/// Makes a rename last over a loss of power. Only Unix can, and must, do so.
fn sync_folder(path: &Path) -> Result<(), Cause> {
    if cfg!(unix) {
        std::fs::File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(Cause::Io)?;
    }
    Ok(())
}

fn write(database: &Database, changes: &[SavedChange]) -> Result<(), Cause> {
    // Durable when committed, which is redb's default.
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(ENTITIES)?;
        let mut value = Vec::new();
        for change in changes {
            match change {
                SavedChange::Put(entity) => {
                    value.clear();
                    encode(&mut value, entity);
                    table.insert(entity.id.to_bits(), value.as_slice())?;
                }
                SavedChange::Remove(id) => {
                    table.remove(id.to_bits())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Renames the file to the first free name of the form `NAME.damaged-N`.
fn aside(path: &Path) -> Result<PathBuf, FileError> {
    let free = (1u32..).find_map(|n| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{n}"));
        let name = PathBuf::from(name);
        (!name.exists()).then_some(name)
    });
    let free = free.expect("a folder does not hold four billion damaged files");
    let moved = std::fs::rename(path, &free).map_err(Cause::Io).and_then(|()| sync_folder(path));
    moved.map_err(|cause| cause.at(path))?;
    Ok(free)
}

fn encode(out: &mut Vec<u8>, entity: &SavedEntity) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&entity.parent.map_or(0, EntityId::to_bits).to_le_bytes());
    encode_components(out, entity.components.iter());
    let sum = checksum(entity.id, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
}

fn decode(id: EntityId, bytes: &[u8]) -> Result<SavedEntity, DecodeError> {
    let mut reader = Reader::new(bytes);
    let differs = reader.error("checksum differs");
    if reader.u32()? != checksum(id, &bytes[reader.offset()..]) {
        return Err(differs);
    }
    let parent = reader.u64()?;
    let components = decode_components(&mut reader)?;
    reader.end()?;
    Ok(SavedEntity { id, parent: (parent != 0).then(|| EntityId::from_bits(parent)), components })
}

/// CRC-32 as of ISO 3309, of the id and the value. redb's own checksums are of pages: this one tells, when
/// a file has to be repaired, which entities of a damaged page are whole.
fn checksum(id: EntityId, value: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    let id = id.to_bits().to_le_bytes();
    !id.iter().chain(value).fold(!0, |crc, byte| step(crc, *byte))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_everybody_has() {
        // The check value of the catalogue: CRC-32 of `123456789`.
        let id = EntityId::from_bits(u64::from_le_bytes(*b"12345678"));
        assert_eq!(checksum(id, b"9"), 0xCBF4_3926);
    }
}
