// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where an interface stands: in the space, on something that moves, or before the eye of one user.

use hearth_sdk::{
    EntityId, Errno, Error,
    abi::scene::{Component, ComponentKind, Transform},
    math::{Quat, Vec3, vec3},
    message::call,
    process::whereis,
    scene,
};
use std::time::Duration;

/// Most entities that one hangs under another above an interface.
const CHAIN_MAX: usize = 8;
/// How long the avatar may take to tell which entity is the eye.
const SOON: Duration = Duration::from_secs(1);

/// Where an interface stands, who sees it, and how large it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What it hangs under: the nearest first.
    pub(crate) under: Vec<EntityId>,
    pub(crate) pose: Transform,
    pub(crate) is_local: bool,
}

impl Place {
    /// With its middle at a place, in metres, turned so that its front, which faces +Z, faces another way. Everybody
    /// sees it.
    pub fn at(place: Vec3, turn: Quat) -> Place {
        Place { under: Vec::new(), pose: scene::pose(place, turn), is_local: false }
    }

    /// Fixed to the view of this user: metres to the right of the middle of the picture, up, and before the eye, whose
    /// entity [`eye`] tells. It is as large as one of its size at that distance.
    ///
    /// ```
    /// use hearth_kit::Place;
    /// use hearth_sdk::EntityId;
    /// # let eye = EntityId::from_bits(7);
    /// // As large as if it stood 1.5 m away, but before nearly everything else.
    /// let place = Place::view(eye, [0.2, -0.1, 0.5]).scaled(0.5 / 1.5);
    /// ```
    pub fn view(eye: EntityId, [right, up, ahead]: [f32; 3]) -> Place {
        Place::at(vec3(right, up, -ahead), Quat::IDENTITY).under(eye).local()
    }

    /// Hangs under an entity: the place is relative to it, and it goes when that goes. If that entity hangs under
    /// another, which hangs under a third, say so by saying `under` again, at most 8 times: how they stand is needed to know
    /// what a pointer is on.
    #[must_use]
    pub fn under(mut self, entity: EntityId) -> Place {
        if self.under.len() < CHAIN_MAX {
            self.under.push(entity);
        }
        self
    }

    /// Only the user of this peer sees it.
    #[must_use]
    pub fn local(self) -> Place {
        Place { is_local: true, ..self }
    }

    /// So many times as large; a factor that is not above zero is left out.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Place {
        if factor.is_finite() && factor > 0.0 {
            self.pose.scale = self.pose.scale.map(|scale| scale * factor);
        }
        self
    }

    /// A ray of the world as the interface sees it: where it begins, and its way.
    pub(crate) fn ray(&self, from: [f32; 3], way: [f32; 3]) -> (Vec3, Vec3) {
        let above = self.under.iter().rev().filter_map(|entity| {
            match scene::read(*entity, ComponentKind::Transform)? {
                Component::Transform(transform) => Some(transform),
                _ => None,
            }
        });
        above.chain([self.pose]).fold((from.into(), way.into()), |(from, way), pose| {
            let [x, y, z, w] = pose.rotation;
            let back = Quat { v: vec3(x, y, z), w }.inverse();
            let [sx, sy, sz] = pose.scale.map(|scale| if scale.abs() > 1e-9 { 1.0 / scale } else { 0.0 });
            let shrunk = |v: Vec3| vec3(v.x * sx, v.y * sy, v.z * sz);
            (shrunk(back.rotate(from - Vec3::from(pose.translation))), shrunk(back.rotate(way)))
        })
    }
}

/// Where a ray meets the plane that lies so far before the interface: metres to the right and up of its middle. `None` if
/// it does not, or from behind.
pub(crate) fn meets((from, way): (Vec3, Vec3), before: f32) -> Option<[f32; 2]> {
    if way.z >= -1e-6 {
        return None;
    }
    let distance = (before - from.z) / way.z;
    let place = from + way * distance;
    (distance >= 0.0 && place.length().is_finite()).then_some([place.x, place.y])
}

/// Which entity is the eye of this peer's user, as the avatar tells. It is of local scope.
///
/// ```
/// use hearth_kit::*;
/// use hearth_sdk::prelude::*;
///
/// async fn before_the_eye() -> Result<Ui<()>, Error> {
///     let place = Place::view(eye().await?, [0.0, -0.12, 0.5]).scaled(0.3);
///     Ok(Ui::new(place, Theme::dusk(), label("welcome"))?)
/// }
/// # let ran = hearth_sdk::testing::run_for(async { before_the_eye().await.err() }, Duration::from_secs(2));
/// # assert_eq!(ran.flatten().map(|error| error.errno), Some(Errno::NotFound));
/// ```
///
/// # Errors
/// [`Errno::NotFound`] if there is no avatar here, [`Errno::Unsupported`] if it has no eye (a peer without a picture),
/// [`Errno::TimedOut`] if it does not tell within a second.
pub async fn eye() -> Result<EntityId, Error> {
    let avatar = whereis("avatar").ok_or_else(|| Error::new(Errno::NotFound, "there is no avatar here"))?;
    match call::<u64, _>(avatar, "eye", SOON).await? {
        0 => Err(Error::new(Errno::Unsupported, "the avatar has no eye")),
        bits => Ok(EntityId::from_bits(bits)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::scene::Entity;

    fn met(place: &Place, to: Vec3) -> Option<[f32; 2]> {
        let from = vec3(0.0, 1.7, 0.0);
        meets(place.ray(from.array(), (to - from).unit().unwrap().array()), 0.0)
    }

    fn near(met: Option<[f32; 2]>, [x, y]: [f32; 2]) -> bool {
        met.is_some_and(|[a, b]| (a - x).abs() < 1e-4 && (b - y).abs() < 1e-4)
    }

    #[test]
    fn rays_meet_it_where_it_stands() {
        let place = Place::at(vec3(1.0, 1.5, -3.0), Quat::IDENTITY);
        assert!(near(met(&place, vec3(1.2, 1.4, -3.0)), [0.2, -0.1]));
        assert!(near(met(&place.clone().scaled(0.5), vec3(1.2, 1.4, -3.0)), [0.4, -0.2]));
        assert_eq!(met(&place, vec3(1.0, 1.5, 3.0)), None, "it is the other way");
        let turned = Place::at(vec3(-2.0, 1.0, 0.0), Quat::about(Vec3::Y, std::f32::consts::FRAC_PI_2));
        assert!(near(met(&turned, vec3(-2.0, 1.3, -0.4)), [0.4, 0.3]));
        let back = Place::at(vec3(0.0, 1.7, -2.0), Quat::about(Vec3::Y, std::f32::consts::PI));
        assert_eq!(met(&back, vec3(0.0, 1.7, -2.0)), None, "that is its back");
    }

    #[test]
    fn what_hangs_moves_with_what_it_hangs_under() {
        let cart = Entity::new().at(0.0, 1.0, -4.0).turned(Quat::about(Vec3::Y, 0.5)).spawn().unwrap();
        let arm = Entity::new().parent(cart).at(0.0, 0.5, 0.0).scaled(2.0).spawn().unwrap();
        let place = Place::at(vec3(0.1, 0.0, 0.3), Quat::IDENTITY).under(arm).under(cart);
        let turn = Quat::about(Vec3::Y, 0.5);
        let of_arm = vec3(0.1 + 0.2, 0.05, 0.3);
        let in_world = vec3(0.0, 1.0, -4.0) + turn.rotate(vec3(0.0, 0.5, 0.0) + of_arm * 2.0);
        assert!(near(met(&place, in_world), [0.2, 0.05]), "{:?}", met(&place, in_world));
    }
}
