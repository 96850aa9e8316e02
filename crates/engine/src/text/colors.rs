// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals and text are shown in their own colours, whatever the exposure and the tone mapping.
//!
//! Where they are drawn the opacity of the picture becomes 0 (and a part of 1 where they cover a part),
//! which nothing else does. The tone mapping leaves such places as they are: its shader is replaced by
//! one that looks at the opacity. The glow of bright things is mixed into all of the picture, and is
//! taken back there.

use super::upload::Writes;
use bevy::{
    asset::{embedded_asset, io::embedded::EmbeddedAssetRegistry, load_embedded_asset},
    core_pipeline::{Core3d, Core3dSystems, FullscreenShader, tonemapping::tonemapping},
    post_process::bloom::{Bloom, bloom},
    prelude::*,
    render::{
        RenderApp, RenderStartup,
        camera::ExtractedCamera,
        render_resource::{
            BindGroupEntries, BindGroupLayoutDescriptor, BindGroupLayoutEntries, BlendComponent, BlendFactor,
            BlendOperation, BlendState, CachedRenderPipelineId, ColorTargetState, ColorWrites, FragmentState,
            LoadOp, Operations, PipelineCache, RenderPassColorAttachment, RenderPassDescriptor,
            RenderPipelineDescriptor, ShaderStages, StoreOp, TextureFormat, TextureSampleType,
            binding_types::texture_2d,
        },
        renderer::{RenderContext, ViewQuery},
        view::ViewTarget,
    },
};
use std::path::{Path, PathBuf};

/// Where the renderer keeps its shader.
const TONEMAPPING: &str = "bevy_core_pipeline/tonemapping/tonemapping.wgsl";

/// Puts the shaders in place.
pub(crate) fn build(app: &mut App) {
    let shaders = app.world().resource::<EmbeddedAssetRegistry>();
    shaders.insert_asset(
        PathBuf::new(),
        Path::new(TONEMAPPING),
        include_bytes!("tonemapping.wgsl").as_slice(),
    );
    embedded_asset!(app, "restore.wgsl");
    let Some(renderer) = app.get_sub_app_mut(RenderApp) else { return };
    renderer.add_systems(RenderStartup, start).add_systems(
        Core3d,
        (keep.before(bloom), restore.after(bloom).before(tonemapping)).in_set(Core3dSystems::PostProcess),
    );
}

/// How colours are brought back.
#[derive(Resource)]
struct Restoring {
    layout: BindGroupLayoutDescriptor,
    pipeline: CachedRenderPipelineId,
}

fn start(
    mut commands: Commands,
    pipelines: Res<PipelineCache>,
    assets: Res<AssetServer>,
    fullscreen: Res<FullscreenShader>,
) {
    let layout = BindGroupLayoutDescriptor::new(
        "colours before",
        &BindGroupLayoutEntries::sequential(
            ShaderStages::FRAGMENT,
            (texture_2d(TextureSampleType::Float { filterable: false }),),
        ),
    );
    let blend = BlendState {
        color: BlendComponent {
            src_factor: BlendFactor::SrcAlpha,
            dst_factor: BlendFactor::OneMinusSrcAlpha,
            operation: BlendOperation::Add,
        },
        alpha: BlendComponent::REPLACE,
    };
    let pipeline = pipelines.queue_render_pipeline(RenderPipelineDescriptor {
        label: Some("own colours".into()),
        layout: vec![layout.clone()],
        vertex: fullscreen.to_vertex_state(),
        fragment: Some(FragmentState {
            shader: load_embedded_asset!(assets.as_ref(), "restore.wgsl"),
            targets: vec![Some(ColorTargetState {
                format: TextureFormat::Rgba16Float,
                blend: Some(blend),
                write_mask: ColorWrites::COLOR,
            })],
            ..default()
        }),
        ..default()
    });
    commands.insert_resource(Restoring { layout, pipeline });
}

/// Goes on in the view's other texture, so that this one keeps what was before.
fn keep(
    view: ViewQuery<(&ExtractedCamera, &ViewTarget, &Bloom)>,
    writes: Res<Writes>,
    mut context: RenderContext,
) {
    let (camera, target, _) = view.into_inner();
    if !camera.hdr || !writes.in_use {
        return;
    }
    let step = target.post_process_write();
    context.command_encoder().copy_texture_to_texture(
        step.source_texture.as_image_copy(),
        step.destination_texture.as_image_copy(),
        step.source_texture.size(),
    );
}

fn restore(
    view: ViewQuery<(&ExtractedCamera, &ViewTarget, &Bloom)>,
    writes: Res<Writes>,
    restoring: Option<Res<Restoring>>,
    pipelines: Res<PipelineCache>,
    mut context: RenderContext,
) {
    let (camera, target, _) = view.into_inner();
    let Some(restoring) = restoring.filter(|_| camera.hdr && writes.in_use) else { return };
    let Some(pipeline) = pipelines.get_render_pipeline(restoring.pipeline) else { return };
    let before = context.render_device().create_bind_group(
        "colours before",
        &pipelines.get_bind_group_layout(&restoring.layout),
        &BindGroupEntries::sequential((target.main_texture_other_view(),)),
    );
    let mut pass = context.command_encoder().begin_render_pass(&RenderPassDescriptor {
        label: Some("own colours"),
        color_attachments: &[Some(RenderPassColorAttachment {
            view: target.main_texture_view(),
            depth_slice: None,
            resolve_target: None,
            ops: Operations { load: LoadOp::Load, store: StoreOp::Store },
        })],
        depth_stencil_attachment: None,
        timestamp_writes: None,
        occlusion_query_set: None,
        multiview_mask: None,
    });
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, &before, &[]);
    pass.draw(0..3, 0..1);
}
