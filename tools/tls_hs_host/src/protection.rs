// SPDX-License-Identifier: GPL-2.0
//! Record protection of one direction, from what kTLS is given: key, IV, sequence number.

use tls_hs::{Aead, Crypto, Secret, Suite, Traffic, Version};

use crate::HostCrypto;

/// Length of a record header.
pub(crate) const HEADER_LEN: usize = 5;
const TAG_LEN: usize = 16;

/// Keys and sequence number of one direction.
pub(crate) struct Direction {
    version: Version,
    suite: Suite,
    key: Secret<32>,
    iv: Secret<12>,
    seq: u64,
}

impl Direction {
    /// The direction whose keys the engine hands over.
    pub fn new(version: Version, suite: Suite, traffic: &Traffic) -> Self {
        let mut direction = Direction {
            version,
            suite,
            key: Secret::zero(),
            iv: Secret::zero(),
            seq: traffic.seq(),
        };
        direction.key.bytes_mut()[..traffic.key().len()].copy_from_slice(traffic.key());
        *direction.iv.bytes_mut() = *traffic.iv();
        direction
    }

    /// Replaces keys and sequence number by those of the next generation.
    pub(crate) fn update(&mut self, traffic: &Traffic) {
        *self = Direction::new(self.version, self.suite, traffic);
    }

    fn key(&self) -> &[u8] {
        &self.key.bytes()[..self.suite.aead().key_len()]
    }

    /// Whether each record carries its own part of the nonce: AES-GCM in TLS 1.2, RFC 5288.
    fn has_explicit_nonce(&self) -> bool {
        self.version == Version::Tls12 && self.suite.aead() != Aead::Chacha20Poly1305
    }

    /// The nonce of the record with the current sequence number.
    fn nonce(&self, explicit: Option<[u8; 8]>) -> [u8; 12] {
        let mut nonce = *self.iv.bytes();
        match explicit {
            Some(explicit) => nonce[4..].copy_from_slice(&explicit),
            None => nonce[4..]
                .iter_mut()
                .zip(self.seq.to_be_bytes())
                .for_each(|(n, s)| *n ^= s),
        }
        nonce
    }

    fn additional_data(&self, header: [u8; HEADER_LEN], content_len: usize) -> Vec<u8> {
        match self.version {
            Version::Tls13 => header.to_vec(),
            Version::Tls12 => {
                let len = (content_len as u16).to_be_bytes();
                [&self.seq.to_be_bytes(), &header[..3], &len].concat()
            }
        }
    }

    /// Appends a record to `out`. `content` has at most 16384 bytes.
    pub(crate) fn seal(
        &mut self,
        crypto: &mut HostCrypto,
        kind: u8,
        content: &[u8],
        out: &mut Vec<u8>,
    ) {
        let explicit = self.has_explicit_nonce().then(|| self.seq.to_be_bytes());
        let (outer, mut data) = match self.version {
            Version::Tls12 => (kind, content.to_vec()),
            Version::Tls13 => (23, [content, &[kind]].concat()),
        };
        let len = explicit.map_or(0, |e| e.len()) + data.len() + TAG_LEN;
        let [high, low] = (len as u16).to_be_bytes();
        let header = [outer, 3, 3, high, low];
        let aad = self.additional_data(header, content.len());
        let nonce = self.nonce(explicit);
        let tag = crypto
            .seal(self.suite.aead(), self.key(), &nonce, &aad, &mut data)
            .expect("keys of the right length");
        self.seq += 1;
        out.extend_from_slice(&header);
        out.extend_from_slice(&explicit.unwrap_or_default()[..explicit.map_or(0, |e| e.len())]);
        out.extend_from_slice(&data);
        out.extend_from_slice(&tag);
    }

    /// Type and content of a record, without the limits on either; nothing if it does not
    /// authenticate, a type of 0 if it has only padding.
    pub(crate) fn open(
        &mut self,
        crypto: &mut HostCrypto,
        header: [u8; HEADER_LEN],
        body: &[u8],
    ) -> Option<(u8, Vec<u8>)> {
        let (explicit, body) = if self.has_explicit_nonce() {
            let (explicit, body) = body.split_first_chunk::<8>()?;
            (Some(*explicit), body)
        } else {
            (None, body)
        };
        let (data, tag) = body.split_last_chunk::<TAG_LEN>()?;
        let mut data = data.to_vec();
        let aad = self.additional_data(header, data.len());
        let nonce = self.nonce(explicit);
        crypto
            .open(self.suite.aead(), self.key(), &nonce, &aad, &mut data, tag)
            .ok()?;
        self.seq += 1;
        if self.version == Version::Tls12 {
            return Some((header[0], data));
        }
        let end = data.iter().rposition(|&byte| byte != 0);
        let kind = end.map_or(0, |end| data[end]);
        data.truncate(end.unwrap_or(0));
        Some((kind, data))
    }
}
