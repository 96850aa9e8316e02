// SPDX-License-Identifier: AGPL-3.0-or-later
//! Outlines of fonts that come from anywhere.
//!
//! A few bytes can ask for work without end: a composite of which each part is a composite of the same, a subroutine
//! that calls another a thousand times, and so on. `ttf_parser` bounds how deep that goes, not how wide. So the
//! work is counted first, in the same steps that it would take, and what is too much is not begun. Whatever is read
//! here otherwise than there is an error here.

use crate::{
    field::TooMuch,
    font::{Builder, FontError},
    outline::Outline,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use ttf_parser::{Face, GlyphId, Tag};

/// Most components of a composite glyph, those of components included. Letters with marks have three.
const COMPONENTS_MAX: usize = 128;
/// Most points of all components. The most intricate ideographs have less than 2,000.
const POINTS_MAX: usize = 8000;
/// Most bytes of a charstring, those of its subroutines included each time they are called.
const CHARSTRING_BYTES_MAX: usize = 64 << 10;
/// Deepest that components and subroutines are followed: as `ttf_parser` does.
const COMPONENT_DEPTH: usize = 32;
const SUBROUTINE_DEPTH: usize = 10;
/// Most arguments of an operator of charstrings.
const ARGUMENTS_MAX: usize = 48;

/// The shape in em, at the default instance of a variable font.
pub(crate) fn outline(face: &Face<'_>, glyph: GlyphId) -> Result<Outline, FontError> {
    // Its arithmetic is checked in some builds, and a font may come from anywhere.
    let drawn = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Builder::default();
        if let Some(glyf) = face.tables().glyf {
            count_components(face, glyph)?;
            // Nothing is drawn for a blank.
            glyf.outline(glyph, &mut builder);
        } else if let Some(cff) = &face.tables().cff {
            let data = face.raw_face().table(Tag::from_bytes(b"CFF ")).ok_or(TooMuch)?;
            Charstrings::new(data, glyph).and_then(|read| read.count(glyph)).ok_or(TooMuch)?;
            if cff.outline(glyph, &mut builder).is_err() {
                return Ok(Outline::default());
            }
        }
        Ok(builder.finish(face))
    }));
    drawn.unwrap_or(Err(FontError::Malformed))
}

fn count_components(face: &Face<'_>, glyph: GlyphId) -> Result<(), TooMuch> {
    let tables = || {
        let glyf = face.raw_face().table(Tag::from_bytes(b"glyf"))?;
        let loca = face.raw_face().table(Tag::from_bytes(b"loca"))?;
        let head = face.tables().head;
        let loca = ttf_parser::loca::Table::parse(
            face.tables().maxp.number_of_glyphs,
            head.index_to_location_format,
            loca,
        )?;
        Some((glyf, loca))
    };
    let (glyf, loca) = tables().ok_or(TooMuch)?;
    let (mut components, mut points) = (0, 0);
    // Glyphs to be counted, and how deep they are. Bounded by what is counted.
    let mut waiting = vec![(glyph, 0)];
    while let Some((glyph, depth)) = waiting.pop() {
        components += 1;
        if components > COMPONENTS_MAX || depth > COMPONENT_DEPTH {
            return Err(TooMuch);
        }
        let Some(data) = loca.glyph_range(glyph).and_then(|range| glyf.get(range)) else { continue };
        let Some(contours) = number(data, 0).map(|count| count as i16) else { continue };
        if contours > 0 {
            let last = number(data, 10 + 2 * (contours as usize - 1)).unwrap_or(u16::MAX);
            points += usize::from(last) + 1;
            if points > POINTS_MAX {
                return Err(TooMuch);
            }
        } else if contours < 0 {
            let mut at = 10;
            while let (Some(flags), Some(part)) = (number(data, at), number(data, at + 2)) {
                if waiting.len() > COMPONENTS_MAX {
                    return Err(TooMuch);
                }
                waiting.push((GlyphId(part), depth + 1));
                at += if flags & 1 != 0 { 8 } else { 6 };
                at += match (flags & 8 != 0, flags & 0x40 != 0, flags & 0x80 != 0) {
                    (true, ..) => 2,
                    (_, true, _) => 4,
                    (.., true) => 8,
                    _ => 0,
                };
                if flags & 0x20 == 0 {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn number(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

/// What is read one after the other. None where it ends too early.
#[derive(Clone, Copy)]
struct Stream<'a>(&'a [u8]);

impl<'a> Stream<'a> {
    fn at(data: &'a [u8], offset: usize) -> Option<Stream<'a>> {
        data.get(offset..).map(Stream)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of 1 to 4 bytes.
    fn number(&mut self, len: usize) -> Option<usize> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn signed(&mut self) -> Option<i16> {
        Some(self.number(2)? as u16 as i16)
    }
}

/// An INDEX (Adobe Technical Note 5176, section 5).
#[derive(Clone, Copy, Default)]
struct Index<'a> {
    count: usize,
    offset_len: usize,
    offsets: &'a [u8],
    data: &'a [u8],
}

impl<'a> Index<'a> {
    fn read(stream: &mut Stream<'a>) -> Option<Index<'a>> {
        let count = stream.number(2)?;
        if count == 0 {
            return Some(Index::default());
        }
        let offset_len = stream.number(1).filter(|len| (1..=4).contains(len))?;
        let offsets = stream.take((count + 1) * offset_len)?;
        let mut index = Index { count, offset_len, offsets, data: &[] };
        index.data = stream.take(index.offset(count)?)?;
        Some(index)
    }

    fn offset(&self, at: usize) -> Option<usize> {
        Stream::at(self.offsets, at * self.offset_len)?.number(self.offset_len)?.checked_sub(1)
    }

    fn get(&self, at: usize) -> Option<&'a [u8]> {
        (at < self.count).then(|| self.data.get(self.offset(at)?..self.offset(at + 1)?))?
    }

    /// By the argument of the operator that calls it (Adobe Technical Note 5177, section 4.7).
    fn subroutine(&self, argument: f32) -> Option<&'a [u8]> {
        let bias = match self.count {
            ..1240 => 107,
            1240..33_900 => 1131,
            _ => 32_768,
        };
        // Whole numbers only: of others it is not told how they are rounded.
        let whole = argument.trunc() == argument && argument.abs() <= 65_536.0;
        whole.then(|| self.get(usize::try_from(argument as i32 + bias).ok()?))?
    }
}

/// The whole numbers that belong to an operator of a DICT, if it is there. None if it is malformed, is there twice, or
/// has other numbers: there it would depend on the reader what it means.
fn operands<const N: usize>(dict: &[u8], wanted: u16) -> Option<Option<[usize; N]>> {
    let mut stream = Stream(dict);
    let mut numbers = Vec::new();
    let mut found = None;
    while let Some(byte) = stream.number(1) {
        match byte {
            0..=21 => {
                let operator = if byte == 12 { 1200 + stream.number(1)? } else { byte };
                let operator = operator as u16;
                if operator == wanted {
                    let whole: Option<Vec<usize>> = numbers
                        .iter()
                        .map(|number: &Option<i64>| number.and_then(|n| usize::try_from(n).ok()))
                        .collect();
                    if found.is_some() {
                        return None;
                    }
                    found = Some(<[usize; N]>::try_from(whole?).ok()?);
                }
                numbers.clear();
            }
            28 => numbers.push(Some(i64::from(stream.signed()?))),
            29 => numbers.push(Some(i64::from(stream.number(4)? as u32 as i32))),
            30 => {
                while !stream.take(1)?.iter().any(|byte| byte >> 4 == 15 || byte & 15 == 15) {}
                numbers.push(None);
            }
            32..=246 => numbers.push(Some(byte as i64 - 139)),
            247..=250 => numbers.push(Some((byte as i64 - 247) * 256 + stream.number(1)? as i64 + 108)),
            251..=254 => numbers.push(Some(-(byte as i64 - 251) * 256 - stream.number(1)? as i64 - 108)),
            _ => return None,
        }
        if numbers.len() > ARGUMENTS_MAX {
            return None;
        }
    }
    Some(found)
}

/// What is needed of a table `CFF ` to follow the charstring of one glyph (Adobe Technical Notes 5176 and 5177).
struct Charstrings<'a> {
    glyphs: Index<'a>,
    global: Index<'a>,
    local: Index<'a>,
}

impl<'a> Charstrings<'a> {
    fn new(data: &'a [u8], glyph: GlyphId) -> Option<Charstrings<'a>> {
        let head_len = usize::from(*data.get(2)?);
        let mut stream = Stream::at(data, head_len.max(4))?;
        Index::read(&mut stream)?;
        let top = Index::read(&mut stream)?.get(0)?;
        Index::read(&mut stream)?;
        let global = Index::read(&mut stream)?;
        let [at] = operands(top, 17)??;
        let glyphs = Index::read(&mut Stream::at(data, at)?)?;
        let has_many = operands::<3>(top, 1230)?.is_some();
        let private = if has_many {
            let ([array], [select]) = (operands(top, 1236)??, operands(top, 1237)??);
            let array = Index::read(&mut Stream::at(data, array)?)?;
            let font = selected(Stream::at(data, select)?, glyph)?;
            operands(array.get(font)?, 18)?
        } else {
            operands(top, 18)?
        };
        let mut local = Index::default();
        if let Some([len, start]) = private
            && let Some([offset]) = operands(data.get(start..start.checked_add(len)?)?, 19)?
        {
            local = Index::read(&mut Stream::at(data, start.checked_add(offset)?)?)?;
        }
        Some(Charstrings { glyphs, global, local })
    }

    /// Whether the glyph can be drawn within the bounds.
    fn count(&self, glyph: GlyphId) -> Option<()> {
        let mut arguments: Vec<f32> = Vec::with_capacity(ARGUMENTS_MAX);
        let (mut stems, mut left) = (0, CHARSTRING_BYTES_MAX);
        // Where it goes on after what is being followed. Bounded by the depth of subroutines.
        let mut callers: Vec<Stream<'a>> = Vec::new();
        let mut stream = Stream(self.glyphs.get(usize::from(glyph.0))?);
        left = left.checked_sub(stream.0.len())?;
        loop {
            let Some(operator) = stream.number(1) else {
                // The end of a subroutine is a return.
                match callers.pop() {
                    Some(caller) => stream = caller,
                    None => return Some(()),
                }
                continue;
            };
            match operator {
                1 | 3 | 18 | 23 => {
                    stems += arguments.len() / 2;
                    arguments.clear();
                }
                19 | 20 => {
                    stems += arguments.len() / 2;
                    arguments.clear();
                    let len = stems.div_ceil(8).min(stream.0.len());
                    stream.take(len)?;
                }
                10 | 29 => {
                    let subroutines = if operator == 10 { &self.local } else { &self.global };
                    let called = subroutines.subroutine(arguments.pop()?)?;
                    left = left.checked_sub(called.len() + 1)?;
                    if callers.len() == SUBROUTINE_DEPTH {
                        return None;
                    }
                    callers.push(std::mem::replace(&mut stream, Stream(called)));
                }
                11 => match callers.pop() {
                    Some(caller) => stream = caller,
                    None => return Some(()),
                },
                // With four arguments it is made of two other glyphs, as only very old fonts are.
                14 => return (arguments.len() < 4).then_some(()),
                12 => {
                    stream.take(1)?;
                    arguments.clear();
                }
                4..=8 | 21 | 22 | 24..=27 | 30 | 31 => arguments.clear(),
                28 => arguments.push(f32::from(stream.signed()?)),
                32..=246 => arguments.push(operator as f32 - 139.0),
                247..=250 => {
                    arguments.push((operator as f32 - 247.0) * 256.0 + stream.number(1)? as f32 + 108.0);
                }
                251..=254 => {
                    arguments.push(-(operator as f32 - 251.0) * 256.0 - stream.number(1)? as f32 - 108.0);
                }
                255 => arguments.push(stream.number(4)? as u32 as i32 as f32 / 65_536.0),
                _ => return None,
            }
            if arguments.len() > ARGUMENTS_MAX {
                return None;
            }
        }
    }
}

/// Which of the fonts of a `CFF ` a glyph is of (Adobe Technical Note 5176, section 19).
fn selected(mut stream: Stream<'_>, glyph: GlyphId) -> Option<usize> {
    match stream.number(1)? {
        0 => {
            stream.take(usize::from(glyph.0))?;
            stream.number(1)
        }
        3 => {
            let count = stream.number(2)?;
            let mut first = stream.number(2)?;
            for _ in 0..count {
                let font = stream.number(1)?;
                let next = stream.number(2)?;
                if (first..next).contains(&usize::from(glyph.0)) {
                    return Some(font);
                }
                first = next;
            }
            None
        }
        _ => None,
    }
}
