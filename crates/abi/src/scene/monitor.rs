// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components of what is seen from elsewhere, and of what is seen only by some, or from some distances.

use super::{Camera, above_zero, at_least, camera};
use crate::{
    DecodeError, EntityId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// Greatest width and height of the picture of a [`View`] in pixels.
pub const VIEW_SIZE_MAX: u16 = 2048;
/// Least width and height of the picture of a [`View`] in pixels.
pub const VIEW_SIZE_MIN: u16 = 16;

/// A camera whose picture is shown by [`Screen`]s in the space. It looks along the entity's −Z. As bytes: the
/// bytes of a [`Camera`], two `u16` width and height, `f32` rate.
///
/// A picture costs as much as that of an eye, so each peer makes at most four of these for one of its own, of no more than 4
/// million pixels together: those that are seen largest, and none that no screen in sight shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// What it sees; its priority counts for nothing.
    pub camera: Camera,
    /// Width and height in pixels, [`VIEW_SIZE_MIN`] to [`VIEW_SIZE_MAX`].
    pub size: [u16; 2],
    /// Most pictures a second, more than 0.
    pub rate: f32,
}

impl Default for View {
    fn default() -> View {
        View { camera: Camera::default(), size: [512, 288], rate: 15.0 }
    }
}

impl View {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.camera.encode(out);
        self.size.iter().for_each(|size| out.extend_from_slice(&size.to_le_bytes()));
        put_floats(out, &[self.rate]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<View, DecodeError> {
        let camera = camera(r)?;
        let out_of_range = r.error("size of the picture is out of range");
        let size = [r.u16()?, r.u16()?];
        if size.iter().any(|size| !(VIEW_SIZE_MIN..=VIEW_SIZE_MAX).contains(size)) {
            return Err(out_of_range);
        }
        Ok(View { camera, size, rate: above_zero(r)? })
    }
}

/// Shows on the entity's mesh, by its uvs, what a [`View`] sees, whatever the entity's material. While there is no
/// picture it is black. As bytes: `u64` entity, `f32` brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screen {
    /// The entity with the view.
    pub view: EntityId,
    /// Factor of the picture, 0 or more: it is shown in its own colours whatever the light.
    pub brightness: f32,
}

impl Screen {
    /// What that entity sees.
    pub const fn of(view: EntityId) -> Screen {
        Screen { view, brightness: 1.0 }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.view.to_bits().to_le_bytes());
        put_floats(out, &[self.brightness]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Screen, DecodeError> {
        let zero = r.error("entity id is zero");
        let view = EntityId::from_bits(r.u64()?);
        if view.to_bits() == 0 {
            return Err(zero);
        }
        Ok(Screen { view, brightness: at_least(r, 0.0)? })
    }
}

/// The entity, and all below it, is seen only from distances within this range: one of several levels of detail, say.
/// As bytes: two `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisibilityRange {
    /// Metres from the eye to the entity's origin from which on it is seen, 0 or more.
    pub start: f32,
    /// Metres at which it is not seen any more, more than the start.
    pub end: f32,
}

impl VisibilityRange {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &[self.start, self.end]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<VisibilityRange, DecodeError> {
        let empty = r.error("range is empty");
        let (start, end) = (at_least(r, 0.0)?, at_least(r, 0.0)?);
        if start < end { Ok(VisibilityRange { start, end }) } else { Err(empty) }
    }
}

/// The layers that the entity, and all below it that has no such component itself, is in: it is seen by those
/// cameras and views that see one of them. On an entity with a camera or a view: the layers that this sees. Without
/// the component it is layer 0. As bytes: `u32`, in which bit *n* is layer *n*.
///
/// Light comes from all layers, falls on all, and casts the shadows of all. Pointers are on what their user's camera
/// sees; casts meet all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layers(pub u32);

impl Layers {
    /// The layer of all that says nothing else.
    pub const USUAL: Layers = Layers(1);

    /// In these layers; numbers above 31 count for nothing.
    pub fn of(layers: &[u8]) -> Layers {
        Layers(layers.iter().filter(|layer| **layer < 32).fold(0, |bits, layer| bits | 1 << layer))
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Layers, DecodeError> {
        let none = r.error("an entity is in one layer at least");
        let bits = r.u32()?;
        if bits == 0 { Err(none) } else { Ok(Layers(bits)) }
    }
}

impl Default for Layers {
    fn default() -> Layers {
        Layers::USUAL
    }
}

/// A mirror: the entity's mesh shows, in the place of its material, what is seen in the plane through the entity's
/// origin, across its +Y, which is where the built-in rectangle faces. From behind that plane it is dark. As bytes: `f32` × 3
/// colour, `u16` size, `u32` layers.
///
/// Each peer makes the pictures of two mirrors at most, those that its user sees largest; others are dark, and so are
/// all in the pictures of views. No mirror is seen in a mirror.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirror {
    /// Linear colour by which the picture is multiplied, each 0 or more.
    pub color: [f32; 3],
    /// Greatest width and height of its picture in pixels, [`VIEW_SIZE_MIN`] to [`VIEW_SIZE_MAX`].
    pub size: u16,
    /// The layers that are seen in it.
    pub layers: Layers,
}

impl Default for Mirror {
    fn default() -> Mirror {
        Mirror { color: [0.92; 3], size: 1024, layers: Layers(u32::MAX) }
    }
}

impl Mirror {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &self.color);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.layers.0.to_le_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Mirror, DecodeError> {
        let color = [at_least(r, 0.0)?, at_least(r, 0.0)?, at_least(r, 0.0)?];
        let out_of_range = r.error("size of the picture is out of range");
        let size = r.u16()?;
        if !(VIEW_SIZE_MIN..=VIEW_SIZE_MAX).contains(&size) {
            return Err(out_of_range);
        }
        Ok(Mirror { color, size, layers: Layers::decode(r)? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind, Listener};
    use std::vec;

    fn bytes(component: &Component) -> Vec<u8> {
        let mut out = vec![];
        component.encode(&mut out);
        out
    }

    #[test]
    fn golden_vectors() {
        let view = View {
            camera: Camera { fov_y: 1.0, near: 0.5, far: 100.0, exposure_ev100: 5.0, priority: -1 },
            size: [640, 360],
            rate: 30.0,
        };
        let mut expected = vec![];
        for float in [1.0f32, 0.5, 100.0, 5.0] {
            expected.extend(float.to_le_bytes());
        }
        expected.extend([0xff, 0xff, 0xff, 0xff, 0x80, 2, 0x68, 1, 0, 0, 0xf0, 0x41]);
        assert_eq!(bytes(&Component::View(view)), expected);
        assert_eq!(Component::decode(ComponentKind::View, &expected).unwrap(), Component::View(view));

        let screen = Component::Screen(Screen::of(EntityId::from_bits(0x0102)));
        let expected = [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f];
        assert_eq!(bytes(&screen), expected);
        assert_eq!(Component::decode(ComponentKind::Screen, &expected).unwrap(), screen);

        let range = Component::VisibilityRange(VisibilityRange { start: 1.0, end: 2.0 });
        let expected = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40];
        assert_eq!(bytes(&range), expected);
        assert_eq!(Component::decode(ComponentKind::VisibilityRange, &expected).unwrap(), range);

        assert_eq!(bytes(&Component::Layers(Layers::of(&[0, 9, 31, 32]))), [1, 2, 0, 0x80]);
        let mirror = Component::Mirror(Mirror { color: [1.0, 0.5, 0.0], size: 0x0102, layers: Layers(3) });
        assert_eq!(bytes(&mirror), [0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f, 0, 0, 0, 0, 2, 1, 3, 0, 0, 0]);
        assert_eq!(bytes(&Component::Listener(Listener { priority: -2 })), [0xfe, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn what_shows_nothing_is_refused() {
        let view = View::default();
        for (component, problem) in [
            (Component::View(View { size: [15, 100], ..view }), "size of the picture is out of range"),
            (Component::View(View { size: [100, 2049], ..view }), "size of the picture is out of range"),
            (Component::View(View { rate: 0.0, ..view }), "number is too small"),
            (
                Component::View(View { camera: Camera { fov_y: 4.0, ..view.camera }, ..view }),
                "camera sees nothing",
            ),
            (Component::Screen(Screen::of(EntityId::from_bits(0))), "entity id is zero"),
            (Component::VisibilityRange(VisibilityRange { start: 2.0, end: 2.0 }), "range is empty"),
            (Component::Layers(Layers(0)), "an entity is in one layer at least"),
            (
                Component::Mirror(Mirror { size: 9, ..Mirror::default() }),
                "size of the picture is out of range",
            ),
            (
                Component::Mirror(Mirror { color: [0.0, -1.0, 0.0], ..Mirror::default() }),
                "number is too small",
            ),
        ] {
            let error = Component::decode(component.kind(), &bytes(&component)).unwrap_err();
            assert_eq!(error.problem, problem, "{component:?}");
        }
    }
}
