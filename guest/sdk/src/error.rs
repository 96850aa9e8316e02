// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why something that a script asked for did not happen.

use hearth_abi::Errno;
use std::fmt;

/// Why a request did not succeed: the error number, and the reason that the peer gave, if it gave one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The error number.
    pub errno: Errno,
    /// More about it; may be empty.
    pub reason: String,
}

impl Error {
    /// An error with a reason.
    pub fn new(errno: Errno, reason: impl Into<String>) -> Error {
        Error { errno, reason: reason.into() }
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error { errno, reason: String::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno.text())?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
