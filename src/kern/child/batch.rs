// SPDX-License-Identifier: GPL-2.0

//! Handshakes whose public-key operations are done together.
//!
//! ```text
//!   fill      free places of the batch, from the queue           queue's lock
//!   load      operands out of each handshake                     each socket's lock
//!   perform   all operations                                     no lock
//!   answer    results into each handshake, which goes on; if     each socket's lock
//!             it asks for more it stays, otherwise its place
//!             is free
//! ```
//!
//! A round that is cut short leaves the batch as it is, for whoever goes on with it.
//!
//! Sockets are locked by `bh_lock_sock()`, never owned: `inet_csk_listen_stop()` warns of owned ones
//! on the accept queue, which is where the last answer puts them. A socket that a process owns is
//! left to the thread, which waits for the owner. The thread does the operations with bottom halves
//! enabled: it never delays a SoftIRQ for longer than one handshake's symmetric cryptography.

use super::pending::expired;
use super::progress::advance;
use super::{child_of, give_up, Child, State};
use crate::kern::bindings::{self, sock};
use crate::kern::lock::LockedSock;
use crate::kern::stat::Stats;
use crate::operation::{self, Operation};
use crate::stat::Counter;
use core::ptr::{self, NonNull};

/// Handshakes in a batch: as many as there are lanes of 64 bits in a vector register.
const PLACES: usize = 8;

/// Where a batch is worked on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    SoftIrq,
    Thread,
}

/// Locks a socket; `None` in SoftIRQ if a process owns it.
///
/// # Safety
///
/// `sk` is referenced as long as it is locked, and `context` is where we are, without other locks.
unsafe fn lock(sk: *mut sock, context: Context) -> Option<LockedSock> {
    // SAFETY: By the requirement; sleeping is allowed in the thread.
    unsafe {
        match context {
            Context::SoftIrq => LockedSock::try_new(sk),
            Context::Thread => Some(LockedSock::new(sk)),
        }
    }
}

/// The child of a socket, if its handshake still goes on.
///
/// # Safety
///
/// As [`child_of`].
unsafe fn handshaking(sk: *mut sock) -> Option<NonNull<Child>> {
    // SAFETY: By the requirement.
    unsafe { child_of(sk).filter(|child| (*child.as_ptr()).state == State::Handshaking) }
}

/// A place in a batch.
///
/// # Invariants
///
/// `sk` is null, or a socket of which the place has a reference.
struct Member {
    sk: *mut sock,
    /// Open before it is done; neither before it is loaded.
    operation: Operation,
}

impl Member {
    fn is_free(&self) -> bool {
        self.sk.is_null()
    }

    /// Gives the place up.
    fn leave(&mut self) {
        self.operation.clear();
        let sk = core::mem::replace(&mut self.sk, ptr::null_mut());
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_sock_put(sk) }
    }

    /// Takes the operands out of the handshake; false if the socket can't be locked now.
    ///
    /// # Safety
    ///
    /// The place is taken. `context` is where we are, without locks.
    unsafe fn load(&mut self, context: Context) -> bool {
        // SAFETY: By the requirement; the child is valid as long as the socket is locked.
        unsafe {
            let Some(locked) = lock(self.sk, context) else {
                return false;
            };
            if let Some(child) = handshaking(self.sk) {
                let child = child.as_ptr();
                if expired(child) {
                    give_up(child, Counter::Timeout);
                } else {
                    (*child).handshake.operation(&mut self.operation);
                }
            }
            drop(locked);
        }
        if !self.operation.is_open() {
            self.leave();
        }
        true
    }

    /// Gives the result to the handshake, which goes on; false if the socket can't be locked now.
    ///
    /// # Safety
    ///
    /// The place is taken, its operation done. `context` is where we are, without locks.
    unsafe fn answer(&mut self, context: Context, batched: bool) -> bool {
        // SAFETY: By the requirement; the child is valid as long as the socket is locked.
        let more = unsafe {
            let Some(_locked) = lock(self.sk, context) else {
                return false;
            };
            let stats = Stats::of(self.sk);
            if batched {
                stats.count(Counter::Batched);
            }
            if context == Context::Thread {
                stats.count(Counter::Deferred);
            }
            handshaking(self.sk).is_some_and(|child| {
                let child = child.as_ptr();
                let more = advance(child, Some(&self.operation)).is_some();
                if more {
                    (*child).handshake.operation(&mut self.operation);
                } else if (*child).state == State::Handshaking {
                    (*child).waiting = false;
                }
                more
            })
        };
        if !more || !self.operation.is_open() {
            self.leave();
        }
        true
    }
}

/// See the module's documentation.
pub(super) struct Batch([Member; PLACES]);

impl Batch {
    pub(super) const fn new() -> Self {
        Self(
            [const {
                Member {
                    sk: ptr::null_mut(),
                    operation: Operation::none(),
                }
            }; PLACES],
        )
    }

    /// Fills free places from `next`, which is told when it is for the last and gives a socket with
    /// a reference. False if the batch is empty then.
    pub(super) fn fill(&mut self, mut next: impl FnMut(bool) -> Option<*mut sock>) -> bool {
        let mut left = PLACES;
        let mut some = false;
        for member in &mut self.0 {
            left = left.wrapping_sub(1);
            if member.is_free() {
                if let Some(sk) = next(left == 0) {
                    member.sk = sk;
                }
            }
            some |= !member.is_free();
        }
        some
    }

    /// One round, in which operations are begun as long as `go_on` says yes; true if a process owns
    /// one of the sockets.
    ///
    /// # Safety
    ///
    /// `context` is where we are, without locks; the batch is ours.
    pub(super) unsafe fn run(
        &mut self,
        context: Context,
        go_on: &mut impl FnMut() -> bool,
    ) -> bool {
        let mut owned = false;
        for member in &mut self.0 {
            if !member.is_free() && !member.operation.is_open() && !member.operation.is_done() {
                // SAFETY: By the requirement, and the place is taken.
                owned |= unsafe { !member.load(context) };
            }
        }
        operation::perform(self.0.iter_mut().map(|member| &mut member.operation), go_on);
        let done = |member: &&mut Member| member.operation.is_done();
        let batched = self.0.iter_mut().filter(done).count() > 1;
        for member in self.0.iter_mut().filter(done) {
            // SAFETY: By the requirement, and the operation is done.
            owned |= unsafe { !member.answer(context, batched) };
        }
        owned
    }
}
