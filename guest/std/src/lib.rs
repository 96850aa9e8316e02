// SPDX-License-Identifier: AGPL-3.0-or-later
//! The library of scripts that comes with Hearth: each is a program in `src/bin`, built for
//! WebAssembly by `cargo xtask guests`, and named `std:NAME` in a manifest.
//!
//! | script | what it does |
//! |---|---|
//! | `place` | the furnished place under an evening sky; the server starts it |
//! | `mover` | lanterns that circle above the hearth; the server starts it |
//! | `avatar` | camera, controls and body of a user, on foot or in flight; each client starts it |
//! | `workshop` | terminals that a user opens, types into and carries about; each client starts it |
//! | `lobby` | the first screens of the client: joining, settings, what went wrong; the client runs it by itself |
//! | `gallery` | a hall that shows everything a scene can show, by `cargo xtask run --place gallery` |
//! | `kit` | a board with everything that the interface kit has |
//! | `hello` | a glowing orb, the first script of the guide |
//! | `clock` | a clock that tells the time and shows it |
//! | `echo` | sends every message back |
//! | `expr` | compiles arithmetic to WebAssembly and runs it on any peer |
//!
//! Every one can be replaced by another script. This crate must depend on nothing but the SDK, the
//! kit and pure libraries; what two scripts share is a module here.

pub mod avatar;
pub mod chance;
pub mod expr;
pub mod gallery;
mod glb;
pub mod lobby;
pub mod mover;
pub mod place;
pub mod workshop;
