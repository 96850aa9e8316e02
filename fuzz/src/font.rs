// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a lump of class `Font` holds.

use hearth_abi::{LumpId, scene::Face};
use hearth_glyph::{Font, Kind, LayoutOptions, Source, Style, TILE_MAX, layout, make};

/// A file from anywhere: text in it is placed and drawn within the bounds, or it is an error of one line.
pub fn font(data: &[u8]) -> bool {
    let font = match Font::parse(data) {
        Ok(font) => font,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n') && line.len() < 200, "{line}");
            return false;
        }
    };
    let source = Source::bundled();
    source.add_font(&font);
    let style = Style { bold: data.len().is_multiple_of(2), italic: data.len().is_multiple_of(3) };
    let face = Face::Lump(LumpId([0; 32]));
    let options = LayoutOptions { face, font: Some(&font), style, width_em: 3.0, ..LayoutOptions::default() };
    let text = layout("AVo\u{c4} 0\nV\u{308}\t", &options);
    let bounds = [text.bounds.left, text.bounds.bottom, text.bounds.right, text.bounds.top];
    assert!(bounds.iter().all(|edge| edge.abs() < 1000.0), "{bounds:?}");
    for placed in &text.glyphs {
        assert!(placed.x.is_finite() && placed.y.is_finite());
        let glyph = make(&source, &placed.key);
        let (width, height) = (usize::from(glyph.width), usize::from(glyph.height));
        assert!(width.max(height) <= TILE_MAX as usize && glyph.texels.len() == width * height * 4);
        assert!(glyph.kind != Kind::Color);
    }
    true
}
