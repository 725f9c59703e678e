// SPDX-License-Identifier: GPL-2.0

//! The children of a listener whose handshakes are not over, in the orders in which their time runs
//! out: one of their age, one of their last progress. A list is sorted by when something happened,
//! not by when it is due, so that a changed sysctl changes no order, and adding, moving and removing
//! a child takes the same time however many there are.
//!
//! A child that TCP had no memory for, and that no acknowledgement will wake therefore, is on a third
//! list and tries again.

use super::progress::run;
use super::{child_of, detach, die, drop_stand_in, free, unhook, Child};
use crate::kern::list::{Linked, Links, List};
use crate::kern::listen::Listener;
use crate::kern::lock::LockedSock;
use crate::kern::stat::{Gauge, Stats};
use crate::kern::sysctl::Sysctls;
use crate::kern::{bindings, this_module, work};
use crate::stat::Counter;
use crate::sysctl::Sysctl;
use core::ptr::NonNull;

/// Milliseconds after which the lists are looked at again at the latest: a changed sysctl counts
/// that soon.
const TICK_MS: u32 = 1000;

/// Milliseconds until sending is tried again.
const RETRY_MS: u32 = 50;

/// Membership in [`Pending`].
pub(super) struct Member {
    age: Links<Child>,
    idle: Links<Child>,
    stalled: Links<Child>,
    /// Milliseconds of [`work::now_ms`]: admission.
    since: u32,
    /// The last time that bytes were consumed or sent.
    progress: u32,
}

impl Member {
    /// On no list.
    pub(super) const fn new() -> Self {
        Self {
            age: Links::new(),
            idle: Links::new(),
            stalled: Links::new(),
            since: 0,
            progress: 0,
        }
    }
}

/// The kinds of lists.
struct Age;
struct Idle;
struct Stalled;

macro_rules! linked {
    ($($kind:ident $field:ident)*) => {$(
        // SAFETY: Always that field, which only these lists change.
        unsafe impl Linked<$kind> for Child {
            unsafe fn links(this: *mut Self) -> *mut Links<Self> {
                // SAFETY: By the requirement.
                unsafe { &raw mut (*this).member.$field }
            }
        }
    )*};
}

linked!(Age age Idle idle Stalled stalled);

/// The children of one listener whose handshakes are not over.
///
/// # Invariants
///
/// `age` and `idle` have the same members, all that there are; those of `stalled` are among them.
/// `age` is in the order of `since`, `idle` in that of `progress`.
pub(in crate::kern) struct Pending {
    age: List<Child, Age>,
    idle: List<Child, Idle>,
    stalled: List<Child, Stalled>,
}

/// A child that was taken off the pending list by somebody who has to close it.
pub(super) struct Orphan(pub(super) NonNull<Child>);

impl Orphan {
    /// Why the connection is closed, unless something else was first.
    pub(super) fn note(&self, why: Counter) {
        // SAFETY: The child is valid, see kill(); the lock keeps others from its handshake.
        unsafe {
            let child = self.0.as_ptr();
            bindings::tls_hs_lock_sock((*child).sk);
            (*child).handshake.note(why);
            bindings::release_sock((*child).sk);
        }
    }

    /// Closes the connection. Process context.
    pub(super) fn kill(self) {
        let child = self.0.as_ptr();
        // SAFETY: We own the socket's reference (see the module's documentation), so child and
        // socket are valid; after detach() nobody else finds the child.
        unsafe {
            let sk = (*child).sk;
            bindings::tls_hs_lock_sock(sk);
            die(child);
            unhook(child);
            drop_stand_in(child);
            detach(sk);
            bindings::release_sock(sk);
            Stats::of(sk).count(Counter::Closed);
            Stats::of(sk).leave(Gauge::Pending);
            // The namespace may go with the socket.
            (*child).memory = None;
            if let Some(close) = (*(*sk).__sk_common.skc_prot).close {
                close(sk, 0);
            }
            free(child);
            bindings::module_put(this_module());
        }
    }
}

/// What a handshake may take, in milliseconds.
struct Timeouts {
    absolute: u32,
    /// `u32::MAX` for no limit.
    idle: u32,
}

impl Timeouts {
    /// The present ones. Any context.
    fn of(listener: &Listener) -> Self {
        // SAFETY: The listener has a reference to its socket.
        let sysctls = unsafe { Sysctls::of(listener.socket()) };
        Self {
            absolute: sysctls.get(Sysctl::HandshakeTimeoutMs),
            idle: match sysctls.get(Sysctl::IdleTimeoutMs) {
                0 => u32::MAX,
                ms => ms,
            },
        }
    }
}

impl Pending {
    pub(in crate::kern) const fn new() -> Self {
        Self {
            age: List::new(),
            idle: List::new(),
            stalled: List::new(),
        }
    }

    pub(in crate::kern) fn count(&self) -> u32 {
        self.age.count()
    }

    /// Adds a child that was just admitted, or was another listener's; true if it is the only one.
    ///
    /// # Safety
    ///
    /// `child` is valid, and on no list.
    pub(super) unsafe fn push(&mut self, child: *mut Child) -> bool {
        // Under the lock, so that the order of the lists is that of time.
        let now = work::now_ms();
        // SAFETY: By the requirement.
        unsafe {
            (*child).member.since = now;
            (*child).member.progress = now;
            self.age.push(child);
            self.idle.push(child);
        }
        self.count() == 1
    }

    /// Takes `child` off; false if somebody else has.
    ///
    /// # Safety
    ///
    /// `child` is valid; if it is on a list it is this one's.
    pub(super) unsafe fn remove(&mut self, child: *mut Child) -> bool {
        // SAFETY: By the requirement.
        unsafe {
            self.idle.remove(child);
            self.stalled.remove(child);
            self.age.remove(child)
        }
    }

    /// Bytes of `child` were consumed or sent.
    ///
    /// # Safety
    ///
    /// As [`Self::remove`].
    unsafe fn touch(&mut self, child: *mut Child) {
        // SAFETY: By the requirement.
        unsafe {
            if self.idle.remove(child) {
                (*child).member.progress = work::now_ms();
                self.idle.push(child);
            }
        }
    }

    /// `child` is to try again soon; true if it is the only one.
    ///
    /// # Safety
    ///
    /// As [`Self::remove`].
    unsafe fn stall(&mut self, child: *mut Child) -> bool {
        // SAFETY: By the requirement: a member of the idle list is one of this.
        unsafe {
            self.stalled.remove(child);
            if !self.idle.remove(child) {
                return false;
            }
            // That it does not go on is not the client's fault: it counts as progress.
            (*child).member.progress = work::now_ms();
            self.idle.push(child);
            self.stalled.push(child);
        }
        self.stalled.count() == 1
    }

    /// Takes a child off whose time has run out, and says which time.
    fn pop_due(&mut self, now: u32, timeouts: &Timeouts) -> Option<(Orphan, Counter)> {
        let old = self.age.first().map(|child| {
            // SAFETY: Members of the list are valid.
            let since = unsafe { (*child.as_ptr()).member.since };
            (child, since, timeouts.absolute, Counter::Timeout)
        });
        let idle = self.idle.first().map(|child| {
            // SAFETY: Members of the list are valid.
            let progress = unsafe { (*child.as_ptr()).member.progress };
            (child, progress, timeouts.idle, Counter::IdleTimeout)
        });
        for (child, from, allowed, why) in old.into_iter().chain(idle) {
            if now.wrapping_sub(from) >= allowed {
                // SAFETY: A member of this.
                unsafe { self.remove(child.as_ptr()) };
                return Some((Orphan(child), why));
            }
        }
        None
    }

    /// The oldest child.
    pub(super) fn first(&self) -> Option<NonNull<Child>> {
        self.age.first()
    }

    /// A reference to the socket of a child that is to try again; it is no longer on that list.
    fn pop_stalled(&mut self) -> Option<*mut bindings::sock> {
        let child = self.stalled.first()?.as_ptr();
        // SAFETY: A member of this; while it is, its socket is not released.
        unsafe {
            self.stalled.remove(child);
            let sk = (*child).sk;
            bindings::tls_hs_sock_hold(sk);
            Some(sk)
        }
    }

    /// Milliseconds from `now` until there is something to do; `None` if there are no children.
    fn due_in(&self, now: u32, timeouts: &Timeouts) -> Option<u32> {
        let left = |from: u32, allowed: u32| allowed.saturating_sub(now.wrapping_sub(from));
        // SAFETY: Members of the lists are valid.
        let (old, idle) = unsafe {
            (
                (*self.age.first()?.as_ptr()).member.since,
                (*self.idle.first()?.as_ptr()).member.progress,
            )
        };
        let tick = match self.stalled.count() {
            0 => TICK_MS,
            _ => RETRY_MS,
        };
        let due = left(old, timeouts.absolute).min(left(idle, timeouts.idle));
        Some(due.saturating_add(1).min(tick))
    }
}

/// Milliseconds until the list with one child is to be looked at.
pub(super) fn first_look(listener: &Listener) -> u32 {
    let timeouts = Timeouts::of(listener);
    timeouts.absolute.min(timeouts.idle).min(TICK_MS)
}

/// The handshake has run, and goes on: bytes were consumed or sent if `moved`, and it can't send if
/// `stalled` though nothing is on its way.
///
/// # Safety
///
/// `child` is attached and its socket locked.
pub(super) unsafe fn waits(child: *mut Child, moved: bool, stalled: bool) {
    // SAFETY: By the requirement.
    let listener = unsafe { &(*child).listener };
    if stalled {
        let mut pending = listener.pending().lock();
        // SAFETY: By the requirement; the child was added to this listener's. The work is planned
        // under the lock under which listener was marked as alive.
        unsafe {
            if pending.stall(child) && !listener.is_dead() {
                listener.reap_sooner(RETRY_MS);
            }
            Stats::of((*child).sk).count(Counter::SendRetried);
        }
    } else if moved {
        // SAFETY: By the requirement; the child was added to this listener's.
        unsafe { listener.pending().lock().touch(child) }
    }
}

/// Whether the time of a child has run out, though nobody has come to close it yet.
///
/// # Safety
///
/// `child` is attached and its socket locked.
pub(super) unsafe fn expired(child: *const Child) -> bool {
    // SAFETY: By the requirement: it is added to lists under the socket lock.
    let (since, timeouts) = unsafe { ((*child).member.since, Timeouts::of(&(*child).listener)) };
    work::now_ms().wrapping_sub(since) >= timeouts.absolute
}

/// Closes the connections whose time has run out, lets those try again that had no memory, and
/// returns in how many milliseconds to come back. Process context.
pub(in crate::kern) fn reap(listener: &Listener) -> Option<u32> {
    let timeouts = Timeouts::of(listener);
    loop {
        let due = listener.pending().lock().pop_due(work::now_ms(), &timeouts);
        let Some((orphan, why)) = due else { break };
        orphan.note(why);
        // SAFETY: The socket is ours now.
        unsafe { Stats::of((*orphan.0.as_ptr()).sk) }.count(why);
        orphan.kill();
        work::relax();
    }
    let stalled = listener.pending().lock().stalled.count();
    for _ in 0..stalled {
        let popped = listener.pending().lock().pop_stalled();
        let Some(sk) = popped else { break };
        // SAFETY: We have a reference to the socket, and no lock. If it still has a child under its
        // lock, that stays while the lock is held. It is not owned, see `batch`: this may be the end
        // of the handshake.
        unsafe {
            let locked = LockedSock::new(sk);
            if let Some(child) = child_of(sk) {
                run(child.as_ptr());
            }
            drop(locked);
            bindings::tls_hs_sock_put(sk);
        }
        work::relax();
    }
    listener.pending().lock().due_in(work::now_ms(), &timeouts)
}
