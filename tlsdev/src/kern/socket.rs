// SPDX-License-Identifier: GPL-2.0

//! A socket whose transmit side is offloaded, as a packet leads to it.

use super::bindings::{self, sock, tls_context};
use super::frag::{compare, record_at, Entry, Prefix};
use core::marker::PhantomData;

/// # Invariants
///
/// `sk` is valid during `'a`, `ctx` is its session, whose transmit side is offloaded.
pub(crate) struct Socket<'a> {
    sk: *mut sock,
    ctx: *mut tls_context,
    lifetime: PhantomData<&'a sock>,
}

/// So many bytes that are the same by accident are none: they hold 38 or more of content or tags.
const COMPARED: usize = 64;

impl Socket<'_> {
    /// # Safety
    ///
    /// `sk` is valid during the returned lifetime, and its transmit side offloaded.
    pub(super) unsafe fn new(sk: *mut sock) -> Self {
        Self {
            sk,
            // SAFETY: By the requirement.
            ctx: unsafe { bindings::tlsdev_sock_ctx(sk) },
            lifetime: PhantomData,
        }
    }

    /// The first byte that is not acknowledged.
    pub(crate) fn unacknowledged(&self) -> u32 {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_snd_una(self.sk) }
    }

    /// What the session's list of records says about a sequence number.
    pub(crate) fn record_at(&self, seq: u32) -> Entry {
        // SAFETY: By the invariants.
        unsafe { record_at(self.ctx, seq) }
    }

    /// Whether bytes of the stream from `seq` on are not what the session's records have there: they
    /// are encrypted already.
    pub(crate) fn differs(&self, mut seq: u32, bytes: &[u8]) -> bool {
        let mut rest = bytes.get(..COMPARED).unwrap_or(bytes);
        // SAFETY: By the invariants.
        while let Some((len, same)) = unsafe { compare(self.ctx, seq, rest) } {
            rest = rest.get(len..).unwrap_or(&[]);
            seq = seq.wrapping_add(len as u32);
            if !same || len == 0 {
                return !same;
            }
        }
        false
    }

    /// Whether records may lie in memory that changes.
    pub(crate) fn zerocopy(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_zerocopy(self.ctx) }
    }

    /// The first `len` bytes of a record, if it is still there.
    pub(crate) fn prefix(&self, start: u32, number: u64, len: usize) -> Option<Prefix> {
        // SAFETY: By the invariants.
        unsafe { Prefix::take(self.ctx, start, number, len) }
    }

    /// Asks the stack to call tls_dev_resync() when it begins a record; false if the last request
    /// is not done with yet.
    pub(crate) fn request_resync(&self, got: u32, expected: u32) -> bool {
        // SAFETY: By the invariants. Nobody else asks: the caller has the session's lock.
        unsafe {
            if bindings::tlsdev_resync_pending(self.sk) {
                return false;
            }
            bindings::tls_offload_tx_resync_request(self.sk, got, expected);
        }
        true
    }
}
