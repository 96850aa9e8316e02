// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why an interface could not be made or changed.

use hearth_sdk::Errno;
use std::fmt;

/// Why an interface could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KitError {
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

impl fmt::Display for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KitError::Scene(_) => f.write_str("the interface cannot be shown"),
            KitError::TooMany { most } => write!(f, "more than {most} widgets"),
            KitError::TooDeep { most } => write!(f, "groups nested more than {most} deep"),
            KitError::NotFound => f.write_str("no widget here has that handle"),
        }
    }
}

impl std::error::Error for KitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KitError::Scene(error) => Some(error),
            _ => None,
        }
    }
}

impl From<hearth_sdk::Error> for KitError {
    fn from(error: hearth_sdk::Error) -> KitError {
        KitError::Scene(error)
    }
}

impl From<Errno> for KitError {
    fn from(errno: Errno) -> KitError {
        KitError::Scene(errno.into())
    }
}

/// So that a script which returns the error of the SDK passes this one on with `?`.
impl From<KitError> for hearth_sdk::Error {
    fn from(error: KitError) -> hearth_sdk::Error {
        let errno = match &error {
            KitError::Scene(error) => {
                return hearth_sdk::Error::new(error.errno, format!("the interface: {}", error.reason));
            }
            KitError::TooMany { .. } | KitError::TooDeep { .. } => Errno::Limit,
            KitError::NotFound => Errno::NotFound,
        };
        hearth_sdk::Error::new(errno, error.to_string())
    }
}
