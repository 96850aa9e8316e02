// SPDX-License-Identifier: AGPL-3.0-or-later
//! Who is on this peer and by which names they are found, as one: a name is of one process at a time, which is there
//! as long as the name is.

use crate::{
    RegisterError,
    names::Names,
    record::{Directory, Listed},
};
use hearth_abi::ProcessId;
use std::sync::Arc;

/// Why a process was not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// None is let in any more.
    Closed,
    /// It cannot have its name. It is there without it, and is to [`leave`].
    Name(RegisterError),
}

/// Lets a new process in, with its first name, which it has instead of that other process if it begins in its place.
pub(crate) fn enter<P: Listed>(
    directory: &Directory<P>,
    names: &Names,
    process: &Arc<P>,
    name: Option<&str>,
    instead_of: Option<ProcessId>,
) -> Result<(), Refused> {
    // First, so that whoever finds it by its name finds somebody.
    if !directory.insert(process.clone()) {
        return Err(Refused::Closed);
    }
    match (name, instead_of) {
        (Some(name), None) => names.insert(name, process.id()),
        (Some(name), Some(old)) => names.hand_over(name, old, process.id()),
        (None, _) => Ok(()),
    }
    .map_err(Refused::Name)
}

/// A process is not there any more. Its names are free before.
pub(crate) fn leave<P: Listed>(directory: &Directory<P>, names: &Names, process: &P) {
    process.names().end(names, process.id());
    directory.remove(process.id());
}

/// Under loom, which runs each test once for every order of what its threads do.
#[cfg(all(test, hearth_loom))]
mod loom_tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::names::Named;
    use hearth_abi::PeerId;
    use loom::{
        sync::{
            Arc as LoomArc,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
        thread::{self, JoinHandle},
    };

    /// What is a process to the registry.
    struct One {
        id: ProcessId,
        names: Named,
        is_killed: AtomicBool,
    }

    impl Listed for One {
        fn id(&self) -> ProcessId {
            self.id
        }

        fn names(&self) -> &Named {
            &self.names
        }
    }

    struct Peer {
        directory: Directory<One>,
        names: Names,
    }

    fn id(serial: u64) -> ProcessId {
        ProcessId::new(PeerId::SERVER, serial).unwrap()
    }

    fn one(serial: u64, name: Option<&str>) -> Arc<One> {
        let names = Named::new(name.map(str::to_owned));
        Arc::new(One { id: id(serial), names, is_killed: AtomicBool::new(false) })
    }

    impl Peer {
        fn new() -> LoomArc<Peer> {
            LoomArc::new(Peer { directory: Directory::new(), names: Names::default() })
        }

        /// Spawns a process as the table does: it is taken back if it is refused its name.
        fn spawn(
            &self,
            serial: u64,
            name: Option<&str>,
            instead_of: Option<u64>,
        ) -> Result<Arc<One>, Refused> {
            let new = one(serial, name);
            let entered = enter(&self.directory, &self.names, &new, name, instead_of.map(id));
            if let Err(Refused::Name(_)) = entered {
                self.end(&new);
            }
            entered.map(|()| new)
        }

        fn register(&self, one: &One, name: &str) -> Result<(), RegisterError> {
            one.names.register(&self.names, one.id, name)
        }

        fn end(&self, one: &One) {
            leave(&self.directory, &self.names, one);
        }

        /// Who has the name, of whom it is demanded that it is there, or has been since.
        fn whereis(&self, name: &str) -> Option<u64> {
            let id = self.names.get(name)?;
            if self.directory.get(id).is_none() {
                assert_ne!(self.names.get(name), Some(id), "{name} is of one who is not there");
            }
            Some(id.serial())
        }

        /// That names are with those who know that they have them, and with nobody else, when all is still.
        fn check(&self, name: &str) -> Option<u64> {
            let holder = self.names.get(name);
            let all = self.directory.all();
            assert_eq!(all.len(), self.directory.len());
            if let Some(holder) = holder {
                let one = self.directory.get(holder).expect("a name is of one who is there");
                assert!(one.names.list().iter().any(|known| known == name), "it does not know of its name");
            }
            assert_eq!(self.names.len(), usize::from(holder.is_some()));
            holder.map(ProcessId::serial)
        }
    }

    fn run<T: 'static>(peer: &LoomArc<Peer>, what: impl FnOnce(&Peer) -> T + 'static) -> JoinHandle<T> {
        let peer = peer.clone();
        thread::spawn(move || what(&peer))
    }

    /// With three threads: each is interrupted so often at most.
    fn bounded() -> loom::model::Builder {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model
    }

    #[test]
    fn of_two_who_want_a_name_one_gets_it() {
        bounded().check(|| {
            let peer = Peer::new();
            let [a, b] = [1, 2].map(|serial| peer.spawn(serial, None, None).unwrap());
            let theirs = run(&peer, move |peer| peer.register(&b, "lamp"));
            let seen = run(&peer, |peer| (peer.whereis("lamp"), peer.whereis("lamp")));
            let mine = peer.register(&a, "lamp");
            let (theirs, (first, then)) = (theirs.join().unwrap(), seen.join().unwrap());
            let holder = peer.check("lamp");
            match (mine, theirs) {
                (Ok(()), Err(RegisterError::Taken { by })) => assert_eq!((by, holder), (id(1), Some(1))),
                (Err(RegisterError::Taken { by }), Ok(())) => assert_eq!((by, holder), (id(2), Some(2))),
                both => panic!("{both:?}"),
            }
            // Nobody gave it up: who has seen it sees it there again.
            assert!(first.is_none() || first == holder && then == holder);
        });
    }

    #[test]
    fn who_ends_while_it_gets_a_name_leaves_none_behind() {
        loom::model(|| {
            let peer = Peer::new();
            let one = peer.spawn(1, Some("desk"), None).unwrap();
            let same = one.clone();
            let registers = run(&peer, move |peer| peer.register(&same, "lamp"));
            peer.end(&one);
            let registered = registers.join().unwrap();
            assert!(matches!(registered, Ok(()) | Err(RegisterError::Invalid)));
            assert_eq!((peer.names.len(), peer.directory.len()), (0, 0));
            assert_eq!(peer.register(&one, "lamp"), Err(RegisterError::Invalid));
            assert_eq!(peer.names.len(), 0);
        });
    }

    #[test]
    fn who_takes_the_name_of_one_that_ends_keeps_it() {
        bounded().check(|| {
            let peer = Peer::new();
            let old = peer.spawn(1, Some("lamp"), None).unwrap();
            let new = peer.spawn(2, None, None).unwrap();
            let ends = run(&peer, move |peer| peer.end(&old));
            let seen = run(&peer, |peer| peer.whereis("lamp"));
            let got = peer.register(&new, "lamp");
            ends.join().unwrap();
            assert!(matches!(seen.join().unwrap(), None | Some(1 | 2)));
            assert_eq!(peer.check("lamp"), got.is_ok().then_some(2));
            // The other is gone in any case.
            assert_eq!(peer.register(&new, "lamp"), Ok(()));
            assert_eq!(peer.check("lamp"), Some(2));
        });
    }

    #[test]
    fn a_name_that_is_given_up_is_free_once() {
        bounded().check(|| {
            let peer = Peer::new();
            let old = peer.spawn(1, Some("lamp"), None).unwrap();
            let new = peer.spawn(2, None, None).unwrap();
            let same = old.clone();
            let gives_up = run(&peer, move |peer| same.names.unregister(&peer.names, same.id, "lamp"));
            let ends = run(&peer, move |peer| peer.end(&old));
            let got = peer.register(&new, "lamp");
            let _either = (gives_up.join().unwrap(), ends.join().unwrap());
            assert_eq!(peer.check("lamp"), got.is_ok().then_some(2));
        });
    }

    #[test]
    fn one_who_gets_a_name_and_gives_it_up_knows_what_it_has() {
        loom::model(|| {
            let peer = Peer::new();
            let one = peer.spawn(1, None, None).unwrap();
            let same = one.clone();
            let registers = run(&peer, move |peer| peer.register(&same, "lamp"));
            let gave_up = one.names.unregister(&peer.names, one.id, "lamp");
            registers.join().unwrap().unwrap();
            assert_eq!(peer.check("lamp"), (!gave_up).then_some(1));
            assert_eq!(one.names.list().len(), usize::from(!gave_up));
        });
    }

    #[test]
    fn a_name_goes_to_the_one_in_whose_place_it_begins_or_to_who_was_before() {
        bounded().check(|| {
            let peer = Peer::new();
            let old = peer.spawn(1, Some("lamp"), None).unwrap();
            let other = peer.spawn(2, None, None).unwrap();
            let ends = run(&peer, move |peer| peer.end(&old));
            let wants = run(&peer, move |peer| peer.register(&other, "lamp"));
            let new = peer.spawn(3, Some("lamp"), Some(1));
            ends.join().unwrap();
            let wanted = wants.join().unwrap();
            // While the old one is there nobody can come between, and when it has gone one of the two was first.
            match new {
                Ok(_) => {
                    assert!(matches!(wanted, Err(RegisterError::Taken { .. })));
                    assert_eq!((peer.check("lamp"), peer.directory.len()), (Some(3), 2));
                }
                Err(refused) => {
                    assert_eq!(refused, Refused::Name(RegisterError::Taken { by: id(2) }));
                    assert_eq!(wanted, Ok(()));
                    assert_eq!((peer.check("lamp"), peer.directory.len()), (Some(2), 1));
                }
            }
        });
    }

    #[test]
    fn a_name_that_was_handed_over_is_not_had_by_the_old_one_again() {
        bounded().check(|| {
            let peer = Peer::new();
            let old = peer.spawn(1, Some("lamp"), None).unwrap();
            let same = old.clone();
            let again = run(&peer, move |peer| peer.register(&same, "lamp"));
            let seen = run(&peer, |peer| (peer.whereis("lamp"), peer.whereis("lamp")));
            let _new = peer.spawn(3, Some("lamp"), Some(1)).unwrap();
            let (again, (first, then)) = (again.join().unwrap(), seen.join().unwrap());
            assert!(matches!(again, Ok(()) | Err(RegisterError::Taken { .. })));
            if let Err(RegisterError::Taken { by }) = again {
                assert_eq!(by, id(3));
            }
            // It is never nobody's, and does not go back.
            assert!(
                matches!((first, then), (Some(1), Some(1 | 3)) | (Some(3), Some(3))),
                "{first:?}, {then:?}"
            );
            assert_eq!(peer.register(&old, "lamp"), Err(RegisterError::Taken { by: id(3) }));
            // What the old one gives up, or leaves, is not its own any more.
            assert!(!old.names.unregister(&peer.names, old.id, "lamp"));
            peer.end(&old);
            assert_eq!(peer.check("lamp"), Some(3));
        });
    }

    #[test]
    fn names_that_are_given_back_are_not_taken_from_others() {
        bounded().check(|| {
            let peer = Peer::new();
            let one = peer.spawn(1, Some("lamp"), None).unwrap();
            let other = peer.spawn(2, None, None).unwrap();
            // New code on trial gives up one name and takes another.
            let had = one.names.list();
            assert!(one.names.unregister(&peer.names, one.id, "lamp"));
            peer.register(&one, "desk").unwrap();
            let wants = run(&peer, move |peer| peer.register(&other, "lamp"));
            let same = one.clone();
            let ends = run(&peer, move |peer| peer.end(&same));
            one.names.restore(&peer.names, one.id, had);
            ends.join().unwrap();
            let wanted = wants.join().unwrap();
            assert_eq!(peer.names.get("desk"), None);
            assert_eq!(peer.check("lamp"), wanted.is_ok().then_some(2));
        });
    }

    #[test]
    fn who_is_found_by_a_name_is_there() {
        bounded().check(|| {
            let peer = Peer::new();
            // A spawn that is refused its name is never found by it.
            let first = run(&peer, |peer| peer.spawn(1, Some("lamp"), None).is_ok());
            let seen = run(&peer, |peer| peer.whereis("lamp"));
            let second = peer.spawn(2, Some("lamp"), None).is_ok();
            let (first, seen) = (first.join().unwrap(), seen.join().unwrap());
            assert_ne!(first, second);
            let holder = Some(if first { 1 } else { 2 });
            assert_eq!((peer.check("lamp"), peer.directory.len()), (holder, 1));
            assert!(seen.is_none() || seen == holder);
        });
    }

    #[test]
    fn the_directory_counts_what_is_in_it() {
        bounded().check(|| {
            let peer = Peer::new();
            peer.spawn(1, None, None).unwrap();
            // Twice gone is gone once; 1 and 3 are in one shard, 2 is in the other.
            let ends = run(&peer, |peer| peer.directory.remove(id(1)));
            let comes = run(&peer, |peer| {
                peer.directory.insert(one(3, None));
                peer.directory.insert(one(2, None));
                peer.directory.len()
            });
            peer.directory.remove(id(1));
            assert!(peer.directory.get(id(1)).is_none());
            ends.join().unwrap();
            assert!((2..=3).contains(&comes.join().unwrap()));
            let all: Vec<u64> = peer.directory.all().iter().map(|found| found.id.serial()).collect();
            assert_eq!((all, peer.directory.len()), (vec![2, 3], 2));
            assert_eq!(peer.directory.with(id(2), |found| found.id), Some(id(2)));
        });
    }

    #[test]
    fn none_outlives_the_end_of_the_peer_unseen() {
        bounded().check(|| {
            let peer = Peer::new();
            let (told, is_told) =
                (LoomArc::new(AtomicBool::new(false)), |told: &AtomicBool| told.load(Relaxed));
            let first = peer.spawn(1, None, None).unwrap();
            // As the table's `finish` does.
            let theirs = told.clone();
            let ends = run(&peer, move |peer| {
                peer.end(&first);
                if peer.directory.is_closed() {
                    theirs.store(true, Relaxed);
                }
            });
            let comes = run(&peer, |peer| peer.spawn(2, None, None).ok());
            // As its `shutdown` does, which is told only of those that leave from here on.
            peer.directory.close();
            for one in peer.directory.all() {
                one.is_killed.store(true, Relaxed);
            }
            let left = peer.directory.len();
            ends.join().unwrap();
            let new = comes.join().unwrap();
            // Whoever was let in was seen, and so is left by the count too: it ends, and tells.
            assert!(new.as_ref().is_none_or(|new| new.is_killed.load(Relaxed) && left > 0));
            // Who is waited for tells.
            assert!(left == 0 || new.is_some() || is_told(&told), "nobody tells that the last has left");
        });
    }
}
