// SPDX-License-Identifier: GPL-2.0

//! The bound on what handshakes hold of the machine's memory.
//!
//! Counted are a connection's own state, its place on the accept queue, and what the client has
//! sent that nobody has read, until `accept()` returns the connection; not what any TCP connection
//! takes. New connections are taken below seven eighths of the bound: the rest is for what those
//! that were taken have yet to receive.

use super::bindings::{self, sock};
use super::net::Namespace;
use super::sysctl::machine;
use crate::sysctl::Sysctl;
use kernel::sync::atomic::{Atomic, Relaxed};

/// Of all network namespaces.
static TOTAL: Atomic<i64> = Atomic::new(0);

/// Bytes that all network namespaces, and one of them, may have.
struct Bounds {
    machine: i64,
    namespace: i64,
}

impl Bounds {
    /// The present ones. Any context.
    fn get() -> Self {
        let bytes = |kb: u32| i64::from(kb).wrapping_mul(1024);
        let machine_bound = match machine(Sysctl::MaxMemoryKb) {
            // SAFETY: No requirement.
            0 => (unsafe { bindings::tls_hs_total_memory() } / 16) as i64,
            kb => bytes(kb),
        };
        Self {
            machine: machine_bound,
            namespace: match machine(Sysctl::MaxMemoryNsKb) {
                0 => machine_bound / 2,
                kb => bytes(kb),
            },
        }
    }
}

/// Runs `work`, whose accounted allocations are charged to the memory cgroup of `sk`. Process context.
///
/// # Safety
///
/// The caller has a reference to `sk`.
pub(super) unsafe fn charged_to<R>(sk: *const sock, work: impl FnOnce() -> R) -> R {
    // SAFETY: By the requirement; the socket has a reference to its cgroup. `work` returns, since
    // nothing unwinds in the kernel.
    unsafe {
        let before = bindings::tls_hs_charge_to(sk);
        let result = work();
        bindings::tls_hs_charge_as_before(before);
        result
    }
}

/// What one handshake holds. Given back when dropped.
///
/// # Invariants
///
/// `bytes` are part of the namespace's count and of the total; the namespace lives as long.
pub(super) struct Charge {
    namespace: *const Namespace,
    bytes: u32,
    fixed: u32,
}

impl Charge {
    /// For a new connection of the listener `sk`, with `fixed` bytes; `None` if the memory is used
    /// up. Any context.
    ///
    /// # Safety
    ///
    /// `sk` is valid; its namespace outlives the charge.
    pub(super) unsafe fn new(sk: *const sock, fixed: u32) -> Option<Self> {
        // SAFETY: By the requirement.
        let namespace = unsafe { Namespace::of(bindings::tls_hs_sock_net(sk)) };
        // INVARIANT: Nothing is counted yet.
        let mut this = Self {
            namespace,
            bytes: 0,
            fixed,
        };
        let bounds = Bounds::get();
        let (total, own) = this.set(fixed);
        let new = |bound: i64| bound.wrapping_sub(bound / 8);
        (total <= new(bounds.machine) && own <= new(bounds.namespace)).then_some(this)
    }

    /// The handshake now holds `queued` bytes besides; false if that is too much. Any context.
    pub(super) fn resize(&mut self, queued: u32) -> bool {
        let bytes = self.fixed.saturating_add(queued);
        if bytes == self.bytes {
            return true;
        }
        let grows = bytes > self.bytes;
        let (total, own) = self.set(bytes);
        let bounds = Bounds::get();
        !grows || (total <= bounds.machine && own <= bounds.namespace)
    }

    /// Counts `bytes` instead of what was counted; returns the total and that of the namespace.
    fn set(&mut self, bytes: u32) -> (i64, i64) {
        let more = i64::from(bytes).wrapping_sub(self.bytes.into());
        self.bytes = bytes;
        // SAFETY: By the invariants.
        let own = unsafe { &(*self.namespace).memory };
        (
            TOTAL.fetch_add(more, Relaxed).wrapping_add(more),
            own.fetch_add(more, Relaxed).wrapping_add(more),
        )
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}
