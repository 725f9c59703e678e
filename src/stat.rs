// SPDX-License-Identifier: GPL-2.0

//! What is counted, per network namespace.

use tls_hs::Reason;

/// Declares [`Counter`] and the names in /proc/net/tls_hs_stat.
macro_rules! counters {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal;)*) => {
        /// What the glue counts; the engine's reasons come after these.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(crate) enum Counter {
            $($(#[doc = $doc])* $variant,)*
        }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

counters! {
    /// Connections whose TCP handshake was over and whose TLS handshake began.
    Admitted "admitted";
    /// Handshakes that the kernel completed.
    Completed "completed";
    /// Connections given to user space with nothing read; the reasons are counted too.
    FellBack "fell_back";
    /// Handshakes that ended in neither way; the reasons are counted too.
    Failed "failed";
    /// Connections that accept(2) returned with kTLS on them.
    Accepted "accepted";
    /// Completed handshakes that were lost because kTLS could not be set up.
    KtlsFailed "ktls_failed";
    /// Changes of the client's keys after the handshake.
    KeyUpdate "key_update";
    /// Changes of our own keys after the handshake: the client asked, or they had been used enough.
    OwnKeyUpdate "own_key_update";
    /// Established connections that the client ended with a fatal alert.
    PeerAlert "peer_alert";
    /// Handshakes that took too long.
    Timeout "timeout";
    /// Handshakes that stood still for too long.
    IdleTimeout "idle_timeout";
    /// Clients that ended the connection in mid handshake.
    PeerClosed "peer_closed";
    /// Clients that reset the connection in mid handshake, or were reset by TCP or the
    /// administrator.
    PeerReset "peer_reset";
    /// Handshakes whose messages TCP did not take.
    SendFailed "send_failed";
    /// Times that sending is tried again later for want of memory.
    SendRetried "send_retried";
    /// Handshakes that were ended because their listening socket was closed.
    ListenerClosed "listener_closed";
    /// Connections that went on at another listening socket of an SO_REUSEPORT group when their own
    /// was closed.
    Migrated "migrated";
    /// Connections not taken because too many handshakes of the listening socket were going on.
    PendingFull "pending_full";
    /// Connections not taken because too many handshakes of their source address were going on.
    SourcePendingFull "source_pending_full";
    /// Connections not taken because their source address began too many handshakes.
    SourceRateExceeded "source_rate_exceeded";
    /// Connections taken without looking at their source address, since the table was full there.
    SourceUntracked "source_untracked";
    /// Connections closed instead of given to user space, since their source address had many.
    FallbackLimited "fallback_limited";
    /// Connections not taken, or closed, because handshakes held as much memory as they may.
    MemoryFull "memory_full";
    /// Connections not taken for want of memory.
    NoMemory "no_memory";
    /// Full handshakes refused, by a reset, because too many were waiting for their turn.
    Shed "shed";
    /// Times that a handshake's public-key operations were left to a kernel thread.
    Deferred "deferred";
    /// Public-key operations done in one batch with those of other handshakes.
    Batched "batched";
    /// Connections closed by the module, for whatever reason.
    Closed "closed";
}

/// One counter: the glue's own, or a reason of the engine.
#[derive(Clone, Copy)]
pub(crate) struct Count(usize);

impl Count {
    /// How many there are.
    pub(crate) const TOTAL: usize = NAMES.len() + Reason::COUNT;

    /// Less than [`Count::TOTAL`].
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// Its name.
    pub(crate) fn label(self) -> &'static str {
        Self::name(self.0)
    }

    /// Name of the counter with this index.
    pub(crate) fn name(index: usize) -> &'static str {
        match NAMES.get(index) {
            Some(name) => name,
            None => Reason::ALL
                .get(index.wrapping_sub(NAMES.len()))
                .map_or("", |reason| reason.name()),
        }
    }
}

impl From<Counter> for Count {
    fn from(counter: Counter) -> Self {
        Self(counter as usize)
    }
}

impl From<Reason> for Count {
    fn from(reason: Reason) -> Self {
        Self(NAMES.len().wrapping_add(reason as usize))
    }
}
