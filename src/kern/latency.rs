// SPDX-License-Identifier: GPL-2.0

//! Counters of [`crate::latency`], per CPU, and /sys/kernel/debug/tls_hs/latency.

use super::bindings;
use crate::latency::{row, show, COLUMNS, ROWS};
use kernel::debugfs::{Dir, File};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};

/// # Invariants
///
/// Null, or per-CPU memory of `COLUMNS * ROWS` counters.
static COUNTERS: Atomic<*mut u64> = Atomic::new(core::ptr::null_mut());

/// Counts a handshake of this column that took `us` microseconds. Any context.
pub(super) fn count(column: usize, us: u32) {
    let counters = COUNTERS.load(Relaxed);
    if !counters.is_null() && column < COLUMNS {
        let index = column.wrapping_mul(ROWS).wrapping_add(row(us));
        // SAFETY: By the invariants; `index` is below the number of counters.
        unsafe { bindings::tls_hs_count(counters, index as u32) }
    }
}

fn sum(column: usize, row: usize) -> u64 {
    let counters = COUNTERS.load(Relaxed);
    if counters.is_null() {
        return 0;
    }
    let index = column.wrapping_mul(ROWS).wrapping_add(row);
    // SAFETY: By the invariants; show() asks for what there is.
    unsafe { bindings::tls_hs_sum(counters, index as u32) }
}

/// The counters. Dropped after the file, and after the last socket that counts.
struct Counters(());

impl Drop for Counters {
    fn drop(&mut self) {
        let counters = COUNTERS.xchg(core::ptr::null_mut(), Full);
        // SAFETY: By the invariants; nobody uses them any more.
        unsafe { bindings::free_percpu(counters.cast()) }
    }
}

/// The counters and their file are there while this lives.
pub(crate) struct Registration {
    _file: Pin<KBox<File<()>>>,
    _dir: Dir,
    _counters: Counters,
}

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No requirement.
        let counters = unsafe { bindings::tls_hs_alloc_counters((COLUMNS * ROWS) as u32) };
        if counters.is_null() {
            return Err(ENOMEM);
        }
        COUNTERS.store(counters, Relaxed);
        let counters = Counters(());
        let dir = Dir::new(c"tls_hs");
        let file = KBox::pin_init(
            dir.read_callback_file(c"latency", (), &|(), f| show(f, sum)),
            GFP_KERNEL,
        )?;
        Ok(Self {
            _file: file,
            _dir: dir,
            _counters: counters,
        })
    }
}
