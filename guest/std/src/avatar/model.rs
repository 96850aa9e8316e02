// SPDX-License-Identifier: AGPL-3.0-or-later
//! What there is to know of a model before somebody wears it: which of its clips are for what, how high it is, and which
//! node is its head.

pub(super) mod glb;

use hearth_sdk::{model::Node, prelude::*};

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
    /// The lump that they are in, if they are not the model's own.
    pub(super) lent: Option<LumpId>,
    /// Its lowest and highest point, if it tells.
    pub(super) extent: Option<[f32; 2]>,
    /// The name of its head, and how that is turned in the model.
    pub(super) head: Option<(String, Quat)>,
}

impl Rig {
    /// What a model is for a user.
    pub(super) fn of(model: &Model) -> Rig {
        let heights = model.extent().map(|[low, high]| [low.y, high.y]);
        let extent = heights.filter(|[low, high]| high - low > 1e-6);
        Rig { clips: clips(model), lent: None, extent, head: head(model.nodes()) }
    }

    /// Has it move with the clips of another file.
    pub(super) fn lend(&mut self, from: &Model, lump: LumpId) {
        (self.clips, self.lent) = (clips(from), Some(lump));
    }

    /// One of its clips, over and over.
    pub(super) fn plays(&self, clip: u32) -> Animation {
        Animation { lump: self.lent, ..Animation::of(clip) }
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

/// Which clips of a file are for what.
fn clips(model: &Model) -> [Option<u32>; 5] {
    picked(&model.clips().iter().map(|clip| &*clip.name).collect::<Vec<_>>())
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

/// The head is the first node that is called so and is a joint.
fn head(nodes: &[Node]) -> Option<(String, Quat)> {
    let is_head = |node: &&Node| {
        let words = words(&node.name);
        let is_end = words.iter().any(|word| ["end", "top", "tip", "nub"].contains(&word.as_str()));
        words.iter().any(|word| word == "head") && !node.has_mesh && !is_end
    };
    nodes.iter().find(is_head).map(|node| (node.name.clone(), node.turn))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::testing;
    use serde_json::{Value, json};

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

    fn read(file: &[u8]) -> Rig {
        let lump = Lump::put(file).unwrap();
        let model = testing::run_for(Model::of(lump.0), Duration::from_secs(1)).unwrap();
        Rig::of(&model.unwrap())
    }

    #[test]
    fn the_head_is_a_joint_of_that_name() {
        let nodes = |names: &[&str]| {
            let nodes: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            let all: Vec<usize> = (0..names.len()).collect();
            json!({ "scenes": [{ "nodes": all }], "nodes": nodes })
        };
        for (names, wanted) in [
            (&["Hips", "mixamorig:HeadTop_End", "mixamorig:Head"][..], Some("mixamorig:Head")),
            (&["head.tip", "Bone.head"], Some("Bone.head")),
            (&["forehead", "ahead"], None),
        ] {
            let head = read(nodes(names).to_string().as_bytes()).head;
            assert_eq!(head.as_ref().map(|(name, _)| &**name), wanted, "{names:?}");
        }
        let mut masked = nodes(&["head", "head"]);
        masked["nodes"][0]["mesh"] = json!(0);
        masked["nodes"][1]["rotation"] = json!([1, 0, 0, 0]);
        let (_, turn) = read(masked.to_string().as_bytes()).head.unwrap();
        assert!((turn.rotate(Vec3::Y) + Vec3::Y).length() < 1e-5);
    }

    #[test]
    fn clips_of_another_file_take_the_place_of_its_own() {
        let file = |clips: Value| Lump::put(json!({ "animations": clips }).to_string().as_bytes()).unwrap();
        let mut rig = read(json!({ "animations": [{ "name": "walk" }] }).to_string().as_bytes());
        assert_eq!((rig.clip(Deed::Walk), rig.plays(0).lump), (Some(0), None));
        let moves = file(json!([{ "name": "idle" }, { "name": "jog" }]));
        let read = testing::run_for(Model::of(moves.0), Duration::from_secs(1)).unwrap();
        rig.lend(&read.unwrap(), moves.0);
        assert_eq!((rig.clip(Deed::Idle), rig.clip(Deed::Walk)), (Some(0), Some(1)));
        assert_eq!(rig.plays(1), Animation::of(1).in_lump(moves.0));
    }

    #[test]
    fn who_has_no_height_is_not_measured() {
        let flat = json!({
            "scenes": [{ "nodes": [0] }],
            "nodes": [{ "mesh": 0 }],
            "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0 } }] }],
            "accessors": [{ "min": [-1, 2, -1], "max": [1, 2, 1] }],
        });
        assert_eq!(read(flat.to_string().as_bytes()), Rig::default());
    }

    #[test]
    fn the_default_figure_is_read_as_any_other() {
        let rig = read(&crate::avatar::figure::model([0.5; 3]));
        assert_eq!(rig.clips, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let [low, high] = rig.extent.unwrap();
        assert!(low.abs() < 0.05 && (high - crate::avatar::figure::HEIGHT).abs() < 0.1, "{low} {high}");
    }
}
