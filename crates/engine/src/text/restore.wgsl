// SPDX-License-Identifier: AGPL-3.0-or-later
// After the glow of bright things has been laid over the picture: what brings its own colours gets them back.

#import bevy_core_pipeline::fullscreen_vertex_shader::FullscreenVertexOutput

// The picture before.
@group(0) @binding(0) var before: texture_2d<f32>;

@fragment
fn fragment(in: FullscreenVertexOutput) -> @location(0) vec4<f32> {
    let seen = textureLoad(before, vec2<i32>(in.position.xy), 0);
    return vec4(seen.rgb, 1.0 - clamp(seen.a, 0.0, 1.0));
}
