// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a process ended.

use bytes::Bytes;
use hearth_abi::{DecodeError, exit::Reason};
use std::{borrow::Cow, fmt, sync::Arc};

pub use hearth_abi::exit::ExitKind;

/// What a normal end says.
const NORMAL: &str = "normal";

/// What most processes end with.
static PLAIN: ExitReason =
    ExitReason { kind: ExitKind::Normal, text: Cow::Borrowed(NORMAL), backtrace: None, data: Bytes::new() };

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReason {
    /// What sort of end it was.
    pub kind: ExitKind,
    /// The reason in words; `normal` for a normal end.
    pub text: Cow<'static, str>,
    /// Where its code was, innermost first, if that is known. For the log alone: no other process is told.
    pub backtrace: Option<String>,
    /// The reason for programs, at most [`hearth_abi::exit::DATA_LEN_MAX`] bytes of whatever form they agree on.
    pub data: Bytes,
}

impl ExitReason {
    /// An end of this kind for this reason.
    pub fn new(kind: ExitKind, text: impl Into<Cow<'static, str>>) -> ExitReason {
        ExitReason { kind, text: text.into(), backtrace: None, data: Bytes::new() }
    }

    /// It finished.
    pub fn normal() -> ExitReason {
        ExitReason::new(ExitKind::Normal, NORMAL)
    }

    /// An end of this kind, about which there is no more to say.
    pub fn of_kind(kind: ExitKind) -> ExitReason {
        ExitReason::new(kind, kind.name())
    }

    /// Whether it finished as it meant to.
    pub fn is_normal(&self) -> bool {
        self.kind == ExitKind::Normal
    }

    /// Whether it is [`ExitReason::normal`]. Quicker than to compare the two: the length of the text is known here.
    fn is_plain(&self) -> bool {
        self.is_normal() && self.text == NORMAL && self.backtrace.is_none() && self.data.is_empty()
    }

    /// Nothing if it is [`ExitReason::normal`], so that most ends need no memory; [`ExitReason::or_plain`] is the way back.
    pub(crate) fn unless_plain(self) -> Option<Arc<ExitReason>> {
        (!self.is_plain()).then(|| Arc::new(self))
    }

    /// The reason that [`ExitReason::unless_plain`] was made of.
    pub(crate) fn or_plain(reason: Option<&Arc<ExitReason>>) -> &ExitReason {
        reason.map_or(&PLAIN, |reason| reason)
    }

    /// The reason as other processes are told it, in the form of [`hearth_abi::exit`].
    pub fn encode(&self) -> Vec<u8> {
        Reason { kind: self.kind, text: &self.text, data: &self.data }.encode()
    }

    /// The reason in these bytes. An empty text becomes the name of its kind.
    ///
    /// # Errors
    /// See [`Reason::decode`].
    pub fn decode(bytes: &[u8]) -> Result<ExitReason, DecodeError> {
        let Reason { kind, text, data } = Reason::decode(bytes)?;
        let text = if text.is_empty() { kind.name() } else { text };
        Ok(ExitReason { data: Bytes::copy_from_slice(data), ..ExitReason::new(kind, text.to_owned()) })
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
