// SPDX-License-Identifier: AGPL-3.0-or-later
//! Draws a sheet of glyphs with the arithmetic of the shader: `specimen OUT.png`.

#![allow(clippy::print_stdout, reason = "a program for a person at a terminal")]

use hearth_glyph::{
    Cluster, Face, Glyph, Key, Kind, LayoutOptions, Metrics, Source, Style, cpu, layout, make,
};
use std::collections::HashMap;

const WIDTH: usize = 1600;
const HEIGHT: usize = 1060;
const PAPER: [f32; 3] = [0.012, 0.014, 0.018];

struct Sheet {
    source: Source,
    glyphs: HashMap<Key, Glyph>,
    pixels: Vec<[f32; 3]>,
}

impl Sheet {
    fn glyph(&mut self, key: Key) -> Glyph {
        self.glyphs.entry(key).or_insert_with(|| make(&self.source, &key)).clone()
    }

    /// Draws a glyph with its pen at (`x`, `y`) pixels from the upper left.
    fn draw(&mut self, key: Key, x: f32, y: f32, size: f32, ink: [f32; 3]) {
        let glyph = self.glyph(key);
        let cell = Metrics::mono();
        let width = if key.place == (hearth_glyph::Place::Cell { wide: true }) { 2.0 } else { 1.0 };
        let clip = [0.0, cell.descent, width * cell.cell_width, cell.ascent];
        let clip = glyph.clipped.then_some(clip);
        let footprint = cpu::Footprint::front(size);
        let b = glyph.bounds;
        let rows =
            (y - b.top * size).floor().max(0.0) as usize..=(y - b.bottom * size).ceil().max(0.0) as usize;
        for row in rows.clone() {
            for column in
                (x + b.left * size).floor().max(0.0) as usize..=(x + b.right * size).ceil().max(0.0) as usize
            {
                if row >= HEIGHT || column >= WIDTH {
                    continue;
                }
                let at = [(column as f32 + 0.5 - x) / size, (y - row as f32 - 0.5) / size];
                let pixel = &mut self.pixels[row * WIDTH + column];
                let (color, alpha) = if glyph.kind == Kind::Color {
                    // As the shader does: four taps, each in linear colour.
                    let mut sum = [0.0; 4];
                    for (dx, dy) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
                        let [r, g, b, a] = cpu::color(&glyph, [at[0] + dx / size, at[1] + dy / size]);
                        let part = [r.powf(2.2) * a, g.powf(2.2) * a, b.powf(2.2) * a, a];
                        sum.iter_mut().zip(part).for_each(|(sum, v)| *sum += v / 4.0);
                    }
                    let a = sum[3].max(1e-6);
                    ([sum[0] / a, sum[1] / a, sum[2] / a], sum[3])
                } else {
                    (ink, cpu::coverage_within(&glyph, at, &footprint, clip))
                };
                // Two cells that share a pixel each have a part of it: added, as the shader's taps are.
                for k in 0..3 {
                    pixel[k] += (color[k] - PAPER[k]) * alpha;
                }
            }
        }
    }

    /// Draws a line of a terminal from the left edge at `x` and the top at `y`; returns where the next begins.
    fn cells(&mut self, text: &str, x: f32, y: f32, size: f32, style: Style, ink: [f32; 3]) -> f32 {
        let cell = Metrics::mono();
        let mut column = 0.0;
        for character in text.chars() {
            let wide = !matches!(character, '\u{2500}'..='\u{27FF}')
                && unicode_width::UnicodeWidthChar::width(character) == Some(2);
            let key = Key::cell(character, "", style, wide);
            self.draw(key, x + column * cell.cell_width * size, y + cell.ascent * size, size, ink);
            column += if wide { 2.0 } else { 1.0 };
        }
        y + cell.line_height * size
    }

    fn text(&mut self, text: &str, x: f32, y: f32, size: f32, options: &LayoutOptions, ink: [f32; 3]) -> f32 {
        let lines = layout(text, options);
        for placed in &lines.glyphs {
            self.draw(placed.key, x + placed.x * size, y - placed.y * size, size, ink);
        }
        y + lines.bounds.height() * size
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args().nth(1).ok_or("say where to: specimen OUT.png")?;
    let mut sheet =
        Sheet { source: Source::with_system(), glyphs: HashMap::new(), pixels: vec![PAPER; WIDTH * HEIGHT] };
    let plain = Style::default();
    let bold = Style { bold: true, italic: false };
    let italic = Style { bold: false, italic: true };
    let (white, amber, green) = ([0.85, 0.87, 0.9], [0.9, 0.5, 0.1], [0.2, 0.75, 0.3]);
    let mut y = 10.0;
    for size in [6.0, 7.3, 9.0, 11.0, 13.7, 18.0, 24.0] {
        let line = format!(
            "{size:>4} fn main() {{ let x = &mut v[i..=j]; }} // The quick brown fox 0O1lI >= != -> @ äöüß Ωλ Жщ"
        );
        y = sheet.cells(&line, 10.0, y, size, plain, white);
    }
    y = sheet.cells("mWQ@gj&%", 10.0, y, 96.0, plain, white);
    for (style, ink) in
        [(plain, white), (bold, amber), (italic, green), (Style { bold: true, italic: true }, white)]
    {
        y = sheet.cells(
            "Regular, bold, italic: Hamburgefonstiv 0123456789 {}[]()",
            10.0,
            y,
            22.0,
            style,
            ink,
        );
    }
    for line in [
        "┌─┬─┐ ┏━┳━┓ ╔═╦═╗ ╓─╥─╖ ╒═╤═╕ ╭─┬─╮ ┍━┯━┑ ┎─┰─┒ ╲ ╱ ┄┄┄ ┅┅┅ ┈┈┈ ┉┉┉ ╌╌╌ ╍╍╍ ┆┇┊┋╎╏ ╴╵╶╷╸╹╺╻╼╽╾╿",
        "│ │ │ ┃ ┃ ┃ ║ ║ ║ ║ ║ ║ │ │ │ │ │ │ │ │ │ ┃ ┃ ┃  ╳  ┆┇┊┋╎╏ ▁▂▃▄▅▆▇█ ▏▎▍▌▋▊▉█ ▔▕ ▖▗▘▙▚▛▜▝▞▟ ▀▄▐▌",
        "├─┼─┤ ┣━╋━┫ ╠═╬═╣ ╟─╫─╢ ╞═╪═╡ ├─┼─┤ ┝━┿━┥ ┠─╂─┨ ╱ ╲ ██████░░░░░▒▒▒▒▒▓▓▓▓▓█████",
        "└─┴─┘ ┗━┻━┛ ╚═╩═╝ ╙─╨─╜ ╘═╧═╛ ╰─┴─╯ ┕━┷━┙ ┖─┸─┚     ██████░░░░░▒▒▒▒▒▓▓▓▓▓█████",
        "┞┟┡┢┦┧┩┪┭┮┱┲┵┶┹┺┽┾╀╁╃╄╅╆╇╈╉╊ ⠁⠂⠄⡀⠈⠐⠠⢀⣿⡿⢿⣻⣽⣾⣷⣯⣟ \u{1FB00}\u{1FB05}\u{1FB0A}\u{1FB13}\u{1FB14}\u{1FB1E}\u{1FB27}\u{1FB28}\u{1FB3B}",
        "\u{E0B0}\u{E0B1}\u{E0B2}\u{E0B3}\u{E0B4}\u{E0B5}\u{E0B6}\u{E0B7}\u{E0B8}\u{E0B9}\u{E0BA}\u{E0BB}\u{E0BC}\u{E0BD}\u{E0BE}\u{E0BF} ██\u{E0B0} \u{E0B2}██ \u{E0B6}██\u{E0B4} \u{E0BA}██\u{E0B8} \u{E0BE}██\u{E0BC}",
    ] {
        y = sheet.cells(line, 10.0, y, 25.7, plain, white);
    }
    let top = y + 6.0;
    for (x, size) in [(10.0, 7.3), (110.0, 11.0), (260.0, 13.7), (450.0, 41.3)] {
        y = top;
        for line in ["┌──┬──┐", "│██│▒▒│", "╞══╪══╡", "╰──┴──╯"]
        {
            y = sheet.cells(line, x, y, size, plain, white);
        }
    }
    sheet.cells("▛▀▜\u{E0B0}", 800.0, top, 60.0, plain, green);
    sheet.cells("▙▄▟\u{E0B4}", 800.0, top + 79.2, 60.0, plain, green);
    sheet.cells("╔╦╗", 1050.0, top, 60.0, plain, amber);
    sheet.cells("╚╩╝", 1050.0, top + 79.2, 60.0, plain, amber);
    sheet.cells("╭┲╮\u{E0B1}", 1250.0, top, 60.0, plain, amber);
    sheet.cells("╰┺╯\u{E0B5}", 1250.0, top + 79.2, 60.0, plain, amber);
    y += 4.0;
    y = sheet.cells(
        "漢字仮名 한글 😀🚀🎉❤ ✓✗★→⇒∀∃∑√∞≠≤ \u{F0000} \u{10FFFD} ñ e\u{301} Ελληνικά Русский ½ ☃ ⚠",
        10.0,
        y,
        25.0,
        plain,
        white,
    );
    for (column, cluster) in (0_u8..).zip(["x\u{301}", "M\u{308}", "q\u{323}", "a\u{20DD}"]) {
        let key = Key { cluster: Cluster::new(cluster), ..Key::cell('x', "", plain, false) };
        let x = 10.0 + 40.0 * f32::from(column);
        sheet.draw(key, x, y + 40.0, 40.0, white);
    }
    y += 60.0;
    let options = LayoutOptions { width_em: 26.0, ..LayoutOptions::default() };
    let prose = "A paragraph of the proportional face, wrapped at spaces: “Voilà, VAT To. Ty AV” — kerned, with a \
                 Straßenschild, Ωμέγα, Привет, and 漢字がある text.\n\tTabs\tand\tlines.";
    let start = y;
    y = sheet.text(prose, 10.0, y, 26.0, &options, white);
    let centered = LayoutOptions { align: hearth_glyph::Align::Center, style: bold, ..options };
    sheet.text("To the\nworkshop\n→ 12 m", 900.0, start, 40.0, &centered, amber);
    let right = LayoutOptions { align: hearth_glyph::Align::Right, style: italic, ..options };
    sheet.text("Slanted sans,\naligned right", 1500.0, start, 30.0, &right, green);
    let mono = LayoutOptions { face: Face::Mono, ..options };
    sheet.text("mono: ┌─┐\n      └─┘ ok", 1250.0, start + 90.0, 26.0, &mono, white);
    println!("{} glyphs, {y} rows", sheet.glyphs.len());

    // How long one glyph takes, in time of this thread's process.
    let characters: Vec<char> = ('!'..='~').chain('\u{A1}'..='\u{FF}').collect();
    let begin = std::time::Instant::now();
    for character in &characters {
        std::hint::black_box(make(&Source::bundled(), &Key::cell(*character, "", plain, false)));
    }
    println!("{:.2} ms a glyph of Latin-1", begin.elapsed().as_secs_f64() * 1e3 / characters.len() as f64);

    let byte = |v: f32| (v.clamp(0.0, 1.0).powf(1.0 / 2.2) * 255.0).round() as u8;
    let bytes: Vec<u8> = sheet.pixels.iter().flat_map(|pixel| pixel.map(byte)).collect();
    image::save_buffer(&out, &bytes, WIDTH as u32, HEIGHT as u32, image::ColorType::Rgb8)?;
    Ok(())
}
