// SPDX-License-Identifier: AGPL-3.0-or-later
//! The first five minutes of a user, as the README tells them, from the first picture to a script that
//! everybody sees, changes and loses.

use crate::{
    album::{Album, settled_in},
    alone,
};
use hearth_e2e::{Area, Hands, LONG, Peer, Signal, Space, count, mean, std_guest, wait_until};
use image::RgbaImage;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Small, since a software renderer draws them.
const SIZE: &str = "480x270";

/// Where a client's camera is put: at the edge of the terrace, looking out along +Z, where nothing moves.
const IN_FRONT: &str = r#"{"go": {"at": [0, 1.7, 4.5], "yaw": 3.14159, "pitch": 0}}"#;
/// Before that, looking into it.
const BEFORE_BOB: &str = r#"{"go": {"at": [0, 1.7, 6.2], "yaw": 0, "pitch": 0}}"#;
/// Where the orb is put: in front of that.
const ORB: [&str; 3] = ["0", "1.7", "5.8"];
/// The part of the picture that is about the orb.
const MIDDLE: Area = Area { left: 0.35, top: 0.25, right: 0.65, bottom: 0.75 };
/// Where only sky is.
const ABOVE: Area = Area { left: 0.0, top: 0.0, right: 1.0, bottom: 0.15 };

/// The process of this name.
pub(crate) fn named(peer: &Peer, name: &str) -> String {
    wait_until(&format!("`{name}` runs"), LONG, || {
        let listed = peer.json(&["list-processes"]);
        let process = listed.into_iter().find(|process| process["names"][0] == name)?;
        (process["state"] != "starting").then(|| process["id"].as_str().unwrap().to_owned())
    })
}

fn tell(peer: &Peer, process: &str, message: &str) {
    peer.ok(&["send", process, message]);
}

fn colors(picture: &RgbaImage) -> usize {
    picture.pixels().map(|pixel| pixel.0.map(|channel| channel >> 3)).collect::<BTreeSet<_>>().len()
}

/// A picture of the place: light, and with much to see.
fn shows_a_place(picture: &RgbaImage) -> bool {
    let sky: f32 = mean(picture, ABOVE).iter().sum();
    sky > 60.0 && colors(picture) > 200
}

fn blue([red, green, blue]: [u8; 3]) -> bool {
    blue > 110 && blue.saturating_sub(red.max(green)) > 50
}

fn green([red, green, blue]: [u8; 3]) -> bool {
    green > 110 && green.saturating_sub(red.max(blue)) > 50
}

#[test]
fn the_first_five_minutes() {
    let _alone = alone();
    let album = Album::new("first-five-minutes");
    let space = Space::new();
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().headless(SIZE).start();
    let bob = space.client("bob", &server).boot().headless(SIZE).start();
    let both = [&ada, &bob];

    // Everybody is here, and everybody's services run.
    for peer in [&server, &ada, &bob] {
        wait_until("all see each other", LONG, || (peer.peers().len() == 3).then_some(()));
    }
    let offers = ada.json(&["list-peers"]);
    let bob_is = offers.iter().find(|peer| peer["name"] == "bob").unwrap();
    assert!(bob_is["offers"].as_array().unwrap().iter().any(|offer| offer == "picture"), "{bob_is}");
    named(&server, "mover");
    let avatars = both.map(|client| named(client, "avatar"));
    settled_in(&server, &both);

    // Both pictures show the place. Nothing needs to be done for that.
    for client in both {
        album.wait(client, "place", shows_a_place);
    }
    // Something moves, which the server's script moves.
    let first = album.wait(&bob, "before", shows_a_place);
    album.wait(&bob, "something-moved", |picture| differ(&first, picture, Area::ALL) > 0.0005);

    // Each other's avatars: bob looks at where ada will be, and then she is.
    tell(&ada, &avatars[0], r#"{"go": {"at": [0, 1.7, -30], "yaw": 0, "pitch": 0}}"#);
    let alone = go(&album, &bob, &avatars[1], IN_FRONT, "nobody");
    tell(&ada, &avatars[0], BEFORE_BOB);
    let together = album.wait(&bob, "ada-is-there", |picture| differ(&alone, picture, MIDDLE) > 0.05);
    assert!(differ(&alone, &together, Area { right: 0.1, ..Area::ALL }) < 0.02, "she is in the middle only");

    // Now both look at the same empty spot.
    let empty = go(&album, &ada, &avatars[0], IN_FRONT, "empty");
    let before = [empty, settled(&album, &bob, "empty", &together)];
    for picture in &before {
        assert!(count(picture, MIDDLE, blue) < 0.002 && count(picture, MIDDLE, green) < 0.002);
    }

    // A script of their own, in Rust: load, spawn and tail in one.
    let hello = std_guest("hello");
    let mut args = vec!["run", hello.to_str().unwrap(), "--name", "orb", "--"];
    args.extend(ORB);
    let mut run = ada.ctl_begin(&args, b"");
    wait_until("its log is shown", LONG, || {
        String::from_utf8_lossy(&run.stdout()).contains("glows at 0 1.7 5.8").then_some(())
    });
    let orb = named(&ada, "orb");
    let messages = [r#"{"color": [0, 0, 1]}"#, r#"{"color": [0, 1, 0]}"#];
    seen_changed_and_gone(&album, both, &before, "rust", &orb, messages, &mut || {
        run.signal(Signal::INT);
        let code = wait_until("run has ended", LONG, || run.ended());
        assert_eq!(code, 130, "{}", run.stderr());
    });

    // And one in the text form of WebAssembly, spawned by bob on the server. It has its own place.
    let before = [0, 1].map(|who| {
        let to = r#"{"go": {"at": [-1, 1.5, 1.7], "yaw": 3.14159, "pitch": 0}}"#;
        go(&album, both[who], &avatars[who], to, "empty")
    });
    let orb = bob.spawn(&wat_orb(), &["--peer", "0", "--name", "wat-orb"]);
    assert!(server.json(&["list-processes"]).iter().any(|process| process["names"][0] == "wat-orb"));
    wait_until("its log says something", LONG, || (!bob.log(&orb).is_empty()).then_some(()));
    let messages = [r#""blue""#, r#""green""#];
    seen_changed_and_gone(&album, both, &before, "wat", &orb, messages, &mut || {
        bob.ok(&["kill", &orb]);
    });

    // The client goes, and its avatar with it.
    let before = go(&album, &bob, &avatars[1], IN_FRONT, "empty-again");
    tell(&ada, &avatars[0], BEFORE_BOB);
    album.wait(&bob, "ada-again", |picture| differ(&before, picture, MIDDLE) > 0.05);
    drop(ada.end());
    album.wait(&bob, "ada-has-left", |picture| differ(&before, picture, MIDDLE) < 0.02);
    drop(bob.end());
    drop(server.end());
}

fn wat_orb() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/wat/orb.wat");
    assert!(path.is_file(), "`{}` is not there", path.display());
    path
}

/// An orb is seen by both; a message changes its colour for both; when it ends it is gone for both.
fn seen_changed_and_gone(
    album: &Album,
    both: [&Peer; 2],
    before: &[RgbaImage; 2],
    title: &str,
    orb: &str,
    [to_blue, to_green]: [&str; 2],
    end: &mut dyn FnMut(),
) {
    let [ada, bob] = both;
    for (client, before) in both.iter().zip(before) {
        album.wait(client, &format!("{title}-orb"), |picture| differ(before, picture, MIDDLE) > 0.05);
    }
    ada.ok(&["send", orb, to_blue]);
    for client in both {
        album.wait(client, &format!("{title}-blue"), |picture| count(picture, MIDDLE, blue) > 0.05);
    }
    // From the other side too, wherever it runs.
    bob.ok(&["send", orb, to_green]);
    for client in both {
        album.wait(client, &format!("{title}-green"), |picture| {
            count(picture, MIDDLE, green) > 0.05 && count(picture, MIDDLE, blue) < 0.002
        });
    }
    assert!(ada.process(orb).is_some(), "it is listed");
    end();
    wait_until("it is not listed any more", LONG, || ada.process(orb).is_none().then_some(()));
    for (client, before) in both.iter().zip(before) {
        album.wait(client, &format!("{title}-gone"), |picture| differ(before, picture, MIDDLE) < 0.02);
    }
    assert!(bob.log(orb).contains("killed"), "{}", bob.log(orb));
}

/// Sends an avatar somewhere, and waits until its user sees that.
fn go(album: &Album, client: &Peer, avatar: &str, to: &str, title: &str) -> RgbaImage {
    let from = album.wait(client, &format!("{title}-from"), shows_a_place);
    tell(client, avatar, to);
    settled(album, client, title, &from)
}

/// The picture once it is another one and does not change any more, but for what flickers.
fn settled(album: &Album, client: &Peer, title: &str, from: &RgbaImage) -> RgbaImage {
    let last = RefCell::new(None::<RgbaImage>);
    album.wait(client, title, |picture| {
        let before = last.replace(Some(picture.clone()));
        shows_a_place(picture)
            && differ(from, picture, MIDDLE) > 0.05
            && before.is_some_and(|before| differ(&before, picture, MIDDLE) < 0.02)
    })
}

/// The part of the pixels of an area that differ clearly.
fn differ(one: &RgbaImage, other: &RgbaImage, area: Area) -> f32 {
    hearth_e2e::differ(one, other, area, 24)
}

#[test]
fn the_owner_of_a_picture_may_ask_for_keys_and_others_may_not() {
    let _alone = alone();
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).headless("64x64").start();
    let keyboard = hearth_abi::input::mask::KEYBOARD;
    let own = Hands::on(&space, &ada);
    own.subscribe(keyboard).ok();
    own.capture_pointer().ok();
    let foreign = Hands::of_on(&space, &server, "ada");
    for answer in [foreign.subscribe(keyboard), foreign.capture_pointer()] {
        assert_eq!(answer.errno(), Some(hearth_abi::Errno::Permission));
    }
    foreign.subscribe(hearth_abi::input::mask::FRAME).ok();
}
