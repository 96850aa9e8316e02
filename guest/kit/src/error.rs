// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why an interface could not be made or changed.

use hearth_sdk::Errno;
use std::fmt;

/// Why an interface could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The scene, or the store of meshes, does not take it.
    Scene(hearth_sdk::Error),
    /// It would have more widgets than this.
    TooMany {
        /// [`NODES_MAX`](crate::NODES_MAX).
        most: usize,
    },
    /// Groups would be nested deeper than this.
    TooDeep {
        /// [`DEPTH_MAX`](crate::DEPTH_MAX).
        most: usize,
    },
    /// No widget of this interface has that handle.
    NotFound,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Scene(_) => f.write_str("the interface cannot be shown"),
            Error::TooMany { most } => write!(f, "more than {most} widgets"),
            Error::TooDeep { most } => write!(f, "groups nested more than {most} deep"),
            Error::NotFound => f.write_str("no widget here has that handle"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Scene(error) => Some(error),
            _ => None,
        }
    }
}

impl From<hearth_sdk::Error> for Error {
    fn from(error: hearth_sdk::Error) -> Error {
        Error::Scene(error)
    }
}

/// So that a script which returns the error of the SDK passes this one on with `?`.
impl From<Error> for hearth_sdk::Error {
    fn from(error: Error) -> hearth_sdk::Error {
        let errno = match &error {
            Error::Scene(error) => {
                return hearth_sdk::Error::new(error.errno, format!("the interface: {}", error.reason));
            }
            Error::TooMany { .. } | Error::TooDeep { .. } => Errno::Limit,
            Error::NotFound => Errno::NotFound,
        };
        hearth_sdk::Error::new(errno, error.to_string())
    }
}
