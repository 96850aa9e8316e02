// SPDX-License-Identifier: AGPL-3.0-or-later
//! The SDK for scripts of a Hearth space that are written in Rust.
//!
//! A script is a WebAssembly module that a peer runs as a process. It makes entities of the scene,
//! talks to other processes by messages, and sleeps in between. This crate wraps the calls of the
//! guest contract (`docs/formats/guest.md`) in an async executor: code that reads as a sequence of
//! waits, and between two signals holds nothing but its memory, so that a space can keep very many.
//!
//! ```
//! use hearth_sdk::prelude::*;
//!
//! hearth_sdk::main!(run);
//!
//! async fn run() -> Result<(), Error> {
//!     let orb = Entity::new().at(0.0, 1.5, 0.0).mesh(MeshSource::Sphere(0.2)).material(glow(srgb(0xffb040)));
//!     let orb = orb.spawn()?;
//!     info!("I am {} and made {orb}", self_id());
//!     loop {
//!         let message = recv::<[f32; 3]>().await;
//!         scene::set(orb, glow(message.body))?;
//!     }
//! }
//! # hearth_sdk::testing::run_for(run(), std::time::Duration::from_secs(1));
//! # assert_eq!(hearth_sdk::testing::batches().len(), 1);
//! ```
//!
//! How the parts fit: [`sys`] has the calls as they are; the executor takes signals from the mailbox,
//! wakes whoever waits for a reply, a timer or a monitor by its tag, and queues messages for [`recv`] and events
//! for [`input::Input`], [`pointer::Pointers`], [`keyboard::Hands`] and [`terminal::Terminal`]. [`scene`], [`mesh`], [`model`], [`font`] and [`math`] are about what is seen, and [`sound`] about what is heard. On a native
//! target the calls go to [`testing`], so that a script's logic is tested by `cargo test` without a peer.
//!
//! It must depend on nothing but the contract (`hearth-abi`) and on serialisation: it is compiled into
//! every script.

pub mod clipboard;
pub mod font;
pub mod global;
pub mod groups;
pub mod input;
pub mod keyboard;
pub mod log;
pub mod lump;
pub mod math;
pub mod mesh;
pub mod message;
pub mod model;
pub mod pointer;
pub mod process;
mod runtime;
pub mod scene;
pub mod sound;
pub mod supervisor;
pub mod sys;
pub mod task;
pub mod terminal;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

mod error;
mod exit;

pub use error::Error;
pub use hearth_abi as abi;
pub use hearth_abi::{EntityId, Errno, LumpId, PeerId, ProcessId};
pub use lump::{Asset, Lump};
pub use message::{Envelope, call, recv, recv_bytes, recv_where, send, send_after, send_bytes};
pub use process::{args, exit, kill, origin, peer, peer_name, random, self_id, spawn, spawn_on};
pub use task::{Either, race, spawn_local, timeout};
pub use time::{interval, sleep};

/// What most scripts use.
pub mod prelude {
    pub use crate::input::{self, Input};
    pub use crate::keyboard::{self, Hands};
    pub use crate::math::{Quat, Vec3, vec3};
    pub use crate::mesh::Shape;
    pub use crate::model::{self, Model};
    pub use crate::pointer::{self, Pointers, Wants};
    pub use crate::scene::{self, Batch, Entity, glow, matte, metal, srgb};
    pub use crate::sound;
    pub use crate::terminal::Terminal;
    pub use crate::{
        Asset, Either, EntityId, Envelope, Errno, Error, Lump, LumpId, PeerId, ProcessId, args, call, debug,
        error, exit, info, interval, kill, peer, race, recv, recv_where, self_id, send, send_after, sleep,
        spawn, spawn_local, spawn_on, timeout, trace, warn,
    };
    pub use hearth_abi::scene::{
        Align, Anchor, Animation, Billboard, Camera, ColorGrading, Component, Environment, Extra, Face, Fog,
        Layers, Light, LightKind, LineWay, Lines, Listener, Material, MeshSource, Mirror, ModelNode,
        MorphWeights, NodeMode, Particles, Scope, Screen, Skin, Sky, Sound, TerminalView, Text,
        TextureTransform, ToneMapping, Transform, View, VisibilityRange, second_uvs,
    };
    pub use std::time::Duration;
}

/// Makes an async function the script: exports `start`, which begins it, and `wake`, which goes on
/// with it when signals have arrived. The process ends when the function returns.
///
/// The function takes no arguments and returns `()`, an [`ExitReason`](process::ExitReason), or a `Result<(), E>` whose
/// error can be shown; an error is logged and becomes the exit reason, as does a panic.
///
/// ```
/// hearth_sdk::main!(run);
///
/// async fn run() {
///     hearth_sdk::info!("hello");
/// }
/// # hearth_sdk::testing::run_for(run(), std::time::Duration::ZERO);
/// # assert_eq!(hearth_sdk::testing::logs(), [(3, "hello".to_owned())]);
/// ```
///
/// In a binary (rather than a library of type `cdylib`) put
/// `#![cfg_attr(target_arch = "wasm32", no_main)]` at the top of the file.
#[macro_export]
macro_rules! main {
    ($function:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod __hearth_exports {
            #![allow(unsafe_code, reason = "the names of these exports are the contract")]

            #[unsafe(no_mangle)]
            extern "C" fn start() {
                $crate::__private::start(async { super::$function().await });
            }

            #[unsafe(no_mangle)]
            extern "C" fn wake() {
                $crate::__private::wake();
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        #[allow(dead_code, reason = "a library has no use for it")]
        fn main() {
            $crate::__private::not_a_script($function);
        }
    };
}

/// For [`main!`] only.
#[doc(hidden)]
pub mod __private {
    pub use crate::runtime::{start, wake};

    /// What a script does that was built for the machine instead of for a peer.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn not_a_script<F>(_main: F) {
        panic!("this is a script: build it with `--target wasm32-unknown-unknown`, then `hearth-ctl run` it");
    }
}

/// The examples of the guide, run as tests.
#[cfg(doctest)]
mod guide {
    macro_rules! pages {
        ($($name:ident: $file:literal,)*) => {
            $(
                #[doc = include_str!(concat!("../../../docs/guide/", $file))]
                mod $name {}
            )*
        };
    }

    pages! {
        first_script: "first-script.md",
        messages: "messages.md",
        processes: "processes.md",
        lumps_and_assets: "lumps-and-assets.md",
        scene: "scene.md",
        sound: "sound.md",
        models: "models.md",
        input: "input.md",
        authority: "authority.md",
        gallery: "gallery.md",
    }
}
