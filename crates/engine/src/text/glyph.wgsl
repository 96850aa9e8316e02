// SPDX-License-Identifier: AGPL-3.0-or-later
// Glyphs as the graphics card knows them: how much of a pixel, or of a part of one, a glyph covers.
//
// Lengths are em. Places are measured from the pen on the baseline, x to the right and y down. A
// footprint is the parallelogram that a pixel, or a tap within one, covers there: two vectors.

#define_import_path hearth::glyph

const NOTHING: u32 = 0u;
const FIELD: u32 = 1u;
const COLOR: u32 = 2u;
// A field that is cut off at its cell's edges, beyond which the neighbour goes on with it.
const CUT: u32 = 3u;

struct Glyph {
    // Left, top, right, bottom of the tile.
    plane: vec4<f32>,
    // The same without the padding.
    ink: vec4<f32>,
    // x and y in 16 bits each, width and height in 16 bits each: the tile in its layer, in texels.
    tile: vec2<u32>,
    // Layer, and the kind from bit 16.
    layer_and_kind: u32,
    // Of a coloured glyph: number of levels.
    levels: u32,
    // Of a coloured glyph its mean colour, premultiplied; else share of a cell that is covered, share
    // of the ink's rectangle that is covered, opacity.
    mean: vec4<f32>,
};

struct Table {
    // Cell width, cell height, baseline below the cell's top, margin.
    cell: vec4<f32>,
    // Middle of the underline and of the strikeout below the baseline, thickness of both.
    lines: vec4<f32>,
    // How far distances in the atlas reach, both sides of an outline together, in texels; texels in an em.
    units: vec4<f32>,
    // sRGB to linear.
    linear: array<f32, 256>,
    glyphs: array<Glyph>,
};

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<storage, read> table: Table;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var atlas: texture_2d_array<f32>;

// 0x00RRGGBB in sRGB as linear colour.
fn linear_color(color: u32) -> vec3<f32> {
    return vec3(
        table.linear[(color >> 16u) & 255u],
        table.linear[(color >> 8u) & 255u],
        table.linear[color & 255u],
    );
}

// The footprint's width along a direction of length 1.
fn width_along(direction: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
    return max(length(vec2(dot(direction, dx), dot(direction, dy))), 1e-6);
}

// The share of a footprint of this width about `at` that lies between two edges.
fn between(low: f32, high: f32, at: f32, width: f32) -> f32 {
    return clamp((high - at) / width + 0.5, 0.0, 1.0) - clamp((low - at) / width + 0.5, 0.0, 1.0);
}

fn median(v: vec3<f32>) -> f32 {
    return max(min(v.r, v.g), min(max(v.r, v.g), v.b));
}

// What the outline with these distances covers of a footprint.
fn field_coverage(glyph: Glyph, at: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
    let tile_size = vec2<i32>(vec2(glyph.tile.y & 0xffffu, glyph.tile.y >> 16u));
    let scale = vec2<f32>(tile_size) / (glyph.plane.zw - glyph.plane.xy);
    let texel = (at - glyph.plane.xy) * scale;
    if (any(texel < vec2(0.0)) || any(texel > vec2<f32>(tile_size))) {
        return 0.0;
    }
    let place = clamp(texel - 0.5, vec2(0.0), vec2<f32>(tile_size - 1));
    let base = min(vec2<i32>(place), max(tile_size - 2, vec2(0)));
    let part = place - vec2<f32>(base);
    let layer = i32(glyph.layer_and_kind & 0xffffu);
    let start = vec2<i32>(vec2(glyph.tile.x & 0xffffu, glyph.tile.x >> 16u)) + base;
    let a = textureLoad(atlas, start, layer, 0).rgb;
    let b = textureLoad(atlas, start + vec2(1, 0), layer, 0).rgb;
    let c = textureLoad(atlas, start + vec2(0, 1), layer, 0).rgb;
    let d = textureLoad(atlas, start + vec2(1, 1), layer, 0).rgb;
    let top = mix(a, b, part.x);
    let bottom = mix(c, d, part.x);
    let value = mix(top, bottom, part.y);
    let middle = median(value);
    // The slope of the channel that is the median here: the edge's normal.
    let along_x = mix(b - a, d - c, part.y);
    let along_y = bottom - top;
    var slope = vec2(along_x.b, along_y.b);
    if (middle == value.r) {
        slope = vec2(along_x.r, along_y.r);
    } else if (middle == value.g) {
        slope = vec2(along_x.g, along_y.g);
    }
    let steepness = length(slope);
    let normal = select(vec2(0.70710678), slope / steepness, steepness > 1e-4);
    let width = width_along(normal, dx * scale, dy * scale);
    return clamp((middle - 0.5) * table.units.x / width + 0.5, 0.0, 1.0);
}

fn decode(texel: vec4<f32>) -> vec4<f32> {
    let code = vec3<u32>(texel.rgb * 255.0 + 0.5);
    return vec4(table.linear[code.r], table.linear[code.g], table.linear[code.b], texel.a);
}

// Premultiplied linear colour of a level of a coloured glyph. Each level is half as large as the one
// to its left.
fn color_level(glyph: Glyph, unit: vec2<f32>, level: u32) -> vec4<f32> {
    let layer = i32(glyph.layer_and_kind & 0xffffu);
    var start = vec2<i32>(vec2(glyph.tile.x & 0xffffu, glyph.tile.x >> 16u));
    var size = vec2<i32>(vec2(glyph.tile.y & 0xffffu, glyph.tile.y >> 16u));
    for (var i = 0u; i < level; i += 1u) {
        start.x += size.x;
        size = max(size / 2, vec2(1));
    }
    let place = clamp(unit * vec2<f32>(size) - 0.5, vec2(0.0), vec2<f32>(size - 1));
    let base = min(vec2<i32>(place), max(size - 2, vec2(0)));
    let next = min(base + 1, size - 1);
    let part = place - vec2<f32>(base);
    let a = decode(textureLoad(atlas, start + base, layer, 0));
    let b = decode(textureLoad(atlas, start + vec2(next.x, base.y), layer, 0));
    let c = decode(textureLoad(atlas, start + vec2(base.x, next.y), layer, 0));
    let d = decode(textureLoad(atlas, start + next, layer, 0));
    return mix(mix(a, b, part.x), mix(c, d, part.x), part.y);
}

fn color_at(glyph: Glyph, at: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> vec4<f32> {
    let unit = (at - glyph.plane.xy) / (glyph.plane.zw - glyph.plane.xy);
    if (any(unit < vec2(0.0)) || any(unit > vec2(1.0))) {
        return vec4(0.0);
    }
    let scale = f32(glyph.tile.y & 0xffffu) / (glyph.plane.z - glyph.plane.x);
    let texels = max(max(length(dx), length(dy)) * scale, 1.0);
    let wanted = min(log2(texels), f32(glyph.levels) - 1.0);
    let level = u32(wanted);
    let fine = color_level(glyph, unit, level);
    if (level + 1u >= glyph.levels) {
        return fine;
    }
    return mix(fine, color_level(glyph, unit, level + 1u), fract(wanted));
}

// Premultiplied colour of a glyph in a footprint.
fn inked(glyph: Glyph, color: vec3<f32>, at: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> vec4<f32> {
    let kind = glyph.layer_and_kind >> 16u;
    if (kind == FIELD || kind == CUT) {
        return vec4(color, 1.0) * field_coverage(glyph, at, dx, dy) * glyph.mean.z;
    }
    if (kind == COLOR) {
        return color_at(glyph, at, dx, dy);
    }
    return vec4(0.0);
}

// Taps along a side of the pixel, so that distances in the atlas reach across each of them.
fn taps(side: vec2<f32>) -> u32 {
    return u32(clamp(ceil(length(side) * table.units.y / (table.units.x * 0.75)), 2.0, 4.0));
}

// One over the other, premultiplied.
fn over(top: vec4<f32>, below: vec4<f32>) -> vec4<f32> {
    return top + below * (1.0 - top.a);
}
