// SPDX-License-Identifier: GPL-2.0

//! What a driver's functions that may sleep are called from.

use super::bindings::{self, work_struct};
use kernel::prelude::*;
use kernel::types::Opaque;

/// What runs in process context.
pub(crate) trait Job: Send + Sync {
    fn run(&self);

    /// Called last, when `run` is not and will not be running any more.
    fn end(&self);
}

/// A job that can be queued, from any context, and is cancelled when it is dropped.
///
/// # Invariants
///
/// `work` is initialised, with `run::<T>`.
#[pin_data(PinnedDrop)]
pub(crate) struct Queued<T: Job> {
    #[pin]
    work: Opaque<work_struct>,
    #[pin]
    pub(crate) job: T,
}

// SAFETY: Work is queued and cancelled with synchronisation of the kernel's own.
unsafe impl<T: Job> Send for Queued<T> {}
// SAFETY: As above.
unsafe impl<T: Job> Sync for Queued<T> {}

impl<T: Job> Queued<T> {
    pub(crate) fn new(job: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: The memory is writable and stays where it is.
            work <- Opaque::ffi_init(|work| unsafe {
                bindings::tlsdev_init_work(work, Some(run::<T>))
            }),
            job <- job,
        })
    }

    /// Has the job run soon, unless it is about to anyway.
    pub(crate) fn queue(&self) {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_schedule_work(self.work.get()) };
    }
}

#[pinned_drop]
impl<T: Job> PinnedDrop for Queued<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the invariants. Sessions end where it may sleep.
        unsafe { bindings::cancel_work_sync(self.work.get()) };
        self.job.end();
    }
}

/// # Safety
///
/// The workqueue calls this, for the work of a `Queued<T>`.
unsafe extern "C" fn run<T: Job>(work: *mut work_struct) {
    // SAFETY: By the requirement; the drop waits for us.
    unsafe {
        let queued = work.byte_sub(core::mem::offset_of!(Queued<T>, work));
        (*queued.cast::<Queued<T>>()).job.run();
    }
}
