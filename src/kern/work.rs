// SPDX-License-Identifier: GPL-2.0

//! The module's workqueues: what a SoftIRQ can't do itself.

use super::bindings::{self, delayed_work, work_struct, workqueue_struct};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// A workqueue of the module.
///
/// # Invariants
///
/// Not null between [`init`] and [`exit`].
pub(super) struct Queue(Atomic<*mut workqueue_struct>);

/// For work that is done soon.
pub(super) static QUEUE: Queue = Queue(Atomic::new(core::ptr::null_mut()));

/// For work that may have to wait for a program, which has the lock of a socket: others do not wait
/// with it.
pub(super) static SESSIONS: Queue = Queue(Atomic::new(core::ptr::null_mut()));

impl Queue {
    /// Queues `work`; false if it was queued already. Any context.
    ///
    /// # Safety
    ///
    /// `work` is initialised and lives until its function has run.
    pub(super) unsafe fn add(&self, work: *mut work_struct) -> bool {
        // SAFETY: By the requirement; the queue exists as long as the module's sockets do.
        unsafe { bindings::tls_hs_queue_work(self.0.load(Relaxed), work) }
    }

    /// Queues `work` to run in `ms` milliseconds, unless it is queued already. Any context.
    ///
    /// # Safety
    ///
    /// `work` is initialised and lives until it was cancelled.
    pub(super) unsafe fn add_delayed(&self, work: *mut delayed_work, ms: u32) {
        // SAFETY: As above.
        unsafe { bindings::tls_hs_queue_delayed_work(self.0.load(Relaxed), work, ms) }
    }

    /// As [`Queue::add_delayed`], also if it is queued for another time.
    ///
    /// # Safety
    ///
    /// As [`Queue::add_delayed`].
    pub(super) unsafe fn set_delay(&self, work: *mut delayed_work, ms: u32) {
        // SAFETY: As above.
        unsafe { bindings::tls_hs_mod_delayed_work(self.0.load(Relaxed), work, ms) }
    }
}

/// Makes the workqueues. Process context, at load time.
pub(super) fn init() -> Result {
    for (queue, name) in [(&QUEUE, c"tls_hs"), (&SESSIONS, c"tls_hs_sessions")] {
        // SAFETY: The name is a C string.
        let wq = unsafe { bindings::tls_hs_alloc_workqueue(name.as_char_ptr().cast()) };
        if wq.is_null() {
            exit();
            return Err(ENOMEM);
        }
        queue.0.store(wq, Relaxed);
    }
    Ok(())
}

/// Waits for all work and frees the workqueues. Process context, at unload time.
pub(super) fn exit() {
    for queue in [&SESSIONS, &QUEUE] {
        let wq = queue
            .0
            .xchg(core::ptr::null_mut(), kernel::sync::atomic::Full);
        if !wq.is_null() {
            // SAFETY: The queue is ours, and no socket that could queue to it is left.
            unsafe { bindings::destroy_workqueue(wq) }
        }
    }
}

/// Lets others have the CPU during long work. Process context.
pub(crate) fn relax() {
    // SAFETY: Process context, by the contract.
    unsafe { bindings::tls_hs_cond_resched() }
}

/// Sleeps for a moment. Process context.
pub(super) fn nap() {
    // SAFETY: Process context, by the contract.
    unsafe { bindings::tls_hs_nap() }
}

/// Milliseconds of a clock that never goes back; wraps around.
pub(crate) fn now_ms() -> u32 {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_now_ms() }
}

/// Microseconds of the same clock; wraps around.
pub(super) fn now_us() -> u32 {
    uptime_us() as u32
}

/// Microseconds of the same clock, all of them.
pub(super) fn uptime_us() -> u64 {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_now_us() }
}
