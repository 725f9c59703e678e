// SPDX-License-Identifier: GPL-2.0

//! Credentials as OpenSSL writes them (`credential/make.sh`), broken in every place, and compared
//! with what the crates p256 and x509-cert make of the same bytes.

use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::DecodePrivateKey;
use p256::SecretKey;
use tls_hs::credential::{
    chain_len, read_private_key, write_chain, Chain, Error, Point, MAX_CERTIFICATES, MAX_CHAIN,
    POINT_LEN, SCALAR_LEN,
};
use x509_cert::der::{Decode, Encode};
use x509_cert::Certificate;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("credential/", $name)).as_slice()
    };
}

type Key = ([u8; SCALAR_LEN], Option<Point>);

fn key(payload: &[u8]) -> Result<Key, Error> {
    let mut scalar = [0x5a; SCALAR_LEN];

    match read_private_key(payload, &mut scalar) {
        Ok(point) => Ok((scalar, point)),
        Err(error) => {
            assert_eq!(scalar, [0; SCALAR_LEN], "an error leaves nothing behind");
            assert!(!error.reason().is_empty());
            Err(error)
        }
    }
}

fn chain(payload: &[u8]) -> Result<(Chain, Vec<u8>), Error> {
    let mut out = vec![0; chain_len(payload)?];
    let chain = write_chain(payload, &mut out)?;

    assert_eq!(chain.len, out.len());
    Ok((chain, out))
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    use base64::prelude::{Engine, BASE64_STANDARD};

    let body = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
    .into_bytes()
}

/// DER of one element.
fn der(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let len = contents.len();
    let mut out = vec![tag];

    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(contents);
    out
}

/// What the crate p256 reads, as [`key`] gives it.
fn reference_key(payload: &[u8]) -> Option<Key> {
    let key = match std::str::from_utf8(payload) {
        Ok(text) if text.contains("-----BEGIN ") => SecretKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| SecretKey::from_sec1_pem(text).ok()),
        _ => SecretKey::from_pkcs8_der(payload)
            .ok()
            .or_else(|| SecretKey::from_sec1_der(payload).ok()),
    }?;
    let point = key.public_key().to_encoded_point(false);

    Some((
        key.to_bytes().into(),
        Some(point.as_bytes().try_into().unwrap()),
    ))
}

#[test]
fn private_keys_that_openssl_writes() {
    let expected = reference_key(file!("pkcs8.der")).unwrap();

    for payload in [
        file!("pkcs8.pem"),
        file!("pkcs8.der"),
        file!("pkcs8-with-text.pem"),
        file!("pkcs8-crlf.pem"),
        file!("sec1.pem"),
        file!("sec1.der"),
    ] {
        assert_eq!(key(payload), Ok(expected));
    }
    for payload in [file!("sec1-no-public.pem"), file!("sec1-compressed.pem")] {
        assert_eq!(key(payload), Ok((expected.0, None)));
    }

    let other = key(file!("topk8.pem")).unwrap();
    assert_eq!(Some(other), reference_key(file!("topk8.pem")));
    assert_eq!(key(file!("ecparam.pem")), Ok(other), "EC PARAMETERS first");
    assert_ne!(other.0, expected.0);
}

#[test]
fn private_keys_of_other_kinds() {
    for (payload, error) in [
        (file!("explicit.pem"), Error::OtherCurve),
        (file!("explicit-sec1.pem"), Error::OtherCurve),
        (file!("p384.pem"), Error::OtherCurve),
        (file!("p384-sec1.pem"), Error::OtherCurve),
        (file!("secp256k1.pem"), Error::OtherCurve),
        (file!("ed25519.pem"), Error::OtherKind),
        (file!("rsa.pem"), Error::OtherKind),
        (file!("rsa.der"), Error::OtherKind),
        (file!("rsa-pkcs1.pem"), Error::OtherKind),
        (file!("rsa-pkcs1.der"), Error::OtherKind),
        (file!("encrypted.pem"), Error::Encrypted),
        (file!("encrypted.der"), Error::Encrypted),
        (file!("encrypted-sec1.pem"), Error::Encrypted),
        (file!("public.pem"), Error::NoPrivateKey),
        (file!("public.der"), Error::NoPrivateKey),
        (file!("leaf.pem"), Error::NoPrivateKey),
        (file!("leaf.der"), Error::NoPrivateKey),
        (b"", Error::NoPrivateKey),
        (b"garbage", Error::NoPrivateKey),
        (b"\x30", Error::Truncated),
        (b"\x30\x00", Error::Truncated),
    ] {
        assert_eq!(
            key(payload),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(payload)
        );
    }
}

#[test]
fn several_private_keys() {
    let both = [file!("pkcs8.pem"), file!("sec1.pem")].concat();
    assert_eq!(key(&both), Err(Error::SeveralKeys));

    let with_chain = [file!("chain.pem"), file!("pkcs8.pem")].concat();
    assert_eq!(key(&with_chain), key(file!("pkcs8.pem")));

    let twice = [file!("pkcs8.der"), file!("pkcs8.der")].concat();
    assert_eq!(key(&twice), Err(Error::TrailingData));
}

#[test]
fn broken_pem() {
    let text = std::str::from_utf8(file!("pkcs8.pem")).unwrap();
    let changed = |from, to| key(text.replacen(from, to, 1).as_bytes());

    assert_eq!(changed("-----END", "-----BEGIN"), Err(Error::BadPem));
    assert_eq!(changed("-----END PRIVATE", "-----END"), Err(Error::BadPem));
    assert_eq!(
        changed("KEY-----\n-----", "KEY-----\n"),
        key(text.as_bytes())
    );
    assert_eq!(
        changed("-----END PRIVATE KEY-----\n", ""),
        Err(Error::BadPem)
    );
    assert_eq!(
        changed("PRIVATE KEY-----\n", "PRIVATE KEY\n"),
        Err(Error::BadPem)
    );
    assert_eq!(changed("\n-----END", "A\n-----END"), Err(Error::BadBase64));
    assert_eq!(changed("\n-----END", "=\n-----END"), Err(Error::BadBase64));
    assert_eq!(changed("\nM", "\nM="), Err(Error::BadBase64));
    assert_eq!(changed("\nM", "\n."), Err(Error::BadBase64));
    assert_eq!(changed("\nM", "\nX: y\n\nM"), Err(Error::BadBase64));
    assert_eq!(
        changed("\n-----END", "\nAAAA\n-----END"),
        Err(Error::TrailingData)
    );
    assert_eq!(
        key(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"),
        Err(Error::Truncated)
    );
}

#[test]
fn base64_is_strict_and_complete() {
    use base64::prelude::{Engine, BASE64_STANDARD};
    use tls_hs::pem::decode;

    // Every group of 1, 2 and 3 octets whose first two differ, and each character in each place.
    let mut out = [0; 8];
    for a in 0..=255_u8 {
        for b in 0..=255_u8 {
            for octets in [&[a][..], &[a, b], &[a, b, a ^ b], &[a, b, b, a]] {
                let text = BASE64_STANDARD.encode(octets);
                assert_eq!(decode(text.as_bytes(), &mut out), Ok(octets.len()));
                assert_eq!(&out[..octets.len()], octets);
            }
        }
    }
    for place in 0..8 {
        for c in 0..=255_u8 {
            let mut text = *b"QUJDRA==";
            text[place] = c;
            if c.is_ascii_whitespace() && c != b'\x0c' {
                continue;
            }
            let expected = BASE64_STANDARD.decode(text).ok();
            let len = decode(&text, &mut out).ok();
            assert_eq!(len.map(|len| out[..len].to_vec()), expected, "{text:?}");
        }
    }
    assert_eq!(decode(b" Q U\tJ\r\nD ", &mut out), Ok(3));
    assert_eq!(decode(b"", &mut out), Ok(0));
    // Measuring, and the beginning of something long.
    let text = BASE64_STANDARD.encode([7; 100]);
    assert_eq!(decode(text.as_bytes(), &mut []), Ok(100));
    assert_eq!(decode(text.as_bytes(), &mut out), Ok(100));
    assert_eq!(out, [7; 8]);
}

const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// ECPrivateKey from its fields.
fn sec1(version: u8, scalar: &[u8], curve: &[u8], public: &[u8]) -> Vec<u8> {
    let version = [2, 1, version];
    let scalar = der(4, &[scalar]);

    der(0x30, &[&version, &scalar, curve, public])
}

/// OneAsymmetricKey from its fields.
fn pkcs8(version: u8, algorithm: &[&[u8]], key: &[u8], rest: &[u8]) -> Vec<u8> {
    let version = [2, 1, version];
    let algorithm = der(0x30, algorithm);
    let key = der(4, &[key]);

    der(0x30, &[&version, &algorithm, &key, rest])
}

#[test]
fn structures_of_private_keys() {
    let scalar = [7_u8; SCALAR_LEN];
    let mut point = [9_u8; POINT_LEN];
    point[0] = 4;
    let mut other = point;
    other[64] ^= 1;
    let public = |point: &[u8]| der(0xa1, &[&der(3, &[&[0], point])]);
    let outer = |point: &[u8]| der(0x81, &[&[0], point]);
    let curve = der(0xa0, &[P256]);
    let p256 = [EC_PUBLIC_KEY, P256];
    let plain = sec1(1, &scalar, &[], &[]);
    let ok = Ok((scalar, None));
    let with_point = Ok((scalar, Some(point)));

    for (payload, expected) in [
        // ECPrivateKey
        (sec1(1, &scalar, &curve, &[]), ok),
        (sec1(1, &scalar, &curve, &public(&point)), with_point),
        (sec1(0, &scalar, &curve, &[]), Err(Error::BadDer)),
        (sec1(2, &scalar, &curve, &[]), Err(Error::BadDer)),
        (plain.clone(), Err(Error::NoCurve)),
        (sec1(1, &scalar[1..], &curve, &[]), Err(Error::BadDer)),
        (sec1(1, &[0; 33], &curve, &[]), Err(Error::BadDer)),
        (
            sec1(1, &scalar, &curve, &public(&point[..64])),
            Err(Error::BadPoint),
        ),
        (sec1(1, &scalar, &curve, &public(&[])), Err(Error::BadPoint)),
        (
            sec1(1, &scalar, &curve, &public(&[0])),
            Err(Error::BadPoint),
        ),
        (sec1(1, &scalar, &curve, &public(&[2; 33])), ok),
        (
            sec1(1, &scalar, &curve, &public(&[2; 34])),
            Err(Error::BadPoint),
        ),
        (
            sec1(1, &scalar, &curve, &public(&[6; 65])),
            Err(Error::BadPoint),
        ),
        (sec1(1, &scalar, &curve, &[5, 0]), Err(Error::TrailingData)),
        (
            sec1(1, &scalar, &der(0xa0, &[P256, P256]), &[]),
            Err(Error::TrailingData),
        ),
        // OneAsymmetricKey
        (pkcs8(0, &p256, &plain, &[]), ok),
        (pkcs8(0, &p256, &sec1(1, &scalar, &curve, &[]), &[]), ok),
        (pkcs8(0, &p256, &plain, &[0xa0, 0]), ok),
        (
            pkcs8(0, &p256, &plain, &outer(&point)),
            Err(Error::TrailingData),
        ),
        (pkcs8(1, &p256, &plain, &outer(&point)), with_point),
        (
            pkcs8(1, &p256, &plain, &[&[0xa0, 0][..], &outer(&point)].concat()),
            with_point,
        ),
        (
            pkcs8(
                1,
                &p256,
                &sec1(1, &scalar, &[], &public(&point)),
                &outer(&point),
            ),
            with_point,
        ),
        (
            pkcs8(
                1,
                &p256,
                &sec1(1, &scalar, &[], &public(&other)),
                &outer(&point),
            ),
            Err(Error::PublicKeyMismatch),
        ),
        (pkcs8(2, &p256, &plain, &[]), Err(Error::BadDer)),
        (
            pkcs8(0, &[EC_PUBLIC_KEY, &[5, 0]], &plain, &[]),
            Err(Error::OtherCurve),
        ),
        (
            pkcs8(0, &[EC_PUBLIC_KEY], &plain, &[]),
            Err(Error::Truncated),
        ),
        (
            pkcs8(0, &[EC_PUBLIC_KEY, P256, &[5, 0]], &plain, &[]),
            Err(Error::TrailingData),
        ),
        (
            pkcs8(0, &p256, &[&plain[..], &[0]].concat(), &[]),
            Err(Error::TrailingData),
        ),
    ] {
        assert_eq!(key(&payload), expected, "DER {payload:02x?}");
        let label = match payload[5] {
            4 => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        assert_eq!(key(&pem(label, &payload)), expected, "PEM {payload:02x?}");
    }
}

#[test]
fn long_private_keys() {
    let scalar = [7_u8; SCALAR_LEN];
    let plain = sec1(1, &scalar, &[], &[]);
    let p256 = [EC_PUBLIC_KEY, P256];
    let attributes = der(0xa0, &[&[0; 500]]);
    let long = pkcs8(0, &p256, &plain, &attributes);

    assert_eq!(key(&pem("PRIVATE KEY", &long)), Err(Error::TooLong));
    assert_eq!(key(&long), Ok((scalar, None)), "DER needs no buffer");
    let rest = pem("EC PRIVATE KEY", &[0x30; 513]);
    assert_eq!(key(&rest), Err(Error::TooLong));
}

/// An input cut at every place, and with each octet changed in each bit, and in all.
fn broken(payload: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..payload.len()).map(|len| payload[..len].to_vec());
    let changed = (0..payload.len()).flat_map(move |place| {
        [1, 2, 4, 8, 16, 32, 64, 128, 255].map(|bits| {
            let mut payload = payload.to_vec();
            payload[place] ^= bits;
            payload
        })
    });

    cut.chain(changed)
}

#[test]
fn broken_private_keys_against_p256() {
    // p256 also checks that scalar and point belong together, so it refuses more. But it takes an
    // ECPrivateKey with another curve's name or with unknown fields.
    for (payload, complete) in [
        (file!("pkcs8.pem"), true),
        (file!("pkcs8.der"), true),
        (file!("sec1.pem"), false),
        (file!("sec1.der"), false),
        (file!("sec1-compressed.pem"), false),
        (file!("ecparam.pem"), false),
        (file!("encrypted.der"), true),
        (file!("rsa-pkcs1.pem"), true),
    ] {
        for broken in broken(payload) {
            match (key(&broken), reference_key(&broken)) {
                (Ok((scalar, point)), Some(reference)) => {
                    assert_eq!(scalar, reference.0);
                    assert!(point.is_none() || point == reference.1);
                }
                (Err(error), Some(_)) => assert!(!complete, "{error:?}: {broken:02x?}"),
                (_, None) => {}
            }
        }
    }
}

#[test]
fn broken_der_is_refused_where_p256_refuses_it() {
    // Changes outside the scalar and the point: what p256 refuses there is structure.
    let payload = file!("pkcs8.der");
    let scalar = payload
        .windows(2)
        .position(|window| window == [4, 32])
        .unwrap();
    let point = payload
        .windows(3)
        .position(|window| window == [66, 0, 4])
        .unwrap();

    for place in (0..payload.len()).filter(|place| {
        !(scalar + 2..scalar + 2 + SCALAR_LEN).contains(place)
            && !(point + 2..point + 2 + POINT_LEN).contains(place)
    }) {
        for bits in 1..=255_u8 {
            let mut broken = payload.to_vec();
            broken[place] ^= bits;
            assert_eq!(
                key(&broken).is_ok(),
                reference_key(&broken).is_some(),
                "octet {place}: {:02x}",
                broken[place]
            );
        }
    }
}

#[test]
fn chains_that_openssl_writes() {
    let leaf = key(file!("pkcs8.pem")).unwrap().1.unwrap();
    let entries = |ders: &[&[u8]]| -> Vec<u8> {
        ders.iter()
            .flat_map(|der| [&(der.len() as u32).to_be_bytes()[1..], der].concat())
            .collect()
    };
    let three = entries(&[
        file!("leaf.der"),
        file!("intermediate.der"),
        file!("root.der"),
    ]);
    let two = entries(&[file!("leaf.der"), file!("intermediate.der")]);
    let one = entries(&[file!("leaf.der")]);

    for (payload, expected, certificates) in [
        (file!("chain.pem"), &three, 3),
        (file!("chain.der"), &three, 3),
        (file!("chain-with-text-crlf.pem"), &two, 2),
        (file!("leaf.pem"), &one, 1),
        (file!("leaf.der"), &one, 1),
    ] {
        let (chain, out) = chain(payload).unwrap();
        assert_eq!(chain.leaf, leaf);
        assert_eq!(chain.certificates, certificates);
        assert_eq!(&out, expected);
    }
}

#[test]
fn chains_that_are_refused() {
    let bundle = [file!("leaf.pem"), file!("pkcs8.pem")].concat();
    let trailing = [file!("leaf.der"), b"\n"].concat();

    for (payload, error) in [
        (file!("rsa-leaf.pem"), Error::OtherKind),
        (file!("rsa-leaf.der"), Error::OtherKind),
        (file!("ed25519-leaf.pem"), Error::OtherKind),
        (file!("p384-leaf.pem"), Error::OtherCurve),
        (file!("pkcs8.pem"), Error::PrivateKeyInChain),
        (bundle.as_slice(), Error::PrivateKeyInChain),
        (file!("pkcs8.der"), Error::BadDer),
        (file!("public.pem"), Error::NoCertificate),
        (trailing.as_slice(), Error::Truncated),
        (b"", Error::NoCertificate),
        (b"certificate", Error::NoCertificate),
        (b"\x30\x00", Error::Truncated),
    ] {
        assert_eq!(
            chain(payload).map(|_| ()),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(payload)
        );
    }
    // Other kinds of keys are fine further up, and a broken one further up is an error.
    let mixed = [file!("leaf.pem"), file!("rsa-leaf.pem")].concat();
    assert_eq!(chain(&mixed).unwrap().0.certificates, 2);
    let mixed = [file!("rsa-leaf.pem"), &pem("CERTIFICATE", b"\x30\x00")].concat();
    assert_eq!(chain(&mixed).map(|_| ()), Err(Error::Truncated));
}

#[test]
fn limits_of_chains() {
    let most = file!("leaf.pem").repeat(MAX_CERTIFICATES);
    assert_eq!(chain(&most).unwrap().0.certificates, MAX_CERTIFICATES);
    let more = file!("leaf.der").repeat(MAX_CERTIFICATES + 1);
    assert_eq!(chain_len(&more), Err(Error::TooManyCertificates));

    let long = der(0x30, &[&vec![0; MAX_CHAIN - 7]]);
    assert_eq!(chain_len(&long), Ok(MAX_CHAIN));
    let long = der(0x30, &[&vec![0; MAX_CHAIN - 6]]);
    assert_eq!(chain_len(&long), Err(Error::TooLong));

    let payload = file!("chain.pem");
    let len = chain_len(payload).unwrap();
    assert_eq!(
        write_chain(payload, &mut vec![0; len - 1]),
        Err(Error::NoSpace)
    );
    let mut out = vec![0xa5; len + 1];
    assert_eq!(write_chain(payload, &mut out).unwrap().len, len);
    assert_eq!(out[len], 0xa5);
}

#[test]
fn broken_certificates_against_x509_cert() {
    let leaf = file!("leaf.der");
    let mut both = 0;

    for broken in broken(leaf) {
        let Ok((chain, out)) = chain(&broken) else {
            continue;
        };
        assert_eq!(&out[3..], &broken[..]);
        // It looks into names, dates and extensions, so it refuses more.
        let Ok(reference) = Certificate::from_der(&broken) else {
            continue;
        };
        let key = &reference.tbs_certificate.subject_public_key_info;
        assert_eq!(key.subject_public_key.raw_bytes(), chain.leaf);
        both += 1;
    }
    assert!(both > leaf.len() * 4, "{both}");

    let reference = Certificate::from_der(leaf).unwrap();
    assert_eq!(reference.to_der().unwrap(), leaf);
    for payload in [file!("chain.pem"), file!("chain.der")] {
        for broken in broken(payload).step_by(7) {
            let _ = chain(&broken);
        }
    }
}

#[test]
fn signature_algorithms_have_to_agree() {
    let mut certificate = file!("leaf.der").to_vec();
    let ecdsa_with_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let last = certificate
        .windows(8)
        .rposition(|window| window == ecdsa_with_sha256)
        .unwrap();

    certificate[last + 7] = 3;
    assert_eq!(chain(&certificate).map(|_| ()), Err(Error::BadDer));
}
