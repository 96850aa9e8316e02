// SPDX-License-Identifier: AGPL-3.0-or-later
//! What users' pointers do to entities of this process, wherever it runs.
//!
//! Whoever makes an entity and says what it [`Wants`] hears of it, of every user in the space: a script on the
//! server has a button that anybody presses.
//!
//! ```
//! use hearth_sdk::{pointer::{Kind, Pointers, Wants}, prelude::*, testing};
//!
//! async fn run() -> Result<(), Error> {
//!     let button = Entity::new().at(0.0, 1.2, 0.0).mesh(MeshSource::Sphere(0.1)).pointer(Wants::PRESS);
//!     let button = button.spawn()?;
//!     let mut pointers = Pointers::listen();
//!     loop {
//!         let event = pointers.next().await;
//!         if event.entity == button && event.kind == Kind::Click {
//!             info!("peer {} has clicked it", event.user);
//!         }
//!     }
//! }
//! # testing::run_for(run(), Duration::ZERO);
//! ```
//!
//! What users type into an entity comes by [`keyboard::Hands`](crate::keyboard::Hands), in order with what their pointers do.
//!
//! If an entity is given to the space, nobody hears of it any more.

use crate::{keyboard::Did, runtime};
use hearth_abi::EntityId;
use std::future::poll_fn;

pub use hearth_abi::pointer::{Event, Kind, MOUSE, NO_BUTTON, Wants};
pub use hearth_abi::terminal::Modifiers;

/// The events of all entities of this process, or of one; those of one that nobody listens to come to who listens
/// to all.
#[derive(Debug)]
pub struct Pointers(Option<EntityId>);

impl Pointers {
    /// Listens to all that nobody else listens to.
    pub fn listen() -> Pointers {
        Pointers(None)
    }

    /// Listens to one entity alone. One at a time does; of two each event goes to one.
    pub fn of(entity: EntityId) -> Pointers {
        runtime::listen(entity);
        Pointers(Some(entity))
    }

    /// The next event. Of those that nobody takes, motions give way to newer ones, and the oldest are lost once there
    /// are 1,024.
    pub async fn next(&mut self) -> Event {
        let is_pointer = |did: &Did| matches!(did, Did::Pointer(_));
        loop {
            if let Did::Pointer(event) =
                poll_fn(|context| runtime::poll_hands(self.0, is_pointer, context)).await
            {
                return event;
            }
        }
    }

    /// The next click, with any button.
    pub async fn click(&mut self) -> Event {
        loop {
            let event = self.next().await;
            if event.kind == Kind::Click {
                return event;
            }
        }
    }
}

impl Drop for Pointers {
    fn drop(&mut self) {
        if let Some(entity) = self.0 {
            runtime::unlisten(entity);
        }
    }
}
