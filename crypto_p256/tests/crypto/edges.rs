// SPDX-License-Identifier: GPL-2.0
//! Scalars and points at the edges: both ends of the range, limb boundaries, invalid input.

use crate::paths;
use crypto_p256::ecdh::{self, PublicKey};
use crypto_p256::ecdsa::SigningKey;
use crypto_p256::{Cpu, Error};
use p256::elliptic_curve::sec1::ToEncodedPoint;

/// n, big-endian.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `a - b` for small `b`.
fn minus(a: &[u8; 32], b: u64) -> [u8; 32] {
    let mut r = *a;
    let mut borrow = b;
    for byte in r.iter_mut().rev() {
        let t = 0x1_0000 + u64::from(*byte) - (borrow & 0xff);
        *byte = t as u8;
        borrow = (borrow >> 8) + u64::from(t < 0x1_0000);
    }
    r
}

/// Scalars with long runs of equal bits around every bit, small ones, and all their negatives.
fn scalars() -> Vec<[u8; 32]> {
    let mut r = Vec::new();
    for k in 1..=300u64 {
        let mut small = [0; 32];
        small[24..].copy_from_slice(&k.to_be_bytes());
        r.push(small);
        r.push(minus(&N, k));
    }
    for bit in 0..256 {
        let mut power = [0; 32];
        power[31 - bit / 8] = 1 << (bit % 8);
        r.push(power);
        r.push(minus(&power, 1));
        let mut complement = N;
        for (c, p) in complement.iter_mut().zip(power) {
            *c ^= p;
        }
        r.push(complement);
    }
    r.retain(|k| *k != [0; 32] && *k < N);
    r
}

fn theirs(k: &[u8; 32]) -> p256::SecretKey {
    p256::SecretKey::from_slice(k).unwrap()
}

#[test]
fn public_keys_at_the_edges() {
    let scalars = scalars();
    assert!(scalars.len() > 1000);
    for cpu in paths() {
        for k in &scalars {
            let ours = ecdh::public_key(cpu, k).unwrap().to_sec1(cpu);
            assert_eq!(
                ours[..],
                theirs(k).public_key().to_encoded_point(false).as_bytes()[..],
                "{k:02x?}"
            );
        }
    }
}

#[test]
fn shared_secrets_at_the_edges() {
    for cpu in paths() {
        let peer = theirs(&[0x42; 32]).public_key();
        for k in scalars() {
            let mut shared = [0; 32];
            ecdh::derive(
                cpu,
                &k,
                peer.to_encoded_point(false).as_bytes(),
                &mut shared,
            )
            .unwrap();
            let other =
                p256::ecdh::diffie_hellman(theirs(&k).to_nonzero_scalar(), peer.as_affine());
            assert_eq!(shared[..], other.raw_secret_bytes()[..], "{k:02x?}");
        }
    }
}

#[test]
fn invalid_scalars() {
    for cpu in paths() {
        let peer = ecdh::public_key(cpu, &[1; 32]).unwrap().to_sec1(cpu);
        let mut above = N;
        above[31] += 1;
        for k in [[0; 32], N, above, [0xff; 32]] {
            let mut shared = [0xaa; 32];
            assert_eq!(
                ecdh::derive(cpu, &k, &peer, &mut shared),
                Err(Error::InvalidScalar)
            );
            assert_eq!(shared, [0; 32]);
            assert!(ecdh::public_key(cpu, &k).is_err());
            assert!(SigningKey::from_bytes(&k).is_err());
        }
    }
}

#[test]
fn invalid_points() {
    for cpu in paths() {
        let good = ecdh::public_key(cpu, &[1; 32]).unwrap().to_sec1(cpu);
        assert!(PublicKey::from_sec1(cpu, &good).is_ok());
        let bad = |octets: &[u8]| {
            assert!(matches!(
                PublicKey::from_sec1(cpu, octets),
                Err(Error::InvalidPoint)
            ))
        };
        for form in (0..=255).filter(|&form| form != 4) {
            let mut octets = good;
            octets[0] = form;
            bad(&octets);
        }
        for bit in 8..65 * 8 {
            let mut octets = good;
            octets[bit / 8] ^= 1 << (bit % 8);
            bad(&octets);
        }
        for len in 0..65 {
            bad(&good[..len]);
        }
        bad(&[&good[..], &[0]].concat());
        bad(&[0; 65]);
        bad(&[4; 65]);
        bad(&[0xff; 65]);
        bad(&[0]);
        bad(&[]);
    }
}

/// (0, sqrt(b)) and its coordinate plus p, which is the same number but not the same octets.
#[test]
fn coordinates_are_canonical() {
    let mut y = [0; 32];
    y.copy_from_slice(&unhex(
        "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
    ));
    let point = |x: &[u8; 32]| [&[4][..], x, &y].concat();
    let modulus = unhex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    for cpu in paths() {
        assert!(PublicKey::from_sec1(cpu, &point(&[0; 32])).is_ok());
        assert!(
            PublicKey::from_sec1(cpu, &point(&modulus.as_slice().try_into().unwrap())).is_err()
        );
        assert!(PublicKey::from_sec1(cpu, &point(&[0xff; 32])).is_err());
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// FIPS 186-5 A.2.1: d = (c mod (n - 1)) + 1, at the ends of the range of c and around its multiples.
#[test]
fn extra_bits() {
    let cases: [(&str, &str); 6] = [
        (
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000001",
        ),
        (
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "",
        ),
        (
            "0000000000000000ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
            "0000000000000000000000000000000000000000000000000000000000000001",
        ),
        (
            "0000000000000000ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f",
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
        ),
        (
            "0000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "",
        ),
        (
            "fffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "",
        ),
    ];
    for (random, scalar) in cases {
        let (mut private, mut public) = ([0; 32], [0; 65]);
        let random: [u8; 40] = unhex(random).try_into().unwrap();
        ecdh::make_share(Cpu::portable(), &random, &mut private, &mut public);
        assert!(private != [0; 32] && private < N);
        assert_eq!(
            public,
            ecdh::public_key(Cpu::portable(), &private)
                .unwrap()
                .to_sec1(Cpu::portable())
        );
        assert_eq!(private, mod_n_minus_one_plus_one(&random));
        assert!(scalar.is_empty() || private[..] == unhex(scalar)[..]);
    }
}

/// The same, one bit at a time.
pub fn mod_n_minus_one_plus_one(c: &[u8; 40]) -> [u8; 32] {
    let m = minus(&N, 1);
    let mut r = [0u8; 33];
    let modulus: [u8; 33] = [&[0][..], &m].concat().try_into().unwrap();
    for bit in c
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| (b >> i) & 1))
    {
        let mut carry = bit;
        for byte in r.iter_mut().rev() {
            let t = *byte >> 7;
            *byte = (*byte << 1) | carry;
            carry = t;
        }
        if r >= modulus {
            let mut borrow = 0i32;
            for (a, b) in r.iter_mut().zip(modulus).rev() {
                let t = i32::from(*a) - i32::from(b) - borrow;
                *a = t as u8;
                borrow = i32::from(t < 0);
            }
        }
    }
    for byte in r.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    r[1..].try_into().unwrap()
}
