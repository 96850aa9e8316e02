// SPDX-License-Identifier: AGPL-3.0-or-later
//! What processes may use, as a manifest says: the tables `[limits]`, `[limits.own]`, `[limits.origin]` and
//! `[service.limits]`, each of whose fields may be left out.

use crate::manifest::Flaw;
use hearth_process::{Limits, OriginLimits};
use serde::Deserialize;

/// What processes of a peer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// One process, if nothing else is said of it.
    pub process: Limits,
    /// All processes with the authority of the peer itself.
    pub own: OriginLimits,
    /// All with that of another peer, for each of those.
    pub others: OriginLimits,
}

impl Default for PeerLimits {
    fn default() -> PeerLimits {
        let others = OriginLimits::OTHERS;
        // So that one stranger does not use up a small machine.
        let half = machine_bytes().map_or(u64::MAX, |bytes| bytes / 2);
        PeerLimits {
            process: Limits::default(),
            own: OriginLimits::OWN,
            others: OriginLimits {
                memory_bytes: others.memory_bytes.min(half),
                cpu_percent: Some(half_of_processors()),
                ..others
            },
        }
    }
}

/// Memory of this machine.
fn machine_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Half of the processors of this machine, but at least one, in percent of one.
fn half_of_processors() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors.min(2000) as u32 * 50).max(100)
}

/// Makes a table of limits that may be left out, and the way from it to the limits themselves.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident for $limits:ident { $($field:ident: $kind:ty, $min:expr, $max:expr;)* }
        and { $($inner:ident),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $table {
            $(
                #[doc = concat!("See [`", stringify!($limits), "::", stringify!($field), "`].")]
                pub $field: Option<u64>,
            )*
            $(
                #[doc = concat!("The table `[limits.", stringify!($inner), "]`.")]
                pub $inner: OriginTable,
            )*
        }

        impl $table {
            /// These limits with what is said here.
            ///
            /// # Errors
            /// One is out of its range.
            pub fn over(&self, mut limits: $limits) -> Result<$limits, Flaw> {
                $(
                    if let Some(value) = self.$field {
                        let (min, max) = ($min, $max);
                        if value < min || value > max {
                            return Err(Flaw::Range { field: stringify!($field), value, min, max });
                        }
                        limits.$field = (value as $kind).into();
                    }
                )*
                Ok(limits)
            }
        }
    };
}

/// A table that has the limits of one process.
macro_rules! process_table {
    ($(#[$doc:meta])* $table:ident { $($inner:ident),* }) => {
        table! {
            $(#[$doc])*
            $table for Limits {
                memory_bytes: usize, 65_536, 4 << 30;
                table_elements: usize, 0, 10_000_000;
                mailbox_signals: usize, 1, 1 << 20;
                mailbox_bytes: usize, 4096, 1 << 30;
                requests: usize, 0, 65_536;
                timers: usize, 0, 1 << 20;
                links: usize, 0, 1 << 20;
                monitors: usize, 0, 1 << 20;
                log_lines_per_s: u32, 0, 100_000;
                log_burst: u32, 1, 1_000_000;
                children: usize, 0, 1 << 20;
                spawns_per_s: u32, 1, 10_000_000;
                spawn_burst: u32, 1, 10_000_000;
                entities: usize, 0, 100_000;
                cpu_percent: u32, 1, 100_000;
            } and { $($inner),* }
        }
    };
}

process_table! {
    /// What a manifest says of one process: the table `[service.limits]`.
    ProcessTable {}
}

process_table! {
    /// What a manifest says of every process, and of those of one origin together: the table `[limits]`.
    LimitsTable { own, origin }
}

table! {
    /// What a manifest says of all processes of one origin: the tables `[limits.own]` and `[limits.origin]`.
    OriginTable for OriginLimits {
        processes: usize, 1, 1 << 20;
        memory_bytes: u64, 65_536, 1 << 50;
        entities: usize, 0, 100_000;
        cpu_percent: u32, 1, 100_000;
    } and {}
}

impl LimitsTable {
    /// These limits with what is said here.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn peer(&self) -> Result<PeerLimits, Flaw> {
        let PeerLimits { process, own, others } = PeerLimits::default();
        Ok(PeerLimits {
            process: self.over(process)?,
            own: self.own.over(own)?,
            others: self.origin.over(others)?,
        })
    }
}
