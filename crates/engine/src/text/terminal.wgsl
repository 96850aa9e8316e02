// SPDX-License-Identifier: AGPL-3.0-or-later
// A terminal: one rectangle, whose pixels look up what the cells under them hold.

#import bevy_pbr::{mesh_functions, view_transformations::position_world_to_clip}
#import hearth::glyph::{
    Glyph, NOTHING, FIELD, COLOR, table, linear_color, width_along, between, inked, taps, over,
}

struct Grid {
    columns: u32,
    rows: u32,
    background: u32,
    // Column, and row from bit 16.
    cursor: u32,
    // Shape; width in cells from bit 8.
    cursor_shape: u32,
    cursor_color: u32,
    unused: vec2<u32>,
    // Glyph and flags, colour, colour behind and flags, colour of the underline and its sort.
    cells: array<vec4<u32>>,
};

const GLYPH: u32 = 0xfffffu;
const SPACER: u32 = 0x1000000u;
const STRIKEOUT: u32 = 0x2000000u;
// Of the third number: the program has not coloured it.
const UNCOLORED: u32 = 0x1000000u;

const BLOCK: u32 = 1u;
const UNDERLINE: u32 = 2u;
const BAR: u32 = 3u;
const HOLLOW: u32 = 4u;

// Width of a cell in pixels at which signs begin to turn into mere shades, and at which they have.
const SHADES_BEGIN: f32 = 2.0;
const SHADES_ONLY: f32 = 1.0;

@group(#{MATERIAL_BIND_GROUP}) @binding(2) var<storage, read> grid: Grid;
// Opacity of what the program has not coloured.
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var<uniform> view: vec4<f32>;

struct Vertex {
    @builtin(instance_index) instance_index: u32,
    @location(0) position: vec3<f32>,
};

struct Varying {
    @builtin(position) position: vec4<f32>,
    // em from the grid's upper left corner, y down.
    @location(0) at: vec2<f32>,
};

@vertex
fn vertex(in: Vertex) -> Varying {
    var out: Varying;
    let world_from_local = mesh_functions::get_world_from_local(in.instance_index);
    let world = mesh_functions::mesh_position_local_to_world(world_from_local, vec4(in.position, 1.0));
    out.position = position_world_to_clip(world.xyz);
    let size = vec2(f32(grid.columns), f32(grid.rows)) * table.cell.xy;
    let unit = vec2(in.position.x + 0.5, 0.5 - in.position.y);
    out.at = unit * (size + 2.0 * table.cell.w) - table.cell.w;
    return out;
}

fn background(color: u32) -> vec4<f32> {
    let opacity = select(1.0, view.x, (color & UNCOLORED) != 0u);
    return vec4(linear_color(color), 1.0) * opacity;
}

// A tap of a cell's lines: underline and strikeout.
fn line_coverage(sort: u32, at: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
    let middle = table.lines.x;
    let thickness = table.lines.z;
    let half = thickness * 0.5;
    let width = width_along(vec2(0.0, 1.0), dx, dy);
    let cell_width = table.cell.x;
    switch sort {
        case 1u: {
            return between(middle - half, middle + half, at.y, width);
        }
        case 2u: {
            let low = middle + thickness * 1.75;
            return between(middle - half, middle + half, at.y, width) + between(low - half, low + half, at.y, width);
        }
        case 3u: {
            let turn = 6.2831853 / cell_width;
            let height = thickness * 1.2;
            let slope = height * turn * cos(at.x * turn);
            let normal = normalize(vec2(-slope, 1.0));
            let distance = (at.y - middle - thickness * 0.6 - height * sin(at.x * turn)) * normal.y;
            return between(-half, half, distance, width_along(normal, dx, dy));
        }
        case 4u, 5u: {
            let periods = select(2.0, max(round(cell_width / (thickness * 2.5)), 1.0), sort == 4u);
            let period = cell_width / periods;
            let on = period * select(0.6, 0.5, sort == 4u) * 0.5;
            let along = (fract(at.x / period) - 0.5) * period;
            let across = between(middle - half, middle + half, at.y, width);
            return across * between(-on, on, along, width_along(vec2(1.0, 0.0), dx, dy));
        }
        default: {
            return 0.0;
        }
    }
}

// What of the cursor a tap meets, the block apart; `at` from the upper left corner of its first cell.
fn cursor_coverage(at: vec2<f32>, dx: vec2<f32>, dy: vec2<f32>) -> f32 {
    let shape = grid.cursor_shape & 0xffu;
    let size = vec2(f32(grid.cursor_shape >> 8u), 1.0) * table.cell.xy;
    let thick = table.lines.z * 1.5;
    let across = width_along(vec2(1.0, 0.0), dx, dy);
    let down = width_along(vec2(0.0, 1.0), dx, dy);
    if (shape == UNDERLINE) {
        return between(size.y - thick, size.y + 1.0, at.y, down);
    }
    if (shape == BAR) {
        return between(-1.0, thick, at.x, across);
    }
    if (shape == HOLLOW) {
        let line = table.lines.z;
        let hole = between(line, size.x - line, at.x, across) * between(line, size.y - line, at.y, down);
        return 1.0 - hole;
    }
    return 0.0;
}

fn is_cursor(column: i32, row: i32) -> bool {
    let first = i32(grid.cursor & 0xffffu);
    return grid.cursor_shape != 0u && row == i32(grid.cursor >> 16u)
        && column >= first && column < first + i32(grid.cursor_shape >> 8u);
}

// The colour of a cell where its signs cannot be told: their mean over what is behind.
fn shade(at: vec2<f32>) -> vec4<f32> {
    let place = vec2<i32>(floor(at / table.cell.xy));
    if (any(place < vec2(0)) || place.x >= i32(grid.columns) || place.y >= i32(grid.rows)) {
        return vec4(linear_color(grid.background), 1.0) * view.x;
    }
    let index = u32(place.y) * grid.columns + u32(place.x);
    let cell = grid.cells[index];
    var holder = cell;
    if ((cell.x & SPACER) != 0u && place.x > 0) {
        holder = grid.cells[index - 1u];
    }
    var color = linear_color(cell.y);
    var behind = background(cell.z);
    if (is_cursor(place.x, place.y) && (grid.cursor_shape & 0xffu) == BLOCK) {
        color = linear_color(cell.z);
        behind = vec4(linear_color(grid.cursor_color), 1.0);
    }
    let id = holder.x & GLYPH;
    let kind = table.glyphs[id].layer_and_kind >> 16u;
    if (kind == NOTHING) {
        return behind;
    }
    let mean = table.glyphs[id].mean;
    if (kind == COLOR) {
        return over(mean, behind);
    }
    return over(vec4(color, 1.0) * mean.x, behind);
}

@fragment
fn fragment(in: Varying) -> @location(0) vec4<f32> {
    let whole_dx = dpdx(in.at);
    let whole_dy = dpdy(in.at);
    let size = vec2(f32(grid.columns), f32(grid.rows)) * table.cell.xy;
    // From behind nothing is to be read, least of all mirrored.
    if (whole_dx.x * whole_dy.y - whole_dx.y * whole_dy.x < 0.0) {
        return vec4(linear_color(grid.background), 1.0) * view.x;
    }
    let cell_size = table.cell.xy;
    // Pixels across a cell, the worse of the two ways.
    let reach = vec2(length(vec2(whole_dx.x, whole_dy.x)), length(vec2(whole_dx.y, whole_dy.y)));
    let pixels = min(cell_size.x / max(reach.x, 1e-6), 2.0 * cell_size.y / max(reach.y, 1e-6));
    let shades = 1.0 - smoothstep(SHADES_ONLY, SHADES_BEGIN, pixels);

    if (shades >= 1.0) {
        let cells_x = max(abs(whole_dx.x) / cell_size.x, abs(whole_dx.y) / cell_size.y);
        let cells_y = max(abs(whole_dy.x) / cell_size.x, abs(whole_dy.y) / cell_size.y);
        let count_x = u32(clamp(ceil(cells_x * 1.5), 2.0, 8.0));
        let count_y = u32(clamp(ceil(cells_y * 1.5), 2.0, 8.0));
        var sum = vec4(0.0);
        for (var j = 0u; j < count_y; j += 1u) {
            for (var i = 0u; i < count_x; i += 1u) {
                let x = (f32(i) + 0.5) / f32(count_x) - 0.5;
                let y = (f32(j) + 0.5) / f32(count_y) - 0.5;
                sum += shade(in.at + whole_dx * x + whole_dy * y);
            }
        }
        return sum / f32(count_x * count_y);
    }

    let count_x = taps(whole_dx);
    let count_y = taps(whole_dy);
    let dx = whole_dx / f32(count_x);
    let dy = whole_dy / f32(count_y);
    let half_reach = 0.5 * reach.x / f32(min(count_x, count_y));
    let margin = vec4(linear_color(grid.background), 1.0) * view.x;

    // Taps of one pixel mostly lie in one cell: what is known of it is kept from tap to tap.
    var known = vec2(-1);
    var cell = vec4(0u);
    var left = vec4(0u);
    var right = vec4(0u);
    var id = 0u;
    var shift = 0.0;
    var color = vec3(0.0);
    var behind = vec4(0.0);
    var is_under_cursor = false;
    var sum = vec4(0.0);
    for (var j = 0u; j < count_y; j += 1u) {
        for (var i = 0u; i < count_x; i += 1u) {
            let x = (f32(i) + 0.5) / f32(count_x) - 0.5;
            let y = (f32(j) + 0.5) / f32(count_y) - 0.5;
            let at = in.at + whole_dx * x + whole_dy * y;
            if (any(at < vec2(0.0)) || any(at >= size)) {
                sum += margin;
                continue;
            }
            let place = min(vec2<i32>(at / cell_size), vec2(i32(grid.columns), i32(grid.rows)) - 1);
            if (any(place != known)) {
                known = place;
                let index = u32(place.y) * grid.columns + u32(place.x);
                cell = grid.cells[index];
                left = vec4(0u);
                right = vec4(0u);
                if (place.x > 0) {
                    left = grid.cells[index - 1u];
                }
                if (place.x + 1 < i32(grid.columns)) {
                    right = grid.cells[index + 1u];
                }
                id = cell.x & GLYPH;
                shift = 0.0;
                color = linear_color(cell.y);
                behind = background(cell.z);
                if ((cell.x & SPACER) != 0u) {
                    id = left.x & GLYPH;
                    color = linear_color(left.y);
                    shift = cell_size.x;
                    left = vec4(0u);
                }
                is_under_cursor = is_cursor(place.x, place.y);
                if (is_under_cursor && (grid.cursor_shape & 0xffu) == BLOCK) {
                    color = linear_color(cell.z);
                    behind = vec4(linear_color(grid.cursor_color), 1.0);
                }
            }
            let in_cell = at - vec2<f32>(place) * cell_size;
            // From the pen on the baseline.
            let from_pen = in_cell - vec2(0.0, table.cell.z);
            var tap = behind;
            let sort = cell.w >> 24u;
            if (sort != 0u) {
                let line = min(line_coverage(sort, from_pen, dx, dy), 1.0);
                tap = over(vec4(linear_color(cell.w), 1.0) * line, tap);
            }
            let left_id = left.x & GLYPH;
            if (left_id != 0u && (left.x & SPACER) == 0u) {
                let at_left = from_pen + vec2(cell_size.x, 0.0);
                if (table.glyphs[left_id].layer_and_kind >> 16u == FIELD
                    && at_left.x < table.glyphs[left_id].ink.z + half_reach) {
                    tap = over(inked(table.glyphs[left_id], linear_color(left.y), at_left, dx, dy), tap);
                }
            }
            if (id != 0u) {
                let kind = table.glyphs[id].layer_and_kind >> 16u;
                if (kind != NOTHING) {
                    var seen = inked(table.glyphs[id], color, from_pen + vec2(shift, 0.0), dx, dy);
                    if (shades > 0.0) {
                        let mean = table.glyphs[id].mean;
                        seen = mix(seen, select(vec4(color, 1.0) * mean.x, mean, kind == COLOR), shades);
                    }
                    tap = over(seen, tap);
                }
            }
            let right_id = right.x & GLYPH;
            if (right_id != 0u && (right.x & SPACER) == 0u) {
                let at_right = from_pen - vec2(cell_size.x, 0.0);
                if (table.glyphs[right_id].layer_and_kind >> 16u == FIELD
                    && at_right.x > table.glyphs[right_id].ink.x - half_reach) {
                    tap = over(inked(table.glyphs[right_id], linear_color(right.y), at_right, dx, dy), tap);
                }
            }
            if ((cell.x & STRIKEOUT) != 0u) {
                let half = table.lines.z * 0.5;
                let line = between(table.lines.y - half, table.lines.y + half, from_pen.y, width_along(vec2(0.0, 1.0), dx, dy));
                tap = over(vec4(color, 1.0) * line, tap);
            }
            if (is_under_cursor) {
                let from_cursor = vec2(in_cell.x + f32(place.x - i32(grid.cursor & 0xffffu)) * cell_size.x, in_cell.y);
                tap = over(vec4(linear_color(grid.cursor_color), 1.0) * cursor_coverage(from_cursor, dx, dy), tap);
            }
            sum += tap;
        }
    }
    return sum / f32(count_x * count_y);
}
