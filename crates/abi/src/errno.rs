// SPDX-License-Identifier: AGPL-3.0-or-later
//! The error numbers that host calls and replies carry.
//!
//! A host call returns a number of zero or more when it succeeded, and the negative of one of these
//! when it did not. Numbers are stable: they are never reused or renumbered.

use core::fmt;

macro_rules! errno {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a host call or a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum Errno { $($(#[$doc])* $name = $number,)* }

        impl Errno {
            /// All error numbers, in order.
            pub const ALL: &[Errno] = &[$(Errno::$name,)*];

            /// The error with this (positive) number, if there is one.
            pub const fn from_number(number: i32) -> Option<Errno> {
                match number { $($number => Some(Errno::$name),)* _ => None }
            }

            /// A short description, lower case, without a full stop.
            pub const fn text(self) -> &'static str {
                match self { $(Errno::$name => $text,)* }
            }
        }
    };
}

errno! {
    /// A pointer or a length reaches outside the guest's memory.
    Fault = 1, "address outside the guest's memory";
    /// An argument is malformed: a name that is no UTF-8, an unknown class, a broken batch.
    Invalid = 2, "invalid argument";
    /// There is nothing to receive now.
    Again = 3, "nothing to receive";
    /// No such process, name, lump, entity, asset or timer.
    NotFound = 4, "not found";
    /// The process has no authority for this: its origin is another peer.
    Permission = 5, "the process's origin has no authority for this here";
    /// The receiver's mailbox is full.
    Full = 6, "mailbox full";
    /// A limit of this process is reached (memory, size, rate, count).
    Limit = 7, "limit reached";
    /// It did not happen within the time given.
    TimedOut = 8, "timed out";
    /// No such peer, or it is not connected.
    NoPeer = 9, "peer not connected";
    /// The name is taken by another process.
    Taken = 10, "name is taken";
    /// The content does not have the form that its class or its id demands.
    Malformed = 11, "malformed content";
    /// The module cannot run here: it imports what this peer does not offer, or is no valid module.
    Module = 12, "module refused";
    /// Something failed on the host that the guest cannot help: the disk, the system.
    Host = 13, "host failure";
    /// This peer does not have that facility (a server has no picture).
    Unsupported = 14, "not offered by this peer";
}

impl Errno {
    /// The number as it stands in the contract, above zero.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The value that a host call returns for this error.
    pub const fn as_return(self) -> i32 {
        -(self as i32)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_their_own_inverse() {
        for errno in Errno::ALL {
            assert_eq!(Errno::from_number(errno.number()), Some(*errno));
        }
        assert_eq!(Errno::from_number(0), None);
        assert_eq!(Errno::from_number(i32::MAX), None);
    }
}
