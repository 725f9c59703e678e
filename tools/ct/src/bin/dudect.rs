// SPDX-License-Identifier: GPL-2.0
//! Constant time by statistics (dudect): the time of an operation with one fixed secret against
//! that with random secrets. A t value beyond 5 in magnitude is a hint of a leak. A second opinion
//! beside `ct`, for what memcheck does not model; a report, not a gate.

use crypto_p256::{ecdh, x25519, Cpu};
use dudect_bencher::rand::RngExt;
use dudect_bencher::{ctbench_main, BenchRng, Class, CtRunner};

/// Samples of an operation.
const SAMPLES: usize = 20_000;

fn cpu() -> Cpu {
    if is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx") {
        // SAFETY: both were found.
        return unsafe { Cpu::bmi2_adx() };
    }
    Cpu::portable()
}

/// Times an operation on secrets of N octets.
fn compare<const N: usize>(
    runner: &mut CtRunner,
    rng: &mut BenchRng,
    operation: impl Fn(&[u8; N]),
) {
    let mut fixed = [0; N];
    fixed[N - 1] = 1;
    let inputs: Vec<_> = (0..SAMPLES)
        .map(|_| {
            let mut random = [0; N];
            rng.fill(&mut random[..]);
            // Below the order of P-256, whose highest bits are ones.
            random[0] &= 0x7f;
            if rng.random() {
                (Class::Left, fixed)
            } else {
                (Class::Right, random)
            }
        })
        .collect();
    for (class, secret) in inputs {
        runner.run_one(class, || operation(&secret));
    }
}

fn p256_key_pair(runner: &mut CtRunner, rng: &mut BenchRng) {
    let cpu = cpu();
    compare(runner, rng, |random| {
        ecdh::make_share(cpu, random, &mut [0; 32], &mut [0; 65])
    });
}

fn p256_derive(runner: &mut CtRunner, rng: &mut BenchRng) {
    let cpu = cpu();
    let peer = ecdh::public_key(cpu, &[0x42; 32]).unwrap().to_sec1(cpu);
    compare(runner, rng, |private| {
        ecdh::derive(cpu, private, &peer, &mut [0; 32]).unwrap()
    });
}

fn x25519_key_pair(runner: &mut CtRunner, rng: &mut BenchRng) {
    let cpu = cpu();
    compare(runner, rng, |random| {
        x25519::make_share(cpu, random, &mut [0; 32], &mut [0; 32])
    });
}

fn x25519_derive(runner: &mut CtRunner, rng: &mut BenchRng) {
    let cpu = cpu();
    let mut peer = [0; 32];
    x25519::make_share(cpu, &[0x42; 32], &mut [0; 32], &mut peer);
    compare(runner, rng, |private| {
        x25519::derive(cpu, private, &peer, &mut [0; 32]).unwrap()
    });
}

ctbench_main!(p256_key_pair, p256_derive, x25519_key_pair, x25519_derive);
