// SPDX-License-Identifier: AGPL-3.0-or-later
//! The logo (`assets/logo.svg`) as pixels, for the window.

/// Width and height in pixels.
pub(crate) const SIZE: u32 = 64;

type Point = [f32; 2];

/// The flame and its heart: a start and cubic Bézier curves, in the 128 units of the drawing.
const FLAME: (Point, &[[Point; 3]]) = (
    [66.0, 22.0],
    &[
        [[69.0, 38.0], [92.0, 50.0], [92.0, 77.0]],
        [[92.0, 95.0], [80.0, 106.0], [64.0, 106.0]],
        [[48.0, 106.0], [36.0, 95.0], [36.0, 78.0]],
        [[36.0, 66.0], [42.0, 58.0], [48.0, 51.0]],
        [[49.0, 58.0], [52.0, 62.0], [56.0, 63.0]],
        [[53.0, 48.0], [57.0, 33.0], [66.0, 22.0]],
    ],
);
const HEART: (Point, &[[Point; 3]]) = (
    [66.0, 64.0],
    &[
        [[68.0, 73.0], [78.0, 78.0], [78.0, 89.0]],
        [[78.0, 98.0], [72.0, 103.0], [64.0, 103.0]],
        [[56.0, 103.0], [50.0, 97.0], [50.0, 89.0]],
        [[50.0, 83.0], [53.0, 79.0], [56.0, 75.0]],
        [[57.0, 79.0], [59.0, 81.0], [61.0, 81.0]],
        [[60.0, 75.0], [62.0, 69.0], [66.0, 64.0]],
    ],
);

/// The logo: rows of red, green, blue, opacity.
pub(crate) fn rgba() -> Vec<u8> {
    const SAMPLES: u32 = 4;
    let (flame, heart) = (outline(FLAME), outline(HEART));
    let mut out = Vec::with_capacity((SIZE * SIZE * 4) as usize);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let mut sum = [0.0f32; 4];
            for sample in 0..SAMPLES * SAMPLES {
                let offset = |i: u32| (i as f32 + 0.5) / SAMPLES as f32;
                let to_units = 128.0 / SIZE as f32;
                let at = [
                    (x as f32 + offset(sample % SAMPLES)) * to_units,
                    (y as f32 + offset(sample / SAMPLES)) * to_units,
                ];
                if let Some(color) = color(at, &flame, &heart) {
                    (0..3).for_each(|i| sum[i] += color[i]);
                    sum[3] += 1.0;
                }
            }
            let hits = sum[3].max(1.0);
            out.extend([0, 1, 2].map(|i| (sum[i] / hits) as u8));
            out.push((sum[3] * 255.0 / (SAMPLES * SAMPLES) as f32) as u8);
        }
    }
    out
}

fn color(at: Point, flame: &[Point], heart: &[Point]) -> Option<[f32; 3]> {
    let blend = |from: [f32; 3], to: [f32; 3], t: f32| {
        let t = t.clamp(0.0, 1.0);
        [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * t)
    };
    if inside(at, heart) {
        return Some([255.0, 233.0, 168.0]);
    }
    if inside(at, flame) {
        return Some(blend([255.0, 179.0, 71.0], [232.0, 80.0, 31.0], (at[1] - 22.0) / 84.0));
    }
    // The ring about (64, 63.3), open at the foot, with round ends.
    let from_middle = [at[0] - 64.0, at[1] - 63.3];
    let on_ring = (from_middle[0].hypot(from_middle[1]) - 52.0).abs() <= 6.0;
    let at_foot = from_middle[1] > 0.0 && from_middle[0].abs() < from_middle[1] * (21.5 / 47.3);
    let at_an_end = [42.5, 85.5].iter().any(|x| (at[0] - x).hypot(at[1] - 110.6) <= 6.0);
    (on_ring && !at_foot || at_an_end)
        .then(|| blend([139.0, 147.0, 161.0], [91.0, 100.0, 114.0], (at[1] - 11.0) / 100.0))
}

fn outline((start, curves): (Point, &[[Point; 3]])) -> Vec<Point> {
    const STEPS: u16 = 12;
    let mut points = vec![start];
    let mut from = start;
    for [a, b, to] in curves {
        for step in 1..=STEPS {
            let t = f32::from(step) / f32::from(STEPS);
            let s = 1.0 - t;
            points.push([0, 1].map(|i| {
                s * s * s * from[i] + 3.0 * s * s * t * a[i] + 3.0 * s * t * t * b[i] + t * t * t * to[i]
            }));
        }
        from = *to;
    }
    points
}

fn inside(at: Point, outline: &[Point]) -> bool {
    let ends = outline.iter().skip(1).chain(outline.first());
    let crossings = outline.iter().zip(ends).filter(|(a, b)| {
        (a[1] > at[1]) != (b[1] > at[1]) && at[0] < (b[0] - a[0]) * (at[1] - a[1]) / (b[1] - a[1]) + a[0]
    });
    crossings.count() % 2 == 1
}
