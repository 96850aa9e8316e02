// SPDX-License-Identifier: AGPL-3.0-or-later
//! Limits as a manifest says, of processes and of all processes of a peer of origin.

use crate::common::{Guest, Space, echo, leave, nobody, painter, post, round_trip, soon, stop, until};
use bytes::Bytes;
use hearth_abi::{
    EntityId, Errno, PeerId, ProcessId,
    scene::{Op, Scope, encode_batch},
};
use hearth_ipc::Client;
use hearth_node::{Flaw, Manifest, ManifestError, Node, ServerOptions, StartError, serve};
use hearth_process::Limit;
use hearth_protocol::operator::{LimitInfo, ProcessInfo, ProcessState, Request};
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tempfile::TempDir;

fn folder(manifest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("server");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("spawner.wasm"), spawner()).unwrap();
    std::fs::write(folder.join("space.toml"), manifest).unwrap();
    dir
}

/// A guest that spawns the module whose id it is sent, and sends back the id of the process or the error.
fn spawner() -> Bytes {
    let text = r#"(module
      (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
      (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
      (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
      (import "hearth/1" "spawn" (func $spawn (param i32 i32 i32 i32 i32) (result i64)))
      (memory (export "memory") 1)
      (func (export "start"))
      (func (export "wake") (local $id i64)
        (loop $next
          (if (i32.eq (call $try_recv (i32.const 0) (i32.const 4096)) (i32.const 56)) (then
            (local.set $id (call $spawn (i32.const 24) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (i32.store8 (i32.const 100) (select (i32.const 121) (i32.const 110) (i64.gt_s (local.get $id) (i64.const 0))))
            (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 1)))
            (br $next))))))"#;
    wat::parse_str(text).unwrap().into()
}

async fn info(space: &Space, id: ProcessId) -> ProcessInfo {
    let client = Client::connect(&space.server.socket).await.unwrap();
    soon("an operator's answer", client.list(&Request::Info { id })).await.unwrap().remove(0)
}

async fn listed(space: &Space, id: ProcessId) -> ProcessInfo {
    let client = Client::connect(&space.server.socket).await.unwrap();
    let request = Request::ListProcesses { peer: None, after: None };
    let all: Vec<ProcessInfo> = soon("an operator's answer", client.list(&request)).await.unwrap();
    all.into_iter().find(|info| info.id == id).unwrap()
}

fn max(info: &ProcessInfo, limit: &str) -> Option<u64> {
    info.limits[limit].max
}

/// A batch that makes so many entities that nobody has made.
fn makes(count: u64) -> Bytes {
    static LAST: AtomicU64 = AtomicU64::new(1 << 30);
    let first = LAST.fetch_add(count, Relaxed);
    let id = |n| EntityId::new(PeerId::SERVER, n).unwrap();
    let ops: Vec<Op> = (first..first + count).map(|n| Op::Create(id(n), Scope::Shared)).collect();
    encode_batch(&ops).into()
}

/// Paints, and tells whether that was applied.
async fn paints(painter: &mut Guest, batch: Bytes) -> bool {
    painter.tell(batch);
    loop {
        match &*painter.line().await {
            "y" => return true,
            "n" => return false,
            _ => {}
        }
    }
}

/// A guest of another peer on the server.
async fn of(client: &Node, space: &Space, module: Bytes) -> Guest {
    let module = client.put_lump(module).await.unwrap();
    let spawned = client.spawn(PeerId::SERVER, module, None, &[]);
    Guest::watch(space.node(), soon("a process", spawned).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_changes_what_processes_may_use() {
    let manifest = "[limits]\ntimers = 7\nmemory_bytes = 1_048_576\n\n[limits.own]\nprocesses = 1000\n\n\
        [[service]]\nname = 'low'\nmodule = 'spawner.wasm'\n\n[service.limits]\nchildren = 1\ntimers = 3\ncpu_percent = 80\n\n\
        [[service]]\nname = 'high'\nmodule = 'spawner.wasm'\n\n[service.limits]\ntimers = 99\nspawns_per_s = 50\n";
    let space = Space::start_in(folder(manifest), |options| options.boot = true).await;
    let (node, processes) = (space.node(), space.node().processes());
    until("the services run", || processes.whereis("high").is_some()).await;
    let [low, high] = ["low", "high"].map(|name| processes.whereis(name).unwrap());
    for id in [low, high] {
        soon("its start", processes.started(id)).await.unwrap();
    }
    let (of_low, of_high) = (info(&space, low).await, info(&space, high).await);
    let limits = |info: &ProcessInfo| {
        ["timers", "memory_bytes", "children", "spawns_per_s", "origin_processes", "cpu_percent"]
            .map(|limit| max(info, limit))
    };
    assert_eq!(limits(&of_low), [Some(3), Some(1 << 20), Some(1), None, Some(1000), Some(80)]);
    assert_eq!(limits(&of_high), [Some(99), Some(1 << 20), Some(65_536), Some(50), Some(1000), None]);
    assert_eq!(max(&of_low, "origin_cpu_percent"), None, "the peer's own have what others leave");
    assert_eq!(of_low.memory_bytes_max, Some(1 << 20));

    // Its children have no more than it has, and no more than every process.
    // One page of memory, so that it fits the limit of all.
    let lump = node.put_lump(spawner()).await.unwrap();
    let child_of = async |parent: ProcessId| {
        let mut log = Guest::watch(node, parent);
        log.tell(Bytes::copy_from_slice(&lump.0));
        while log.line().await != "y" {}
        let mut children = processes.list().into_iter().filter(|info| info.parent == Some(parent));
        children.next_back().unwrap().id
    };
    let of_child = info(&space, child_of(low).await).await;
    assert_eq!((max(&of_child, "timers"), max(&of_child, "cpu_percent")), (Some(3), Some(80)));
    assert_eq!(limits(&info(&space, child_of(high).await).await)[0], Some(7));

    // The second child of the one that may have one: refused, seen from outside, and the neighbour has another.
    let mut log = Guest::watch(node, low);
    log.tell(Bytes::copy_from_slice(&lump.0));
    while log.line().await != "n" {}
    let seen = listed(&space, low).await.limits["children"];
    assert_eq!(seen, LimitInfo { used: Some(1), max: Some(1), reached: 1 });
    child_of(high).await;
    let children = |of| processes.list().iter().filter(|info| info.parent == Some(of)).count();
    until("another child", || children(high) == 2).await;
    assert_eq!(children(low), 1);

    // It holds for the next process of the service too.
    processes.kill(None, low, "for a test").unwrap();
    until("it is back", || processes.whereis("low").is_some_and(|id| id != low)).await;
    let again = processes.whereis("low").unwrap();
    assert_eq!(processes.limits(again).unwrap().timers, 3);
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_of_a_stranger_have_a_bound_of_their_own() {
    // Also where no services are started.
    let manifest = "[limits.origin]\nprocesses = 3\nmemory_bytes = 7_864_320\n";
    let space = Space::start_in(folder(manifest), |_| {}).await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let processes = space.node().processes();
    let guests = [of(&ada.node, &space, echo()).await, of(&ada.node, &space, echo()).await];
    assert_eq!(processes.origin(ada.node.id()).processes, 2);
    // Each has 40 pages, and 120 are all.
    assert_eq!(processes.origin(ada.node.id()).memory_bytes, 80 << 16);
    let third = of(&ada.node, &space, echo()).await;
    let module = ada.node.put_lump(echo()).await.unwrap();
    let refused = soon("an answer", ada.node.spawn(PeerId::SERVER, module, None, &[])).await.unwrap_err();
    assert_eq!(Errno::from_number(refused.errno), Some(Errno::Limit));
    for word in [&*format!("peer {}", ada.node.id()), "3 processes", "`[limits.origin]`", "`space.toml`"] {
        assert!(refused.reason.contains(word), "no {word}: {}", refused.reason);
    }
    // Others spawn and hear each other.
    let theirs = of(&bob.node, &space, echo()).await;
    let mut post = Guest::start(&bob.node, post()).await;
    round_trip(&mut post, theirs.id, "as before").await;
    Guest::start(space.node(), echo()).await;
    round_trip(&mut post, guests[0].id, "and those that are there").await;
    // One that ends leaves its place.
    processes.kill(None, third.id, "").unwrap();
    soon("its end", processes.exited(third.id)).await;
    let again = of(&ada.node, &space, echo()).await;
    assert_eq!(processes.origin(ada.node.id()).processes, 3);
    // The memory of all: one with 41 pages more does not start.
    processes.kill(None, again.id, "").unwrap();
    soon("its end", processes.exited(again.id)).await;
    let large = wat::parse_str(r#"(module (memory (export "memory") 41) (func (export "start")))"#).unwrap();
    let module = ada.node.put_lump(large.into()).await.unwrap();
    let refused = soon("an answer", ada.node.spawn(PeerId::SERVER, module, None, &[])).await.unwrap_err();
    assert!(refused.reason.contains("7864320"), "{}", refused.reason);
    assert_eq!(processes.origin(ada.node.id()).memory_bytes, 80 << 16);
    leave(ada).await;
    leave(bob).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_computes_without_end_has_its_share_and_everybody_sees_it() {
    let space = Space::start_in(folder("[limits.origin]\ncpu_percent = 5\n"), |_| {}).await;
    let ada = space.join("ada").await;
    let processes = space.node().processes();
    let text =
        r#"(module (memory (export "memory") 1) (func (export "start") (loop $for_ever (br $for_ever))))"#;
    let hog = of(&ada.node, &space, wat::parse_str(text).unwrap().into()).await;
    soon("it is held up", async {
        while listed(&space, hog.id).await.state != ProcessState::Throttled {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    })
    .await;
    let seen = info(&space, hog.id).await;
    assert!(seen.throttled_ns > 0 && seen.cpu_ns > 0, "{seen:?}");
    let of_origin = seen.limits["origin_cpu_percent"];
    assert!(of_origin.max == Some(5) && of_origin.reached > 0, "{of_origin:?}");
    assert_eq!(seen.limits["cpu_percent"], LimitInfo::default());
    let log = processes.log_lines(hog.id, 10).unwrap();
    assert!(log.iter().any(|line| line.text.contains("5 percent of a processor")), "{log:?}");
    // Its neighbours speak as before, and it is killed as any other.
    let theirs = Guest::start(space.node(), echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    round_trip(&mut post, theirs.id, "as before").await;
    assert_eq!(info(&space, theirs.id).await.throttled_ns, 0);
    ada.node.processes().kill(None, hog.id, "enough").unwrap();
    soon("its end", processes.exited(hog.id)).await;
    leave(ada).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_bounded_by_process_and_by_origin_and_given_back() {
    let manifest = "[limits]\nentities = 5\n\n[limits.own]\nentities = 8\n\n[limits.origin]\nentities = 7\n";
    let space = Space::start_in(folder(manifest), |_| {}).await;
    let ada = space.join("ada").await;
    let processes = space.node().processes();
    let mut first = of(&ada.node, &space, painter()).await;
    let mut second = of(&ada.node, &space, painter()).await;
    assert!(paints(&mut first, makes(5)).await);
    assert!(!paints(&mut first, makes(1)).await, "one more than it may have");
    assert!(!paints(&mut second, makes(3)).await, "one more than all of that origin may have");
    assert!(paints(&mut second, makes(2)).await);
    let known = info(&space, second.id).await.limits;
    assert_eq!(known["entities"], LimitInfo { used: Some(2), max: Some(5), reached: 0 });
    assert_eq!(known["origin_entities"], LimitInfo { used: Some(7), max: Some(7), reached: 1 });
    let reached = |id| processes.info(id).unwrap().reached;
    assert_eq!(reached(first.id), [(Limit::Entities, 1)]);
    let log = processes.log_lines(first.id, 10).unwrap();
    assert!(
        log.iter().any(|line| line.text.contains("5 entities; 1 batch refused (limit `entities`)")),
        "{log:?}"
    );
    // Those of the server itself have theirs, and reach it by themselves.
    let mut mine = Guest::start(space.node(), painter()).await;
    let mut other = Guest::start(space.node(), painter()).await;
    assert!(paints(&mut mine, makes(5)).await && paints(&mut other, makes(3)).await);
    assert!(!paints(&mut other, makes(1)).await);
    // Within a batch it is what is there at each step; what ends or is given makes room.
    let [a, b] = [1, 2].map(|n| EntityId::new(PeerId::SERVER, n).unwrap());
    let shared = |id| Op::Create(id, Scope::Shared);
    processes.kill(None, second.id, "").unwrap();
    soon("its end", processes.exited(second.id)).await;
    let mut third = of(&ada.node, &space, painter()).await;
    let churn = [shared(a), shared(b), Op::Remove(a), Op::Give(b), shared(a)];
    assert!(paints(&mut third, encode_batch(&churn).into()).await);
    assert_eq!(info(&space, third.id).await.limits["origin_entities"].used, Some(6));
    assert!(paints(&mut third, makes(1)).await && !paints(&mut third, makes(1)).await);
    // A process of the client is bounded by the server as one of that peer.
    let mut there = Guest::start(&ada.node, painter()).await;
    let own = |n| Op::Create(EntityId::new(ada.node.id(), n).unwrap(), Scope::Shared);
    there.tell(encode_batch(&[own(1)]).into());
    loop {
        let line = there.line().await;
        if line.contains("peer of origin have as many") {
            break;
        }
    }
    processes.send(nobody(), third.id, encode_batch(&[Op::Remove(a)]).into()).unwrap();
    while third.line().await != "y" {}
    there.tell(encode_batch(&[own(2)]).into());
    let on_server = || info(&space, third.id);
    soon("it is there", async {
        while on_server().await.limits["origin_entities"].used != Some(7) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    leave(ada).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_none_keep_a_server_from_starting_with_the_reason() {
    let start = |manifest: &'static str, boot: bool| {
        let dir = folder(manifest);
        let mut options = ServerOptions::new(dir.path().join("server"), "127.0.0.1:0");
        options.ksf = crate::common::QUICK;
        options.boot = boot;
        options.runtime_dir = Some(dir.path().join("run"));
        async move {
            let started = tokio::time::timeout(Duration::from_secs(60), serve(options)).await.unwrap();
            drop(dir);
            match started {
                Err(StartError::Manifest(error)) => error,
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("it started"),
            }
        }
    };
    for boot in [true, false] {
        match start("[limits]\nmemory = 7\n", boot).await {
            ManifestError::Parse { path, error } => {
                assert_eq!(path.file_name(), Path::new("space.toml").file_name());
                for word in ["memory", "memory_bytes", "spawns_per_s", "entities", "origin"] {
                    assert!(error.to_string().contains(word), "no {word}: {error}");
                }
            }
            error => panic!("{error:?}"),
        }
        match start("[limits.origin]\nentities = 100001\n", boot).await {
            ManifestError::Flaw { flaw, .. } => {
                assert_eq!(flaw, Flaw::Range { field: "entities", value: 100_001, min: 0, max: 100_000 });
            }
            error => panic!("{error:?}"),
        }
    }
}

#[test]
fn ranges_of_limits_are_explained() {
    let check = |text: &str, expect: Result<(), &str>| {
        let manifest: Manifest = toml::from_str(text).unwrap();
        let order = manifest.order().map(drop).map_err(|flaw| flaw.to_string());
        assert_eq!(order.as_ref().copied().map_err(String::as_str), expect, "{text}");
    };
    check(
        "[limits]\nmemory_bytes = 65_536\nentities = 0\nspawns_per_s = 1\n[limits.own]\nprocesses = 1",
        Ok(()),
    );
    check(
        "[limits]\nmemory_bytes = 65_535",
        Err("`memory_bytes` is 65535, and must be from 65536 to 4294967296"),
    );
    check("[limits]\nspawns_per_s = 0", Err("`spawns_per_s` is 0, and must be from 1 to 10000000"));
    check(
        "[limits]\ncpu_percent = 150\n[limits.own]\ncpu_percent = 1\n[limits.origin]\ncpu_percent = 100_000",
        Ok(()),
    );
    check("[limits.origin]\ncpu_percent = 0", Err("`cpu_percent` is 0, and must be from 1 to 100000"));
    check("[limits.own]\nprocesses = 0", Err("`processes` is 0, and must be from 1 to 1048576"));
    check(
        "[[service]]\nname = 'a'\nmodule = 'm'\n[service.limits]\nmailbox_signals = 0",
        Err("`mailbox_signals` is 0, and must be from 1 to 1048576"),
    );
    let wrong = |text: &str| toml::from_str::<Manifest>(text).unwrap_err().to_string();
    assert!(wrong("[limits]\ntimers = -1").contains("-1"));
    assert!(wrong("[limits.origin]\ntimers = 1").contains("`processes`, `memory_bytes`, `entities`"));
    assert!(
        wrong("[[service]]\nname = 'a'\nmodule = 'm'\n[service.limits]\nown = {}")
            .contains("unknown field `own`")
    );
}
