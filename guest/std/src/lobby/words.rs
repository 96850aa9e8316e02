// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the lobby and the program around it say to each other, as CBOR. The client has this very file too, so that
//! both always mean the same.

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How loud all sound may be.
pub const VOLUME: RangeInclusive<f32> = 0.0..=1.0;
/// How much of the space may be seen from the bottom to the top of the picture, in degrees. What is shown before the eye is
/// made for [`FOV_USUAL`]: with less of it much would not fit, with more it would be too small to read.
pub const FOV: RangeInclusive<f32> = 50.0..=100.0;
/// What an avatar sees if nothing is set.
pub const FOV_USUAL: f32 = 60.0;
/// How fast the mouse may turn the view, as a factor.
pub const LOOK_SPEED: RangeInclusive<f32> = 0.2..=3.0;

/// What the user can set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How loud all sound is, in [`VOLUME`].
    pub volume: f32,
    /// How much work goes into a picture.
    pub quality: Quality,
    /// How much of a space is seen, in [`FOV`].
    pub fov: f32,
    /// How fast the mouse turns the view, in [`LOOK_SPEED`].
    pub look_speed: f32,
    /// Moving the mouse forward looks down.
    pub invert_look: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { volume: 1.0, quality: Quality::Auto, fov: FOV_USUAL, look_speed: 1.0, invert_look: false }
    }
}

impl Settings {
    /// Looks whether all numbers are in their ranges.
    ///
    /// # Errors
    /// What is not, in words for a person.
    pub fn check(&self) -> Result<(), String> {
        let numbers = [
            ("volume", self.volume, VOLUME),
            ("fov", self.fov, FOV),
            ("look_speed", self.look_speed, LOOK_SPEED),
        ];
        match numbers.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((name, value, range)) => {
                Err(format!("`{name}` is {value}, not {} to {}", range.start(), range.end()))
            }
            None => Ok(()),
        }
    }
}

/// How much work goes into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// As the graphics card is.
    Auto,
    /// As little as possible.
    Low,
    /// As much as there is.
    High,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// The address of the space.
    Address,
    /// The name that others see.
    Name,
    /// The space's password.
    Password,
}

/// What kind of failure it is, where that changes what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Trying again may help.
    Other,
    /// The server has another key than before: perhaps it is another server.
    Key,
}

/// What the program tells the lobby: what is to be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tell {
    /// Where to, and as whom.
    Form {
        /// What is in the field of the address.
        address: String,
        /// What is in that of the name.
        name: String,
        /// The program has a password already; it is taken if none is typed.
        has_password: bool,
        /// What is set.
        settings: Settings,
        /// What is wrong, or worth knowing.
        notice: Option<String>,
        /// The field that is to be filled in next.
        wants: Field,
    },
    /// It is being joined.
    Connecting {
        /// Where to.
        address: String,
        /// What is being done, as `Logging in…`.
        doing: String,
        /// How far it is, 0 to 1, if that is known.
        part: Option<f32>,
    },
    /// It was not joined, or is no longer.
    Failed {
        /// What failed, in a few words.
        what: String,
        /// Why, the nearest cause first.
        why: Vec<String>,
        /// What to do about it.
        hint: Option<String>,
        /// What can be done.
        kind: Kind,
    },
    /// In the space: the connection is lost, and this many tries to come back have failed.
    Lost {
        /// Failed tries.
        tries: u32,
        /// Why, in a line.
        reason: String,
    },
    /// In the space: the connection is back.
    Back,
}

/// What the lobby asks of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// It is there, and wants to be told what to show.
    Hello,
    /// Join a space.
    Join {
        /// As typed.
        address: String,
        /// As typed.
        name: String,
        /// As typed; `None` for the one that the program has.
        password: Option<String>,
    },
    /// Join no longer, or go back from what failed.
    Back,
    /// Try the same again.
    Again,
    /// These are the settings now; to be kept once the user is done.
    Set {
        /// All of them.
        settings: Settings,
        /// The user is done.
        keep: bool,
    },
}

/// What the program tells an avatar in a space, which asks with [`Ask::Hello`] or has begun before it could: an order of
/// its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// How much of the space is seen from the bottom to the top of the picture, in radians.
    Fov(f32),
}
