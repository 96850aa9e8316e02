// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components about models: what they play, their nodes, and the surroundings that light them.

use super::{NAME_LEN_MAX, at_least};
use crate::{
    DecodeError, LumpId,
    codec::{Reader, put_floats},
};
use alloc::{string::String, vec::Vec};

/// What the model of the entity plays. As bytes: `u8` flags (bit 0 repeat, bit 1 paused, bit 2 a lump follows), four
/// `f32` (speed, offset, weight, blend), `u64` start, with bit 2 the 32 bytes of the lump, `u8` 0 and `u32` number of
/// the clip, or `u8` 1 and its name in UTF-8 to the end.
///
/// At the time `now` the clip stands at `offset + (now − start) × speed` seconds: over and over if it repeats, else
/// no farther than its ends. The start is a time of the clock on the wall, so that all peers whose clocks agree show
/// the same pose, also those that join later.
#[derive(Clone, Debug, PartialEq)]
pub struct Animation {
    /// Lump of class `Animation` that the clip is in: it moves the model's nodes that have the names of those that it
    /// moves in its own file. `None` if the clip is one of the model's.
    pub lump: Option<LumpId>,
    /// Which animation of the model, or of the lump.
    pub clip: Clip,
    /// Begins again at its end; else it stays there.
    pub repeat: bool,
    /// Stands at `offset`.
    pub paused: bool,
    /// Seconds of the clip in a second; backwards below 0.
    pub speed: f32,
    /// Seconds of the clip at its start.
    pub offset: f32,
    /// 0 the model as it was made, to 1 the clip alone.
    pub weight: f32,
    /// Seconds over which it takes the place of what was played before, 0 or more.
    pub blend: f32,
    /// Nanoseconds since 1970-01-01 UTC at which it starts; 0 for when a peer first shows it.
    pub start_ns: u64,
}

/// Which animation of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clip {
    /// By its number, from 0.
    Number(u32),
    /// By its name, of several the first. Not empty, at most [`NAME_LEN_MAX`] bytes.
    Name(String),
}

impl From<u32> for Clip {
    fn from(number: u32) -> Clip {
        Clip::Number(number)
    }
}

impl From<&str> for Clip {
    fn from(name: &str) -> Clip {
        Clip::Name(name.into())
    }
}

impl Animation {
    /// Plays this clip over and over, from when it is first seen.
    ///
    /// ```
    /// use hearth_abi::scene::Animation;
    /// let walk = Animation { speed: 1.5, blend: 0.2, ..Animation::of("walk") };
    /// ```
    pub fn of(clip: impl Into<Clip>) -> Animation {
        Animation {
            lump: None,
            clip: clip.into(),
            repeat: true,
            paused: false,
            speed: 1.0,
            offset: 0.0,
            weight: 1.0,
            blend: 0.0,
            start_ns: 0,
        }
    }

    /// The same clip of this lump of class `Animation`, for a model that has it not itself.
    ///
    /// ```
    /// # use hearth_abi::{LumpId, scene::Animation};
    /// # let dances = LumpId([7; 32]);
    /// let waltz = Animation::of("waltz").in_lump(dances);
    /// ```
    #[must_use]
    pub fn in_lump(self, lump: LumpId) -> Animation {
        Animation { lump: Some(lump), ..self }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let has_lump = u8::from(self.lump.is_some());
        out.push(u8::from(self.repeat) | u8::from(self.paused) << 1 | has_lump << 2);
        put_floats(out, &[self.speed, self.offset, self.weight, self.blend]);
        out.extend_from_slice(&self.start_ns.to_le_bytes());
        self.lump.iter().for_each(|lump| out.extend_from_slice(&lump.0));
        match &self.clip {
            Clip::Number(number) => {
                out.push(0);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Clip::Name(name) => {
                out.push(1);
                out.extend_from_slice(name.as_bytes());
            }
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Animation, DecodeError> {
        let unknown = r.error("unknown flag of an animation");
        let flags = r.u8()?;
        if flags > 7 {
            return Err(unknown);
        }
        let (speed, offset) = (r.finite()?, r.finite()?);
        let out_of_range = r.error("weight is not between 0 and 1");
        let weight = r.finite()?;
        if !(0.0..=1.0).contains(&weight) {
            return Err(out_of_range);
        }
        let blend = at_least(r, 0.0)?;
        let start_ns = r.u64()?;
        let lump = if flags & 4 != 0 { Some(LumpId(r.array()?)) } else { None };
        let unknown = r.error("unknown way to name a clip");
        let clip = match r.u8()? {
            0 => Clip::Number(r.u32()?),
            1 => Clip::Name(name(r)?),
            _ => return Err(unknown),
        };
        let (repeat, paused) = (flags & 1 != 0, flags & 2 != 0);
        Ok(Animation { lump, clip, repeat, paused, speed, offset, weight, blend, start_ns })
    }
}

/// Ties an entity that hangs under a model to a node of that model (a joint of a skin, say). As bytes: `u8` mode, and
/// the name of the node in UTF-8 to the end. While the model has no such node, nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelNode {
    /// What is tied to what.
    pub mode: NodeMode,
    /// Name of the node, of several the first. Not empty, at most [`NAME_LEN_MAX`] bytes.
    pub name: String,
}

/// How an entity is tied to a node of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NodeMode {
    /// The node has the entity's transform, relative to the node's parent, whatever the model plays.
    Replace = 0,
    /// The entity's transform comes on top of what the model plays, so that a turned head goes on nodding:
    /// translations are added, the rotation is one about the node's own axes, scales are multiplied.
    Add = 1,
    /// The entity, with all below it, is where the node is; its transform is relative to the node.
    Follow = 2,
}

impl ModelNode {
    /// What this entity is set to, the node has.
    pub fn replace(name: impl Into<String>) -> ModelNode {
        ModelNode { mode: NodeMode::Replace, name: name.into() }
    }

    /// What this entity is set to is added to what the node has.
    pub fn add(name: impl Into<String>) -> ModelNode {
        ModelNode { mode: NodeMode::Add, name: name.into() }
    }

    /// This entity goes with the node.
    pub fn follow(name: impl Into<String>) -> ModelNode {
        ModelNode { mode: NodeMode::Follow, name: name.into() }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.mode as u8);
        out.extend_from_slice(self.name.as_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<ModelNode, DecodeError> {
        let unknown = r.error("unknown mode of a node");
        let mode = match r.u8()? {
            0 => NodeMode::Replace,
            1 => NodeMode::Add,
            2 => NodeMode::Follow,
            _ => return Err(unknown),
        };
        Ok(ModelNode { mode, name: name(r)? })
    }
}

/// A picture of all directions, as the sky and as the light from around; of several, that of the lowest entity id is
/// shown, in the place of any [`Sky`](super::Sky). As bytes: 32 of the lump, `f32` brightness, `f32` ambient, `f32`
/// rotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Environment {
    /// Lump of class `Environment`: a picture of all directions, twice as wide as high, its middle in the direction −Z;
    /// Radiance HDR, PNG, JPEG or WebP.
    pub lump: LumpId,
    /// How bright it is seen, in cd/m² for a colour of 1; 0 or more.
    pub brightness: f32,
    /// Light from all sides in cd/m² for a colour of 1; 0 or more.
    pub ambient: f32,
    /// Radians by which it is turned about +Y.
    pub rotation: f32,
}

impl Environment {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lump.0);
        put_floats(out, &[self.brightness, self.ambient, self.rotation]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Environment, DecodeError> {
        Ok(Environment {
            lump: LumpId(r.array()?),
            brightness: at_least(r, 0.0)?,
            ambient: at_least(r, 0.0)?,
            rotation: r.finite()?,
        })
    }
}

fn name(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    if r.is_empty() || r.remaining() > NAME_LEN_MAX {
        return Err(r.error("name is empty or too long"));
    }
    Ok(r.text(r.remaining())?.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use alloc::{boxed::Box, vec};

    fn bytes_of(component: &Component) -> Vec<u8> {
        let mut bytes = Vec::new();
        component.encode(&mut bytes);
        bytes
    }

    #[test]
    fn these_are_their_bytes() {
        let walk = Animation { blend: 0.5, start_ns: 7, ..Animation::of("walk") };
        let walk = Component::Animation(Box::new(walk));
        let mut expect = vec![1];
        expect.extend([1.0f32, 0.0, 1.0, 0.5].iter().flat_map(|v| v.to_le_bytes()));
        expect.extend([7, 0, 0, 0, 0, 0, 0, 0, 1]);
        expect.extend(b"walk");
        assert_eq!(bytes_of(&walk), expect);
        let lent = Animation { blend: 0.5, start_ns: 7, ..Animation::of("walk").in_lump(LumpId([5; 32])) };
        let lent = Component::Animation(Box::new(lent));
        expect[0] = 5;
        expect.splice(25..25, [5; 32]);
        assert_eq!(bytes_of(&lent), expect);
        assert_eq!(Component::decode(ComponentKind::Animation, &expect), Ok(lent));
        let head = Component::Node(Box::new(ModelNode::add("head")));
        assert_eq!(bytes_of(&head), b"\x01head");
        let sky = Environment { lump: LumpId([9; 32]), brightness: 0.0, ambient: 2.0, rotation: -2.0 };
        let bytes = bytes_of(&Component::Environment(sky));
        assert_eq!(bytes[..32], [9; 32]);
        assert_eq!(bytes[32..], [0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0xC0]);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let check = |component: Component, problem| {
            let error = Component::decode(component.kind(), &bytes_of(&component)).unwrap_err();
            assert_eq!(error.problem, problem, "{component:?}");
        };
        let animation = |animation| Component::Animation(Box::new(animation));
        let plain = || Animation::of(0);
        check(animation(Animation { speed: f32::INFINITY, ..plain() }), "number is not finite");
        check(animation(Animation { weight: 1.5, ..plain() }), "weight is not between 0 and 1");
        check(animation(Animation { blend: -1.0, ..plain() }), "number is too small");
        check(animation(Animation::of("")), "name is empty or too long");
        check(Component::Node(Box::new(ModelNode::follow(""))), "name is empty or too long");
        let long = "n".repeat(NAME_LEN_MAX + 1);
        check(Component::Node(Box::new(ModelNode::follow(long))), "name is empty or too long");
        let dark = Environment { lump: LumpId([9; 32]), brightness: -1.0, ambient: 0.0, rotation: 0.0 };
        check(Component::Environment(dark), "number is too small");
        let wrong = |kind, bytes: &[u8]| Component::decode(kind, bytes).unwrap_err().problem;
        assert_eq!(wrong(ComponentKind::Node, b"\x03head"), "unknown mode of a node");
        assert_eq!(wrong(ComponentKind::Node, b"\x00\xFF"), "text is not UTF-8");
        assert_eq!(wrong(ComponentKind::Animation, &[8]), "unknown flag of an animation");
        // A lump is announced, and the bytes end in it.
        let mut short = bytes_of(&animation(plain().in_lump(LumpId([5; 32]))));
        short.truncate(40);
        assert_eq!(wrong(ComponentKind::Animation, &short), "input ends early");
    }
}
