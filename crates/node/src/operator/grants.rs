// SPDX-License-Identifier: AGPL-3.0-or-later
//! What an operator grants to other peers, and takes back.

use super::{internal, storage};
use crate::{
    grants::{Grant, GrantError},
    node::Inner,
};
use hearth_abi::{LumpId, PeerId};
use hearth_protocol::{
    control::Grantable,
    operator::{ErrorCode, Failure, GrantInfo},
};
use std::sync::Arc;

/// Grants something to a connected peer; on disk when it returns.
pub(super) async fn grant(inner: &Arc<Inner>, peer: PeerId, what: Grantable) -> Result<GrantInfo, Failure> {
    if peer == inner.me {
        return Err(Failure::new(ErrorCode::Invalid, "this peer needs no grant of its own"));
    }
    let about = inner.network.peer(peer).ok_or_else(|| Failure::no_peer(peer))?;
    let key: Result<[u8; 32], _> = about.key.as_slice().try_into();
    let key = key.map_err(|error| internal(&error))?;
    let grant = Grant { what, key, peer, name: about.name };
    let (keeping, kept) = (inner.clone(), grant.clone());
    change(move || keeping.grants.add(kept)).await?;
    inner.tell_grant(peer);
    Ok(info(inner, grant))
}

/// Takes it back from whoever has this number, or had it when it was granted; on disk when it returns.
pub(super) async fn revoke(
    inner: &Arc<Inner>,
    peer: PeerId,
    what: Grantable,
) -> Result<Vec<GrantInfo>, Failure> {
    let key = inner.network.peer(peer).and_then(|about| about.key.try_into().ok());
    let keeping = inner.clone();
    let revoked = change(move || keeping.grants.remove(what, peer, key)).await.inspect_err(|_| {
        // Until this peer ends it holds no longer all the same.
        inner.tell_grant(peer);
    })?;
    if revoked.is_empty() {
        let text = format!("`{}` is not granted to peer `{peer}`", what.name());
        return Err(Failure::new(ErrorCode::NotFound, text)
            .with_hint("`hearth-ctl list-grants` shows what is granted"));
    }
    for about in inner.network.peers() {
        let has_had = revoked.iter().any(|grant| about.key == grant.key);
        if let Some(id) = about.peer_id().filter(|_| has_had) {
            inner.tell_grant(id);
        }
    }
    Ok(revoked.into_iter().map(|grant| info(inner, grant)).collect())
}

/// All that is granted.
pub(super) fn list(inner: &Inner) -> Vec<GrantInfo> {
    inner.grants.list().into_iter().map(|grant| info(inner, grant)).collect()
}

async fn change<T: Send + 'static>(
    change: impl FnOnce() -> Result<T, GrantError> + Send + 'static,
) -> Result<T, Failure> {
    let changed = tokio::task::spawn_blocking(change).await.map_err(|error| internal(&error))?;
    changed.map_err(|error| match error {
        GrantError::Full => Failure::new(ErrorCode::Limit, error.to_string()),
        GrantError::Write(_) => storage(&error),
    })
}

/// Under the number and the name that the peer has now, if it is here.
fn info(inner: &Inner, grant: Grant) -> GrantInfo {
    let here = inner.network.peers().into_iter().find(|about| about.key == grant.key);
    let connected = here.is_some();
    let now = here.and_then(|about| Some((about.peer_id()?, about.name)));
    let (peer, name) = now.unwrap_or((grant.peer, grant.name));
    GrantInfo { peer, name, what: grant.what, key: LumpId(grant.key).to_string(), connected }
}
