// SPDX-License-Identifier: AGPL-3.0-or-later
//! Requests over real sockets: good ones, hostile ones, slow ones, and clients that go away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use futures::future::BoxFuture;
use hearth_abi::{LumpId, ProcessId};
use hearth_ipc::{
    Answer, Client, ClientError, ConnectError, Exchange, Operator, Server, frame,
    limits::{CONNECTIONS_MAX, REQUEST_TIMEOUT},
};
use hearth_protocol::operator::{ErrorCode, Failure, FrameKind, Level, LogEvent, LumpInfo, Request};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

const LUMP: LumpId = LumpId([7; 32]);
const PATIENCE: Duration = Duration::from_secs(20);

/// What the operator below noticed.
#[derive(Debug, PartialEq)]
enum Seen {
    Following,
    HungUp,
    Body(usize),
}

struct Peer(mpsc::Sender<Seen>);

impl Operator for Peer {
    fn handle<'a>(&'a self, request: Request, io: &'a mut Exchange) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match request {
                Request::LoadLump {} => {
                    let mut size = 0;
                    while let Some(piece) = io.read_data().await? {
                        size += piece.len() as u64;
                    }
                    io.reply(&LumpInfo { id: LUMP, size, pinned: false }).await?;
                }
                Request::GetLump { .. } => {
                    let bytes = vec![5; 3 << 20];
                    io.reply(&LumpInfo { id: LUMP, size: bytes.len() as u64, pinned: false }).await?;
                    io.data(&bytes).await?;
                }
                Request::ListLumps {} => {
                    io.reply_all((0..5000).map(|size| LumpInfo { id: LUMP, size, pinned: true })).await?;
                }
                Request::Passwd {} => {
                    let body = io.read_all(16).await?;
                    self.0.send(Seen::Body(body.len())).await.unwrap();
                }
                Request::Tail { .. } => {
                    let line = LogEvent::Line {
                        time_ms: 1,
                        level: Level::Info,
                        target: "".into(),
                        text: "a".into(),
                    };
                    io.reply(&line).await?;
                    self.0.send(Seen::Following).await.unwrap();
                    io.hung_up().await;
                    self.0.send(Seen::HungUp).await.unwrap();
                }
                Request::Info { id } => return Err(Failure::no_such_process(id)),
                Request::Screenshot { .. } => {
                    return Err(Failure::new(ErrorCode::Internal, "x".repeat(2 << 20)));
                }
                Request::Status {} => panic!("a defect of the peer"),
                _ => return Err(Failure::new(ErrorCode::Unsupported, "not here")),
            }
            Ok(())
        })
    }
}

/// A served socket in its own folder.
struct Served {
    path: PathBuf,
    seen: mpsc::Receiver<Seen>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::bind_at(&folder.path().join("peer.sock")).unwrap();
    let (to, seen) = mpsc::channel(16);
    let path = server.path().to_path_buf();
    let task = tokio::spawn(async move {
        server.serve(Arc::new(Peer(to))).await;
    });
    Served { path, seen, task, _folder: folder }
}

impl Served {
    async fn client(&self) -> Client {
        Client::connect(&self.path).await.unwrap()
    }

    /// What comes back for these bytes, to the end, with the sending direction left open or closed.
    async fn raw(&self, bytes: &[u8], close: bool) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        // The peer may have answered and closed before it has taken everything.
        let _ = stream.write_all(bytes).await;
        if close {
            stream.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn saw(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }
}

fn framed(kind: FrameKind, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame::encode(kind, body, &mut bytes);
    bytes
}

fn tail() -> Request {
    Request::Tail { id: ProcessId::from_bits(3), lines: 10, follow: true }
}

#[tokio::test]
async fn bodies_go_up_and_down_whole() {
    let peer = serve();
    let mut client = peer.client().await;
    client.request(&Request::LoadLump {}).await.unwrap();
    for _ in 0..5 {
        assert!(client.send_data(&vec![1; (1 << 20) + 1]).await);
    }
    client.end_data().await;
    let info: LumpInfo = client.only_value().await.unwrap();
    assert_eq!(info.size, 5 * ((1 << 20) + 1));

    let mut client = peer.client().await;
    client.request(&Request::GetLump { id: LUMP }).await.unwrap();
    let info: LumpInfo = client.value().await.unwrap().unwrap();
    let mut size = 0;
    while let Some(Answer::Data(piece)) = client.next().await.unwrap() {
        assert!(piece.iter().all(|&byte| byte == 5));
        size += piece.len() as u64;
    }
    assert_eq!((info.size, size), (3 << 20, 3 << 20));
}

#[tokio::test]
async fn many_values_come_in_order() {
    let lumps: Vec<LumpInfo> = serve().client().await.list(&Request::ListLumps {}).await.unwrap();
    assert!(lumps.iter().map(|lump| lump.size).eq(0..5000));
}

#[tokio::test]
async fn a_failure_arrives_with_its_code_and_hint() {
    let peer = serve();
    let id = ProcessId::from_bits(99);
    let result = peer.client().await.call::<LumpInfo>(&Request::Info { id }).await;
    let Err(ClientError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!(failure, Failure::no_such_process(id));
    assert_eq!(failure.to_string(), "no such process `0.99`");

    // One that does not fit into a frame is still a failure.
    let result = peer.client().await.call::<LumpInfo>(&Request::Screenshot { view: None }).await;
    let Err(ClientError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!(failure.code, ErrorCode::Internal);
}

#[tokio::test]
async fn a_peer_that_fails_within_a_request_is_no_good_end_and_serves_on() {
    let peer = serve();
    let result = peer.client().await.call::<LumpInfo>(&Request::Status {}).await;
    assert!(matches!(result, Err(ClientError::Cut)), "{result:?}");
    assert_eq!(peer.client().await.list::<LumpInfo>(&Request::ListLumps {}).await.unwrap().len(), 5000);
}

#[tokio::test]
async fn requests_that_are_refused() {
    let peer = serve();
    for (bytes, expect) in [
        (framed(FrameKind::Json, b"{\"op\":\"fly\"}"), "unknown variant `fly`"),
        (framed(FrameKind::Json, b"{\"op\":\"info\",\"id\":\"0.1\",\"x\":1}"), "unknown field `x`"),
        (framed(FrameKind::Json, b"{\"op\":\"status\",\"x\":1}"), "unknown field `x`"),
        (framed(FrameKind::Json, b"{\"op\":\"info\",\"id\":\"17\"}"), "is not a process id"),
        (framed(FrameKind::Json, b"{\"op\":\"info\"}"), "missing field `id`"),
        (framed(FrameKind::Json, b"{\"op\":\"list-processes\",\"peer\":1048576}"), "at most 1048575"),
        (framed(FrameKind::Json, b"\xff\xfe"), "cannot read the request"),
        (framed(FrameKind::Json, "[".repeat(100_000).as_bytes()), "cannot read the request"),
        (framed(FrameKind::Data, b"x"), "the first frame must be a request"),
        (BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]), "no kind of frame with the number 32"),
        (BytesMut::from(&[1, 0, 0x10, 1][..]), "over the limit"),
    ] {
        let answer = peer.raw(&bytes, false).await;
        assert!(answer.contains("\"code\":\"invalid\"") && answer.contains(expect), "{expect}: {answer}");
    }
    let mut bytes = framed(FrameKind::Json, b"{\"op\":\"load-lump\"}");
    bytes.extend(framed(FrameKind::Json, b"{}"));
    assert!(peer.raw(&bytes, false).await.contains("a body is data frames and an end frame"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_whole() {
    let mut peer = serve();
    let mut client = peer.client().await;
    client.request(&Request::Passwd {}).await.unwrap();
    // The peer stops reading; the client notices and reads the reason.
    while client.send_data(&[0; 1000]).await {}
    let result = client.next().await;
    let Err(ClientError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (ErrorCode::Limit, "the body is over the limit of 16 bytes")
    );

    let mut client = peer.client().await;
    client.request(&Request::Passwd {}).await.unwrap();
    client.send_data(b"0123456789abcdef").await;
    client.end_data().await;
    assert_eq!(client.next().await.unwrap(), None);
    assert_eq!(peer.saw().await, Seen::Body(16));
}

#[tokio::test]
async fn half_a_frame_ends_with_its_connection() {
    let peer = serve();
    let whole = framed(FrameKind::Json, b"{\"op\":\"list-lumps\"}");
    for len in 0..whole.len() {
        let answer = peer.raw(&whole[..len], true).await;
        assert!(answer.contains("\"code\":\"internal\""), "{len}: {answer}");
    }
    // A client may close its sending direction as soon as it has sent everything.
    assert_eq!(peer.raw(&whole, true).await.matches("\"pinned\":true").count(), 5000);
}

#[tokio::test]
async fn a_slow_client_is_told_that_its_time_is_up() {
    let peer = serve();
    let begun = std::time::Instant::now();
    let answer = peer.raw(&framed(FrameKind::Json, b"{\"op\":\"list-lumps\"}")[..9], false).await;
    assert!(answer.contains("\"code\":\"timed-out\""), "{answer}");
    assert!(begun.elapsed() >= REQUEST_TIMEOUT);
}

#[tokio::test]
async fn hanging_up_is_noticed_while_following() {
    let mut peer = serve();
    let mut client = peer.client().await;
    client.request(&tail()).await.unwrap();
    assert!(matches!(client.value::<LogEvent>().await.unwrap(), Some(LogEvent::Line { .. })));
    assert_eq!(peer.saw().await, Seen::Following);
    assert!(peer.seen.try_recv().is_err());
    drop(client);
    assert_eq!(peer.saw().await, Seen::HungUp);
}

#[tokio::test]
async fn closing_the_sending_direction_is_no_hanging_up() {
    let mut peer = serve();
    let mut stream = UnixStream::connect(&peer.path).await.unwrap();
    let request = serde_json::to_vec(&tail()).unwrap();
    stream.write_all(&framed(FrameKind::Json, &request)).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(peer.saw().await, Seen::Following);
    // Nothing tells that something does not happen; a while without it is what can be had.
    assert!(timeout(Duration::from_millis(300), peer.seen.recv()).await.is_err());
    drop(stream);
    assert_eq!(peer.saw().await, Seen::HungUp);
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so() {
    let mut peer = serve();
    let mut followers = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut client = peer.client().await;
        client.request(&tail()).await.unwrap();
        assert_eq!(peer.saw().await, Seen::Following);
        followers.push(client);
    }
    let result = peer.client().await.list::<LumpInfo>(&Request::ListLumps {}).await;
    let Err(ClientError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!(failure.code, ErrorCode::Limit);

    // A place is free again when one has gone.
    followers.pop();
    assert_eq!(peer.saw().await, Seen::HungUp);
    let again = async {
        while peer.client().await.list::<LumpInfo>(&Request::ListLumps {}).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_ends_closes_its_connections_and_takes_its_socket_away() {
    let mut peer = serve();
    let mut client = peer.client().await;
    client.request(&tail()).await.unwrap();
    assert_eq!(peer.saw().await, Seen::Following);
    client.value::<LogEvent>().await.unwrap();
    peer.task.abort();
    assert!(matches!(timeout(PATIENCE, client.next()).await.unwrap(), Err(ClientError::Cut)));
    let _ = (&mut peer.task).await;
    assert!(!peer.path.exists());
    assert!(matches!(Client::connect(&peer.path).await, Err(ConnectError::NotRunning(_))));
}
