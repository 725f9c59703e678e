// SPDX-License-Identifier: GPL-2.0
//! What has happened on a connection's receive side.

/// Counters of one connection. The first three say how often each verdict was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Packets that the device decrypts.
    pub decrypted: u64,
    /// Packets that the device looks at, to go on behind them.
    pub absorbed: u64,
    /// Packets that the device leaves alone.
    pub passed: u64,
    /// Times that the device went on at the next record because bytes of one were missing.
    pub gaps: u64,
    /// Times that the device lost its place.
    pub lost: u64,
    /// Possible headers that a search found.
    pub candidates: u64,
    /// Those that turned out to be none, or were given up.
    pub refused: u64,
    /// Requests to software.
    pub requests: u64,
    /// What software said and gave the device its place back.
    pub confirmed: u64,
    /// What software said and was of no use.
    pub stale: u64,
    /// Wrong tags.
    pub auth_failed: u64,
}

impl RxCounters {
    /// All zero.
    pub(super) const fn new() -> Self {
        RxCounters {
            decrypted: 0,
            absorbed: 0,
            passed: 0,
            gaps: 0,
            lost: 0,
            candidates: 0,
            refused: 0,
            requests: 0,
            confirmed: 0,
            stale: 0,
            auth_failed: 0,
        }
    }
}
