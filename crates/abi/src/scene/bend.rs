// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components that bend a mesh: what its joints and its morph targets are to do.

use crate::{
    DecodeError, EntityId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// Most joints of a [`Skin`].
pub const JOINTS_MAX: usize = 256;
/// Most weights of [`MorphWeights`].
pub const MORPH_TARGETS_MAX: usize = 256;

/// The joints that bend the entity's mesh, which must be a lump of class `Mesh` with as many joints: wherever these
/// entities are in the space, there are their vertices (glTF 2.0, section 3.7.3). Where the entity itself is counts for
/// nothing then. As bytes: `u64` entity for each joint, 1 to [`JOINTS_MAX`].
///
/// While one of the entities is not there, the mesh is shown as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skin {
    /// In the order of the mesh.
    pub joints: Vec<EntityId>,
}

impl Skin {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.joints.iter().for_each(|joint| out.extend_from_slice(&joint.to_bits().to_le_bytes()));
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Skin, DecodeError> {
        let bad_count = r.error("a skin has 1 to 256 joints");
        let mut joints = Vec::new();
        while !r.is_empty() {
            let zero = r.error("entity id is zero");
            let joint = EntityId::from_bits(r.u64()?);
            if joint.to_bits() == 0 {
                return Err(zero);
            }
            joints.push(joint);
        }
        if (1..=JOINTS_MAX).contains(&joints.len()) { Ok(Skin { joints }) } else { Err(bad_count) }
    }
}

/// How far the entity's mesh, a lump of class `Mesh`, has become each of its morph targets: 0 not at all, 1 wholly. The
/// targets beyond these weights have weight 0. As bytes: `f32` for each, 1 to [`MORPH_TARGETS_MAX`].
#[derive(Clone, Debug, PartialEq)]
pub struct MorphWeights {
    /// In the order of the mesh.
    pub weights: Vec<f32>,
}

impl MorphWeights {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &self.weights);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<MorphWeights, DecodeError> {
        let bad_count = r.error("there are 1 to 256 morph weights");
        let mut weights = Vec::new();
        while !r.is_empty() {
            weights.push(r.finite()?);
        }
        if (1..=MORPH_TARGETS_MAX).contains(&weights.len()) {
            Ok(MorphWeights { weights })
        } else {
            Err(bad_count)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use alloc::boxed::Box;
    use std::vec;

    fn bytes(component: &Component) -> Vec<u8> {
        let mut out = vec![];
        component.encode(&mut out);
        out
    }

    #[test]
    fn golden_vectors() {
        let skin = Component::Skin(Box::new(Skin { joints: vec![EntityId::from_bits(0x0102)] }));
        assert_eq!(bytes(&skin), [2, 1, 0, 0, 0, 0, 0, 0]);
        let weights = Component::MorphWeights(Box::new(MorphWeights { weights: vec![1.0, 0.5] }));
        assert_eq!(bytes(&weights), [0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f]);
    }

    #[test]
    fn what_bends_nothing_is_refused() {
        let problem = |kind, bytes: &[u8]| Component::decode(kind, bytes).unwrap_err().problem;
        assert_eq!(problem(ComponentKind::Skin, &[]), "a skin has 1 to 256 joints");
        assert_eq!(problem(ComponentKind::Skin, &[1; 8 * 257]), "a skin has 1 to 256 joints");
        assert_eq!(problem(ComponentKind::Skin, &[0; 8]), "entity id is zero");
        assert!(Component::decode(ComponentKind::Skin, &[1; 12]).is_err());
        assert_eq!(problem(ComponentKind::MorphWeights, &[]), "there are 1 to 256 morph weights");
        assert_eq!(problem(ComponentKind::MorphWeights, &[0; 4 * 257]), "there are 1 to 256 morph weights");
        let nan = f32::NAN.to_le_bytes();
        assert_eq!(problem(ComponentKind::MorphWeights, &nan), "number is not finite");
    }
}
