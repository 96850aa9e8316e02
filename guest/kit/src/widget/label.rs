// SPDX-License-Identifier: AGPL-3.0-or-later
//! Writing that nobody changes by hand, and room between things.

use super::{At, Widget};
use crate::{
    layout::Rect,
    measure,
    paint::{Letters, Paint},
    theme::Theme,
};
use hearth_sdk::abi::scene::Align;

/// Which letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Rank {
    #[default]
    Text,
    Title,
    Hint,
}

impl Rank {
    fn letters(self, at: &At<'_>) -> Letters {
        let theme = at.theme;
        let (size, color) = match self {
            Rank::Text => (theme.text, theme.ink),
            Rank::Title => (theme.title, theme.ink),
            Rank::Hint => (theme.small, theme.faint),
        };
        Letters::new(size, at.dim(color)).bold(self == Rank::Title)
    }

    fn size(self, theme: &Theme) -> f32 {
        match self {
            Rank::Text => theme.text,
            Rank::Title => theme.title,
            Rank::Hint => theme.small,
        }
    }
}

/// One line. What has no room ends in `…`.
#[derive(Clone, Debug)]
pub struct Label {
    text: String,
    rank: Rank,
    align: Align,
}

/// A line of writing.
pub fn label(text: impl Into<String>) -> Label {
    Label { text: text.into(), rank: Rank::Text, align: Align::Left }
}

/// A line of large writing.
pub fn title(text: impl Into<String>) -> Label {
    Label { rank: Rank::Title, ..label(text) }
}

/// A line of small writing.
pub fn hint(text: impl Into<String>) -> Label {
    Label { rank: Rank::Hint, ..label(text) }
}

impl Label {
    /// In the middle of its room.
    #[must_use]
    pub fn centered(self) -> Label {
        Label { align: Align::Center, ..self }
    }

    /// At the right of its room.
    #[must_use]
    pub fn right(self) -> Label {
        Label { align: Align::Right, ..self }
    }

    /// Writes something else.
    pub fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<M: 'static> Widget<M> for Label {
    fn width(&self, theme: &Theme) -> f32 {
        let line = self.text.lines().next().unwrap_or_default();
        measure::line(theme, line, self.rank == Rank::Title) * self.rank.size(theme)
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        self.rank.size(theme) * measure::LINE
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let letters = Letters { align: self.align, ..self.rank.letters(at) };
        paint.text(
            at.rect,
            measure::elided(at.theme, &self.text, letters.bold, at.rect.w / letters.size),
            letters,
        );
    }
}

/// Lines that are broken where there is no more room: as wide as it is given room, and as high as that makes it.
#[derive(Clone, Debug)]
pub struct Paragraph {
    text: String,
    rank: Rank,
}

/// A text of several lines.
pub fn paragraph(text: impl Into<String>) -> Paragraph {
    Paragraph { text: text.into(), rank: Rank::Text }
}

impl Paragraph {
    /// In small letters.
    #[must_use]
    pub fn small(self) -> Paragraph {
        Paragraph { rank: Rank::Hint, ..self }
    }

    /// Writes something else.
    pub fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<M: 'static> Widget<M> for Paragraph {
    fn width(&self, theme: &Theme) -> f32 {
        // Enough for a word or two: it takes what it is given.
        8.0 * self.rank.size(theme)
    }

    fn height(&self, theme: &Theme, width: f32) -> f32 {
        let size = self.rank.size(theme);
        measure::wrapped(theme, &self.text, false, width / size).len() as f32 * size * measure::LINE
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let letters = self.rank.letters(at);
        let lines = measure::wrapped(at.theme, &self.text, false, at.rect.w / letters.size);
        // What has no room below is left out line by line.
        let line = letters.size * measure::LINE;
        let most = ((at.rect.h / line + 0.01) as usize).max(1);
        let lines = &lines[..lines.len().min(most)];
        let rect = Rect { h: line * lines.len() as f32, ..at.rect };
        paint.text(rect, lines.join("\n"), letters);
    }
}

/// Nothing, of a size.
#[derive(Clone, Copy, Debug)]
pub struct Space(f32);

/// Room of so many metres both ways; [`grow`](super::IntoNode::grow) makes it what is left.
pub fn space(metres: f32) -> Space {
    Space(metres)
}

impl<M: 'static> Widget<M> for Space {
    fn width(&self, _theme: &Theme) -> f32 {
        self.0
    }

    fn height(&self, _theme: &Theme, _width: f32) -> f32 {
        self.0
    }

    fn paint(&self, _at: &At<'_>, _paint: &mut Paint<'_>) {}
}
