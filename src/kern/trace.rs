// SPDX-License-Identifier: GPL-2.0

//! Tracepoints: see trace.h. While nobody listens each costs a call.

use super::bindings::{self, sock, tls_hs_trace};
use crate::driver::Handshake;
use crate::latency;
use crate::stat::{Count, Counter};

/// Microseconds of a clock that never goes back. Any context.
pub(super) fn now_us() -> u64 {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_clock_us() }
}

/// What happens to a connection.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// Its handshake begins.
    Start,
    /// Its ClientHello was taken.
    Hello,
    /// The handshake is complete.
    Done,
    /// It is given to user space.
    Fallback,
    /// It ends in neither way.
    Fail,
}

/// Tells who wants to know that `event` happened to a connection that was admitted at `began`.
///
/// # Safety
///
/// `sk` is the connection's socket, and locked, or nobody else's yet.
pub(super) unsafe fn event(event: Event, sk: *const sock, began: u64, handshake: &Handshake) {
    let us = now_us().saturating_sub(began).min(u32::MAX.into()) as u32;
    let reason = match (event, handshake.why()) {
        // Somebody has taken it off the list, and will say why.
        (Event::Fail, "") => Count::from(Counter::Closed).label(),
        (_, why) => why,
    };
    let mut trace = tls_hs_trace {
        sk,
        us,
        reason: reason.as_ptr().cast(),
        reason_len: reason.len() as u16,
        ..Default::default()
    };
    if let Some(name) = handshake.server_name() {
        trace.name = name.as_ptr().cast();
        trace.name_len = name.len() as u16;
    }
    if let (Event::Done, Some(done)) = (event, handshake.established()) {
        trace.version = done.version.code();
        trace.suite = done.suite.code(done.version);
        trace.group = done.group.code();
        trace.resumed = done.resumed;
        super::latency::count(latency::column(done.version, done.resumed), us);
    }
    // SAFETY: The socket is valid by the requirement, and the strings live through the call.
    unsafe {
        match event {
            Event::Start => bindings::tls_hs_trace_start(&trace),
            Event::Hello => bindings::tls_hs_trace_hello(&trace),
            Event::Done => bindings::tls_hs_trace_done(&trace),
            Event::Fallback => bindings::tls_hs_trace_fallback(&trace),
            Event::Fail => bindings::tls_hs_trace_failure(&trace),
        }
    }
}
