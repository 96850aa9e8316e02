// SPDX-License-Identifier: AGPL-3.0-or-later
//! Looks for an adapter before the renderer does, because the renderer panics if there is none.

use crate::{EngineError, Quality};
use bevy::tasks::block_on;
use wgpu::{DeviceType, Instance, InstanceDescriptor, RequestAdapterOptions};

/// Textures as large as are allowed must fit.
const TEXTURE_SIZE_LEAST: u32 = crate::assets::texture::SIZE_MAX;

/// Which adapter the renderer will find, and how much to ask of it.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) quality: Quality,
}

/// Asks for an adapter in the way the renderer will.
pub(crate) fn find(backends: wgpu::Backends) -> Result<Found, EngineError> {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    let instance = Instance::new(descriptor);
    let adapter = block_on(instance.request_adapter(&RequestAdapterOptions::default())).map_err(|error| {
        tracing::debug!(%error, "no adapter");
        EngineError::NoAdapter
    })?;
    let info = adapter.get_info();
    let limits = adapter.limits();
    if limits.max_texture_dimension_2d < TEXTURE_SIZE_LEAST {
        return Err(EngineError::Adapter {
            adapter: info.name,
            reason: format!("it takes textures of at most {} pixels", limits.max_texture_dimension_2d),
        });
    }
    let quality = if info.device_type == DeviceType::Cpu { Quality::Low } else { Quality::High };
    tracing::info!(adapter = %info.name, driver = %info.driver_info, ?quality, "renderer");
    Ok(Found { name: info.name, quality })
}
