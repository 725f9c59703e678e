// SPDX-License-Identifier: GPL-2.0

//! Time.

use tlsdev::bindings;

/// Nanoseconds of a clock that never goes back.
pub(crate) fn now_ns() -> u64 {
    // SAFETY: No requirement.
    unsafe { bindings::tlsdev_now_ns() }
}
