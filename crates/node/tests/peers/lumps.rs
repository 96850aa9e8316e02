// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps are fetched when they are needed, once, checked as they come, and go on where they were cut.

use crate::{
    common::{Raw, SOON, Space, leave, sample, soon, until},
    proxy::Proxy,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{LumpId, TerminalId, screen::Screen};
use hearth_net::PeerKey;
use hearth_node::{Picture, PictureEvent, join};
use hearth_protocol::{
    bulk::{Frame, PIECE_LEN_MAX, groups_len},
    control::Control,
};
use hearth_scene::Change;
use hearth_store::{Store, StoreOptions};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

const GROUP: u64 = 64 << 10;

/// A lump and the hashes of its groups.
fn with_hashes(bytes: &Bytes) -> (LumpId, Bytes) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), StoreOptions::default()).unwrap();
    let id = store.put(bytes).unwrap();
    (id, store.group_hashes(&id).unwrap().unwrap())
}

/// Answers a wish with head and hashes; gives from where the lump is wanted.
async fn offer(raw: &mut Raw, transfer: u32, size: u64, hashes: &Bytes) -> u64 {
    raw.bulk(&Frame::Head { transfer, size }).await;
    for start in (0..hashes.len()).step_by(PIECE_LEN_MAX) {
        let bytes = hashes.slice(start..hashes.len().min(start + PIECE_LEN_MAX));
        raw.bulk(&Frame::Groups { transfer, bytes }).await;
    }
    match raw.control().await {
        Control::Resume { transfer: number, offset } => {
            assert_eq!(number, transfer);
            offset
        }
        other => panic!("not gone on with: {other:?}"),
    }
}

async fn send(raw: &Raw, transfer: u32, bytes: &Bytes) {
    for start in (0..bytes.len()).step_by(PIECE_LEN_MAX) {
        let bytes = bytes.slice(start..bytes.len().min(start + PIECE_LEN_MAX));
        raw.bulk(&Frame::Piece { transfer, bytes }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lumps_come_from_whoever_has_them_and_stay() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    // Empty, a row of the database, a file, a file with group hashes.
    for (seed, size) in [0, 1000, 300_000, 3_000_001].into_iter().enumerate() {
        let bytes = sample(size, seed as u32);
        let id = ada.node.put_lump(bytes.clone()).await.unwrap();
        assert_eq!(bob.node.lump(id, SOON).await.unwrap(), bytes, "client, server, client");
    }
    let late = sample(2_000_000, 9);
    let id = space.node().put_lump(late.clone()).await.unwrap();
    assert_eq!(ada.node.lump(id, SOON).await.unwrap(), late, "server, client");
    let left = sample(1_200_000, 10);
    let id = ada.node.put_lump(left.clone()).await.unwrap();
    assert_eq!(space.node().lump(id, SOON).await.unwrap(), left, "client, server");
    leave(ada).await;
    assert_eq!(bob.node.lump(id, SOON).await.unwrap(), left, "the server keeps it");
    let nowhere = bob.node.lump(LumpId([7; 32]), SOON).await.unwrap_err();
    assert!(matches!(nowhere, hearth_node::LumpError::NotFound(_)), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_wait_share_one_transfer() {
    let space = Space::start().await;
    let mut source = space.raw("source").await;
    let bytes = sample(100_000, 1);
    let id = LumpId(*blake3::hash(&bytes).as_bytes());
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let node = space.node().clone();
            tokio::spawn(async move { node.lump(id, SOON).await })
        })
        .collect();
    let (transfer, wanted) = source.wanted().await;
    assert_eq!(wanted, id);
    source.bulk(&Frame::Looking { transfer }).await;
    source.bulk(&Frame::Looking { transfer }).await;
    source.bulk(&Frame::Head { transfer, size: bytes.len() as u64 }).await;
    send(&source, transfer, &bytes).await;
    for waiter in waiting {
        assert_eq!(soon("the lump", waiter).await.unwrap().unwrap(), bytes);
    }
    // Had there been a second wish, it would have come before this one.
    let node = space.node().clone();
    let other = LumpId([5; 32]);
    let asking = tokio::spawn(async move { node.lump(other, SOON).await });
    let (transfer, wanted) = source.wanted().await;
    assert_eq!(wanted, other);
    source.bulk(&Frame::Missing { transfer }).await;
    soon("an answer", asking).await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_cut_goes_on_where_it_stood() {
    let space = Space::start().await;
    let key = PeerKey::generate();
    let bytes = sample(4_000_003, 2);
    let (id, hashes) = with_hashes(&bytes);
    let size = bytes.len() as u64;
    assert_eq!(hashes.len() as u64, groups_len(size));
    let mut source = space.raw_with("source", key.clone()).await;
    let node = space.node().clone();
    let asking = tokio::spawn(async move { node.lump(id, SOON).await });
    let (transfer, wanted) = source.wanted().await;
    assert_eq!(wanted, id);
    assert_eq!(offer(&mut source, transfer, size, &hashes).await, 0);
    send(&source, transfer, &bytes.slice(..2_000_000)).await;
    let part = space.part_of(id);
    let has = |len: u64| std::fs::metadata(&part).is_ok_and(|meta| meta.len() >= len);
    until("the first part on the disk", || has(1_000_000)).await;
    source.sender.link().close().await;

    let mut source = space.raw_with("source", key).await;
    let (transfer, wanted) = source.wanted().await;
    assert_eq!(wanted, id, "the same waiters are still waiting");
    let offset = offer(&mut source, transfer, size, &hashes).await;
    assert!(offset >= 900_000 && offset % GROUP == 0 && offset <= 2_000_000, "{offset}");
    send(&source, transfer, &bytes.slice(offset as usize..)).await;
    assert_eq!(soon("the lump", asking).await.unwrap().unwrap(), bytes);
    assert!(!part.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_gets_the_rest_of_what_it_was_getting() {
    const MIB: u64 = 1 << 20;
    let space = Space::start().await;
    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("ada");
    options.connect = proxy.address.clone();
    let ada = hearth_node::join(options).await.unwrap();
    let bytes = sample(12 << 20, 6);
    let id = space.node().put_lump(bytes.clone()).await.unwrap();
    proxy.cut_after(7 * MIB);
    let node = ada.node.clone();
    let asking = tokio::spawn(async move { node.lump(id, SOON).await });
    until("the line is cut", || proxy.is_cut()).await;
    let before = proxy.carried();
    proxy.mend();
    assert_eq!(soon("the lump", asking).await.unwrap().unwrap(), bytes);
    let rest = proxy.carried() - before;
    assert!((4 * MIB..7 * MIB).contains(&rest), "{rest} bytes came after the line was mended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_byte_is_noticed_in_its_group_and_the_next_peer_goes_on() {
    let space = Space::start().await;
    let mut first = space.raw("first").await;
    let bytes = sample(2_000_000, 3);
    let (id, hashes) = with_hashes(&bytes);
    let size = bytes.len() as u64;
    let node = space.node().clone();
    let asking = tokio::spawn(async move { node.lump(id, SOON).await });
    let (transfer, _) = first.wanted().await;
    // It comes while the first is being asked, and is asked when the first fails.
    assert_eq!(offer(&mut first, transfer, size, &hashes).await, 0);
    let mut wrong = bytes.to_vec();
    wrong[2 * GROUP as usize + 17] ^= 1;
    // No more than the end of the third group: what tells the receiver is the group, not the whole.
    send(&first, transfer, &Bytes::from(wrong).slice(..3 * GROUP as usize)).await;
    assert_eq!(first.control().await, Control::Cancel { transfer });
    soon("an answer", asking).await.unwrap().unwrap_err();

    let mut second = space.raw("second").await;
    let node = space.node().clone();
    let asking = tokio::spawn(async move { node.lump(id, SOON).await });
    // Either may be asked first.
    let (transfer, source) = tokio::select! {
        (transfer, _) = second.wanted() => (transfer, &mut second),
        (transfer, _) = first.wanted() => (transfer, &mut first),
    };
    let offset = offer(source, transfer, size, &hashes).await;
    assert_eq!(offset, 2 * GROUP, "what was right of it is kept");
    send(source, transfer, &bytes.slice(offset as usize..)).await;
    assert_eq!(soon("the lump", asking).await.unwrap().unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_and_sizes_that_are_not_the_lumps_are_refused() {
    let space = Space::start().await;
    let mut source = space.raw("source").await;
    let bytes = sample(2_000_000, 4);
    let (id, hashes) = with_hashes(&bytes);
    let size = bytes.len() as u64;
    let mut wrong = hashes.to_vec();
    wrong[40] ^= 1;
    let piece = |transfer| Frame::Piece { transfer, bytes: Bytes::from_static(b"x") };
    let answers: [&dyn Fn(u32) -> Vec<Frame>; 6] = [
        &|transfer| {
            vec![Frame::Head { transfer, size }, Frame::Groups { transfer, bytes: wrong.clone().into() }]
        },
        &|transfer| vec![Frame::Head { transfer, size }, piece(transfer)],
        &|transfer| vec![Frame::Head { transfer, size: u64::MAX }],
        &|transfer| vec![Frame::Head { transfer, size: 10 }, Frame::Head { transfer, size: 10 }],
        &|transfer| vec![piece(transfer)],
        &|transfer| {
            let bytes = Bytes::from_static(b"eleven byte");
            vec![Frame::Head { transfer, size: 10 }, Frame::Piece { transfer, bytes }]
        },
    ];
    for answer in answers {
        let node = space.node().clone();
        let asking = tokio::spawn(async move { node.lump(id, SOON).await });
        let (transfer, _) = source.wanted().await;
        for frame in answer(transfer) {
            source.bulk(&frame).await;
        }
        soon("an answer", asking).await.unwrap().unwrap_err();
        assert_eq!(source.control().await, Control::Cancel { transfer });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer_delays_a_lump_of_another_little() {
    let space = Space::start().await;
    let mut silent = Vec::new();
    for n in 0..3 {
        silent.push(space.raw(&format!("silent {n}")).await);
    }
    let ada = space.join("ada").await;
    let bytes = sample(50_000, 5);
    let id = ada.node.put_lump(bytes.clone()).await.unwrap();
    let start = std::time::Instant::now();
    assert_eq!(space.node().lump(id, SOON).await.unwrap(), bytes);
    // Each may think for a second before the next is asked too; the limit of the waiting is a minute.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// An engine that notes how far a lump is said to have come, and when it is there.
#[derive(Default)]
struct Waiting {
    told: Mutex<Vec<(u64, u64)>>,
    came: Notify,
}

impl Picture for Waiting {
    fn changes(&self, _changes: Vec<Change>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn lump(&self, _id: LumpId, bytes: Result<Bytes, String>) -> BoxFuture<'_, ()> {
        bytes.unwrap();
        self.came.notify_one();
        Box::pin(std::future::ready(()))
    }
    fn lump_progress(&self, _id: LumpId, received: u64, size: u64) {
        self.told.lock().push((received, size));
    }
    fn capture_pointer(&self, _on: bool) {}
    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("blind".into())))
    }
    fn load(&self, _class: &str, _id: LumpId) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn drop_asset(&self, _class: &str, _id: LumpId) {}
    fn screen(&self, _terminal: TerminalId, _screen: Option<Arc<Screen>>) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_hears_how_far_a_lump_has_come() {
    let space = Space::start().await;
    let proxy = Proxy::to(&space.address).await;
    let waiting = Arc::new(Waiting::default());
    let mut options = space.options("ada");
    options.connect = proxy.address.clone();
    options.picture = Some(waiting.clone());
    let ada = join(options).await.unwrap();
    let bytes = sample(3_000_000, 1);
    let id = space.node().put_lump(bytes).await.unwrap();
    // Longer than a second on the way.
    proxy.slow_down(2_000_000);
    ada.node.picture_event(PictureEvent::WantLump(id));
    soon("the lump", waiting.came.notified()).await;
    let told = waiting.told.lock().clone();
    assert!(told.len() >= 2 && told.iter().all(|(received, size)| received <= size && *size == 3_000_000));
    assert!(
        told.is_sorted() && told.iter().any(|(received, _)| (1..3_000_000).contains(received)),
        "{told:?}"
    );
    leave(ada).await;
}
