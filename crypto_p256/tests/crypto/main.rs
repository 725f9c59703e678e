// SPDX-License-Identifier: GPL-2.0
//! Tests of the public interface, each on every path of this machine.

mod differential;
mod edges;
mod hmac;
mod signing;
mod wycheproof;
mod x25519;

use crypto_p256::Cpu;

/// The paths that this machine can run.
fn paths() -> Vec<Cpu> {
    let mut paths = vec![Cpu::portable()];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx") {
        // SAFETY: both were found.
        paths.push(unsafe { Cpu::bmi2_adx() });
    }
    paths
}

#[test]
fn self_test() {
    for cpu in paths() {
        assert_eq!(crypto_p256::self_test(cpu, &hmac::Hmac), Ok(()));
    }
}

/// A self test with a broken HMAC must fail.
#[test]
fn self_test_notices() {
    assert_eq!(
        crypto_p256::self_test(Cpu::portable(), &hmac::Constant(0x17)),
        Err(crypto_p256::Error::Fault)
    );
    assert_eq!(
        crypto_p256::self_test(Cpu::portable(), &hmac::Constant(0xff)),
        Err(crypto_p256::Error::Fault)
    );
}
