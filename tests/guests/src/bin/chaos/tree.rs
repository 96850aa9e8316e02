// SPDX-License-Identifier: AGPL-3.0-or-later
//! The supervisors: one above branches above workers, and one of workers on other peers.

use hearth_sdk::{
    PeerId,
    prelude::*,
    process::{self, ExitReason},
    supervisor::{ChildSpec, Restart, Strategy, Supervisor, start_child_with},
};

/// Restarts that a branch puts up with which is not meant to give up, and within which time.
const PATIENCE: (u32, Duration) = (5000, Duration::from_secs(10));
/// The restarts after which a brittle branch gives up. The time is longer than the evening, so that only orders count.
pub(crate) const BRITTLE: (u32, Duration) = (3, Duration::from_secs(24 * 3600));

/// What a branch is. The id of one is the name of its kind, `-`, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `one_for_one`, of children that it was made with.
    Steady,
    /// `simple_one_for_one`.
    Pool,
    /// `rest_for_one`.
    Chain,
    /// `one_for_all`.
    Crew,
    /// `one_for_one`, which gives up soon.
    Brittle,
}

impl Kind {
    const ALL: [(&'static str, Kind); 5] = [
        ("steady", Kind::Steady),
        ("pool", Kind::Pool),
        ("chain", Kind::Chain),
        ("crew", Kind::Crew),
        ("brittle", Kind::Brittle),
    ];

    /// The kind of a branch with this id.
    pub(crate) fn of(id: &str) -> Option<Kind> {
        let name = id.split_once('-').map_or(id, |(name, _)| name);
        Kind::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }

    /// Whether it is one of the large ones, in which most of the workers are.
    pub(crate) fn is_large(self) -> bool {
        matches!(self, Kind::Steady | Kind::Pool)
    }

    fn strategy(self) -> Strategy {
        match self {
            Kind::Steady | Kind::Brittle => Strategy::OneForOne,
            Kind::Pool => Strategy::SimpleOneForOne,
            Kind::Chain => Strategy::RestForOne,
            Kind::Crew => Strategy::OneForAll,
        }
    }
}

/// Arguments: the module of these scripts, that of the workers, how many large branches with how many workers each, how
/// many small ones of each kind with how many workers each, and the seed of the conductor.
pub(crate) async fn top(args: &[&str]) -> Option<ExitReason> {
    let [scripts, worker, large, per_large, small, per_small, seed] = args[..] else { return None };
    let module: LumpId = scripts.parse().ok()?;
    let (large, small): (u32, u32) = (large.parse().ok()?, small.parse().ok()?);
    if let Err(error) = process::register("top") {
        return Some(ExitReason::error(format!("no name for the top: {error}")));
    }
    let mut supervisor = Supervisor::new(Strategy::OneForOne).intensity(PATIENCE.0, PATIENCE.1);
    for (name, kind) in Kind::ALL {
        let (count, workers) = match kind {
            Kind::Steady => (large.div_ceil(2), per_large),
            Kind::Pool => (large / 2, per_large),
            Kind::Chain | Kind::Crew | Kind::Brittle => (small, per_small),
        };
        for number in 0..count {
            let id = format!("{name}-{number}");
            let spec = ChildSpec::new(&*id, module).args(["branch", &id, worker, workers]);
            supervisor = supervisor.child(spec.supervisor());
        }
    }
    let conductor = ChildSpec::new("conductor", module).name("conductor");
    let conductor = conductor.args(["conductor", per_large, per_small, seed]);
    Some(supervisor.child(conductor).run().await)
}

/// Arguments: the id, the module of the workers, and how many there are.
pub(crate) async fn branch(args: &[&str]) -> Option<ExitReason> {
    let [id, worker, count] = args[..] else { return None };
    let (kind, worker): (Kind, LumpId) = (Kind::of(id)?, worker.parse().ok()?);
    let count: u32 = count.parse().ok()?;
    let (intensity, period) = if kind == Kind::Brittle { BRITTLE } else { PATIENCE };
    let mut supervisor = Supervisor::new(kind.strategy()).intensity(intensity, period);
    if kind == Kind::Pool {
        supervisor = supervisor.child(ChildSpec::new("worker", worker));
        let _filling = spawn_local(async move {
            for _ in 0..count {
                if let Err(error) = start_child_with(self_id(), [""; 0]).await {
                    error!("a worker of the pool did not start: {error}");
                }
            }
        });
    } else {
        let workers = (0..count).map(|number| ChildSpec::new(number.to_string(), worker));
        supervisor = workers.fold(supervisor, Supervisor::child);
    }
    Some(supervisor.run().await)
}

/// Arguments: the module of the workers, how many on each peer, and the peers.
pub(crate) async fn envoys(args: &[&str]) -> Option<ExitReason> {
    let [worker, count, ref peers @ ..] = args[..] else { return None };
    let (worker, count): (LumpId, u32) = (worker.parse().ok()?, count.parse().ok()?);
    let mut supervisor = Supervisor::new(Strategy::OneForOne).intensity(PATIENCE.0, PATIENCE.1);
    for peer in peers {
        let on = peer.parse().ok().and_then(PeerId::new)?;
        for number in 0..count {
            let spec = ChildSpec::new(format!("{peer}-{number}"), worker).on(on).restart(Restart::Permanent);
            supervisor = supervisor.child(spec);
        }
    }
    Some(supervisor.run().await)
}
