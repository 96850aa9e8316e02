// SPDX-License-Identifier: AGPL-3.0-or-later
//! The same content made by hand with the renderer, as one would who needs nothing else: no network, no scripts, no scene.

use crate::{Pictures, color, edge, place};
use bevy::{
    app::{PanicHandlerPlugin, PluginsState, SubApps, TerminalCtrlCHandlerPlugin},
    asset::RenderAssetUsages,
    camera::{Exposure, Hdr, RenderTarget},
    core_pipeline::tonemapping::{DebandDither, Tonemapping},
    light::{
        CascadeShadowConfigBuilder, DirectionalLightShadowMap, GlobalAmbientLight, ShadowFilteringMethod,
        Skybox,
    },
    log::LogPlugin,
    prelude::*,
    render::{
        RenderPlugin,
        pipelined_rendering::PipelinedRenderingPlugin,
        render_resource::{
            Extent3d, PollType, TextureDimension, TextureFormat, TextureViewDescriptor, TextureViewDimension,
        },
        renderer::RenderDevice,
    },
    window::ExitCondition,
    winit::WinitPlugin,
};

/// How the sun is turned.
pub(crate) const SUN: [f32; 4] = [-0.5, 0.0, 0.0, 0.866];

/// Boxes that all move.
pub(crate) struct Moving {
    apps: SubApps,
    things: Vec<Entity>,
}

impl Moving {
    pub(crate) fn new(count: usize, [width, height]: [u32; 2]) -> Moving {
        let mut app = App::new();
        app.add_plugins(
            DefaultPlugins
                .build()
                .set(RenderPlugin { synchronous_pipeline_compilation: true, ..default() })
                .set(WindowPlugin {
                    primary_window: None,
                    exit_condition: ExitCondition::DontExit,
                    ..default()
                })
                .disable::<LogPlugin>()
                .disable::<PanicHandlerPlugin>()
                .disable::<TerminalCtrlCHandlerPlugin>()
                .disable::<WinitPlugin>()
                .disable::<PipelinedRenderingPlugin>(),
        );
        while app.plugins_state() == PluginsState::Adding {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        app.finish();
        app.cleanup();
        let world = app.world_mut();
        world.insert_resource(DirectionalLightShadowMap { size: 1024 });
        world.insert_resource(GlobalAmbientLight { brightness: 0.0, ..default() });
        let target = Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None);
        let target = world.resource_mut::<Assets<Image>>().add(target);
        let [seen, diffuse_map, specular_map] = [(128, 1), (8, 1), (32, 6)]
            .map(|(size, levels)| world.resource_mut::<Assets<Image>>().add(cube(size, levels)));
        world.spawn((
            (Camera3d::default(), Hdr, Tonemapping::KhronosPbrNeutral, Exposure { ev100: 9.7 }),
            (Msaa::Off, ShadowFilteringMethod::Hardware2x2, DebandDither::Disabled),
            RenderTarget::Image(target.into()),
            Projection::Perspective(PerspectiveProjection {
                fov: 1.05,
                near: 0.05,
                far: 1000.0,
                ..default()
            }),
            Skybox { image: Some(seen), brightness: 900.0, ..default() },
            EnvironmentMapLight { diffuse_map, specular_map, intensity: 500.0, ..default() },
            Transform::from_xyz(0.0, 1.7, 6.0),
        ));
        let cascades = CascadeShadowConfigBuilder {
            num_cascades: 2,
            first_cascade_far_bound: 12.0,
            maximum_distance: 50.0,
            minimum_distance: 0.1,
            ..default()
        };
        world.spawn((
            DirectionalLight {
                color: Color::linear_rgb(1.0, 0.95, 0.85),
                illuminance: 5000.0,
                shadow_maps_enabled: true,
                ..default()
            },
            cascades.build(),
            Transform::from_xyz(0.0, 5.0, 0.0).with_rotation(Quat::from_array(SUN)),
        ));
        let mut meshes = world.resource_mut::<Assets<Mesh>>();
        let floor = meshes.add(Plane3d::default().mesh().size(30.0, 30.0));
        let cuboid = meshes.add(Cuboid::from_length(edge(count)));
        let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
        let plain = materials.add(StandardMaterial { perceptual_roughness: 1.0, ..default() });
        let painted: Vec<_> = (0..8)
            .map(|i| {
                let [red, green, blue, _] = color(i);
                let base_color = Color::linear_rgb(red, green, blue);
                materials.add(StandardMaterial { base_color, perceptual_roughness: 1.0, ..default() })
            })
            .collect();
        world.spawn((Mesh3d(floor), MeshMaterial3d(plain)));
        let things = (0..count)
            .map(|i| {
                let at = Transform::from_translation(place(i, count, 0).into());
                world.spawn((Mesh3d(cuboid.clone()), MeshMaterial3d(painted[i % 8].clone()), at)).id()
            })
            .collect();
        Moving { apps: std::mem::take(app.sub_apps_mut()), things }
    }
}

impl Pictures for Moving {
    fn picture(&mut self, number: usize) {
        let world = self.apps.main.world_mut();
        for (i, thing) in self.things.iter().enumerate() {
            if let Some(mut transform) = world.get_mut::<Transform>(*thing) {
                transform.translation = place(i, self.things.len(), number).into();
            }
        }
        self.apps.update();
        let device = self.apps.main.world().resource::<RenderDevice>();
        device.wgpu_device().poll(PollType::Wait { submission_index: None, timeout: None }).unwrap();
    }
}

/// An even map of all directions, of the same size and form as those of a sky.
fn cube(size: u32, levels: u32) -> Image {
    let texels: u32 = (0..levels).map(|level| (size >> level).max(1).pow(2)).sum();
    // 0.5 in half precision.
    let texel = [0x00, 0x38, 0x00, 0x38, 0x00, 0x38, 0x00, 0x3c];
    let mut image = Image::new_uninit(
        Extent3d { width: size, height: size, depth_or_array_layers: 6 },
        TextureDimension::D2,
        TextureFormat::Rgba16Float,
        RenderAssetUsages::RENDER_WORLD,
    );
    image.data = Some(texel.repeat(texels as usize * 6));
    image.texture_descriptor.mip_level_count = levels;
    image.texture_view_descriptor =
        Some(TextureViewDescriptor { dimension: Some(TextureViewDimension::Cube), ..default() });
    image
}
