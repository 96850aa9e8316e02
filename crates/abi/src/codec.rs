// SPDX-License-Identifier: AGPL-3.0-or-later
//! Reading and writing the little-endian layouts of this crate.

use alloc::vec::Vec;
use core::fmt;

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset of the first byte of the field that is wrong, from the start of the input.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// A cursor over bytes from a stranger.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }

    /// Offset of the next byte from the start.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether all bytes were taken.
    pub const fn is_empty(&self) -> bool {
        self.offset == self.bytes.len()
    }

    /// Number of bytes not taken yet.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// An error at the current offset.
    pub const fn error(&self, problem: &'static str) -> DecodeError {
        DecodeError { offset: self.offset, problem }
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.offset..];
        let taken = rest.get(..len).ok_or(self.error("input ends early"))?;
        self.offset += len;
        Ok(taken)
    }

    /// Takes an array of `N` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Takes a byte that is 0 or 1.
    ///
    /// # Errors
    /// Nothing is left, or the byte is larger.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let error = self.error("flag is neither 0 nor 1");
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(error),
        }
    }

    /// Takes a finite `f32`.
    ///
    /// # Errors
    /// Fewer than four bytes are left, or the number is infinite or no number.
    pub fn finite(&mut self) -> Result<f32, DecodeError> {
        let error = self.error("number is not finite");
        let value = f32::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(error) }
    }

    /// Takes `N` finite `f32`s.
    ///
    /// # Errors
    /// As [`Reader::finite`].
    pub fn finites<const N: usize>(&mut self) -> Result<[f32; N], DecodeError> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = self.finite()?;
        }
        Ok(values)
    }

    /// Takes `len` bytes of UTF-8.
    ///
    /// # Errors
    /// Fewer are left, or they are not UTF-8.
    pub fn text(&mut self, len: usize) -> Result<&'a str, DecodeError> {
        let error = self.error("text is not UTF-8");
        core::str::from_utf8(self.bytes(len)?).map_err(|_not_utf8| error)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.error("bytes after the end")) }
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {
        impl Reader<'_> {
            $(
                #[doc = concat!("Takes a `", stringify!($type), "`.\n\n# Errors\nToo few bytes are left.")]
                pub fn $name(&mut self) -> Result<$type, DecodeError> {
                    Ok(<$type>::from_le_bytes(self.array()?))
                }
            )*
        }
    };
}

numbers!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

/// Appends `f32`s.
pub fn put_floats(out: &mut Vec<u8>, values: &[f32]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}
