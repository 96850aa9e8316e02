// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps between peers: fetched on demand, pushed, large, pinned, and damaged on disk.

use hearth_abi::Errno;
use hearth_e2e::{Hands, LONG, Space, wait_until};
use std::{fs, path::Path};

/// Bytes that do not repeat, the same for the same seed (xorshift64*).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()
    });
    words.flatten().take(len).collect()
}

#[test]
fn lumps_go_where_they_are_wanted() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let bob = space.client("bob", &server).start();

    // Only ada has it; bob gets it through the server. From standard input, into one.
    let loaded = ada.ctl_with(&["load-lump", "-"], b"what only ada has");
    assert_eq!(loaded.code, 0, "{}", loaded.stderr);
    let id = loaded.text();
    assert_eq!(bob.ok(&["get-lump", &id]), "what only ada has");
    // An empty one is one too.
    let empty = ada.ctl_with(&["load-lump"], b"").code;
    assert_eq!(empty, 64, "a file must be named");
    let empty = ada.ok(&["load-lump", "/dev/null"]);
    assert_eq!(bob.ok(&["get-lump", &empty]), "");

    // A large one, and a guest that reads any part of it.
    let large = noise(7, 64 << 20);
    let file = space.write("large", &large);
    let id = ada.ok(&["load-lump".as_ref(), file.as_os_str()]);
    let copy = space.path("copy");
    bob.ok(&["get-lump", &id, "-o", copy.to_str().unwrap()]);
    assert!(fs::read(&copy).unwrap() == large, "the copy differs");
    let hands = Hands::on(&space, &server);
    assert_eq!(hands.lump_size(&id).ok().bytes, (64_u64 << 20).to_le_bytes());
    for (offset, len) in [(0, 100), (12_345_678, 1_000_000), ((64 << 20) - 10, 1000)] {
        let part = hands.lump_read(&id, offset as u64, len as u64).ok();
        assert!(part.bytes == large[offset..large.len().min(offset + len)], "at {offset}");
        assert_eq!(part.result, part.bytes.len() as i64);
    }
    // A guest makes one, and pushes it to a peer that did not ask.
    let made = of_ada(&space, &ada).lump_put(b"made by a guest").ok();
    assert_eq!(made.result, 0);
    let id = ada.json(&["list-lumps"]).into_iter().find(|lump| lump["size"] == 15).unwrap()["id"].clone();
    let id = id.as_str().unwrap();
    assert!(!has(&bob, id));
    of_ada(&space, &ada).lump_push(id, bob.number()).ok();
    assert!(has(&bob, id), "the reply comes when it is there");
    assert_eq!(of_ada(&space, &ada).lump_push(id, 4711).errno(), Some(Errno::NoPeer));

    // What nobody has.
    let nothing = "5".repeat(64);
    let output = bob.ctl(&["get-lump", &nothing]);
    assert_eq!(output.code, 66, "{output:?}");
    assert!(output.stderr.contains(&nothing), "{}", output.stderr);
    assert_eq!(hands.lump_size(&nothing).errno(), Some(Errno::NotFound));
    assert!(!space.path("none").exists());
    bob.ctl(&["get-lump", &nothing, "-o", space.path("none").to_str().unwrap()]);
    assert!(!space.path("none").exists(), "no file is made for what is not there");

    // Pins.
    let pinned = |peer: &hearth_e2e::Peer| {
        peer.json(&["list-lumps"]).into_iter().find(|lump| lump["id"] == id).unwrap()["pinned"] == true
    };
    bob.ok(&["pin", id]);
    assert!(pinned(&bob) && !pinned(&ada));
    bob.ok(&["unpin", id]);
    assert!(!pinned(&bob));
    assert_eq!(bob.ctl(&["pin", &nothing]).code, 66);
    assert_eq!(bob.ctl(&["pin", "not an id"]).code, 64);
}

fn of_ada<'a>(space: &Space, ada: &'a hearth_e2e::Peer) -> Hands<'a> {
    Hands::on(space, ada)
}

fn has(peer: &hearth_e2e::Peer, id: &str) -> bool {
    peer.json(&["list-lumps"]).iter().any(|lump| lump["id"] == id)
}

#[test]
fn a_damaged_lump_is_noticed_and_fetched_again() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let bytes = noise(11, 3 << 20);
    let file = space.write("file", &bytes);
    let id = server.ok(&["load-lump".as_ref(), file.as_os_str()]);
    let copy = space.path("copy");
    let get = |name: &str| {
        let copy = space.path(name);
        let output = ada.ctl(&["get-lump", &id, "-o", copy.to_str().unwrap()]);
        (output, fs::read(copy).ok())
    };
    assert_eq!(get("first").1.as_ref(), Some(&bytes));

    let stored = ada.data().join("lumps/files").join(&id[..2]).join(&id);
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut = |path: &Path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
    };
    for name in ["flipped", "cut"] {
        if name == "cut" {
            cut(&stored)
        } else {
            flip(&stored)
        }
        let (output, got) = get(name);
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
        assert!(got.as_ref() == Some(&bytes), "{name}: what came is not what was asked for");
        assert!(ada.stderr().contains(&id), "{name}: the log names the lump");
    }
    assert!(fs::read_dir(ada.data().join("lumps/corrupt")).unwrap().count() >= 1, "it was moved aside");

    // Where nobody else has it, it is reported, and nothing wrong is written.
    let lonely = ada.ctl_with(&["load-lump", "-"], &noise(12, 3 << 20)).text();
    flip(&ada.data().join("lumps/files").join(&lonely[..2]).join(&lonely));
    let output = ada.ctl(&["get-lump", &lonely, "-o", copy.to_str().unwrap()]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains(&lonely), "{}", output.stderr);
    assert!(!copy.exists());
    // Loaded again it is whole again.
    assert_eq!(ada.ctl_with(&["load-lump", "-"], &noise(12, 3 << 20)).text(), lonely);
    wait_until("it can be had", LONG, || (ada.ctl(&["get-lump", &lonely]).code == 0).then_some(()));
}
