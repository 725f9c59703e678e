// SPDX-License-Identifier: GPL-2.0
//! Constant time, checked by valgrind: secrets are marked as undefined memory, and memcheck then
//! reports each branch and each address that depends on one (the way of ctgrind).
//!
//! Runs every operation on every path of this machine, and leaks of its own that must be found.
//! Run it under `valgrind --suppressions=tools/ct/declassified.supp`. The exit status is 0 only if
//! no operation leaks and all the leaks are found.

use crabgrind::memcheck::{mark_memory, MemState};
use crabgrind::valgrind::{count_errors, running_mode};
use crypto_p256::ecdsa::{HmacSha256, NoncePair, Signature, SigningKey, DER_MAX_LEN};
use crypto_p256::{ecdh, x25519, Cpu};
use std::hint::black_box;

fn secret<T>(value: &mut T) {
    let p = std::ptr::from_mut(value).cast();
    mark_memory(p, size_of::<T>(), MemState::Undefined).expect("valgrind");
}

fn public<T>(value: &mut T) {
    let p = std::ptr::from_mut(value).cast();
    mark_memory(p, size_of::<T>(), MemState::Defined).expect("valgrind");
}

struct Hmac;

impl HmacSha256 for Hmac {
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]) {
        use hmac::Mac;
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        for part in parts {
            mac.update(part);
        }
        *out = mac.finalize().into_bytes().into();
    }
}

/// Memcheck finds the features of the processor that it makes believe; these are the real ones.
fn has(flags: &[&str]) -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    flags.iter().all(|flag| line.split(' ').any(|f| f == *flag))
}

fn paths() -> Vec<(&'static str, Cpu)> {
    let mut paths = vec![("portable", Cpu::portable())];
    if has(&["bmi2", "adx"]) {
        // SAFETY: both were found, and valgrind knows their instructions.
        paths.push(("BMI2/ADX", unsafe { Cpu::bmi2_adx() }));
    }
    paths
}

/// A peer's public keys.
fn peers(cpu: Cpu) -> ([u8; 65], [u8; 32]) {
    let mut peer = [0; 32];
    x25519::make_share(cpu, &[0x42; 32], &mut [0; 32], &mut peer);
    (
        ecdh::public_key(cpu, &[0x42; 32]).unwrap().to_sec1(cpu),
        peer,
    )
}

fn p256_key_pair(cpu: Cpu) {
    let mut random = [0x17; ecdh::RANDOM_LEN];
    secret(&mut random);
    let (mut private, mut public_key) = ([0; 32], [0; 65]);
    ecdh::make_share(cpu, &random, &mut private, &mut public_key);
    black_box((private, public_key));
}

fn p256_derive(cpu: Cpu) {
    let peer = peers(cpu).0;
    for mut private in [[0x17; 32], [0x18; 32]] {
        secret(&mut private);
        let mut shared = [0; 32];
        ecdh::derive(cpu, &private, &peer, &mut shared).unwrap();
        black_box(shared);
    }
}

fn x25519_key_pair(cpu: Cpu) {
    let mut random = [0x17; x25519::RANDOM_LEN];
    secret(&mut random);
    let (mut private, mut public_key) = ([0; 32], [0; 32]);
    x25519::make_share(cpu, &random, &mut private, &mut public_key);
    black_box((private, public_key));
}

fn x25519_derive(cpu: Cpu) {
    let peer = peers(cpu).1;
    let mut private = [0x17; 32];
    secret(&mut private);
    let mut shared = [0; 32];
    x25519::derive(cpu, &private, &peer, &mut shared).unwrap();
    black_box(shared);
}

fn signing_key() -> SigningKey {
    let mut scalar = [0x33; 32];
    secret(&mut scalar);
    SigningKey::from_bytes(&scalar).unwrap()
}

fn encode(signature: &Signature) {
    let mut raw = signature.to_raw();
    public(&mut raw);
    black_box(Signature::from_raw(&raw).to_der(&mut [0; DER_MAX_LEN]));
}

fn public_key(cpu: Cpu) {
    black_box(signing_key().public_key(cpu).to_sec1(cpu));
}

fn sign(cpu: Cpu) {
    let key = signing_key();
    for digest in [[0x44; 32], [0x45; 32]] {
        let mut entropy = [0x55; 32];
        secret(&mut entropy);
        encode(&key.sign(cpu, &digest, Some(&entropy), &Hmac).unwrap());
    }
}

fn sign_prepared(cpu: Cpu) {
    let key = signing_key();
    let mut entropy = [0x55; 32];
    secret(&mut entropy);
    let nonce = NoncePair::new(cpu, &key, &entropy, 1, &Hmac).unwrap();
    encode(&key.sign_prepared(cpu, &[0x44; 32], nonce).unwrap());
}

/// A branch on a secret: must be found.
fn leaking_branch(_: Cpu) {
    let mut bit = 1u8;
    secret(&mut bit);
    if black_box(bit) == 1 {
        black_box(0);
    }
}

/// An address that depends on a secret: must be found.
fn leaking_address(_: Cpu) {
    let mut index = 3u8;
    secret(&mut index);
    black_box(black_box(&[7u64; 256])[usize::from(black_box(index))]);
}

/// Errors that memcheck reports for an operation.
fn errors(operation: fn(Cpu), cpu: Cpu) -> usize {
    let before = count_errors();
    operation(cpu);
    count_errors() - before
}

/// A name and what it stands for.
type Case = (&'static str, fn(Cpu));

fn main() {
    if !running_mode().is_valgrind() {
        eprintln!("run this under valgrind");
        std::process::exit(2);
    }
    let operations: [Case; 7] = [
        (
            "P-256 key pair (comb, lookup, inversion mod p)",
            p256_key_pair,
        ),
        (
            "P-256 shared secret (window, lookup, inversion mod p)",
            p256_derive,
        ),
        ("P-256 public key of a signing key", public_key),
        (
            "ECDSA signature (nonce, comb, inversions mod p and n)",
            sign,
        ),
        ("ECDSA signature with a prepared nonce", sign_prepared),
        (
            "X25519 key pair (Edwards comb, lookup, inversion)",
            x25519_key_pair,
        ),
        ("X25519 shared secret (ladder, inversion)", x25519_derive),
    ];
    let leaks: [Case; 2] = [
        ("planted branch on a secret", leaking_branch),
        ("planted address from a secret", leaking_address),
    ];
    let (mut passed, mut failed) = (0, 0);
    let mut tell = |name: &str, path: &str, errors: usize, good: bool| {
        println!(
            "{} {path:9} {name}: {errors} errors",
            if good { "ok  " } else { "FAIL" }
        );
        *(if good { &mut passed } else { &mut failed }) += 1;
    };
    for (path, cpu) in paths() {
        for (name, operation) in operations {
            let errors = errors(operation, cpu);
            tell(name, path, errors, errors == 0);
        }
    }
    for (name, leak) in leaks {
        let errors = errors(leak, Cpu::portable());
        tell(name, "must leak", errors, errors > 0);
    }
    println!("{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}
