// SPDX-License-Identifier: GPL-2.0

//! Locks that disable bottom halves: what is shared between SoftIRQ and process context.

use super::bindings::{self, sock};
use super::percpu::BhDisabled;
use kernel::sync::lock::{Backend, Lock};

/// `spin_lock_bh()` as a backend of the kernel crate's [`Lock`].
pub(super) struct Bh;

/// Data under a spinlock that is taken with bottom halves disabled.
pub(super) type BhLock<T> = Lock<T, Bh>;

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
        unsafe { bindings::tls_hs_spin_lock_init(ptr, name, key.cast()) }
    }

    unsafe fn lock(ptr: *mut Self::State) {
        // SAFETY: By the safety requirements, the lock is initialised.
        unsafe { bindings::tls_hs_spin_lock_bh(ptr) }
    }

    unsafe fn try_lock(ptr: *mut Self::State) -> Option<()> {
        // SAFETY: By the safety requirements, the lock is initialised.
        (unsafe { bindings::tls_hs_spin_trylock_bh(ptr) } != 0).then_some(())
    }

    unsafe fn unlock(ptr: *mut Self::State, (): &()) {
        // SAFETY: By the safety requirements, the caller owns the lock.
        unsafe { bindings::tls_hs_spin_unlock_bh(ptr) }
    }

    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: By the safety requirements, the lock is initialised.
        unsafe { bindings::tls_hs_lockdep_assert_held(ptr) }
    }
}

/// A socket that is locked as a SoftIRQ does it, by `bh_lock_sock()`: it is never owned.
pub(super) struct LockedSock {
    sk: *mut sock,
    _bh: BhDisabled,
}

impl LockedSock {
    /// `None` if a process owns the socket. Any context.
    ///
    /// # Safety
    ///
    /// `sk` is referenced as long as it is locked, and the caller holds no lock.
    pub(super) unsafe fn try_new(sk: *mut sock) -> Option<Self> {
        let locked = Self {
            sk,
            _bh: BhDisabled::new(),
        };
        // SAFETY: By the requirement.
        let owned = unsafe {
            bindings::tls_hs_bh_lock_sock(sk);
            bindings::tls_hs_sock_owned(sk)
        };
        (!owned).then_some(locked)
    }

    /// Waits for a process that owns the socket. Process context.
    ///
    /// # Safety
    ///
    /// As [`Self::try_new`].
    pub(super) unsafe fn new(sk: *mut sock) -> Self {
        loop {
            // SAFETY: By the requirement; bottom halves are enabled while we sleep.
            unsafe {
                if let Some(locked) = Self::try_new(sk) {
                    return locked;
                }
                bindings::tls_hs_lock_sock(sk);
                bindings::release_sock(sk);
            }
        }
    }
}

impl Drop for LockedSock {
    fn drop(&mut self) {
        // SAFETY: Locked by try_new().
        unsafe { bindings::tls_hs_bh_unlock_sock(self.sk) }
    }
}
