// SPDX-License-Identifier: GPL-2.0

//! The listener's accept queue, entered late: when the handshake is over.

use super::bindings::{self, inet_connection_sock, request_sock, sock};
use core::ptr::NonNull;

/// `inet_csk()`.
pub(super) fn inet_csk(sk: *mut sock) -> *mut inet_connection_sock {
    sk.cast()
}

/// A place on the accept queue, taken when the connection is admitted so that nothing has to be
/// allocated when its handshake is over.
///
/// # Invariants
///
/// An initialised `request_sock` that is in no table and on no queue, with a reference that is ours.
pub(super) struct Ticket(NonNull<request_sock>);

impl Ticket {
    /// Any context.
    ///
    /// # Safety
    ///
    /// `like` is a valid request of the connection's listener.
    pub(super) unsafe fn like(like: *const request_sock) -> Option<Self> {
        // SAFETY: By the requirement.
        NonNull::new(unsafe { bindings::tls_hs_reqsk_like(like) }).map(Self)
    }

    /// Puts `child` at the end of the queue of `listener`; gives the ticket back if that does not
    /// listen any more. Any context.
    ///
    /// # Safety
    ///
    /// The caller holds a reference to `listener`, and passes the accept queue's reference to
    /// `child` on.
    pub(super) unsafe fn enqueue(self, listener: *mut sock, child: *mut sock) -> Result<(), Self> {
        // SAFETY: `listener` is referenced; its queue is changed under its lock, as
        // inet_csk_reqsk_queue_add() does. The request is ours by the invariants.
        unsafe {
            let queue = &raw mut (*inet_csk(listener)).icsk_accept_queue;
            let lock = (&raw mut (*queue).rskq_lock).cast();
            let req = self.0.as_ptr();

            bindings::tls_hs_spin_lock_bh(lock);
            let listens = u32::from((*listener).__sk_common.skc_state) == bindings::TCP_LISTEN;
            if listens {
                (*req).sk = child;
                (*req).dl_next = core::ptr::null_mut();
                if (*queue).rskq_accept_head.is_null() {
                    (&raw mut (*queue).rskq_accept_head).write_volatile(req);
                } else {
                    (*(*queue).rskq_accept_tail).dl_next = req;
                }
                (*queue).rskq_accept_tail = req;
                bindings::tls_hs_acceptq_added(listener);
            }
            bindings::tls_hs_spin_unlock_bh(lock);
            if !listens {
                return Err(self);
            }
        }
        core::mem::forget(self);
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // SAFETY: By the invariants the reference is ours.
        unsafe { bindings::tls_hs_reqsk_put(self.0.as_ptr()) }
    }
}

/// Takes the first child off the accept queue of `listener` that `wanted` says yes to: one that a
/// [`Ticket`] put there. Process context.
///
/// # Safety
///
/// The caller holds a reference to `listener`, not its lock, and then owns the queue's reference to
/// the child.
pub(super) unsafe fn remove_first(
    listener: *mut sock,
    mut wanted: impl FnMut(*mut sock) -> bool,
) -> Option<Ticket> {
    // SAFETY: `listener` is referenced; its queue is changed under its lock, by nobody but
    // Ticket::enqueue() and those who hold the socket's lock.
    unsafe {
        bindings::tls_hs_lock_sock(listener);
        let queue = &raw mut (*inet_csk(listener)).icsk_accept_queue;
        let lock = (&raw mut (*queue).rskq_lock).cast();
        bindings::tls_hs_spin_lock_bh(lock);
        let mut previous = core::ptr::null_mut::<request_sock>();
        let mut req = (*queue).rskq_accept_head;
        while !req.is_null() && !wanted((*req).sk) {
            previous = req;
            req = (*req).dl_next;
        }
        if !req.is_null() {
            let next = (*req).dl_next;
            if previous.is_null() {
                (&raw mut (*queue).rskq_accept_head).write_volatile(next);
            } else {
                (*previous).dl_next = next;
            }
            if next.is_null() {
                (*queue).rskq_accept_tail = previous;
            }
            bindings::tls_hs_acceptq_removed(listener);
        }
        bindings::tls_hs_spin_unlock_bh(lock);
        bindings::release_sock(listener);
        NonNull::new(req).map(Ticket)
    }
}

/// `reqsk_queue_empty()`. Any context.
///
/// # Safety
///
/// The caller holds a reference to `listener` or is inside an RCU read-side critical section that
/// protects it.
pub(super) unsafe fn is_empty(listener: *mut sock) -> bool {
    // SAFETY: By the requirement; a racy look is what the C function does too.
    unsafe {
        (&raw const (*inet_csk(listener)).icsk_accept_queue.rskq_accept_head)
            .read_volatile()
            .is_null()
    }
}
