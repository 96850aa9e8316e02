// SPDX-License-Identifier: AGPL-3.0-or-later
//! The lists of processes and of services, which may be longer than one answer of a peer: they come in pages, of which each says by its
//! last entry where the next begins.

use super::{about, ask, json};
use crate::node::Inner;
use hearth_abi::{PeerId, ProcessId};
use hearth_ipc::Exchange;
use hearth_protocol::operator::{ErrorCode, Failure, Request};
use serde_json::Value;
use std::sync::Arc;

/// Processes and bytes of JSON of a page for another peer: one entry more, however long, fits a frame of the control lane.
const PAGE: Page = Page { processes: 1024, bytes: 128 << 10 };
/// Of one for the operator of this peer, who gets it entry by entry.
const PAGE_HERE: Page = Page { processes: 16_384, bytes: usize::MAX };
/// Most entries that are taken from another peer: as many as it can have processes.
const ENTRIES_MAX: usize = 1 << 20;

/// How much a page has at most.
#[derive(Clone, Copy)]
struct Page {
    processes: usize,
    bytes: usize,
}

impl Page {
    /// As many of these as it has room for, one at least if there is one.
    fn fill(self, entries: impl Iterator<Item = Result<Value, Failure>>) -> Result<Vec<Value>, Failure> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            let entry = entry?;
            if self.bytes != usize::MAX {
                bytes += entry.to_string().len();
            }
            page.push(entry);
            if bytes >= self.bytes {
                break;
            }
        }
        Ok(page)
    }

    fn take(self, inner: &Inner, request: &Request) -> Result<Vec<Value>, Failure> {
        match request {
            Request::ListProcesses { after, .. } => {
                let listed = inner.processes.list_after(*after, self.processes);
                self.fill(listed.iter().map(|info| json(&about::brief(inner, info))))
            }
            Request::ListServices { after, .. } => {
                let services = inner.root.services();
                let first = match after {
                    Some(name) => services.iter().position(|service| service.name == *name).map(|at| at + 1),
                    None => Some(0),
                };
                let first = first.ok_or_else(|| no_list("there is no such service to go on behind"))?;
                self.fill(services.iter().skip(first).map(json))
            }
            _ => Err(no_list("this is no list that comes in pages")),
        }
    }
}

fn no_list(why: &str) -> Failure {
    Failure::new(ErrorCode::Invalid, why)
}

/// A page for another peer. The list is at its end when there is nothing on it.
pub(super) fn page(inner: &Inner, request: &Request) -> Result<Vec<Value>, Failure> {
    PAGE.take(inner, request)
}

/// Sends an operator of this peer the whole list that it asks for, of this peer or of another.
pub(super) async fn send(inner: &Arc<Inner>, mut request: Request, io: &mut Exchange) -> Result<(), Failure> {
    let of = match &mut request {
        Request::ListProcesses { peer, .. } | Request::ListServices { peer, .. } => peer.take(),
        _ => None,
    };
    let mut sent = 0;
    loop {
        let page = match of.filter(|of| *of != inner.me) {
            Some(of) => ask_page(inner, of, &request, &mut sent).await?,
            None => PAGE_HERE.take(inner, &request)?,
        };
        let Some(last) = page.last() else { return Ok(()) };
        request = go_on(request, last)?;
        io.reply_all(page).await?;
    }
}

async fn ask_page(
    inner: &Inner,
    of: PeerId,
    request: &Request,
    sent: &mut usize,
) -> Result<Vec<Value>, Failure> {
    let page = ask(inner, of, request).await?;
    *sent += page.len();
    if *sent > ENTRIES_MAX {
        return Err(Failure::new(ErrorCode::Internal, format!("the list of peer {of} has no end")));
    }
    Ok(page)
}

/// The request for what comes behind the last entry of a page. A list of processes that does not go on in the order of their ids has no
/// end.
fn go_on(request: Request, last: &Value) -> Result<Request, Failure> {
    let text = |field: &str| last.get(field).and_then(Value::as_str);
    let malformed =
        || Failure::new(ErrorCode::Internal, "the peer's list has entries that are none, or does not go on");
    match request {
        Request::ListProcesses { peer, after } => {
            let id: ProcessId = text("id").and_then(|id| id.parse().ok()).ok_or_else(malformed)?;
            if after.is_some_and(|after| id <= after) {
                return Err(malformed());
            }
            Ok(Request::ListProcesses { peer, after: Some(id) })
        }
        Request::ListServices { peer, .. } => {
            let name = text("name").ok_or_else(malformed)?;
            Ok(Request::ListServices { peer, after: Some(name.to_owned()) })
        }
        request => Ok(request),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_page_ends_behind_the_entry_that_fills_it() {
        let page = Page { processes: 1, bytes: 10 };
        let fill = |entries: &[&str]| page.fill(entries.iter().map(|text| Ok(Value::from(*text)))).unwrap();
        assert_eq!(fill(&[]).len(), 0);
        // With its quotes each has four bytes.
        assert_eq!(fill(&["ab", "cd"]).len(), 2);
        assert_eq!(fill(&["ab", "cd", "ef", "gh"]).len(), 3);
        assert_eq!(fill(&["longer than the page", "ab"]).len(), 1);
    }

    #[test]
    fn a_list_goes_on_behind_its_last_entry_or_not_at_all() {
        let id = |serial| ProcessId::new(PeerId::SERVER, serial).unwrap();
        let from = |after| Request::ListProcesses { peer: None, after };
        let entry = |serial: u64| serde_json::json!({ "id": id(serial).to_string() });
        assert_eq!(go_on(from(None), &entry(5)), Ok(from(Some(id(5)))));
        assert_eq!(go_on(from(Some(id(5))), &entry(6)), Ok(from(Some(id(6)))));
        for wrong in [entry(5), entry(4), serde_json::json!({ "id": 6 }), serde_json::json!({}), Value::Null]
        {
            assert!(go_on(from(Some(id(5))), &wrong).is_err(), "{wrong}");
        }
        let services =
            |after: Option<&str>| Request::ListServices { peer: None, after: after.map(Into::into) };
        assert_eq!(go_on(services(None), &serde_json::json!({ "name": "sky" })), Ok(services(Some("sky"))));
        assert!(go_on(services(None), &entry(5)).is_err());
    }
}
