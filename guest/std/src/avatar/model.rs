// SPDX-License-Identifier: AGPL-3.0-or-later
//! What there is to know of a glTF file before somebody wears it: which of its clips are for what, how high it is, and which
//! node is its head. The engine decides whether the file is sound; here what is not understood is left out.

pub(super) mod glb;

mod file;

use file::{File, Node};
use hearth_sdk::prelude::*;

/// Longest description that is read, alone and with its buffers as text: those of large rigs are a tenth of that, and
/// the memory of a script is bounded.
const JSON_LEN_MAX: usize = 4 << 20;
const TEXT_LEN_MAX: usize = 8 << 20;
/// How long a model may take to arrive.
const WAIT: Duration = Duration::from_secs(60);
/// Nodes are at most so far below each other.
const DEPTH_MAX: usize = 64;

/// What a figure does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Idle,
    Walk,
    Run,
    Jump,
    Fly,
}

/// What those who make models call it, the usual first.
const NAMES: [(Deed, &[&str]); 5] = [
    (Deed::Idle, &["idle", "idling", "survey", "stand", "standing", "breathe", "breathing", "rest", "wait"]),
    (Deed::Walk, &["walk", "walking", "walkcycle", "stroll", "strut"]),
    (Deed::Run, &["run", "running", "runcycle", "jog", "jogging", "sprint", "gallop", "trot"]),
    (Deed::Jump, &["jump", "jumping", "leap", "hop", "fall", "falling"]),
    (Deed::Fly, &["fly", "flying", "hover", "hovering", "float", "floating", "swim", "swimming", "glide"]),
];

/// A model, and what is known of it.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Rig {
    /// The number of the clip for each [`Deed`].
    pub(super) clips: [Option<u32>; 5],
    /// Its lowest and highest point, if it tells.
    pub(super) extent: Option<[f32; 2]>,
    /// The name of its head, and how that is turned in the model.
    pub(super) head: Option<(String, Quat)>,
}

/// A matrix by columns.
type Matrix = [[f32; 4]; 4];

const IDENTITY: Matrix =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|column| {
        std::array::from_fn(|row| (0..4).map(|k| a[k][row] * b[column][k]).sum::<f32>())
    })
}

fn height_of(m: &Matrix, [x, y, z]: [f32; 3]) -> f32 {
    m[0][1] * x + m[1][1] * y + m[2][1] * z + m[3][1]
}

impl Rig {
    /// Reads as much of the lump as is needed.
    pub(super) async fn of(lump: LumpId) -> Result<Rig, Error> {
        let lump = Lump(lump);
        let malformed = |what: &str| Error::new(Errno::Malformed, what);
        let size = lump.size(WAIT).await?;
        let head = lump.read_at(0, 20, WAIT).await?;
        if !head.starts_with(b"glTF") {
            let text = lump.read(TEXT_LEN_MAX, WAIT).await?;
            let file = serde_json::from_slice(&text).map_err(|error| malformed(&error.to_string()))?;
            return Ok(Rig::read(&file, &[]));
        }
        let Some(length) = head.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
        else {
            return Err(malformed("the model ends in its header"));
        };
        let end = 20 + u64::from(length);
        if length as usize > JSON_LEN_MAX || end > size {
            return Err(malformed("the model's description is too long"));
        }
        let mut text = Vec::new();
        while (text.len() as u64) < u64::from(length) {
            let piece = lump.read_at(20 + text.len() as u64, length - text.len() as u32, WAIT).await?;
            if piece.is_empty() {
                return Err(malformed("the model ends in its description"));
            }
            text.extend_from_slice(&piece);
        }
        let file: File = serde_json::from_slice(&text).map_err(|error| malformed(&error.to_string()))?;
        let mut binds = Vec::new();
        for (skin, offset) in bind_offsets(&file) {
            if binds.len() < 64 {
                let bytes = lump.read_at(end + 8 + offset, 64, WAIT).await?;
                binds.extend(matrix_in(&bytes).map(|matrix| (skin, matrix)));
            }
        }
        Ok(Rig::read(&file, &binds))
    }

    /// What the description says; with the inverse bind matrix of the first joint of skins.
    fn read(file: &File, binds: &[(usize, Matrix)]) -> Rig {
        let names: Vec<&str> = file.animations.iter().map(|clip| &*clip.name).collect();
        let places = places(file);
        Rig { clips: picked(&names), extent: extent(file, &places, binds), head: head(file, &places) }
    }

    /// The clip for a deed, or the next best; `None` if the model glides.
    pub(super) fn clip(&self, deed: Deed) -> Option<u32> {
        let of = |deed: Deed| self.clips[deed as usize];
        match deed {
            Deed::Idle => of(Deed::Idle),
            Deed::Walk => of(Deed::Walk).or(of(Deed::Run)),
            Deed::Run => of(Deed::Run).or(of(Deed::Walk)),
            Deed::Jump => of(Deed::Jump).or(of(Deed::Idle)),
            Deed::Fly => of(Deed::Fly).or(of(Deed::Idle)),
        }
    }
}

/// The words of a name, in small letters: `Armature|FastRun.001` is armature, fast, run.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_alphabetic() {
            let begins = !before.is_alphabetic() || (before.is_lowercase() && letter.is_uppercase());
            if begins {
                words.push(String::new());
            }
            words.last_mut().into_iter().for_each(|word| word.extend(letter.to_lowercase()));
        }
        before = letter;
    }
    words
}

/// Which of the clips of these names are for what.
fn picked(names: &[&str]) -> [Option<u32>; 5] {
    let words: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
    let mut clips = NAMES.map(|(_, wanted)| {
        let rank = |words: &Vec<String>| {
            // The exporter's prefixes come first and the deed last: of more words another one may be meant.
            let best = words.iter().filter_map(|word| wanted.iter().position(|name| name == word)).min()?;
            Some((words.len(), best))
        };
        let ranked = words.iter().enumerate().filter_map(|(clip, words)| Some((rank(words)?, clip)));
        ranked.min().and_then(|(_, clip)| u32::try_from(clip).ok())
    });
    if clips.iter().all(Option::is_none) && !names.is_empty() {
        // What it does it does all the time.
        clips[Deed::Idle as usize] = Some(0);
    }
    clips
}

fn own_place(node: &Node) -> (Matrix, Quat) {
    if let Some(all) = node.matrix {
        let matrix: Matrix = std::array::from_fn(|column| std::array::from_fn(|row| all[column * 4 + row]));
        return (matrix, turn_of(&matrix));
    }
    let [x, y, z, w] = node.rotation.unwrap_or([0.0, 0.0, 0.0, 1.0]);
    let turn = Quat { v: vec3(x, y, z), w } * Quat::IDENTITY;
    let scale = node.scale.unwrap_or([1.0; 3]);
    let [tx, ty, tz] = node.translation.unwrap_or([0.0; 3]);
    let column = |axis: Vec3, scale: f32| {
        let [x, y, z] = (turn.rotate(axis) * scale).array();
        [x, y, z, 0.0]
    };
    let columns = [column(Vec3::X, scale[0]), column(Vec3::Y, scale[1]), column(Vec3::Z, scale[2])];
    ([columns[0], columns[1], columns[2], [tx, ty, tz, 1.0]], turn)
}

/// The rotation of a matrix without shear.
fn turn_of(m: &Matrix) -> Quat {
    let axis = |column: usize| vec3(m[column][0], m[column][1], m[column][2]).unit().unwrap_or(Vec3::X);
    let (x, y, z) = (axis(0), axis(1), axis(2));
    // Of the four ways to it the one that divides by the largest number (Shepperd 1978).
    let [xx, yy, zz] = [x.x, y.y, z.z];
    let part = |square: f32| square.max(0.0).sqrt() * 0.5;
    let sizes = [
        part(1.0 + xx + yy + zz),
        part(1.0 + xx - yy - zz),
        part(1.0 - xx + yy - zz),
        part(1.0 - xx - yy + zz),
    ];
    let [w, qx, qy, qz] = sizes;
    let d = |size: f32| 0.25 / size.max(1e-6);
    let turn = if w >= qx.max(qy).max(qz) {
        Quat { v: vec3(y.z - z.y, z.x - x.z, x.y - y.x) * d(w), w }
    } else if qx >= qy.max(qz) {
        Quat { v: vec3(qx, (x.y + y.x) * d(qx), (x.z + z.x) * d(qx)), w: (y.z - z.y) * d(qx) }
    } else if qy >= qz {
        Quat { v: vec3((x.y + y.x) * d(qy), qy, (y.z + z.y) * d(qy)), w: (z.x - x.z) * d(qy) }
    } else {
        Quat { v: vec3((x.z + z.x) * d(qz), (y.z + z.y) * d(qz), qz), w: (x.y - y.x) * d(qz) }
    };
    turn * Quat::IDENTITY
}

/// Where the nodes of the scene are in the model.
fn places(file: &File) -> Vec<Option<(Matrix, Quat)>> {
    let mut places = vec![None; file.nodes.len()];
    let roots = file.scenes.get(file.scene).map_or(&[][..], |scene| &scene.nodes);
    let mut next: Vec<(usize, Matrix, Quat, usize)> =
        roots.iter().map(|node| (*node, IDENTITY, Quat::IDENTITY, 0)).collect();
    while let Some((node, above, turned, depth)) = next.pop() {
        // A node has one parent; who is here again is in a ring.
        let (Some(place @ None), Some(node)) = (places.get_mut(node), file.nodes.get(node)) else { continue };
        let (own, turn) = own_place(node);
        let (all, turn) = (product(&above, &own), turned * turn);
        *place = Some((all, turn));
        if depth < DEPTH_MAX {
            next.extend(node.children.iter().map(|child| (*child, all, turn, depth + 1)));
        }
    }
    places
}

/// Where in the binary chunk each skin has its first matrix.
fn bind_offsets(file: &File) -> Vec<(usize, u64)> {
    let offset = |skin: &file::Skin| {
        let accessor = file.accessors.get(skin.inverse_bind_matrices?)?;
        let view = file.buffer_views.get(accessor.buffer_view?)?;
        (view.buffer == 0).then(|| accessor.byte_offset.saturating_add(view.byte_offset))
    };
    file.skins.iter().enumerate().filter_map(|(skin, value)| Some((skin, offset(value)?))).collect()
}

fn matrix_in(bytes: &[u8]) -> Option<Matrix> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let all: [f32; 16] =
        numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>().try_into().ok()?;
    let is_sound = all.iter().all(|number| number.is_finite());
    is_sound.then(|| std::array::from_fn(|column| std::array::from_fn(|row| all[column * 4 + row])))
}

/// The lowest and highest point of what is drawn.
fn extent(file: &File, places: &[Option<(Matrix, Quat)>], binds: &[(usize, Matrix)]) -> Option<[f32; 2]> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for (node, place) in file.nodes.iter().zip(places) {
        let (Some((place, _)), Some(mesh)) = (place, node.mesh) else { continue };
        let skinned = node.skin.and_then(|skin| {
            // What a skin bends is where its joints are, wherever its own node is; one joint tells of all.
            let joint = *file.skins.get(skin)?.joints.first()?;
            let (_, bind) = binds.iter().find(|(of, _)| *of == skin)?;
            Some(product(&places.get(joint)?.as_ref()?.0, bind))
        });
        let matrix = skinned.unwrap_or(*place);
        for primitive in file.meshes.get(mesh).map_or(&[][..], |mesh| &mesh.primitives) {
            let accessor = primitive.attributes.position.and_then(|index| file.accessors.get(index));
            let Some((min, max)) = accessor.and_then(file::Accessor::corners) else { continue };
            for corner in 0..8usize {
                let at =
                    std::array::from_fn(|axis| if corner >> axis & 1 == 0 { min[axis] } else { max[axis] });
                let y = height_of(&matrix, at);
                (low, high) = (low.min(y), high.max(y));
            }
        }
    }
    (low.is_finite() && high.is_finite() && high - low > 1e-6).then_some([low, high])
}

/// The head is the first node that is called so and is a joint.
fn head(file: &File, places: &[Option<(Matrix, Quat)>]) -> Option<(String, Quat)> {
    let nodes = file.nodes.iter().zip(places);
    let mut heads = nodes.filter_map(|(node, place)| {
        let (_, turn) = place.as_ref()?;
        let words = words(&node.name);
        let is_end = words.iter().any(|word| ["end", "top", "tip", "nub"].contains(&word.as_str()));
        let is_head = words.iter().any(|word| word == "head") && node.mesh.is_none();
        (is_head && !is_end).then(|| (node.name.clone(), *turn))
    });
    heads.next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn clips_are_known_by_many_names() {
        for (names, wanted) in [
            (&["Survey", "Walk", "Run"][..], [Some(0), Some(1), Some(2), None, None]),
            (
                &["Armature|Running", "Armature|Walking", "Armature|Idle.001"],
                [Some(2), Some(1), Some(0), None, None],
            ),
            (
                &["RobotDance", "RobotWalkingJump", "RobotJump", "RobotWalking"],
                [None, Some(3), None, Some(2), None],
            ),
            (&["mixamo.com"], [Some(0), None, None, None, None]),
            (&["WALK_CYCLE", "hover_loop"], [None, Some(0), None, None, Some(1)]),
            (&[], [None; 5]),
        ] {
            assert_eq!(picked(names), wanted, "{names:?}");
        }
        let only_walks = Rig { clips: picked(&["walk"]), ..Rig::default() };
        assert_eq!(only_walks.clip(Deed::Run), Some(0));
        assert_eq!(only_walks.clip(Deed::Idle), None);
    }

    fn model() -> File {
        serde_json::from_value(json!({
            "scenes": [{ "nodes": [0] }],
            "nodes": [
                { "children": [1, 2], "rotation": [-0.707_106_77, 0, 0, 0.707_106_77], "scale": [0.01, 0.01, 0.01] },
                { "name": "mixamorig:Head", "translation": [0, 0, 150], "children": [3] },
                { "mesh": 0, "skin": 0 },
                { "name": "mixamorig:HeadTop_End", "children": [0] },
            ],
            "skins": [{ "joints": [1], "inverseBindMatrices": 1 }],
            "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0 } }] }],
            "accessors": [{ "min": [-30, -20, 0], "max": [30, 20, 180] }, { "bufferView": 0, "byteOffset": 4 }],
            "bufferViews": [{ "buffer": 0, "byteOffset": 8 }],
        }))
        .unwrap()
    }

    #[test]
    fn height_and_head_are_found_where_the_nodes_put_them() {
        let file = model();
        assert_eq!(bind_offsets(&file), [(0, 12)]);
        // The joint stands 150 high, and so did what it bends.
        let bind =
            [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -150.0, 1.0]];
        for binds in [&[(0, bind)][..], &[]] {
            let rig = Rig::read(&file, binds);
            let [low, high] = rig.extent.unwrap();
            assert!(low.abs() < 1e-3 && (high - 1.8).abs() < 1e-3, "{low} {high}");
            let (name, turn) = rig.head.unwrap();
            assert_eq!(name, "mixamorig:Head");
            assert!((turn.rotate(Vec3::Z) - Vec3::Y).length() < 1e-3);
        }
    }

    #[test]
    fn what_a_matrix_turns_is_read_from_it() {
        for turn in [
            Quat::IDENTITY,
            Quat::about(vec3(1.0, 2.0, -0.5), 2.9),
            Quat::about(Vec3::Y, 3.1),
            Quat::about(Vec3::Z, -3.1),
            Quat::about(Vec3::X, 3.0),
        ] {
            let matrix = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| {
                let [x, y, z] = (turn.rotate(axis) * 3.0).array();
                [x, y, z, 0.0]
            });
            let read = turn_of(&[matrix[0], matrix[1], matrix[2], [1.0, 2.0, 3.0, 1.0]]);
            for axis in [Vec3::X, Vec3::Y, Vec3::Z] {
                assert!((read.rotate(axis) - turn.rotate(axis)).length() < 1e-3, "{turn:?} {read:?}");
            }
        }
    }

    #[test]
    fn nonsense_is_left_out_or_refused() {
        for (file, is_read) in [
            (json!({}), true),
            (
                json!({ "nodes": [{ "mesh": 9, "children": [0, 7] }], "scenes": [{ "nodes": [0, 0, 5] }] }),
                true,
            ),
            (json!({ "skins": [{}], "accessors": [{ "min": [1], "max": ["x"] }] }), false),
            (json!(null), false),
            (json!({ "animations": 3 }), false),
            (json!({ "nodes": vec![json!({}); 20_000] }), false),
        ] {
            let read = serde_json::from_value::<File>(file);
            assert_eq!(read.is_ok(), is_read);
            if let Ok(file) = read {
                let rig = Rig::read(&file, &[]);
                assert_eq!((rig.extent, rig.head), (None, None));
            }
        }
    }

    #[test]
    fn the_default_figure_is_read_as_any_other() {
        let bytes = crate::avatar::figure::model([0.5; 3]);
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let file = serde_json::from_slice(&bytes[20..20 + length]).unwrap();
        let rig = Rig::read(&file, &[]);
        assert_eq!(rig.clips, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let [low, high] = rig.extent.unwrap();
        assert!(low.abs() < 0.05 && (high - crate::avatar::figure::HEIGHT).abs() < 0.1, "{low} {high}");
    }
}
