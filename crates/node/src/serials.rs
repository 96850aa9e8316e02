// SPDX-License-Identifier: AGPL-3.0-or-later
//! The high-water marks of the numbers that a peer gives to processes and entities. A mark is on
//! disk before a number below it is given, so that no number is given twice, whatever happens.

use crate::folder::replace_file;
use parking_lot::Mutex;
use std::{io, path::PathBuf};

/// How many entity numbers one write to disk pays for.
const BLOCK: u64 = 1 << 20;

/// The marks of one peer.
#[derive(Debug)]
pub(crate) struct Serials {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    process_mark: u64,
    entity_mark: u64,
    entity_next: u64,
}

impl Serials {
    /// Reads the marks; without a file all begin at 1 (0 names nothing).
    ///
    /// # Errors
    /// The file cannot be read, or is not two decimal numbers.
    pub(crate) fn open(path: PathBuf) -> io::Result<Serials> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => "1 1".to_owned(),
            Err(error) => return Err(error),
        };
        let marks: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        let Some([process_mark, entity_mark]) = marks.as_deref() else {
            let text = format!("`{}` does not hold two numbers", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let state =
            State { process_mark: *process_mark, entity_mark: *entity_mark, entity_next: *entity_mark };
        Ok(Serials { path, state: Mutex::new(state) })
    }

    /// The first process number that was never given.
    pub(crate) fn first_process(&self) -> u64 {
        self.state.lock().process_mark
    }

    /// Process numbers up to this one are about to be given.
    ///
    /// # Errors
    /// The mark could not be written: none of them may be given.
    pub(crate) fn reach_process(&self, serial: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if serial > state.process_mark {
            self.write(serial, state.entity_mark)?;
            state.process_mark = serial;
        }
        Ok(())
    }

    /// The first of `count` consecutive entity numbers that are now taken.
    ///
    /// # Errors
    /// The mark could not be written.
    pub(crate) fn take_entities(&self, count: u32) -> io::Result<u64> {
        let mut state = self.state.lock();
        let first = state.entity_next;
        let next = first + u64::from(count);
        if next > state.entity_mark {
            let mark = next + BLOCK;
            self.write(state.process_mark, mark)?;
            state.entity_mark = mark;
        }
        state.entity_next = next;
        Ok(first)
    }

    fn write(&self, process: u64, entity: u64) -> io::Result<()> {
        replace_file(&self.path, format!("{process} {entity}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn no_number_is_given_twice_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serials");
        let mut last = 0;
        for _ in 0..3 {
            let serials = Serials::open(path.clone()).unwrap();
            for count in [1, 1000, 65_536] {
                let first = serials.take_entities(count).unwrap();
                assert!(first > last);
                last = first + u64::from(count) - 1;
            }
            let process = serials.first_process();
            serials.reach_process(process + 10).unwrap();
            assert_eq!(Serials::open(path.clone()).unwrap().first_process(), process + 10);
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serials");
        std::fs::write(&path, "1 x").unwrap();
        assert!(Serials::open(path).unwrap_err().to_string().contains("serials"));
    }
}
