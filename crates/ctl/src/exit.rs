// SPDX-License-Identifier: AGPL-3.0-or-later
//! With which code the program ends, by sysexits(3).

use hearth_protocol::operator::ErrorCode;
use std::process::ExitCode;

/// How the program ends. Scripts rely on the numbers: one is never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Usage,
    Data,
    NoInput,
    NoProcess,
    NoPeer,
    NotRunning,
    Software,
    Limit,
    Create,
    Io,
    TimedOut,
    Protocol,
    Refused,
    Unsupported,
    ProcessFailed,
    Interrupted,
    BrokenPipe,
    Terminated,
}

/// One row of the table in the manual.
pub(crate) struct Row {
    pub(crate) code: u32,
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
}

const fn row(code: u32, name: &'static str, meaning: &'static str) -> Row {
    Row { code, name, meaning }
}

impl Exit {
    const ALL: [Exit; 18] = [
        Exit::ProcessFailed,
        Exit::Usage,
        Exit::Data,
        Exit::NoInput,
        Exit::NoProcess,
        Exit::NoPeer,
        Exit::NotRunning,
        Exit::Software,
        Exit::Limit,
        Exit::Create,
        Exit::Io,
        Exit::TimedOut,
        Exit::Protocol,
        Exit::Refused,
        Exit::Unsupported,
        Exit::Interrupted,
        Exit::BrokenPipe,
        Exit::Terminated,
    ];

    pub(crate) const fn row(self) -> Row {
        match self {
            Exit::ProcessFailed => {
                row(1, "", "`run`: the process did not end normally; `replace`: the new code did not start")
            }
            Exit::Usage => {
                row(yacexits::EX_USAGE, "EX_USAGE", "the command line is wrong, or names one of several")
            }
            Exit::Data => {
                row(yacexits::EX_DATAERR, "EX_DATAERR", "the content is malformed: JSON, WAT, a module")
            }
            Exit::NoInput => row(yacexits::EX_NOINPUT, "EX_NOINPUT", "no such file, or no such lump"),
            Exit::NoProcess => row(yacexits::EX_NOUSER, "EX_NOUSER", "no such process"),
            Exit::NoPeer => row(yacexits::EX_NOHOST, "EX_NOHOST", "no such peer is in the space"),
            Exit::NotRunning => row(
                yacexits::EX_UNAVAILABLE,
                "EX_UNAVAILABLE",
                "no peer is running here, or a compiler is missing",
            ),
            Exit::Software => {
                row(yacexits::EX_SOFTWARE, "EX_SOFTWARE", "a defect of the peer or of this program")
            }
            Exit::Limit => row(yacexits::EX_OSERR, "EX_OSERR", "a limit is reached, as a full mailbox"),
            Exit::Create => row(
                yacexits::EX_CANTCREAT,
                "EX_CANTCREAT",
                "the output file cannot be made, or the name is taken",
            ),
            Exit::Io => row(yacexits::EX_IOERR, "EX_IOERR", "reading, writing or storing failed"),
            Exit::TimedOut => row(yacexits::EX_TEMPFAIL, "EX_TEMPFAIL", "it did not happen in time"),
            Exit::Protocol => {
                row(yacexits::EX_PROTOCOL, "EX_PROTOCOL", "the peer hung up, or its answer is malformed")
            }
            Exit::Refused => row(yacexits::EX_NOPERM, "EX_NOPERM", "it is not allowed"),
            Exit::Unsupported => row(yacexits::EX_CONFIG, "EX_CONFIG", "this peer cannot do that"),
            Exit::Interrupted => {
                row(130, "", "`run` and `dev`: interrupted by Ctrl-C; the process was killed")
            }
            Exit::BrokenPipe => row(141, "", "the reader of the output went away; nothing is said"),
            Exit::Terminated => {
                row(143, "", "`run` and `dev`: terminated by a signal; the process was killed")
            }
        }
    }

    /// The whole table, by number, with success.
    pub(crate) fn table() -> impl Iterator<Item = Row> {
        std::iter::once(row(yacexits::EX_OK, "EX_OK", "done")).chain(Exit::ALL.into_iter().map(Exit::row))
    }

    /// What stands behind the help.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for Row { code, meaning, .. } in Exit::table() {
            text.push_str(&format!("  {code:>3}  {}\n", meaning.replace('`', "")));
        }
        text
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Exit {
        match code {
            ErrorCode::NotFound => Exit::NoInput,
            ErrorCode::NoSuchProcess => Exit::NoProcess,
            ErrorCode::NoPeer => Exit::NoPeer,
            ErrorCode::Refused => Exit::Refused,
            ErrorCode::Taken => Exit::Create,
            ErrorCode::TimedOut => Exit::TimedOut,
            ErrorCode::Limit => Exit::Limit,
            ErrorCode::Invalid => Exit::Usage,
            ErrorCode::Malformed => Exit::Data,
            ErrorCode::DidNotStart => Exit::ProcessFailed,
            ErrorCode::Unsupported => Exit::Unsupported,
            ErrorCode::Storage => Exit::Io,
            _ => Exit::Software,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(u8::try_from(exit.row().code).expect("every code of the table fits into 8 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u32> = Exit::table().map(|row| row.code).collect();
        assert!(codes.is_sorted(), "{codes:?}");
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert!(codes.iter().all(|&code| code < 256));
    }
}
