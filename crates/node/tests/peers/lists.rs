// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lists that are longer than an answer between peers.

use crate::common::{Space, leave, soon, stop};
use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_ipc::{Client, ClientError};
use hearth_process::{Context, ExitReason, Limits, Program, Spec, Work};
use hearth_protocol::{
    control::{self, Control},
    operator::{ErrorCode, ProcessInfo, Request, ServiceInfo},
};
use std::{path::Path, sync::Arc};

/// One that is linked with these, and does nothing else.
struct Idle(Vec<ProcessId>);

impl Program for Idle {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            self.0.iter().for_each(|other| context.link(*other).unwrap());
            context.started();
            std::future::pending::<ExitReason>().await
        })
    }
}

fn idle(name: Option<String>, links: Vec<ProcessId>) -> Spec {
    Spec {
        program: Arc::new(Idle(links)),
        module: Some(LumpId([7; 32])),
        origin: PeerId::SERVER,
        parent: None,
        name,
        args: Bytes::new(),
        limits: Limits::default(),
    }
}

async fn list<T: serde::de::DeserializeOwned>(
    socket: &Path,
    request: Request,
) -> Result<Vec<T>, ClientError> {
    let client = Client::connect(socket).await.unwrap();
    soon("a list", client.list(&request)).await
}

fn processes(peer: Option<PeerId>, after: Option<ProcessId>) -> Request {
    Request::ListProcesses { peer, after }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_processes_of_another_peer_are_listed() {
    const MANY: usize = 5000;
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let table = space.node().processes();
    let name = |number| format!("a process with a long name, number {number}");
    let many: Vec<_> =
        (0..MANY).map(|number| table.spawn(idle(Some(name(number)), vec![])).unwrap()).collect();
    // One of which not everything is told.
    let hub = table.spawn(idle(None, many[..3000].to_vec())).unwrap();
    soon("its start", table.started(hub)).await.unwrap();
    let here: Vec<ProcessInfo> = list(&space.server.socket, processes(None, None)).await.unwrap();
    let there: Vec<ProcessInfo> = list(&ada.socket, processes(Some(PeerId::SERVER), None)).await.unwrap();
    let ids = |list: &[ProcessInfo]| list.iter().map(|info| info.id).collect::<Vec<_>>();
    let expect: Vec<_> = table.list().iter().map(|info| info.id).collect();
    assert!(expect.len() > MANY && expect.is_sorted() && expect.contains(&hub));
    assert_eq!((ids(&here), ids(&there)), (expect.clone(), expect.clone()));
    assert_eq!(there.iter().filter(|info| info.names.iter().any(|name| name.contains("long"))).count(), MANY);
    let hub = there.iter().find(|info| info.id == hub).unwrap();
    assert_eq!((hub.links.len(), hub.limits["links"].used), (1024, Some(3000)));
    // It is far more than an answer holds.
    let bytes: usize = there.iter().map(|info| serde_json::to_string(info).unwrap().len()).sum();
    assert!(bytes > 4 * control::FRAME_LEN_MAX, "{bytes}");
    // From somewhere in the middle.
    let behind = &expect[MANY / 2 + 1..];
    for (socket, peer) in [(&space.server.socket, None), (&ada.socket, Some(PeerId::SERVER))] {
        let rest: Vec<ProcessInfo> = list(socket, processes(peer, Some(expect[MANY / 2]))).await.unwrap();
        assert_eq!(ids(&rest), behind);
    }
    let none: Vec<ProcessInfo> =
        list(&ada.socket, processes(Some(PeerId::SERVER), expect.last().copied())).await.unwrap();
    assert_eq!(none, []);
    leave(ada).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_services_of_another_peer_are_listed() {
    const MANY: usize = 600;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("server")).unwrap();
    let name = |number: usize| format!("{number:0120}");
    let service = |number: usize| {
        let name = name(number);
        format!("[[service]]\nname = \"{name}\"\nmodule = \"{name}.wasm\"\nrestart = \"temporary\"\n")
    };
    let manifest: String = (0..MANY).map(service).collect();
    std::fs::write(dir.path().join("server/space.toml"), manifest).unwrap();
    let space = Space::start_in(dir, |options| options.boot = true).await;
    let ada = space.join("ada").await;
    let request = |after: Option<String>| Request::ListServices { peer: Some(PeerId::SERVER), after };
    // They are known once the manifest has been read, which happens beside the joining.
    let services = soon("the services are listed", async {
        loop {
            let services: Vec<ServiceInfo> = list(&ada.socket, request(None)).await.unwrap();
            if !services.is_empty() {
                return services;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    let names: Vec<_> = services.iter().map(|service| service.name.clone()).collect();
    assert_eq!(names, (0..MANY).map(name).collect::<Vec<_>>());
    let rest: Vec<ServiceInfo> = list(&ada.socket, request(Some(name(MANY - 2)))).await.unwrap();
    assert_eq!(rest.len(), 1);
    let unknown = list::<ServiceInfo>(&ada.socket, request(Some("nobody".into()))).await.unwrap_err();
    assert!(matches!(unknown, ClientError::Failed(failure) if failure.code == ErrorCode::Invalid));
    leave(ada).await;
    stop(space.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_go_on_is_not_followed() {
    let space = Space::start().await;
    let mut raw = space.raw("eve").await;
    let id = ProcessId::new(raw.id, 5).unwrap();
    let asked = tokio::spawn({
        let (socket, request) = (space.server.socket.clone(), processes(Some(raw.id), None));
        async move { list::<serde_json::Value>(&socket, request).await }
    });
    // The same page again and again.
    for _ in 0..2 {
        let Control::Call { from, to, id: call, request } = raw.control().await else { panic!("no call") };
        assert!(matches!(request, control::Request::Operator { .. }));
        let json = format!(r#"{{"Ok":[{{"id":"{id}"}}]}}"#);
        let result = Ok(control::Response::Operator { json });
        raw.say(&Control::Return { from: to, to: from, id: call, result }).await;
    }
    let failed = soon("an answer", asked).await.unwrap().unwrap_err();
    assert!(
        matches!(&failed, ClientError::Failed(failure) if failure.message.contains("does not go on")),
        "{failed:?}"
    );
    stop(space.server).await;
}
