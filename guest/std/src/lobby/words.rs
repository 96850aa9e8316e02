// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the lobby and the program around it say to each other, as CBOR. The client has this very file too, so that
//! both always mean the same.

use serde::{Deserialize, Serialize};

/// What the user can set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How loud all sound is, 0 to 1.
    pub volume: f32,
    /// How much work goes into a picture.
    pub quality: Quality,
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
