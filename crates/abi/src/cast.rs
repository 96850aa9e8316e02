// SPDX-License-Identifier: AGPL-3.0-or-later
//! Rays and balls that are sent through the scene to find what they meet.

use crate::{
    DecodeError, EntityId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// Most hits of one cast: enough to look through a thicket, and a reply stays small.
pub const HITS_MAX: u32 = 64;
/// Longest way of a cast in metres, which is as far as an engine places things.
pub const DISTANCE_MAX: f32 = 1e6;
/// Largest radius of a ball in metres. A larger one would meet most of a scene, each triangle of which costs time.
pub const RADIUS_MAX: f32 = 100.0;

/// What is sent through the scene. As bytes, [`CAST_LEN`] of them: in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cast {
    /// Where it begins, in the world, in metres: the middle of a ball. Three `f32`.
    pub from: [f32; 3],
    /// Where it goes. Need not be of length 1, but not zero. Three `f32`.
    pub way: [f32; 3],
    /// How far it goes in metres, more than 0 and at most [`DISTANCE_MAX`]. `f32`.
    pub distance_max: f32,
    /// Radius in metres of the ball that is sent, at most [`RADIUS_MAX`]; 0 for a ray. `f32`.
    pub radius: f32,
    /// Most hits that are told, the nearest, 1 to [`HITS_MAX`]: one for each entity. `u32`.
    pub hits_max: u32,
    /// This entity and all below it are not met. `u64`, zero for none.
    pub without: Option<EntityId>,
}

/// Length of a cast in bytes.
pub const CAST_LEN: usize = 8 * 4 + 4 + 8;

impl Cast {
    /// The cast as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CAST_LEN);
        put_floats(&mut out, &self.from);
        put_floats(&mut out, &self.way);
        put_floats(&mut out, &[self.distance_max, self.radius]);
        out.extend_from_slice(&self.hits_max.to_le_bytes());
        out.extend_from_slice(&self.without.map_or(0, EntityId::to_bits).to_le_bytes());
        out
    }

    /// The cast in these bytes.
    ///
    /// # Errors
    /// A number is out of range, or bytes are missing or left.
    pub fn decode(bytes: &[u8]) -> Result<Cast, DecodeError> {
        let mut r = Reader::new(bytes);
        let from = r.finites()?;
        let no_way = r.error("the cast goes nowhere");
        let way: [f32; 3] = r.finites()?;
        // The smallest and the largest whose square is still a number with all its digits.
        if !way.iter().any(|part| part.abs() > 1e-15) || way.iter().any(|part| part.abs() > 1e15) {
            return Err(no_way);
        }
        let too_far = r.error("distance is out of range");
        let distance_max = r.finite()?;
        if !(distance_max > 0.0 && distance_max <= DISTANCE_MAX) {
            return Err(too_far);
        }
        let too_large = r.error("radius is out of range");
        let radius = r.finite()?;
        if !(0.0..=RADIUS_MAX).contains(&radius) {
            return Err(too_large);
        }
        let too_many = r.error("number of hits is out of range");
        let hits_max = r.u32()?;
        if !(1..=HITS_MAX).contains(&hits_max) {
            return Err(too_many);
        }
        let without = r.u64()?;
        r.end()?;
        let without = (without != 0).then(|| EntityId::from_bits(without));
        Ok(Cast { from, way, distance_max, radius, hits_max, without })
    }
}

/// Where a cast meets an entity first. As bytes, [`HIT_LEN`] of them: in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// What it meets. `u64`.
    pub entity: EntityId,
    /// Where, in the world, in metres: on the surface, also for a ball. Three `f32`.
    pub point: [f32; 3],
    /// In which direction the surface faces there, of length 1; of a ball: from the point to its middle.
    /// Three `f32`.
    pub normal: [f32; 3],
    /// Metres along the way: to the point, or to the middle of the ball when it touches; 0 if it
    /// begins there. `f32`.
    pub distance: f32,
}

/// Length of a hit in bytes.
pub const HIT_LEN: usize = 8 + 7 * 4;

/// These hits as bytes, one behind the other.
pub fn encode_hits(hits: &[Hit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(hits.len() * HIT_LEN);
    for hit in hits {
        out.extend_from_slice(&hit.entity.to_bits().to_le_bytes());
        put_floats(&mut out, &hit.point);
        put_floats(&mut out, &hit.normal);
        put_floats(&mut out, &[hit.distance]);
    }
    out
}

/// The hits in these bytes.
///
/// # Errors
/// An entity is zero, a number is not finite, bytes are missing, or there are more than [`HITS_MAX`].
pub fn decode_hits(bytes: &[u8]) -> Result<Vec<Hit>, DecodeError> {
    let mut r = Reader::new(bytes);
    if bytes.len() > HITS_MAX as usize * HIT_LEN {
        return Err(r.error("too many hits"));
    }
    let mut hits = Vec::with_capacity(bytes.len() / HIT_LEN);
    while !r.is_empty() {
        let nothing = r.error("entity id is zero");
        let entity = EntityId::from_bits(r.u64()?);
        if entity.to_bits() == 0 {
            return Err(nothing);
        }
        hits.push(Hit { entity, point: r.finites()?, normal: r.finites()?, distance: r.finite()? });
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    const DOWN: Cast = Cast {
        from: [0.0, 2.0, 0.0],
        way: [0.0, -1.0, 0.0],
        distance_max: 2.0,
        radius: 0.5,
        hits_max: 3,
        without: Some(EntityId::from_bits(7)),
    };

    /// The document's example.
    #[test]
    fn golden_vectors() {
        let (zero, half, two, down) = ([0; 4], [0, 0, 0, 0x3f], [0, 0, 0, 0x40], [0, 0, 0x80, 0xbf]);
        let mut bytes = [zero, two, zero, zero, down, zero, two, half].as_flattened().to_vec();
        bytes.extend([3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), CAST_LEN);
        assert_eq!(DOWN.encode(), bytes);
        assert_eq!(Cast::decode(&bytes), Ok(DOWN));
        assert!(Cast::decode(&bytes[1..]).is_err());
        assert!(Cast::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn casts_that_would_take_for_ever_are_refused() {
        for cast in [
            Cast { way: [0.0; 3], ..DOWN },
            Cast { way: [1e-30, 0.0, 0.0], ..DOWN },
            Cast { way: [f32::MAX, 0.0, 0.0], ..DOWN },
            Cast { from: [f32::NAN, 0.0, 0.0], ..DOWN },
            Cast { distance_max: 0.0, ..DOWN },
            Cast { distance_max: f32::INFINITY, ..DOWN },
            Cast { distance_max: DISTANCE_MAX * 1.01, ..DOWN },
            Cast { radius: -1.0, ..DOWN },
            Cast { radius: RADIUS_MAX * 1.01, ..DOWN },
            Cast { hits_max: 0, ..DOWN },
            Cast { hits_max: HITS_MAX + 1, ..DOWN },
        ] {
            assert!(Cast::decode(&cast.encode()).is_err(), "{cast:?}");
        }
        let plain = Cast { radius: 0.0, without: None, ..DOWN };
        assert_eq!(Cast::decode(&plain.encode()), Ok(plain));
    }

    #[test]
    fn hits_read_back() {
        let hit = |bits| Hit {
            entity: EntityId::from_bits(bits),
            point: [1.0, 2.0, 3.0],
            normal: [0.0, 1.0, 0.0],
            distance: 4.5,
        };
        let hits: Vec<Hit> = (1..=u64::from(HITS_MAX)).map(hit).collect();
        let bytes = encode_hits(&hits);
        assert_eq!(decode_hits(&bytes).unwrap(), hits);
        assert_eq!(decode_hits(&[]).unwrap(), []);
        assert!(decode_hits(&bytes[1..]).is_err());
        assert!(decode_hits(&encode_hits(&[hit(0)])).is_err());
        assert!(decode_hits(&[&bytes[..], &bytes[..HIT_LEN]].concat()).is_err(), "one too many");
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoders(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(cast) = Cast::decode(&bytes) {
                prop_assert_eq!(cast.encode(), &bytes[..]);
            }
            if let Ok(hits) = decode_hits(&bytes) {
                prop_assert_eq!(encode_hits(&hits), bytes);
            }
        }
    }
}
