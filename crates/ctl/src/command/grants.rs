// SPDX-License-Identifier: AGPL-3.0-or-later
//! What other peers may do on this machine: grant, revoke, list-grants.

use super::Peer;
use crate::{
    output::{Output, left},
    problem::Result,
};
use hearth_protocol::{
    control::Grantable,
    operator::{GrantInfo, Request},
};

pub(super) async fn grant(peer: &Peer, whom: &str, what: Grantable, output: &mut Output) -> Result<()> {
    let request = Request::Grant { peer: peer.number_of_peer(whom).await?, what };
    let granted: GrantInfo = peer.call(&request).await?;
    print(&[granted], output)
}

pub(super) async fn revoke(peer: &Peer, whom: &str, what: Grantable, output: &mut Output) -> Result<()> {
    let request = Request::Revoke { peer: peer.number_of_peer(whom).await?, what };
    let revoked: Vec<GrantInfo> = peer.list(&request).await?;
    print(&revoked, output)
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
