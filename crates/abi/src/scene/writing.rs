// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components that are read: terminals and text.

use super::{above_zero, at_least};
use crate::{
    DecodeError, LumpId, TerminalId,
    codec::{Reader, put_floats},
};
use alloc::{string::String, vec::Vec};

/// Longest [`Text`] in bytes.
pub const TEXT_LEN_MAX: usize = 3072;

/// A rectangle in the entity's xy plane, about its origin and facing +Z, that shows what a terminal shows.
/// As bytes: `u64` terminal, `f32` cell height, `f32` opacity. While the terminal shows nothing here (it is
/// closed, or its peer is away) nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TerminalView {
    /// Which terminal.
    pub terminal: TerminalId,
    /// Height of a cell in metres, more than 0. Its width follows from the font.
    pub cell_height: f32,
    /// Opacity of the background where the program has not coloured it, 0 to 1.
    pub opacity: f32,
}

impl TerminalView {
    /// Width of a cell as a part of its height.
    pub const CELL_WIDTH: f32 = 0.6 / 1.32;
    /// Width of the edge around all cells, which has the colour of the background, as a part of the height of
    /// a cell.
    pub const MARGIN: f32 = 0.35 / 1.32;

    /// Width and height in metres of a terminal of so many columns and rows, with its edge.
    pub fn size(cell_height: f32, columns: u16, rows: u16) -> [f32; 2] {
        let width = f32::from(columns) * TerminalView::CELL_WIDTH + 2.0 * TerminalView::MARGIN;
        let height = f32::from(rows) + 2.0 * TerminalView::MARGIN;
        [width * cell_height, height * cell_height]
    }
}

/// Writing in the entity's xy plane, to be read from +Z. As bytes: `u8` face and, if that is 2, 32 bytes of a
/// lump of class `Font`; `u8` align, `u8` anchor, `u8` style (bit 0 bold, bit 1 italic), `f32` size,
/// `f32` width, `f32` line spacing, four `f32` colour, four `f32` background, and UTF-8 to the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What it says, at most [`TEXT_LEN_MAX`] bytes; a line feed begins a new line.
    pub text: String,
    /// The shapes of the letters.
    pub face: Face,
    /// How lines stand beside each other, and where the origin is from left to right.
    pub align: Align,
    /// Where the origin is from top to bottom.
    pub anchor: Anchor,
    /// Heavier strokes.
    pub bold: bool,
    /// Slanted.
    pub italic: bool,
    /// Height of the font (an em) in metres, more than 0.
    pub size: f32,
    /// Metres at which lines are wrapped; 0 for never.
    pub width: f32,
    /// Distance of lines as a factor of the font's own, more than 0.
    pub line_spacing: f32,
    /// Linear colour and opacity. It is shown in its own colour whatever the light; above 1.0 it glows.
    pub color: [f32; 4],
    /// Linear colour and opacity of a plate behind it; opacity 0 for none.
    pub background: [f32; 4],
}

impl Default for Text {
    fn default() -> Text {
        Text {
            text: String::new(),
            face: Face::Sans,
            align: Align::Center,
            anchor: Anchor::Middle,
            bold: false,
            italic: false,
            size: 0.1,
            width: 0.0,
            line_spacing: 1.0,
            color: [1.0; 4],
            background: [0.0; 4],
        }
    }
}

/// The shapes of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// 0: without serifs, each letter as wide as it is.
    Sans,
    /// 1: all letters of one width.
    Mono,
    /// 2: those of a lump of class `Font`: TrueType or OpenType. Until it is there, where it does not load, and for
    /// characters that it has not, [`Face::Sans`] stands in. 32 bytes.
    Lump(LumpId),
}

impl From<LumpId> for Face {
    fn from(font: LumpId) -> Face {
        Face::Lump(font)
    }
}

/// How lines stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Align {
    /// They begin at the origin.
    Left = 0,
    /// Their middles are at the origin.
    Center = 1,
    /// They end at the origin.
    Right = 2,
}

/// Where the origin is from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Anchor {
    /// At the top of the first line.
    Top = 0,
    /// In the middle of all lines.
    Middle = 1,
    /// At the bottom of the last line.
    Bottom = 2,
    /// At the baseline of the first line.
    Baseline = 3,
}

impl TerminalView {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.terminal.to_bits().to_le_bytes());
        put_floats(out, &[self.cell_height, self.opacity]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<TerminalView, DecodeError> {
        let terminal = TerminalId::from_bits(r.u64()?);
        let cell_height = above_zero(r)?;
        let out_of_range = r.error("opacity is not between 0 and 1");
        let opacity = r.finite()?;
        if !(0.0..=1.0).contains(&opacity) {
            return Err(out_of_range);
        }
        Ok(TerminalView { terminal, cell_height, opacity })
    }
}

impl Text {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let style = u8::from(self.bold) | u8::from(self.italic) << 1;
        match &self.face {
            Face::Sans => out.push(0),
            Face::Mono => out.push(1),
            Face::Lump(id) => {
                out.push(2);
                out.extend_from_slice(&id.0);
            }
        }
        out.extend_from_slice(&[self.align as u8, self.anchor as u8, style]);
        put_floats(out, &[self.size, self.width, self.line_spacing]);
        put_floats(out, &self.color);
        put_floats(out, &self.background);
        out.extend_from_slice(self.text.as_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Text, DecodeError> {
        let unknown = r.error("unknown way of writing");
        let face = match r.u8()? {
            0 => Face::Sans,
            1 => Face::Mono,
            2 => Face::Lump(LumpId(r.array()?)),
            _ => return Err(unknown),
        };
        let unknown = r.error("unknown way of writing");
        let align = match r.u8()? {
            0 => Align::Left,
            1 => Align::Center,
            2 => Align::Right,
            _ => return Err(unknown),
        };
        let anchor = match r.u8()? {
            0 => Anchor::Top,
            1 => Anchor::Middle,
            2 => Anchor::Bottom,
            3 => Anchor::Baseline,
            _ => return Err(unknown),
        };
        let style = r.u8()?;
        if style > 3 {
            return Err(unknown);
        }
        let size = above_zero(r)?;
        let width = at_least(r, 0.0)?;
        let line_spacing = above_zero(r)?;
        let (color, background) = (r.finites()?, r.finites()?);
        if r.remaining() > TEXT_LEN_MAX {
            return Err(r.error("text is too long"));
        }
        let text = r.text(r.remaining())?.into();
        let (bold, italic) = (style & 1 != 0, style & 2 != 0);
        Ok(Text { text, face, align, anchor, bold, italic, size, width, line_spacing, color, background })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{COMPONENT_LEN_MAX, Component, ComponentKind};
    use alloc::boxed::Box;
    use proptest::prelude::*;
    use std::vec;

    fn bytes(text: &Text) -> Vec<u8> {
        let mut out = vec![];
        Component::Text(Box::new(text.clone())).encode(&mut out);
        out
    }

    fn read(bytes: &[u8]) -> Result<Component, DecodeError> {
        Component::decode(ComponentKind::Text, bytes)
    }

    /// What comes after the face of a text that is as it is by default.
    const REST: [u8; 47] = [
        1, 1, 0, 0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0,
        0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn golden_vectors() {
        let lump = LumpId([0xab; 32]);
        for (face, head) in [
            (Face::Sans, vec![0]),
            (Face::Mono, vec![1]),
            (Face::Lump(lump), [vec![2], vec![0xab; 32]].concat()),
        ] {
            let text = Text { text: "é".into(), face, ..Text::default() };
            let expected = [head, REST.to_vec(), vec![0xc3, 0xa9]].concat();
            assert_eq!(bytes(&text), expected);
            let again = read(&expected).unwrap();
            assert_eq!(again, Component::Text(Box::new(text)));
            let lumps = again.lumps().collect::<Vec<_>>();
            assert_eq!(lumps, if face == Face::Lump(lump) { vec![lump] } else { vec![] });
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let plain = Text { text: "a".into(), ..Text::default() };
        for (at, value) in [(0, 3), (1, 3), (2, 4), (3, 4)] {
            let mut bytes = bytes(&plain);
            bytes[at] = value;
            let offset = at.min(1);
            assert_eq!(read(&bytes).unwrap_err(), DecodeError { offset, problem: "unknown way of writing" });
        }
        let long = Text { face: Face::Lump(LumpId([1; 32])), text: "n".repeat(TEXT_LEN_MAX), ..plain };
        let bytes = bytes(&long);
        assert!(bytes.len() <= COMPONENT_LEN_MAX);
        assert_eq!(read(&bytes).unwrap(), Component::Text(Box::new(long)));
        for end in [1, 20, 32, 33, 79] {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_back(
            text in "\\PC{0,40}", lump in any::<Option<[u8; 32]>>(), flags in any::<[bool; 3]>(),
            size in 0.001f32..100.0, width in 0.0f32..100.0, align in 0..3, anchor in 0..4,
        ) {
            let plain = if flags[2] { Face::Mono } else { Face::Sans };
            let text = Text {
                text,
                face: lump.map_or(plain, |lump| Face::Lump(LumpId(lump))),
                align: [Align::Left, Align::Center, Align::Right][align as usize],
                anchor: [Anchor::Top, Anchor::Middle, Anchor::Bottom, Anchor::Baseline][anchor as usize],
                bold: flags[0],
                italic: flags[1],
                size,
                width,
                ..Text::default()
            };
            prop_assert_eq!(read(&bytes(&text)).unwrap(), Component::Text(Box::new(text)));
        }
    }
}
