// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures, and what is in them.

use crate::Peer;
use image::RgbaImage;
use std::path::Path;

/// A part of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Left edge, as part of the width.
    pub left: f32,
    /// Upper edge, as part of the height.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

impl Area {
    /// The whole picture.
    pub const ALL: Area = Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };

    fn pixels(self, picture: &RgbaImage) -> impl Iterator<Item = [u8; 3]> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let columns = (self.left * width) as u32..(self.right * width) as u32;
        let rows = (self.top * height) as u32..(self.bottom * height) as u32;
        rows.flat_map(move |y| columns.clone().map(move |x| (x, y))).map(|(x, y)| {
            let [red, green, blue, _] = picture.get_pixel(x, y).0;
            [red, green, blue]
        })
    }
}

/// What a client shows now, kept as a file.
///
/// # Panics
/// It shows nothing.
#[track_caller]
pub fn screenshot(client: &Peer, file: &Path) -> RgbaImage {
    client.ok(&["screenshot".as_ref(), file.as_os_str()]);
    image::open(file).unwrap().to_rgba8()
}

/// The mean colour.
pub fn mean(picture: &RgbaImage, area: Area) -> [f32; 3] {
    let mut sum = [0.0; 3];
    let mut count = 0.0_f32;
    for pixel in area.pixels(picture) {
        (0..3).for_each(|channel| sum[channel] += f32::from(pixel[channel]));
        count += 1.0;
    }
    sum.map(|sum| sum / count.max(1.0))
}

/// The part of the pixels that are so.
pub fn count(picture: &RgbaImage, area: Area, is_so: impl Fn([u8; 3]) -> bool) -> f32 {
    let (mut so, mut all) = (0, 0);
    for pixel in area.pixels(picture) {
        all += 1;
        so += i32::from(is_so(pixel));
    }
    so as f32 / (all as f32).max(1.0)
}

/// The part of the pixels of an area of which a channel differs by more than this.
pub fn differ(one: &RgbaImage, other: &RgbaImage, area: Area, most: u8) -> f32 {
    let pairs = area.pixels(one).zip(area.pixels(other));
    let (mut different, mut all) = (0, 0);
    for (one, other) in pairs {
        all += 1;
        different += i32::from(!near(one, other, most));
    }
    different as f32 / (all as f32).max(1.0)
}

/// Whether two colours differ in no channel by more than this.
pub fn near(one: [u8; 3], other: [u8; 3], most: u8) -> bool {
    (0..3).all(|channel| one[channel].abs_diff(other[channel]) <= most)
}
