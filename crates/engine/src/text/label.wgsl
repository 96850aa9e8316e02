// SPDX-License-Identifier: AGPL-3.0-or-later
// Writing: a rectangle for each glyph, and one for the plate behind them. Lengths are em.

#import bevy_pbr::{
    mesh_functions,
    mesh_view_bindings::view,
    view_transformations::position_world_to_clip,
}
#import hearth::glyph::{Glyph, NOTHING, COLOR, CUT, table, width_along, between, inked, taps}

// Stands for the plate instead of a glyph.
const PLATE: u32 = 0xffffffffu;
// Pixels in an em at which signs begin to turn into mere shades, and at which they have.
const SHADES_BEGIN: f32 = 4.0;
const SHADES_ONLY: f32 = 2.0;

struct Colors {
    // Linear, with opacity.
    ink: vec4<f32>,
    plate: vec4<f32>,
};

@group(#{MATERIAL_BIND_GROUP}) @binding(2) var<uniform> colors: Colors;

struct Vertex {
    @builtin(instance_index) instance_index: u32,
    // A corner of the plate; of a glyph only about where it is.
    @location(0) position: vec3<f32>,
    // The pen, y up, and which corner: 0 or 1 to the right, 0 or 1 down.
    @location(1) pen: vec4<f32>,
    @location(2) glyph: u32,
};

struct Varying {
    @builtin(position) position: vec4<f32>,
    // From the pen, y down.
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) glyph: u32,
};

fn to_clip(world_from_local: mat4x4<f32>, at: vec2<f32>) -> vec4<f32> {
    let world = mesh_functions::mesh_position_local_to_world(world_from_local, vec4(at, 0.0, 1.0));
    return position_world_to_clip(world.xyz);
}

@vertex
fn vertex(in: Vertex) -> Varying {
    var out: Varying;
    let world_from_local = mesh_functions::get_world_from_local(in.instance_index);
    out.glyph = in.glyph;
    if (in.glyph == PLATE) {
        out.at = vec2(in.position.x, -in.position.y);
        out.position = to_clip(world_from_local, in.position.xy);
        return out;
    }
    let plane = table.glyphs[in.glyph].plane;
    if (table.glyphs[in.glyph].layer_and_kind >> 16u == NOTHING) {
        out.at = vec2(0.0);
        out.position = vec4(0.0, 0.0, 0.0, 1.0);
        return out;
    }
    // Half a pixel more on each side, so that what is smaller than a pixel still meets one.
    let pen = to_clip(world_from_local, in.pen.xy);
    let beside = to_clip(world_from_local, in.pen.xy + vec2(1.0, 0.0));
    let above = to_clip(world_from_local, in.pen.xy + vec2(0.0, 1.0));
    let screen = view.viewport.zw * 0.5;
    let em_x = length((beside.xy / max(beside.w, 1e-4) - pen.xy / max(pen.w, 1e-4)) * screen);
    let em_y = length((above.xy / max(above.w, 1e-4) - pen.xy / max(pen.w, 1e-4)) * screen);
    let more = min(0.75 / max(vec2(em_x, em_y), vec2(1e-3)), vec2(2.0));
    let corner = in.pen.zw;
    out.at = mix(plane.xy - more, plane.zw + more, corner);
    out.position = to_clip(world_from_local, in.pen.xy + vec2(out.at.x, -out.at.y));
    return out;
}

@fragment
fn fragment(in: Varying) -> @location(0) vec4<f32> {
    let whole_dx = dpdx(in.at);
    let whole_dy = dpdy(in.at);
    if (in.glyph == PLATE) {
        return vec4(colors.plate.rgb, 1.0) * colors.plate.a;
    }
    // From behind nothing is to be read, least of all mirrored.
    if (whole_dx.x * whole_dy.y - whole_dx.y * whole_dy.x < 0.0) {
        discard;
    }
    let reach = vec2(length(vec2(whole_dx.x, whole_dy.x)), length(vec2(whole_dx.y, whole_dy.y)));
    let shades = 1.0 - smoothstep(SHADES_ONLY, SHADES_BEGIN, 1.0 / max(max(reach.x, reach.y), 1e-6));
    var sum = vec4(0.0);
    if (shades < 1.0) {
        let count_x = taps(whole_dx);
        let count_y = taps(whole_dy);
        let dx = whole_dx / f32(count_x);
        let dy = whole_dy / f32(count_y);
        let is_cut = table.glyphs[in.glyph].layer_and_kind >> 16u == CUT;
        let cell = table.glyphs[in.glyph].ink;
        for (var j = 0u; j < count_y; j += 1u) {
            for (var i = 0u; i < count_x; i += 1u) {
                let x = (f32(i) + 0.5) / f32(count_x) - 0.5;
                let y = (f32(j) + 0.5) / f32(count_y) - 0.5;
                let at = in.at + whole_dx * x + whole_dy * y;
                // Beyond its cell the neighbour goes on with it.
                if (is_cut && (any(at < cell.xy) || any(at >= cell.zw))) {
                    continue;
                }
                sum += inked(table.glyphs[in.glyph], colors.ink.rgb, at, dx, dy);
            }
        }
        sum /= f32(count_x * count_y);
    }
    if (shades > 0.0) {
        let box = table.glyphs[in.glyph].ink;
        let mean = table.glyphs[in.glyph].mean;
        let is_color = table.glyphs[in.glyph].layer_and_kind >> 16u == COLOR;
        let met = between(box.x, box.z, in.at.x, width_along(vec2(1.0, 0.0), whole_dx, whole_dy))
            * between(box.y, box.w, in.at.y, width_along(vec2(0.0, 1.0), whole_dx, whole_dy));
        sum = mix(sum, select(vec4(colors.ink.rgb, 1.0) * mean.y, mean, is_color) * met, shades);
    }
    return sum * colors.ink.a;
}
