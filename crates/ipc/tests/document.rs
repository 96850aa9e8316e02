// SPDX-License-Identifier: AGPL-3.0-or-later
//! The types of `hearth_protocol::operator` are those of `docs/formats/operator.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::{LumpId, PeerId, ProcessId, TerminalId};
use hearth_protocol::control::Grantable;
use hearth_protocol::operator::{
    AssetState, ErrorCode, ExitKind, Failure, Level, LogEvent, LumpInfo, ProcessInfo, ProcessState, Request,
    ServiceInfo, ServiceState,
};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../docs/formats/operator.md");

fn requests() -> Vec<(Request, Value)> {
    let id = LumpId([0xab; 32]);
    let lump = "ab".repeat(32);
    let who = ProcessId::new(PeerId::SERVER, 17).unwrap();
    let peer = PeerId::new(3);
    let spawn = |peer, name: Option<&str>, args: &[&str]| Request::Spawn {
        module: id,
        peer,
        name: name.map(Into::into),
        args: args.iter().map(ToString::to_string).collect(),
    };
    vec![
        (Request::LoadLump {}, json!({"op": "load-lump"})),
        (Request::GetLump { id }, json!({"op": "get-lump", "id": lump})),
        (Request::Pin { id }, json!({"op": "pin", "id": lump})),
        (Request::Unpin { id }, json!({"op": "unpin", "id": lump})),
        (Request::ListLumps {}, json!({"op": "list-lumps"})),
        (Request::ListAssets {}, json!({"op": "list-assets"})),
        (Request::ListProcesses { peer: None, after: None }, json!({"op": "list-processes"})),
        (
            Request::ListProcesses { peer, after: Some(who) },
            json!({"op": "list-processes", "peer": 3, "after": "0.17"}),
        ),
        (Request::ListServices { peer: None, after: None }, json!({"op": "list-services"})),
        (
            Request::ListServices { peer, after: Some("sky".into()) },
            json!({"op": "list-services", "peer": 3, "after": "sky"}),
        ),
        (spawn(None, None, &[]), json!({"op": "spawn", "module": lump})),
        (
            spawn(peer, Some("n"), &["a", ""]),
            json!({"op": "spawn", "module": lump, "peer": 3, "name": "n", "args": ["a", ""]}),
        ),
        (
            Request::Kill { ids: vec![who], reason: Some("r".into()) },
            json!({"op": "kill", "ids": ["0.17"], "reason": "r"}),
        ),
        (Request::Restart { id: who }, json!({"op": "restart", "id": "0.17"})),
        (Request::Replace { id: who, module: id }, json!({"op": "replace", "id": "0.17", "module": lump})),
        (Request::Rollback { id: who }, json!({"op": "rollback", "id": "0.17"})),
        (Request::Notice { id: who, text: "t".into() }, json!({"op": "notice", "id": "0.17", "text": "t"})),
        (Request::Info { id: who }, json!({"op": "info", "id": "0.17"})),
        (
            Request::Tail { id: who, lines: 5, follow: true },
            json!({"op": "tail", "id": "0.17", "lines": 5, "follow": true}),
        ),
        (
            Request::Send { to: who, reply: true, timeout_ms: Some(9) },
            json!({"op": "send", "to": "0.17", "reply": true, "timeout_ms": 9}),
        ),
        (
            Request::Grant { peer: peer.unwrap(), what: Grantable::Terminal },
            json!({"op": "grant", "peer": 3, "what": "terminal"}),
        ),
        (
            Request::Revoke { peer: peer.unwrap(), what: Grantable::Terminal },
            json!({"op": "revoke", "peer": 3, "what": "terminal"}),
        ),
        (Request::ListGrants {}, json!({"op": "list-grants"})),
        (Request::ListTerminals {}, json!({"op": "list-terminals"})),
        (
            Request::ShowTerminal { id: TerminalId::from_bits(who.to_bits()) },
            json!({"op": "show-terminal", "id": "0.17"}),
        ),
        (Request::ListPeers {}, json!({"op": "list-peers"})),
        (Request::Status {}, json!({"op": "status"})),
        (Request::Shutdown {}, json!({"op": "shutdown"})),
        (Request::Screenshot { view: None }, json!({"op": "screenshot"})),
        (
            Request::Screenshot { view: Some("0.17".parse().unwrap()) },
            json!({"op": "screenshot", "view": "0.17"}),
        ),
        (Request::Passwd {}, json!({"op": "passwd"})),
    ]
}

#[test]
fn requests_have_their_form_and_are_in_the_document() {
    for (request, json) in requests() {
        assert_eq!(serde_json::to_value(&request).unwrap(), json);
        assert_eq!(serde_json::from_value::<Request>(json.clone()).unwrap(), request);
        assert_eq!(json["op"], request.op());
        let row = DOCUMENT.lines().find(|line| {
            line.starts_with("| `")
                && line.split('|').nth(1).unwrap().contains(&format!("`{}`", request.op()))
        });
        let row = row.unwrap_or_else(|| panic!("`{}` is not in the document", request.op()));
        for field in json.as_object().unwrap().keys().filter(|field| *field != "op") {
            assert!(row.contains(&format!("`{field}")), "{}: {field}", request.op());
        }
        let body = row.split('|').nth(3).unwrap().trim();
        assert_eq!(request.has_body(), !body.is_empty(), "{}", request.op());
    }
    // What may be left out.
    let minimal = json!({"op": "tail", "id": "0.1", "lines": 1});
    assert!(matches!(serde_json::from_value(minimal), Ok(Request::Tail { follow: false, .. })));
    let minimal = json!({"op": "send", "to": "0.1"});
    assert!(matches!(
        serde_json::from_value(minimal),
        Ok(Request::Send { reply: false, timeout_ms: None, .. })
    ));
}

#[test]
fn names_are_those_of_the_document() {
    for code in ErrorCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        let known = code != ErrorCode::Unknown;
        assert_eq!(DOCUMENT.contains(&format!("\n| `{}` |", code.name())), known, "{code}");
    }
    let documented = |json: Value| {
        let name = json.as_str().unwrap();
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name}");
    };
    use {ExitKind as E, Level as L, ProcessState as S};
    for state in [S::Starting, S::Running, S::Waiting, S::Parked, S::Ending] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        documented(state.name().into());
    }
    use ServiceState as V;
    for state in [V::Waiting, V::Starting, V::Running, V::Stopping, V::Ended, V::GivenUp] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        documented(state.name().into());
    }
    use AssetState as A;
    for state in [A::Fetching, A::Decoding, A::Ready, A::Failed] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        documented(state.name().into());
    }
    for kind in [E::Normal, E::Error, E::Killed, E::Trap, E::Limit, E::Load] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        documented(kind.name().into());
    }
    for level in [L::Error, L::Warn, L::Info, L::Debug, L::Trace] {
        assert_eq!(serde_json::to_value(level).unwrap(), level.name());
        documented(level.name().into());
    }
}

#[test]
fn a_reader_takes_what_a_newer_peer_says() {
    let code: Failure = serde_json::from_value(json!({"code": "tired", "message": "m", "x": 1})).unwrap();
    assert_eq!(code.code, ErrorCode::Unknown);
    let event: LogEvent = serde_json::from_value(json!({"event": "moved", "to": 3})).unwrap();
    assert_eq!(event, LogEvent::Unknown);
    let line: LogEvent = serde_json::from_value(json!({
        "event": "line", "time_ms": 1, "level": "info", "text": "t", "span": "s"
    }))
    .unwrap();
    assert!(matches!(line, LogEvent::Line { level: Level::Info, .. }));
    let info: ProcessInfo = serde_json::from_value(json!({
        "id": "0.17", "state": "frozen", "mailbox_signals": 0, "mailbox_bytes": 0, "memory_bytes": 0, "cpu_ns": 0,
        "origin": 1, "started_ms": 0, "future": []
    }))
    .unwrap();
    assert_eq!(info.state, ProcessState::Unknown);
    let service: ServiceInfo =
        serde_json::from_value(json!({"name": "n", "state": "asleep", "restart": "never"})).unwrap();
    assert_eq!((service.state, service.process), (ServiceState::Unknown, None));
    let lump: LumpInfo = serde_json::from_value(json!({"id": "ab".repeat(32), "size": 1})).unwrap();
    assert!(!lump.pinned);
}
