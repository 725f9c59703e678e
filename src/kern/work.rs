// SPDX-License-Identifier: GPL-2.0

//! The module's workqueues: what a SoftIRQ can't do itself.

use super::bindings::{self, delayed_work, work_struct, workqueue_struct};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// # Invariants
///
/// Not null between [`init`] and [`exit`].
static QUEUE: Atomic<*mut workqueue_struct> = Atomic::new(core::ptr::null_mut());

/// The same for work that may have to wait for a program: others do not wait with it.
static SESSIONS: Atomic<*mut workqueue_struct> = Atomic::new(core::ptr::null_mut());

/// Makes the workqueues. Process context, at load time.
pub(super) fn init() -> Result {
    for (queue, name) in [(&QUEUE, c"tls_hs"), (&SESSIONS, c"tls_hs_sessions")] {
        // SAFETY: The name is a C string.
        let wq = unsafe { bindings::tls_hs_alloc_workqueue(name.as_char_ptr().cast()) };
        if wq.is_null() {
            exit();
            return Err(ENOMEM);
        }
        queue.store(wq, Relaxed);
    }
    Ok(())
}

/// Waits for all work and frees the workqueues. Process context, at unload time.
pub(super) fn exit() {
    for queue in [&SESSIONS, &QUEUE] {
        let wq = queue.xchg(core::ptr::null_mut(), kernel::sync::atomic::Full);
        if !wq.is_null() {
            // SAFETY: The queue is ours, and no socket that could queue to it is left.
            unsafe { bindings::destroy_workqueue(wq) }
        }
    }
}

/// Queues `work`; false if it was queued already. Any context.
///
/// # Safety
///
/// `work` is initialised and lives until its function has run.
pub(super) unsafe fn queue(work: *mut work_struct) -> bool {
    // SAFETY: By the requirement; the queue exists as long as the module's sockets do.
    unsafe { bindings::tls_hs_queue_work(QUEUE.load(Relaxed), work) }
}

/// Queues `work` to run in `ms` milliseconds, unless it is queued already. Any context.
///
/// # Safety
///
/// `work` is initialised and lives until it was cancelled.
pub(super) unsafe fn queue_delayed(work: *mut delayed_work, ms: u32) {
    // SAFETY: By the requirement.
    unsafe { queue_delayed_on(&QUEUE, work, ms) }
}

/// As [`queue_delayed`], for work that takes the lock of a socket that a program has.
///
/// # Safety
///
/// As [`queue_delayed`].
pub(super) unsafe fn queue_for_session(work: *mut delayed_work, ms: u32) {
    // SAFETY: By the requirement.
    unsafe { queue_delayed_on(&SESSIONS, work, ms) }
}

/// # Safety
///
/// As [`queue_delayed`].
unsafe fn queue_delayed_on(
    queue: &Atomic<*mut workqueue_struct>,
    work: *mut delayed_work,
    ms: u32,
) {
    // SAFETY: By the requirement; the queue exists as long as the module's sockets do.
    unsafe {
        let delay = bindings::tls_hs_ms_to_jiffies(ms);
        bindings::tls_hs_queue_delayed_work(queue.load(Relaxed), work, delay);
    }
}

/// Queues `work` to run in `ms` milliseconds, also if it is queued for another time. Any context.
///
/// # Safety
///
/// As [`queue_delayed`].
pub(super) unsafe fn queue_sooner(work: *mut delayed_work, ms: u32) {
    // SAFETY: By the requirement; the queue exists as long as the module's sockets do.
    unsafe {
        let delay = bindings::tls_hs_ms_to_jiffies(ms);
        bindings::tls_hs_mod_delayed_work(QUEUE.load(Relaxed), work, delay);
    }
}

/// Lets others have the CPU during long work. Process context.
pub(super) fn relax() {
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
