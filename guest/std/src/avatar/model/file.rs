// SPDX-License-Identifier: AGPL-3.0-or-later
//! The parts of a glTF file's description that are of interest. A file names few of most things; one that names more is not
//! read, since each takes more memory than it takes letters.

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData, ops::Deref};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct File {
    pub(super) scene: usize,
    pub(super) scenes: Few<Scene, 256>,
    pub(super) nodes: Few<Node, 16_384>,
    pub(super) meshes: Few<Mesh, 16_384>,
    pub(super) skins: Few<Skin, 1024>,
    pub(super) accessors: Few<Accessor, 65_536>,
    pub(super) buffer_views: Few<View, 65_536>,
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
    /// As many numbers as the accessor has components.
    min: Few<f32, 16>,
    max: Few<f32, 16>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct View {
    pub(super) buffer: usize,
    pub(super) byte_offset: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Animation {
    pub(super) name: String,
}

impl Accessor {
    /// The corners of the box around its places.
    pub(super) fn corners(&self) -> Option<([f32; 3], [f32; 3])> {
        Some((self.min.0.as_slice().try_into().ok()?, self.max.0.as_slice().try_into().ok()?))
    }
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
