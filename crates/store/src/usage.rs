// SPDX-License-Identifier: AGPL-3.0-or-later
//! How many bytes the lumps have, and whether there is room for more.

use crate::PutError;
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Debug, Default)]
struct Counts {
    small: u64,
    files: u64,
    /// Of lumps on their way in, and of cut transfers that are kept.
    reserved: u64,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.small.saturating_add(self.files).saturating_add(self.reserved)
    }
}

#[derive(Debug)]
pub(crate) struct Usage {
    counts: Mutex<Counts>,
    max: Option<u64>,
}

impl Usage {
    pub(crate) fn new(max: Option<u64>) -> Arc<Usage> {
        Arc::new(Usage { counts: Mutex::default(), max })
    }

    pub(crate) fn used(&self) -> u64 {
        self.counts.lock().sum()
    }

    pub(crate) fn set_small(&self, bytes: u64) {
        self.counts.lock().small = bytes;
    }

    pub(crate) fn small_changed(&self, added: u64, removed: u64) {
        let mut counts = self.counts.lock();
        counts.small = (counts.small + added).saturating_sub(removed);
    }

    pub(crate) fn files_changed(&self, added: u64, removed: u64) {
        let mut counts = self.counts.lock();
        counts.files = (counts.files + added).saturating_sub(removed);
    }

    /// Keeps room for a lump, until the answer is dropped.
    pub(crate) fn reserve(self: &Arc<Usage>, wanted: u64) -> Result<Reservation, PutError> {
        let mut reservation = Reservation { usage: self.clone(), bytes: 0 };
        reservation.grow(wanted)?;
        Ok(reservation)
    }

    /// Keeps room for what is there already, over the limit if need be.
    pub(crate) fn reserve_existing(self: &Arc<Usage>, bytes: u64) -> Reservation {
        self.counts.lock().reserved += bytes;
        Reservation { usage: self.clone(), bytes }
    }
}

/// Room that is kept for a lump on its way in.
#[derive(Debug)]
pub(crate) struct Reservation {
    usage: Arc<Usage>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn grow(&mut self, wanted: u64) -> Result<(), PutError> {
        let mut counts = self.usage.counts.lock();
        let used = counts.sum();
        if let Some(max) = self.usage.max
            && used.checked_add(wanted).is_none_or(|sum| sum > max)
        {
            return Err(PutError::Quota { wanted, used, max });
        }
        counts.reserved = counts.reserved.saturating_add(wanted);
        self.bytes = self.bytes.saturating_add(wanted);
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        let mut counts = self.usage.counts.lock();
        counts.reserved = counts.reserved.saturating_sub(surplus);
        self.bytes -= surplus;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}
