// SPDX-License-Identifier: GPL-2.0
//! P-256 key pairs and shared secrets, between the paths and against AWS-LC.

#![no_main]

use aws_lc_rs::agreement::{agree, PrivateKey, UnparsedPublicKey, ECDH_P256};
use crypto_p256::{ecdh, Cpu};
use libfuzzer_sys::fuzz_target;

// 32 octets of a private key, then the peer's octets: any.
fuzz_target!(|input: (([u8; 32], bool), Vec<u8>)| {
    let ((private, valid), mut peer) = input;
    // SAFETY: a fuzzer that runs elsewhere stops at the first instruction.
    let paths = [Cpu::portable(), unsafe { Cpu::bmi2_adx() }];
    let keys = paths.map(|cpu| ecdh::public_key(cpu, &private).map(|key| key.to_sec1(cpu)));
    assert_eq!(keys[0], keys[1]);
    if valid {
        // A valid peer: the multiple of the generator by what the fuzzer gave.
        let scalar = peer
            .iter()
            .chain(&[1; 32])
            .copied()
            .take(32)
            .collect::<Vec<_>>();
        if let Ok(key) = ecdh::public_key(paths[0], scalar.as_slice().try_into().unwrap()) {
            peer = key.to_sec1(paths[0]).to_vec();
        }
    }
    let secrets = paths.map(|cpu| {
        let mut shared = [0; 32];
        ecdh::derive(cpu, &private, &peer, &mut shared).map(|()| shared)
    });
    assert_eq!(secrets[0], secrets[1]);

    let theirs = PrivateKey::from_private_key(&ECDH_P256, &private);
    assert_eq!(theirs.is_ok(), keys[0].is_ok());
    let Ok(theirs) = theirs else { return };
    assert_eq!(
        theirs.compute_public_key().unwrap().as_ref(),
        keys[0].unwrap()
    );
    // They take compressed points too; this crate takes none.
    if peer.len() == 65 && peer[0] == 4 {
        let secret = agree(
            &theirs,
            UnparsedPublicKey::new(&ECDH_P256, &peer),
            (),
            |secret| Ok::<_, ()>(<[u8; 32]>::try_from(secret).unwrap()),
        );
        assert_eq!(secret.ok(), secrets[0].ok());
    } else {
        assert!(secrets[0].is_err());
    }
});
