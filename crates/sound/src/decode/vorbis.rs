// SPDX-License-Identifier: AGPL-3.0-or-later
//! A look at the setup of a Vorbis stream before the decoder sees it.
//!
//! A codebook of a few bytes can claim 131,072 vectors of 32 numbers, and a setup can have 256 of them: 4 GiB
//! from 6 KiB. Real ones, of any encoder, have some tens of thousands of numbers in all.
//! The layout is that of the Vorbis I specification, sections 3.2.1 and 4.2.4.

use symphonia::core::codecs::audio::AudioCodecParameters;

/// Most entries that all codebooks have together.
const ENTRIES_MAX: u64 = 1 << 18;
/// Most numbers that the vectors of all codebooks have together.
const NUMBERS_MAX: u64 = 1 << 21;
/// Length of the identification header, which comes first.
const IDENTIFICATION_LEN: usize = 30;

/// Whether the codebooks are of a size that is worth decoding.
pub(super) fn check(parameters: &AudioCodecParameters) -> Result<(), &'static str> {
    let extra = parameters.extra_data.as_deref().unwrap_or_default();
    let setup = extra.get(IDENTIFICATION_LEN..).unwrap_or_default();
    match setup.strip_prefix(b"\x05vorbis") {
        Some(codebooks) => codebooks_are_small(codebooks),
        None => Err("its setup header is missing"),
    }
}

fn codebooks_are_small(bytes: &[u8]) -> Result<(), &'static str> {
    const SHORT: &str = "its setup header ends early";
    let mut bits = Bits { bytes, at: 0 };
    let count = bits.take(8).ok_or(SHORT)? + 1;
    let (mut entries_all, mut numbers_all) = (0, 0);
    for _ in 0..count {
        let (entries, numbers) = codebook(&mut bits, ENTRIES_MAX - entries_all).ok_or(SHORT)?;
        entries_all += entries;
        numbers_all += numbers;
        if entries_all > ENTRIES_MAX || numbers_all > NUMBERS_MAX {
            return Err("its codebooks are too large");
        }
    }
    Ok(())
}

/// Entries and numbers of the next codebook; `None` if it is not whole. A codebook with more than `most`
/// entries is not read on.
fn codebook(bits: &mut Bits<'_>, most: u64) -> Option<(u64, u64)> {
    let _sync = bits.take(24)?;
    let dimensions = bits.take(16)?;
    let entries = bits.take(24)?;
    if entries > most {
        return Some((entries, 0));
    }
    let is_ordered = bits.take(1)? == 1;
    if is_ordered {
        bits.take(5)?;
        let mut seen = 0;
        // Each turn takes a bit at least, so that this ends with the input.
        while seen < entries {
            seen += bits.take(u64::BITS - (entries - seen).leading_zeros())?;
        }
    } else {
        let is_sparse = bits.take(1)? == 1;
        for _ in 0..entries {
            if !is_sparse || bits.take(1)? == 1 {
                bits.take(5)?;
            }
        }
    }
    let kind = bits.take(4)?;
    let numbers = entries.saturating_mul(dimensions);
    if kind == 0 {
        return Some((entries, 0));
    }
    bits.skip(64)?;
    let width = bits.take(4)? + 1;
    bits.take(1)?;
    let values = if kind == 1 { root(entries, dimensions) } else { numbers };
    bits.skip(values.checked_mul(width)?)?;
    Some((entries, numbers))
}

/// The greatest number whose `power`th power is at most `of`.
fn root(of: u64, power: u64) -> u64 {
    let fits = |base: u64| {
        let mut product = 1u64;
        (0..power).all(|_| {
            product = product.saturating_mul(base);
            product <= of
        })
    };
    if power == 0 || of == 0 {
        return 0;
    }
    if power == 1 {
        return of;
    }
    // Of 24 bits, by a power of two at least: at most 4,096 tries.
    (1..).take_while(|base| fits(*base)).last().unwrap_or(0)
}

/// Bits from the lowest of each byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> Option<u64> {
        (0..count).try_fold(0, |value, place| {
            let byte = self.bytes.get(usize::try_from(self.at / 8).ok()?)?;
            let bit = u64::from(byte >> (self.at % 8) & 1);
            self.at += 1;
            Some(value | bit << place)
        })
    }

    /// Passes over bits, which must be there.
    fn skip(&mut self, count: u64) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() as u64 * 8).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes bits from the lowest of each byte on.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(&mut self, value: u64, count: u32) -> &mut Writer {
            self.0.extend((0..count).map(|place| value >> place & 1 == 1));
            self
        }

        /// An ordered codebook whose codewords all have the same length.
        fn codebook(&mut self, dimensions: u64, entries: u64) -> &mut Writer {
            self.put(0x0056_4342, 24).put(dimensions, 16).put(entries, 24).put(1, 1).put(16, 5);
            self.put(entries, u64::BITS - entries.leading_zeros());
            // A lookup of the first kind, with one value of one bit where the root is one.
            self.put(1, 4).put(0, 64).put(0, 4).put(0, 1);
            self.0.extend((0..root(entries, dimensions)).map(|_| false));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| {
                bits.iter().enumerate().fold(0, |byte, (place, bit)| byte | u8::from(*bit) << place)
            };
            self.0.chunks(8).map(byte).collect()
        }
    }

    #[test]
    fn a_setup_that_claims_gigabytes_is_refused_by_its_claim() {
        let mut bomb = Writer::default();
        bomb.put(255, 8);
        for _ in 0..256 {
            bomb.codebook(32, 131_072);
        }
        let bytes = bomb.bytes();
        assert!(bytes.len() < 6 * 1024, "{}", bytes.len());
        assert_eq!(codebooks_are_small(&bytes), Err("its codebooks are too large"));

        let mut single = Writer::default();
        single.put(0, 8).codebook(1, (1 << 24) - 1);
        assert_eq!(codebooks_are_small(&single.bytes()), Err("its codebooks are too large"));
    }

    #[test]
    fn what_is_small_and_whole_passes() {
        let mut setup = Writer::default();
        setup.put(2, 8).codebook(4, 625).codebook(1, 100).codebook(2, 81);
        let bytes = setup.bytes();
        assert_eq!(codebooks_are_small(&bytes), Ok(()));
        for len in 0..bytes.len() {
            assert_eq!(codebooks_are_small(&bytes[..len]), Err("its setup header ends early"), "{len}");
        }
    }

    #[test]
    fn roots_are_whole_and_not_too_large() {
        for (of, power, expected) in [
            (625, 4, 5),
            (624, 4, 4),
            (1, 9, 1),
            (131_072, 32, 1),
            (131_072, 17, 2),
            (9, 1, 9),
            (0, 2, 0),
            (5, 0, 0),
        ] {
            assert_eq!(root(of, power), expected, "{of}, {power}");
        }
    }
}
