// SPDX-License-Identifier: AGPL-3.0-or-later
//! Colours as people choose them: hue, how strong, how bright; and as web colours.

use crate::theme::Color;
use hearth_sdk::scene::srgb;

/// A colour as one picks it. All parts are 0 to 1; the hue goes around.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Hsv {
    /// 0 red, a third green, two thirds blue.
    pub hue: f32,
    /// 0 is grey.
    pub strength: f32,
    /// 0 is black.
    pub brightness: f32,
}

/// The linear colour of a hue at its strongest and brightest.
pub(crate) fn hue(part: f32) -> Color {
    linear(Hsv { hue: part, strength: 1.0, brightness: 1.0 }.web())
}

fn to_linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn from_linear(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

fn linear(web: [f32; 3]) -> Color {
    web.map(to_linear)
}

impl Hsv {
    /// The red, green and blue of sRGB, 0 to 1.
    fn web(self) -> [f32; 3] {
        let sixth = self.hue.rem_euclid(1.0) * 6.0;
        [5.0f32, 3.0, 1.0].map(|n| {
            let k = (n + sixth).rem_euclid(6.0);
            self.brightness - self.brightness * self.strength * k.min(4.0 - k).clamp(0.0, 1.0)
        })
    }

    /// As a linear colour.
    pub fn color(self) -> Color {
        linear(self.web())
    }

    /// Of a linear colour; what is above 1 is cut. A grey has the hue that is given.
    pub fn of(color: Color, hue_of_grey: f32) -> Hsv {
        let [r, g, b] = color.map(from_linear);
        let (most, least) = (r.max(g).max(b), r.min(g).min(b));
        let range = most - least;
        let hue = match most {
            _ if range < 1e-4 => hue_of_grey * 6.0,
            _ if most == r => (g - b) / range,
            _ if most == g => (b - r) / range + 2.0,
            _ => (r - g) / range + 4.0,
        };
        let strength = if most > 0.0 { range / most } else { 0.0 };
        Hsv { hue: (hue / 6.0).rem_euclid(1.0), strength, brightness: most }
    }
}

/// A linear colour as a web colour: `#ff8800`.
///
/// ```
/// use hearth_kit::{color_of, web_color};
/// assert_eq!(color_of("#ff8800").map(web_color).as_deref(), Some("#ff8800"));
/// assert_eq!(color_of("f80"), color_of("#ff8800"));
/// assert_eq!(color_of("orange"), None);
/// ```
pub fn web_color(color: Color) -> String {
    let [r, g, b] = color.map(|value| (from_linear(value) * 255.0).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The linear colour of a web colour of three or six digits, with or without `#`.
pub fn color_of(text: &str) -> Option<Color> {
    let digits = text.trim().trim_start_matches('#');
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, 16).ok()?;
    match digits.len() {
        6 => Some(srgb(code)),
        3 => Some(srgb((code >> 8 & 15) * 0x11_0000 + (code >> 4 & 15) * 0x1100 + (code & 15) * 0x11)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_comes_back() {
        for code in (0..0x1_000_000).step_by(4999) {
            let color = srgb(code);
            let back = Hsv::of(color, 0.3).color();
            assert!((0..3).all(|i| (color[i] - back[i]).abs() < 1e-3), "{code:06x}: {color:?} {back:?}");
            assert_eq!(web_color(back), format!("#{code:06x}"));
        }
        assert_eq!(Hsv::of([0.2; 3], 0.25).hue, 0.25);
        let hues = [0.0, 1.0 / 3.0, 2.0 / 3.0].map(hue);
        assert_eq!(hues, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    }

    #[test]
    fn what_is_no_colour_is_none() {
        for text in ["", "#", "#12", "#12345", "#gggggg", "+12345", "ü12345"] {
            assert_eq!(color_of(text), None, "{text}");
        }
    }
}
