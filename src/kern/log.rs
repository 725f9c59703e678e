// SPDX-License-Identifier: GPL-2.0

//! Lines in the kernel log: that a limit was reached. A line of each kind comes at most once in
//! [`INTERVAL_MS`], whoever causes it, and says nothing that a client has sent.

use super::bindings::{self, sock};
use super::sysctl::machine;
use super::work;
use crate::stat::Counter;
use crate::sysctl::Sysctl;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};

const INTERVAL_MS: u32 = 10_000;

/// A kind of line.
struct Kind {
    text: &'static CStr,
    /// Milliseconds of the last line; 0 if there was none.
    last: Atomic<u32>,
    /// Times since then.
    more: Atomic<u32>,
}

impl Kind {
    const fn new(text: &'static CStr) -> Self {
        Self {
            text,
            last: Atomic::new(0),
            more: Atomic::new(0),
        }
    }

    /// How often it happened since the last line; `None` if that is not long ago.
    fn due(&self) -> Option<u32> {
        let now = work::now_ms() | 1;
        let last = self.last.load(Relaxed);
        let early = last != 0 && now.wrapping_sub(last) < INTERVAL_MS;
        if early || self.last.cmpxchg(last, now, Full).is_err() {
            self.more.add(1, Relaxed);
            return None;
        }
        Some(self.more.xchg(0, Relaxed))
    }
}

static PENDING: Kind = Kind::new(c"max_pending handshakes going on, new connections dropped");
static SOURCE_PENDING: Kind =
    Kind::new(c"a source with max_pending_source handshakes, new connections of it dropped");
static SOURCE_RATE: Kind = Kind::new(c"a source above source_rate, new connections of it dropped");
static FALLBACKS: Kind =
    Kind::new(c"a source above source_fallback_rate, connections of it closed");
static MEMORY: Kind =
    Kind::new(c"handshakes hold max_memory_kb or max_memory_ns_kb, connections dropped");
static NO_MEMORY: Kind = Kind::new(c"no memory for new connections");

/// Tells the administrator of what was counted, if that is of interest. Any context.
///
/// # Safety
///
/// `sk` is valid.
pub(super) unsafe fn limit(sk: *const sock, what: Counter) {
    let kind = match what {
        Counter::PendingFull => &PENDING,
        Counter::SourcePendingFull => &SOURCE_PENDING,
        Counter::SourceRateExceeded => &SOURCE_RATE,
        Counter::FallbackLimited => &FALLBACKS,
        Counter::MemoryFull => &MEMORY,
        Counter::NoMemory => &NO_MEMORY,
        _ => return,
    };
    // SAFETY: By the requirement; the text is a C string.
    unsafe {
        let initial = bindings::tls_hs_sock_net(sk) == &raw mut bindings::init_net;
        if machine(Sysctl::Log) < if initial { 1 } else { 2 } {
            return;
        }
        if let Some(more) = kind.due() {
            bindings::tls_hs_warn(sk, kind.text.as_char_ptr().cast(), more);
        }
    }
}
