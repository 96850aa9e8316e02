// SPDX-License-Identifier: AGPL-3.0-or-later
//! Every limit of the local socket, each with what happens when it is reached.

use std::time::Duration;

/// Connections that are served at once. A further one is answered with the error `limit` and closed.
pub const CONNECTIONS_MAX: usize = 64;

/// Time from connecting until the request must be there whole. Then the connection is answered
/// with the error `timed-out` and closed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Time from one frame of a body to the next. What feeds `load-lump` through a pipe may pause, so it is
/// long. Then the request fails with `timed-out`.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes of answers that [`Exchange::reply_all`](crate::Exchange::reply_all) gathers before it writes.
pub const WRITE_BYTES: usize = 64 << 10;

/// Longest path of a socket in bytes. Linux takes 107, others 103; a path that only some systems
/// take is refused on all.
pub const PATH_BYTES_MAX: usize = 103;

/// Peers of one user with the same name. They are told apart by a number behind the name; a further one
/// is refused.
pub const SAME_NAME_MAX: usize = 64;

/// Most characters of a peer's name that go into the name of its socket; the rest is cut off.
pub const NAME_CHARS_MAX: usize = 32;

/// Sockets in the runtime folder that are looked at to find the peers that run; further ones are not.
pub const CANDIDATES_MAX: usize = 1024;
