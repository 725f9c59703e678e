// SPDX-License-Identifier: GPL-2.0

//! A doubly linked list whose links are inside its members: nothing is allocated, and a member is
//! taken off wherever it stands.

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

/// A member's place in a list.
pub(super) struct Links<T> {
    listed: bool,
    prev: *mut T,
    next: *mut T,
}

impl<T> Links<T> {
    /// On no list.
    pub(super) const fn new() -> Self {
        Self {
            listed: false,
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
        }
    }
}

/// What can be on a list of the kind `K`.
///
/// # Safety
///
/// `links` returns the same field of `this` each time, of the object that `this` points to, and
/// nobody but the lists of that kind changes it.
pub(super) unsafe trait Linked<K>: Sized {
    /// # Safety
    ///
    /// `this` points to a valid object.
    unsafe fn links(this: *mut Self) -> *mut Links<Self>;
}

/// The list.
///
/// # Invariants
///
/// Members are valid, and their links are those of this list.
pub(super) struct List<T: Linked<K>, K> {
    first: *mut T,
    last: *mut T,
    count: u32,
    kind: PhantomData<K>,
}

// SAFETY: The pointers are only followed by who has the list.
unsafe impl<T: Linked<K>, K> Send for List<T, K> {}

impl<T: Linked<K>, K> List<T, K> {
    pub(super) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            count: 0,
            kind: PhantomData,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn first(&self) -> Option<NonNull<T>> {
        NonNull::new(self.first)
    }

    /// Appends.
    ///
    /// # Safety
    ///
    /// `item` is valid, stays so until it is taken off, and is on no list of this kind.
    pub(super) unsafe fn push(&mut self, item: *mut T) {
        let prev = self.last;
        // SAFETY: By the requirement and the invariants.
        unsafe {
            T::links(item).write(Links {
                listed: true,
                prev,
                next: ptr::null_mut(),
            });
            self.set_next(prev, item);
        }
        self.last = item;
        self.count = self.count.saturating_add(1);
    }

    /// Takes `item` off; false if it is not listed.
    ///
    /// # Safety
    ///
    /// `item` is valid; if it is on a list of this kind it is this one.
    pub(super) unsafe fn remove(&mut self, item: *mut T) -> bool {
        // SAFETY: By the requirement and the invariants.
        unsafe {
            let Links { listed, prev, next } = T::links(item).replace(Links::new());
            if !listed {
                return false;
            }
            self.set_next(prev, next);
            self.set_prev(next, prev);
        }
        self.count = self.count.saturating_sub(1);
        true
    }

    /// # Safety
    ///
    /// `item` is a member, or null for the list's head.
    unsafe fn set_next(&mut self, item: *mut T, next: *mut T) {
        if item.is_null() {
            self.first = next;
        } else {
            // SAFETY: By the requirement.
            unsafe { (*T::links(item)).next = next }
        }
    }

    /// # Safety
    ///
    /// `item` is a member, or null for the list's end.
    unsafe fn set_prev(&mut self, item: *mut T, prev: *mut T) {
        if item.is_null() {
            self.last = prev;
        } else {
            // SAFETY: By the requirement.
            unsafe { (*T::links(item)).prev = prev }
        }
    }
}
