// SPDX-License-Identifier: AGPL-3.0-or-later
//! Supervisors: processes that start others, and start them again when they end.
//!
//! The rules and the names are those of OTP's `supervisor`. A script becomes a supervisor by [`Supervisor::run`], which
//! traps exits, starts the children in their order, is linked with each of them, and returns when all have ended:
//!
//! ```
//! use hearth_sdk::{prelude::*, process::ExitReason, supervisor::{ChildSpec, Strategy, Supervisor}};
//!
//! async fn run(lamp: LumpId, door: LumpId) -> ExitReason {
//!     let supervisor = Supervisor::new(Strategy::OneForOne).intensity(3, Duration::from_secs(5));
//!     supervisor.child(ChildSpec::new("lamp", lamp)).child(ChildSpec::new("door", door)).run().await
//! }
//! # hearth_sdk::testing::run_for(run(LumpId([1; 32]), LumpId([2; 32])), Duration::from_secs(1));
//! # assert_eq!(hearth_sdk::testing::links().len(), 2);
//! ```
//!
//! Other processes ask it by [`which_children`], [`start_child`] and the rest. As an exit signal ends a script that does
//! not trap exits, so it ends a supervisor, but in good order: from a child alone it is the end of that child.
//!
//! Where Hearth differs from OTP:
//! - Children are started on this peer without waiting for their modules: one that cannot run ends with the
//!   reason `load`, and is started again as after any other crash. What is refused at once (a name that is taken, a limit)
//!   has not started.
//! - A child that could not be started again is tried after a tenth of a second, not at once. Each try counts.
//! - `noconnection` of a child [on another peer](ChildSpec::on) is a crash, but not one that counts: that a user's peer
//!   goes away is not put right by the end of the supervisor. The child is started again when the peer is back, which
//!   is tried every two seconds; with [`Strategy::OneForAll`] and [`Strategy::RestForOne`] those behind it wait for it.
//!   If the former process lives on there, it is killed first.
//! - A specification that is given at run time is taken from [few](Supervisor::trust): it is code that
//!   runs with the authority of the supervisor.
//! - There is no automatic shutdown by significant children.

mod tree;

use crate::{
    Error,
    message::call,
    process::{self, ExitReason},
};
use hearth_abi::{Errno, LumpId, PeerId, ProcessId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, time::Duration};

/// Most children of one supervisor, running or not: more than it can be asked about in one message. Whoever needs more
/// makes supervisors of supervisors.
pub const CHILDREN_MAX: usize = 4096;
/// Longest id of a child, in bytes.
pub const ID_LEN_MAX: usize = 128;
/// Most restarts within the period that may be allowed: each of them is remembered for so long.
pub const INTENSITY_MAX: u32 = 10_000;
/// How long a supervisor is waited for. It answers late while a child takes its time to end; if it ends itself, that is
/// known at once.
const ANSWER_WAIT: Duration = Duration::from_secs(3600);

/// Which children are started again when one of them has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// That one.
    OneForOne,
    /// All of them; those that still run are ended before, last first.
    OneForAll,
    /// That one and those that were started after it, which are ended before, last first.
    RestForOne,
    /// That one. All children are made at run time, from the one specification that there is, which
    /// has no name, and have no ids; when the supervisor ends they end at once, in no order.
    SimpleOneForOne,
}

/// Which ends of a child are followed by another start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// All.
    #[default]
    Permanent,
    /// Those with a reason other than `normal` and `shutdown`.
    Transient,
    /// None; its specification is forgotten. It is not started again with the others either.
    Temporary,
}

/// How a child is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is asked to end, with the reason `shutdown`, and killed if it has not ended after so many milliseconds.
    TimeoutMs(u64),
    /// It is asked to end and waited for: for supervisors, which need time for their own children.
    Infinity,
}

/// Whether a child has children of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildKind {
    /// It has none.
    #[default]
    Worker,
    /// It is a supervisor.
    Supervisor,
}

/// What a supervisor has to know of a child to start and to end it. In messages: a map of the fields that have the names of
/// the functions here; `id` and `module` alone must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpec {
    id: String,
    #[serde(with = "text")]
    module: LumpId,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    restart: Restart,
    #[serde(default)]
    shutdown: Option<Shutdown>,
    #[serde(default)]
    kind: ChildKind,
    /// The number of the peer.
    #[serde(default)]
    on: Option<u32>,
}

impl ChildSpec {
    /// A permanent worker of this peer, which gets 5 seconds to end. The id is its name for the supervisor alone, at
    /// most 128 bytes.
    pub fn new(id: impl Into<String>, module: LumpId) -> ChildSpec {
        ChildSpec {
            id: id.into(),
            module,
            name: None,
            args: Vec::new(),
            restart: Restart::default(),
            shutdown: None,
            kind: ChildKind::default(),
            on: None,
        }
    }

    /// The name that the process has on its peer. If another has it when it is to start, it waits for up to a
    /// second: that may be a process that ends.
    pub fn name(self, name: impl Into<String>) -> ChildSpec {
        ChildSpec { name: Some(name.into()), ..self }
    }

    /// Its arguments.
    pub fn args<I: IntoIterator<Item: Into<String>>>(self, args: I) -> ChildSpec {
        ChildSpec { args: args.into_iter().map(Into::into).collect(), ..self }
    }

    /// When it is started again.
    pub fn restart(self, restart: Restart) -> ChildSpec {
        ChildSpec { restart, ..self }
    }

    /// How it is ended.
    pub fn shutdown(self, shutdown: Shutdown) -> ChildSpec {
        ChildSpec { shutdown: Some(shutdown), ..self }
    }

    /// It is a supervisor: its end is waited for, if [`shutdown`](ChildSpec::shutdown) says nothing else.
    pub fn supervisor(self) -> ChildSpec {
        ChildSpec { kind: ChildKind::Supervisor, ..self }
    }

    /// The peer that it runs on. If that is not connected the child waits for it.
    pub fn on(self, peer: PeerId) -> ChildSpec {
        ChildSpec { on: Some(peer.number()), ..self }
    }

    /// The peer that it runs on, if it is not this one.
    fn other_peer(&self) -> Option<PeerId> {
        self.on.and_then(PeerId::new).filter(|peer| *peer != process::peer())
    }

    fn way_to_end(&self) -> Shutdown {
        self.shutdown.unwrap_or(match self.kind {
            ChildKind::Worker => Shutdown::TimeoutMs(5000),
            ChildKind::Supervisor => Shutdown::Infinity,
        })
    }
}

/// A supervisor as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    strategy: Strategy,
    intensity: Option<u32>,
    period_ms: Option<u64>,
    max_children: Option<usize>,
    #[serde(default)]
    children: Vec<ChildSpec>,
}

/// A supervisor that is to be.
#[derive(Debug)]
pub struct Supervisor {
    strategy: Strategy,
    intensity: u32,
    period: Duration,
    children_max: usize,
    trusted: Vec<ProcessId>,
    children: Vec<ChildSpec>,
}

impl Supervisor {
    /// A supervisor without children that starts one again at most once in 5 seconds.
    pub fn new(strategy: Strategy) -> Supervisor {
        Supervisor {
            strategy,
            intensity: 1,
            period: Duration::from_secs(5),
            children_max: CHILDREN_MAX,
            trusted: Vec::new(),
            children: Vec::new(),
        }
    }

    /// A supervisor as JSON: a map of `strategy`, `children` (each a [`ChildSpec`]), and perhaps `intensity`, `period_ms` and
    /// `max_children`.
    ///
    /// ```
    /// # use hearth_sdk::supervisor::Supervisor;
    /// # let supervisor = Supervisor::from_json(
    /// r#"{
    ///     "strategy": "one_for_one", "intensity": 3, "period_ms": 5000,
    ///     "children": [{
    ///         "id": "lamp", "module": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
    ///         "name": "lamp", "args": ["0", "1.5", "2"], "restart": "transient", "shutdown": { "timeout_ms": 500 }
    ///     }]
    /// }"#
    /// # );
    /// # assert!(supervisor.is_ok());
    /// ```
    ///
    /// # Errors
    /// [`Errno::Malformed`] with the reason: it is no JSON, or none of a supervisor.
    pub fn from_json(json: &str) -> Result<Supervisor, Error> {
        let malformed = |error: serde_json::Error| Error::new(Errno::Malformed, error.to_string());
        let written: Written = serde_json::from_str(json).map_err(malformed)?;
        let supervisor = Supervisor::new(written.strategy);
        let intensity = written.intensity.unwrap_or(supervisor.intensity);
        let period = written.period_ms.map_or(supervisor.period, Duration::from_millis);
        let max = written.max_children.unwrap_or(CHILDREN_MAX);
        let supervisor = supervisor.intensity(intensity, period).max_children(max);
        Ok(written.children.into_iter().fold(supervisor, Supervisor::child))
    }

    /// How many times within which period children are started again, [`INTENSITY_MAX`] at most. At the next one the
    /// supervisor ends its children and itself, with the reason `shutdown`: what is wrong is not put right by
    /// another start, and perhaps by its own supervisor.
    pub fn intensity(self, restarts: u32, period: Duration) -> Supervisor {
        Supervisor { intensity: restarts.min(INTENSITY_MAX), period, ..self }
    }

    /// How many children there may be, [`CHILDREN_MAX`] at most.
    pub fn max_children(self, max: usize) -> Supervisor {
        Supervisor { children_max: max.min(CHILDREN_MAX), ..self }
    }

    /// Another child, started after those before it. With [`Strategy::SimpleOneForOne`]: what all children are made from.
    pub fn child(mut self, spec: ChildSpec) -> Supervisor {
        self.children.push(spec);
        self
    }

    /// A process whose specifications are taken by [`start_child`]. Without it these are the process of the supervisor
    /// itself and its children on its own peer: whoever may give one has code run with the authority of the supervisor.
    pub fn trust(mut self, process: ProcessId) -> Supervisor {
        self.trusted.push(process);
        self
    }

    /// Makes this process the supervisor, until it ends; gives the reason, for `main` to return. By then its children have
    /// ended, last first. It takes all messages and exit signals of this process.
    ///
    /// The reason is that of the exit signal which ended it, or of kind `shutdown` if a child could not be started at first
    /// or ended too often; of kind `error` if the specifications are wrong.
    ///
    /// What is kept of the children is lost when this process gets new code (`hearth-ctl replace`), while they
    /// stay linked with it; end a supervisor and start it again instead.
    pub async fn run(self) -> ExitReason {
        tree::run(self).await
    }
}

/// Whether a child runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// It does.
    Running(#[serde(with = "text")] ProcessId),
    /// It does not, but will: it could not be started, or its peer is away.
    Restarting,
    /// It does not.
    Undefined,
}

/// A child, as [`which_children`] tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its id; `None` with [`Strategy::SimpleOneForOne`].
    pub id: Option<String>,
    /// Whether it runs, and as which process.
    pub state: ChildState,
    /// Whether it is a supervisor.
    pub kind: ChildKind,
}

/// How many children there are, as [`count_children`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Specifications; 1 with [`Strategy::SimpleOneForOne`].
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Children that are supervisors, running or not.
    pub supervisors: usize,
    /// Children that are none, running or not.
    pub workers: usize,
}

/// Why a supervisor did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChildError {
    /// There is a child of that id, which does not run.
    AlreadyPresent,
    /// There is a child of that id, which runs.
    AlreadyStarted(#[serde(with = "text")] ProcessId),
    /// There is no such child.
    NotFound,
    /// It runs.
    Running,
    /// It is about to be started again.
    Restarting,
    /// That is not for a supervisor of this strategy.
    SimpleOneForOne,
    /// The supervisor has as many children as it may, or the id is too long.
    Limit,
    /// The supervisor takes no specifications from this process: see [`Supervisor::trust`].
    Permission,
    /// The child did not start, for this reason.
    NotStarted(String),
    /// The supervisor could not be asked, for this reason.
    NoAnswer(String),
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildError::AlreadyPresent => f.write_str("there is a child of that id, which does not run"),
            ChildError::AlreadyStarted(process) => write!(f, "there is a child of that id: {process}"),
            ChildError::NotFound => f.write_str("there is no such child"),
            ChildError::Running => f.write_str("the child runs"),
            ChildError::Restarting => f.write_str("the child is about to be started again"),
            ChildError::SimpleOneForOne => f.write_str("not for a supervisor of this strategy"),
            ChildError::Limit => {
                f.write_str("the supervisor has as many children as it may, or the id is too long")
            }
            ChildError::Permission => f.write_str("the supervisor takes no specifications from this process"),
            ChildError::NotStarted(reason) => write!(f, "the child did not start: {reason}"),
            ChildError::NoAnswer(reason) => write!(f, "the supervisor does not answer: {reason}"),
        }
    }
}

impl std::error::Error for ChildError {}

impl From<ChildError> for Error {
    fn from(error: ChildError) -> Error {
        let errno = match &error {
            ChildError::AlreadyPresent | ChildError::AlreadyStarted(_) => Errno::Taken,
            ChildError::NotFound => Errno::NotFound,
            ChildError::Limit => Errno::Limit,
            ChildError::Permission => Errno::Permission,
            ChildError::Running | ChildError::Restarting | ChildError::SimpleOneForOne => Errno::Invalid,
            ChildError::NotStarted(_) | ChildError::NoAnswer(_) => Errno::Host,
        };
        Error::new(errno, error.to_string())
    }
}

/// What a supervisor is asked, in messages. The answer is `{"Ok": VALUE}` or `{"Err": ERROR}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    StartChild(ChildSpec),
    /// With arguments behind those of the one specification.
    StartArgs(Vec<String>),
    TerminateChild(String),
    TerminateProcess(#[serde(with = "text")] ProcessId),
    RestartChild(String),
    DeleteChild(String),
    WhichChildren,
    CountChildren,
}

/// An id of a process in an answer.
#[derive(Serialize, Deserialize)]
struct Started(#[serde(with = "text")] ProcessId);

async fn ask<T: DeserializeOwned>(supervisor: ProcessId, request: Request) -> Result<T, ChildError> {
    let answered = call::<Result<T, ChildError>, _>(supervisor, &request, ANSWER_WAIT).await;
    answered.unwrap_or_else(|error| Err(ChildError::NoAnswer(error.to_string())))
}

/// Gives a supervisor another child, which it starts, after those that it has; if that fails it forgets it.
///
/// # Errors
/// There is a child of that id; the child did not start; there are too many; the supervisor does not
/// [trust](Supervisor::trust) this process, or is one of [`Strategy::SimpleOneForOne`].
pub async fn start_child(supervisor: ProcessId, spec: &ChildSpec) -> Result<ProcessId, ChildError> {
    ask::<Started>(supervisor, Request::StartChild(spec.clone())).await.map(|started| started.0)
}

/// Lets a supervisor of [`Strategy::SimpleOneForOne`] start another child, with these arguments behind those of the
/// specification. Every process may ask for it: what comes of strange arguments is for the child to see to.
///
/// # Errors
/// The child did not start; there are too many; the supervisor is one of another strategy.
pub async fn start_child_with<I: IntoIterator<Item: Into<String>>>(
    supervisor: ProcessId,
    args: I,
) -> Result<ProcessId, ChildError> {
    let args = args.into_iter().map(Into::into).collect();
    ask::<Started>(supervisor, Request::StartArgs(args)).await.map(|started| started.0)
}

/// Lets a supervisor end a child, and waits until it has ended. It is not started again, but by [`restart_child`];
/// a temporary one is forgotten.
///
/// # Errors
/// There is no such child, or the supervisor is one of [`Strategy::SimpleOneForOne`].
pub async fn terminate_child(supervisor: ProcessId, id: &str) -> Result<(), ChildError> {
    ask(supervisor, Request::TerminateChild(id.into())).await
}

/// As [`terminate_child`], by the process: for supervisors of all strategies.
///
/// # Errors
/// It is no child of the supervisor.
pub async fn terminate_process(supervisor: ProcessId, child: ProcessId) -> Result<(), ChildError> {
    ask(supervisor, Request::TerminateProcess(child)).await
}

/// Lets a supervisor start a child that has ended for good.
///
/// # Errors
/// There is no such child, it runs or is about to, or it did not start.
pub async fn restart_child(supervisor: ProcessId, id: &str) -> Result<ProcessId, ChildError> {
    ask::<Started>(supervisor, Request::RestartChild(id.into())).await.map(|started| started.0)
}

/// Lets a supervisor forget a child that has ended for good.
///
/// # Errors
/// There is no such child, or it runs, or is about to.
pub async fn delete_child(supervisor: ProcessId, id: &str) -> Result<(), ChildError> {
    ask(supervisor, Request::DeleteChild(id.into())).await
}

/// The children of a supervisor, in the order in which they are started.
///
/// # Errors
/// It could not be asked.
pub async fn which_children(supervisor: ProcessId) -> Result<Vec<Child>, ChildError> {
    ask(supervisor, Request::WhichChildren).await
}

/// How many children a supervisor has.
///
/// # Errors
/// It could not be asked.
pub async fn count_children(supervisor: ProcessId) -> Result<Counts, ChildError> {
    ask(supervisor, Request::CountChildren).await
}

/// Ids as they are written for people, so that `hearth-ctl` shows and takes them.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::{fmt::Display, str::FromStr};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
