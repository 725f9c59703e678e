// SPDX-License-Identifier: GPL-2.0
//! Signatures: equal on both paths, accepted by AWS-LC; and octets that are no signature.

#![no_main]

use aws_lc_rs::signature::{UnparsedPublicKey, ECDSA_P256_SHA256_ASN1};
use crypto_p256::ecdsa::{verify_vartime, HmacSha256, Signature, SigningKey, DER_MAX_LEN};
use crypto_p256::Cpu;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

struct Hmac;

impl HmacSha256 for Hmac {
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]) {
        use hmac::Mac;
        let mut mac = hmac::Hmac::<Sha256>::new_from_slice(key).unwrap();
        for part in parts {
            mac.update(part);
        }
        *out = mac.finalize().into_bytes().into();
    }
}

fuzz_target!(|input: ([u8; 32], Option<[u8; 32]>, Vec<u8>, Vec<u8>)| {
    let (scalar, entropy, message, octets) = input;
    // SAFETY: a fuzzer that runs elsewhere stops at the first instruction.
    let paths = [Cpu::portable(), unsafe { Cpu::bmi2_adx() }];
    let Ok(key) = SigningKey::from_bytes(&scalar) else {
        return;
    };
    let digest: [u8; 32] = Sha256::digest(&message).into();
    let [a, b] = paths.map(|cpu| key.sign(cpu, &digest, entropy.as_ref(), &Hmac).unwrap());
    assert_eq!(a, b);
    let mut der = [0; DER_MAX_LEN];
    let len = a.to_der(&mut der);
    let public = key.public_key(paths[1]);
    let theirs = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.to_sec1(paths[1]));
    theirs.verify(&message, &der[..len]).unwrap();
    // Any octets, and the signature with one bit turned: the same verdict everywhere.
    let mut turned = der[..len].to_vec();
    if let Some(&position) = octets.first() {
        turned[usize::from(position) % len] ^= 1 << (position & 7);
    }
    for octets in [octets, turned] {
        let verdict = theirs.verify(&message, &octets).is_ok();
        for cpu in paths {
            let parsed = Signature::from_der(&octets);
            let ours = parsed.and_then(|s| verify_vartime(cpu, &public, &digest, &s));
            assert_eq!(ours.is_ok(), verdict);
        }
    }
});
