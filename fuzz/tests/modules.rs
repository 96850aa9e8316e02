// SPDX-License-Identifier: AGPL-3.0-or-later
//! Modules made from a number each. `HEARTH_SEEDS=5000` tries as many instead of the usual number, `HEARTH_SEED=17` that
//! one alone, of which it prints the bytes that it was made from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "it tells which module failed")]

use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};

/// How many are tried in every run of the tests.
const SEEDS: u64 = 400;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Says which module it was when it fails.
struct Of(u64);

impl Drop for Of {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("to run it alone: HEARTH_SEED={seed} cargo xtask test seeded_modules");
        }
    }
}

#[test]
fn seeded_modules_harm_nobody() {
    let seeds = match number("HEARTH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HEARTH_SEEDS").unwrap_or(SEEDS),
    };
    let mut ran = 0;
    for seed in seeds.clone() {
        let _of = Of(seed);
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0; random.gen_range(64..1500)];
        random.fill_bytes(&mut bytes);
        if number("HEARTH_SEED").is_some() {
            eprintln!("{bytes:?}");
        }
        ran += u64::from(hearth_fuzz::module(&bytes));
    }
    // Those that ask for more than they may have do not start.
    assert!(ran * 3 > seeds.end - seeds.start, "{ran} of {seeds:?} ran");
}
