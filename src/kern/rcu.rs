// SPDX-License-Identifier: GPL-2.0

//! A reference-counted value that readers in SoftIRQ take without a lock while a writer replaces it.

use super::bindings;
use core::ptr;
use kernel::sync::atomic::{Acquire, Atomic, Full};
use kernel::sync::{rcu, Arc, ArcBorrow};

/// An [`Arc`] or nothing, published by RCU.
///
/// # Invariants
///
/// The pointer is null or came from [`Arc::into_raw`], and that reference is given up only after an
/// RCU grace period has passed since the pointer was replaced.
pub(crate) struct RcuArc<T: Send + Sync + 'static>(Atomic<*mut T>);

impl<T: Send + Sync + 'static> RcuArc<T> {
    /// Publishes `value`.
    pub(crate) fn new(value: Arc<T>) -> Self {
        // INVARIANT: The pointer comes from `Arc::into_raw()`.
        Self(Atomic::new(value.into_raw().cast_mut()))
    }

    /// Nothing yet.
    pub(crate) const fn none() -> Self {
        Self(Atomic::new(ptr::null_mut()))
    }

    /// The current value. Any context.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        let _guard = rcu::read_lock();
        let ptr = self.0.load(Acquire);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: By the invariants, the pointer's reference is held at least until this read-side
        // critical section ends.
        Some(unsafe { ArcBorrow::from_raw(ptr) }.into())
    }

    /// Runs `work` on the current value, without taking a reference: for what all CPUs share. Any
    /// context; `work` must not sleep.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        let _guard = rcu::read_lock();
        let ptr = self.0.load(Acquire);
        // SAFETY: By the invariants, the pointer is null or valid at least until this read-side
        // critical section ends.
        unsafe { ptr.as_ref() }.map(work)
    }

    /// Replaces the value and drops the old one. Process context: waits for a grace period.
    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        drop(self.replace(value));
    }

    /// Replaces the value. The old one is the caller's to drop, when it holds no lock that somebody
    /// could wait for. Any context.
    pub(crate) fn replace(&self, value: Option<Arc<T>>) -> Replaced<T> {
        let new = value.map_or(ptr::null_mut(), |value| value.into_raw().cast_mut());
        let old = self.0.xchg(new, Full);
        // SAFETY: By the invariants this is null or the reference that `new()` or `replace()`
        // stored, and given up only by the drop of the result.
        Replaced((!old.is_null()).then(|| unsafe { Arc::from_raw(old) }))
    }
}

/// A value that was replaced, of which readers may know still. Dropped in process context: waits for
/// a grace period.
pub(crate) struct Replaced<T: Send + Sync + 'static>(Option<Arc<T>>);

impl<T: Send + Sync + 'static> Drop for Replaced<T> {
    fn drop(&mut self) {
        if self.0.is_some() {
            // SAFETY: Process context, by the contract. The value goes after this.
            unsafe { bindings::synchronize_rcu() };
        }
    }
}

impl<T: Send + Sync + 'static> Drop for RcuArc<T> {
    fn drop(&mut self) {
        let ptr = self.0.load(Acquire);
        if !ptr.is_null() {
            // SAFETY: The owner is gone, so no reader can come to this pointer any more; it is the
            // reference that `new()` or `replace()` stored.
            drop(unsafe { Arc::from_raw(ptr) });
        }
    }
}
