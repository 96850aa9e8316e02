// SPDX-License-Identifier: AGPL-3.0-or-later
//! One running peer: the place where the rooms meet.
//!
//! [`serve`] starts a space's server, [`join`] a client, [`alone()`] a peer that has nobody else; each is a [`Node`] made of the same parts: a
//! lump store, a process table with its WebAssembly engine, the scene, the links to its neighbours, and
//! the local socket. This crate decides who may do what to whom, and carries bytes from part to part:
//!
//! - `network` knows who is here and how to reach them; `session` serves one link.
//! - `lumps` fetches what is missing (a `transfer` is one of them on its way), `world` keeps the scene,
//!   `inputs` hands on what the user does, and `pointers` what the user does to things of others;
//!   `files` makes lumps of files of this machine.
//! - `terminals` are those of this machine, `screens` what all of them show, `keyboard` says whose the keys are,
//!   `typing` brings them to entities of any process, and `grants` what the user has granted to others.
//! - `root` starts the services of the manifest, and starts them again when they end.
//! - `services` is what guests ask of their peer, `operator` what the local socket asks, `replace` the part
//!   of it that gives running processes new code, `notices` what their authors are told in the space.
//! - `standing` is how a client stands with its space, `voice` a process that the program itself speaks as.
//! - [`program`] is what the two programs share around a node.
//! - `folder`, `serials`, `roster` and `manifest` are what is on disk, [`repair()`] mends it.
//!
//! It must not depend on the engine: what it needs of one is the trait [`Picture`], so that a server
//! links no renderer.

mod alone;
mod claims;
mod client;
mod directory;
mod files;
mod folder;
mod grace;
mod grants;
mod inputs;
mod keyboard;
mod limits;
mod lumps;
mod manifest;
mod network;
mod node;
mod notices;
mod operator;
mod picture;
mod pointers;
pub mod program;
mod repair;
mod replace;
mod root;
mod roster;
mod screens;
mod serials;
mod server;
mod services;
mod session;
#[cfg(test)]
mod simulation;
mod standing;
mod terminals;
mod ties;
mod transfer;
mod typing;
mod voice;
mod world;

pub use alone::{AloneOptions, RunningAlone, alone};
pub use client::{ClientOptions, RunningClient, join};
pub use folder::FolderError;
pub use hearth_net::{ConnectError, KsfBounds, KsfParams, Password};
pub use hearth_protocol::operator::{AssetInfo, AssetState};
pub use limits::{LimitsTable, OriginTable, PeerLimits, ProcessTable};
pub use lumps::LumpError;
pub use manifest::{Flaw, Manifest, ManifestError, Restart, Service, std_module};
pub use network::PeerChange;
pub use node::{Node, StartError, VERSION};
pub use picture::{Picture, PictureEvent};
pub use repair::{FolderRepairError, repair};
pub use server::{GRACE, RunningServer, ServerOptions, serve};
pub use standing::{Connection, JoinStep, Standing};
pub use voice::Voice;
