// SPDX-License-Identifier: GPL-2.0

//! What becomes of the children of a listener that stops listening.
//!
//! Where stock migrates connections (SO_REUSEPORT with `net.ipv4.tcp_migrate_req` or a BPF program),
//! they go on to another listener of the group that has TLS_HS, in the middle of the handshake or
//! after it, and keep what they began with. A listener without TLS_HS can only be given what
//! nothing was read of. Everything else is closed.
//!
//! Stock would give the accept queue to any listener of the group, so that is emptied first.

use super::pending::{first_look, Orphan};
use super::{child_of, detach, drop_stand_in, free, give_back, unlink, Child, State};
use crate::kern::bindings::{self, sock};
use crate::kern::listen::Listener;
use crate::kern::percpu::BhDisabled;
use crate::kern::queue::{self, Ticket};
use crate::kern::stat::{Gauge, Stats};
use crate::kern::sysctl::Sysctls;
use crate::kern::this_module;
use crate::stat::Counter;
use crate::sysctl::Sysctl;
use core::ptr::{self, NonNull};
use kernel::sync::{rcu, Arc};

/// Another listening socket of the group.
///
/// # Invariants
///
/// A reference to the socket is ours.
struct Successor(NonNull<sock>);

impl Successor {
    /// Whom stock would give the connection `sk` of `listener` to, if anybody else. Any context.
    ///
    /// # Safety
    ///
    /// Both are valid TCP sockets.
    unsafe fn of(listener: *mut sock, sk: *mut sock) -> Option<Self> {
        // Stock counts on that it is not moved to another CPU there.
        let _guard = BhDisabled::new();
        // SAFETY: By the requirement; without a packet one is made up for the BPF program.
        let found = unsafe { bindings::reuseport_migrate_sock(listener, sk, ptr::null_mut()) };
        // Another thread may have told the same socket to listen again.
        NonNull::new(found)
            .map(Self)
            .filter(|successor| successor.0.as_ptr() != listener)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_sock_put(self.0.as_ptr()) }
    }
}

/// Empties the pending list and the accept queue of a listener. Process context.
///
/// # Safety
///
/// The listener's socket is not locked, and takes no new connections.
pub(in crate::kern) unsafe fn leave_all(listener: &Arc<Listener>) {
    // SAFETY: Whoever is on the list is a child with a socket. It is looked at under its lock and
    // with a reference, since its handshake may end meanwhile.
    unsafe {
        while let Some(sk) = hold_first(listener) {
            bindings::tls_hs_lock_sock(sk);
            let left = child_of(sk).and_then(|child| leave(child, listener));
            bindings::release_sock(sk);
            if let Some(orphan) = left {
                close(orphan);
            }
            bindings::tls_hs_sock_put(sk);
        }
    }
    // Nobody comes to the accept queue any more. Whoever is on it is not locked by anybody for long,
    // and is ours once it is off.
    loop {
        let mut found = None;
        // SAFETY: The caller has a reference to the socket and so to its accept queue; its members
        // are sockets.
        let ticket = unsafe {
            queue::remove_first(listener.socket(), |sk| {
                found = child_of(sk);
                found.is_some()
            })
        };
        let (Some(child), Some(ticket)) = (found, ticket) else {
            return;
        };
        // SAFETY: Child and reference are ours.
        if let Some(orphan) = unsafe { pass_on(child, listener.socket(), ticket) } {
            close(orphan);
        }
    }
}

fn close(orphan: Orphan) {
    orphan.note(Counter::ListenerClosed);
    // SAFETY: The socket is ours.
    unsafe { Stats::of((*orphan.0.as_ptr()).sk) }.count(Counter::ListenerClosed);
    orphan.kill();
}

/// The socket of the oldest pending child, with a reference to it.
fn hold_first(listener: &Listener) -> Option<*mut sock> {
    let pending = listener.pending().lock();
    let child = pending.first()?;
    // SAFETY: Members of the list are valid while its lock is held, and have a socket.
    unsafe {
        let sk = (*child.as_ptr()).sk;
        bindings::tls_hs_sock_hold(sk);
        Some(sk)
    }
}

/// Moves a pending child to another listener; gives it back if it has to be closed. `None` also if it
/// is pending no more.
///
/// # Safety
///
/// `child` is attached and its socket locked, in process context.
unsafe fn leave(child: NonNull<Child>, from: &Arc<Listener>) -> Option<Orphan> {
    // SAFETY: By the requirement; the list is looked at under the list's lock.
    unsafe {
        let child = child.as_ptr();
        let ours = Arc::ptr_eq(&(*child).listener, from);
        // Not pending: its handshake is over, and it is on the accept queue.
        if !ours || !unlink(child) {
            return None;
        }
        if let Some(successor) = Successor::of(from.socket(), (*child).sk) {
            // Whoever closes that listener waits for us before it empties the list.
            let _guard = rcu::read_lock();
            if let Some(to) = Listener::of(successor.0.as_ptr()) {
                let sysctls = Sysctls::of(to.socket());
                let mut pending = to.pending().lock();
                if !to.is_dead() && pending.count() < sysctls.get(Sysctl::MaxPending) {
                    (*child).listener = to.into();
                    let first = pending.push(child);
                    drop(pending);
                    if first {
                        to.reap_in(first_look(&to));
                    }
                    moved(successor.0.as_ptr());
                    return None;
                }
            }
        }
        Some(Orphan(NonNull::new_unchecked(child)))
    }
}

/// Counts a connection that another listener has: not by its own socket, which somebody may have
/// accepted and closed already.
///
/// # Safety
///
/// `sk` is valid.
unsafe fn moved(sk: *mut sock) {
    // SAFETY: By the requirement.
    unsafe {
        Stats::of(sk).count(Counter::Migrated);
        bindings::tls_hs_count_migration(sk);
    }
}

/// Puts a child whose handshake is over on the accept queue of another listener with TLS_HS. Any
/// context.
///
/// # Safety
///
/// The caller has the socket's reference, for the accept queue, and nobody else has the child; or
/// its socket is locked. `from` is valid.
pub(super) unsafe fn to_successor(
    child: *mut Child,
    from: *mut sock,
    ticket: Ticket,
) -> Result<(), Ticket> {
    // SAFETY: By the requirement. Whoever closes the other listener waits for us before it empties
    // the queue.
    unsafe {
        let sk = (*child).sk;
        let Some(successor) = Successor::of(from, sk) else {
            return Err(ticket);
        };
        let nsk = successor.0.as_ptr();
        let _guard = rcu::read_lock();
        let Some(to) = Listener::of(nsk).filter(|to| !to.is_dead()) else {
            return Err(ticket);
        };
        (*child).listener = to.into();
        ticket.enqueue(nsk, sk)?;
        moved(nsk);
        bindings::tls_hs_call_data_ready(nsk);
    }
    Ok(())
}

/// Gives a child that was on the accept queue to another listener; gives it back if it has to be
/// closed. Process context.
///
/// # Safety
///
/// The child was taken off the accept queue of `from`, with `ticket` and the socket's reference.
unsafe fn pass_on(child: NonNull<Child>, from: *mut sock, ticket: Ticket) -> Option<Orphan> {
    // SAFETY: By the requirement; the callbacks are unhooked, so nobody else has the child.
    unsafe {
        let sk = (*child.as_ptr()).sk;
        let ticket = match to_successor(child.as_ptr(), from, ticket) {
            Ok(()) => return None,
            Err(ticket) => ticket,
        };
        match Successor::of(from, sk) {
            Some(successor) if (*child.as_ptr()).state == State::Fallback => {
                give_away(child.as_ptr(), &successor, ticket);
                None
            }
            _ => Some(Orphan(child)),
        }
    }
}

/// Gives a connection that nothing was read of to the accept queue of a plain listener.
///
/// # Safety
///
/// As [`pass_on`].
unsafe fn give_away(child: *mut Child, successor: &Successor, ticket: Ticket) {
    // SAFETY: By the requirement.
    unsafe {
        let sk = (*child).sk;
        bindings::tls_hs_lock_sock(sk);
        drop_stand_in(child);
        give_back(child);
        detach(sk);
        bindings::release_sock(sk);
        Stats::of(sk).leave(Gauge::Pending);
        free(child);
        bindings::module_put(this_module());
        let nsk = successor.0.as_ptr();
        let queued = {
            // That listener may be one of ours by now.
            let _guard = rcu::read_lock();
            let queued = ticket.enqueue(nsk, sk).is_ok();
            if queued {
                bindings::tls_hs_call_data_ready(nsk);
            }
            queued
        };
        if queued {
            moved(nsk);
            return;
        }
        Stats::of(sk).count(Counter::ListenerClosed);
        Stats::of(sk).count(Counter::Closed);
        if let Some(close) = (*(*sk).__sk_common.skc_prot).close {
            close(sk, 0);
        }
    }
}
