// SPDX-License-Identifier: AGPL-3.0-or-later
//! The parts of a glTF file: the JSON, and the bytes of its buffers (sections 3.2, 3.6.1 and 4.4 of the specification).

use super::json;
use bytes::Bytes;
use hearth_abi::LumpId;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Longest file in bytes.
const FILE_LEN_MAX: usize = 256 << 20;
/// Largest JSON part of a file in bytes.
const JSON_LEN_MAX: usize = 64 << 20;
/// Most entries of any list of the file.
const ENTRIES_MAX: usize = 65_536;
/// Most lights of a file: each costs all that it lights.
const LIGHTS_MAX: usize = 32;

/// Extensions that a file may require.
const SUPPORTED: &[&str] = &[
    "EXT_texture_webp",
    "KHR_lights_punctual",
    "KHR_materials_anisotropy",
    "KHR_materials_clearcoat",
    "KHR_materials_emissive_strength",
    "KHR_materials_ior",
    "KHR_materials_specular",
    "KHR_materials_transmission",
    "KHR_materials_unlit",
    "KHR_materials_volume",
    QUANTIZED,
    "KHR_texture_basisu",
    "KHR_texture_transform",
];
/// The extension that allows small numbers where floats are usual.
pub(super) const QUANTIZED: &str = "KHR_mesh_quantization";

/// Reads the JSON of a file, binary (`.glb`) or text (`.gltf`), and gives the binary part beside it, if there is one.
pub(super) fn parse(bytes: &[u8]) -> Result<(json::Root, Option<&[u8]>), String> {
    if bytes.len() > FILE_LEN_MAX {
        return Err(format!("file is longer than {} MiB", FILE_LEN_MAX >> 20));
    }
    let (json, binary) = if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        (bytes, None)
    } else {
        chunks(bytes).ok_or("not a glTF 2.0 file, neither binary (.glb) nor text (.gltf)")?
    };
    if json.len() > JSON_LEN_MAX {
        return Err(format!("its JSON part is longer than {} MiB", JSON_LEN_MAX >> 20));
    }
    let root: json::Root = serde_json::from_slice(json).map_err(|error| format!("its JSON part: {error}"))?;
    check(&root)?;
    Ok((root, binary))
}

/// Section 4.4: a header of three words, then chunks, of which the first is JSON and the second may be binary.
fn chunks(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (magic, version, length) = (bytes.get(..4)?, word(4)?, word(8)? as usize);
    if magic != b"glTF" || version != 2 || length > bytes.len() {
        return None;
    }
    let bytes = &bytes[..length];
    let chunk = |at: usize| bytes.get(at + 8..)?.get(..word(at)? as usize);
    if word(16)? != 0x4E4F_534A {
        return None;
    }
    let json = chunk(12)?;
    let next = 20 + json.len();
    // Chunks of other kinds are to be passed over.
    let binary = if word(next + 4) == Some(0x004E_4942) { Some(chunk(next)?) } else { None };
    Some((json, binary))
}

fn check(root: &json::Root) -> Result<(), String> {
    // Section 3.2: of the same major version all minor ones are read, unless the file says otherwise.
    let (version, least) = (&root.asset.version, root.asset.min_version.as_deref());
    if !version.starts_with("2.") || least.is_some_and(|least| least != "2.0") {
        return Err(format!("it is of version `{}` of glTF, not 2.0", least.unwrap_or(version)));
    }
    for name in &root.extensions_required {
        if !SUPPORTED.contains(&name.as_str()) {
            return Err(format!("it requires the extension {name}, which is not supported"));
        }
    }
    let primitives = root.meshes.iter().map(|mesh| mesh.primitives.len()).sum();
    let targets =
        root.meshes.iter().flat_map(|mesh| &mesh.primitives).map(|primitive| primitive.targets.len());
    for (what, count) in [
        ("scenes", root.scenes.len()),
        ("nodes", root.nodes.len()),
        ("meshes", root.meshes.len()),
        ("primitives", primitives),
        ("morph targets", targets.sum()),
        ("accessors", root.accessors.len()),
        ("buffer views", root.buffer_views.len()),
        ("buffers", root.buffers.len()),
        ("images", root.images.len()),
        ("textures", root.textures.len()),
        ("materials", root.materials.len()),
        ("skins", root.skins.len()),
        ("animations", root.animations.len()),
        ("roots of scenes", root.scenes.iter().map(|scene| scene.nodes.len()).sum()),
        ("joints", root.skins.iter().map(|skin| skin.joints.len()).sum()),
    ] {
        if count > ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} {what}"));
        }
    }
    if root.extensions.lights.lights.len() > LIGHTS_MAX {
        return Err(format!("it has more than {LIGHTS_MAX} lights"));
    }
    Ok(())
}

/// Most lumps that a file refers to.
const LUMPS_MAX: usize = 1024;

/// Lumps that a file refers to, as far as they are here.
pub(crate) type Beside = BTreeMap<LumpId, Bytes>;

/// The lump that a URI names: `lump:` and its 64 digits.
fn lump(uri: &str) -> Option<Result<LumpId, String>> {
    let digits = uri.strip_prefix("lump:")?;
    Some(digits.parse().map_err(|_none| format!("`{uri}` names no lump")))
}

/// The lumps that a file refers to as its buffers, and as its pictures if those are wanted.
pub(super) fn lumps(root: &json::Root, with_pictures: bool) -> Result<BTreeSet<LumpId>, String> {
    let pictures = root.images.iter().filter(|_| with_pictures).map(|image| &image.uri);
    let uris = root.buffers.iter().map(|buffer| &buffer.uri).chain(pictures);
    let lumps: BTreeSet<LumpId> = uris.flatten().filter_map(|uri| lump(uri)).collect::<Result<_, _>>()?;
    match lumps.len() {
        0..=LUMPS_MAX => Ok(lumps),
        _ => Err(format!("it refers to more than {LUMPS_MAX} lumps")),
    }
}

/// The bytes of a URI: what stands in it, or a lump. Nothing else is read.
pub(super) fn resource<'a>(uri: &str, beside: &'a Beside) -> Result<Cow<'a, [u8]>, String> {
    match lump(uri) {
        Some(id) => {
            let bytes = beside.get(&id?).ok_or("a lump that it refers to is not here")?;
            Ok(Cow::Borrowed(bytes))
        }
        None => data(uri).map(Cow::Owned),
    }
}

/// The bytes of all buffers.
pub(super) fn buffers<'a>(
    root: &json::Root,
    binary: Option<&'a [u8]>,
    beside: &'a Beside,
) -> Result<Vec<Cow<'a, [u8]>>, String> {
    let mut total = 0usize;
    root.buffers
        .iter()
        .enumerate()
        .map(|(i, buffer)| {
            let bytes = match (&buffer.uri, binary) {
                (Some(uri), _) => resource(uri, beside).map_err(|reason| format!("buffer {i}: {reason}"))?,
                (None, Some(binary)) if i == 0 => Cow::Borrowed(binary),
                (None, _) => return Err(format!("buffer {i} has no bytes")),
            };
            if bytes.len() < buffer.byte_length {
                return Err(format!("buffer {i} is longer than its bytes"));
            }
            total = total.saturating_add(bytes.len());
            if total > FILE_LEN_MAX {
                return Err(format!("its buffers are longer than {} MiB together", FILE_LEN_MAX >> 20));
            }
            Ok(bytes)
        })
        .collect()
}

/// The bytes of a data URI (RFC 2397).
fn data(uri: &str) -> Result<Vec<u8>, String> {
    let outside = || "it refers to something outside the file".to_owned();
    let (head, body) = uri.strip_prefix("data:").and_then(|rest| rest.split_once(',')).ok_or_else(outside)?;
    if !head.ends_with(";base64") {
        return Err("its data URI is not in base64".into());
    }
    base64(body.as_bytes()).ok_or_else(|| "its data URI is broken".into())
}

/// RFC 4648, section 4; padding may be missing.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if text.len() - end > 2 {
        return None;
    }
    let text = &text[..end];
    if text.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let mut bits = 0u32;
        for byte in chunk {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"+/+/").as_deref(), Some(&[0xFB, 0xFF, 0xBF][..]));
        for broken in ["Z", "Zg=a", "Zm9 ", "====", "Z==="] {
            assert_eq!(base64(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn only_data_uris_are_followed() {
        assert_eq!(data("data:application/octet-stream;base64,Zm9v"), Ok(b"foo".to_vec()));
        for uri in ["file:///etc/passwd", "http://example.org/a.bin", "a.bin", "", "data:x"] {
            assert_eq!(data(uri).unwrap_err(), "it refers to something outside the file", "{uri}");
        }
        assert_eq!(data("data:text/plain,foo").unwrap_err(), "its data URI is not in base64");
        assert_eq!(data("data:text/plain;base64,*").unwrap_err(), "its data URI is broken");
    }
}
