// SPDX-License-Identifier: AGPL-3.0-or-later
//! How fast lumps are put and had: `cargo run --release -p hearth-store --example rate -- DIR`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for a person at a terminal")]

use hearth_store::{Store, StoreOptions};
use std::{io::Read, path::Path, thread, time::Instant};

fn main() {
    let dir = std::env::args_os().nth(1).expect("the folder of a new store");
    let store = Store::open(Path::new(&dir), StoreOptions::default()).unwrap();
    for threads in [1, 8, 64] {
        let each = 4000 / threads.max(8);
        let start = Instant::now();
        thread::scope(|scope| {
            for thread in 0..threads {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..each {
                        let mut bytes = [7; 1024];
                        bytes[..24].copy_from_slice(&[threads, thread, n].map(usize::to_le_bytes).concat());
                        store.put(&bytes).unwrap();
                    }
                });
            }
        });
        let rate = (threads * each) as f64 / start.elapsed().as_secs_f64();
        println!("put 1 KiB, {threads} threads: {rate:.0}/s");
    }
    let ids: Vec<_> = store.list(None, 1000).unwrap().iter().map(|lump| lump.id).collect();
    let start = Instant::now();
    for n in 0..200_000 {
        store.get(&ids[n % ids.len()]).unwrap();
    }
    println!("get 1 KiB: {:.0}/s", 200_000.0 / start.elapsed().as_secs_f64());
    const SIZE: u64 = 256 << 20;
    let mib = |start: Instant| (SIZE >> 20) as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (id, _) = store.put_reader(&mut std::io::repeat(3).take(SIZE)).unwrap();
    println!("put 256 MiB: {:.0} MiB/s", mib(start));
    let start = Instant::now();
    store.get(&id).unwrap();
    println!("get 256 MiB: {:.0} MiB/s", mib(start));
    let start = Instant::now();
    for n in 0..20_000 {
        store.read(&id, n * 7919 % (SIZE - 4096), 4096).unwrap();
    }
    println!("read 4 KiB of it: {:.0}/s", 20_000.0 / start.elapsed().as_secs_f64());
}
