// SPDX-License-Identifier: GPL-2.0

//! The table of source addresses, of all network namespaces together: 512 KiB, made at load time.
//!
//! # Locking
//!
//! A lock for each [`Shard`], the innermost of all.

use super::bindings::{self, request_sock, sock};
use super::lock::BhLock;
use super::rcu::RcuArc;
use super::stat::Stats;
use super::sysctl::Sysctls;
use super::work;
use crate::source::{Limits, Rate, Set, Verdict, WAYS};
use crate::stat::Counter;
use crate::sysctl::Sysctl;
use kernel::prelude::*;
use kernel::sync::Arc;

const SHARDS: usize = 64;
const SETS: usize = 32;

/// Sets under one lock.
type Shard = Pin<KBox<BhLock<[Set; SETS]>>>;

struct Table {
    key: bindings::siphash_key_t,
    shards: KVec<Shard>,
}

static TABLE: RcuArc<Table> = RcuArc::none();

impl Table {
    /// Process context.
    fn new() -> Result<Arc<Self>> {
        let mut key = bindings::siphash_key_t::default();
        // SAFETY: The key is that long, and any bytes are one.
        unsafe {
            bindings::get_random_bytes((&raw mut key).cast(), size_of_val(&key));
        }
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let sets = pin_init::init_array_from_fn(|_| Set::new());
            let shard = BhLock::new(sets, c"tls_hs_sources", kernel::static_lock_class!());
            shards.push(KBox::pin_init(shard, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Arc::new(Self { key, shards }, GFP_KERNEL)?)
    }

    fn hash(&self, words: [u64; 3]) -> u64 {
        let [a, b, c] = words;
        // SAFETY: The key is only read.
        unsafe { bindings::siphash_3u64(a, b, c, &self.key) }
    }

    /// Runs `work` on a set, if there is one of this number.
    fn with<R>(&self, set: usize, work: impl FnOnce(&mut Set) -> R) -> Option<R> {
        let shard = self.shards.get(set / SETS)?;
        shard.lock().get_mut(set % SETS).map(work)
    }
}

/// The table is there while this lives.
pub(crate) struct Registration(());

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        TABLE.set(Some(Table::new()?));
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        TABLE.set(None);
    }
}

/// A handshake's share of what its source address may have. Given back when dropped.
pub(super) struct Source {
    /// Number of the set.
    set: u16,
    /// Place in the set, or [`UNTRACKED`].
    way: u8,
    /// What is given back besides, in microseconds of the allowance.
    cost: u32,
}

const UNTRACKED: u8 = u8::MAX;

const _: () = assert!(SHARDS * SETS <= 1 << 16 && WAYS < UNTRACKED as usize);

impl Source {
    /// Of the client of `req`, for a new connection of the listener `sk`. SoftIRQ.
    ///
    /// # Errors
    ///
    /// What is to be counted if the client has enough already.
    ///
    /// # Safety
    ///
    /// Both are valid.
    pub(super) unsafe fn admit(sk: *const sock, req: *const request_sock) -> Result<Self, Counter> {
        // SAFETY: By the requirement.
        let sysctls = unsafe { Sysctls::of(sk) };
        let limits = Limits {
            pending: sysctls.get(Sysctl::MaxPendingSource),
            handshakes: Rate {
                rate: sysctls.get(Sysctl::SourceRate),
                burst: sysctls.get(Sysctl::SourceBurst),
            },
        };
        let untracked = Self {
            set: 0,
            way: UNTRACKED,
            cost: 0,
        };
        if limits.none() && sysctls.get(Sysctl::SourceFallbackRate) == 0 {
            return Ok(untracked);
        }
        // SAFETY: By the requirement.
        let words = unsafe { address(sk, req, &sysctls) };
        let verdict = TABLE.with(|table| {
            let key = table.hash(words);
            let set = (key % (SHARDS * SETS) as u64) as usize;
            let now = work::uptime_us();
            let verdict = table.with(set, |places| places.admit(key, now, limits))?;
            Some((set, verdict))
        });
        match verdict.flatten() {
            Some((set, Verdict::Tracked(way, cost))) => Ok(Self {
                set: set as u16,
                way: way as u8,
                cost: cost as u32,
            }),
            Some((_, Verdict::Refused(why))) => Err(why),
            Some((_, Verdict::Untracked)) | None => {
                // SAFETY: By the requirement.
                unsafe { Stats::of(sk) }.count(Counter::SourceUntracked);
                Ok(untracked)
            }
        }
    }

    /// The connection has come about: what it cost is spent.
    pub(super) fn spend(&mut self) {
        self.cost = 0;
    }

    /// Whether the client may be left to user space. Any context.
    ///
    /// # Safety
    ///
    /// `sk` is a socket of the namespace of the listener.
    pub(super) unsafe fn may_fall_back(&self, sk: *const sock) -> bool {
        // SAFETY: By the requirement.
        let sysctls = unsafe { Sysctls::of(sk) };
        let rate = Rate {
            rate: sysctls.get(Sysctl::SourceFallbackRate),
            burst: sysctls.get(Sysctl::SourceFallbackBurst),
        };
        self.with(|set, way| set.may_fall_back(way, work::uptime_us(), rate))
            .unwrap_or(true)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Set, usize) -> R) -> Option<R> {
        if self.way == UNTRACKED {
            return None;
        }
        TABLE
            .with(|table| table.with(self.set.into(), |set| work(set, self.way.into())))
            .flatten()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.with(|set, way| set.release(way, self.cost.into()));
    }
}

/// What identifies the client of `req`: its namespace, and as much of its address as counts.
///
/// # Safety
///
/// Both are valid.
unsafe fn address(sk: *const sock, req: *const request_sock, sysctls: &Sysctls<'_>) -> [u64; 3] {
    // SAFETY: By the requirement; the family says which member of the union is in use.
    unsafe {
        let common = &raw const (*req).__req_common;
        let address = if u32::from((*common).skc_family) == bindings::AF_INET6 {
            u128::from_be_bytes((*common).skc_v6_daddr.in6_u.u6_addr8)
        } else {
            let daddr = (*common).__bindgen_anon_1.__bindgen_anon_1.skc_daddr;
            (0xffff << 32) | u128::from(u32::from_be(daddr))
        };
        // ::ffff:0:0/96, what IPv4 clients come from to a socket of IPv6.
        let ignored = if address >> 32 == 0xffff {
            32u32.saturating_sub(sysctls.get(Sysctl::SourcePrefixIpv4))
        } else {
            128u32.saturating_sub(sysctls.get(Sysctl::SourcePrefixIpv6))
        };
        let bits = address & u128::MAX.checked_shl(ignored).unwrap_or(0);
        let net = bindings::tls_hs_sock_net(sk) as u64;
        [net, (bits >> 64) as u64, bits as u64]
    }
}
