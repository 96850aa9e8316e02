// SPDX-License-Identifier: AGPL-3.0-or-later
//! The sharing of screens: updates as they travel, whom they come from, and who mirrors them.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hearth_abi::{
    DecodeError,
    screen::{Numbers, Screen, UPDATE_LEN_MAX, apply_update, encode_update},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Least time between two updates of one terminal: thirty a second.
pub const UPDATE_INTERVAL: Duration = Duration::from_millis(33);

/// Level of compression: higher ones take twice the time for few percent.
const LEVEL: u32 = 3;

/// Why an update could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The change builds on an update that is not here: a keyframe is needed.
    #[error("update {base} is missing")]
    Missing {
        /// Number of the update that is missing.
        base: u32,
    },
    /// The compressed form is broken.
    #[error("update could not be unpacked")]
    Packed(#[source] flate2::DecompressError),
    /// It ends early, or something follows it.
    #[error("update is cut off or has bytes after its end")]
    Cut,
    /// It is longer than [`UPDATE_LEN_MAX`], packed or unpacked.
    #[error("update is over {UPDATE_LEN_MAX} bytes")]
    TooLong,
    /// It is not what `docs/formats/screen.md` describes.
    #[error("update is malformed")]
    Malformed(#[source] DecodeError),
}

/// A compressed update that turns `base` into `screen`; a keyframe if there is no base, or one of another size.
pub fn pack(numbers: Numbers, base: Option<&Screen>, screen: &Screen) -> Vec<u8> {
    deflate(&encode_update(numbers, base, screen))
}

/// Turns `screen` into what a compressed update says. Whether a change builds on that very screen is the caller's
/// to know; a [`Mirror`] does.
///
/// Takes no more than [`UPDATE_LEN_MAX`] for the unpacked update, and what
/// [`apply_update`] takes.
///
/// # Errors
/// The update is malformed, or a change for a screen of another size. Then the screen holds anything.
pub fn unpack(screen: &mut Screen, packed: &[u8]) -> Result<Numbers, UpdateError> {
    let update = inflate(packed, UPDATE_LEN_MAX)?;
    apply_update(screen, &update).map_err(UpdateError::Malformed)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
    loop {
        let rest = &bytes[compress.total_in() as usize..];
        match compress.compress_vec(rest, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return out,
            // The room was too small.
            Ok(Status::Ok | Status::BufError) => out.reserve(out.capacity().max(64)),
            Err(error) => unreachable!("without a dictionary there is nothing to fail: {error}"),
        }
    }
}

fn inflate(packed: &[u8], len_max: usize) -> Result<Vec<u8>, UpdateError> {
    if packed.len() > len_max {
        return Err(UpdateError::TooLong);
    }
    let mut decompress = Decompress::new(false);
    let mut out = Vec::with_capacity((packed.len() * 4 + 256).min(len_max));
    loop {
        let (read, wrote) = (decompress.total_in(), decompress.total_out());
        let rest = &packed[read as usize..];
        let status =
            decompress.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(UpdateError::Packed)?;
        match status {
            Status::StreamEnd if decompress.total_in() as usize == packed.len() => return Ok(out),
            Status::StreamEnd => return Err(UpdateError::Cut),
            Status::Ok | Status::BufError if out.len() == out.capacity() => {
                if out.len() >= len_max {
                    return Err(UpdateError::TooLong);
                }
                out.reserve_exact(out.len().max(64).min(len_max - out.len()));
            }
            Status::Ok | Status::BufError => {
                if (decompress.total_in(), decompress.total_out()) == (read, wrote) {
                    return Err(UpdateError::Cut);
                }
            }
        }
    }
}

/// What a peer knows of a terminal that another one hosts. A relay has one too, and makes keyframes of it for
/// those who come late; it needs no emulator for that.
#[derive(Debug)]
pub struct Mirror {
    screen: Screen,
    /// Number of the update that made the screen; 0 if it is good for nothing.
    number: u32,
}

impl Default for Mirror {
    fn default() -> Mirror {
        Mirror { screen: Screen::new(1, 1), number: 0 }
    }
}

impl Mirror {
    /// A mirror that waits for its first keyframe.
    pub fn new() -> Mirror {
        Mirror::default()
    }

    /// The screen; `None` before the first keyframe, and after an update that could not be taken.
    pub fn screen(&self) -> Option<&Screen> {
        (self.number != 0).then_some(&self.screen)
    }

    /// Takes a compressed update. An update that is already in is taken for what it is, and changes nothing.
    ///
    /// # Errors
    /// A keyframe is needed. After [`UpdateError::Missing`] the mirror still has what it had, after other errors
    /// nothing.
    pub fn apply(&mut self, packed: &[u8]) -> Result<Numbers, UpdateError> {
        let update = inflate(packed, UPDATE_LEN_MAX)?;
        let numbers = Numbers::decode(&update).map_err(UpdateError::Malformed)?;
        if !numbers.is_keyframe() {
            if numbers.number == self.number {
                return Ok(numbers);
            }
            if numbers.base != self.number {
                return Err(UpdateError::Missing { base: numbers.base });
            }
        }
        self.number = 0;
        apply_update(&mut self.screen, &update).map_err(UpdateError::Malformed)?;
        self.number = numbers.number;
        Ok(numbers)
    }

    /// A compressed keyframe of what the mirror has, with the number of the last update, so that the changes which
    /// follow fit to it; `None` if it has nothing.
    pub fn keyframe(&self) -> Option<Vec<u8>> {
        self.screen().map(|screen| pack(Numbers { number: self.number, base: 0 }, None, screen))
    }
}

/// Makes updates of a terminal's screens: at most one every [`UPDATE_INTERVAL`], of the newest screen only.
#[derive(Debug, Default)]
pub struct Sharer {
    sent: Option<Arc<Screen>>,
    number: u32,
    next: Option<Instant>,
    keyframe_wanted: bool,
}

impl Sharer {
    /// A sharer whose first update is a keyframe.
    pub fn new() -> Sharer {
        Sharer::default()
    }

    /// The next update shall be a keyframe: somebody has come, or has missed one. However many ask, one is made.
    pub fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// When the next update may be made at the earliest; `None` if at once.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// A compressed update to `screen`, the newest; `None` if nothing has changed, or if it is too soon.
    pub fn update(&mut self, screen: &Arc<Screen>, now: Instant) -> Option<Vec<u8>> {
        let base = self.sent.as_ref().filter(|_| !self.keyframe_wanted);
        let same = base.is_some_and(|base| Arc::ptr_eq(base, screen) || **base == **screen);
        if same || self.next.is_some_and(|next| now < next) {
            return None;
        }
        let number = self.number.checked_add(1).unwrap_or(1);
        let update = pack(Numbers { number, base: self.number }, base.map(|base| &**base), screen);
        self.next = Some(now + UPDATE_INTERVAL);
        self.number = number;
        self.sent = Some(screen.clone());
        self.keyframe_wanted = false;
        Some(update)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn screen(text: &str) -> Arc<Screen> {
        let mut screen = Screen::new(20, 3);
        for (cell, character) in screen.cells_mut().iter_mut().zip(text.chars()) {
            cell.character = character;
        }
        Arc::new(screen)
    }

    #[test]
    fn mirrors_follow_their_host() {
        let (mut sharer, mut first, mut late) = (Sharer::new(), Mirror::new(), Mirror::new());
        let mut now = Instant::now();
        for text in ["", "a", "ab", "ab", "c"] {
            now += UPDATE_INTERVAL;
            if let Some(update) = sharer.update(&screen(text), now) {
                first.apply(&update).unwrap();
            }
            assert_eq!(first.screen(), Some(&*screen(text)));
            if text == "ab" {
                late.apply(&first.keyframe().unwrap()).unwrap();
            }
        }
        assert_eq!(late.screen(), Some(&*screen("ab")));
        let change = sharer.update(&screen("d"), now + UPDATE_INTERVAL).unwrap();
        assert!(matches!(late.apply(&change), Err(UpdateError::Missing { base: 4 })));
        assert_eq!(late.screen(), Some(&*screen("ab")), "it keeps what it had");
        first.apply(&change).unwrap();
        first.apply(&change).unwrap();
        late.apply(&first.keyframe().unwrap()).unwrap();
        assert_eq!((first.screen(), late.screen()), (Some(&*screen("d")), Some(&*screen("d"))));
    }

    #[test]
    fn updates_come_thirty_times_a_second_at_most() {
        let mut sharer = Sharer::new();
        let start = Instant::now();
        assert_eq!(sharer.next(), None);
        assert!(sharer.update(&screen("a"), start).is_some());
        assert!(sharer.update(&screen("b"), start + UPDATE_INTERVAL / 2).is_none());
        assert_eq!(sharer.next(), Some(start + UPDATE_INTERVAL));
        // Only the newest is sent.
        let update = sharer.update(&screen("c"), start + UPDATE_INTERVAL).unwrap();
        let mut mirror = Mirror { screen: (*screen("a")).clone(), number: 1 };
        mirror.apply(&update).unwrap();
        assert_eq!(mirror.screen(), Some(&*screen("c")));
        assert!(sharer.update(&screen("c"), start + UPDATE_INTERVAL * 9).is_none(), "nothing has changed");
        sharer.want_keyframe();
        let update = sharer.update(&screen("c"), start + UPDATE_INTERVAL * 9).unwrap();
        assert!(Mirror::new().apply(&update).unwrap().is_keyframe());
    }

    #[test]
    fn numbers_begin_anew_after_the_last() {
        let mut sharer = Sharer { sent: Some(screen("a")), number: u32::MAX, ..Sharer::default() };
        let update = sharer.update(&screen("b"), Instant::now()).unwrap();
        let mut mirror = Mirror { screen: (*screen("a")).clone(), number: u32::MAX };
        assert_eq!(mirror.apply(&update).unwrap(), Numbers { number: 1, base: u32::MAX });
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = deflate(&vec![0; UPDATE_LEN_MAX + 1]);
        assert!(bomb.len() < 200_000);
        assert!(matches!(Mirror::new().apply(&bomb), Err(UpdateError::TooLong)));
        assert_eq!(
            inflate(&deflate(&vec![0; UPDATE_LEN_MAX]), UPDATE_LEN_MAX).unwrap().len(),
            UPDATE_LEN_MAX
        );
    }

    #[test]
    fn a_broken_update_asks_for_a_keyframe() {
        let mut mirror = Mirror::new();
        let good = pack(Numbers { number: 1, base: 0 }, None, &screen("a"));
        mirror.apply(&good).unwrap();
        assert!(matches!(mirror.apply(&good[..good.len() - 1]), Err(UpdateError::Cut)));
        assert!(matches!(mirror.apply(&[&good[..], &[0]].concat()), Err(UpdateError::Cut)));
        assert!(mirror.screen().is_some(), "what could not be unpacked has changed nothing");
        let mut update = encode_update(Numbers { number: 2, base: 1 }, Some(&screen("a")), &screen("b"));
        update.push(0);
        assert!(matches!(mirror.apply(&deflate(&update)), Err(UpdateError::Malformed(_))));
        assert!(mirror.screen().is_none() && mirror.keyframe().is_none());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(bytes: Vec<u8>, times in 1..50_usize) {
            let bytes = bytes.repeat(times);
            prop_assert_eq!(inflate(&deflate(&bytes), UPDATE_LEN_MAX).unwrap(), bytes);
        }

        #[test]
        fn strangers_do_not_panic_a_mirror(bytes: Vec<u8>, at: proptest::sample::Index, flip in 1u8..) {
            let mut mirror = Mirror::new();
            let _ = mirror.apply(&bytes);
            let _ = mirror.apply(&deflate(&bytes));
            let mut packed = pack(Numbers { number: 1, base: 0 }, None, &screen("hello"));
            let at = at.index(packed.len());
            packed[at] ^= flip;
            let _ = mirror.apply(&packed);
        }
    }
}
