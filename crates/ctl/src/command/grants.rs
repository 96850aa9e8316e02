// SPDX-License-Identifier: AGPL-3.0-or-later
//! What other peers may do on this machine: grant, revoke, list-grants.

use super::{Peer, several};
use crate::{
    exit::Exit,
    output::{Output, left},
    problem::{Problem, Result},
};
use hearth_abi::PeerId;
use hearth_protocol::{
    control::Grantable,
    operator::{GrantInfo, Request},
};

pub(super) async fn grant(peer: &Peer, whom: &str, what: Grantable, output: &mut Output) -> Result<()> {
    let request = Request::Grant { peer: peer.number_of_peer(whom, "").await?, what };
    let granted: GrantInfo = peer.call(&request).await?;
    print(&[granted], output)
}

pub(super) async fn revoke(peer: &Peer, whom: &str, what: Grantable, output: &mut Output) -> Result<()> {
    let request = Request::Revoke { peer: number_of_granted(peer, whom, what).await?, what };
    let revoked: Vec<GrantInfo> = peer.list(&request).await?;
    print(&revoked, output)
}

/// The number of the peer that was granted something and has this number or name; it may be away.
async fn number_of_granted(peer: &Peer, whom: &str, what: Grantable) -> Result<PeerId> {
    if let Ok(id) = whom.parse() {
        return Ok(id);
    }
    let grants: Vec<GrantInfo> = peer.list(&Request::ListGrants {}).await?;
    let of_name = grants.iter().filter(|grant| grant.name == whom && grant.what == what);
    let mut ids: Vec<PeerId> = of_name.map(|grant| grant.peer).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids[..] {
        [] => Err(Problem::new(Exit::NoPeer, format!("no peer `{whom}` has been granted `{}`", what.name()))
            .hint("`hearth-ctl list-grants` shows who has, also of those who are away")),
        [id] => Ok(id),
        _ => Err(several(whom, "", &ids)),
    }
}

pub(super) async fn list(peer: &Peer, output: &mut Output) -> Result<()> {
    let grants: Vec<GrantInfo> = peer.list(&Request::ListGrants {}).await?;
    print(&grants, output)
}

fn print(grants: &[GrantInfo], output: &mut Output) -> Result<()> {
    let columns = [left("PEER"), left("NAME"), left("WHAT"), left("HERE"), left("KEY")];
    output.table(columns, grants, |grant, _pretty| {
        [
            grant.peer.to_string(),
            grant.name.clone(),
            grant.what.name().to_owned(),
            if grant.connected { "connected" } else { "" }.to_owned(),
            grant.key.clone(),
        ]
    })
}
