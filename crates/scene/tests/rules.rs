// SPDX-License-Identifier: AGPL-3.0-or-later
//! The rules of a scene, and the feed of its changes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hearth_abi::{
    EntityId, Errno, PeerId, ProcessId,
    scene::{ComponentKind, Op, Scope},
};
use hearth_scene::{Change, Limits, Owner, Problem, Quota, SavedChange, SavedEntity, Scene};
use proptest::prelude::*;
use support::{Reader, at, create, entity, name, process, under};

const SPACE: ProcessId = ProcessId::from_bits(0);

fn scene() -> Scene {
    Scene::new(Limits { entities: 12, entities_per_process: 8, entities_per_origin: 12, depth: 4, work: 40 })
}

/// Applies the batches, of which all but the last succeed, and tells what the last came to.
fn problem(writer: ProcessId, batches: &[&[Op]]) -> Option<Problem> {
    let mut scene = scene();
    let (last, first) = batches.split_last().unwrap();
    for batch in first {
        scene.apply(writer, batch).unwrap();
    }
    let before = scene.clone();
    let outcome = scene.apply(writer, last);
    if outcome.is_err() {
        assert!(scene == before, "a refused batch changes nothing");
    }
    outcome.err().map(|error| error.problem)
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let me = process(1, 7);
    let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|n| entity(1, n));
    let foreign = entity(2, 1);
    let local = |id| Op::Create(id, Scope::Local);
    let chain = [create(a), create(b), create(c), create(d), under(b, a), under(c, b), under(d, c)];
    let cases: &[(Option<Problem>, &[&[Op]])] = &[
        (None, &[&[create(a), Op::Set(a, at(1.0)), Op::Give(a), Op::Remove(a)]]),
        (None, &[&[create(a), Op::Remove(a), create(a)]]),
        (None, &[&[create(a)], &[Op::Unset(a, ComponentKind::Name)]]),
        (None, &[&[create(a), local(b), under(b, a)]]),
        (None, &[&[local(a), local(b), under(b, a)]]),
        (None, &[&chain]),
        (None, &[&chain, &[under(d, a), under(c, d), under(b, c)]]),
        (Some(Problem::Exists), &[&[create(a)], &[create(a)]]),
        (Some(Problem::Exists), &[&[create(a)], &[local(a)]]),
        (Some(Problem::ForeignId), &[&[create(foreign)]]),
        (Some(Problem::NotFound), &[&[Op::Set(a, at(1.0))]]),
        (Some(Problem::NotFound), &[&[Op::Unset(a, ComponentKind::Name)]]),
        (Some(Problem::NotFound), &[&[Op::Remove(a)]]),
        (Some(Problem::NotFound), &[&[Op::Give(a)]]),
        (Some(Problem::NotFound), &[&[create(a)], &[under(b, a)]]),
        (Some(Problem::NotFound), &[&[create(a), create(b), under(b, a)], &[Op::Remove(a), Op::Remove(b)]]),
        (Some(Problem::ParentNotFound), &[&[create(a)], &[under(a, b)]]),
        (Some(Problem::Cycle), &[&[create(a)], &[under(a, a)]]),
        (Some(Problem::Cycle), &[&chain, &[under(a, d)]]),
        (Some(Problem::ScopeOfParent), &[&[create(a), local(b)], &[under(a, b)]]),
        (Some(Problem::LocalGiven), &[&[local(a)], &[Op::Give(a)]]),
        (Some(Problem::TooDeep), &[&chain, &[create(e), under(e, d)]]),
        (Some(Problem::TooDeep), &[&chain, &[create(e), under(a, e)]]),
        (Some(Problem::TooMuchWork), &[&chain, &vec![Op::Give(a); 11]]),
        (Some(Problem::TooMuchWork), &[&chain, &vec![Op::SetParent(a, None); 41], &vec![under(d, c); 41]]),
    ];
    for (expected, batches) in cases {
        assert_eq!(problem(me, batches), *expected, "{batches:?}");
    }
}

#[test]
fn the_processes_of_an_origin_have_a_bound_together() {
    let mut scene = scene();
    let origin = PeerId::new(5).unwrap();
    let quota = Quota { entities: 3, origin, of_origin: 4 };
    let ids: Vec<EntityId> = (1..=12).map(|n| entity(1, n)).collect();
    let all: Vec<Op> = ids.iter().map(|id| create(*id)).collect();
    let (one, other, own) = (process(1, 1), process(1, 2), process(1, 3));
    let counts = |scene: &Scene| (scene.count_of_origin(origin), scene.count_of_origin(one.peer()));
    scene.apply_within(&quota, one, &all[..3]).unwrap();
    assert_eq!(scene.apply_within(&quota, one, &all[3..4]).unwrap_err().problem, Problem::ProcessFull);
    let error = scene.apply_within(&quota, other, &all[3..5]).unwrap_err();
    assert_eq!((error.problem, error.index, error.errno()), (Problem::OriginFull, 1, Errno::Limit));
    assert_eq!(counts(&scene), (3, 0), "a refused batch counts nothing");
    scene.apply_within(&quota, other, &all[3..4]).unwrap();
    // Those of others do not feel it.
    scene.apply(own, &all[4..8]).unwrap();
    assert_eq!((counts(&scene), scene.count_of(own)), ((4, 4), 4));
    // Whoever removes or gives it, it counts no more; and within a batch it is what is there at each step.
    scene.apply(own, &[Op::Remove(ids[0]), Op::Give(ids[1])]).unwrap();
    assert_eq!(counts(&scene), (2, 4));
    scene
        .apply_within(&quota, other, &[create(ids[8]), create(ids[9]), Op::Remove(ids[8]), create(ids[8])])
        .unwrap();
    assert_eq!(counts(&scene), (4, 4));
    // What is applied without a word of it counts for the same origin, within the scene's own bounds.
    scene.apply(other, &[create(ids[0])]).unwrap();
    assert_eq!(counts(&scene), (5, 4));
    // Code of another origin takes what there is to that one, and back.
    scene.set_origin(other, other.peer());
    assert_eq!(counts(&scene), (1, 8));
    scene.set_origin(other, origin);
    assert_eq!(counts(&scene), (5, 4));
    // At its end all is given back, and its origin forgotten.
    scene.remove_owned_by(other);
    assert_eq!(counts(&scene), (1, 4));
    scene.remove_owned_by(one);
    scene.remove_owned_by_peer(own.peer());
    assert_eq!(counts(&scene), (0, 0));
    scene.apply(one, &all[2..3]).unwrap();
    assert_eq!(counts(&scene), (0, 1));
}

#[test]
fn a_process_and_the_scene_have_bounds() {
    let mut scene = scene();
    let ids: Vec<EntityId> = (1..=13).map(|n| entity(1, n)).collect();
    let all: Vec<Op> = ids.iter().map(|id| create(*id)).collect();
    let error = scene.apply(process(1, 1), &all[..9]).unwrap_err();
    assert_eq!((error.problem, error.index, error.errno()), (Problem::ProcessFull, 8, Errno::Limit));
    assert_eq!(error.to_string(), "operation 8 on entity 1.9: the process has as many entities as allowed");
    scene.apply(process(1, 1), &all[..8]).unwrap();
    scene.apply(process(1, 2), &all[8..12]).unwrap();
    assert_eq!(scene.apply(process(1, 2), &all[12..]).unwrap_err().problem, Problem::SceneFull);
    // What is given counts for nobody.
    scene.apply(process(1, 1), &[Op::Give(ids[0]), Op::Remove(ids[11]), create(ids[11])]).unwrap();
    assert_eq!(scene.owned_by(process(1, 1)).count(), 8);
}

#[test]
fn what_a_process_owns_goes_with_it_and_what_it_gave_stays() {
    let mut scene = scene();
    let (mine, other) = (process(1, 1), process(2, 1));
    let [tree, leaf, given, below_given] = [1, 2, 3, 4].map(|n| entity(1, n));
    let guest = entity(2, 1);
    scene.apply(mine, &[create(tree), create(leaf), under(leaf, tree), create(given)]).unwrap();
    scene.apply(mine, &[create(below_given), under(below_given, given), Op::Give(given)]).unwrap();
    scene.apply(other, &[create(guest), under(guest, leaf)]).unwrap();
    assert_eq!(scene.get(below_given).unwrap().owner(), Owner::Space);

    let mut replay = scene.clone();
    let ops = scene.remove_owned_by(mine);
    assert_eq!(ops, [Op::Remove(tree)], "what hangs below goes with it");
    assert_eq!(scene.iter().map(|(id, _)| id).collect::<Vec<_>>(), [given, below_given]);
    replay.apply(SPACE, &ops).unwrap();
    assert!(replay == scene);

    scene.apply(other, &[create(guest)]).unwrap();
    assert_eq!(scene.remove_owned_by_peer(PeerId::new(2).unwrap()), [Op::Remove(guest)]);
    assert_eq!(scene.remove_owned_by_peer(PeerId::new(2).unwrap()), []);
}

#[test]
fn the_component_remembers_its_writer() {
    let mut scene = scene();
    let a = entity(1, 1);
    scene.apply(process(1, 1), &[create(a), Op::Set(a, at(1.0)), Op::Set(a, name("a"))]).unwrap();
    scene.apply(process(2, 2), &[Op::Set(a, at(2.0))]).unwrap();
    let entity = scene.get(a).unwrap();
    assert_eq!(entity.writer(ComponentKind::Transform), Some(process(2, 2)));
    assert_eq!(entity.writer(ComponentKind::Name), Some(process(1, 1)));
    assert_eq!(entity.writer(ComponentKind::Light), None);
    assert_eq!(scene.component_bytes(a, ComponentKind::Name), Some(b"a".to_vec()));
}

#[test]
fn only_the_newest_state_is_told() {
    let mut scene = scene();
    scene.record_changes();
    let (me, a, b) = (process(1, 1), entity(1, 1), entity(1, 2));
    scene.apply(me, &[create(b), create(a), under(b, a), Op::Set(b, at(1.0)), Op::Set(b, at(2.0))]).unwrap();
    let owner = Owner::Process(me);
    assert_eq!(
        scene.take_changes(),
        [
            Change::Created { id: a, scope: Scope::Shared, owner },
            Change::Created { id: b, scope: Scope::Shared, owner },
            Change::Reparented { id: b, parent: Some(a) },
            Change::Set { id: b, component: at(2.0) },
        ]
    );
    assert!(!scene.has_changes());
    // Made and gone between two looks: nothing to tell.
    scene.apply(me, &[create(entity(1, 3)), Op::Remove(entity(1, 3))]).unwrap();
    assert_eq!(scene.take_changes(), []);
    // A survivor leaves what is removed, first.
    scene.apply(me, &[Op::SetParent(b, None), Op::Remove(a), Op::Set(b, name("b"))]).unwrap();
    assert_eq!(
        scene.take_changes(),
        [
            Change::Reparented { id: b, parent: None },
            Change::Removed { id: a },
            Change::Set { id: b, component: name("b") },
        ]
    );
    // A refused batch is not heard of.
    scene.apply(me, &[Op::Remove(b), Op::Remove(a)]).unwrap_err();
    assert_eq!(scene.take_changes(), []);
}

#[test]
fn only_what_is_the_spaces_is_saved() {
    let mut scene = scene();
    scene.record_unsaved();
    let (me, a, b) = (process(1, 1), entity(1, 1), entity(1, 2));
    scene.apply(me, &[create(a), Op::Set(a, at(1.0)), create(b)]).unwrap();
    assert_eq!(scene.take_unsaved(), []);
    scene.apply(me, &[under(a, b), Op::Give(a)]).unwrap();
    let saved = SavedChange::Put(SavedEntity { id: a, parent: Some(b), components: vec![at(1.0)] });
    assert_eq!(scene.take_unsaved(), std::slice::from_ref(&saved));
    scene.not_saved(&[saved]);
    scene.apply(me, &[Op::Set(a, at(2.0))]).unwrap();
    let saved = SavedEntity { id: a, parent: Some(b), components: vec![at(2.0)] };
    assert_eq!(scene.take_unsaved(), [SavedChange::Put(saved.clone())]);
    scene.remove_owned_by(me);
    assert_eq!(scene.take_unsaved(), [SavedChange::Remove(a)]);

    // What it hung under is not there after a restart.
    let mut scene = Scene::new(Limits::default());
    scene.record_unsaved();
    scene.restore(&[saved]);
    assert_eq!((scene.get(a).unwrap().parent(), scene.get(a).unwrap().owner()), (None, Owner::Space));
    assert_eq!(scene.take_unsaved(), [], "what was saved need not be saved");
}

#[test]
fn a_file_with_a_ring_is_restored_without_it() {
    let mut scene = Scene::new(Limits::default());
    let saved =
        |n, parent| SavedEntity { id: entity(1, n), parent: Some(entity(1, parent)), components: vec![] };
    scene.restore(&[saved(1, 2), saved(2, 3), saved(3, 1), saved(4, 4)]);
    assert_eq!(scene.parents_first().count(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reader_of_changes_knows_the_scene(
        batches in prop::collection::vec((prop::collection::vec(any::<[u8; 4]>(), 1..6), any::<bool>()), 1..60)
    ) {
        let mut scene = Scene::new(Limits { entities: 9, ..Limits::default() });
        scene.record_changes();
        scene.record_unsaved();
        let mut reader = Reader::default();
        let mut saved = std::collections::BTreeMap::new();
        let fresh: Vec<EntityId> = (1..=12).map(|n| entity(1, n)).collect();
        for (wishes, look) in batches {
            let ops: Vec<Op> =
                wishes.into_iter().filter_map(|wish| support::op(&scene, &fresh, true, wish)).collect();
            let before = scene.clone();
            if scene.apply(process(1, 1), &ops).is_err() {
                prop_assert!(scene == before);
            }
            prop_assert_eq!(scene.parents_first().count(), scene.len(), "all hang on the root");
            if look {
                reader.read(scene.take_changes());
                reader.assert_knows(&scene);
                for change in scene.take_unsaved() {
                    match change {
                        SavedChange::Put(entity) => saved.insert(entity.id, entity),
                        SavedChange::Remove(id) => saved.remove(&id),
                    };
                }
                let of_space = scene.iter().filter(|(_, e)| e.owner() == Owner::Space);
                let of_space: Vec<EntityId> = of_space.map(|(id, _)| id).collect();
                prop_assert_eq!(saved.keys().copied().collect::<Vec<_>>(), of_space);
            }
        }
    }
}

/// What an index says is what all entities say, also after what was refused and undone.
#[test]
fn terminals_are_shown_while_a_shared_entity_shows_them() {
    use hearth_abi::{
        TerminalId,
        scene::{Component, TerminalView},
    };
    let me = process(1, 7);
    let [a, b, c] = [1, 2, 3].map(|n| entity(1, n));
    let view = |id, serial| {
        let terminal = TerminalId::from_bits(serial);
        Op::Set(id, Component::Terminal(TerminalView { terminal, cell_height: 0.1, opacity: 1.0 }))
    };
    let shown = |scene: &Scene| -> Vec<u64> {
        scene.shared_terminals().into_iter().map(TerminalId::to_bits).collect()
    };
    let mut scene = scene();
    scene.apply(me, &[create(a), create(b), Op::Create(c, Scope::Local), under(b, a)]).unwrap();
    scene.apply(me, &[view(a, 7), view(b, 8), view(c, 9)]).unwrap();
    assert_eq!(shown(&scene), [7, 8], "what only one user sees is not shown");
    let refused = [Op::Remove(a), create(a), view(a, 5), under(a, c)];
    assert!(scene.apply(me, &refused).is_err());
    assert_eq!(shown(&scene), [7, 8]);
    scene.apply(me, &[view(b, 7), Op::Unset(a, ComponentKind::Terminal)]).unwrap();
    assert_eq!(shown(&scene), [7]);
    assert_eq!(shown(&scene.clone()), [7]);
    scene.remove_owned_by(me);
    assert_eq!(shown(&scene), [0u64; 0]);
}
