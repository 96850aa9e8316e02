// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a process does with terminals of its own peer, and what it may not.

use crate::{
    common::{Guest, Space, leave, until},
    hands::{Hands, module, operate, pid_of, rows, runs, shell, shows, with_canvas},
};
use hearth_abi::{
    Errno, TerminalId,
    terminal::{Command, Event, Open},
};
use hearth_node::join;
use hearth_protocol::operator::Request;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_typed_into_and_shown_at_once() {
    let space = Space::start().await;
    let (options, canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    assert_eq!(terminal.peer(), ada.node.id());
    hands.text(terminal, "echo $((6*7))\n").await.unwrap();
    shows(&ada.node, terminal, "42").await;
    let [listed] = &operate(&ada.socket, &Request::ListTerminals {}).await.unwrap()[..] else {
        panic!("one terminal is listed")
    };
    assert_eq!(listed["id"], terminal.to_string());
    assert_eq!(listed["owner"], hands.guest.id.to_string());
    assert_eq!((listed["columns"].as_u64(), listed.get("status")), (Some(60), None));
    let is_seen = || {
        canvas.screens.lock().get(&terminal).is_some_and(|screen| (0..10).any(|row| screen.text(row) == "42"))
    };
    until("the user sees it", is_seen).await;

    hands.command(terminal, &Command::Resize { columns: 70, rows: 12 }).await.unwrap();
    hands.heard(&Event::Resized { columns: 70, rows: 12 }).await;
    hands.text(terminal, "exit 3\n").await.unwrap();
    hands.heard(&Event::Exited(3)).await;
    let listed = operate(&ada.socket, &Request::ListTerminals {}).await.unwrap();
    assert_eq!(listed[0]["status"], 3);
    // Enter starts it again, which is no longer told as ended.
    hands.text(terminal, "\n").await.unwrap();
    let begins = async {
        while operate(&ada.socket, &Request::ListTerminals {}).await.unwrap()[0].get("status").is_some() {}
    };
    tokio::time::timeout(Duration::from_secs(60), begins).await.expect("it is told as ended for ever");
    // The prompt of the one before was shown too: what is typed now must not come before that of this one.
    let has_prompt = || {
        let rows = rows(&ada.node, terminal);
        rows.iter().skip_while(|row| !row.starts_with("exited with 3")).any(|row| row == "$")
    };
    until("the second shell has its prompt", has_prompt).await;
    hands.text(terminal, "echo $((7*7))\n").await.unwrap();
    shows(&ada.node, terminal, "49").await;
    hands.command(terminal, &Command::Close).await.unwrap();
    hands.heard(&Event::Closed).await;
    assert_eq!(hands.text(terminal, "x").await, Err(Errno::NotFound));
    assert!(ada.node.screen(terminal).is_none());
    assert!(canvas.screens.lock().is_empty());
    leave(ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_finds_its_peer_and_not_the_password() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut hands = Hands::new(&ada.node).await;
    let open = Open { columns: 400, folder: "/".into(), ..shell() };
    let terminal = hands.prompt(&open).await;
    let programs = std::env::current_exe().unwrap().parent().unwrap().display().to_string();
    for (question, answer) in [
        ("echo socket $HEARTH_SOCKET", format!("socket {}", ada.socket.display())),
        ("echo terminal $HEARTH_TERMINAL", format!("terminal {terminal}")),
        ("echo first ${PATH%%:*}", format!("first {programs}")),
        ("echo password ${HEARTH_PASSWORD-none}", "password none".into()),
        ("pwd", "/".into()),
    ] {
        hands.text(terminal, &format!("{question}\n")).await.unwrap();
        shows(&ada.node, terminal, &answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_ends_with_the_process_that_opened_it_and_with_its_peer() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    let shell = pid_of(&mut hands, terminal).await;
    hands.text(terminal, "sleep 1000 & echo it is $!.\n").await.unwrap();
    let told =
        |row: String| row.strip_prefix("it is ").and_then(|row| row.strip_suffix('.')).map(str::to_owned);
    let mut sleeper = None;
    until("the number of a program", || {
        sleeper = rows(&ada.node, terminal).into_iter().find_map(told);
        sleeper.is_some()
    })
    .await;
    let sleeper = sleeper.unwrap();
    assert!(runs(&shell) && runs(&sleeper));
    ada.node.processes().kill(None, hands.guest.id, "enough").unwrap();
    until("the shell has ended", || !runs(&shell)).await;
    until("what it had started has ended", || !runs(&sleeper)).await;
    until("it shows nothing", || ada.node.screen(terminal).is_none()).await;

    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    let shell = pid_of(&mut hands, terminal).await;
    leave(ada).await;
    assert!(!runs(&shell), "when a peer has ended, nothing of it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_bounds() {
    let space = Space::start().await;
    let open = Open { command: vec!["sleep".into(), "1000".into()], ..Open::default() };
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut hands = Hands::new(space.node()).await;
        for _ in 0..16 {
            hands.open(&open).await.unwrap();
        }
        assert_eq!(hands.open(&open).await, Err(Errno::Limit), "16 of a process");
        all.push(hands);
    }
    let mut late = Hands::new(space.node()).await;
    assert_eq!(late.open(&open).await, Err(Errno::Limit), "64 of a peer");
    let first = all.remove(0);
    space.node().processes().kill(None, first.guest.id, "").unwrap();
    space.node().processes().exited(first.guest.id).await;
    let mut opened = Err(Errno::Limit);
    while opened == Err(Errno::Limit) {
        opened = late.open(&open).await;
    }
    opened.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for() {
    let space = Space::start().await;
    let mut hands = Hands::new(space.node()).await;
    let terminal = hands.shell().await;
    assert_eq!(hands.command(terminal, &Command::Focus(true)).await, Err(Errno::Invalid));
    assert_eq!(hands.focus(Some(terminal)).await, Err(Errno::Unsupported), "a server has no keyboard");
    assert_eq!(hands.focus(None).await, Err(Errno::Unsupported));
    assert_eq!(hands.call(5, b"text").await, Err(Errno::Unsupported), "nor a clipboard");
    hands.call(6, &[]).await.unwrap();
    assert_eq!(hands.answer().await.0, Errno::Unsupported.as_return());
    for foreign in [TerminalId::from_bits(0), TerminalId::from_bits(u64::MAX)] {
        assert_eq!(hands.text(foreign, "x").await, Err(Errno::NotFound));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_from_another_peer_has_no_authority_here() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let (ada, bob) = (join(options).await.unwrap(), space.join("bob").await);
    let mut own = Hands::new(&ada.node).await;
    let terminal = own.shell().await;
    own.text(terminal, "echo ready\n").await.unwrap();
    shows(&ada.node, terminal, "ready").await;
    let before = rows(&ada.node, terminal);

    // Bob spawns there what opens and types.
    let lump = bob.node.put_lump(module()).await.unwrap();
    let id = bob.node.spawn(ada.node.id(), lump, None, &[]).await.unwrap();
    let mut spawned = Hands::of(Guest::watch(&ada.node, id));
    assert_eq!(spawned.open(&shell()).await, Err(Errno::Permission));
    assert_eq!(spawned.text(terminal, "id\n").await, Err(Errno::Permission));
    assert_eq!(spawned.focus(Some(terminal)).await, Err(Errno::Permission));
    assert_eq!(spawned.focus(None).await, Err(Errno::Permission));
    assert_eq!(spawned.call(5, b"text").await, Err(Errno::Permission));
    assert_eq!(spawned.call(6, &[]).await, Err(Errno::Permission));

    // Bob's own process, of bob's own origin, says the same across the line; and says it to the owner.
    let mut across = Hands::new(&bob.node).await;
    assert_eq!(across.text(terminal, "id\n").await, Err(Errno::Permission));
    assert_eq!(across.command(terminal, &Command::Close).await, Err(Errno::Permission));
    let body = [&[2][..], &terminal.to_bits().to_le_bytes(), &Command::Text("id\n".into()).encode()].concat();
    let mut post = Guest::start(&bob.node, crate::common::post()).await;
    post.tell(crate::common::to(own.guest.id, &body));
    // A round trip behind it, so that it has arrived.
    let echo = Guest::start(&ada.node, crate::common::echo()).await;
    crate::common::round_trip(&mut post, echo.id, "there").await;
    own.text(terminal, "echo after\n").await.unwrap();
    shows(&ada.node, terminal, "after").await;
    let after = rows(&ada.node, terminal);
    let typed: Vec<&String> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(typed, ["$ echo after", "after"], "nothing else was typed");
    assert!(ada.node.processes().info(own.guest.id).is_some());
}
