// SPDX-License-Identifier: GPL-2.0

//! What `ss -ti` and others ask inet_diag for: `get_info` of our ULPs.
//!
//! # Locking
//!
//! tcp_diag holds a reference to the socket, or the lock of a bucket of listening sockets, but not
//! the socket's lock: children and listeners are looked at under RCU.

use super::bindings::{self, sk_buff, sock, tls_hs_diag};
use super::child::Glance;
use super::listen::Listener;
use super::sysctl::Sysctls;
use crate::sysctl::Sysctl;
use kernel::ffi::c_int;
use kernel::sync::rcu;

/// The front's: a listening socket, or one that was just connected.
///
/// # Safety
///
/// tcp_diag calls this, for a socket with the front on it.
pub(super) unsafe extern "C" fn front(sk: *mut sock, skb: *mut sk_buff, _: bool) -> c_int {
    let _guard = rcu::read_lock();
    // SAFETY: The socket is valid; we are in an RCU read-side critical section.
    let Some(listener) = (unsafe { Listener::of(sk) }) else {
        return 0;
    };
    // SAFETY: As above.
    let max_pending = unsafe { Sysctls::of(sk) }.get(Sysctl::MaxPending);
    let [completed, fell_back, failed] = listener.results();
    let diag = tls_hs_diag {
        state: bindings::TLS_HS_DIAG_STATE_LISTEN as u8,
        pending: listener.pending().lock().count(),
        max_pending,
        completed,
        fell_back,
        failed,
        ..Default::default()
    };
    // SAFETY: tcp_diag passes a message to be filled.
    unsafe { bindings::tls_hs_put_diag(skb, &diag) }
}

/// A child's.
///
/// # Safety
///
/// tcp_diag calls this, for a socket that was a child when it looked.
pub(super) unsafe extern "C" fn child(sk: *mut sock, skb: *mut sk_buff, _: bool) -> c_int {
    let _guard = rcu::read_lock();
    // SAFETY: The socket is valid; we are in an RCU read-side critical section.
    let Some(glance) = (unsafe { Glance::at(sk) }) else {
        return 0;
    };
    let diag = tls_hs_diag {
        state: glance.state,
        age: (glance.age_us / 1000).min(u32::MAX.into()) as u32,
        ..Default::default()
    };
    // SAFETY: As above.
    unsafe { bindings::tls_hs_put_diag(skb, &diag) }
}

/// # Safety
///
/// tcp_diag calls this.
pub(super) unsafe extern "C" fn size(_: *const sock, _: bool) -> usize {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_diag_size() }
}
