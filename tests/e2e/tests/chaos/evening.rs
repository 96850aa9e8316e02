// SPDX-License-Identifier: AGPL-3.0-or-later
//! What happens when.

use crate::{
    Form, GROWTH_MAX, P99_MAX,
    audit::Audit,
    stage::{CALM, CUT, KILLED, Stage, ask},
    tell,
};
use hearth_e2e::{LONG, wait_until};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often something is said of it.
const SAY: Duration = Duration::from_secs(10);
/// Until each worker has had a turn after its start, so that it has all of the memory that it needs.
const WARM: Duration = Duration::from_secs(6);
/// What one minute is repeated of.
const MINUTE: Duration = Duration::from_secs(60);

/// What is done to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// As a power cut.
    Kill,
    Start,
    Cut,
    /// The wire is there again, and who is at its end was not given up.
    Join,
    /// The wire is there again, after the time of grace.
    JoinLate,
}

/// In each minute, in seconds. A wire that is cut is noticed after ten seconds, and ten more are the time of grace; that of
/// one who is killed begins at once.
const ACTS: [(f64, Act); 8] = [
    (5.0, Act::Kill),
    (6.0, Act::Start),
    (11.0, Act::Cut),
    (24.0, Act::Join),
    (26.0, Act::Kill),
    (29.0, Act::Cut),
    (39.0, Act::Start),
    (54.0, Act::JoinLate),
];

fn seed() -> u64 {
    match std::env::var("HEARTH_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("HEARTH_CHAOS_SEED is a number"),
        Err(_unset) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| since.as_millis() as u64)
        }
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The acts of the whole evening, each up to a second later than it is written.
fn acts(form: &Form, seed: u64) -> Vec<(Duration, Act)> {
    let minutes = (form.length.as_secs_f64() / MINUTE.as_secs_f64()) as u32;
    let mut number = seed;
    let mut acts = Vec::new();
    for minute in 0..minutes {
        for (at, act) in ACTS {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let late = Duration::from_millis((number >> 33) % 1000);
            acts.push((MINUTE * minute + Duration::from_secs_f64(at) + late, act));
        }
    }
    acts
}

struct Evening<'a> {
    form: &'a Form,
    stage: Stage,
    audit: Audit,
    /// What the conductors have done, the newest of each.
    done: BTreeMap<&'static str, Value>,
    /// The envoys to the client that is cut off, as they were before.
    envoys: Vec<Option<String>>,
    kills: usize,
}

/// All of it.
///
/// # Panics
/// It does not pass.
pub(crate) fn run(form: &Form) {
    let mut form = form.clone();
    if let Ok(workers) = std::env::var("HEARTH_CHAOS_WORKERS") {
        form.workers = workers.parse().expect("HEARTH_CHAOS_WORKERS is a number");
    }
    let seed = seed();
    tell(&format!("HEARTH_CHAOS_SEED={seed}, {form:?}"));
    let stage = Stage::set(&form, seed);
    sleep(WARM);
    let (audit, done) = (Audit::default(), BTreeMap::new());
    let mut evening = Evening { form: &form, stage, audit, done, envoys: Vec::new(), kills: 0 };
    let (memory, processes) = (evening.stage.memory(), evening.stage.processes());
    let calm = evening.envoys_to(CALM);
    tell(&format!("begins: {:.1} MiB, {processes:?} processes", mib(memory)));
    evening.watch("before");
    evening.happen(seed);
    let seen = evening.watch("all the while");
    evening.settle(&processes);
    // Memory is given back in time.
    sleep(form.quiet);
    let after = evening.stage.memory();
    let growth = after as f64 / memory as f64 - 1.0;
    tell(&format!(
        "{:.1} MiB before, {:.1} MiB {} s after: {:+.1} %",
        mib(memory),
        mib(after),
        form.quiet.as_secs(),
        growth * 100.0
    ));
    evening.watch("after");
    assert_eq!(evening.envoys_to(CALM), calm, "nothing happened to them");
    let Evening { audit, .. } = &evening;
    assert!(audit.wrong.is_empty(), "{} complaints:\n{}", audit.wrong.len(), audit.wrong.join("\n"));
    assert!(audit.right > 0, "nothing has crashed");
    let p99 = Duration::from_micros(seen["p99_us"].as_u64().unwrap());
    assert!(p99 < P99_MAX, "the watchers saw a p99 of {p99:?}");
    assert!(growth < GROWTH_MAX, "memory has grown by {:.1} %", growth * 100.0);
}

impl Evening<'_> {
    /// Lets things happen for as long as it shall.
    fn happen(&mut self, seed: u64) {
        let began = Instant::now();
        let mut acts = acts(self.form, seed).into_iter().peekable();
        let mut said = Instant::now();
        self.pace(self.form.pace, self.form.client_pace);
        while began.elapsed() < self.form.length {
            while let Some((at, act)) = acts.next_if(|(at, _)| *at <= began.elapsed()) {
                tell(&format!("{:5.1} s: {act:?}", at.as_secs_f64()));
                self.act(act);
            }
            self.look();
            if said.elapsed() > SAY {
                said = Instant::now();
                let (right, wrong) = (self.audit.right, self.audit.wrong.len());
                tell(&format!(
                    "{:5.1} s: {right} crashes are in their logs, {wrong} complaints, {:.1} MiB, {}",
                    began.elapsed().as_secs_f64(),
                    mib(self.stage.memory()),
                    self.done.get("server").unwrap_or(&Value::Null)
                ));
            }
            sleep(LOOK);
        }
    }

    /// How often something crashes from now on, on the server and on the clients.
    fn pace(&mut self, server: Duration, client: Duration) {
        ask(&self.stage.server, &self.stage.conductor, &json!({"pace": server.as_millis() as u64}));
        for other in &self.stage.clients {
            if let (Some(peer), Some(conductor)) = (&other.peer, &other.conductor) {
                ask(peer, conductor, &json!({"pace": client.as_millis() as u64}));
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Kill => {
                self.kills += 1;
                self.audit.forget(KILLED);
                self.stage.client(KILLED).kill();
            }
            Act::Start => self.stage.client(KILLED).start(),
            Act::Cut => {
                self.until("the envoys are there", |evening| {
                    evening.envoys = evening.envoys_to(CUT);
                    evening.envoys.iter().all(Option::is_some)
                });
                if let Some(net) = &self.stage.net {
                    net.cut();
                }
            }
            Act::Join | Act::JoinLate => {
                let Some(net) = &self.stage.net else { return };
                net.join();
                self.until("who was cut off is back", |evening| evening.stage.client(CUT).is_connected());
                let before = self.envoys.clone();
                if act == Act::JoinLate {
                    self.until("there are others for the envoys that were given up", |evening| {
                        let now = evening.envoys_to(CUT);
                        now.iter().all(|envoy| envoy.is_some() && !before.contains(envoy))
                    });
                } else {
                    let now = self.envoys_to(CUT);
                    if now != before {
                        let text = format!("{CUT} was back in time, but for {before:?} there are {now:?}");
                        self.audit.wrong.push(text);
                    }
                }
            }
        }
    }

    fn envoys_to(&mut self, client: &str) -> Vec<Option<String>> {
        let number = self.stage.client(client).number;
        self.stage.envoys().remove(&number).expect("there are some")
    }

    /// Waits for something, and hears meanwhile what the conductors have to tell.
    #[track_caller]
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        wait_until(what, LONG, || {
            self.look();
            is_so(self).then_some(())
        });
    }

    /// Hears what the conductors have to tell. Whether all of them are done, with nothing more to happen.
    fn look(&mut self) -> bool {
        let report = ask(&self.stage.server, &self.stage.conductor, &"report".into());
        self.audit.take("server", &self.stage.server, &report);
        self.done.insert("server", report["done"].clone());
        let is_quiet =
            |report: &Value| report["is_ready"] == true && report["pace_ms"] == 0 && report["busy"] == 0;
        let mut all_quiet = is_quiet(&report);
        // One that was started anew knows nothing of it.
        let is_on = report["pace_ms"] != 0;
        let pace = self.form.client_pace.as_millis() as u64;
        for client in &mut self.stage.clients {
            let Some(report) = client.report() else {
                all_quiet = false;
                continue;
            };
            all_quiet &= is_quiet(&report);
            let (Some(peer), Some(conductor)) = (&client.peer, &client.conductor) else { continue };
            self.audit.take(client.name, peer, &report);
            self.done.insert(client.name, report["done"].clone());
            if is_on && report["is_ready"] == true && report["pace_ms"] == 0 {
                ask(peer, conductor, &json!({"pace": pace}));
            }
        }
        all_quiet
    }

    /// What the watchers have seen since the last time; of the two on the server.
    fn watch(&self, when: &str) -> Value {
        let mut of_server = Value::Null;
        for (what, watcher) in &self.stage.watchers {
            let seen = ask(&self.stage.server, watcher, &"report".into());
            tell(&format!("{when}, messages between the server and the {what}: {seen}"));
            if *what == "server" {
                of_server = seen;
            }
        }
        of_server
    }

    /// Lets nothing happen any more, and waits until all is as it was before.
    fn settle(&mut self, processes: &BTreeMap<&'static str, u64>) {
        self.pace(Duration::ZERO, Duration::ZERO);
        self.until_quiet();
        self.until("each peer has the processes that it had", |evening| {
            let now = evening.stage.processes();
            now == *processes
        });
        self.until("all envoys are there", |evening| {
            evening.stage.envoys().values().flatten().all(Option::is_some)
        });
        let peers = self.stage.server.peers();
        assert_eq!(peers.len(), 1 + self.stage.clients.len(), "{peers:?}");
        self.audit.finish("server", &self.stage.server);
        for client in &self.stage.clients {
            self.audit.finish(client.name, client.peer.as_ref().expect("all are here"));
        }
        // Each time that one was killed its envoys ended, and their supervisor has said so.
        let number = self.stage.client(KILLED).number;
        let log = self.stage.log_of_envoys();
        let ends = log.matches(&format!("the child `{number}-")).count();
        assert!(ends >= self.kills * self.envoys.len(), "{ends} ends of envoys to {KILLED}: {log}");
        tell(&format!("all is as before: {} crashes are in their logs; {:?}", self.audit.right, self.done));
    }

    #[track_caller]
    fn until_quiet(&mut self) {
        wait_until("nothing happens any more", LONG, || self.look().then_some(()));
    }
}
