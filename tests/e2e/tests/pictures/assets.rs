// SPDX-License-Identifier: AGPL-3.0-or-later
//! Assets that do not load: a placeholder is seen, and who asked for them reads why.

use crate::{album::Album, alone};
use hearth_abi::scene::{Camera, Component, Material, MeshSource, Op, Scope, Transform};
use hearth_abi::{Errno, LumpId};
use hearth_e2e::{Area, Hands, LONG, Peer, Space, count, wait_until};

fn lump(peer: &Peer, bytes: &[u8]) -> LumpId {
    peer.ctl_with(&["load-lump", "-"], bytes).text().parse().unwrap()
}

#[test]
fn what_does_not_load_is_shown_and_told() {
    let _alone = alone();
    let album = Album::new("assets");
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).headless("320x180").start();

    // An eye of her own, since no avatar runs.
    let eye = Hands::on(&space, &ada);
    let id = eye.make_local(vec![
        Component::Transform(Transform::at(0.0, 0.0, 3.0)),
        Component::Camera(Camera::default()),
    ]);
    assert!(id.to_bits() > 0);
    // A wall that shines in the background, so that there is something beside the placeholder.
    let wall = Material { unlit: true, base_color: [0.1, 0.4, 0.1, 1.0], ..Material::default() };
    eye.make(vec![
        Component::Transform(Transform::at(0.0, 0.0, -3.0)),
        Component::Mesh(MeshSource::Cuboid([20.0, 20.0, 0.1])),
        Component::Material(Box::new(wall)),
    ]);
    let green = |[red, green, blue]: [u8; 3]| green > 60 && green > red.max(blue).saturating_add(20);
    let middle = Area { left: 0.4, top: 0.4, right: 0.6, bottom: 0.6 };
    album.wait(&ada, "wall", |picture| count(picture, Area::ALL, green) > 0.95);

    // Bytes that are no mesh, wanted by a process of the server.
    let garbage = lump(&server, b"this is no mesh at all");
    let at_server = Hands::on(&space, &server);
    let broken = at_server
        .make(vec![Component::Transform(Transform::IDENTITY), Component::Mesh(MeshSource::Lump(garbage))]);
    album.wait(&ada, "placeholder", |picture| count(picture, middle, green) < 0.8);
    wait_until("its log says why", LONG, || {
        let log = at_server.log_text();
        (log.contains(&garbage.to_string()) && log.contains("ada")).then_some(())
    });
    at_server.apply(&[Op::Remove(broken)]).ok();
    album.wait(&ada, "removed", |picture| count(picture, middle, green) > 0.95);

    // A texture that is none, and a lump that nobody has, wanted by a process of her own.
    let textured = Material { base_color_texture: Some(garbage), ..Material::default() };
    eye.make(vec![
        Component::Transform(Transform::IDENTITY),
        Component::Mesh(MeshSource::Cuboid([1.0; 3])),
        Component::Material(Box::new(textured)),
    ]);
    let nowhere = LumpId([0x5a; 32]);
    eye.make(vec![Component::Transform(Transform::at(1.0, 0.0, 0.0)), Component::Model(nowhere)]);
    for id in [garbage, nowhere] {
        wait_until("her log says why", LONG, || eye.log_text().contains(&id.to_string()).then_some(()));
    }
    album.wait(&ada, "texture", |picture| count(picture, middle, green) < 0.8);

    // Asked for as an asset, the answer says it.
    for class in ["Mesh", "Texture", "Scene", "Sound", "WebAssembly"] {
        let answer = eye.asset_load(class, &garbage.to_string());
        let errno = answer.errno();
        assert!(matches!(errno, Some(Errno::Malformed | Errno::Module)), "{class}: {errno:?}");
        assert!(!answer.text().is_empty(), "{class}: without a reason");
    }
    assert_eq!(eye.asset_load("Teapot", &garbage.to_string()).errno(), Some(Errno::Invalid));
    assert_eq!(eye.asset_load("Mesh", &nowhere.to_string()).errno(), Some(Errno::NotFound));
    let picture = std::fs::read(space_picture(&space)).unwrap();
    let good = lump(&server, &picture);
    eye.asset_load("Texture", &good.to_string()).ok();
    let tone = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/sound/tests/files/tone.ogg");
    let tone = lump(&server, &std::fs::read(tone).unwrap());
    eye.asset_load("Sound", &tone.to_string()).ok();

    // What a local scope holds is this peer's alone.
    assert_eq!(
        ada.status()["entities"].as_u64(),
        server.status()["entities"].as_u64().map(|shared| shared + 1)
    );
    let local = vec![Op::Create(id, Scope::Local)];
    assert!(at_server.apply(&local).errno().is_some(), "a server has no user");
}

fn space_picture(space: &Space) -> std::path::PathBuf {
    let path = space.path("good.png");
    image::RgbaImage::from_pixel(4, 4, image::Rgba([200, 100, 50, 255])).save(&path).unwrap();
    path
}
