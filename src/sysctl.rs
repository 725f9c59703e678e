// SPDX-License-Identifier: GPL-2.0

//! What an administrator sets: the files of /proc/sys/net/tls_hs.
//!
//! An entry below is all it takes: the file, its bounds and its row in Documentation/admin.md (out
//! of tools/gen-sysctls.py) come from it. [`crate::kern::sysctl::Sysctls`] reads it.

/// Whose setting it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Each network namespace has its own, and who administers it may change it: nothing that
    /// protects the rest of the machine.
    Namespace,
    /// One for the machine, in the initial network namespace only.
    Machine,
}

/// One entry.
pub(crate) struct Entry {
    pub(crate) name: &'static core::ffi::CStr,
    pub(crate) default: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) scope: Scope,
}

/// Declares [`Sysctl`] and [`ENTRIES`].
macro_rules! sysctls {
    ($($(#[doc = $doc:literal])*
       $variant:ident $name:literal $default:literal, $min:literal to $max:literal, $scope:ident;)*) => {
        /// A setting.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(crate) enum Sysctl {
            $($(#[doc = $doc])* $variant,)*
        }

        /// The settings, in the order of [`Sysctl`].
        pub(crate) static ENTRIES: [Entry; [$($name),*].len()] = [$(Entry {
            name: $name,
            default: $default,
            min: $min,
            max: $max,
            scope: Scope::$scope,
        }),*];

        const _: () = { $(assert!($min <= $default && $default <= $max);)* };
    };
}

sysctls! {
    /// Milliseconds from the end of the TCP handshake to that of the TLS handshake; what takes
    /// longer is closed.
    HandshakeTimeoutMs c"handshake_timeout_ms" 10_000, 1 to 3_600_000, Namespace;
    /// Milliseconds that a handshake may stand still: nothing of what the client sent was used,
    /// nothing more of the answer taken by TCP. 0: no such limit.
    IdleTimeoutMs c"idle_timeout_ms" 5_000, 0 to 3_600_000, Namespace;
    /// Handshakes that one listening socket may have going on; above that TCP's ACK is dropped,
    /// and the client sends it again.
    MaxPending c"max_pending" 65_536, 0 to 16_777_216, Namespace;
    /// Records that a key of TLS 1.3 protects before a connection sends a KeyUpdate. RFC 8446
    /// section 5.5 ends at 2^24.5.
    RekeyRecords c"rekey_records" 8_388_608, 1 to 16_777_216, Namespace;
    /// Content of the records that accepted connections send, unless the program sets
    /// TLS_HS_RECORD_SIZE; 0 for as much as the windows of TCP have room for, 1 to 63 as 64.
    RecordSize c"record_size" 0, 0 to 16_384, Namespace;
    /// Where public-key operations are done: 0 in SoftIRQ, 1 in kernel threads, 2 in SoftIRQ for
    /// `softirq_budget_us` and the rest in threads.
    Mode c"mode" 2, 0 to 2, Machine;
    /// Microseconds of public-key operations in one run of a bottom half. An operation that has
    /// begun is completed, and each run does one at least.
    SoftirqBudgetUs c"softirq_budget_us" 200, 0 to 100_000, Machine;
    /// Full handshakes that may wait on one CPU for their first public-key operation; more are
    /// refused by a reset. 0 refuses all of them.
    MaxBacklog c"max_backlog" 4_096, 0 to 16_777_216, Machine;
    /// Milliseconds that the first of them may have waited before others are refused.
    MaxBacklogMs c"max_backlog_ms" 2_000, 1 to 3_600_000, Machine;
    /// Handshakes that one source address may have going on with the listening sockets of the
    /// namespace. 0: no such limit.
    MaxPendingSource c"max_pending_source" 16_384, 0 to 16_777_216, Namespace;
    /// Handshakes a second that one source address may begin, in the long run. 0: no such limit.
    SourceRate c"source_rate" 0, 0 to 1_000_000, Namespace;
    /// Handshakes that one source address may begin at once, if it has begun none for a while.
    SourceBurst c"source_burst" 100, 1 to 1_000_000, Namespace;
    /// Connections a second of one source address that are given to user space as fallbacks; above
    /// that they are closed. 0: no such limit.
    SourceFallbackRate c"source_fallback_rate" 0, 0 to 1_000_000, Namespace;
    /// The same at once.
    SourceFallbackBurst c"source_fallback_burst" 100, 1 to 1_000_000, Namespace;
    /// Leading bits of an IPv4 address that make a source.
    SourcePrefixIpv4 c"source_prefix_ipv4" 32, 0 to 32, Namespace;
    /// Leading bits of an IPv6 address that make a source.
    SourcePrefixIpv6 c"source_prefix_ipv6" 64, 0 to 128, Namespace;
    /// KiB that handshakes may hold, of all network namespaces together. 0: a sixteenth of the
    /// memory.
    MaxMemoryKb c"max_memory_kb" 0, 0 to 1_073_741_824, Machine;
    /// KiB that the handshakes of any one network namespace may hold. 0: half of what all may.
    MaxMemoryNsKb c"max_memory_ns_kb" 0, 0 to 1_073_741_824, Machine;
    /// Lines in the kernel log when a limit is reached, of each kind one in ten seconds at most:
    /// 0 none, 1 those of the initial network namespace, 2 those of all.
    Log c"log" 1, 0 to 2, Machine;
}
