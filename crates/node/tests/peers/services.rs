// SPDX-License-Identifier: AGPL-3.0-or-later
//! The services of a manifest, and the supervisor that looks after them.

use crate::common::{Space, nobody, soon, stop, until};
use bytes::Bytes;
use hearth_abi::ProcessId;
use hearth_ipc::{Client, ClientError};
use hearth_node::{Flaw, Manifest, ManifestError, Node, ServerOptions, StartError, join, serve};
use hearth_process::FollowEvent;
use hearth_protocol::operator::{ErrorCode, Failure, Request, ServiceInfo, ServiceState, Spawned};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// A guest that ends as a message says: `x` traps, `n` ends normally, anything else is for nobody.
fn mortal() -> Bytes {
    let text = r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "exit" (func $exit (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "start"))
  (func (export "wake")
    (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 4096)) (i32.const 0)) (then
        (if (i32.eq (i32.load8_u (i32.const 24)) (i32.const 120)) (then unreachable))
        (if (i32.eq (i32.load8_u (i32.const 24)) (i32.const 110)) (then
          (call $exit (i32.const 0) (i32.const 0))))
        (br $next))))))"#;
    wat::parse_str(text).unwrap().into()
}

fn service(name: &str, rest: &str) -> String {
    format!("[[service]]\nname = '{name}'\nmodule = 'mortal.wasm'\n{rest}\n")
}

fn folder(manifest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("server");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mortal.wasm"), mortal()).unwrap();
    std::fs::write(folder.join("space.toml"), manifest).unwrap();
    dir
}

async fn space(manifest: &str) -> Space {
    Space::start_in(folder(manifest), |options| options.boot = true).await
}

/// The process of a service when it has started, another than those that are known.
async fn process(node: &Node, name: &str, but: &[ProcessId]) -> ProcessId {
    let processes = node.processes();
    let mut found = None;
    until(&format!("a process `{name}`"), || {
        found = processes.whereis(name).filter(|id| !but.contains(id));
        found.is_some()
    })
    .await;
    let id = found.unwrap();
    soon("its start", processes.started(id)).await.unwrap();
    id
}

/// How many processes the supervisor has.
fn children(node: &Node, of: ProcessId) -> usize {
    node.processes().list().iter().filter(|info| info.parent == Some(of)).count()
}

fn supervisor(node: &Node, service: ProcessId) -> ProcessId {
    node.processes().info(service).unwrap().parent.unwrap()
}

fn tell(node: &Node, to: ProcessId, what: &'static [u8]) {
    node.processes().send(nobody(), to, Bytes::from_static(what)).unwrap();
}

/// Waits until a line with these words is in a log.
async fn logs(node: &Node, of: ProcessId, words: &str) -> String {
    let mut follower = node.processes().follow_log(of).unwrap();
    soon(words, async {
        loop {
            match follower.next().await {
                Some(FollowEvent::Line(line)) if line.text.contains(words) => return line.text.clone(),
                Some(_) => {}
                None => panic!("the log has ended without `{words}`"),
            }
        }
    })
    .await
}

async fn operate(space: &Space, request: &Request) -> Result<Vec<serde_json::Value>, Failure> {
    let client = Client::connect(&space.server.socket).await.unwrap();
    match soon("an operator's answer", client.list(request)).await {
        Ok(values) => Ok(values),
        Err(ClientError::Failed(failure)) => Err(failure),
        Err(error) => panic!("{error}"),
    }
}

async fn restart(space: &Space, id: ProcessId) -> Result<ProcessId, Failure> {
    let mut values = operate(space, &Request::Restart { id }).await?;
    let spawned: Spawned = serde_json::from_value(values.remove(0)).unwrap();
    Ok(spawned.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_comes_back_as_the_manifest_says() {
    let manifest = [
        service("always", "restart = 'permanent'"),
        service("usual", ""),
        service("once", "restart = 'temporary'"),
        service("other", ""),
    ];
    let space = space(&manifest.concat()).await;
    let (node, processes) = (space.node(), space.node().processes());
    let mut always = process(node, "always", &[]).await;
    let (usual, once) = (process(node, "usual", &[]).await, process(node, "once", &[]).await);
    let other = process(node, "other", &[]).await;
    let root = supervisor(node, other);

    // A crash, a kill and a normal end; the log of the new one tells why.
    tell(node, always, b"x");
    let before = always;
    always = process(node, "always", &[before]).await;
    let line = logs(node, always, "started again (1)").await;
    assert!(line.contains(&before.to_string()) && line.contains("unreachable"), "{line}");
    let request = Request::Kill { ids: vec![always], reason: Some("too bright".into()) };
    operate(&space, &request).await.unwrap();
    always = process(node, "always", &[before, always]).await;
    assert!(logs(node, always, "started again (2)").await.contains("too bright"));
    tell(node, always, b"n");
    process(node, "always", &[before, always]).await;

    // What is done stays done, unless it crashed.
    processes.kill(None, usual, "").unwrap();
    let usual = process(node, "usual", &[usual]).await;
    tell(node, usual, b"n");
    logs(node, root, "`usual` ended, and is not started again").await;
    tell(node, once, b"x");
    logs(node, root, "`once` ended, and is not started again").await;
    assert_eq!((processes.whereis("usual"), processes.whereis("once")), (None, None));
    assert_eq!(processes.whereis("other"), Some(other));
    assert_eq!(children(node, root), 2);
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_a_service_starts_after_it_and_anew_with_it() {
    let manifest = [
        service("lamp", "needs = ['power']"),
        service("apart", ""),
        service("moth", "needs = ['lamp']"),
        service("power", ""),
    ];
    let space = space(&manifest.concat()).await;
    let (node, processes) = (space.node(), space.node().processes());
    let names = ["apart", "power", "lamp", "moth"];
    let mut ids = Vec::new();
    for name in names {
        ids.push(process(node, name, &[]).await);
    }
    assert!(ids.is_sorted(), "{ids:?}");

    tell(node, ids[1], b"x");
    let mut again = vec![ids[0]];
    for name in &names[1..] {
        again.push(process(node, name, &ids).await);
    }
    assert!(again.is_sorted(), "{again:?}");
    assert_eq!(processes.whereis("apart"), Some(ids[0]));
    logs(node, again[3], "`power`, which it needs, has ended").await;
    for id in &ids[1..] {
        assert!(processes.info(*id).is_none());
    }
    // Who is needed goes on when somebody who needs it ends.
    tell(node, again[2], b"x");
    process(node, "moth", &[ids[3], again[3]]).await;
    assert_eq!(processes.whereis("power"), Some(again[1]));
    // So it is when an operator restarts one.
    let moth = processes.whereis("moth").unwrap();
    assert!(restart(&space, again[1]).await.is_ok());
    process(node, "moth", &[ids[3], again[3], moth]).await;
    assert_eq!(children(node, supervisor(node, ids[0])), 4);
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_too_often_is_given_up_and_the_others_go_on() {
    // Before it counts as started: whether one that traps then was seen to have is a matter of chance.
    let trap = r#"(module (memory (export "memory") 1)
        (func (export "_initialize") unreachable) (func (export "start")) (func (export "wake")))"#;
    let broken = |name: &str| service(name, "").replace("mortal", name);
    let manifest = [
        "restarts_max = 2\nwithin_s = 3600\n".to_owned(),
        broken("missing"),
        broken("trap"),
        service("needy", "needs = ['trap']"),
        service("weak", ""),
    ];
    let dir = folder(&manifest.concat());
    std::fs::write(dir.path().join("server/trap.wasm"), wat::parse_str(trap).unwrap()).unwrap();
    let space = Space::start_in(dir, |options| options.boot = true).await;
    let (node, processes) = (space.node(), space.node().processes());
    let mut weak = process(node, "weak", &[]).await;
    let root = supervisor(node, weak);
    let line = logs(node, root, "`missing` is given up (it ended 3 times within 3600 s)").await;
    assert!(line.contains("missing.wasm"), "{line}");
    logs(
        node,
        root,
        "`trap` is given up (it ended 3 times within 3600 s; what needs it stays ended: `needy`)",
    )
    .await;
    assert_eq!(processes.whereis("needy"), None);

    let first = weak;
    let mut gone = Vec::new();
    for _ in 0..2 {
        tell(node, weak, b"x");
        gone.push(weak);
        weak = process(node, "weak", &gone).await;
    }
    tell(node, weak, b"x");
    logs(node, root, "`weak` is given up (it ended 3 times").await;
    assert_eq!((processes.whereis("weak"), children(node, root)), (None, 0));
    let services: Vec<ServiceInfo> = operate(&space, &Request::ListServices { peer: None, after: None })
        .await
        .unwrap()
        .into_iter()
        .map(|value| serde_json::from_value(value).unwrap())
        .collect();
    let seen: Vec<_> = services.iter().map(|s| (&*s.name, s.state, s.process, s.restarts)).collect();
    let given_up = ServiceState::GivenUp;
    assert_eq!(
        seen,
        [
            ("missing", given_up, None, 0),
            ("trap", given_up, None, 2),
            ("needy", ServiceState::Waiting, None, 0),
            ("weak", given_up, None, 2),
        ]
    );
    assert!(services.iter().all(|service| service.supervisor == Some(root)));

    // An operator may begin it again, once.
    let again = restart(&space, weak).await.unwrap();
    assert_eq!(process(node, "weak", &[]).await, again);
    for old in [weak, first] {
        assert_eq!(restart(&space, old).await.unwrap_err().code, ErrorCode::Refused);
    }
    tell(node, again, b"x");
    process(node, "weak", &[again]).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_one_process_whoever_restarts_it() {
    let manifest =
        ["restarts_max = 1000\n".to_owned(), service("lamp", ""), service("moth", "needs = ['lamp']")];
    let space = space(&manifest.concat()).await;
    let (node, processes) = (space.node(), space.node().processes());
    process(node, "moth", &[]).await;
    let mut lamp = processes.whereis("lamp").unwrap();
    let root = supervisor(node, lamp);
    for round in 0..8 {
        let new = restart(&space, lamp).await.unwrap();
        assert_eq!(processes.whereis("lamp"), Some(new));
        // A crash at the same time changes nothing of it.
        if round % 2 == 0 {
            let _ = processes.kill(None, new, "");
            lamp = process(node, "lamp", &[lamp, new]).await;
        } else {
            lamp = new;
        }
    }
    process(node, "moth", &[]).await;
    until("each has one", || children(node, root) == 2).await;
    // The name is not what makes it the one process of the service.
    assert!(processes.unregister(lamp, "lamp"));
    processes.kill(None, lamp, "").unwrap();
    let next = process(node, "lamp", &[lamp]).await;
    assert!(processes.unregister(next, "lamp"));
    assert_eq!(restart(&space, lamp).await.unwrap_err().code, ErrorCode::Refused);
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_supervisor_goes_on_where_one_was_killed() {
    let space = space(&[service("lamp", ""), service("other", "")].concat()).await;
    let (node, processes) = (space.node(), space.node().processes());
    let (lamp, other) = (process(node, "lamp", &[]).await, process(node, "other", &[]).await);
    let root = supervisor(node, lamp);
    processes.kill(None, root, "for a test").unwrap();
    soon("its end", processes.exited(root)).await;
    tell(node, lamp, b"x");
    let again = process(node, "lamp", &[lamp]).await;
    assert_eq!(processes.whereis("other"), Some(other));
    let second = supervisor(node, again);
    assert_ne!(second, root);
    // The same when it is restarted.
    let third = restart(&space, second).await.unwrap();
    tell(node, other, b"x");
    let other = process(node, "other", &[other]).await;
    assert_eq!(supervisor(node, other), third);
    assert_eq!(processes.whereis("lamp"), Some(again));
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_looks_after_its_services_too() {
    let space = Space::start().await;
    let folder = space.dir.path().join("ada");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mortal.wasm"), mortal()).unwrap();
    std::fs::write(folder.join("peer.toml"), service("avatar", "")).unwrap();
    let mut options = space.options("ada");
    options.boot = true;
    let ada = soon("a client", join(options)).await.unwrap();
    let mut standing = ada.node.standing();
    soon("its boot", standing.wait_for(|now| now.has_booted)).await.unwrap();
    let avatar = process(&ada.node, "avatar", &[]).await;
    tell(&ada.node, avatar, b"x");
    process(&ada.node, "avatar", &[avatar]).await;
    crate::common::leave(ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_followed_is_explained_before_anything_starts() {
    let start = |manifest: &str| {
        let dir = folder(manifest);
        let mut options = ServerOptions::new(dir.path().join("server"), "127.0.0.1:0");
        options.ksf = crate::common::QUICK;
        options.runtime_dir = Some(dir.path().join("run"));
        async move {
            let started = tokio::time::timeout(Duration::from_secs(60), serve(options)).await.unwrap();
            let Err(StartError::Manifest(ManifestError::Flaw { path, flaw })) = started else {
                panic!("it started")
            };
            assert_eq!(path.file_name(), Path::new("space.toml").file_name());
            drop(dir);
            flaw
        }
    };
    let cycle = [service("a", "needs = ['b']"), service("b", "needs = ['a']")].concat();
    assert!(matches!(start(&cycle).await, Flaw::Cycle { names } if names == ["a", "b", "a"]));
    assert!(
        matches!(start(&service("a", "needs = ['c']")).await, Flaw::Unknown { needs, .. } if needs == "c")
    );
    let twice = [service("a", ""), service("a", "")].concat();
    assert!(matches!(start(&twice).await, Flaw::Twice { name } if name == "a"));
}

#[test]
fn services_start_after_what_they_need_and_a_flaw_is_explained() {
    let check = |text: &str, expect: Result<&[usize], &str>| {
        let manifest: Manifest = toml::from_str(text).unwrap();
        let order = manifest.order().map_err(|flaw| flaw.to_string());
        assert_eq!(order.as_deref().map_err(String::as_str), expect, "{text}");
    };
    let service = |name: &str, needs: &str| {
        format!("[[service]]\nname = '{name}'\nmodule = 'm.wasm'\nneeds = [{needs}]\n")
    };
    let all = |services: &[(&str, &str)]| -> String {
        services.iter().map(|(name, needs)| service(name, needs)).collect()
    };
    check("", Ok(&[]));
    check(&all(&[("a", ""), ("b", ""), ("c", "")]), Ok(&[0, 1, 2]));
    check(&all(&[("a", "'c'"), ("b", ""), ("c", "'b'"), ("d", "'a', 'b'")]), Ok(&[1, 2, 0, 3]));
    check(
        &all(&[("a", ""), ("b", ""), ("a", "")]),
        Err("there are two services `a`: each has a name of its own"),
    );
    check(
        &all(&[("b", "'c'"), ("a", "")]),
        Err("the service `b` needs `c`, which is none of the services: `a`, `b`"),
    );
    let cycle = "services need each other, so that none can start first: ";
    check(&all(&[("a", "'a'")]), Err(&format!("{cycle}`a` needs `a`")));
    check(
        &all(&[("z", "'a'"), ("a", "'b'"), ("b", "'x', 'c'"), ("c", "'a'"), ("x", "")]),
        Err(&format!("{cycle}`a` needs `b` needs `c` needs `a`")),
    );
    check("within_s = 0", Err("`within_s` is 0, and must be from 1 to 86400"));
    check("restarts_max = 1001", Err("`restarts_max` is 1001, and must be from 0 to 1000"));
}
