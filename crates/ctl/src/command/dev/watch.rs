// SPDX-License-Identifier: AGPL-3.0-or-later
//! Tells when the sources of a package were saved.

use crate::{
    exit::Exit,
    problem::{Problem, Result},
};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};
use std::{
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// An editor writes a file in several steps: a save is over when nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(60);

/// What does not become quiet, as a copy of many files, is looked at after so long.
const NOISE_MAX: Duration = Duration::from_secs(2);

/// Folders of what is made, not written.
const MADE: [&str; 4] = ["target", "node_modules", "build", "dist"];

/// Files that builds write.
const LOCKS: [&str; 3] = ["Cargo.lock", "package-lock.json", "4913"];

/// Watches the folder of a package.
pub(super) struct Watcher {
    watcher: RecommendedWatcher,
    folder: PathBuf,
    /// One place is enough: that something has changed is all there is to know.
    changed: mpsc::Receiver<()>,
}

impl Watcher {
    /// Watches from now on. `made` is the module, if it is built.
    pub(super) fn new(folder: &Path, made: Option<PathBuf>) -> Result<Watcher> {
        let failed = |error: notify::Error| {
            Problem::new(Exit::Io, format!("cannot watch `{}`", folder.display())).cause(error)
        };
        // Events have whole paths, without links.
        let folder = fs::canonicalize(folder).map_err(|error| Problem::reading(folder, &error))?;
        let made = made.map(|path| folder.join(path));
        let (tell, changed) = mpsc::channel(1);
        let root = folder.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let is_change = match &event {
                Ok(event) => is_change(event, &root, made.as_deref()),
                // Events were lost: there may have been one.
                Err(_) => true,
            };
            if is_change {
                // A full channel has told already.
                let _ = tell.try_send(());
            }
        });
        let mut watcher = Watcher { watcher: watcher.map_err(failed)?, folder, changed };
        watcher.watcher.watch(&watcher.folder.clone(), RecursiveMode::NonRecursive).map_err(failed)?;
        watcher.watch_folders();
        Ok(watcher)
    }

    /// Watches the folders of sources. Those of what is made are large, and change all the time.
    fn watch_folders(&mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if !is_ignored(&entry.file_name()) {
                // Watching again what is watched changes nothing; one that has just gone needs no watching.
                let _ = self.watcher.watch(&entry.path(), RecursiveMode::Recursive);
            }
        }
    }

    /// Resolves when something was saved, and the saving is over. Cancellation safe but for the waiting.
    pub(super) async fn saved(&mut self) {
        if self.changed.recv().await.is_none() {
            // The watcher is a part of this.
            return std::future::pending().await;
        }
        let at_most = Instant::now() + NOISE_MAX;
        while let Ok(Some(())) = timeout_at((Instant::now() + QUIET).min(at_most), self.changed.recv()).await
        {
            if Instant::now() >= at_most {
                break;
            }
        }
        self.watch_folders();
    }
}

fn is_change(event: &Event, root: &Path, made: Option<&Path>) -> bool {
    let is_kind = match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Any => true,
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Modify(_) => true,
        EventKind::Access(_) | EventKind::Other => false,
    };
    let is_source = |path: &Path| {
        let Ok(below) = path.strip_prefix(root) else { return false };
        let mut parts = below.components().map(Component::as_os_str).peekable();
        parts.peek().is_some() && !parts.any(is_ignored) && made != Some(path)
    };
    event.need_rescan() || is_kind && event.paths.iter().any(|path| is_source(path))
}

/// Whether a file or folder of this name is none that an author saves: what is made, what is hidden, and what
/// editors keep beside the file that they edit.
fn is_ignored(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    // `.cargo` is hidden, and still of the sources; it changes so seldom that it need not be watched.
    let is_hidden = name.starts_with('.');
    let is_of_editor = name.ends_with('~')
        || name.starts_with('#') && name.ends_with('#')
        || [".swp", ".swo", ".swx", ".bak"].iter().any(|ending| name.ends_with(ending));
    // Linkers of LLVM write `orb.wasm.tmp1a2b3c4` and rename it.
    let is_temporary = name
        .rsplit_once(".tmp")
        .is_some_and(|(_, digits)| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
    is_hidden || is_of_editor || is_temporary || MADE.contains(&&*name) || LOCKS.contains(&&*name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use notify::event::{AccessKind, CreateKind, DataChange, MetadataKind};

    #[test]
    fn what_is_made_or_belongs_to_an_editor_is_no_save() {
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let check = |kind: EventKind, path: &str, expect: bool| {
            let event = Event::new(kind).add_path(path.into());
            let seen = is_change(&event, Path::new("/p"), Some(Path::new("/p/orb.wasm")));
            assert_eq!(seen, expect, "{kind:?} {path}");
        };
        for path in [
            "/p/src/lib.rs",
            "/p/hearth.toml",
            "/p/orb.c",
            "/p/src/deep/er/mod.rs",
            "/p/targets.rs",
            "/p/page.tmpl",
            "/p/tmp1a.rs",
        ] {
            check(write, path, true);
            check(EventKind::Create(CreateKind::File), path, true);
            check(EventKind::Access(AccessKind::Any), path, false);
            check(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), path, false);
        }
        for path in [
            "/p/target/debug/x",
            "/p/orb.wasm",
            "/p/.git/index",
            "/p/src/.lib.rs.swp",
            "/p/src/4913",
            "/p/src/lib.rs~",
            "/p/src/#lib.rs#",
            "/p/src/.#lib.rs",
            "/p/src/lib.rs.tmp",
            "/p/orb.wasm.tmp1a2b3c4",
            "/p/orb.wasm.tmpdeadbef",
            "/p/Cargo.lock",
            "/p/node_modules/a/b.js",
            "/elsewhere/lib.rs",
            "/p",
        ] {
            check(write, path, false);
        }
    }

    #[tokio::test]
    async fn a_save_is_told_once_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("target")).unwrap();
        fs::create_dir_all(folder.path().join("src")).unwrap();
        let mut watcher = Watcher::new(folder.path(), None).unwrap();
        // Written as editors do: beside, then moved.
        fs::write(folder.path().join("src/.lib.rs.swp"), "x").unwrap();
        fs::write(folder.path().join("target/made"), "x").unwrap();
        fs::write(folder.path().join("src/lib.rs.tmp"), "one").unwrap();
        fs::rename(folder.path().join("src/lib.rs.tmp"), folder.path().join("src/lib.rs")).unwrap();
        let soon = Duration::from_secs(30);
        tokio::time::timeout(soon, watcher.saved()).await.unwrap();
        assert!(watcher.changed.try_recv().is_err(), "one save is told once");
        // A folder that came meanwhile is watched too.
        fs::create_dir_all(folder.path().join("more")).unwrap();
        tokio::time::timeout(soon, watcher.saved()).await.unwrap();
        fs::write(folder.path().join("more/new.rs"), "x").unwrap();
        tokio::time::timeout(soon, watcher.saved()).await.unwrap();
    }
}
