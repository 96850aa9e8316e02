// SPDX-License-Identifier: AGPL-3.0-or-later
//! The parts of a glTF file's description that are of interest, by the names that they have there. A file names few of
//! most things; one that names more is not read, since each takes more memory than it takes letters.

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct File<'a> {
    pub(super) scene: usize,
    pub(super) scenes: Few<Scene, 256>,
    pub(super) nodes: Few<Node, 16_384>,
    pub(super) meshes: Few<Mesh, 16_384>,
    pub(super) skins: Few<Skin, 1024>,
    pub(super) accessors: Few<Accessor, 65_536>,
    pub(super) buffer_views: Few<View, 65_536>,
    #[serde(borrow)]
    pub(super) buffers: Few<Buffer<'a>, 1024>,
    pub(super) animations: Few<Animation, 4096>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Scene {
    pub(super) nodes: Vec<usize>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) mesh: Option<usize>,
    pub(super) skin: Option<usize>,
    pub(super) children: Vec<usize>,
    pub(super) matrix: Option<[f32; 16]>,
    pub(super) translation: Option<[f32; 3]>,
    pub(super) rotation: Option<[f32; 4]>,
    pub(super) scale: Option<[f32; 3]>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Mesh {
    pub(super) primitives: Few<Primitive, 4096>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Primitive {
    pub(super) attributes: Attributes,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "UPPERCASE")]
pub(super) struct Attributes {
    pub(super) position: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Skin {
    pub(super) joints: Vec<usize>,
    pub(super) inverse_bind_matrices: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Accessor {
    pub(super) buffer_view: Option<usize>,
    pub(super) byte_offset: u64,
    pub(super) component_type: u32,
    pub(super) count: u64,
    /// Some of its numbers are elsewhere.
    pub(super) sparse: Option<IgnoredAny>,
    /// As many numbers as the accessor has components.
    min: Few<f32, 16>,
    pub(super) max: Few<f32, 16>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct View {
    pub(super) buffer: usize,
    pub(super) byte_offset: u64,
    pub(super) byte_stride: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Buffer<'a> {
    /// Empty for the binary part of the file.
    #[serde(borrow)]
    pub(super) uri: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Animation {
    pub(super) name: String,
    pub(super) channels: Few<Channel, 65_536>,
    pub(super) samplers: Few<Sampler, 65_536>,
}

/// The sampler of a channel; none of one that is for an extension.
#[derive(Deserialize)]
#[serde(from = "WholeChannel")]
pub(super) struct Channel(pub(super) Option<u32>);

#[derive(Deserialize)]
struct WholeChannel {
    sampler: u32,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    node: Option<IgnoredAny>,
    path: Path,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Path {
    Pointer,
    #[serde(other)]
    Other,
}

impl From<WholeChannel> for Channel {
    fn from(WholeChannel { sampler, target }: WholeChannel) -> Channel {
        Channel((target.node.is_some() && target.path != Path::Pointer).then_some(sampler))
    }
}

#[derive(Deserialize)]
pub(super) struct Sampler {
    /// The accessor of its times.
    pub(super) input: u32,
}

impl Accessor {
    /// The corners of the box around its places.
    pub(super) fn corners(&self) -> Option<([f32; 3], [f32; 3])> {
        Some((self.min.0.as_slice().try_into().ok()?, self.max.0.as_slice().try_into().ok()?))
    }
}

/// Some bytes of a data URI in base64 (RFC 4648, section 4).
pub(super) fn in_uri(uri: &str, from: u64, len: usize) -> Option<Vec<u8>> {
    let (head, body) = uri.strip_prefix("data:")?.split_once(',')?;
    let body = head.ends_with(";base64").then_some(body.as_bytes())?;
    // Three bytes are four letters.
    let (first, skip) = (usize::try_from(from / 3).ok()?.checked_mul(4)?, (from % 3) as usize);
    let end = first.checked_add((skip + len).div_ceil(3) * 4)?.min(body.len());
    let letters = body.get(first..end)?;
    let mut bytes = Vec::with_capacity(letters.len());
    for four in letters.chunks(4) {
        let mut bits = 0u32;
        let mut count = 0;
        for letter in four.iter().take_while(|letter| **letter != b'=') {
            let six = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits |= u32::from(six) << (18 - 6 * count);
            count += 1;
        }
        let [_, whole @ ..] = bits.to_be_bytes();
        bytes.extend(whole.iter().take(count * 3 / 4));
    }
    bytes.get(skip..skip.checked_add(len)?).map(<[u8]>::to_vec)
}

/// A list of at most so many.
pub(super) struct Few<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for Few<T, MAX> {
    fn default() -> Few<T, MAX> {
        Few(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Few<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Few<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T, MAX>, D::Error> {
        struct Counted<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Counted<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(next) = list.next_element()? {
                    if all.len() == MAX {
                        return Err(A::Error::invalid_length(MAX + 1, &self));
                    }
                    all.push(next);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(Counted::<T, MAX>(PhantomData)).map(Few)
    }
}
