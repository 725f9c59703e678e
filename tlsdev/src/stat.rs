// SPDX-License-Identifier: GPL-2.0

//! Counters of a device's offload, for `ethtool -S`.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// A counter.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Count { $($(#[$doc])* $variant),* }

        /// Names of the counters, in the order of [`Counters::get`]; those of the kernel's
        /// Documentation/networking/tls-offload.rst where it has one.
        pub const NAMES: &[&CStr] = &[$($name),*];
    };
}

counters! {
    /// Sessions whose transmit side the stack gave to the device.
    TxSession c"tx_tls_session"
    /// Contexts that the driver made for them: at once, after the delay, again after a demotion.
    TxCtx c"tx_tls_ctx"
    /// Contexts that the driver refused to make.
    TxRefused c"tx_tls_ctx_refused"
    /// Contexts deleted, at the end of the session or before.
    TxDel c"tx_tls_del"
    /// Packets that the device encrypted.
    TxPackets c"tx_tls_encrypted_packets"
    /// Their payload.
    TxBytes c"tx_tls_encrypted_bytes"
    /// Those of them that were not in order: the device rebuilt its state from the record.
    TxOutOfOrder c"tx_tls_ooo"
    /// Bytes that it read for that.
    TxPrefixBytes c"tx_tls_ooo_prefix_bytes"
    /// Packets that software encrypted.
    TxSoftware c"tx_tls_software_packets"
    /// Packets that the stack had encrypted already, for another device on their way here.
    TxPassed c"tx_tls_passed_packets"
    /// Packets from before the session.
    TxPlain c"tx_tls_skip_no_sync_data"
    /// Packets dropped because their record is acknowledged.
    TxDropAcknowledged c"tx_tls_drop_no_sync_data"
    /// Packets dropped because the session begins within them.
    TxDropStraddling c"tx_tls_drop_bypass_req"
    /// Packets dropped because nobody could encrypt them.
    TxDropPlaintext c"tx_tls_drop_plaintext"
    /// The stack was asked where the next record begins.
    TxRequest c"tx_tls_resync_req"
    /// It has answered.
    TxResync c"tx_tls_resync_res"
    /// Contexts taken off the device because of too many packets out of order.
    TxDemoted c"tx_tls_demoted"
    /// The device failed on a packet.
    TxFailed c"tx_tls_failed"
    /// Sessions whose receive side the stack gave to the device.
    RxSession c"rx_tls_session"
    /// Contexts that the driver made for them.
    RxCtx c"rx_tls_ctx"
    /// Contexts that the driver refused to make.
    RxRefused c"rx_tls_ctx_refused"
    /// Contexts deleted.
    RxDel c"rx_tls_del"
    /// The stack has confirmed a record's place, and the device had use for it.
    RxResyncOk c"rx_tls_resync_res_ok"
    /// The device had no use for it.
    RxResyncSkip c"rx_tls_resync_res_skip"
}

/// The counters of one device.
pub struct Counters([Atomic<u64>; NAMES.len()]);

impl Counters {
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; NAMES.len()])
    }

    pub(crate) fn add(&self, count: Count, number: u64) {
        if let Some(value) = self.0.get(count as usize) {
            value.add(number, Relaxed);
        }
    }

    pub(crate) fn count(&self, count: Count) {
        self.add(count, 1);
    }

    /// The counter with this index in [`NAMES`].
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |value| value.load(Relaxed))
    }
}
