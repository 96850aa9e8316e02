// SPDX-License-Identifier: AGPL-3.0-or-later
//! New code for running processes: who may, that it is there and fits, and what of the code before goes.

use crate::{
    lumps::chain,
    node::{Inner, SPAWN_TIME_MAX},
    operator::from_failure,
    services::{get_bounded, module_len_max},
};
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_process::{Code, ReplaceError};
use hearth_protocol::operator::{ErrorCode, Failure, Replaced};
use std::time::Duration;

/// How long a peer may take to fetch new code, compile it, and let it start.
pub(crate) const REPLACE_TIME_MAX: Duration = Duration::from_secs(SPAWN_TIME_MAX.as_secs() + 30);

impl Inner {
    /// Replaces the code of a process of this peer by a module, or by the code before, for an operator
    /// of a peer. New code has that peer as its origin.
    pub(crate) async fn replace(
        &self,
        asker: PeerId,
        id: ProcessId,
        module: Option<LumpId>,
    ) -> Result<Replaced, Failure> {
        // Before anything is fetched; it is asked again where the code is replaced.
        self.processes.may_replace(id, asker).map_err(|error| refusal(error, id))?;
        let done = match module {
            Some(module) => {
                let bytes = get_bounded(self, module, Some(asker), module_len_max()).await;
                let bytes = bytes.map_err(|failure| from_failure(failure, None))?;
                let loaded = self.wasm.load(module, bytes).await;
                loaded.map_err(|error| Failure::new(ErrorCode::Malformed, chain(&error)))?;
                let program = self.wasm.program(module);
                self.processes.replace(id, Code { program, module: Some(module), origin: asker }, asker).await
            }
            None => self.processes.roll_back(id, asker).await,
        };
        done.map_err(|error| refusal(error, id))?;
        // It may have ended since, having done what it had to.
        let runs = self.processes.info(id).and_then(|info| info.module).or(module);
        let module = runs.ok_or_else(|| Failure::no_such_process(id))?;
        Ok(Replaced { id, module })
    }
}

fn refusal(error: ReplaceError, id: ProcessId) -> Failure {
    let text = format!("the code of process `{id}` was not replaced: {error}");
    match error {
        ReplaceError::NotFound => Failure::no_such_process(id),
        ReplaceError::Failed(_) => Failure::new(ErrorCode::DidNotStart, text)
            .with_hint(format!("the code before goes on; `hearth-ctl tail {id}` shows where it ended")),
        ReplaceError::NoScript => Failure::new(ErrorCode::Unsupported, text),
        ReplaceError::NotAllowed => {
            let text = format!(
                "process `{id}` has the authority of peer `{}`, on which it runs: only that peer's own operator \
                 replaces its code",
                id.peer()
            );
            Failure::new(ErrorCode::Refused, text)
        }
        _ => Failure::new(ErrorCode::Refused, text),
    }
}
