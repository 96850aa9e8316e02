// SPDX-License-Identifier: AGPL-3.0-or-later
//! How long a neighbour may be away before it counts as gone.

use hearth_abi::PeerId;
use std::time::Duration;

/// How long a neighbour may be away.
#[derive(Clone)]
pub(crate) enum Grace {
    /// So long.
    Time(Duration),
    /// Until a simulation says of which neighbour that it was long enough.
    #[cfg(test)]
    Told(tokio::sync::broadcast::Sender<PeerId>),
}

impl Grace {
    /// Resolves when a neighbour that has gone away now has been away for too long.
    pub(crate) async fn over(&self, neighbour: PeerId) {
        match self {
            Grace::Time(time) => {
                let _ = neighbour;
                tokio::time::sleep(*time).await;
            }
            #[cfg(test)]
            Grace::Told(told) => {
                let mut told = told.subscribe();
                while told.recv().await.is_ok_and(|over| over != neighbour) {}
            }
        }
    }
}
