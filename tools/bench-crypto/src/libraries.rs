// SPDX-License-Identifier: GPL-2.0
//! The libraries: each operation as a closure with all that it needs made before.

use crypto_p256::ecdsa::{HmacSha256, SigningKey, DER_MAX_LEN};
use crypto_p256::{ecdh, x25519, Cpu};
use std::hint::black_box;

pub const OPERATIONS: [&str; 5] = [
    "ECDSA sign",
    "P-256 keygen",
    "P-256 ECDH",
    "X25519 keygen",
    "X25519 derive",
];

/// An operation done once.
pub type Operation = Option<Box<dyn FnMut()>>;

pub struct Library {
    /// Name in the lines that a machine reads.
    pub key: &'static str,
    pub name: String,
    pub operations: [Operation; OPERATIONS.len()],
}

/// The digest (or message) that all sign.
const DIGEST: [u8; 32] = [0x5a; 32];

pub fn all() -> Vec<Library> {
    let mut all = Vec::new();
    if let Some(cpu) = bmi2_adx() {
        all.push(ours("ours", "crypto_p256, BMI2/ADX", cpu));
        all.push(ours("portable", "crypto_p256, portable", Cpu::portable()));
    } else {
        all.push(ours("ours", "crypto_p256, portable", Cpu::portable()));
    }
    all.extend([
        openssl(),
        openssl_ec_point(),
        aws_lc(),
        ring(),
        graviola(),
        rust_crypto(),
    ]);
    all
}

fn bmi2_adx() -> Option<Cpu> {
    let found = is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx");
    // SAFETY: both were found.
    found.then(|| unsafe { Cpu::bmi2_adx() })
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

/// Random octets as a kernel makes them for its callers: ChaCha20, with a new key each time.
struct Random([u8; 32]);

impl Random {
    fn new() -> Self {
        let mut key = [0; 32];
        openssl::rand::rand_bytes(&mut key).unwrap();
        Random(key)
    }

    fn octets<const N: usize>(&mut self) -> [u8; N] {
        use chacha20::cipher::{KeyIvInit, StreamCipher};
        let mut cipher = chacha20::ChaCha20::new(&self.0.into(), &[0; 12].into());
        let mut r = [0; N];
        self.0 = [0; 32];
        cipher.apply_keystream(&mut self.0);
        cipher.apply_keystream(&mut r);
        r
    }
}

/// A peer's key pair on P-256: the public key's octets.
fn p256_peer() -> [u8; 65] {
    ecdh::public_key(Cpu::portable(), &[0x42; 32])
        .unwrap()
        .to_sec1(Cpu::portable())
}

/// A peer's public key on X25519.
fn x25519_peer() -> [u8; 32] {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from([0x42; 32])).to_bytes()
}

fn ours(key: &'static str, name: &str, cpu: Cpu) -> Library {
    let signing = SigningKey::from_bytes(&[0x17; 32]).unwrap();
    let (peer, peer_x) = (p256_peer(), x25519_peer());
    let (mut for_sign, mut for_p256, mut for_x25519) =
        (Random::new(), Random::new(), Random::new());
    Library {
        key,
        name: name.into(),
        operations: [
            Some(Box::new(move || {
                let entropy = for_sign.octets();
                let signature = signing
                    .sign(cpu, black_box(&DIGEST), Some(&entropy), &Hmac)
                    .unwrap();
                let mut der = [0; DER_MAX_LEN];
                black_box(signature.to_der(&mut der));
            })),
            Some(Box::new(move || {
                let (mut private, mut public) = ([0; 32], [0; 65]);
                ecdh::make_share(cpu, &for_p256.octets(), &mut private, &mut public);
                black_box((private, public));
            })),
            Some(Box::new(move || {
                let mut shared = [0; 32];
                ecdh::derive(cpu, black_box(&[0x77; 32]), black_box(&peer), &mut shared).unwrap();
                black_box(shared);
            })),
            Some(Box::new(move || {
                let (mut private, mut public) = ([0; 32], [0; 32]);
                x25519::make_share(cpu, &for_x25519.octets(), &mut private, &mut public);
                black_box((private, public));
            })),
            Some(Box::new(move || {
                let mut shared = [0; 32];
                x25519::derive(cpu, black_box(&[0x77; 32]), black_box(&peer_x), &mut shared)
                    .unwrap();
                black_box(shared);
            })),
        ],
    }
}

fn openssl_name(layer: &str) -> String {
    let version = openssl::version::version()
        .splitn(3, ' ')
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    format!("{version}, {layer}")
}

fn p256_group() -> openssl::ec::EcGroup {
    openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap()
}

fn openssl_sign() -> Operation {
    let signing = openssl::ec::EcKey::generate(&p256_group()).unwrap();
    Some(Box::new(move || {
        let signature = openssl::ecdsa::EcdsaSig::sign(black_box(&DIGEST), &signing).unwrap();
        black_box(signature.to_der().unwrap());
    }))
}

fn openssl_keygen() -> Operation {
    use openssl::ec::{EcKey, PointConversionForm};
    let group = p256_group();
    let mut ctx = openssl::bn::BigNumContext::new().unwrap();
    Some(Box::new(move || {
        let key = EcKey::generate(&group).unwrap();
        let form = PointConversionForm::UNCOMPRESSED;
        black_box(key.public_key().to_bytes(&group, form, &mut ctx).unwrap());
    }))
}

/// As libssl does it: secrets by EVP_PKEY_derive() from the peer's octets. Decoding checks that the
/// point is on the curve; a second check, against the order, is left out here. Signatures and keys are
/// made by ECDSA_do_sign() and EC_KEY_generate_key(), which cost a little less than EVP.
fn openssl() -> Library {
    use openssl::bn::BigNumContext;
    use openssl::derive::Deriver;
    use openssl::ec::{EcKey, EcPoint};
    use openssl::pkey::{Id, PKey};

    let group = p256_group();
    let mut ctx = BigNumContext::new().unwrap();
    let own = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let own_x = PKey::generate_x25519().unwrap();
    let (peer, peer_x) = (p256_peer(), x25519_peer());
    Library {
        key: "openssl",
        name: openssl_name("EVP"),
        operations: [
            openssl_sign(),
            openssl_keygen(),
            Some(Box::new(move || {
                let point = EcPoint::from_bytes(&group, black_box(&peer), &mut ctx).unwrap();
                let peer =
                    PKey::from_ec_key(EcKey::from_public_key(&group, &point).unwrap()).unwrap();
                let mut deriver = Deriver::new(&own).unwrap();
                deriver.set_peer_ex(&peer, false).unwrap();
                let mut shared = [0; 32];
                deriver.derive(&mut shared).unwrap();
                black_box(shared);
            })),
            Some(Box::new(|| {
                black_box(PKey::generate_x25519().unwrap().raw_public_key().unwrap());
            })),
            Some(Box::new(move || {
                let peer = PKey::public_key_from_raw_bytes(black_box(&peer_x), Id::X25519).unwrap();
                let mut deriver = Deriver::new(&own_x).unwrap();
                deriver.set_peer_ex(&peer, false).unwrap();
                let mut shared = [0; 32];
                deriver.derive(&mut shared).unwrap();
                black_box(shared);
            })),
        ],
    }
}

/// The floor: the arithmetic of EVP_PKEY_derive() alone, EC_POINT_mul(), without the layers above it.
fn openssl_ec_point() -> Library {
    use openssl::bn::{BigNum, BigNumContext};
    use openssl::ec::{EcKey, EcPoint};

    let group = p256_group();
    let mut ctx = BigNumContext::new().unwrap();
    let own = EcKey::generate(&group).unwrap();
    let peer = p256_peer();
    Library {
        key: "openssl-floor",
        name: openssl_name("EC_POINT_mul"),
        operations: [
            openssl_sign(),
            openssl_keygen(),
            Some(Box::new(move || {
                let peer = EcPoint::from_bytes(&group, black_box(&peer), &mut ctx).unwrap();
                let mut shared = EcPoint::new(&group).unwrap();
                shared
                    .mul2(&group, &peer, own.private_key(), &mut ctx)
                    .unwrap();
                let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
                shared
                    .affine_coordinates(&group, &mut x, &mut y, &mut ctx)
                    .unwrap();
                black_box(x.to_vec_padded(32).unwrap());
            })),
            None,
            None,
        ],
    }
}

fn aws_lc() -> Library {
    use aws_lc_rs::agreement::{agree, PrivateKey, UnparsedPublicKey, ECDH_P256, X25519};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{EcdsaKeyPair, ECDSA_P256_SHA256_ASN1_SIGNING};

    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
    let signing =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let own = PrivateKey::generate(&ECDH_P256).unwrap();
    let own_x = PrivateKey::generate(&X25519).unwrap();
    let (peer, peer_x) = (p256_peer(), x25519_peer());
    let take = |secret: &[u8]| {
        black_box(secret[0]);
        Ok(())
    };
    Library {
        key: "awslc",
        name: "AWS-LC (aws-lc-rs)".into(),
        operations: [
            Some(Box::new(move || {
                black_box(signing.sign(&rng, black_box(&DIGEST)).unwrap());
            })),
            Some(Box::new(|| {
                black_box(
                    PrivateKey::generate(&ECDH_P256)
                        .unwrap()
                        .compute_public_key()
                        .unwrap(),
                );
            })),
            Some(Box::new(move || {
                agree(
                    &own,
                    UnparsedPublicKey::new(&ECDH_P256, black_box(&peer)),
                    (),
                    take,
                )
                .unwrap();
            })),
            Some(Box::new(|| {
                black_box(
                    PrivateKey::generate(&X25519)
                        .unwrap()
                        .compute_public_key()
                        .unwrap(),
                );
            })),
            Some(Box::new(move || {
                agree(
                    &own_x,
                    UnparsedPublicKey::new(&X25519, black_box(&peer_x)),
                    (),
                    take,
                )
                .unwrap();
            })),
        ],
    }
}

fn ring() -> Library {
    use ring::agreement::{
        agree_ephemeral, EphemeralPrivateKey, UnparsedPublicKey, ECDH_P256, X25519,
    };
    use ring::rand::SystemRandom;
    use ring::signature::{EcdsaKeyPair, ECDSA_P256_SHA256_ASN1_SIGNING};

    fn keygen(algorithm: &'static ring::agreement::Algorithm) -> Operation {
        let rng = SystemRandom::new();
        Some(Box::new(move || {
            let key = EphemeralPrivateKey::generate(algorithm, &rng).unwrap();
            black_box(key.compute_public_key().unwrap());
        }))
    }
    /// A private key is used once there: its generation, without the public key, is in the time.
    fn derive(algorithm: &'static ring::agreement::Algorithm, peer: Vec<u8>) -> Operation {
        let rng = SystemRandom::new();
        Some(Box::new(move || {
            let own = EphemeralPrivateKey::generate(algorithm, &rng).unwrap();
            agree_ephemeral(
                own,
                &UnparsedPublicKey::new(algorithm, black_box(&peer)),
                |secret| black_box(secret[0]),
            )
            .unwrap();
        }))
    }
    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
    let signing =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).unwrap();
    Library {
        key: "ring",
        name: "ring".into(),
        operations: [
            Some(Box::new(move || {
                black_box(signing.sign(&rng, black_box(&DIGEST)).unwrap());
            })),
            keygen(&ECDH_P256),
            derive(&ECDH_P256, p256_peer().to_vec()),
            keygen(&X25519),
            derive(&X25519, x25519_peer().to_vec()),
        ],
    }
}

fn graviola() -> Library {
    use graviola::hashing::Sha256;
    use graviola::key_agreement::{p256, x25519};
    use graviola::signing::ecdsa::{SigningKey, P256};

    let (peer, peer_x) = (p256_peer(), x25519_peer());
    let own = p256::StaticPrivateKey::new_random().unwrap();
    let own_x = x25519::StaticPrivateKey::new_random().unwrap();
    let rng = ring::rand::SystemRandom::new();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 = ring::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
    let signing = SigningKey::<P256>::from_pkcs8_der(pkcs8.as_ref()).unwrap();
    Library {
        key: "graviola",
        name: "graviola".into(),
        operations: [
            Some(Box::new(move || {
                let mut signature = [0; 72];
                black_box(
                    signing
                        .sign_asn1::<Sha256>(&[black_box(&DIGEST)], &mut signature)
                        .unwrap(),
                );
            })),
            Some(Box::new(|| {
                black_box(
                    p256::PrivateKey::new_random()
                        .unwrap()
                        .public_key_uncompressed(),
                );
            })),
            Some(Box::new(move || {
                let peer = p256::PublicKey::from_x962_uncompressed(black_box(&peer)).unwrap();
                black_box(own.diffie_hellman(&peer).unwrap().0);
            })),
            Some(Box::new(|| {
                black_box(
                    x25519::PrivateKey::new_random()
                        .unwrap()
                        .public_key()
                        .as_bytes(),
                );
            })),
            Some(Box::new(move || {
                let peer = x25519::PublicKey::from_array(black_box(&peer_x));
                black_box(own_x.diffie_hellman(&peer).unwrap().0);
            })),
        ],
    }
}

fn rust_crypto() -> Library {
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::elliptic_curve::sec1::ToEncodedPoint;

    let signing = p256::ecdsa::SigningKey::from_slice(&[0x17; 32]).unwrap();
    let own = p256::SecretKey::from_slice(&[0x77; 32]).unwrap();
    let own_x = x25519_dalek::StaticSecret::from([0x77; 32]);
    let (peer, peer_x) = (p256_peer(), x25519_peer());
    let (mut for_p256, mut for_x25519) = (Random::new(), Random::new());
    Library {
        key: "rustcrypto",
        name: "RustCrypto p256, x25519-dalek".into(),
        operations: [
            Some(Box::new(move || {
                let signature: p256::ecdsa::Signature =
                    signing.sign_prehash(black_box(&DIGEST)).unwrap();
                black_box(signature.to_der());
            })),
            Some(Box::new(move || {
                let mut octets: [u8; 32] = for_p256.octets();
                octets[0] &= 0x7f;
                let key = p256::SecretKey::from_slice(&octets).unwrap();
                black_box(key.public_key().to_encoded_point(false));
            })),
            Some(Box::new(move || {
                let peer = p256::PublicKey::from_sec1_bytes(black_box(&peer)).unwrap();
                black_box(p256::ecdh::diffie_hellman(
                    own.to_nonzero_scalar(),
                    peer.as_affine(),
                ));
            })),
            Some(Box::new(move || {
                let key = x25519_dalek::StaticSecret::from(for_x25519.octets::<32>());
                black_box(x25519_dalek::PublicKey::from(&key).to_bytes());
            })),
            Some(Box::new(move || {
                let peer = x25519_dalek::PublicKey::from(*black_box(&peer_x));
                black_box(own_x.diffie_hellman(&peer).to_bytes());
            })),
        ],
    }
}
