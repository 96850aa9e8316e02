// SPDX-License-Identifier: AGPL-3.0-or-later
//! A scene becomes pixels and sound, and what the user does becomes events.
//!
//! The engine runs on the main thread of a peer, behind one bounded channel: [`channel()`] gives the
//! [`Controller`], which any thread may use, and the [`EngineEnd`], which [`run`] takes. The peer
//! sends [`Command`]s (the changes of the scene, the bytes of lumps) and reads [`Event`]s (input,
//! lumps that are wanted, what did not load). Nothing is shared beside that.
//!
//! There are two front ends with one set-up: a window, and [`Headless`], which renders to an image
//! off the screen, with a graphics card or with a software renderer. Pictures take the same path in
//! both, so what a test sees is what a user sees.
//!
//! How the parts fit: `link` takes a bounded number of changes before each picture, and `place`
//! applies them to the engine's own entities; `assets` decodes lumps away from the frame and knows
//! who uses what; `look` shares materials and shapes; `model` has the nodes of models and
//! their poses; `motion` smooths what arrives in steps; `view` puts the eye where the camera is, under the `sky`;
//! `light` has the lights; `air` the fog and the colours of the picture; `monitor` what is seen from elsewhere, on screens in
//! the space, and `mirror` in mirrors; `layers` who sees what; `lines` and `particles` are drawn without meshes of their own; `sound` tells the mixer what is heard; `text` draws terminals and
//! text; `input` turns the window's events into the contract's, with `stroke` for keys; `touch` tells what the
//! pointer does to entities, by the rules of `pointing`, and `drawn` what a ray meets, with `sweep`; `gamepad` hears
//! gamepads; `clipboard` speaks
//! to the window system's; `capture` makes screenshots; `app` sets it all up.
//!
//! This is the only crate that knows the renderer (Bevy). It must not depend on the network, the
//! process table, or the store, and none of Bevy's types are part of its interface.

mod adapter;
mod air;
mod api;
mod app;
mod assets;
mod bounds;
mod capture;
mod channel;
mod clipboard;
mod drawn;
mod gamepad;
mod icon;
mod input;
mod keys;
mod layers;
mod light;
mod lines;
mod link;
mod look;
mod marker;
mod mirror;
mod model;
mod monitor;
mod motion;
mod particles;
mod place;
mod pointing;
mod reply;
mod sky;
mod sound;
mod stroke;
mod sweep;
mod text;
mod touch;
mod view;

pub use api::{
    AssetReport, AssetState, Command, EngineConfig, EngineError, Event, Look, Picture, PictureError, Quality,
    SendError,
};
pub use app::{Headless, run};
pub use channel::{CHANGES_MAX, COMMANDS_MAX, EVENTS_MAX, EVENTS_RESERVE, LUMP_BYTES_MAX, SCREENS_MAX};
pub use channel::{Controller, EngineEnd, channel};
pub use drawn::CASTS_MAX;
pub use hearth_sound::Recorder as SoundRecorder;
pub use sound::SoundOutput;
