// SPDX-License-Identifier: AGPL-3.0-or-later
//! Hashing by groups of 64 KiB: BLAKE3 is a tree, and a group is one of its subtrees, so that a group can be
//! checked by itself once its hash is known to belong to the lump.

use crate::GROUP_BYTES;
use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use hearth_abi::LumpId;

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// Number of groups of a lump.
pub(crate) fn count(size: u64) -> u64 {
    size.div_ceil(GROUP_BYTES as u64)
}

/// The hash of the group that begins at `offset`, which is not the whole lump.
pub(crate) fn hash_group(offset: u64, bytes: &[u8]) -> [u8; HASH_BYTES] {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset).update(bytes);
    hasher.finalize_non_root()
}

/// The lump whose groups have these hashes; `None` if there are fewer than two, or a torn one.
pub(crate) fn root(hashes: &[u8]) -> Option<LumpId> {
    let (hashes, rest) = hashes.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() || hashes.len() < 2 {
        return None;
    }
    let (left, right) = split(hashes);
    Some(LumpId(*merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()))
}

/// The left subtree has the largest power of two of groups that leaves something for the right one.
fn split(hashes: &[[u8; HASH_BYTES]]) -> (&[[u8; HASH_BYTES]], &[[u8; HASH_BYTES]]) {
    hashes.split_at(hashes.len().div_ceil(2).next_power_of_two())
}

fn subtree(hashes: &[[u8; HASH_BYTES]]) -> [u8; HASH_BYTES] {
    if let [one] = hashes {
        return *one;
    }
    let (left, right) = split(hashes);
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// Hashes a lump as it streams by, and keeps the hashes of its groups: 32 bytes for each 64 KiB.
#[derive(Debug)]
pub(crate) struct GroupHasher {
    group: Hasher,
    /// Bytes of the group that `group` has; full only until the next byte, since the only group of a lump
    /// is finished differently.
    filled: usize,
    hashes: Vec<u8>,
}

impl GroupHasher {
    pub(crate) fn new() -> GroupHasher {
        GroupHasher { group: Hasher::new(), filled: 0, hashes: Vec::new() }
    }

    /// Goes on behind groups that are known.
    pub(crate) fn resume(hashes: Vec<u8>) -> GroupHasher {
        let mut hasher = GroupHasher { group: Hasher::new(), filled: 0, hashes };
        hasher.group.set_input_offset(hasher.group_offset());
        hasher
    }

    /// Where the group that is being hashed begins.
    pub(crate) fn group_offset(&self) -> u64 {
        (self.hashes.len() / HASH_BYTES * GROUP_BYTES) as u64
    }

    /// Number of bytes hashed.
    pub(crate) fn position(&self) -> u64 {
        self.group_offset() + self.filled as u64
    }

    /// How many bytes are missing to the end of the group.
    pub(crate) fn room(&self) -> usize {
        GROUP_BYTES - self.filled
    }

    /// The hash of the group so far, as one of several.
    pub(crate) fn group_hash(&self) -> [u8; HASH_BYTES] {
        self.group.finalize_non_root()
    }

    /// Forgets the bytes of the group that is being hashed.
    pub(crate) fn forget_group(&mut self) {
        self.group = Hasher::new();
        self.group.set_input_offset(self.group_offset());
        self.filled = 0;
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room() == 0 {
                let hash = self.group_hash();
                self.hashes.extend_from_slice(&hash);
                self.forget_group();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room()));
            self.group.update(now);
            self.filled += now.len();
            bytes = later;
        }
    }

    /// The id of what was hashed, and the hashes of its groups (one alone has none).
    pub(crate) fn finish(mut self) -> (LumpId, Vec<u8>) {
        if self.hashes.is_empty() {
            return (LumpId(*self.group.finalize().as_bytes()), self.hashes);
        }
        if self.filled > 0 {
            let hash = self.group_hash();
            self.hashes.extend_from_slice(&hash);
        }
        match root(&self.hashes) {
            Some(id) => (id, self.hashes),
            // Resumed behind the first of a single group, which no caller does: refuse by a hash of nothing.
            None => (LumpId([0; HASH_BYTES]), self.hashes),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        (0..len as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
    }

    #[test]
    fn groups_hash_to_what_blake3_says_of_the_whole() {
        const G: usize = GROUP_BYTES;
        for len in [0, 1, 1024, G - 1, G, G + 1, 2 * G, 2 * G + 1, 3 * G, 5 * G - 7, 16 * G, 17 * G + 1024] {
            let bytes = sample(len);
            let wanted = LumpId(*blake3::hash(&bytes).as_bytes());
            for step in [1000, G, 3 * G + 1] {
                let mut hasher = GroupHasher::new();
                bytes.chunks(step).for_each(|chunk| hasher.update(chunk));
                assert_eq!(hasher.position(), len as u64);
                let (id, hashes) = hasher.finish();
                assert_eq!(id, wanted, "{len} bytes by {step}");
                if len > G {
                    assert_eq!(hashes.len() as u64, count(len as u64) * HASH_BYTES as u64);
                    assert_eq!(root(&hashes), Some(wanted));
                    let n = hashes.len() / HASH_BYTES - 1;
                    assert_eq!(hash_group((n * G) as u64, &bytes[n * G..]), hashes[n * HASH_BYTES..]);
                }
            }
        }
    }

    #[test]
    fn a_hasher_resumes_behind_known_groups() {
        let bytes = sample(5 * GROUP_BYTES + 3);
        let mut whole = GroupHasher::new();
        whole.update(&bytes);
        let (id, hashes) = whole.finish();
        for known in 1..=5 {
            let mut rest = GroupHasher::resume(hashes[..known * HASH_BYTES].to_vec());
            rest.update(&bytes[known * GROUP_BYTES..]);
            assert_eq!(rest.finish(), (id, hashes.clone()));
        }
    }

    #[test]
    fn torn_or_too_few_hashes_have_no_root() {
        assert_eq!(root(&[]), None);
        assert_eq!(root(&[7; 32]), None);
        assert_eq!(root(&[7; 65]), None);
    }
}
