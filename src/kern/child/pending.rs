// SPDX-License-Identifier: GPL-2.0

//! The children of a listener that `accept()` has not returned: in the order of their deadlines,
//! since all of them are given the same time.

use super::{Child, Orphan};
use crate::kern::listen::Listener;
use crate::kern::stat::Stats;
use crate::stat::Counter;
use core::ptr::{self, NonNull};

/// Membership in [`Pending`].
pub(super) struct Links {
    pub(super) listed: bool,
    pub(super) prev: *mut Child,
    pub(super) next: *mut Child,
}

/// The children of one listener whose handshakes are not over, oldest first.
pub(in crate::kern) struct Pending {
    first: *mut Child,
    last: *mut Child,
    count: u32,
}

// SAFETY: The pointers are only followed under the lock that the list is in.
unsafe impl Send for Pending {}

impl Pending {
    pub(in crate::kern) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            count: 0,
        }
    }

    pub(in crate::kern) fn count(&self) -> u32 {
        self.count
    }

    /// Appends; true if the list was empty.
    ///
    /// # Safety
    ///
    /// `child` is valid and on no list.
    pub(super) unsafe fn push(&mut self, child: *mut Child) -> bool {
        let first = self.last.is_null();
        // SAFETY: By the requirement; the list's members are valid.
        unsafe {
            (*child).links = Links {
                listed: true,
                prev: self.last,
                next: ptr::null_mut(),
            };
            if first {
                self.first = child;
            } else {
                (*self.last).links.next = child;
            }
        }
        self.last = child;
        self.count = self.count.saturating_add(1);
        first
    }

    /// Takes `child` off the list; false if somebody else has.
    ///
    /// # Safety
    ///
    /// `child` is valid; if it is on a list it is this one.
    pub(super) unsafe fn remove(&mut self, child: *mut Child) -> bool {
        // SAFETY: By the requirement; the list's members are valid.
        unsafe {
            let Links { listed, prev, next } = &mut (*child).links;
            if !core::mem::replace(listed, false) {
                return false;
            }
            if prev.is_null() {
                self.first = *next;
            } else {
                (**prev).links.next = *next;
            }
            if next.is_null() {
                self.last = *prev;
            } else {
                (**next).links.prev = *prev;
            }
        }
        self.count = self.count.saturating_sub(1);
        true
    }

    /// The oldest child.
    pub(super) fn first(&self) -> Option<NonNull<Child>> {
        NonNull::new(self.first)
    }

    /// Takes the oldest child whose deadline is not after `now`.
    fn pop(&mut self, now: u32) -> Option<Orphan> {
        let child = NonNull::new(self.first)?;
        // SAFETY: Members of the list are valid.
        unsafe {
            if now.wrapping_sub((*child.as_ptr()).deadline) >= u32::MAX / 2 {
                return None;
            }
            self.remove(child.as_ptr());
        }
        Some(Orphan(child))
    }

    /// Milliseconds from `now` until the oldest child is due.
    fn due_in(&self, now: u32) -> Option<u32> {
        let child = NonNull::new(self.first)?;
        // SAFETY: Members of the list are valid.
        let left = unsafe { (*child.as_ptr()).deadline }.wrapping_sub(now);
        Some(if left < u32::MAX / 2 { left } else { 0 })
    }
}

/// Closes the connections that are overdue; returns in how many milliseconds the next one will be.
/// Process context.
pub(in crate::kern) fn reap(listener: &Listener, now: u32) -> Option<u32> {
    loop {
        let popped = listener.pending().lock().pop(now);
        let Some(orphan) = popped else {
            return listener.pending().lock().due_in(now);
        };
        // SAFETY: The socket is ours now.
        unsafe { Stats::of((*orphan.0.as_ptr()).sk) }.count(Counter::Timeout);
        orphan.kill();
    }
}
