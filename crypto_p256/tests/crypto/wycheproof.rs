// SPDX-License-Identifier: GPL-2.0
//! Project Wycheproof's vectors, all that concern this crate.

use crate::paths;
use crypto_p256::ecdh::{self, PublicKey};
use crypto_p256::ecdsa::{verify_vartime, Signature};
use crypto_p256::Error;
use sha2::{Digest, Sha256};
use wycheproof::{ecdh as w_ecdh, ecdsa as w_ecdsa, TestResult};

fn ecdsa(name: w_ecdsa::TestName, parse: fn(&[u8]) -> Result<Signature, Error>) {
    let set = w_ecdsa::TestSet::load(name).unwrap();
    let mut tried = 0;
    for cpu in paths() {
        for group in &set.test_groups {
            let key = PublicKey::from_sec1(cpu, &group.key.key).unwrap();
            for test in &group.tests {
                let digest = Sha256::digest(&test.msg).into();
                let result = parse(&test.sig).and_then(|s| verify_vartime(cpu, &key, &digest, &s));
                assert_eq!(
                    result.is_ok(),
                    test.result == TestResult::Valid,
                    "test {}: {}",
                    test.tc_id,
                    test.comment
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, set.number_of_tests * paths().len());
}

#[test]
fn ecdsa_der() {
    ecdsa(w_ecdsa::TestName::EcdsaSecp256r1Sha256, Signature::from_der);
}

#[test]
fn ecdsa_p1363() {
    ecdsa(w_ecdsa::TestName::EcdsaSecp256r1Sha256P1363, |raw| {
        raw.try_into()
            .map(Signature::from_raw)
            .map_err(|_| Error::InvalidSignature)
    });
}

/// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn ecdh(name: w_ecdh::TestName) {
    let set = w_ecdh::TestSet::load(name).unwrap();
    let (mut derived, mut refused) = (0, 0);
    for cpu in paths() {
        for group in &set.test_groups {
            for test in &group.tests {
                let point = match group.encoding {
                    w_ecdh::EcdhEncoding::EcPoint => Some(&test.public_key[..]),
                    w_ecdh::EcdhEncoding::Asn1 => test.public_key.strip_prefix(&SPKI),
                };
                // The private keys are INTEGERs: of any length.
                let digits = test
                    .private_key
                    .iter()
                    .skip_while(|&&b| b == 0)
                    .copied()
                    .collect::<Vec<_>>();
                let mut private = [0; 32];
                private[32 - digits.len()..].copy_from_slice(&digits);
                let mut shared = [0xaa; 32];
                let result = point
                    .ok_or(Error::InvalidPoint)
                    .and_then(|point| ecdh::derive(cpu, &private, point, &mut shared));
                match result {
                    Ok(()) => {
                        assert_ne!(
                            test.result,
                            TestResult::Invalid,
                            "test {}: {}",
                            test.tc_id,
                            test.comment
                        );
                        assert_eq!(shared[..], test.shared_secret[..], "test {}", test.tc_id);
                        derived += 1;
                    }
                    Err(error) => {
                        // What may be refused is a compressed point or an unusual ASN.1 form.
                        assert_ne!(
                            test.result,
                            TestResult::Valid,
                            "test {}: {}",
                            test.tc_id,
                            test.comment
                        );
                        assert_eq!(error, Error::InvalidPoint);
                        refused += 1;
                    }
                }
            }
        }
    }
    assert_eq!(derived + refused, set.number_of_tests * paths().len());
    assert!(derived > 200 && refused > 0);
}

#[test]
fn ecdh_asn1() {
    ecdh(w_ecdh::TestName::EcdhSecp256r1);
}

#[test]
fn ecdh_ecpoint() {
    ecdh(w_ecdh::TestName::EcdhSecp256r1Ecpoint);
}
