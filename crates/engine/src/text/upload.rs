// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes to the graphics card for terminals and text: pieces of buffers and of the atlas, handed
//! to the renderer's world once for each picture and written there before it draws.

use bevy::{
    prelude::*,
    render::{
        MainWorld,
        render_resource::{
            Buffer, CommandEncoderDescriptor, Extent3d, Origin3d, TexelCopyBufferLayout,
            TexelCopyTextureInfo, Texture, TextureAspect,
        },
        renderer::{RenderDevice, RenderQueue},
    },
};
use std::{ops::Range, sync::Arc};

/// Something to be written, in order.
pub(crate) enum Write {
    /// Bytes of a buffer.
    Bytes { to: Buffer, offset: u64, bytes: Vec<u8> },
    /// Some of these cells, to the same places after an offset.
    Cells { to: Buffer, offset: u64, cells: Arc<Vec<[u32; 4]>>, ranges: Vec<Range<usize>> },
    /// A rectangle of four bytes a texel.
    Tile { to: Texture, layer: u32, at: [u32; 2], size: [u32; 2], texels: Vec<u8> },
    /// The first layers of one texture into a larger one.
    Layers { from: Texture, to: Texture, size: u32, layers: u32 },
}

/// What waits to be written. It is emptied before each picture, and what fills it is bounded: cells by
/// a number for each picture, tiles by what the atlas holds.
#[derive(Resource, Default)]
pub(crate) struct Writes {
    pub(crate) list: Vec<Write>,
    /// There is a terminal or writing to be drawn.
    pub(crate) in_use: bool,
}

/// Takes what waits into the renderer's world.
pub(crate) fn extract(mut main: ResMut<MainWorld>, mut writes: ResMut<Writes>) {
    if let Some(mut waiting) = main.get_resource_mut::<Writes>() {
        writes.list.append(&mut waiting.list);
        writes.in_use = waiting.in_use;
    }
}

/// Writes it.
pub(crate) fn write(mut writes: ResMut<Writes>, queue: Res<RenderQueue>, device: Res<RenderDevice>) {
    for write in writes.list.drain(..) {
        match write {
            Write::Bytes { to, offset, bytes } => queue.write_buffer(&to, offset, &bytes),
            Write::Cells { to, offset, cells, ranges } => {
                for range in ranges {
                    let start = offset + (range.start * size_of::<[u32; 4]>()) as u64;
                    if let Some(cells) = cells.get(range) {
                        queue.write_buffer(&to, start, bytemuck::cast_slice(cells));
                    }
                }
            }
            Write::Tile { to, layer, at: [x, y], size: [width, height], texels } => {
                queue.write_texture(
                    TexelCopyTextureInfo {
                        texture: &to,
                        mip_level: 0,
                        origin: Origin3d { x, y, z: layer },
                        aspect: TextureAspect::All,
                    },
                    &texels,
                    TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width * 4), rows_per_image: None },
                    Extent3d { width, height, depth_or_array_layers: 1 },
                );
            }
            Write::Layers { from, to, size, layers } => {
                let mut encoder = device
                    .create_command_encoder(&CommandEncoderDescriptor { label: Some("grow the atlas") });
                encoder.copy_texture_to_texture(
                    from.as_image_copy(),
                    to.as_image_copy(),
                    Extent3d { width: size, height: size, depth_or_array_layers: layers },
                );
                queue.submit([encoder.finish()]);
            }
        }
    }
}
