// SPDX-License-Identifier: GPL-2.0

//! Memory that a bottom half works in, one piece per CPU: a handshake needs it during one run only.

use super::bindings;
use core::cell::{Cell, UnsafeCell};
use kernel::prelude::*;
use kernel::types::NotThreadSafe;

/// Bottom halves are disabled on this CPU as long as this lives.
pub(crate) struct BhDisabled(#[allow(dead_code)] NotThreadSafe);

impl BhDisabled {
    /// Disables bottom halves. Nests.
    pub(crate) fn new() -> Self {
        // SAFETY: No requirement; the drop enables them again.
        unsafe { bindings::tls_hs_bh_disable() };
        Self(NotThreadSafe)
    }
}

impl Drop for BhDisabled {
    fn drop(&mut self) {
        // SAFETY: Pairs with `new()`, on the same CPU since the guard can't be sent.
        unsafe { bindings::tls_hs_bh_enable() };
    }
}

/// One CPU's piece.
struct Slot<T> {
    busy: Cell<bool>,
    value: UnsafeCell<KBox<T>>,
}

/// One `T` per possible CPU.
///
/// # Invariants
///
/// A slot is looked at by its own CPU only, with bottom halves disabled; `busy` is true exactly
/// while a reference to its value exists.
pub(crate) struct PerCpu<T>(KVec<Slot<T>>);

// SAFETY: By the invariants no slot is ever used by two CPUs.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// Fills each CPU's slot from `init`. Process context, may sleep.
    pub(crate) fn new(init: impl Fn() -> Result<KBox<T>>) -> Result<Self> {
        // SAFETY: No requirement.
        let cpus = unsafe { bindings::tls_hs_cpu_ids() } as usize;
        let mut slots = KVec::with_capacity(cpus, GFP_KERNEL)?;
        for _ in 0..cpus {
            let slot = Slot {
                busy: Cell::new(false),
                value: UnsafeCell::new(init()?),
            };
            slots.push(slot, GFP_KERNEL)?;
        }
        Ok(Self(slots))
    }

    /// Runs `work` on this CPU's value; `None` if a caller further up the stack is at it already.
    pub(crate) fn with<R>(&self, _bh: &BhDisabled, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        // SAFETY: No requirement; bottom halves are disabled, so the CPU does not change.
        let slot = self.0.get(unsafe { bindings::tls_hs_cpu() } as usize)?;
        if slot.busy.replace(true) {
            return None;
        }
        // SAFETY: By the invariants nobody else has a reference: this CPU is the only one to come
        // here, not preempted by a bottom half, and `busy` was false.
        let result = work(unsafe { &mut *slot.value.get() });
        slot.busy.set(false);
        Some(result)
    }
}
