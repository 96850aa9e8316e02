// SPDX-License-Identifier: AGPL-3.0-or-later
//! Assets on their way to the graphics card: a bounded number of bytes before each picture, so that a large one holds up
//! none. Meshes were cut into pieces when they were decoded; pictures of more than [`BYTES_MAX`] are made empty, and their
//! rows follow.

use bevy::{
    prelude::*,
    render::{
        render_asset::RenderAssets,
        render_resource::{
            Extent3d, Origin3d, TexelCopyBufferLayout, TexelCopyTextureInfo, TextureAspect, TextureUsages,
        },
        renderer::RenderQueue,
        texture::GpuImage,
    },
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

/// Bytes that are given to the renderer before one picture, and more only if one piece has more.
pub(crate) const BYTES_MAX: usize = 8 << 20;
/// Bytes of one piece of a picture, if a row has not more.
const PIECE_BYTES: usize = 1 << 20;

/// How far a picture has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// Pieces that are not there yet.
    left: AtomicUsize,
    /// Nobody wants it any more.
    given_up: AtomicBool,
}

/// Rows of a picture.
struct Rows {
    /// Held, so that there is something to write to.
    image: Handle<Image>,
    level: u32,
    layer: u32,
    /// In texels.
    y: u32,
    size: [u32; 2],
    bytes_per_row: u32,
    data: Arc<Vec<u8>>,
    range: Range<usize>,
    progress: Arc<Progress>,
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.progress.left.fetch_sub(1, Relaxed);
    }
}

/// Rows that wait, in order. There are no more than the pictures in memory have, which is bounded.
#[derive(Resource, Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<VecDeque<Rows>>>);

impl Uploads {
    /// Forgets all that waits: what it was for is gone with the graphics card.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.0.lock());
        drop(gone);
    }

    /// Makes an empty picture, and has its rows follow.
    fn begin(&self, mut image: Image, images: &mut Assets<Image>) -> (Handle<Image>, Arc<Progress>) {
        let data = Arc::new(image.data.take().unwrap_or_default());
        image.texture_descriptor.usage |= TextureUsages::COPY_DST;
        let descriptor = image.texture_descriptor.clone();
        let handle = images.add(image);
        let progress = Arc::new(Progress::default());
        let (block_width, block_height) = descriptor.format.block_dimensions();
        let Some(block_bytes) = descriptor.format.block_copy_size(None) else { return (handle, progress) };
        let mut rows = Vec::new();
        let mut at = 0;
        // As the renderer wants them: of each layer all levels.
        for layer in 0..descriptor.size.depth_or_array_layers {
            for level in 0..descriptor.mip_level_count {
                let [width, height] =
                    [descriptor.size.width, descriptor.size.height].map(|edge| (edge >> level).max(1));
                let bytes_per_row = width.div_ceil(block_width) * block_bytes;
                let lines = height.div_ceil(block_height);
                let at_once = (PIECE_BYTES as u32 / bytes_per_row).max(1);
                for first in (0..lines).step_by(at_once as usize) {
                    let count = at_once.min(lines - first);
                    let len = (count * bytes_per_row) as usize;
                    // What is cut off was refused when it was decoded.
                    if at + len > data.len() {
                        break;
                    }
                    rows.push(Rows {
                        image: handle.clone(),
                        level,
                        layer,
                        y: first * block_height,
                        // In whole blocks, as copies are.
                        size: [width.next_multiple_of(block_width), count * block_height],
                        bytes_per_row,
                        data: data.clone(),
                        range: at..at + len,
                        progress: progress.clone(),
                    });
                    at += len;
                }
            }
        }
        progress.left.store(rows.len(), Relaxed);
        self.0.lock().extend(rows);
        (handle, progress)
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Writes what may be written before this picture, to textures that are there.
pub(crate) fn write(uploads: Res<Uploads>, images: Res<RenderAssets<GpuImage>>, queue: Res<RenderQueue>) {
    let mut left = BYTES_MAX;
    loop {
        let mut waiting = uploads.0.lock();
        let Some(rows) = waiting.front() else { return };
        let given_up = rows.progress.given_up.load(Relaxed);
        let image = images.get(&rows.image);
        // It is made in this picture or the next.
        if !given_up && (image.is_none() || rows.range.len() > left) && left != BYTES_MAX {
            return;
        }
        if !given_up && image.is_none() {
            return;
        }
        let Some(rows) = waiting.pop_front() else { return };
        drop(waiting);
        left = left.saturating_sub(rows.range.len());
        if given_up {
            continue;
        }
        let (Some(image), Some(bytes)) = (image, rows.data.get(rows.range.clone())) else { continue };
        queue.write_texture(
            TexelCopyTextureInfo {
                texture: &image.texture,
                mip_level: rows.level,
                origin: Origin3d { x: 0, y: rows.y, z: rows.layer },
                aspect: TextureAspect::All,
            },
            bytes,
            TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(rows.bytes_per_row),
                rows_per_image: None,
            },
            Extent3d { width: rows.size[0], height: rows.size[1], depth_or_array_layers: 1 },
        );
    }
}

/// What may still be given before this picture.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn new(uploads: &Uploads) -> Budget {
        // Rows come first: else a picture would wait for all meshes.
        Budget { left: if uploads.is_empty() { BYTES_MAX } else { 0 } }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left || self.left == BYTES_MAX;
        if fits {
            self.left = self.left.saturating_sub(bytes);
        }
        fits
    }
}

/// Meshes and pictures of one asset on their way.
pub(crate) struct Giving {
    images: VecDeque<Image>,
    meshes: VecDeque<Mesh>,
    pub(crate) given_images: Vec<Handle<Image>>,
    pub(crate) given_meshes: Vec<Handle<Mesh>>,
    progress: Vec<Arc<Progress>>,
}

impl Giving {
    pub(crate) fn new(images: Vec<Image>, meshes: Vec<Mesh>) -> Giving {
        Giving {
            given_images: Vec::with_capacity(images.len()),
            given_meshes: Vec::with_capacity(meshes.len()),
            images: images.into(),
            meshes: meshes.into(),
            progress: Vec::new(),
        }
    }

    /// Gives what may be given. Whether all is there.
    pub(crate) fn advance(
        &mut self,
        budget: &mut Budget,
        uploads: &Uploads,
        images: &mut Assets<Image>,
        meshes: &mut Assets<Mesh>,
    ) -> bool {
        while let Some(image) = self.images.front() {
            let bytes = image.data.as_ref().map_or(0, Vec::len);
            let in_rows = bytes > BYTES_MAX;
            if !budget.spend(if in_rows { 0 } else { bytes }) {
                return false;
            }
            let Some(image) = self.images.pop_front() else { break };
            let handle = if in_rows {
                let (handle, progress) = uploads.begin(image, images);
                self.progress.push(progress);
                handle
            } else {
                images.add(image)
            };
            self.given_images.push(handle);
        }
        while let Some(mesh) = self.meshes.front() {
            let bytes = mesh.get_vertex_buffer_size() + mesh.get_index_buffer_bytes().map_or(0, <[u8]>::len);
            if !budget.spend(bytes) {
                return false;
            }
            let Some(mesh) = self.meshes.pop_front() else { break };
            self.given_meshes.push(meshes.add(mesh));
        }
        self.progress.iter().all(|progress| progress.left.load(Relaxed) == 0)
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.progress.iter().for_each(|progress| progress.given_up.store(true, Relaxed));
    }
}
