// SPDX-License-Identifier: GPL-2.0

//! A spinlock that disables bottom halves: what is shared between SoftIRQ and process context.

use super::bindings;
use kernel::sync::lock::{Backend, Lock};

/// `spin_lock_bh()` as a backend of the kernel crate's [`Lock`].
pub struct Bh;

/// Data under a spinlock that is taken with bottom halves disabled.
pub type BhLock<T> = Lock<T, Bh>;

// SAFETY: spin_lock_bh() gives exclusive ownership until spin_unlock_bh().
unsafe impl Backend for Bh {
    type State = bindings::spinlock_t;
    type GuardState = ();

    unsafe fn init(
        ptr: *mut Self::State,
        name: *const kernel::ffi::c_char,
        key: *mut kernel::bindings::lock_class_key,
    ) {
        // SAFETY: By the safety requirements, `ptr` is writable and the others live for ever.
        unsafe { bindings::tlsdev_spin_lock_init(ptr, name, key.cast()) }
    }

    unsafe fn lock(ptr: *mut Self::State) {
        // SAFETY: By the safety requirements, the lock is initialised.
        unsafe { bindings::tlsdev_spin_lock_bh(ptr) }
    }

    unsafe fn try_lock(ptr: *mut Self::State) -> Option<()> {
        // SAFETY: By the safety requirements, the lock is initialised.
        (unsafe { bindings::tlsdev_spin_trylock_bh(ptr) } != 0).then_some(())
    }

    unsafe fn unlock(ptr: *mut Self::State, (): &()) {
        // SAFETY: By the safety requirements, the caller owns the lock.
        unsafe { bindings::tlsdev_spin_unlock_bh(ptr) }
    }

    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: By the safety requirements, the lock is initialised.
        unsafe { bindings::tlsdev_lockdep_assert_held(ptr) }
    }
}

/// Initialises a [`BhLock`], with a lock class of its own.
#[macro_export]
macro_rules! new_bh_lock {
    ($value:expr) => {
        $crate::BhLock::new(
            $value,
            ::kernel::optional_name!(),
            ::kernel::static_lock_class!(),
        )
    };
}
