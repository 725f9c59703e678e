// SPDX-License-Identifier: GPL-2.0

//! What a keyring had links to when it was read, and whether it has them still.
//!
//! The key service tells nobody of links that are made or removed. So handshakes look, if the last
//! look is longer ago than [`LOOK_MS`]: no timer runs while nobody connects, and a key that was
//! unlinked is not used, however long ago that was.

use crate::kern::key::{AnyKey, Keyring};
use crate::kern::percpu::{BhDisabled, PerCpu};
use crate::kern::rcu::RcuArc;
use crate::kern::work;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::Arc;

/// How long what was seen counts.
const LOOK_MS: u32 = 50;

/// Most links of a keyring.
pub(super) const LINKS_MAX: usize = 4096 + 64;

/// Room to read a keyring's links to, one per CPU.
type Buffer = PerCpu<[i32; LINKS_MAX]>;

static BUFFER: RcuArc<Buffer> = RcuArc::none();

/// The buffers exist while this lives.
pub(super) struct Registration(());

impl Registration {
    /// Process context, at load time.
    pub(super) fn new() -> Result<Self> {
        let buffer = Buffer::new(|| {
            KBox::<[i32; LINKS_MAX]>::init(pin_init::init_array_from_fn(|_| 0), GFP_KERNEL)
        })?;
        BUFFER.set(Some(Arc::new(buffer, GFP_KERNEL)?));
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        BUFFER.set(None);
    }
}

/// The links of a keyring.
pub(super) struct Links {
    ring: Keyring,
    serials: KVec<i32>,
    /// When they were compared last, and whether they were others than those that were read.
    looked: Atomic<u32>,
    changed: Atomic<i32>,
}

impl Links {
    /// Reads a keyring: its links, and the keys among them that `find` finds. Process context.
    ///
    /// # Errors
    ///
    /// E2BIG for too many, and what the key service says of the keyring.
    pub(super) fn read(
        ring: Keyring,
        mut find: impl FnMut(i32) -> Option<AnyKey>,
    ) -> Result<(Self, KVVec<AnyKey>)> {
        let looked = Atomic::new(work::now_ms());
        let serials = ring.serials(LINKS_MAX)?;
        let mut keys = KVVec::new();
        for &serial in serials.iter() {
            work::relax();
            if let Some(key) = find(serial) {
                keys.push(key, GFP_KERNEL)?;
            }
        }
        let links = Self {
            ring,
            serials,
            looked,
            changed: Atomic::new(0),
        };
        Ok((links, keys))
    }

    pub(super) fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// Runs `check` on the links that there are now; false if the keyring is not valid any more.
    /// Any context.
    fn look(&self, check: impl FnOnce(&[i32]) -> bool) -> bool {
        let bh = BhDisabled::new();
        let result = BUFFER.with(|all| {
            all.with(&bh, |buffer| {
                let len = self.ring.links(buffer)?;
                buffer.get(..len).map(check)
            })
        });
        result.flatten().flatten().unwrap_or(false)
    }

    /// Whether the links are those that were read. Any context.
    pub(super) fn same(&self) -> bool {
        let now = work::now_ms();
        if now.wrapping_sub(self.looked.load(Relaxed)) < LOOK_MS {
            return self.changed.load(Relaxed) == 0;
        }
        let same = self.look(|links| links == self.serials.as_slice());
        self.looked.store(now, Relaxed);
        self.changed.store(i32::from(!same), Relaxed);
        same
    }

    /// Whether there is a link to the key `serial`, one that was read. Any context.
    pub(super) fn has(&self, serial: i32) -> bool {
        if self.same() {
            self.serials.contains(&serial)
        } else {
            self.look(|links| links.contains(&serial))
        }
    }
}
