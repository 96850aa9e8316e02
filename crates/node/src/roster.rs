// SPDX-License-Identifier: AGPL-3.0-or-later
//! The server's list of every key that ever joined: a key's number is given once and never reused.
//!
//! One line a peer: number, key as 64 hexadecimal digits, and the name it last went by.

use crate::folder::replace_file;
use hearth_abi::{LumpId, PeerId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, path::PathBuf};

/// The list, kept in a file.
#[derive(Debug)]
pub(crate) struct Roster {
    path: PathBuf,
    by_key: Mutex<BTreeMap<[u8; 32], (PeerId, String)>>,
}

/// Why a key gets no number.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RosterError {
    /// All 2^20 − 1 numbers are given.
    #[error("the space has no peer numbers left")]
    Exhausted,
    /// The list could not be written.
    #[error("could not write the list of peers")]
    Write(#[from] io::Error),
}

impl Roster {
    /// Reads the list; without a file it is empty.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is malformed.
    pub(crate) fn open(path: PathBuf) -> io::Result<Roster> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut by_key = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let entry = parse(line).ok_or_else(|| {
                let text = format!("`{}` is malformed at line {}", path.display(), index + 1);
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            by_key.insert(entry.0, (entry.1, entry.2));
        }
        Ok(Roster { path, by_key: Mutex::new(by_key) })
    }

    /// The number of this key, given now if it is new, and on disk before this returns.
    ///
    /// # Errors
    /// No number is left, or the list could not be written.
    pub(crate) fn number(&self, key: [u8; 32], name: &str) -> Result<PeerId, RosterError> {
        let mut by_key = self.by_key.lock();
        let next = by_key.values().map(|(id, _)| id.number()).max().unwrap_or(0) + 1;
        let known = by_key.get(&key).map(|(id, _)| *id);
        let id = known.or_else(|| PeerId::new(next)).ok_or(RosterError::Exhausted)?;
        let clean: String = name.chars().filter(|c| !c.is_control()).collect();
        if by_key.get(&key).is_some_and(|(_, old)| *old == clean) {
            return Ok(id);
        }
        let mut changed = by_key.clone();
        changed.insert(key, (id, clean));
        let lines: String =
            changed.iter().map(|(key, (id, name))| format!("{id} {} {name}\n", LumpId(*key))).collect();
        replace_file(&self.path, lines.as_bytes())?;
        *by_key = changed;
        Ok(id)
    }
}

fn parse(line: &str) -> Option<([u8; 32], PeerId, String)> {
    let mut words = line.splitn(3, ' ');
    let id = words.next()?.parse().ok()?;
    let key: LumpId = words.next()?.parse().ok()?;
    Some((key.0, id, words.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_key_keeps_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        let roster = Roster::open(path.clone()).unwrap();
        let ada = roster.number([1; 32], "ada").unwrap();
        let bob = roster.number([2; 32], "bob\n7").unwrap();
        assert_ne!(ada, bob);
        assert_eq!(roster.number([1; 32], "ada the second").unwrap(), ada);
        let again = Roster::open(path).unwrap();
        assert_eq!(again.number([2; 32], "bob").unwrap(), bob);
        assert_eq!(again.number([1; 32], "").unwrap(), ada);
        assert!(again.number([3; 32], "eve").unwrap() > bob);
    }
}
