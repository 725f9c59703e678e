// SPDX-License-Identifier: GPL-2.0
//! What has happened on a connection's transmit side.

/// Counters of one connection. Those of packets say how often each verdict was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Packets in order.
    pub fast: u64,
    /// Their bytes.
    pub fast_bytes: u64,
    /// Packets out of order whose record was known.
    pub rebuilt: u64,
    /// Bytes of the records in front of them.
    pub prefix_bytes: u64,
    /// Packets that software encrypted.
    pub software: u64,
    /// Packets from before the offload began.
    pub plain: u64,
    /// Packets dropped because their record was acknowledged.
    pub acknowledged: u64,
    /// Packets dropped because the offload began inside them.
    pub straddling: u64,
    /// Requests to the stack to say where a record begins.
    pub requests: u64,
    /// Answers to them.
    pub resyncs: u64,
    /// Times that the device went on after an answer.
    pub recovered: u64,
    /// Times that the credit for prefixes was used up.
    pub demoted: u64,
    /// Times that the device did not take the connection.
    pub refused: u64,
    /// Packets that the device or its driver failed on.
    pub failed: u64,
}
