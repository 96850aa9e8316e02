// SPDX-License-Identifier: AGPL-3.0-or-later
// From light to the colours of the screen, but for what brings its own colours. The renderer's own
// shader of this name with one thing more: where opacity is 0 the colour is shown as it is.

#define TONEMAPPING_PASS

#import bevy_render::{maths::powsafe, view::View}
#import bevy_core_pipeline::{
    fullscreen_vertex_shader::FullscreenVertexOutput,
    tonemapping::{screen_space_dither, tone_mapping},
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var light: texture_2d<f32>;
@group(0) @binding(2) var light_sampler: sampler;
@group(0) @binding(3) var dt_lut_texture: texture_3d<f32>;
@group(0) @binding(4) var dt_lut_sampler: sampler;

@fragment
fn fragment(in: FullscreenVertexOutput) -> @location(0) vec4<f32> {
    let seen = textureSample(light, light_sampler, in.uv);
    var mapped = tone_mapping(seen, view.color_grading).rgb;
#ifdef DEBAND_DITHER
    mapped = powsafe(powsafe(mapped, 1.0 / 2.2) + screen_space_dither(in.position.xy), 2.2);
#endif
    let own = clamp(seen.rgb, vec3(0.0), vec3(1.0));
    return vec4(mix(own, mapped, clamp(seen.a, 0.0, 1.0)), 1.0);
}
