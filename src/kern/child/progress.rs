// SPDX-License-Identifier: GPL-2.0

//! What makes a handshake go on: the callbacks of its socket, and the results of its operations.
//!
//! # Locking
//!
//! Everything here runs under the socket lock: in SoftIRQ, in process context out of
//! `release_sock()`, or in a thread that holds it as a SoftIRQ would.

use super::hooks::stand_in;
use super::{child_of, fail, finish, give_up, pending, tell, waiting, Child, State};
use crate::driver::{Class, Progress};
use crate::kern::bindings::{self, sock};
use crate::kern::log;
use crate::kern::percpu::BhDisabled;
use crate::kern::source::Source;
use crate::kern::stat::Stats;
use crate::kern::stream::Stream;
use crate::kern::trace::Event;
use crate::operation::Operation;
use crate::stat::Counter;

/// Lets the handshake go on as far as it can, unless it waits for a public-key operation. If it
/// comes to one, it waits for it, or is refused.
///
/// # Safety
///
/// `child` is attached and its socket locked.
pub(super) unsafe fn run(child: *mut Child) {
    // SAFETY: By the requirement. `running` keeps a callback that sending provokes from coming back
    // here, so that advance() has the only reference to the handshake.
    unsafe {
        if (*child).state != State::Handshaking || (*child).running || (*child).waiting {
            return;
        }
        if (*child).stand_in_missing() {
            return;
        }
        let Some(class) = advance(child, None) else {
            return;
        };
        (*child).waiting = waiting::wait(child, class);
        if !(*child).waiting {
            // Overload is no verdict on this client, so no alert tells it one. After a reset it may
            // come again, or try another address, and nothing of it stays here.
            bindings::tls_hs_reset_on_close((*child).sk);
            give_up(child, Counter::Shed);
        }
    }
}

/// Lets the handshake go on, with the result of the operation if it waited for one. Returns the
/// class of the next operation that it needs, if it comes to one.
///
/// # Safety
///
/// `child` is attached, its socket locked, its handshake going on, and neither running nor waiting
/// for anything but this operation.
pub(super) unsafe fn advance(child: *mut Child, operation: Option<&Operation>) -> Option<Class> {
    // SAFETY: By the requirement; `running` keeps others from the handshake.
    unsafe {
        let sk = (*child).sk;
        (*child).running = true;
        let (progress, moved, stalled, memory) = {
            let bh = BhDisabled::new();
            let mut stream = Stream::new(sk);
            let stats = Stats::of(sk);
            let before = stream.position();
            let handshake = &mut (*child).handshake;
            let progress = match operation {
                None => handshake.drive(&mut stream, &stats, &bh),
                Some(operation) => handshake.answer(operation, &mut stream, &stats, &bh),
            };
            let moved = operation.is_some() || stream.position() != before;
            let stalled = handshake.has_unsent() && stream.nothing_on_its_way();
            (progress, moved, stalled, stream.memory())
        };
        (*child).running = false;
        if (*child).handshake.greeted() {
            tell(child, Event::Hello);
        }
        if (*child).handshake.is_stale() {
            (*child).listener.read_keys_again();
        }
        match progress {
            // Nothing can follow the client's FIN, but what is yet to be sent may be all that is
            // missing.
            Progress::Pending if is_half_closed(sk) && !(*child).handshake.has_unsent() => {
                give_up(child, Counter::PeerClosed);
            }
            Progress::Pending | Progress::Operation(_)
                if !(*child).memory.as_mut().is_none_or(|it| it.resize(memory)) =>
            {
                limited(child, Counter::MemoryFull);
            }
            Progress::Pending => pending::waits(child, moved, stalled),
            Progress::Operation(class) => {
                pending::waits(child, moved, false);
                return Some(class);
            }
            Progress::Complete => finish(child, State::Complete),
            Progress::Fallback => {
                let may = |source: &Source| source.may_fall_back(sk);
                if (*child).source.as_ref().is_none_or(may) {
                    finish(child, State::Fallback);
                } else {
                    limited(child, Counter::FallbackLimited);
                }
            }
            Progress::Failed => fail(child),
        }
    }
    None
}

/// Gives up on the connection because of a limit.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn limited(child: *mut Child, why: Counter) {
    // SAFETY: By the requirement.
    unsafe {
        Stats::of((*child).sk).count(why);
        log::limit((*child).sk, why);
        fail(child);
    }
}

/// Whether the client has sent its FIN.
///
/// # Safety
///
/// `sk` is locked.
unsafe fn is_half_closed(sk: *const sock) -> bool {
    // SAFETY: By the requirement.
    u32::from(unsafe { (*sk).__sk_common.skc_state }) == bindings::TCP_CLOSE_WAIT
}

impl Child {
    /// Whether the three-way handshake is not over: nothing may be sent yet.
    ///
    /// # Safety
    ///
    /// The child is attached and its socket locked.
    unsafe fn stand_in_missing(&self) -> bool {
        // SAFETY: By the requirement.
        unsafe { (*self.sk).sk_socket.is_null() }
    }
}

/// # Safety
///
/// TCP calls this, with the socket locked.
pub(super) unsafe extern "C" fn data_ready(sk: *mut sock) {
    // SAFETY: TCP calls this with the socket locked.
    unsafe {
        if let Some(child) = child_of(sk) {
            run(child.as_ptr());
        }
    }
}

/// # Safety
///
/// TCP calls this, with the socket locked.
pub(super) unsafe extern "C" fn write_space(sk: *mut sock) {
    // SAFETY: TCP calls this with the socket locked.
    unsafe {
        if let Some(child) = child_of(sk) {
            let child = child.as_ptr();
            if !(*child).running {
                bindings::tls_hs_clear_nospace(&raw mut (*child).stand_in);
                run(child);
            }
        }
    }
}

/// # Safety
///
/// TCP calls this, with the socket locked.
pub(super) unsafe extern "C" fn state_change(sk: *mut sock) {
    // SAFETY: TCP calls this with the socket locked.
    unsafe {
        let Some(child) = child_of(sk) else { return };
        let child = child.as_ptr();
        if (*child).state != State::Handshaking {
            return;
        }
        match u32::from((*sk).__sk_common.skc_state) {
            // Not earlier: tcp_validate_incoming() takes SYN_RECV with a socket for a crossed SYN.
            bindings::TCP_ESTABLISHED => {
                if (*child).stand_in_missing() {
                    stand_in(child);
                }
            }
            bindings::TCP_SYN_RECV => {}
            // A FIN; what came before it, perhaps in the same segment, still counts. A handshake
            // that waits for an operation needs more than that: if nothing is there, spare it.
            bindings::TCP_CLOSE_WAIT => {
                run(child);
                let in_vain = (*child).waiting && Stream::new(sk).available() == 0;
                if (*child).state == State::Handshaking && in_vain {
                    give_up(child, Counter::PeerClosed);
                }
            }
            _ => {
                give_up(child, Counter::PeerReset);
            }
        }
    }
}
