// SPDX-License-Identifier: AGPL-3.0-or-later
//! A guest that compiles a module in its own memory and runs it on another peer.

use hearth_e2e::{Space, std_guest};

#[test]
fn a_guest_compiles_an_expression_and_runs_it_on_another_peer() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let compiler = server.spawn(&std_guest("expr"), &[]);
    let lumps_before = ada.status()["lumps"].as_u64().unwrap();
    let ask = |expr: &str| {
        let message = format!(r#"{{"expression": "{expr}", "peer": {}}}"#, ada.number());
        server.ok(&["send", &compiler, &message, "--reply", "--timeout", "60"])
    };
    for (expr, value) in [("2*(3+4)", 14.0), ("7", 7.0), ("(1+2)*(3+4)-5", 16.0)] {
        let reply = ask(expr);
        assert_eq!(reply.parse(), Ok(value), "{expr}");
    }
    // It ran there: the module that was made is now among that peer's lumps.
    assert!(ada.status()["lumps"].as_u64().unwrap() > lumps_before);
    // What is no expression is answered too, and the compiler lives on.
    let reply = ask("2*(3+");
    assert!(reply.contains("\"error\""), "{reply}");
    assert_eq!(ask("1+1").parse(), Ok(2.0));
}
