// SPDX-License-Identifier: AGPL-3.0-or-later
//! How wide a text will be in the face of a theme, as near as a script can know: by the widths of the fonts that every peer
//! has, and for others by what the theme says of them.
//!
//! Kerning is left out, which makes a line at most a little narrower than what is told here. In the face of
//! one width nothing is left out: there a caret stands exactly.

use crate::theme::Theme;
use hearth_sdk::abi::scene::Face;
use unicode_segmentation::UnicodeSegmentation;

mod widths;

/// Distance of two lines of the face without serifs, in heights of the font.
pub const LINE: f32 = 1.164;
/// Advance of each letter of the face of one width, in heights of the font.
pub const CELL: f32 = 0.6;
/// What stands for what was cut off.
const CUT: &str = "…";

/// Whether it is a character that is drawn twice as wide: of East Asia, or a picture.
pub(crate) fn is_wide(character: char) -> bool {
    matches!(character as u32,
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

fn sans(character: char, bold: bool) -> f32 {
    let code = character as u32;
    let run = widths::RUNS.partition_point(|run| run.first as u32 <= code).checked_sub(1);
    let found = run.and_then(|run| {
        let run = widths::RUNS.get(run)?;
        run.widths.get((code - run.first as u32) as usize)
    });
    match found {
        Some(widths) => f32::from(widths[usize::from(bold)]) * 0.001,
        None if (0x1f300..=0x1faff).contains(&code) => 1.25,
        None if is_wide(character) => 1.0,
        None if character.is_whitespace() => 0.5,
        None => 0.7,
    }
}

/// The width of one grapheme, in heights of the font.
pub(crate) fn grapheme(grapheme: &str, face: Face, bold: bool) -> f32 {
    let Some(character) = grapheme.chars().next().filter(|character| !character.is_control()) else {
        return 0.0;
    };
    match face {
        Face::Mono if is_wide(character) => 2.0 * CELL,
        Face::Mono => CELL,
        // A script does not know the widths of a font of its own; those of the face that stands in for it are near.
        Face::Sans | Face::Lump(_) => sans(character, bold),
    }
}

/// The width of a line in the face of a theme, in heights of the font.
///
/// ```
/// use hearth_kit::{Theme, measure::line};
/// let theme = Theme::dusk();
/// assert!(line(&theme, "WWW", false) > 2.0 * line(&theme, "iii", false));
/// ```
pub fn line(theme: &Theme, text: &str, bold: bool) -> f32 {
    text.graphemes(true).map(|part| of(theme, part, bold)).sum()
}

/// The width of one grapheme in the face of a theme.
fn of(theme: &Theme, part: &str, bold: bool) -> f32 {
    grapheme(part, theme.face, bold) * theme.face_width
}

/// As much of a line as has room, with `…` where something was left out. The room is in heights of the font.
///
/// ```
/// use hearth_kit::{Theme, measure::elided};
/// let theme = Theme::dusk();
/// assert_eq!(elided(&theme, "a lamp", false, 9.0), "a lamp");
/// assert_eq!(elided(&theme, "a lamp above the hearth", false, 5.0), "a lamp…");
/// ```
pub fn elided(theme: &Theme, text: &str, bold: bool, room: f32) -> String {
    let text = text.lines().next().unwrap_or_default();
    // What was measured to fit must fit when it is measured again by other sums.
    let room = room + 1e-3;
    if line(theme, text, bold) <= room {
        return text.to_owned();
    }
    let room = room - line(theme, CUT, bold);
    let (mut width, mut short) = (0.0, String::new());
    for part in text.graphemes(true) {
        width += of(theme, part, bold);
        if width > room {
            break;
        }
        short.push_str(part);
    }
    short.truncate(short.trim_end().len());
    short.push_str(CUT);
    short
}

/// A text in lines that have room, broken between words, and within those that are too long. The room is in
/// heights of the font; there is at least one line.
///
/// ```
/// use hearth_kit::{Theme, measure::wrapped};
/// assert_eq!(wrapped(&Theme::dusk(), "take what you like", false, 5.5), ["take what", "you like"]);
/// ```
pub fn wrapped(theme: &Theme, text: &str, bold: bool, room: f32) -> Vec<String> {
    let room = room + 1e-3;
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut current, mut width) = (String::new(), 0.0);
        for word in paragraph.split_word_bounds() {
            let is_blank = word.chars().all(char::is_whitespace);
            let wide = line(theme, word, bold);
            if width + wide <= room || (is_blank && !current.is_empty()) {
                current.push_str(word);
                width += wide;
                continue;
            }
            if !current.trim().is_empty() {
                lines.push(current.trim_end().to_owned());
            }
            (current, width) = (String::new(), 0.0);
            if is_blank {
                continue;
            }
            for part in word.graphemes(true) {
                let wide = of(theme, part, bold);
                if width + wide > room && !current.is_empty() {
                    lines.push(std::mem::take(&mut current));
                    width = 0.0;
                }
                current.push_str(part);
                width += wide;
            }
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_sdk::prelude::LumpId;
    use proptest::prelude::*;

    #[test]
    fn letters_are_as_wide_as_in_the_font() {
        let theme = Theme::dusk();
        for (text, bold, width) in [
            ("A", false, 0.684),
            ("A", true, 0.774),
            ("ü", false, 0.634),
            ("я", false, 0.602),
            ("漢", false, 1.0),
        ] {
            let wide = line(&theme, text, bold);
            assert!((wide - width).abs() < 2e-3, "{text}: {wide}");
            // A font of one's own is as wide as the theme says, and letters of one width are.
            let own = Theme::dusk().in_face(Face::Lump(LumpId([7; 32])), 0.5);
            assert!((line(&own, text, bold) - width * 0.5).abs() < 2e-3, "{text}");
        }
        assert_eq!(line(&Theme::dusk().in_face(Face::Mono, 1.0), "iW", true), 2.0 * CELL);
        assert_eq!(grapheme("漢", Face::Mono, false), 1.2);
        assert_eq!(line(&theme, "", false), 0.0);
    }

    #[test]
    fn runs_are_in_order() {
        let ends = |run: &widths::Run| run.first as u32 + run.widths.len() as u32;
        assert!(widths::RUNS.windows(2).all(|pair| ends(&pair[0]) <= pair[1].first as u32));
    }

    proptest! {
        #[test]
        fn what_was_made_to_fit_fits(
            text in "[a-zü漢 \n]{0,60}",
            room in 1.5f32..20.0,
            wide in 0.5f32..1.3,
            bold: bool,
        ) {
            let theme = Theme::dusk().in_face(Face::Sans, wide);
            prop_assert!(line(&theme, &elided(&theme, &text, bold, room), bold) <= room + 2e-3);
            let lines = wrapped(&theme, &text, bold, room);
            for one in &lines {
                prop_assert!(line(&theme, one, bold) <= room + 2e-3, "{one}");
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
