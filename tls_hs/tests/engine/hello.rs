// SPDX-License-Identifier: GPL-2.0
//! ClientHellos made to measure.

/// A ClientHello whose parts can be changed before it is written.
#[derive(Clone)]
pub struct Hello {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub suites: Vec<u16>,
    pub compression: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

pub fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

pub fn vec8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

pub fn vec16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

pub fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &vec16(content)[..]].concat()
}

/// A record of early data under keys that nobody has: content, its type, and a tag.
pub fn early_data(content_len: usize) -> Vec<u8> {
    record(23, &vec![7; content_len + 1 + 16])
}

/// `content` in handshake records of at most `len` bytes each.
pub fn records(content: &[u8], len: usize) -> Vec<u8> {
    content
        .chunks(len)
        .flat_map(|chunk| record(22, chunk))
        .collect()
}

pub const SERVER_NAME: u16 = 0;
pub const GROUPS: u16 = 10;
pub const SIGNATURE_ALGORITHMS: u16 = 13;
pub const POINT_FORMATS: u16 = 11;
pub const EXTENDED_MASTER_SECRET: u16 = 23;
pub const RECORD_SIZE_LIMIT: u16 = 28;
pub const SESSION_TICKET: u16 = 35;
pub const RENEGOTIATION_INFO: u16 = 0xff01;
pub const PRE_SHARED_KEY: u16 = 41;
pub const EARLY_DATA: u16 = 42;
pub const VERSIONS: u16 = 43;
pub const PSK_MODES: u16 = 45;
pub const KEY_SHARE: u16 = 51;

/// The generator of P-256 and the base point of X25519 as shares.
pub const P256_SHARE: [u8; 65] = {
    let mut share = [4; 65];
    let x = 0x6b17d1f2e12c4247f8bce6e563a440f2_u128.to_be_bytes();
    let y = 0x77037d812deb33a0f4a13945d898c296_u128.to_be_bytes();
    let z = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e16_u128.to_be_bytes();
    let w = 0x2bce33576b315ececbb6406837bf51f5_u128.to_be_bytes();
    let mut i = 0;
    while i < 16 {
        share[1 + i] = x[i];
        share[17 + i] = y[i];
        share[33 + i] = z[i];
        share[49 + i] = w[i];
        i += 1;
    }
    share
};
pub const X25519_SHARE: [u8; 32] = {
    let mut share = [0; 32];
    share[0] = 9;
    share
};

pub fn key_shares(shares: &[(u16, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = shares
        .iter()
        .flat_map(|(g, s)| [&g.to_be_bytes(), &vec16(s)[..]].concat())
        .collect();
    vec16(&list)
}

pub fn psks(identities: &[&[u8]], binders: usize) -> Vec<u8> {
    let identities: Vec<u8> = identities
        .iter()
        .flat_map(|i| [&vec16(i)[..], &[0; 4]].concat())
        .collect();
    let binders: Vec<u8> = (0..binders).flat_map(|_| vec8(&[0; 32])).collect();
    [vec16(&identities), vec16(&binders)].concat()
}

impl Hello {
    /// A ClientHello of TLS 1.3 with GREASE in every list that may have it.
    pub fn tls13() -> Self {
        let name = [&[0][..], &vec16(b"tls-hs.test")].concat();
        Hello {
            version: 0x0303,
            random: [0xaa; 32],
            session_id: vec![0x55; 32],
            suites: vec![0x1a1a, 0x1301, 0x1302, 0x1303],
            compression: vec![0],
            extensions: vec![
                (0x2a2a, vec![]),
                (SERVER_NAME, vec16(&name)),
                (GROUPS, vec16(&u16s(&[0x3a3a, 0x001d, 0x0017]))),
                (
                    SIGNATURE_ALGORITHMS,
                    vec16(&u16s(&[0x4a4a, 0x0403, 0x0804])),
                ),
                (
                    KEY_SHARE,
                    key_shares(&[(0x3a3a, &[0]), (0x0017, &P256_SHARE)]),
                ),
                (VERSIONS, vec8(&u16s(&[0x5a5a, 0x0304, 0x0303]))),
                (0x6a6a, vec![0]),
            ],
        }
    }

    /// A ClientHello of TLS 1.2 with GREASE.
    pub fn tls12() -> Self {
        let mut hello = Hello::tls13()
            .without(KEY_SHARE)
            .without(VERSIONS)
            .with(POINT_FORMATS, vec8(&[0]))
            .with(EXTENDED_MASTER_SECRET, vec![])
            .with(RENEGOTIATION_INFO, vec8(&[]));
        hello.session_id.clear();
        hello.suites = vec![0x1a1a, 0xc02b, 0xc02c, 0xcca9];
        hello
    }

    /// Replaces the data of an extension.
    pub fn set(mut self, kind: u16, data: Vec<u8>) -> Self {
        self.extensions
            .iter_mut()
            .find(|(k, _)| *k == kind)
            .expect("extension")
            .1 = data;
        self
    }

    pub fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(k, _)| *k != kind);
        self
    }

    pub fn with(mut self, kind: u16, data: Vec<u8>) -> Self {
        self.extensions.push((kind, data));
        self
    }

    /// Announces early data, and offers the ticket of another server that permitted it.
    pub fn with_early_data(self) -> Self {
        self.with(PSK_MODES, vec8(&[1]))
            .with(EARLY_DATA, vec![])
            .with(PRE_SHARED_KEY, psks(&[b"another ticket"], 1))
    }

    /// The message, with its header.
    pub fn message(&self) -> Vec<u8> {
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .flat_map(|(k, data)| [&k.to_be_bytes(), &vec16(data)[..]].concat())
            .collect();
        let body = [
            &self.version.to_be_bytes()[..],
            &self.random,
            &vec8(&self.session_id),
            &vec16(&u16s(&self.suites)),
            &vec8(&self.compression),
            &vec16(&extensions),
        ]
        .concat();
        message(1, &body)
    }

    /// The message in one record.
    pub fn record(&self) -> Vec<u8> {
        record(22, &self.message())
    }
}

/// The types in a list of extensions, with its length in front.
pub fn extension_types(list: &[u8]) -> Vec<u16> {
    let len = usize::from(u16::from_be_bytes([list[0], list[1]]));
    let mut rest = &list[2..2 + len];
    let mut types = Vec::new();
    while !rest.is_empty() {
        types.push(u16::from_be_bytes([rest[0], rest[1]]));
        rest = &rest[4 + usize::from(u16::from_be_bytes([rest[2], rest[3]]))..];
    }
    types
}
