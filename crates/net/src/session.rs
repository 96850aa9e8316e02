// SPDX-License-Identifier: AGPL-3.0-or-later
//! placeholder
/// The protocol version that this build speaks.
pub const PROTOCOL_VERSION: u16 = 1;
