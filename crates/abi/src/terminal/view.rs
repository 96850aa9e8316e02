// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where terminals are shown in the space: what `terminal_views` tells.

use crate::{
    DecodeError, EntityId, TerminalId,
    codec::{Reader, put_floats},
    scene::Transform,
};
use alloc::vec::Vec;

/// Length of a [`View`] in bytes.
pub const VIEW_LEN: usize = 65;

/// An entity that shows a terminal, and what there is to know for whoever points at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The entity with the component.
    pub entity: EntityId,
    /// What it shows.
    pub terminal: TerminalId,
    /// Columns of what is shown now; 0 if there is nothing to see.
    pub columns: u16,
    /// Rows of what is shown now; 0 if there is nothing to see.
    pub rows: u16,
    /// Whether the peer's user may type into it: it is theirs, or was granted.
    pub may_type: bool,
    /// Height of a cell in metres, before the entity's own scale.
    pub cell_height: f32,
    /// Where the entity is in the world. If something above it is scaled unevenly and turned, it may be skewed,
    /// which this does not tell.
    pub in_world: Transform,
}

impl View {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.entity.to_bits().to_le_bytes());
        out.extend_from_slice(&self.terminal.to_bits().to_le_bytes());
        out.extend_from_slice(&self.columns.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.push(u8::from(self.may_type));
        put_floats(out, &[self.cell_height]);
        put_floats(out, &self.in_world.translation);
        put_floats(out, &self.in_world.rotation);
        put_floats(out, &self.in_world.scale);
    }

    /// Reads as many as there are.
    ///
    /// # Errors
    /// One is cut off, or is malformed.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<View>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut views = Vec::with_capacity(bytes.len() / VIEW_LEN);
        while !reader.is_empty() {
            views.push(View::decode(&mut reader)?);
        }
        Ok(views)
    }

    fn decode(r: &mut Reader<'_>) -> Result<View, DecodeError> {
        Ok(View {
            entity: EntityId::from_bits(r.u64()?),
            terminal: TerminalId::from_bits(r.u64()?),
            columns: r.u16()?,
            rows: r.u16()?,
            may_type: r.bool()?,
            cell_height: r.finite()?,
            in_world: Transform { translation: r.finites()?, rotation: r.finites()?, scale: r.finites()? },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn view() -> View {
        View {
            entity: EntityId::from_bits(0x0000_1000_0000_0003),
            terminal: TerminalId::from_bits(0x0000_1000_0000_0002),
            columns: 80,
            rows: 24,
            may_type: true,
            cell_height: 0.5,
            in_world: Transform::at(1.0, 2.0, -2.0),
        }
    }

    /// The document's example.
    #[test]
    fn golden_vector() {
        let mut bytes = Vec::new();
        view().encode(&mut bytes);
        assert_eq!(bytes.len(), VIEW_LEN);
        let mut wanted = vec![3, 0, 0, 0, 0, 0x10, 0, 0, 2, 0, 0, 0, 0, 0x10, 0, 0, 80, 0, 24, 0, 1];
        for number in [0.5f32, 1.0, 2.0, -2.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] {
            wanted.extend_from_slice(&number.to_le_bytes());
        }
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn views_read_back() {
        let views = [view(), View { may_type: false, columns: 1000, ..view() }];
        let mut bytes = Vec::new();
        views.iter().for_each(|view| view.encode(&mut bytes));
        assert_eq!(View::decode_all(&bytes).unwrap(), views);
        bytes.pop();
        assert!(View::decode_all(&bytes).is_err(), "the last one is cut off");
        assert_eq!(View::decode_all(&[]).unwrap(), []);
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(views) = View::decode_all(&bytes) {
                let mut again = Vec::new();
                views.iter().for_each(|view| view.encode(&mut again));
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
