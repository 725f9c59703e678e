// SPDX-License-Identifier: GPL-2.0

//! What one source address may have: handshakes going on, handshakes a second, fallbacks a second.
//!
//! The table is a cache of fixed size, in sets of [`WAYS`] places that an address belongs to by a
//! keyed hash. A new address takes a place of its set that has no handshake going on, the one whose
//! allowance is the fullest; if there is none, it goes untracked.
//!
//! Forgetting is no way around the limits. An address loses its place only to eight others of the
//! same set, and nobody can tell which addresses share one: who wants one of his forgotten has to
//! use about as many others as the table has places, and each of those has an allowance of its own.
//! Who has that many addresses is not held by limits per address, but by those per listener and by
//! the memory bound.

use crate::stat::Counter;

/// Places of a set.
pub(crate) const WAYS: usize = 8;

/// How often something may happen: `rate` times a second in the long run, `burst` times at once.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// 0: no limit.
    pub(crate) rate: u32,
    pub(crate) burst: u32,
}

impl Rate {
    /// Microseconds that one time costs; `None` without a limit.
    fn cost(self) -> Option<u64> {
        1_000_000u64.checked_div(self.rate.into())
    }

    /// Takes one from the allowance that is whole at `whole`; returns what it cost, `None` if there
    /// is not enough left. The generic cell rate algorithm: one word for a bucket of tokens.
    fn take(self, whole: &mut u64, now: u64) -> Option<u64> {
        let Some(cost) = self.cost() else {
            return Some(0);
        };
        let all = cost.saturating_mul(self.burst.into());
        // The rate may have been lower than it is now.
        let from = (*whole).clamp(now, now.saturating_add(all));
        let after = from.saturating_add(cost);
        if after > now.saturating_add(all) {
            return None;
        }
        *whole = after;
        Some(cost)
    }
}

/// What counts for a source address.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Handshakes going on; 0: no limit.
    pub(crate) pending: u32,
    pub(crate) handshakes: Rate,
}

impl Limits {
    /// Whether nothing is limited.
    pub(crate) fn none(self) -> bool {
        self.pending == 0 && self.handshakes.rate == 0
    }
}

/// One address. All zeros is one that was never seen.
struct Place {
    /// Hash of the address.
    key: u64,
    /// Microseconds: when the allowance of handshakes will be whole again.
    whole: u64,
    /// The same for fallbacks.
    fallbacks_whole: u64,
    pending: u32,
}

/// Addresses whose hashes lead to the same place.
pub(crate) struct Set([Place; WAYS]);

/// What became of a new connection.
pub(crate) enum Verdict {
    /// It has a place of its set; it cost this much of the allowance.
    Tracked(usize, u64),
    /// There is no place: nothing is known of the address.
    Untracked,
    /// It is over a limit.
    Refused(Counter),
}

impl Set {
    pub(crate) const fn new() -> Self {
        Self(
            [const {
                Place {
                    key: 0,
                    whole: 0,
                    fallbacks_whole: 0,
                    pending: 0,
                }
            }; WAYS],
        )
    }

    /// A new connection of the address with this hash.
    pub(crate) fn admit(&mut self, key: u64, now: u64, limits: Limits) -> Verdict {
        let known = self.0.iter().position(|place| place.key == key);
        let fullest = |(_, place): &(usize, &Place)| place.whole.max(place.fallbacks_whole);
        let at = known.or_else(|| {
            let free = self.0.iter().enumerate().filter(|(_, p)| p.pending == 0);
            free.min_by_key(fullest).map(|(at, _)| at)
        });
        let Some((at, place)) = at.and_then(|at| Some((at, self.0.get_mut(at)?))) else {
            return Verdict::Untracked;
        };
        if place.key != key {
            *place = Place {
                key,
                whole: 0,
                fallbacks_whole: 0,
                pending: 0,
            };
        }
        if limits.pending != 0 && place.pending >= limits.pending {
            return Verdict::Refused(Counter::SourcePendingFull);
        }
        let Some(cost) = limits.handshakes.take(&mut place.whole, now) else {
            return Verdict::Refused(Counter::SourceRateExceeded);
        };
        place.pending = place.pending.saturating_add(1);
        Verdict::Tracked(at, cost)
    }

    /// A connection of the place ends, of which `unused` is given back.
    pub(crate) fn release(&mut self, at: usize, unused: u64) {
        if let Some(place) = self.0.get_mut(at) {
            place.pending = place.pending.saturating_sub(1);
            place.whole = place.whole.saturating_sub(unused);
        }
    }

    /// Whether a connection of the place may fall back.
    pub(crate) fn may_fall_back(&mut self, at: usize, now: u64, rate: Rate) -> bool {
        self.0
            .get_mut(at)
            .is_none_or(|place| rate.take(&mut place.fallbacks_whole, now).is_some())
    }
}
