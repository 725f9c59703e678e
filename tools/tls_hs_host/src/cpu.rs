// SPDX-License-Identifier: GPL-2.0
//! What this processor can do.

use crypto_p256::Cpu;

/// The fastest path of `crypto_p256` that runs here.
#[cfg(target_arch = "x86_64")]
pub fn detect() -> Cpu {
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("adx") {
        // SAFETY: Linux reports only what all processors of the machine have.
        #[allow(unsafe_code)]
        return unsafe { Cpu::bmi2_adx() };
    }
    Cpu::portable()
}

/// The fastest path of `crypto_p256` that runs here.
#[cfg(not(target_arch = "x86_64"))]
pub fn detect() -> Cpu {
    Cpu::portable()
}
