// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, which may change at any time.

use kernel::ffi::c_uint;
use tlsdev::bindings;

extern "C" {
    fn tls_hs_nic_param(index: c_uint) -> u32;
    fn tls_hs_nic_count_down(index: c_uint) -> bool;
}

/// In the order of params.h.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Param {
    Drop,
    Duplicate,
    Reorder,
    Corrupt,
    Refuse,
    Forget,
    Delay,
    Credit,
    Backoff,
    Records,
    RxDelay,
    DropNth,
}

/// The value at this moment.
pub(crate) fn get(param: Param) -> u32 {
    // SAFETY: No requirement.
    unsafe { tls_hs_nic_param(param as c_uint) }
}

/// True for so many of 10000 calls as the parameter says.
pub(crate) fn happens(param: Param) -> bool {
    let of_10000 = get(param);
    // SAFETY: No requirement.
    of_10000 > 0 && unsafe { bindings::tlsdev_random() } % 10_000 < of_10000
}

/// Counts the parameter down; true when that makes it 0.
pub(crate) fn count_down(param: Param) -> bool {
    // SAFETY: No requirement.
    unsafe { tls_hs_nic_count_down(param as c_uint) }
}

/// A random number below `limit`, which may be 0.
pub(crate) fn random_below(limit: usize) -> usize {
    // SAFETY: No requirement.
    (unsafe { bindings::tlsdev_random() } as usize)
        .checked_rem(limit)
        .unwrap_or(0)
}
