// SPDX-License-Identifier: GPL-2.0
//! Cycles of the primitives, and of the comb for choices of its size:
//! `cargo test --release -p crypto_p256 cycles -- --ignored --nocapture --test-threads 1`.

use crate::arith::{Arith, Portable};
use crate::digits::Rows;
use crate::ecdsa::{HmacSha256, NoncePair, SigningKey};
use crate::field::Fe;
use crate::lookup::{signed_index, Entry};
use crate::point::{Accumulator, Affine};
use crate::scalar::Scalar;
use crate::{comb, ecdh, inverse, limbs, window, x25519, Cpu};
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

/// Nanoseconds of a cycle of the core: those of an addition in a chain of them.
fn cycle() -> f64 {
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
}

fn table<A: Arith>(name: &str, cpu: Cpu, arith: A) {
    let ns = cycle();
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

/// A comb with tables made here: the multiples of an odd scalar by [`comb::mul`]'s way, with the
/// lookup given.
fn comb_size<A: Arith, const W: usize, const E: usize>(
    arith: A,
    tables: usize,
    columns: usize,
    ns: f64,
) {
    let depth = tables * columns;
    let mut base = Accumulator::new(
        arith,
        &comb::mul(arith, &Scalar([1, 0, 0, 0])).to_affine(arith),
    );
    let mut rows = Vec::new();
    for _ in 0..W {
        rows.push(base.clone());
        (0..depth).for_each(|_| base.double(arith));
    }
    let mut table: Vec<[Entry<8>; E]> = Vec::new();
    for _ in 0..tables {
        let affine: Vec<Affine> = rows.iter().map(|row| row.to_affine(arith)).collect();
        table.push(std::array::from_fn(|i| {
            let mut acc = rows[W - 1].clone();
            for (j, row) in affine[..W - 1].iter().enumerate() {
                let negative = limbs::mask(((i as u64 >> j) & 1) ^ 1);
                acc.add(
                    arith,
                    &Affine {
                        x: row.x,
                        y: row.y.negate_if(arith, negative),
                    },
                );
            }
            Entry::new(&acc.to_affine(arith))
        }));
        rows.iter_mut()
            .for_each(|row| (0..columns).for_each(|_| row.double(arith)));
    }
    let k = Scalar([0x1234_5678_9abc_def1, 2, 3, 0x7fff_ffff_ffff_ffff]);
    let mul = |lookup: &dyn Fn(&[Entry<8>; E], u64) -> Affine| {
        let signs = Rows::<W>::new(&black_box(&k).0, depth);
        let mut acc: Option<Accumulator> = None;
        for column in (0..columns).rev() {
            acc.iter_mut()
                .filter(|_| column + 1 != columns)
                .for_each(|acc| acc.double(arith));
            for (t, table) in table.iter().enumerate() {
                let point = lookup(table, signs.digit(column + t * columns));
                match &mut acc {
                    None => acc = Some(Accumulator::new(arith, &point)),
                    Some(acc) => acc.add(arith, &point),
                }
            }
        }
        acc.unwrap()
    };
    let scan = |table: &[Entry<8>; E], u| Entry::select(arith, table, u);
    let direct = |table: &[Entry<8>; E], u: u64| {
        let (index, negative) = signed_index(E, u);
        let p = table[index as usize].point();
        Affine {
            x: p.x,
            y: p.y.negate_if(arith, negative),
        }
    };
    let known = comb::mul(arith, &k).to_affine(arith);
    for lookup in [&scan as &dyn Fn(&[Entry<8>; E], u64) -> Affine, &direct] {
        assert_eq!(mul(lookup).to_affine(arith).x.0, known.x.0);
    }
    let cycles = |lookup: &dyn Fn(&[Entry<8>; E], u64) -> Affine| {
        let run = || {
            black_box(mul(lookup));
        };
        best(10, run) / ns
    };
    println!(
        "{W:5} {tables:6} {:9.1} {:9} {:9} {:15} {:9.0} {:9.0}",
        (tables * E * 64) as f64 / 1024.0,
        depth - 1,
        columns - 1,
        (depth - 1) * 11 + (columns - 1) * 8,
        cycles(&scan),
        cycles(&direct),
    );
}

fn comb_sizes<A: Arith>(arith: A) {
    let ns = cycle();
    println!("width tables       KiB additions doublings multiplications full scan    direct");
    comb_size::<A, 5, 16>(arith, 52, 1, ns);
    comb_size::<A, 5, 16>(arith, 26, 2, ns);
    comb_size::<A, 5, 16>(arith, 13, 4, ns);
    comb_size::<A, 6, 32>(arith, 43, 1, ns);
    comb_size::<A, 6, 32>(arith, 22, 2, ns);
    comb_size::<A, 6, 32>(arith, 11, 4, ns);
    comb_size::<A, 7, 64>(arith, 37, 1, ns);
    comb_size::<A, 7, 64>(arith, 19, 2, ns);
    comb_size::<A, 8, 128>(arith, 32, 1, ns);
    comb_size::<A, 8, 128>(arith, 16, 2, ns);
    comb_size::<A, 9, 256>(arith, 29, 1, ns);
    comb_size::<A, 10, 512>(arith, 26, 1, ns);
}

#[test]
#[ignore = "prints a table"]
fn cycles_of_comb_sizes() {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("bmi2") && std::is_x86_feature_detected!("adx") {
        #[allow(unsafe_code)]
        // SAFETY: both were found.
        return comb_sizes(unsafe { crate::arith::Adx::new() });
    }
    comb_sizes(Portable);
}
