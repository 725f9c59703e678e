// SPDX-License-Identifier: GPL-2.0
//! X25519 key pairs and shared secrets, between the paths and against AWS-LC.

#![no_main]

use aws_lc_rs::agreement::{agree, PrivateKey, UnparsedPublicKey, X25519};
use crypto_p256::{x25519, Cpu};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 32], [u8; 32])| {
    let (private, peer) = input;
    // SAFETY: a fuzzer that runs elsewhere stops at the first instruction.
    let paths = [Cpu::portable(), unsafe { Cpu::bmi2_adx() }];
    let results = paths.map(|cpu| {
        let (mut kept, mut public, mut shared) = ([0; 32], [0; 32], [0; 32]);
        x25519::make_share(cpu, &private, &mut kept, &mut public);
        (
            public,
            x25519::derive(cpu, &kept, &peer, &mut shared).map(|()| shared),
        )
    });
    assert_eq!(results[0], results[1]);
    let theirs = PrivateKey::from_private_key(&X25519, &private).unwrap();
    assert_eq!(theirs.compute_public_key().unwrap().as_ref(), results[0].0);
    let secret = agree(
        &theirs,
        UnparsedPublicKey::new(&X25519, &peer),
        (),
        |secret| Ok::<_, ()>(<[u8; 32]>::try_from(secret).unwrap()),
    );
    assert_eq!(secret.ok(), results[0].1.ok());
});
