// SPDX-License-Identifier: AGPL-3.0-or-later
//! placeholder
/// r
#[derive(Debug)]
pub struct SecureReader;
/// w
#[derive(Debug)]
pub struct SecureWriter;
