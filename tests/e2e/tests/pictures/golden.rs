// SPDX-License-Identifier: AGPL-3.0-or-later
//! Golden pictures of what the programs show.
//!
//! Tolerance, as for the pictures of the engine: on average no channel may differ by more than [`MEAN_MAX`], and no more
//! than [`FAR_SHARE_MAX`] of the pixels by more than [`FAR`] in any channel. `HEARTH_BLESS=1` records; look at the pictures
//! before they are committed.

use hearth_e2e::{Area, LONG, differ, wait_until};
use image::{
    ImageEncoder as _, RgbaImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MEAN_MAX: f64 = 1.0;
const FAR: u8 = 24;
const FAR_SHARE_MAX: f32 = 0.005;
/// Most bytes of a picture that is kept.
const BYTES_MAX: u64 = 300_000;
/// For how long a picture that is recorded has stood still, and how many in a row: on a busy machine there are few.
const SETTLED: Duration = Duration::from_secs(5);
const ALIKE: u32 = 5;

/// A picture that is kept in the repository.
pub(crate) struct Golden {
    path: PathBuf,
}

impl Golden {
    /// By its path from the root of the repository.
    pub(crate) fn at(path: &str) -> Golden {
        Golden { path: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path) }
    }

    /// Hands on how a picture is judged to what waits for it; or, if pictures are recorded, takes one after the other, of
    /// which each is a new one, until they stand still, and keeps that.
    pub(crate) fn check(
        &self,
        mut take: impl FnMut() -> Option<RgbaImage>,
        wait: impl FnOnce(&dyn Fn(&RgbaImage) -> bool),
    ) {
        if std::env::var_os("HEARTH_BLESS").is_some_and(|value| value == "1") {
            let (mut last, mut since, mut alike) = (RgbaImage::new(1, 1), Instant::now(), 0);
            wait_until(&format!("`{}` stands still", self.path.display()), LONG, || {
                let picture = take()?;
                let is_same =
                    picture.dimensions() == last.dimensions() && mean_difference(&picture, &last) < 0.01;
                if is_same {
                    alike += 1;
                } else {
                    (last, since, alike) = (picture, Instant::now(), 0);
                }
                (alike >= ALIKE && since.elapsed() > SETTLED).then_some(())
            });
            fs::create_dir_all(self.path.parent().unwrap()).unwrap();
            let file = fs::File::create(&self.path).unwrap();
            let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
            encoder
                .write_image(last.as_raw(), last.width(), last.height(), image::ExtendedColorType::Rgba8)
                .unwrap();
        } else {
            let golden = match image::open(&self.path) {
                Ok(golden) => golden.to_rgba8(),
                Err(error) => panic!("{}: {error}; record it with HEARTH_BLESS=1", self.path.display()),
            };
            wait(&|picture| {
                assert_eq!(picture.dimensions(), golden.dimensions(), "{}", self.path.display());
                mean_difference(picture, &golden) <= MEAN_MAX
                    && differ(picture, &golden, Area::ALL, FAR) <= FAR_SHARE_MAX
            });
        }
        let len = fs::metadata(&self.path).unwrap().len();
        assert!(len <= BYTES_MAX, "`{}` has {len} bytes", self.path.display());
    }
}

fn mean_difference(one: &RgbaImage, other: &RgbaImage) -> f64 {
    let pairs = one.pixels().zip(other.pixels());
    let sum: u64 = pairs.map(|(a, b)| (0..3).map(|i| u64::from(a.0[i].abs_diff(b.0[i]))).sum::<u64>()).sum();
    sum as f64 / (f64::from(one.width()) * f64::from(one.height()) * 3.0)
}
