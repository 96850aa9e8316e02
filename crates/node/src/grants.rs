// SPDX-License-Identifier: AGPL-3.0-or-later
//! What this peer's user has granted to other peers, kept by their keys: a key is a peer, a name is a label
//! and a number is one space's.
//!
//! One line a grant: what, the key as 64 hexadecimal digits, the number that the peer last had, and its name.

use crate::folder::replace_file;
use hearth_abi::{LumpId, PeerId};
use hearth_protocol::control::Grantable;
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, path::PathBuf};

/// Most grants of one peer's user.
const GRANTS_MAX: usize = 4096;

/// A grant, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) what: Grantable,
    pub(crate) key: [u8; 32],
    /// The number that the peer had when it was granted.
    pub(crate) peer: PeerId,
    /// The name that it had then.
    pub(crate) name: String,
}

/// The list, kept in a file.
#[derive(Debug)]
pub(crate) struct Grants {
    path: PathBuf,
    /// Held while the file is written. Who only asks does not wait for the disk.
    writing: Mutex<()>,
    by_key: Mutex<ByKey>,
}

/// What is granted to whom; and number and name of each.
type ByKey = BTreeMap<(Grantable, [u8; 32]), (PeerId, String)>;

/// Why something is not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// There are [`GRANTS_MAX`] already.
    #[error("there are {GRANTS_MAX} grants already")]
    Full,
    /// The list could not be written.
    #[error("could not write the list of grants")]
    Write(#[from] io::Error),
}

impl Grants {
    /// Reads the list; without a file it is empty.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is malformed.
    pub(crate) fn open(path: PathBuf) -> io::Result<Grants> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut by_key = ByKey::new();
        for (index, line) in text.lines().enumerate() {
            let grant = parse(line).ok_or_else(|| {
                let text = format!("`{}` is malformed at line {}", path.display(), index + 1);
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            by_key.insert((grant.what, grant.key), (grant.peer, grant.name));
        }
        Ok(Grants { path, writing: Mutex::default(), by_key: Mutex::new(by_key) })
    }

    /// Whether it is granted to the peer with this key.
    pub(crate) fn has(&self, what: Grantable, key: &[u8]) -> bool {
        let Ok(key) = key.try_into() else { return false };
        self.by_key.lock().contains_key(&(what, key))
    }

    /// All grants.
    pub(crate) fn list(&self) -> Vec<Grant> {
        let by_key = self.by_key.lock();
        let grants = by_key.iter().map(|((what, key), (peer, name))| Grant {
            what: *what,
            key: *key,
            peer: *peer,
            name: name.clone(),
        });
        grants.collect()
    }

    /// Grants something; on disk when this returns. Granting it again does no harm.
    ///
    /// # Errors
    /// There are too many, or the list could not be written.
    pub(crate) fn add(&self, grant: Grant) -> Result<(), GrantError> {
        self.change(|by_key| {
            let name = grant.name.chars().filter(|c| !c.is_control()).collect();
            by_key.insert((grant.what, grant.key), (grant.peer, name));
        })
    }

    /// Takes back what was granted to the peer with this key, and to whoever last had this number; on disk when
    /// this returns. Tells what was taken back.
    ///
    /// # Errors
    /// The list could not be written.
    pub(crate) fn remove(
        &self,
        what: Grantable,
        peer: PeerId,
        key: Option<[u8; 32]>,
    ) -> Result<Vec<Grant>, GrantError> {
        let mut removed = Vec::new();
        self.change(|by_key| {
            let is_meant = |granted: &Grantable, of: &[u8; 32], number: &PeerId| {
                *granted == what && (Some(*of) == key || *number == peer)
            };
            let meant = by_key.extract_if(.., |(granted, of), (number, _)| is_meant(granted, of, number));
            removed.extend(meant.map(|((what, key), (peer, name))| Grant { what, key, peer, name }));
        })?;
        Ok(removed)
    }

    /// If the list cannot be written, what is on disk may be the old one or the new one: then only what stands in both
    /// is granted, and that is tried to be written.
    fn change(&self, change: impl FnOnce(&mut ByKey)) -> Result<(), GrantError> {
        let _writing = self.writing.lock();
        let before = self.by_key.lock().clone();
        let mut changed = before.clone();
        change(&mut changed);
        if changed == before {
            return Ok(());
        }
        if changed.len() > GRANTS_MAX {
            return Err(GrantError::Full);
        }
        let written = self.write(&changed);
        if written.is_err() {
            let mut both = before;
            both.retain(|granted, _| changed.contains_key(granted));
            let _ = self.write(&both);
            changed = both;
        }
        *self.by_key.lock() = changed;
        Ok(written?)
    }

    fn write(&self, by_key: &ByKey) -> io::Result<()> {
        let line = |((what, key), (peer, name)): (&(Grantable, [u8; 32]), &(PeerId, String))| {
            format!("{} {} {peer} {name}\n", what.name(), LumpId(*key))
        };
        replace_file(&self.path, by_key.iter().map(line).collect::<String>().as_bytes())
    }
}

fn parse(line: &str) -> Option<Grant> {
    let mut words = line.splitn(4, ' ');
    let what = Grantable::from_name(words.next()?)?;
    let key: LumpId = words.next()?.parse().ok()?;
    let peer = words.next()?.parse().ok()?;
    Some(Grant { what, key: key.0, peer, name: words.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn grant(key: u8, number: u32, name: &str) -> Grant {
        let peer = PeerId::new(number).unwrap();
        Grant { what: Grantable::Terminal, key: [key; 32], peer, name: name.into() }
    }

    #[test]
    fn what_is_granted_stays_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        let has = |grants: &Grants, key: u8| grants.has(Grantable::Terminal, &[key; 32]);
        let grants = Grants::open(path.clone()).unwrap();
        assert!(!has(&grants, 1));
        grants.add(grant(1, 4, "ada\nlovelace ")).unwrap();
        grants.add(grant(2, 5, "")).unwrap();
        grants.add(grant(2, 5, "")).unwrap();
        let again = Grants::open(path.clone()).unwrap();
        assert_eq!(again.list(), [grant(1, 4, "adalovelace "), grant(2, 5, "")]);
        assert!(has(&again, 1) && !again.has(Grantable::Terminal, &[1; 31]));
        let four = PeerId::new(4).unwrap();
        assert_eq!(again.remove(Grantable::Terminal, four, None).unwrap(), [grant(1, 4, "adalovelace ")]);
        assert_eq!(again.remove(Grantable::Terminal, four, Some([9; 32])).unwrap(), []);
        let again = Grants::open(path).unwrap();
        assert!(!has(&again, 1) && has(&again, 2));
        // It has another number now, in another space.
        assert_eq!(again.remove(Grantable::Terminal, four, Some([2; 32])).unwrap(), [grant(2, 5, "")]);
        assert!(again.list().is_empty());
    }

    #[test]
    fn a_grant_that_cannot_be_written_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let grants = Grants::open(folder.path().join("grants")).unwrap();
        grants.add(grant(2, 5, "bob")).unwrap();
        drop(folder);
        assert!(matches!(grants.add(grant(1, 4, "ada")), Err(GrantError::Write(_))));
        assert!(!grants.has(Grantable::Terminal, &[1; 32]) && grants.has(Grantable::Terminal, &[2; 32]));
        // And one that cannot be taken back on disk is none here.
        let five = PeerId::new(5).unwrap();
        assert!(matches!(grants.remove(Grantable::Terminal, five, None), Err(GrantError::Write(_))));
        assert!(!grants.has(Grantable::Terminal, &[2; 32]));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants");
        for text in ["terminal", "house 00 1 x", "terminal 00 1 x"] {
            std::fs::write(&path, text).unwrap();
            assert!(Grants::open(path.clone()).unwrap_err().to_string().contains("line 1"), "{text}");
        }
    }
}
