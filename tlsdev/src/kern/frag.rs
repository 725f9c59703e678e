// SPDX-License-Identifier: GPL-2.0

//! Records that kTLS keeps until they are acknowledged: what the device rebuilds its state from.

use super::bindings::{self, skb_frag_t, tls_context, tls_record_info};
use kernel::prelude::*;
use offload_ndo::seq::before;

/// A record of the list, without its bytes.
pub(crate) struct Listed {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// What the list says about a sequence number.
pub(crate) enum Entry {
    /// A record begins at or before it.
    Record(Listed),
    /// It is from before the offload began.
    Before,
    /// It is acknowledged, or not sent yet.
    None,
}

/// Looks into a session's list of records, with its lock held.
///
/// # Safety
///
/// `ctx` is valid and its transmit side offloaded.
unsafe fn with_record<R>(
    ctx: *mut tls_context,
    seq: u32,
    look: impl FnOnce(*mut tls_record_info, u64) -> R,
) -> R {
    let mut flags = 0;
    let mut number = 0;
    // SAFETY: By the requirement. The record is valid as long as the lock is held.
    unsafe {
        let records = bindings::tlsdev_lock_records(ctx, &mut flags);
        let record = bindings::tls_get_record(records, seq, &mut number);
        let result = look(record, number);
        bindings::tlsdev_unlock_records(records, flags);
        result
    }
}

/// The record of a sequence number.
///
/// # Safety
///
/// As for [`with_record`].
pub(crate) unsafe fn record_at(ctx: *mut tls_context, seq: u32) -> Entry {
    // SAFETY: By the requirement; the record is null or valid.
    unsafe {
        with_record(ctx, seq, |record, _| {
            if record.is_null() {
                return Entry::None;
            }
            let start = bindings::tlsdev_record_start(record);
            if bindings::tlsdev_is_start_marker(record) || before(seq, start) {
                return Entry::Before;
            }
            let len = (*record).len as u32;
            Entry::Record(Listed { start, len })
        })
    }
}

/// Compares what a packet has of the stream from `seq` on with the record there, up to the end of
/// either: how many bytes that were and whether they are the same. `None`: there is no record.
///
/// # Safety
///
/// As for [`with_record`].
pub(crate) unsafe fn compare(
    ctx: *mut tls_context,
    seq: u32,
    bytes: &[u8],
) -> Option<(usize, bool)> {
    // SAFETY: By the requirement; the record is null or valid.
    unsafe {
        with_record(ctx, seq, |record, _| {
            if record.is_null() || bindings::tlsdev_is_start_marker(record) {
                return None;
            }
            let start = bindings::tlsdev_record_start(record);
            if before(seq, start) {
                return None;
            }
            let frags = (*record).frags.iter();
            let frags = frags.take((*record).num_frags as usize);
            let plain = frags.flat_map(|frag| frag_bytes(frag));
            let plain = plain.skip(seq.wrapping_sub(start) as usize);
            let mut len = 0usize;
            let same = plain.zip(bytes).all(|(a, b)| {
                len = len.wrapping_add(1);
                a == b
            });
            Some((len, same))
        })
    }
}

/// # Safety
///
/// A fragment of an offloaded record, which lies in memory that the kernel has mapped.
unsafe fn frag_bytes<'a>(frag: &skb_frag_t) -> &'a [u8] {
    // SAFETY: By the requirement.
    unsafe {
        core::slice::from_raw_parts(
            bindings::tlsdev_frag_map(frag),
            bindings::tlsdev_frag_size(frag) as usize,
        )
    }
}

/// Bytes of a record that are in front of a packet. They go through the device's cryptography, and
/// not on the wire.
///
/// # Invariants
///
/// The first `used` fragments hold a reference to their pages.
pub struct Prefix {
    frags: [skb_frag_t; MAX_FRAGS],
    used: usize,
    len: usize,
}

const MAX_FRAGS: usize = {
    // As many as a record has.
    let record = core::mem::MaybeUninit::<tls_record_info>::uninit();
    // SAFETY: Only the size of a field is asked for.
    size_of_val(unsafe { &(*record.as_ptr()).frags }) / size_of::<skb_frag_t>()
};

impl Prefix {
    /// Nothing: the packet begins a record.
    pub(crate) fn empty() -> Self {
        Self {
            // SAFETY: All zeros is a valid fragment, and none is in use.
            frags: unsafe { core::mem::zeroed() },
            used: 0,
            len: 0,
        }
    }

    /// The first `len` bytes of record `number`, which begins at `start`; nothing if kTLS no
    /// longer has them, or has another record there.
    ///
    /// # Safety
    ///
    /// As for [`with_record`].
    pub(crate) unsafe fn take(
        ctx: *mut tls_context,
        start: u32,
        number: u64,
        len: usize,
    ) -> Option<Self> {
        let mut prefix = Self::empty();
        // SAFETY: By the requirement; the record is null or valid, and so are its fragments.
        unsafe {
            with_record(ctx, start, |record, found| {
                if record.is_null()
                    || bindings::tlsdev_is_start_marker(record)
                    || bindings::tlsdev_record_start(record) != start
                    || found != number
                    || ((*record).len as usize) < len
                {
                    return None;
                }
                let frags = (*record)
                    .frags
                    .iter_mut()
                    .take((*record).num_frags as usize);
                for (to, from) in prefix.frags.iter_mut().zip(frags) {
                    if prefix.len >= len {
                        break;
                    }
                    bindings::tlsdev_frag_get(from);
                    *to = *from;
                    prefix.used = prefix.used.wrapping_add(1);
                    let size = bindings::tlsdev_frag_size(from) as usize;
                    prefix.len = prefix.len.saturating_add(size);
                }
                Some(())
            })
        }?;
        (prefix.len >= len).then(|| {
            prefix.len = len;
            prefix
        })
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the packet begins a record.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, piece by piece. A driver maps the pieces for DMA; this one reads them.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.len;
        self.frags.iter().take(self.used).map(move |frag| {
            // SAFETY: By the invariants the page is there.
            let piece: &[u8] = unsafe { frag_bytes(frag) };
            let piece = piece.get(..left).unwrap_or(piece);
            left = left.saturating_sub(piece.len());
            piece
        })
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        for frag in self.frags.iter_mut().take(self.used) {
            // SAFETY: By the invariants.
            unsafe { bindings::tlsdev_frag_put(frag) };
        }
    }
}
