// SPDX-License-Identifier: AGPL-3.0-or-later
//! Binary glTF files, for scripts that make their models themselves (glTF 2.0, section 4.4).

/// A file of this JSON and this buffer, which the JSON names without an address and whose length is a multiple of four.
pub(crate) fn packed(json: &str, buffer: &[u8]) -> Vec<u8> {
    let mut text = json.as_bytes().to_vec();
    text.resize(text.len().next_multiple_of(4), b' ');
    let mut out = Vec::with_capacity(28 + text.len() + buffer.len());
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(b"glTF");
    out.extend_from_slice(&2u32.to_le_bytes());
    out.extend_from_slice(&length(28 + text.len() + buffer.len()));
    out.extend_from_slice(&length(text.len()));
    out.extend_from_slice(b"JSON");
    out.extend_from_slice(&text);
    out.extend_from_slice(&length(buffer.len()));
    out.extend_from_slice(b"BIN\0");
    out.extend_from_slice(buffer);
    out
}
