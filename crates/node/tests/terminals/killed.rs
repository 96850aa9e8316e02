// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client that is killed outright leaves no shell behind, nor what runs in its foreground: the system hangs
//! them up. It is this very program, started again.

use crate::{
    common::{PASSWORD, Space, quick_bounds, until},
    hands::{Hands, pid_of, runs},
};
use hearth_node::{ClientOptions, Password, join};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the client finds what it is to do: the server's address, and the folder for its own.
const ADDRESS: &str = "HEARTH_TEST_ADDRESS";
const FOLDER: &str = "HEARTH_TEST_FOLDER";

/// The client; nothing, unless it was started by the test below.
#[tokio::test(flavor = "multi_thread")]
async fn as_a_client() {
    let (Ok(address), Some(folder)) = (std::env::var(ADDRESS), std::env::var_os(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    let password = Password::new(PASSWORD).unwrap();
    let mut options = ClientOptions::new(folder.join("killed"), address, "killed", password);
    options.ksf_bounds = quick_bounds();
    options.boot = false;
    options.runtime_dir = Some(folder.join("run"));
    let client = join(options).await.unwrap();
    let mut hands = Hands::new(&client.node).await;
    let terminal = hands.shell().await;
    hands.show(terminal).await;
    let shell = pid_of(&mut hands, terminal).await;
    hands.text(terminal, "yes | cat\n").await.unwrap();
    std::fs::write(folder.join("part"), shell).unwrap();
    std::fs::rename(folder.join("part"), folder.join("shell")).unwrap();
    std::future::pending().await
}

/// The programs that a program has started.
fn children(pid: &str) -> Vec<String> {
    let path = Path::new("/proc").join(pid).join("task").join(pid).join("children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_leaves_no_shell_behind() {
    let space = Space::start_with(|options| options.grace = std::time::Duration::from_millis(200)).await;
    let mut client = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::as_a_client"])
        .env(ADDRESS, &space.address)
        .env(FOLDER, space.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = space.dir.path().join("shell");
    until("a shell in the client", || file.exists()).await;
    let shell = std::fs::read_to_string(&file).unwrap();
    let mut started = Vec::new();
    until("what the shell has started", || {
        started = children(&shell);
        started.len() == 2
    })
    .await;
    until("it is shown", || space.node().peers().len() == 2).await;
    // SIGKILL: it does nothing more.
    client.kill().unwrap();
    client.wait().unwrap();
    for pid in std::iter::once(&shell).chain(&started) {
        until("it has ended", || !runs(pid)).await;
    }
    until("its terminals are gone with it", || {
        let request = futures::executor::block_on(crate::hands::operate(
            &space.server.socket,
            &hearth_protocol::operator::Request::ListTerminals {},
        ));
        request.unwrap().is_empty()
    })
    .await;
}
