// SPDX-License-Identifier: AGPL-3.0-or-later
//! What crosses between a guest and its peer, and what a lump of class `Mesh` holds.

use hearth_abi::{
    cast::{Cast, decode_hits, encode_hits},
    input::Event,
    keyboard,
    mesh::Mesh,
    pointer,
    signal::{Header, decode_args, encode_args},
};

/// A mesh from anywhere: what is read is written alike.
pub fn mesh(data: &[u8]) -> bool {
    let Ok(mesh) = Mesh::decode(data) else { return false };
    for list in [mesh.normals.len(), mesh.uvs.len(), mesh.colors.len()] {
        assert!(list == 0 || list == mesh.positions.len());
    }
    assert!(mesh.indices.iter().all(|index| (*index as usize) < mesh.positions.len()));
    // Without vertices nothing tells whether there were attributes.
    if !mesh.positions.is_empty() {
        assert_eq!(mesh.encode(), data);
    }
    true
}

/// A signal, and a list of arguments.
pub fn signal(data: &[u8]) -> bool {
    let header = Header::decode(data);
    if let Ok((header, body)) = &header {
        assert_eq!([&header.encode()[..], body].concat(), data);
    }
    let args = decode_args(data);
    if let Ok(args) = &args {
        assert_eq!(encode_args(args), data);
    }
    header.is_ok() || args.is_ok()
}

/// An input event.
pub fn input(data: &[u8]) -> bool {
    let Ok(event) = Event::decode(data) else { return false };
    assert_eq!(event.encode(), data);
    assert_eq!(event.mask() == 0, matches!(event, Event::Paste(_)), "all but pastes are asked for");
    true
}

/// What a user typed into an entity.
pub fn keyboard(data: &[u8]) -> bool {
    let Ok(event) = keyboard::Event::decode(data) else { return false };
    assert_eq!(event.encode(), data);
    assert!(keyboard::is_told(&event.did) && event.entity.to_bits() != 0);
    true
}

/// What a pointer did, something that is sent through the scene, and what it met.
pub fn pointer(data: &[u8]) -> bool {
    let event = pointer::Event::decode(data);
    if let Ok(event) = &event {
        assert_eq!(event.encode(), data);
        assert!(event.from.iter().chain(&event.way).chain(&event.point).all(|number| number.is_finite()));
    }
    let cast = Cast::decode(data);
    if let Ok(cast) = &cast {
        assert_eq!(cast.encode(), data);
        assert!(cast.way != [0.0; 3] && cast.distance_max > 0.0 && cast.radius >= 0.0);
    }
    let hits = decode_hits(data);
    if let Ok(hits) = &hits {
        assert_eq!(encode_hits(hits), data);
    }
    event.is_ok() || cast.is_ok() || hits.is_ok()
}
