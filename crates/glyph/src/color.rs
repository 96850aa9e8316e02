// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures in fonts: emoji as PNG (tables CBDT and sbix), and as layers of flat colour (table COLR).

use crate::{
    Bounds, Correction, Glyph, Kind,
    font::{self, Builder},
    outline::{Affine, Outline, Polygon, Rect},
};
use ttf_parser::{
    Face, GlyphId, RgbaColor,
    colr::{ClipBox, CompositeMode, Paint, Painter},
};

/// Texels of a picture for one em.
const TEXELS_PER_EM: f64 = 64.0;
/// Largest PNG in pixels of a side, and what may be allocated for it.
const PNG_SIDE_MAX: u32 = 1024;
const PNG_BYTES_MAX: u64 = 16 << 20;
/// Side of the square in which layers are drawn.
const LAYERS_SIDE: usize = 96;
/// Most layers of a glyph.
const LAYERS_MAX: usize = 512;

/// Colour with premultiplied alpha, in rows from the top.
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

/// The picture of a glyph, if it has one.
pub(crate) fn picture(face: &Face<'_>, glyph: GlyphId) -> Option<Picture> {
    match font::picture(face, glyph) {
        Some(picture) => decode(&picture.png),
        None if face.is_color_glyph(glyph) => layers(face, glyph),
        None => None,
    }
}

fn decode(png: &[u8]) -> Option<Picture> {
    let mut reader = image::ImageReader::with_format(std::io::Cursor::new(png), image::ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(PNG_SIDE_MAX);
    limits.max_image_height = Some(PNG_SIDE_MAX);
    limits.max_alloc = Some(PNG_BYTES_MAX);
    reader.limits(limits);
    let image = reader.decode().ok()?.into_rgba8();
    let pixels = image.pixels().map(|pixel| {
        let [r, g, b, a] = pixel.0.map(|v| f32::from(v) / 255.0);
        [r * a, g * a, b * a, a]
    });
    Some(Picture { width: image.width() as usize, height: image.height() as usize, pixels: pixels.collect() })
}

/// The picture in the middle of a box: as large as it may be, and a little above the line's foot.
pub(crate) fn fitted(picture: &Picture, width: f64, bottom: f64, top: f64) -> Option<Glyph> {
    if picture.width == 0 || picture.height == 0 {
        return None;
    }
    let (w, h) = (picture.width as f64, picture.height as f64);
    // In em for one pixel.
    let scale = (width * 0.98 / w).min((top - bottom) * 0.98 / h).min(1.2 / w.max(h));
    let (half_w, half_h) = (w * scale / 2.0, h * scale / 2.0);
    let (x, y) = (width / 2.0, (bottom + top) / 2.0);
    // One texel of nothing all around, so that the sampler fades out.
    let columns = (2.0 * half_w * TEXELS_PER_EM).round().clamp(1.0, 200.0) as usize + 2;
    let rows = (2.0 * half_h * TEXELS_PER_EM).round().clamp(1.0, 200.0) as usize + 2;
    let mut texels = Vec::with_capacity(columns * rows * 4);
    for row in 0..rows {
        for column in 0..columns {
            let texel = if row == 0 || column == 0 || row == rows - 1 || column == columns - 1 {
                [0.0; 4]
            } else {
                average(picture, column - 1, columns - 2, row - 1, rows - 2)
            };
            let a = texel[3];
            let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
            let straight = |v: f32| if a > 0.0 { byte(v / a) } else { 0 };
            texels.extend([straight(texel[0]), straight(texel[1]), straight(texel[2]), byte(a)]);
        }
    }
    let (edge_x, edge_y) = (2.0 * half_w / (columns - 2) as f64, 2.0 * half_h / (rows - 2) as f64);
    Some(Glyph {
        kind: Kind::Color,
        width: columns as u16,
        height: rows as u16,
        texels,
        bounds: Bounds {
            left: (x - half_w - edge_x) as f32,
            bottom: (y - half_h - edge_y) as f32,
            right: (x + half_w + edge_x) as f32,
            top: (y + half_h + edge_y) as f32,
        },
        opacity: 1.0,
        clipped: false,
        correction: Correction::None,
    })
}

/// The mean of the pixels below a texel.
fn average(picture: &Picture, column: usize, columns: usize, row: usize, rows: usize) -> [f32; 4] {
    let span = |index: usize, count: usize, size: usize| {
        let from = index * size / count;
        from..((index + 1) * size).div_ceil(count).clamp(from + 1, size.max(from + 1))
    };
    let mut sum = [0.0; 4];
    let mut count = 0.0;
    for y in span(row, rows, picture.height) {
        for x in span(column, columns, picture.width) {
            if let Some(pixel) = picture.pixels.get(y * picture.width + x) {
                sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
                count += 1.0;
            }
        }
    }
    sum.map(|v| if count > 0.0 { v / count } else { 0.0 })
}

/// Draws the layers of a glyph one over the other.
fn layers(face: &Face<'_>, glyph: GlyphId) -> Option<Picture> {
    let side = LAYERS_SIDE;
    let unit = font::per_unit(face);
    // Layers are often drawn past the em: take what the outline or the advance says.
    let width = font::advance(face, glyph).max(0.5);
    let (bottom, top) = (f64::from(face.descender()) * unit, f64::from(face.ascender()) * unit);
    let size = width.max(top - bottom);
    let scale = side as f64 / size;
    let middle = (bottom + top) / 2.0;
    let base = Affine {
        dx: (size - width) / 2.0 * scale,
        dy: (size / 2.0 - middle) * scale,
        ..Affine::scale(scale * unit)
    };
    let mut layers = Layers {
        face,
        base,
        transforms: vec![],
        outline: Outline::default(),
        clips: vec![],
        pixels: vec![[0.0; 4]; side * side],
        left: LAYERS_MAX,
    };
    let black = RgbaColor::new(0, 0, 0, 255);
    face.paint_color_glyph(glyph, 0, black, &mut layers)?;
    let pixels: Vec<[f32; 4]> = layers.pixels.chunks_exact(side).rev().flatten().copied().collect();
    pixels.iter().any(|pixel| pixel[3] > 0.0).then_some(Picture { width: side, height: side, pixels })
}

struct Layers<'a> {
    face: &'a Face<'a>,
    /// From the font's units to pixels, y up.
    base: Affine,
    transforms: Vec<Affine>,
    outline: Outline,
    clips: Vec<Vec<f32>>,
    pixels: Vec<[f32; 4]>,
    left: usize,
}

impl Layers<'_> {
    fn transform(&self) -> Affine {
        self.transforms.last().copied().unwrap_or(self.base)
    }

    fn covered(&self) -> Option<Vec<f32>> {
        let polygon = Polygon::new(&self.outline.edges()?)?;
        let side = LAYERS_SIDE as f64;
        Some(polygon.coverage(Rect::new(0.0, 0.0, side, side), LAYERS_SIDE, LAYERS_SIDE, 4))
    }

    fn fill(&mut self, color: impl Fn(f64, f64) -> [f32; 4]) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let covered: f32 = self.clips.iter().map(|clip| clip[index]).product();
            if covered > 0.0 {
                let at = ((index % LAYERS_SIDE) as f64 + 0.5, (index / LAYERS_SIDE) as f64 + 0.5);
                let [r, g, b, a] = color(at.0, at.1);
                let a = a * covered;
                *pixel = [0, 1, 2, 3].map(|k| [r * a, g * a, b * a, a][k] + pixel[k] * (1.0 - a));
            }
        }
    }
}

fn parts(color: RgbaColor) -> [f32; 4] {
    [color.red, color.green, color.blue, color.alpha].map(|v| f32::from(v) / 255.0)
}

/// The colour of a gradient at `t`.
fn ramp(stops: &[(f32, [f32; 4])], t: f32) -> [f32; 4] {
    let Some(first) = stops.first() else { return [0.0; 4] };
    let mut before = *first;
    for stop in stops {
        if t < stop.0 {
            let span = stop.0 - before.0;
            let u = if span > 0.0 { ((t - before.0) / span).clamp(0.0, 1.0) } else { 0.0 };
            return [0, 1, 2, 3].map(|k| before.1[k] + u * (stop.1[k] - before.1[k]));
        }
        before = *stop;
    }
    before.1
}

impl<'a> Painter<'a> for Layers<'a> {
    fn outline_glyph(&mut self, glyph: GlyphId) {
        let mut builder = Builder::default();
        self.face.outline_glyph(glyph, &mut builder);
        self.outline = builder.outline;
        self.outline.transform(&self.transform());
    }

    fn paint(&mut self, paint: Paint<'a>) {
        let transform = self.transform();
        let at = |x: f32, y: f32| transform.apply([f64::from(x), f64::from(y)]);
        match paint {
            Paint::Solid(color) => self.fill(|_, _| parts(color)),
            Paint::LinearGradient(g) => {
                let stops: Vec<_> = g.stops(0, &[]).map(|s| (s.stop_offset, parts(s.color))).collect();
                let (p0, p1) = (at(g.x0, g.y0), at(g.x1, g.y1));
                let (dx, dy) = (p1[0] - p0[0], p1[1] - p0[1]);
                let size = (dx * dx + dy * dy).max(1e-9);
                self.fill(|x, y| ramp(&stops, (((x - p0[0]) * dx + (y - p0[1]) * dy) / size) as f32));
            }
            Paint::RadialGradient(g) => {
                // The two circles are taken to have one centre.
                let stops: Vec<_> = g.stops(0, &[]).map(|s| (s.stop_offset, parts(s.color))).collect();
                let center = at(g.x1, g.y1);
                let size = transform.a.hypot(transform.c);
                let (r0, r1) = (f64::from(g.r0) * size, f64::from(g.r1) * size);
                let span = if (r1 - r0).abs() > 1e-9 { r1 - r0 } else { 1e-9 };
                self.fill(|x, y| {
                    let r = (x - center[0]).hypot(y - center[1]);
                    ramp(&stops, ((r - r0) / span) as f32)
                });
            }
            Paint::SweepGradient(g) => {
                let stops: Vec<_> = g.stops(0, &[]).map(|s| (s.stop_offset, parts(s.color))).collect();
                let center = at(g.center_x, g.center_y);
                let (from, to) = (g.start_angle, g.end_angle);
                self.fill(|x, y| {
                    let turn = ((y - center[1]).atan2(x - center[0]) / std::f64::consts::PI) as f32;
                    let turn = if turn < 0.0 { turn + 2.0 } else { turn };
                    ramp(&stops, (turn - from) / (to - from).abs().max(1e-6))
                });
            }
        }
    }

    fn push_clip(&mut self) {
        let none = || vec![0.0; LAYERS_SIDE * LAYERS_SIDE];
        // Deeper than any font goes: shows nothing rather than growing.
        let covered = if self.clips.len() < 16 { self.covered() } else { None };
        self.clips.push(covered.unwrap_or_else(none));
    }

    fn push_clip_box(&mut self, clip: ClipBox) {
        let mut outline = Outline::default();
        outline.rect(Rect::new(clip.x_min.into(), clip.y_min.into(), clip.x_max.into(), clip.y_max.into()));
        outline.transform(&self.transform());
        self.outline = outline;
        self.push_clip();
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn push_layer(&mut self, _mode: CompositeMode) {}

    fn pop_layer(&mut self) {}

    fn push_transform(&mut self, t: ttf_parser::Transform) {
        let own = Affine {
            a: t.a.into(),
            b: t.c.into(),
            c: t.b.into(),
            d: t.d.into(),
            dx: t.e.into(),
            dy: t.f.into(),
        };
        let whole = self.transform().after(&own);
        self.transforms.push(whole);
    }

    fn pop_transform(&mut self) {
        self.transforms.pop();
    }
}
