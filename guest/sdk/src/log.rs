// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lines in this process's log, which `hearth-ctl tail` shows.
//!
//! [`error!`](crate::error!) is for what was lost, [`warn!`](crate::warn!) for what was repaired,
//! [`info!`](crate::info!) for what is rare, [`debug!`](crate::debug!) for each operation and
//! [`trace!`](crate::trace!) for each frame. A process may log 200 lines a second, with bursts of
//! 1,000; what is more is dropped, and counted by the peer. A line is cut at 4 KiB.

use crate::sys;
use std::fmt;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something was lost.
    Error = 1,
    /// Something was repaired.
    Warn = 2,
    /// Rare, and of interest.
    Info = 3,
    /// Each operation.
    Debug = 4,
    /// Each frame.
    Trace = 5,
}

/// Writes a line; the macros call this with the module's path as target.
pub fn line(level: Level, target: &str, text: fmt::Arguments<'_>) {
    match text.as_str() {
        Some(text) => sys::log(level as i32, target, text),
        None => sys::log(level as i32, target, &text.to_string()),
    };
}

/// Logs at level error: something was lost. Takes what `format!` takes.
#[macro_export]
macro_rules! error {
    ($($arg:tt)+) => { $crate::log::line($crate::log::Level::Error, module_path!(), format_args!($($arg)+)) };
}

/// Logs at level warn: something was repaired. Takes what `format!` takes.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)+) => { $crate::log::line($crate::log::Level::Warn, module_path!(), format_args!($($arg)+)) };
}

/// Logs at level info: rare, and of interest. Takes what `format!` takes.
#[macro_export]
macro_rules! info {
    ($($arg:tt)+) => { $crate::log::line($crate::log::Level::Info, module_path!(), format_args!($($arg)+)) };
}

/// Logs at level debug: each operation. Takes what `format!` takes.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)+) => { $crate::log::line($crate::log::Level::Debug, module_path!(), format_args!($($arg)+)) };
}

/// Logs at level trace: each frame. Takes what `format!` takes.
#[macro_export]
macro_rules! trace {
    ($($arg:tt)+) => { $crate::log::line($crate::log::Level::Trace, module_path!(), format_args!($($arg)+)) };
}
