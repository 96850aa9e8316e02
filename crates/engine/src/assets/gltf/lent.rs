// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Animation`: the animations of a glTF file, for models of other files whose nodes have the same names.
//! Nothing else of the file is looked at, so that a whole model may be one too.

use super::{
    Outcome,
    accessor::Numbers,
    animation::{self, Clip},
    file::{self, Beside},
    json,
};
use std::collections::{BTreeMap, BTreeSet};

/// The animations of a file.
#[derive(Debug)]
pub(crate) struct Clips {
    pub(crate) clips: Vec<Clip>,
    /// The name of each node that one of them moves.
    pub(crate) names: BTreeMap<usize, String>,
    /// Their size in memory.
    pub(crate) weight: usize,
}

/// Reads the animations of a file, with the lumps that are its buffers if they are here.
pub(crate) fn decode(bytes: &[u8], beside: &Beside) -> Result<Outcome<Clips>, String> {
    let (root, binary) = file::parse(bytes)?;
    if root.animations.is_empty() {
        return Err("it has no animations".into());
    }
    let mut lacks = file::lumps(&root, false)?;
    lacks.retain(|lump| !beside.contains_key(lump));
    if !lacks.is_empty() {
        return Ok(Outcome::Lacks(lacks));
    }
    let numbers = Numbers::new(&root, file::buffers(&root, binary, beside)?);
    let targets: Vec<usize> = root.nodes.iter().map(|node| targets(&root, node)).collect();
    let clips = animation::read(&numbers, &targets)?;
    let mut names = BTreeMap::new();
    for (i, clip) in clips.iter().enumerate() {
        let error = |reason: String| format!("animation {i}: {reason}");
        let mut called = BTreeSet::new();
        for node in clip.moves().collect::<BTreeSet<_>>() {
            let name = root.nodes[node].name.as_deref().unwrap_or_default();
            if name.is_empty() {
                return Err(error(format!("it moves node {node}, which has no name")));
            }
            if !called.insert(name) {
                return Err(error(format!("it moves two nodes that are called `{name}`")));
            }
            names.entry(node).or_insert_with(|| name.to_owned());
        }
    }
    let letters: usize = names.values().map(String::len).sum();
    let weight = numbers.read() as usize * 4 + letters;
    Ok(Outcome::Whole(Clips { clips, names, weight }))
}

/// How many morph targets a node has.
fn targets(root: &json::Root, node: &json::Node) -> usize {
    let mesh = node.mesh.and_then(|mesh| root.meshes.get(mesh));
    mesh.and_then(|mesh| mesh.primitives.first()).map_or(0, |primitive| primitive.targets.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::{Value, json};

    /// A file whose clips `nod` and `turn` move these nodes.
    fn file(nodes: Value, moved: [&[usize]; 2]) -> Value {
        let clip = |name: &str, nodes: &[usize]| {
            let channels: Vec<Value> = nodes
                .iter()
                .map(|node| json!({ "sampler": 0, "target": { "node": node, "path": "translation" } }))
                .collect();
            json!({ "name": name, "channels": channels, "samplers": [{ "input": 0, "output": 1 }] })
        };
        // The times 0 and 1, and the places 0, 0, 0 and 0, 1, 0.
        let data = "data:application/octet-stream;base64,AAAAAAAAgD8AAAAAAAAAAAAAAAAAAAAAAACAPwAAAAA=";
        json!({
            "asset": { "version": "2.0" },
            "nodes": nodes,
            "buffers": [{ "byteLength": 32, "uri": data }],
            "bufferViews": [
                { "buffer": 0, "byteLength": 8 },
                { "buffer": 0, "byteOffset": 8, "byteLength": 24 },
            ],
            "accessors": [
                { "bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR" },
                { "bufferView": 1, "componentType": 5126, "count": 2, "type": "VEC3" },
            ],
            "animations": [clip("nod", moved[0]), clip("turn", moved[1])],
        })
    }

    fn read(file: &Value) -> Result<Clips, String> {
        match decode(file.to_string().as_bytes(), &Beside::new())? {
            Outcome::Whole(clips) => Ok(clips),
            Outcome::Lacks(lacks) => Err(format!("it lacks {}", lacks.len())),
        }
    }

    #[test]
    fn clips_are_read_without_their_model() {
        let nodes = json!([{ "name": "hips" }, { "name": "head" }, {}]);
        // What shows the model is of no interest: its picture is not fetched, its mesh not looked at.
        let mut whole = file(nodes, [&[1], &[0, 1]]);
        whole["images"] = json!([{ "uri": format!("lump:{}", "0".repeat(64)) }]);
        whole["meshes"] = json!([{ "primitives": [{ "attributes": { "POSITION": 99 } }] }]);
        whole["nodes"][2]["mesh"] = json!(0);
        let clips = read(&whole).unwrap();
        let names: Vec<_> = clips.names.iter().map(|(node, name)| (*node, &**name)).collect();
        assert_eq!(names, [(0, "hips"), (1, "head")]);
        let clip = Clip::find(&clips.clips, &"turn".into()).unwrap();
        assert_eq!((clip.duration, clip.moves().count()), (1.0, 2));
        assert!(Clip::find(&clips.clips, &2.into()).is_none());
    }

    #[test]
    fn what_could_not_be_played_is_refused() {
        let named =
            || json!([{ "name": "hips" }, { "name": "head" }, {}, { "name": "" }, { "name": "head" }]);
        let with = |change: fn(&mut Value)| {
            let mut file = file(named(), [&[1], &[0]]);
            change(&mut file);
            file
        };
        for (file, reason) in [
            (file(named(), [&[1], &[2]]), "animation 1: it moves node 2, which has no name"),
            (file(named(), [&[3], &[1]]), "animation 0: it moves node 3, which has no name"),
            (file(named(), [&[4], &[1, 4]]), "animation 1: it moves two nodes that are called `head`"),
            (file(named(), [&[9], &[1]]), "animation 0: there is no node 9"),
            (with(|file| file["animations"] = json!([])), "it has no animations"),
            (with(|file| file["accessors"][1]["count"] = json!(3)), "animation 0: "),
            (
                with(|file| file["animations"][0]["channels"][0]["target"]["path"] = json!("weights")),
                "animation 0: node 1 has no morph targets",
            ),
            (
                with(|file| file["extensionsRequired"] = json!(["VENDOR_dream"])),
                "it requires the extension VENDOR_dream, which is not supported",
            ),
            (with(|file| file["buffers"][0]["uri"] = json!("a.bin")), "buffer 0: it refers to something"),
            (
                with(|file| file["buffers"][0]["uri"] = json!(format!("lump:{}", "0".repeat(64)))),
                "it lacks 1",
            ),
        ] {
            let error = read(&file).unwrap_err();
            assert!(error.starts_with(reason), "{error}\n{reason}");
        }
        assert!(decode(b"RIFF....", &Beside::new()).is_err());
    }
}
