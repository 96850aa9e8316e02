// SPDX-License-Identifier: AGPL-3.0-or-later
//! The peers of the evening.

use crate::{Form, tell};
use hearth_e2e::{Guest, LONG, Launch, Net, Peer, Space, test_guest, wait_until};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Workers of a large branch of the server, and of a client.
const PER_LARGE: u32 = 500;
const PER_LARGE_OF_CLIENT: u32 = 110;
/// Workers of a small branch.
const PER_SMALL: u32 = 20;
/// Small branches of each of the three kinds on the server. A client has one.
const SMALL: u32 = 2;
/// Large branches of a client: with the small ones its workers are 500.
const LARGE_OF_CLIENT: u32 = 4;
/// Workers that the server has on each client.
const ENVOYS: u32 = 5;
/// How long the server may take to start all of its workers.
const START_WAIT: Duration = Duration::from_secs(300);

/// The clients. One is left alone, one is killed, the wire of one is cut.
pub(crate) const CLIENTS: [&str; 3] = [CALM, KILLED, CUT];
pub(crate) const CALM: &str = "ada";
pub(crate) const KILLED: &str = "bob";
pub(crate) const CUT: &str = "carol";

/// A client and what is known of it.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    /// Its number in the space.
    pub(crate) number: u32,
    /// While it runs.
    pub(crate) peer: Option<Peer>,
    launch: Option<Launch>,
    /// Its conductor, once it was found.
    pub(crate) conductor: Option<String>,
}

impl Client {
    /// As a power cut.
    pub(crate) fn kill(&mut self) {
        let peer = self.peer.take().expect("it runs");
        self.launch = Some(peer.kill_9());
        self.conductor = None;
    }

    pub(crate) fn start(&mut self) {
        let launch = self.launch.take().expect("it was killed");
        self.peer = Some(launch.start());
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.status()["connected"] == true)
    }

    /// Looks for its conductor, if it is not known.
    pub(crate) fn find_conductor(&mut self) {
        if let (None, Some(peer)) = (&self.conductor, &self.peer) {
            self.conductor = named(peer, "conductor");
        }
    }
}

/// All of them.
pub(crate) struct Stage {
    pub(crate) server: Peer,
    pub(crate) conductor: String,
    /// The supervisor of the server's workers on the clients.
    envoys: String,
    /// Watchers, by what they watch.
    pub(crate) watchers: BTreeMap<&'static str, String>,
    pub(crate) clients: Vec<Client>,
    /// `None` where nobody may make one: then nobody is cut off.
    pub(crate) net: Option<Net>,
    /// What the workers need was in this folder; it goes last.
    _space: Space,
}

/// The process of this name on a peer.
fn named(peer: &Peer, name: &str) -> Option<String> {
    let listed = peer.json(&["list-processes"]);
    let has_name = |process: &&Value| {
        process["names"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    listed.iter().find(has_name).map(|process| process["id"].as_str().unwrap().to_owned())
}

/// Asks a script something, and gives its answer.
#[track_caller]
pub(crate) fn ask(peer: &Peer, script: &str, what: &Value) -> Value {
    let answer = peer.ok(&["send", script, &what.to_string(), "--reply", "--timeout", "60"]);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

impl Stage {
    /// Starts everything, and waits until all workers run.
    pub(crate) fn set(form: &Form, seed: u64) -> Stage {
        let net = Net::new().map_err(|reason| {
            tell(&format!(
                "!!! NOT RUN: nobody is cut off: two hosts with a wire between them need root: {reason}"
            ));
        });
        let net = net.ok();
        let at = |launch: Launch, which| match &net {
            Some(net) => launch.by(&net.within(which)),
            None => launch,
        };
        let space = Space::new();
        let mut launch = at(space.server(), 0);
        if let Some(net) = &net {
            launch = launch.with("--listen", format!("{}:0", net.address(0)));
        }
        let server = launch.start();
        let (scripts, worker) = (test_guest("chaos"), space.guest(Guest::Worker));
        let load = |file: &PathBuf| server.ok(&["load-lump", file.to_str().unwrap()]);
        let (scripts_lump, worker_lump) = (load(&scripts), load(&worker));
        let top = |large: u32, per_large: u32, small: u32| {
            let numbers = [large, per_large, small, PER_SMALL].map(|number| number.to_string());
            let mut args = vec!["top".to_owned(), scripts_lump.clone(), worker_lump.clone()];
            args.extend(numbers);
            args.push(seed.to_string());
            args
        };

        let began = Instant::now();
        let args = top(form.workers / PER_LARGE, PER_LARGE, SMALL);
        let words: Vec<&str> = ["--"].into_iter().chain(args.iter().map(String::as_str)).collect();
        server.spawn(&scripts, &words);
        let conductor = wait_until("the server has a conductor", START_WAIT, || named(&server, "conductor"));
        let ready = wait_until("all workers of the server run", START_WAIT, || {
            let report = ask(&server, &conductor, &"report".into());
            (report["is_ready"] == true).then_some(report)
        });
        tell(&format!("{} workers run after {:.1} s", ready["workers"], began.elapsed().as_secs_f64()));

        let args = top(LARGE_OF_CLIENT, PER_LARGE_OF_CLIENT, 1);
        let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let manifest = format!(
            "[[service]]\nname = 'evening'\nmodule = '{scripts_lump}'\nrestart = 'permanent'\nargs = [{}]\n",
            quoted.join(", ")
        );
        let mut clients: Vec<Client> = Vec::new();
        for name in CLIENTS {
            std::fs::create_dir(space.path(name)).unwrap();
            std::fs::write(space.path(name).join("peer.toml"), &manifest).unwrap();
            let launch = at(space.client(name, &server), usize::from(name == CUT));
            let peer = launch.boot().start();
            let number = peer.number();
            clients.push(Client { name, number, peer: Some(peer), launch: None, conductor: None });
        }
        for client in &mut clients {
            wait_until(&format!("all workers of {} run", client.name), LONG, || client.report_if_ready());
        }
        tell("the clients are there, with 500 workers each");

        let peers: Vec<String> = clients.iter().map(|client| client.number.to_string()).collect();
        let count = ENVOYS.to_string();
        let mut words = vec!["--", "envoys", &worker_lump, &count];
        words.extend(peers.iter().map(String::as_str));
        let envoys = server.spawn(&scripts, &words);
        let mut watchers = BTreeMap::new();
        let echo = space.guest(Guest::Echo);
        let calm = &clients[0];
        let echoes = [
            ("server", server.spawn(&echo, &[])),
            ("client", calm.peer.as_ref().expect("it runs").spawn(&echo, &[])),
        ];
        for (what, echo) in echoes {
            watchers.insert(what, server.spawn(&scripts, &["--", "watcher", &echo, "10"]));
        }
        let stage = Stage { server, conductor, envoys, watchers, clients, net, _space: space };
        wait_until("the envoys are there", LONG, || {
            stage.envoys().values().flatten().all(Option::is_some).then_some(())
        });
        stage
    }

    pub(crate) fn client(&mut self, name: &str) -> &mut Client {
        self.clients.iter_mut().find(|client| client.name == name).expect("one of the clients")
    }

    /// Memory of the server that the system counts, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the system counts it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib << 10
    }

    /// How many processes each peer has. All of them run.
    pub(crate) fn processes(&self) -> BTreeMap<&'static str, u64> {
        let peers = self.clients.iter().filter_map(|client| Some((client.name, client.peer.as_ref()?)));
        let peers = peers.chain([("server", &self.server)]);
        peers.map(|(name, peer)| (name, peer.status()["processes"].as_u64().unwrap())).collect()
    }

    /// The server's workers on each client, by its number; `None` for those that are to be started again.
    pub(crate) fn envoys(&self) -> BTreeMap<u32, Vec<Option<String>>> {
        let answer = ask(&self.server, &self.envoys, &"which_children".into());
        let mut all: BTreeMap<u32, Vec<Option<String>>> = BTreeMap::new();
        for child in answer["Ok"].as_array().expect("a supervisor answers") {
            let id = child["id"].as_str().expect("they have ids");
            let (peer, _number) = id.split_once('-').expect("a peer and a number");
            let process = child["state"]["running"].as_str().map(str::to_owned);
            let is_there = process.as_ref().is_none_or(|process| process.starts_with(&format!("{peer}.")));
            assert!(is_there, "an envoy to {peer} is {process:?}");
            all.entry(peer.parse().expect("a number")).or_default().push(process);
        }
        all
    }

    /// What the supervisor of the envoys has logged.
    pub(crate) fn log_of_envoys(&self) -> String {
        self.server.log(&self.envoys)
    }
}

impl Client {
    /// What its conductor tells.
    pub(crate) fn report(&mut self) -> Option<Value> {
        self.find_conductor();
        let (Some(peer), Some(conductor)) = (&self.peer, &self.conductor) else { return None };
        Some(ask(peer, conductor, &"report".into()))
    }

    pub(crate) fn report_if_ready(&mut self) -> Option<Value> {
        self.report().filter(|report| report["is_ready"] == true)
    }
}
