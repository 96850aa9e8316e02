// SPDX-License-Identifier: AGPL-3.0-or-later
//! How an interface looks: one value, which may be exchanged while it is on show.

use hearth_sdk::{abi::scene::Face, scene::srgb};

/// A linear colour.
pub type Color = [f32; 3];

/// Colours (linear) and sizes (metres, before the scale of the [`Place`](crate::Place)).
///
/// ```
/// use hearth_kit::Theme;
/// let large = Theme { text: 0.04, ..Theme::dusk() };
/// assert!(large.control > 0.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Panels.
    pub ground: Color,
    /// What may be pressed: buttons, menus, knobs.
    pub raised: Color,
    /// What holds something: fields, lists, tracks.
    pub sunken: Color,
    /// What is on, chosen or filled.
    pub accent: Color,
    /// Writing on the accent.
    pub on_accent: Color,
    /// Writing.
    pub ink: Color,
    /// Writing that may be missed: hints, what a field is for.
    pub faint: Color,
    /// The edges of panels and fields.
    pub edge: Color,
    /// The ring about what has the keyboard.
    pub focus: Color,
    /// Part of the way to the ink that a surface goes under a pointer, and while it is pressed, 0 to 1.
    pub hover: f32,
    /// See [`Theme::hover`].
    pub press: f32,
    /// Part of the way to the ground that everything goes that is disabled, 0 to 1.
    pub disabled: f32,
    /// The letters of everything but fields, which are written in the face of one width. A font of your own is
    /// `Face::Lump`; while it is on its way, letters without serifs stand in for it.
    pub face: Face,
    /// How wide the letters of that face are: how often those without serifs. A script does not know the widths of a font
    /// of its own, and lays out by this; see [`Theme::in_face`].
    pub face_width: f32,
    /// Height of the font.
    pub text: f32,
    /// Height of the font of hints.
    pub small: f32,
    /// Height of the font of titles.
    pub title: f32,
    /// Height of a button, a field, a row.
    pub control: f32,
    /// Radius of the corners of controls.
    pub radius: f32,
    /// Radius of the corners of panels.
    pub panel_radius: f32,
    /// Between two things.
    pub gap: f32,
    /// Between a panel and what is on it.
    pub padding: f32,
    /// Width of rings and edges.
    pub ring: f32,
    /// Thickness of panels.
    pub depth: f32,
}

impl Theme {
    /// Warm light on dark wood, as the place at evening. The one to begin with.
    pub fn dusk() -> Theme {
        Theme {
            ground: srgb(0x241e1a),
            raised: srgb(0x4a3d33),
            sunken: srgb(0x14100e),
            accent: srgb(0xf0a040),
            on_accent: srgb(0x1c1204),
            ink: srgb(0xffe8c8),
            faint: srgb(0xc8ac8c),
            edge: srgb(0x6e5a48),
            focus: srgb(0x7cc4ff),
            hover: 0.14,
            press: 0.32,
            disabled: 0.62,
            face: Face::Sans,
            face_width: 1.0,
            text: 0.026,
            small: 0.02,
            title: 0.036,
            control: 0.054,
            radius: 0.011,
            panel_radius: 0.022,
            gap: 0.016,
            padding: 0.028,
            ring: 0.003,
            depth: 0.012,
        }
    }

    /// Dark ink on light paper.
    pub fn paper() -> Theme {
        Theme {
            ground: srgb(0xf2ece2),
            raised: srgb(0xd6cab8),
            sunken: srgb(0xffffff),
            accent: srgb(0x1d5fa8),
            on_accent: srgb(0xffffff),
            ink: srgb(0x221c16),
            faint: srgb(0x5a5046),
            edge: srgb(0x9c8e7c),
            focus: srgb(0xd05a00),
            ..Theme::dusk()
        }
    }

    /// Black, white and yellow, and larger letters: for who sees badly, and for far away.
    pub fn contrast() -> Theme {
        Theme {
            ground: [0.0; 3],
            raised: srgb(0x484848),
            sunken: [0.0; 3],
            accent: srgb(0xffe000),
            on_accent: [0.0; 3],
            ink: [1.0; 3],
            faint: srgb(0xe0e0e0),
            edge: [1.0; 3],
            focus: srgb(0x00e5ff),
            text: 0.031,
            small: 0.025,
            title: 0.042,
            control: 0.062,
            ring: 0.004,
            ..Theme::dusk()
        }
    }

    /// Written in another face, whose letters are so many times as wide as those without serifs: 1 for [`Face::Sans`] and
    /// [`Face::Mono`], 0.85 or so for most fonts with serifs. Of a line that is wider than it was thought to be the end
    /// stands out; one that is narrower leaves room.
    ///
    /// ```
    /// use hearth_kit::Theme;
    /// use hearth_sdk::prelude::*;
    /// let book = |serifs: Lump| Theme::paper().in_face(Face::Lump(serifs.0), 0.85);
    /// ```
    #[must_use]
    pub fn in_face(self, face: Face, face_width: f32) -> Theme {
        Theme { face, face_width, ..self }
    }

    /// With every size so many times as large.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Theme {
        for size in self.sizes() {
            *size *= factor;
        }
        self
    }

    fn sizes(&mut self) -> [&mut f32; 10] {
        [
            &mut self.text,
            &mut self.small,
            &mut self.title,
            &mut self.control,
            &mut self.radius,
            &mut self.panel_radius,
            &mut self.gap,
            &mut self.padding,
            &mut self.ring,
            &mut self.depth,
        ]
    }

    /// Numbers that would make no interface are brought to the nearest that do: sizes to 0.1 mm to 10 m, parts to 0 to 1,
    /// colours to 0 to 100, the width of letters to 0.2 to 5.
    #[must_use]
    pub(crate) fn sound(mut self) -> Theme {
        let within = |value: f32, least: f32, most: f32| {
            if value.is_finite() { value.clamp(least, most) } else { least }
        };
        for size in self.sizes() {
            *size = within(*size, 1e-4, 10.0);
        }
        self.face_width = within(self.face_width, 0.2, 5.0);
        for part in [&mut self.hover, &mut self.press, &mut self.disabled] {
            *part = within(*part, 0.0, 1.0);
        }
        let colors = [
            &mut self.ground,
            &mut self.raised,
            &mut self.sunken,
            &mut self.accent,
            &mut self.on_accent,
            &mut self.ink,
            &mut self.faint,
            &mut self.edge,
            &mut self.focus,
        ];
        for part in colors.into_iter().flatten() {
            *part = within(*part, 0.0, 100.0);
        }
        self
    }
}

impl Default for Theme {
    fn default() -> Theme {
        Theme::dusk()
    }
}

/// Part of the way from one colour to another, as the eye sees it: by the square roots.
pub(crate) fn mixed(from: Color, to: Color, part: f32) -> Color {
    std::array::from_fn(|i| {
        let [a, b] = [from[i], to[i]].map(|value| value.max(0.0).sqrt());
        (a + (b - a) * part).powi(2)
    })
}

/// How well one colour is told from another, 1 (not) to 21: the contrast of WCAG 2.2. Text wants 4.5, what is large or
/// no text 3.
///
/// ```
/// use hearth_kit::{Theme, contrast};
/// let theme = Theme::dusk();
/// assert!(contrast(theme.ink, theme.ground) > 10.0);
/// ```
pub fn contrast(a: Color, b: Color) -> f32 {
    let light = |[r, g, b]: Color| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_in_every_theme() {
        for (name, theme) in
            [("dusk", Theme::dusk()), ("paper", Theme::paper()), ("contrast", Theme::contrast())]
        {
            let t = &theme;
            let surfaces = [t.ground, t.raised, t.sunken, mixed(t.raised, t.ink, t.hover)];
            for surface in surfaces {
                assert!(contrast(t.ink, surface) >= 4.5, "{name}: {}", contrast(t.ink, surface));
            }
            for surface in [t.ground, t.sunken] {
                assert!(contrast(t.faint, surface) >= 4.5, "{name}: faint");
                assert!(contrast(t.focus, surface) >= 3.0, "{name}: focus {}", contrast(t.focus, surface));
                assert!(contrast(t.accent, surface) >= 3.0, "{name}: accent");
            }
            assert!(contrast(t.on_accent, t.accent) >= 4.5, "{name}: on accent");
            // What is pressed is seen to be: each state differs from the one before.
            let states = [t.raised, mixed(t.raised, t.ink, t.hover), mixed(t.raised, t.ink, t.press)];
            assert!(states.windows(2).all(|pair| contrast(pair[0], pair[1]) > 1.15), "{name}: states");
        }
    }

    #[test]
    fn a_theme_that_cannot_be_is_mended() {
        let odd =
            Theme { text: f32::NAN, gap: -1.0, hover: 7.0, ink: [f32::INFINITY, -1.0, 0.5], ..Theme::dusk() };
        let sound = odd.sound();
        assert_eq!((sound.text, sound.gap, sound.hover, sound.ink), (1e-4, 1e-4, 1.0, [0.0, 0.0, 0.5]));
        let widths = [f32::NAN, 0.0, 0.85, 1e9].map(|wide| Theme::dusk().in_face(Face::Mono, wide).sound());
        assert_eq!(widths.map(|theme| theme.face_width), [0.2, 0.2, 0.85, 5.0]);
        assert_eq!(Theme::dusk().sound(), Theme::dusk());
        assert_eq!(Theme::dusk().scaled(2.0).text, 0.052);
    }
}
