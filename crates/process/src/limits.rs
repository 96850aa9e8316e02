// SPDX-License-Identifier: AGPL-3.0-or-later
//! What one process may use.

/// What one process may use. The defaults are those of `docs/formats/guest.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes. Against a guest that eats the machine's memory. The program enforces it.
    pub memory_bytes: usize,
    /// Elements of all its tables together. As above.
    pub table_elements: usize,
    /// Signals in the mailbox. Against a flood by others; the sender gets [`crate::SendError::Full`].
    pub mailbox_signals: usize,
    /// Bytes in the mailbox, headers included. As above.
    pub mailbox_bytes: usize,
    /// Requests whose reply it has not taken yet.
    pub requests: usize,
    /// Timers whose signal it has not taken yet.
    pub timers: usize,
    /// Links, and their exit signals that it has not taken yet. Against one that others link themselves to
    /// without end; who passes it is refused.
    pub links: usize,
    /// Monitors that it has made, and their signals that it has not taken yet.
    pub monitors: usize,
    /// Lines it may log each second, in the long run. What is beyond is dropped and counted.
    pub log_lines_per_s: u32,
    /// Lines it may log at once after a quiet time.
    pub log_burst: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 64 << 20,
            table_elements: 65_536,
            mailbox_signals: 4096,
            mailbox_bytes: 8 << 20,
            requests: 1024,
            timers: 1024,
            links: 16_384,
            monitors: 16_384,
            log_lines_per_s: 200,
            log_burst: 1000,
        }
    }
}
