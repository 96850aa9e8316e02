// SPDX-License-Identifier: AGPL-3.0-or-later
//! Works out arithmetic by compiling it: makes a WebAssembly module in its own memory, a lump of the
//! module, and a process of the lump on any peer, which sends the result back.
//!
//! Send it `{"expression": "2*(3+4)", "peer": 1}`; without `peer` it is done here. The answer is a
//! number, or `{"error": "…"}`.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::{prelude::*, task::Task};
use hearth_std::expr;
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

hearth_sdk::main!(run);

/// How long a module may take to come back with its result.
const LIMIT: Duration = Duration::from_secs(10);
/// Most jobs under way; who asks for more is told so.
const JOBS_MAX: usize = 256;

#[derive(Deserialize)]
struct Ask {
    expression: String,
    peer: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Incoming {
    Ask(Ask),
    /// From a module: its job and the result.
    Done(u64, f64),
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

/// The jobs under way: who asked, and what is being done.
type Jobs = Rc<RefCell<BTreeMap<u64, (Envelope<Incoming>, Task<()>)>>>;

async fn run() {
    let jobs = Jobs::default();
    let mut last = 0;
    loop {
        let message = recv::<Incoming>().await;
        match &message.body {
            Incoming::Done(job, result) => {
                let done = jobs.borrow_mut().remove(job);
                if let Some((asked, task)) = done {
                    task.cancel();
                    // Who asked may be gone.
                    asked.reply(result).ok();
                }
            }
            Incoming::Ask(_) if jobs.borrow().len() >= JOBS_MAX => refuse(&message, "too many jobs"),
            Incoming::Ask(Ask { expression, peer }) => {
                last += 1;
                let job = last;
                let (expression, peer) = (expression.clone(), *peer);
                let table = Rc::clone(&jobs);
                let task = spawn_local(async move {
                    let failure = match begin(&expression, peer, job).await {
                        Ok(()) => {
                            sleep(LIMIT).await;
                            "the module did not answer".into()
                        }
                        Err(reason) => reason,
                    };
                    let failed = table.borrow_mut().remove(&job);
                    if let Some((asked, _)) = failed {
                        refuse(&asked, &failure);
                    }
                });
                jobs.borrow_mut().insert(job, (message, task));
            }
        }
    }
}

fn refuse(asked: &Envelope<Incoming>, reason: &str) {
    asked.reply(&Refusal { error: reason.into() }).ok();
}

/// From the text to a running process; the result comes as a message.
async fn begin(expression: &str, on: Option<u32>, job: u64) -> Result<(), String> {
    let module = expr::compile(expression).map_err(|problem| problem.to_string())?;
    let on = on.map_or(Ok(peer()), |number| PeerId::new(number).ok_or("no such peer"))?;
    let lump = Lump::store(&module).await.map_err(|error| error.to_string())?;
    // Compiles it here first: what does not run here need not be sent.
    let asset = Asset::load("WebAssembly", lump.0).await.map_err(|error| error.to_string())?;
    if on != peer() {
        lump.push(on).await.map_err(|error| error.to_string())?;
    }
    let arguments = expr::arguments(self_id().to_bits(), job);
    let id = spawn_on(on, asset.id(), None, arguments).await.map_err(|error| error.to_string())?;
    debug!("job {job} is {id}: {expression}");
    Ok(())
}
