// SPDX-License-Identifier: AGPL-3.0-or-later
//! The clipboard of this peer's user.

use crate::{Error, runtime::Pending, sys};
use hearth_abi::Errno;

/// Puts a text of at most [`TEXT_LEN_MAX`](hearth_abi::terminal::TEXT_LEN_MAX) bytes on the clipboard.
///
/// # Errors
/// [`Errno::Permission`] if this process came from another peer; [`Errno::Unsupported`] without a window;
/// [`Errno::Invalid`] if the text is too long.
pub fn write(text: &str) -> Result<(), Errno> {
    sys::check(sys::clipboard_write(text)).map(drop)
}

/// The text on the clipboard; empty if there is none.
///
/// # Errors
/// As [`write()`]; and [`Errno::Limit`] if the text is longer than
/// [`TEXT_LEN_MAX`](hearth_abi::terminal::TEXT_LEN_MAX).
pub async fn read() -> Result<String, Error> {
    let answer = Pending::ask(sys::clipboard_read)?.await.success()?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
