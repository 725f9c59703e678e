// SPDX-License-Identifier: GPL-2.0

//! What of a child's socket is changed while its handshake goes on.
//!
//! ```text
//!   hook()            SYN_RECV       callbacks, how TCP allocates
//!   stand_in()        ESTABLISHED    who owns it, options
//!   unhook()          over           gives back callbacks and options
//!   give_back()       accepted       gives back the options that matter until then
//!   drop_stand_in()   closed         nobody owns it
//! ```

use super::progress::{data_ready, state_change, write_space};
use super::Child;
use crate::driver::Handshake;
use crate::kern::bindings::{self, sock};

type Callback = Option<unsafe extern "C" fn(sk: *mut sock)>;

/// What of the socket we changed.
pub(super) struct Saved {
    data_ready: Callback,
    state_change: Callback,
    write_space: Callback,
    use_task_frag: bool,
    allocation: kernel::bindings::gfp_t,
}

/// Options of the socket that we changed.
pub(super) struct Options {
    rcvlowat: kernel::ffi::c_int,
    /// 0 if it was not changed.
    rcvbuf: kernel::ffi::c_int,
    room_locked: bool,
    corked: bool,
}

/// Gives the socket callbacks of ours.
///
/// # Safety
///
/// `child` has a socket that nobody else has, locked.
pub(super) unsafe fn hook(child: *mut Child) {
    // SAFETY: By the requirement.
    unsafe {
        let sk = (*child).sk;
        (*child).saved.write(Saved {
            data_ready: (*sk).sk_data_ready,
            state_change: (*sk).sk_state_change,
            write_space: (*sk).sk_write_space,
            use_task_frag: (*sk).sk_use_task_frag,
            allocation: (*sk).sk_allocation,
        });
        (*sk).sk_data_ready = Some(data_ready);
        (*sk).sk_state_change = Some(state_change);
        (*sk).sk_write_space = Some(write_space);
        (*sk).sk_use_task_frag = false;
        (*sk).sk_allocation = kernel::bindings::GFP_ATOMIC;
    }
}

/// Attaches the stand-in, and changes options that would be in the handshake's way: those that the
/// socket has from its listener, or from a BPF program that TCP has just told of the connection.
///
/// # Safety
///
/// `child` is attached, its socket locked and just ESTABLISHED.
pub(super) unsafe fn stand_in(child: *mut Child) {
    // SAFETY: By the requirement.
    unsafe {
        let sk = (*child).sk;
        bindings::tls_hs_sock_attach(sk, &raw mut (*child).stand_in);
        (*child).options = Some(Options {
            rcvlowat: (*sk).sk_rcvlowat,
            rcvbuf: bindings::tls_hs_make_room(sk, Handshake::RECEIVE_MAX),
            // TCP would let a client make it grow that leaves a hole: it takes the stand-in for an
            // owner who has accepted the socket.
            room_locked: bindings::tls_hs_lock_room(sk, true),
            // It would hold the end of each flight back until a timer sends it.
            corked: bindings::tls_hs_cork(sk, false),
        });
        (&raw mut (*sk).sk_rcvlowat).write_volatile(1);
    }
}

/// Gives the socket back its own callbacks, and options.
///
/// # Safety
///
/// `child` is attached and its socket locked.
pub(super) unsafe fn unhook(child: *mut Child) {
    // SAFETY: By the requirement; `saved` was written by hook().
    unsafe {
        let sk = (*child).sk;
        let saved = (*child).saved.assume_init_ref();
        bindings::tls_hs_callback_lock(sk);
        (*sk).sk_data_ready = saved.data_ready;
        (*sk).sk_state_change = saved.state_change;
        (*sk).sk_write_space = saved.write_space;
        bindings::tls_hs_callback_unlock(sk);
        (*sk).sk_use_task_frag = saved.use_task_frag;
        (*sk).sk_allocation = saved.allocation;
        if let Some(options) = &(*child).options {
            (&raw mut (*sk).sk_rcvlowat).write_volatile(options.rcvlowat);
            if options.rcvbuf != 0 {
                bindings::tls_hs_restore_room(sk, options.rcvbuf);
            }
        }
    }
}

/// # Safety
///
/// As [`unhook`]; process context, so that no caller further up looks at the stand-in.
pub(super) unsafe fn drop_stand_in(child: *mut Child) {
    // SAFETY: By the requirement.
    unsafe {
        let sk = (*child).sk;
        bindings::tls_hs_callback_lock(sk);
        if (*sk).sk_socket == &raw mut (*child).stand_in {
            bindings::tls_hs_sock_detach(sk);
        }
        bindings::tls_hs_callback_unlock(sk);
    }
}

/// Gives the socket what unhook() keeps, since it has an owner in user space now, or will have one
/// that TCP knows of.
///
/// # Safety
///
/// As [`unhook`], after it.
pub(super) unsafe fn give_back(child: *mut Child) {
    // SAFETY: By the requirement.
    unsafe {
        if let Some(options) = &(*child).options {
            bindings::tls_hs_lock_room((*child).sk, options.room_locked);
            bindings::tls_hs_cork((*child).sk, options.corked);
        }
    }
}
