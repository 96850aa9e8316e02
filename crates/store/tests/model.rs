// SPDX-License-Identifier: AGPL-3.0-or-later
//! Any sequence of operations does to the store what it does to a map in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{file_of, flip, id_of, open, quick_dir, sample};
use hearth_store::{GROUPED_MIN, GetError, LumpId, PinError, SMALL_MAX, Stat, Store};
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

/// The lumps that the operations speak of, of every kind.
const LENS: [usize; 8] =
    [0, 5, 5000, SMALL_MAX, SMALL_MAX + 1, 200_000, GROUPED_MIN as usize, GROUPED_MIN as usize + 100_001];

fn lump(n: usize) -> Vec<u8> {
    sample(n as u64, LENS[n])
}

#[derive(Clone, Debug)]
enum Op {
    Put(usize),
    PutReader(usize),
    Receive(usize),
    ReceiveWrong(usize),
    Get(usize),
    Read(usize, u32, u32),
    Pin(usize),
    Unpin(usize),
    Collect(u8),
    Harm(usize, u32),
    Check,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0..LENS.len();
    prop_oneof![
        3 => n.clone().prop_map(Op::Put),
        1 => n.clone().prop_map(Op::PutReader),
        1 => n.clone().prop_map(Op::Receive),
        1 => n.clone().prop_map(Op::ReceiveWrong),
        3 => n.clone().prop_map(Op::Get),
        3 => (n.clone(), any::<u32>(), any::<u32>()).prop_map(|(n, a, b)| Op::Read(n, a, b)),
        2 => n.clone().prop_map(Op::Pin),
        1 => n.clone().prop_map(Op::Unpin),
        2 => any::<u8>().prop_map(Op::Collect),
        1 => (n, any::<u32>()).prop_map(|(n, at)| Op::Harm(n, at)),
        1 => Just(Op::Check),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    /// Lump and whether its file was harmed.
    lumps: BTreeMap<LumpId, (usize, bool)>,
    pins: BTreeSet<LumpId>,
    recent: BTreeSet<LumpId>,
}

impl Model {
    fn put(&mut self, n: usize, id: LumpId) {
        self.lumps.insert(id, (n, false));
        self.recent.insert(id);
    }

    /// What reading the lump must say; one that was harmed is gone then.
    fn read(&mut self, id: &LumpId, got: Result<&[u8], GetError>, wanted: &[u8]) {
        match (self.lumps.get(id), got) {
            (None, Err(GetError::NotFound(missing))) => assert_eq!(missing, *id),
            (Some((_, false)), Ok(got)) => assert!(got == wanted),
            (Some((_, true)), Err(GetError::Corrupt { id: corrupt, moved_to: Some(_) })) => {
                assert_eq!(corrupt, *id);
                self.lumps.remove(id);
            }
            (here, got) => panic!("{here:?}, but {:?}", got.map(<[u8]>::len)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map(ops in vec(op(), 1..40)) {
        let dir = quick_dir();
        let mut store = Some(open(dir.path()));
        let mut model = Model::default();
        for op in ops {
            apply(&op, dir.path(), &mut store, &mut model);
            compare(store.as_ref().unwrap(), &model);
        }
    }
}

fn apply(op: &Op, dir: &std::path::Path, slot: &mut Option<Store>, model: &mut Model) {
    let store = slot.as_ref().unwrap();
    match *op {
        Op::Put(n) => {
            let id = store.put(&lump(n)).unwrap();
            model.put(n, id);
        }
        Op::PutReader(n) => {
            let (id, size) = store.put_reader(&mut &lump(n)[..]).unwrap();
            assert_eq!(size, LENS[n] as u64);
            model.put(n, id);
        }
        Op::Receive(n) => {
            let id = id_of(&lump(n));
            let mut incoming = store.begin(id, LENS[n] as u64).unwrap();
            lump(n).chunks(50_001).for_each(|part| incoming.write(part).unwrap());
            incoming.finish().unwrap();
            model.put(n, id);
        }
        Op::ReceiveWrong(n) => {
            let mut incoming = store.begin(id_of(b"not this"), LENS[n] as u64).unwrap();
            incoming.write(&lump(n)).unwrap();
            incoming.finish().unwrap_err();
        }
        Op::Get(n) => {
            let (bytes, id) = (lump(n), id_of(&lump(n)));
            let got = store.get(&id);
            model.read(&id, got.as_deref().map_err(Clone::clone), &bytes);
        }
        Op::Read(n, a, b) => {
            let (bytes, id) = (lump(n), id_of(&lump(n)));
            let from = a as usize % (bytes.len() + 1);
            let len = b as usize % (bytes.len() - from + 1);
            // Of a harmed lump only the groups that are read are looked at, so read all of that one.
            let harmed = model.lumps.get(&id).is_some_and(|(_, harmed)| *harmed);
            let (from, len) = if harmed { (0, bytes.len()) } else { (from, len) };
            let got = store.read(&id, from as u64, len);
            model.read(&id, got.as_deref().map_err(Clone::clone), &bytes[from..from + len]);
        }
        Op::Pin(n) => {
            let id = id_of(&lump(n));
            match store.pin(&id) {
                Ok(()) => assert!(model.lumps.contains_key(&id)),
                Err(PinError::NotFound(_)) => return assert!(!model.lumps.contains_key(&id)),
                Err(other) => panic!("{other}"),
            }
            model.pins.insert(id);
        }
        Op::Unpin(n) => {
            let id = id_of(&lump(n));
            assert_eq!(store.unpin(&id).unwrap(), model.pins.remove(&id));
        }
        Op::Collect(mask) => {
            let kept = |id: &LumpId| (0..LENS.len()).any(|n| mask & (1 << n) != 0 && id_of(&lump(n)) == *id);
            let gone: Vec<LumpId> = model
                .lumps
                .keys()
                .filter(|id| !model.pins.contains(id) && !model.recent.contains(id) && !kept(id))
                .copied()
                .collect();
            let removed = store.remove_unreferenced(&kept).unwrap();
            assert_eq!(removed.lumps, gone.len() as u64);
            model.lumps.retain(|id, _| !gone.contains(id));
            model.recent.clear();
        }
        Op::Harm(n, at) => {
            let id = id_of(&lump(n));
            if let Some((_, harmed @ false)) = model.lumps.get_mut(&id)
                && LENS[n] > SMALL_MAX
            {
                flip(&file_of(dir, &id), at as usize % LENS[n]);
                *harmed = true;
            }
        }
        Op::Check => {
            let report = store.check().unwrap();
            let corrupt: BTreeSet<LumpId> = report.corrupt.iter().map(|(id, _)| *id).collect();
            let harmed: Vec<LumpId> =
                model.lumps.iter().filter(|(_, (_, harmed))| *harmed).map(|(id, _)| *id).collect();
            assert!(corrupt.iter().eq(&harmed));
            model.lumps.retain(|id, _| !harmed.contains(id));
            let missing: Vec<LumpId> =
                model.pins.iter().filter(|id| !model.lumps.contains_key(id)).copied().collect();
            assert_eq!(report.pinned_missing, missing);
        }
        Op::Reopen => {
            *slot = None;
            *slot = Some(open(dir));
            model.recent.clear();
        }
    }
}

fn compare(store: &Store, model: &Model) {
    let listed: Vec<(LumpId, Stat)> =
        store.list(None, 100).unwrap().into_iter().map(|lump| (lump.id, lump.stat)).collect();
    let wanted: Vec<(LumpId, Stat)> = model
        .lumps
        .iter()
        .map(|(id, (n, _))| (*id, Stat { size: LENS[*n] as u64, pinned: model.pins.contains(id) }))
        .collect();
    assert_eq!(listed, wanted);
    assert!(model.pins.iter().eq(&store.pins().unwrap()));
    assert_eq!(store.used_bytes(), wanted.iter().map(|(_, stat)| stat.size).sum::<u64>());
    for (id, stat) in wanted {
        assert_eq!(store.stat(&id).unwrap(), Some(stat));
    }
}
