// SPDX-License-Identifier: AGPL-3.0-or-later
//! What users type into entities of this process, wherever it runs.
//!
//! A user gives the keyboard to an entity by pressing it, if that asks for presses ([`Wants::PRESS`](crate::pointer::Wants::PRESS)) and
//! says that it takes keys ([`Entity::keyboard`](crate::scene::Entity::keyboard)). Nothing else gives it: no script can
//! ask for it. Esc takes it back, and so does a press elsewhere. All the while the user is shown whose script gets what
//! they type.
//!
//! ```
//! use hearth_sdk::{input, keyboard::{Did, Hands}, prelude::*, testing};
//!
//! async fn run() -> Result<(), Error> {
//!     let slate = Entity::new().name("slate").at(0.0, 1.5, 0.0).mesh(MeshSource::Cuboid([0.6, 0.2, 0.01]));
//!     let slate = slate.pointer(Wants::PRESS).keyboard().spawn()?;
//!     let mut hands = Hands::of(slate);
//!     loop {
//!         if let Did::Keyboard(event) = hands.next().await
//!             && let input::Event::Text(text) = event.did
//!         {
//!             info!("peer {} typed {text}", event.user);
//!         }
//!     }
//! }
//! # let slate = EntityId::from_bits(scene::new_id().unwrap().to_bits() + 1);
//! # testing::keyboard(&keyboard::Event { user: peer(), entity: slate, did: input::Event::Text("ü".into()) });
//! # testing::run_for(run(), Duration::ZERO);
//! # assert_eq!(testing::logs()[0].1, "peer 1 typed ü");
//! ```
//!
//! Several users may type at once, also into one entity: each event says whose it is.

use crate::{PeerId, pointer, runtime, sys};
use hearth_abi::{EntityId, Errno};
use std::future::poll_fn;

pub use hearth_abi::keyboard::{Event, PASTE_LEN_MAX};

/// What a user did to an entity.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    /// With the pointer.
    Pointer(pointer::Event),
    /// With the keyboard, which they have given to it.
    Keyboard(Event),
}

impl Did {
    pub(crate) fn entity(&self) -> EntityId {
        match self {
            Did::Pointer(event) => event.entity,
            Did::Keyboard(event) => event.entity,
        }
    }
}

/// What users do to an entity of this process, or to all, with pointers and keyboards, in the order in which they do it. As
/// with [`Pointers`](crate::pointer::Pointers), one at a time listens to one entity.
#[derive(Debug)]
pub struct Hands(Option<EntityId>);

impl Hands {
    /// Listens to all that nobody else listens to.
    pub fn listen() -> Hands {
        Hands(None)
    }

    /// Listens to one entity alone.
    pub fn of(entity: EntityId) -> Hands {
        runtime::listen(entity);
        Hands(Some(entity))
    }

    /// What is done next. Of what nobody takes, motions give way to newer ones, and the oldest is lost once there are 1,024.
    pub async fn next(&mut self) -> Did {
        poll_fn(|context| runtime::poll_hands(self.0, |_| true, context)).await
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        if let Some(entity) = self.0 {
            runtime::unlisten(entity);
        }
    }
}

/// Gives back the keyboard that a user has given to an entity of this process, as when all is typed that was asked for. They
/// give it anew by pressing the entity.
///
/// # Errors
/// [`Errno::NotFound`] if the user of this peer has not; [`Errno::NoPeer`] or [`Errno::Full`] if the peer of another is not
/// there, or the way to it full. Whether another had given it is not told.
pub fn leave(user: PeerId) -> Result<(), Errno> {
    sys::check(sys::keyboard_leave(user.number())).map(drop)
}
