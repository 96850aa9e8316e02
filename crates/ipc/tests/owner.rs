// SPDX-License-Identifier: AGPL-3.0-or-later
//! Who may have a socket, and who may speak to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it skips, a child what it does"
)]

use futures::future::BoxFuture;
use hearth_ipc::{
    BindError, Client, ConnectError, Exchange, FindError, FolderError, Operator, RUNTIME_DIR_VARIABLE,
    RuntimeDir, SOCKET_VARIABLE, Server, find_peer, running_peers,
};
use hearth_protocol::operator::{Failure, Request};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

const NOBODY: u32 = 65534;
const CHILD_PATH: &str = "HEARTH_TEST_PATH";

struct Silent;

impl Operator for Silent {
    fn handle<'a>(&'a self, _: Request, _: &'a mut Exchange) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// One test at a time: some start children, and a child holds the lock files of the others until it has become
/// a program of its own.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Tests that need another user run as root only.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root, to be another user as well");
    }
    root
}

/// This program again, as one of the `child_` functions below.
fn child(folder: &Path, role: &str, path: &Path, user: Option<u32>) -> Child {
    let program = folder.join("test");
    if !program.exists() {
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
    }
    let mut command = Command::new(program);
    command.args(["--ignored", "--exact", "--nocapture", role]).env(CHILD_PATH, path).stdout(Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.spawn().unwrap()
}

fn wait_for_line(child: &mut Child, wanted: &str) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(wanted)), "no `{wanted}`");
}

#[test]
#[ignore = "started by other tests as another process"]
fn child_serves() {
    let path = PathBuf::from(env::var_os(CHILD_PATH).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind_at(&path).unwrap();
        println!("\nserving");
        server.serve(Arc::new(Silent)).await;
    });
}

#[test]
#[ignore = "started by other tests as another process"]
fn child_connects() {
    let mut stream = UnixStream::connect(env::var_os(CHILD_PATH).unwrap()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    println!("\nanswer of {} bytes", answer.len());
}

#[test]
fn a_folder_is_made_private_and_refused_if_it_is_not() {
    let _alone = ALONE.blocking_lock();
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    assert_eq!(RuntimeDir::open(&path).unwrap().path(), path);
    assert_eq!(mode(&path), 0o700);
    assert!(RuntimeDir::open(&path).is_ok());

    for loose in [0o701, 0o750, 0o707] {
        set_mode(&path, loose);
        assert!(matches!(RuntimeDir::open(&path), Err(FolderError::Loose { mode, .. }) if mode == loose));
    }
    set_mode(&path, 0o700);

    let link = base.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(RuntimeDir::open(&link), Err(FolderError::Link(_))));

    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(RuntimeDir::open(&file), Err(FolderError::NotAFolder(_))));
    assert!(matches!(RuntimeDir::open(&base.path().join("no/parent")), Err(FolderError::Io { .. })));

    if is_root() {
        chown(&path, Some(NOBODY), None).unwrap();
        let error = RuntimeDir::open(&path).unwrap_err();
        assert!(matches!(error, FolderError::Foreign { owner: NOBODY, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_socket_has_one_owner() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("a.sock");
    let first = Server::bind_at(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(Server::bind_at(&path), Err(BindError::InUse(_))));
    // The refused one has not taken the socket away.
    assert!(Client::connect(&path).await.is_ok());
    drop(first);
    assert!(!path.exists());
    assert!(Server::bind_at(&path).is_ok());
}

#[tokio::test]
async fn peers_of_the_same_name_get_numbers() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let folder = RuntimeDir::open(&base.path().join("run")).unwrap();
    let first = Server::bind(&folder, "client-ann").unwrap();
    let second = Server::bind(&folder, "client-ann").unwrap();
    let name = |server: &Server| server.path().file_name().unwrap().to_owned();
    assert_eq!((name(&first), name(&second)), ("client-ann.sock".into(), "client-ann-2.sock".into()));
    drop(first);
    assert_eq!(name(&Server::bind(&folder, "client-ann").unwrap()), "client-ann.sock");
}

#[tokio::test]
async fn what_a_crash_leaves_over_is_taken_over() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("a.sock");
    let mut child = child(base.path(), "child_serves", &path, None);
    wait_for_line(&mut child, "serving");
    assert!(matches!(Server::bind_at(&path), Err(BindError::InUse(_))));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists(), "a killed process removes nothing");
    assert!(matches!(Client::connect(&path).await, Err(ConnectError::NotRunning(_))));
    let server = Server::bind_at(&path).unwrap();
    assert!(Client::connect(server.path()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("a.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Server::bind_at(&path), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_path_too_long_for_the_system_is_said_to_be() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let name = |len: usize| base.path().join("x".repeat(len - 1 - base.path().as_os_str().len()));
    assert!(Server::bind_at(&name(103)).is_ok());
    assert!(matches!(Server::bind_at(&name(104)), Err(BindError::PathTooLong { len: 104, .. })));
}

#[tokio::test]
async fn a_program_of_another_user_is_turned_away() {
    let _alone = ALONE.lock().await;
    if !is_root() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o777);
    let path = base.path().join("a.sock");
    let server = Server::bind_at(&path).unwrap();
    // Even where the file system would let it in.
    set_mode(&path, 0o666);
    let served = tokio::spawn(server.serve(Arc::new(Silent)));
    let mut child = child(base.path(), "child_connects", &path, Some(NOBODY));
    tokio::task::spawn_blocking(move || {
        wait_for_line(&mut child, "answer of 0 bytes");
        assert!(child.wait().unwrap().success());
    })
    .await
    .unwrap();
    served.abort();
}

#[tokio::test]
async fn a_socket_of_another_user_is_told_nothing() {
    let _alone = ALONE.lock().await;
    if !is_root() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o777);
    let path = base.path().join("a.sock");
    let mut child = child(base.path(), "child_serves", &path, Some(NOBODY));
    wait_for_line(&mut child, "serving");
    let result = Client::connect(&path).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(result, Err(ConnectError::Foreign { owner: NOBODY, .. })), "{result:?}");
}

#[tokio::test]
async fn the_peers_that_run_are_found() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    assert_eq!(running_peers(&path).unwrap(), []);
    let folder = RuntimeDir::open(&path).unwrap();
    drop(UnixListener::bind(path.join("stale.sock")).unwrap());
    fs::write(path.join("note.txt"), "").unwrap();
    let names = || running_peers(&path).unwrap().into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert!(names().is_empty());
    let one = Server::bind(&folder, "server-a").unwrap();
    let two = Server::bind(&folder, "client-b").unwrap();
    assert_eq!(names(), ["client-b", "server-a"]);
    drop((one, two));
    assert!(names().is_empty());
    set_mode(&path, 0o755);
    assert!(matches!(running_peers(&path), Err(FolderError::Loose { .. })));
}

/// The environment belongs to the whole process, so this is a process of its own.
#[test]
#[ignore = "started by other tests as another process"]
fn child_finds() {
    println!();
    match find_peer(None) {
        Ok(path) => println!("found {}", path.display()),
        Err(FindError::NoneRuns { folder }) => println!("none in {}", folder.display()),
        Err(FindError::Several(candidates)) => println!("several {}", candidates.len()),
        Err(error) => println!("error {error}"),
    }
}

#[tokio::test]
async fn the_peer_that_is_meant() {
    let _alone = ALONE.lock().await;
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let find = |socket: &str| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "child_finds"])
            .env(RUNTIME_DIR_VARIABLE, &run)
            .env(SOCKET_VARIABLE, socket)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let check = |socket: &str, expect: &str| {
        let output = find(socket);
        assert!(output.lines().any(|line| line == expect), "{expect}: {output}");
    };
    check("", &format!("none in {}", run.display()));
    assert!(!run.exists(), "looking makes no folder");
    let folder = RuntimeDir::open(&run).unwrap();
    let one = Server::bind(&folder, "server-a").unwrap();
    check("", &format!("found {}", one.path().display()));
    let _two = Server::bind(&folder, "client-b").unwrap();
    check("", "several 2");
    check("/x/y.sock", "found /x/y.sock");
    assert_eq!(find_peer(Some(Path::new("/z"))).unwrap(), Path::new("/z"));
}
