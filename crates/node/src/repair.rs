// SPDX-License-Identifier: AGPL-3.0-or-later
//! Saving what can be read of a damaged data folder.

use hearth_scene::SceneFile;
use hearth_store::{RepairError, Store};
use std::path::Path;

/// Why a folder could not be repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderRepairError {
    /// The lump store.
    #[error("could not repair the lump store")]
    Store(#[from] RepairError),
    /// The folder cannot be used, or its peer runs.
    #[error(transparent)]
    Folder(#[from] crate::folder::FolderError),
    /// The saved scene.
    #[error("could not repair the saved scene")]
    Scene(#[from] hearth_scene::FileError),
}

/// Repairs the lump store and the saved scene of a peer that does not run, and tells in lines for people
/// what was done. What is damaged is moved aside, never deleted.
///
/// # Errors
/// The peer runs, or the disk refuses.
pub fn repair(data: &Path) -> Result<Vec<String>, FolderRepairError> {
    if !data.is_dir() {
        // Nothing shall be made where somebody mistyped a path.
        let error = std::io::ErrorKind::NotFound.into();
        return Err(crate::folder::FolderError::Io { path: data.into(), error }.into());
    }
    let _folder = crate::folder::Folder::open(data)?;
    let mut lines = Vec::new();
    let lumps = data.join("lumps");
    if lumps.is_dir() {
        let report = Store::repair(&lumps)?;
        match &report.damaged {
            Some(moved) => lines.push(format!(
                "lump store: the database was damaged; {} lumps and {} pins were saved, the damaged file is `{}`",
                report.salvaged,
                report.pins,
                moved.display()
            )),
            None => lines.push("lump store: the database is whole".into()),
        }
        let check = &report.check;
        lines.push(format!(
            "lump store: {} lumps checked, {} corrupt and moved aside, {} unreadable",
            check.lumps,
            check.corrupt.len(),
            check.unreadable.len()
        ));
        lines.extend(check.corrupt.iter().map(|lump| format!("corrupt: {lump:?}")));
    }
    let scene = data.join("scene.redb");
    if scene.is_file() {
        lines.push(match SceneFile::repair(&scene)? {
            Some(done) => format!(
                "saved scene: was damaged; {} entities were saved, {} lost, the damaged file is `{}`",
                done.kept,
                done.lost,
                done.moved_to.display()
            ),
            None => "saved scene: is whole".into(),
        });
    }
    Ok(lines)
}
