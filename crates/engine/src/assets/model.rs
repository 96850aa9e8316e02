// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Scene`: glTF 2.0 binary. The renderer's loader trusts its input; this looks through
//! the file before, for what would make it read elsewhere, take all memory, or never end.

use super::texture;
use serde_json::Value;

/// Longest file in bytes.
pub(crate) const FILE_LEN_MAX: usize = 256 << 20;
/// Most entries of any list of the file.
const ENTRIES_MAX: usize = 65_536;
/// Most nodes under nodes.
const DEPTH_MAX: usize = 64;
/// Most elements that all accessors describe together.
const ELEMENTS_MAX: u64 = 64 << 20;
/// Most lights of a file.
const LIGHTS_MAX: usize = 32;
/// Largest JSON part of the file in bytes.
const JSON_LEN_MAX: usize = 64 << 20;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Which of its scenes to show.
    pub(crate) scene: usize,
    /// Its size in memory, roughly.
    pub(crate) weight: usize,
}

/// Looks through a file.
///
/// Clauses are those of the glTF 2.0 specification: 4.4 for the layout of the file, 3.6 for accessors.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Contents, String> {
    if bytes.len() > FILE_LEN_MAX {
        return Err(format!("file is longer than {} MiB", FILE_LEN_MAX >> 20));
    }
    let (json, binary) = chunks(bytes).ok_or("not a glTF 2.0 binary file (.glb)")?;
    if json.len() > JSON_LEN_MAX {
        return Err("its JSON part is too long".into());
    }
    let root: Value = serde_json::from_slice(json).map_err(|error| format!("its JSON part: {error}"))?;
    let file = File { root: &root, binary };
    file.lists()?;
    file.references()?;
    let pixels = file.images()?;
    let elements = file.accessors()?;
    file.nodes()?;
    let scene = file.root.get("scene").and_then(Value::as_u64).unwrap_or(0) as usize;
    if scene >= file.list("scenes").len() {
        return Err("it has no scene".into());
    }
    Ok(Contents { scene, weight: bytes.len() + (pixels * 4 + elements * 4) as usize })
}

/// The two parts of the file.
fn chunks(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (magic, version, length) = (bytes.get(..4)?, word(4)?, word(8)? as usize);
    if magic != b"glTF" || version != 2 || length > bytes.len() {
        return None;
    }
    let bytes = &bytes[..length];
    let json_len = word(12)? as usize;
    if word(16)? != 0x4E4F_534A {
        return None;
    }
    let json = bytes.get(20..)?.get(..json_len)?;
    let at = 20 + json_len;
    if at + 8 > bytes.len() {
        return Some((json, &[]));
    }
    let binary_len = word(at)? as usize;
    if word(at + 4)? != 0x004E_4942 {
        return None;
    }
    Some((json, bytes.get(at + 8..)?.get(..binary_len)?))
}

struct File<'a> {
    root: &'a Value,
    binary: &'a [u8],
}

impl<'a> File<'a> {
    fn list(&self, name: &str) -> &'a [Value] {
        self.root.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn lists(&self) -> Result<(), String> {
        let root = self.root.as_object().ok_or("its JSON part is no object")?;
        for (name, value) in root {
            if value.as_array().is_some_and(|list| list.len() > ENTRIES_MAX) {
                return Err(format!("it has more than {ENTRIES_MAX} {name}"));
            }
        }
        let primitives: usize = self
            .list("meshes")
            .iter()
            .filter_map(|mesh| Some(mesh.get("primitives")?.as_array()?.len()))
            .sum();
        if primitives > ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} primitives"));
        }
        let lights = self.root.pointer("/extensions/KHR_lights_punctual/lights").and_then(Value::as_array);
        if lights.is_some_and(|lights| lights.len() > LIGHTS_MAX) {
            return Err(format!("it has more than {LIGHTS_MAX} lights"));
        }
        Ok(())
    }

    /// A lump is whole: nothing outside it is read.
    fn references(&self) -> Result<(), String> {
        for list in ["buffers", "images"] {
            if self.list(list).iter().any(|entry| entry.get("uri").is_some()) {
                return Err(format!("its {list} refer to something outside the file"));
            }
        }
        let buffers = self.list("buffers");
        if buffers.len() > 1 {
            return Err("it has more than one buffer".into());
        }
        let length = buffers.first().and_then(|buffer| number(buffer, "byteLength")).unwrap_or(0);
        if length > self.binary.len() as u64 {
            return Err("its buffer is longer than the file".into());
        }
        for view in self.list("bufferViews") {
            self.view(view).ok_or("a view of its buffer is outside the buffer")?;
        }
        Ok(())
    }

    fn view(&self, view: &Value) -> Option<&'a [u8]> {
        let offset = number(view, "byteOffset").unwrap_or(0) as usize;
        self.binary.get(offset..)?.get(..number(view, "byteLength")? as usize)
    }

    fn images(&self) -> Result<u64, String> {
        let mut pixels = 0;
        for (i, image) in self.list("images").iter().enumerate() {
            let view = number(image, "bufferView")
                .and_then(|view| self.list("bufferViews").get(view as usize))
                .and_then(|view| self.view(view))
                .ok_or_else(|| format!("image {i} has no bytes"))?;
            let (width, height) = texture::size(view).map_err(|reason| format!("image {i}: {reason}"))?;
            pixels += u64::from(width) * u64::from(height);
        }
        if pixels > texture::PIXELS_MAX * 4 {
            return Err("its images have too many pixels together".into());
        }
        Ok(pixels)
    }

    fn accessors(&self) -> Result<u64, String> {
        let mut elements = 0u64;
        for accessor in self.list("accessors") {
            let components = match accessor.get("type").and_then(Value::as_str) {
                Some("VEC2") => 2,
                Some("VEC3") => 3,
                Some("VEC4" | "MAT2") => 4,
                Some("MAT3") => 9,
                Some("MAT4") => 16,
                _ => 1,
            };
            let count = number(accessor, "count").unwrap_or(0);
            elements = elements.saturating_add(count.saturating_mul(components));
        }
        if elements > ELEMENTS_MAX {
            return Err(format!("its accessors describe more than {ELEMENTS_MAX} numbers"));
        }
        Ok(elements)
    }

    /// Section 3.5.2: nodes are a forest. The loader would follow a ring for ever.
    fn nodes(&self) -> Result<(), String> {
        let nodes = self.list("nodes");
        let mut parent = vec![None; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            for child in node.get("children").and_then(Value::as_array).into_iter().flatten() {
                let slot = child.as_u64().and_then(|child| parent.get_mut(child as usize));
                match slot.ok_or("a node has a child that is not there")? {
                    Some(_) => return Err("a node has two parents".into()),
                    slot => *slot = Some(i),
                }
            }
        }
        for start in 0..nodes.len() {
            let depth = std::iter::successors(Some(start), |at| parent[*at]).take(DEPTH_MAX + 1).count();
            if depth > DEPTH_MAX {
                return Err(format!("its nodes are a ring, or more than {DEPTH_MAX} deep"));
            }
        }
        let roots = self.list("scenes").iter().filter_map(|scene| scene.get("nodes")?.as_array());
        if roots.map(Vec::len).sum::<usize>() > ENTRIES_MAX {
            return Err("its scenes have too many nodes".into());
        }
        Ok(())
    }
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glb(json: &str, binary: &[u8]) -> Vec<u8> {
        let mut json = json.as_bytes().to_vec();
        json.resize(json.len().next_multiple_of(4), b' ');
        let mut out = b"glTF".to_vec();
        let total = 12 + 8 + json.len() + 8 + binary.len();
        for word in [2, total as u32, json.len() as u32, 0x4E4F_534A] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&json);
        out.extend_from_slice(&(binary.len() as u32).to_le_bytes());
        out.extend_from_slice(&0x004E_4942u32.to_le_bytes());
        out.extend_from_slice(binary);
        out
    }

    fn check(json: &str, expect: &str) {
        let said = inspect(&glb(json, &[0; 8])).map_or_else(|reason| reason, |c| format!("{}", c.scene));
        assert!(said.contains(expect), "{json}: {said}");
    }

    #[test]
    fn files_are_looked_through() {
        check(r#"{"scenes":[{}]}"#, "0");
        check(r#"{"scene":1,"scenes":[{},{}]}"#, "1");
        check(r#"{}"#, "no scene");
        check(r#"{"scene":9,"scenes":[{}]}"#, "no scene");
        check(r#"{"scenes":[{}],"buffers":[{"uri":"file:///etc/passwd"}]}"#, "outside the file");
        check(r#"{"scenes":[{}],"images":[{"uri":"http://example.org/a.png"}]}"#, "outside the file");
        check(r#"{"scenes":[{}],"buffers":[{"byteLength":9}]}"#, "longer than the file");
        check(r#"{"scenes":[{}],"bufferViews":[{"byteOffset":4,"byteLength":5}]}"#, "outside the buffer");
        check(r#"{"scenes":[{}],"accessors":[{"count":4000000000,"type":"VEC3"}]}"#, "describe more");
        check(
            r#"{"scenes":[{}],"accessors":[{"count":18446744073709551615,"type":"MAT4"}]}"#,
            "describe more",
        );
        check(r#"{"scenes":[{}],"nodes":[{"children":[0]}]}"#, "ring");
        check(r#"{"scenes":[{}],"nodes":[{"children":[1]},{"children":[0]}]}"#, "ring");
        check(r#"{"scenes":[{}],"nodes":[{"children":[2]},{"children":[2]},{}]}"#, "two parents");
        check(r#"{"scenes":[{}],"nodes":[{"children":[7]}]}"#, "not there");
        check(r#"{"scenes":[{}],"images":[{}]}"#, "no bytes");
        check("[1", "JSON");
    }

    #[test]
    fn strangers_do_not_panic() {
        let good = glb(r#"{"scenes":[{}],"bufferViews":[{"byteLength":4}]}"#, &[0; 8]);
        for cut in 0..good.len() {
            let _ = inspect(&good[..cut]);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            let _ = inspect(&bad);
        }
    }
}
