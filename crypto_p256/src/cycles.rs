// SPDX-License-Identifier: GPL-2.0
//! Cycles of the primitives: `cargo test --release -p crypto_p256 cycles -- --ignored --nocapture`.

use crate::arith::{Arith, Portable};
use crate::ecdsa::{HmacSha256, NoncePair, SigningKey};
use crate::field::Fe;
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::{comb, ecdh, inverse, window, x25519, Cpu};
use std::hint::black_box;
use std::println;
use std::time::Instant;
use std::vec::Vec;

/// No HMAC at all, to leave its time out.
struct NoHmac;

impl HmacSha256 for NoHmac {
    fn mac(&self, _: &[u8; 32], _: &[&[u8]], out: &mut [u8; 32]) {
        *out = [0x77; 32];
    }
}

/// Best of many samples of `n` calls, in nanoseconds a call: the noise of a machine only adds.
fn best(n: u32, mut f: impl FnMut()) -> f64 {
    (0..60)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..n {
                f();
            }
            start.elapsed().as_nanos() as f64 / f64::from(n)
        })
        .fold(f64::MAX, f64::min)
}

fn table<A: Arith>(name: &str, cpu: Cpu, arith: A) {
    let ns = {
        let mut x = 1u64;
        best(100_000, || {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            // SAFETY: computes on a register.
            unsafe {
                core::arch::asm!(
                    "add {x}, {x}", "add {x}, {x}", "add {x}, {x}", "add {x}, {x}", "add {x}, {x}",
                    "add {x}, {x}", "add {x}, {x}", "add {x}, {x}", "add {x}, {x}", "add {x}, {x}",
                    x = inout(reg) x)
            }
        }) / 10.0
    };
    let show = |what: &str, n: u32, f: &mut dyn FnMut()| {
        println!("{name:9} {what:28} {:9.1}", best(n, f) / ns)
    };
    let mut a = Fe([3, 5, 7, 9]);
    let b = Fe([11, 13, 17, 19]);
    show("multiplication, latency", 20000, &mut || {
        a = arith.mul(&a, &b)
    });
    show("squaring, latency", 20000, &mut || a = arith.sqr(&a));
    let mut v = [a, b, a, b];
    show("multiplication, throughput/4", 5000, &mut || {
        v.iter_mut().for_each(|x| *x = arith.mul(x, &b))
    });
    show("squaring, throughput/4", 5000, &mut || {
        v.iter_mut().for_each(|x| *x = arith.sqr(x))
    });
    show("subtraction", 20000, &mut || a = arith.sub(&a, &b));
    show("halving", 20000, &mut || a = arith.half(&a));
    let mut k = Scalar([1, 2, 3, 4]);
    let l = Scalar([5, 6, 7, 8]);
    show("multiplication mod n", 20000, &mut || {
        k = arith.mul_n(&k, &l)
    });
    let mut p = comb::mul(arith, &l);
    let q: Affine = comb::mul(arith, &k).to_affine(arith);
    show("doubling", 2000, &mut || p.double(arith));
    show("mixed addition", 2000, &mut || p.add(arith, &q));
    show("inversion mod p", 200, &mut || {
        a = Fe(inverse::invert(arith, &a.0, &inverse::P))
    });
    show("inversion mod n", 200, &mut || {
        k = Scalar(inverse::invert(arith, &k.0, &inverse::N))
    });
    show("fixed base", 50, &mut || {
        p = comb::mul(arith, black_box(&l))
    });
    show("variable base", 20, &mut || {
        p = window::mul(arith, black_box(&l), &q)
    });
    let (mut private, mut public) = ([0; 32], [0; 65]);
    show("key pair", 20, &mut || {
        ecdh::make_share(cpu, black_box(&[7; 40]), &mut private, &mut public)
    });
    let mut shared = [0; 32];
    show("shared secret", 20, &mut || {
        ecdh::derive(cpu, &private, black_box(&public), &mut shared).unwrap()
    });
    let key = SigningKey::from_bytes(&[0x33; 32]).unwrap();
    let pair = || NoncePair::new(cpu, &key, &[7; 32], 1, &NoHmac).unwrap();
    show("nonce pair, without HMAC", 20, &mut || {
        drop(black_box(pair()))
    });
    show("signature, without HMAC", 20, &mut || {
        black_box(
            key.sign(cpu, &[5; 32], Some(&[7; 32]), &NoHmac)
                .unwrap()
                .to_der(&mut [0; 72]),
        );
    });
    let mut pairs: Vec<NoncePair> = (0..60 * 20).map(|_| pair()).collect();
    show("signature, prepared nonce", 20, &mut || {
        black_box(
            key.sign_prepared(cpu, &[5; 32], pairs.pop().unwrap())
                .unwrap(),
        );
    });
    let mut point = [9; 32];
    show("X25519 key pair", 20, &mut || {
        x25519::make_share(cpu, black_box(&[7; 32]), &mut private, &mut point)
    });
    show("X25519 shared secret", 20, &mut || {
        x25519::derive(cpu, &private, black_box(&point), &mut shared).unwrap()
    });
    black_box((a, v, k.0, p));
}

#[test]
#[ignore = "prints a table"]
fn cycles() {
    table("portable", Cpu::portable(), Portable);
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("bmi2") && std::is_x86_feature_detected!("adx") {
        #[allow(unsafe_code)]
        // SAFETY: both were found.
        unsafe {
            table("BMI2/ADX", Cpu::bmi2_adx(), crate::arith::Adx::new())
        };
    }
}
