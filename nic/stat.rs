// SPDX-License-Identifier: GPL-2.0

//! What `ethtool -S` shows. The names of Documentation/networking/tls-offload.rst where it has one.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

macro_rules! statistics {
    ($($variant:ident $name:literal)*) => {
        /// A statistic of a device.
        #[derive(Clone, Copy)]
        pub(crate) enum Stat { $($variant),* }

        /// Their names, in the order of the enum.
        pub(crate) const NAMES: &[&CStr] = &[$($name),*];
    };
}

statistics! {
    WireDropped c"wire_dropped"
    WireDuplicated c"wire_duplicated"
    WireReordered c"wire_reordered"
    WireCorrupted c"wire_corrupted"
    WireNoPeer c"wire_no_peer"
    NoMemory c"no_memory"
    RxDecrypted c"rx_tls_decrypted_packets"
    RxDecryptedBytes c"rx_tls_decrypted_bytes"
    RxAbsorbed c"rx_tls_absorbed_packets"
    RxPassed c"rx_tls_passed_packets"
    RxAuthFailed c"rx_tls_err"
    RxRequest c"rx_tls_resync_req_pkt"
    TxNanoseconds c"tx_hardware_ns"
    RxNanoseconds c"rx_hardware_ns"
}

/// All of a device's.
pub(crate) struct Statistics([Atomic<u64>; NAMES.len()]);

impl Statistics {
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; NAMES.len()])
    }

    /// Any context.
    pub(crate) fn add(&self, stat: Stat, number: u64) {
        if let Some(value) = self.0.get(stat as usize) {
            value.add(number, Relaxed);
        }
    }

    pub(crate) fn count(&self, stat: Stat) {
        self.add(stat, 1);
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |value| value.load(Relaxed))
    }
}
