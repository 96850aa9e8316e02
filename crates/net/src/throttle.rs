// SPDX-License-Identifier: AGPL-3.0-or-later
//! How often one address may try a password.
//!
//! In OPAQUE the client learns from the server's first answer whether its guess was right, before
//! it has to prove anything. So an attempt is paid for before it is answered, and the price is
//! given back when the login succeeds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The rate of password attempts per address.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThrottleLimits {
    /// Failed attempts that are answered without delay. Default 6.
    pub burst: u32,
    /// After that, one attempt per interval. Default 2 s.
    pub interval: Duration,
    /// Addresses remembered. Default 4096; the one unused longest is forgotten.
    pub addresses_max: usize,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self { burst: 6, interval: Duration::from_secs(2), addresses_max: 4096 }
    }
}

/// Token buckets by address. Time is given by the caller.
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    /// The instant at which an address's bucket is full again.
    full_at: HashMap<IpAddr, Instant>,
}

impl Throttle {
    /// All buckets full.
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, full_at: HashMap::new() }
    }

    /// Takes a token for `address`, waiting for at most `patience`.
    ///
    /// Returns how long to wait before answering.
    ///
    /// # Errors
    /// The time until a token is there, when that is longer than `patience`; none is taken.
    pub fn take(&mut self, address: IpAddr, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        let key = bucket_of(address);
        let full_at = self.full_at.get(&key).copied().unwrap_or(now).max(now);
        let after = full_at + self.limits.interval;
        // The bucket holds `burst` tokens: it may be that many intervals away from full.
        let capacity = self.limits.interval * self.limits.burst;
        let wait = (after - now).saturating_sub(capacity);
        if wait > patience {
            return Err(wait);
        }
        if self.full_at.len() >= self.limits.addresses_max && !self.full_at.contains_key(&key) {
            self.forget(now);
        }
        self.full_at.insert(key, after);
        Ok(wait)
    }

    /// Gives a token back after a login that succeeded.
    pub fn refund(&mut self, address: IpAddr, now: Instant) {
        let key = bucket_of(address);
        if let Some(full_at) = self.full_at.get_mut(&key) {
            match full_at.checked_sub(self.limits.interval) {
                Some(earlier) if earlier > now => *full_at = earlier,
                _ => {
                    self.full_at.remove(&key);
                }
            }
        }
    }

    /// Makes room: full buckets need no memory, and else the fullest tells us least.
    fn forget(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= self.limits.addresses_max {
            let fullest = self.full_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            if let Some(key) = fullest {
                self.full_at.remove(&key);
            }
        }
    }
}

/// One bucket per IPv4 address or IPv6 /64: the rest of an IPv6 address is free to choose.
pub(crate) fn bucket_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_burst_is_free_then_attempts_wait_then_are_refused() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        let now = Instant::now();
        for _ in 0..6 {
            assert_eq!(throttle.take(address(1), now, PATIENCE), Ok(Duration::ZERO));
        }
        assert_eq!(throttle.take(address(1), now, PATIENCE), Ok(Duration::from_secs(2)));
        assert_eq!(throttle.take(address(1), now, PATIENCE), Ok(Duration::from_secs(4)));
        assert_eq!(throttle.take(address(1), now, PATIENCE), Err(Duration::from_secs(6)));
        // A refused attempt costs nothing, and another address is not held up.
        assert_eq!(throttle.take(address(1), now, PATIENCE), Err(Duration::from_secs(6)));
        assert_eq!(throttle.take(address(2), now, PATIENCE), Ok(Duration::ZERO));
        let later = now + Duration::from_secs(16);
        assert_eq!(throttle.take(address(1), later, PATIENCE), Ok(Duration::ZERO));
    }

    #[test]
    fn a_successful_login_costs_nothing() {
        let mut throttle = Throttle::new(ThrottleLimits::default());
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(throttle.take(address(1), now, PATIENCE), Ok(Duration::ZERO));
            throttle.refund(address(1), now);
        }
        assert!(throttle.full_at.is_empty());
    }

    #[test]
    fn one_ipv6_prefix_is_one_address_and_the_table_is_bounded() {
        let limits = ThrottleLimits { addresses_max: 10, ..ThrottleLimits::default() };
        let mut throttle = Throttle::new(limits);
        let now = Instant::now();
        for host in 0..100_u16 {
            let one = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host));
            let _ = throttle.take(one, now, Duration::ZERO);
        }
        assert_eq!(throttle.full_at.len(), 1);
        for net in 0..100_u16 {
            let one = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, 1));
            let _ = throttle.take(one, now, Duration::ZERO);
            assert!(throttle.full_at.len() <= 10);
        }
    }
}
