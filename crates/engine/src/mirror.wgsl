// SPDX-License-Identifier: AGPL-3.0-or-later
// The glass of a mirror: what the reflected eye sees at this place of the screen.

#import bevy_pbr::{
    forward_io::VertexOutput,
    mesh_view_bindings::view,
}

struct Look {
    // Linear, and 1 if there is a picture.
    color: vec4<f32>,
    // Whose picture it is.
    eye: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> look: Look;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var picture: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var picture_sampler: sampler;

// What is seen of a mirror without a picture.
const DARK: f32 = 0.02;

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
    let uv = (in.position.xy - view.viewport.xy) / view.viewport.zw;
    let seen = textureSampleLevel(picture, picture_sampler, uv, 0.0).rgb;
    let is_its_eye = distance(view.world_position, look.eye.xyz) < 0.01;
    let light = select(vec3<f32>(DARK), seen, look.color.a > 0.5 && is_its_eye);
    return vec4<f32>(light * look.color.rgb, 1.0);
}
