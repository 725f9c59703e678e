// SPDX-License-Identifier: GPL-2.0
//! The record layer, RFC 8446 section 5: protection of one direction, and the way records go out.
//! How they come in is in [`inbound`].

pub mod inbound;

pub use inbound::Boundary;

use crate::key_schedule::{first, Mac};
use crate::secret::Secret;
use crate::{Aead, Crypto, Environment, Error, HashAlgorithm, Reason, Suite, Version};

/// Length of a record header.
pub const HEADER_LEN: usize = 5;
/// Most content that one record carries.
pub const PLAINTEXT_MAX: usize = 1 << 14;
/// Most bytes behind the header of a protected record. TLS 1.2 allows 2^14 + 2048, but no cipher
/// suite here expands by more than 24 bytes.
pub const CIPHERTEXT_MAX: usize = PLAINTEXT_MAX + 256;

const TAG_LEN: usize = 16;
/// Bytes behind the content of a protected record of TLS 1.3 without padding: its type and the tag.
pub const TLS13_TRAILER_LEN: usize = 1 + TAG_LEN;

/// ContentType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ContentType {
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

impl ContentType {
    /// The type with this number.
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            20 => ContentType::ChangeCipherSpec,
            21 => ContentType::Alert,
            22 => ContentType::Handshake,
            23 => ContentType::ApplicationData,
            _ => return None,
        })
    }
}

/// Keys and sequence number of one direction.
pub struct Traffic {
    /// Traffic secret of TLS 1.3, from which KeyUpdate derives the next.
    secret: Secret<48>,
    key: Secret<32>,
    iv: Secret<12>,
    seq: u64,
    suite: Suite,
    version: Version,
    /// False as long as records of this direction go unprotected.
    active: bool,
}

impl Traffic {
    /// A direction without protection.
    pub const fn plain() -> Self {
        Traffic {
            secret: Secret::zero(),
            key: Secret::zero(),
            iv: Secret::zero(),
            seq: 0,
            suite: Suite::Aes128GcmSha256,
            version: Version::Tls13,
            active: false,
        }
    }

    /// The AEAD algorithm.
    pub const fn aead(&self) -> Aead {
        self.suite.aead()
    }

    /// The key, [`Aead::key_len`] bytes.
    pub fn key(&self) -> &[u8] {
        let key = self.key.bytes();
        key.get(..self.aead().key_len()).unwrap_or(key)
    }

    /// The static IV: 12 bytes that are combined with the sequence number, or, for AES-GCM in
    /// TLS 1.2, the 4 bytes of the implicit nonce and 8 zeros.
    pub fn iv(&self) -> &[u8; 12] {
        self.iv.bytes()
    }

    /// Sequence number of the next record.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether records are protected.
    pub const fn active(&self) -> bool {
        self.active
    }

    pub(crate) fn secret(&self) -> &[u8; 48] {
        self.secret.bytes()
    }

    /// Replaces the keys by those of the traffic secret that `fill` writes, RFC 8446 section 7.3.
    /// Protection stays as it is: the caller may still have unprotected records to send.
    pub(crate) fn prepare<C: Crypto>(&mut self, suite: Suite, fill: impl FnOnce(&mut [u8])) {
        let hash = suite.hash();
        let secret = self.secret.bytes_mut();
        match hash {
            HashAlgorithm::Sha256 => {
                if let Some(secret) = secret.first_chunk_mut::<32>() {
                    fill(secret);
                }
            }
            HashAlgorithm::Sha384 => fill(secret),
        }
        self.suite = suite;
        self.version = Version::Tls13;
        self.seq = 0;
        let mut mac = Mac::<C>::new(hash);
        mac.set_key(first(self.secret.bytes(), hash));
        let key = self.key.bytes_mut();
        if let Some(key) = key.get_mut(..suite.aead().key_len()) {
            mac.expand_label(b"key", &[], key);
        }
        mac.expand_label(b"iv", &[], self.iv.bytes_mut());
    }

    /// Replaces the keys of a direction that is read, and protects it from here on. RFC 8446
    /// section 5.1: handshake messages MUST NOT span key changes, hence the proof.
    pub(crate) fn change<C: Crypto>(
        &mut self,
        _: Boundary,
        suite: Suite,
        fill: impl FnOnce(&mut [u8]),
    ) {
        self.prepare::<C>(suite, fill);
        self.active = true;
    }

    /// Replaces the keys by those of TLS 1.2. Protection begins with [`Traffic::activate`].
    pub(crate) fn prepare_tls12(&mut self, suite: Suite, key: &[u8], iv: &[u8]) {
        self.wipe();
        crate::codec::copy(key, self.key.bytes_mut());
        crate::codec::copy(iv, self.iv.bytes_mut());
        self.suite = suite;
        self.version = Version::Tls12;
        self.seq = 0;
    }

    /// From here on records of a direction that is read are protected.
    pub(crate) fn activate_read(&mut self, _: Boundary) {
        self.active = true;
    }

    /// From here on records are protected.
    pub(crate) fn activate(&mut self) {
        self.active = true;
    }

    /// Overwrites keys and secret with zeros and ends protection.
    pub fn wipe(&mut self) {
        self.secret.wipe();
        self.key.wipe();
        self.iv.wipe();
        self.active = false;
    }

    fn explicit_nonce_len(&self) -> usize {
        match (self.active, self.version, self.aead()) {
            (true, Version::Tls12, Aead::Aes128Gcm | Aead::Aes256Gcm) => 8,
            _ => 0,
        }
    }

    /// Bytes behind the content: the inner content type of TLS 1.3 and the tag.
    fn trailer_len(&self) -> usize {
        match (self.active, self.version) {
            (false, _) => 0,
            (true, Version::Tls12) => TAG_LEN,
            (true, Version::Tls13) => TLS13_TRAILER_LEN,
        }
    }

    /// Bytes that a record takes beyond its content.
    pub fn overhead(&self) -> usize {
        HEADER_LEN
            .saturating_add(self.explicit_nonce_len())
            .saturating_add(self.trailer_len())
    }

    /// The IV combined with the sequence number: RFC 8446 section 5.3 and RFC 7905 section 2; and
    /// RFC 5288 section 3, since there the IV ends with zeros.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = *self.iv.bytes();
        if let Some(tail) = nonce.last_chunk_mut::<8>() {
            for (n, s) in tail.iter_mut().zip(self.seq.to_be_bytes()) {
                *n ^= s;
            }
        }
        nonce
    }

    /// additional_data: the header in TLS 1.3; sequence number, type, version and length of the
    /// content in TLS 1.2. Returned in the front of a buffer, with its length.
    fn additional_data(&self, header: &[u8; HEADER_LEN], content_len: usize) -> ([u8; 13], usize) {
        let mut data = [0; 13];
        let [kind, major, minor, ..] = *header;
        let len = match self.version {
            Version::Tls13 => crate::codec::copy(header, &mut data),
            Version::Tls12 => {
                let [a, b] = (content_len as u16).to_be_bytes();
                let [s0, s1, s2, s3, s4, s5, s6, s7] = self.seq.to_be_bytes();
                data = [s0, s1, s2, s3, s4, s5, s6, s7, kind, major, minor, a, b];
                data.len()
            }
        };
        (data, len)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.seq = self.seq.checked_add(1).ok_or(Reason::CryptoFailed)?;
        Ok(())
    }

    /// Writes one record with at most `limit` bytes of content to the front of `out` and returns
    /// its length. `fill` puts the content into the room that is given to it and returns its
    /// length. Without room for content nothing is written, and `fill` is not called.
    pub fn write<E: Environment>(
        &mut self,
        env: &mut E,
        kind: ContentType,
        limit: usize,
        out: &mut [u8],
        fill: impl FnOnce(&E, &mut [u8]) -> usize,
    ) -> Result<usize, Error> {
        let room = out.len().saturating_sub(self.overhead()).min(limit);
        if room == 0 {
            return Ok(0);
        }
        let explicit_len = self.explicit_nonce_len();
        let trailer_len = self.trailer_len();
        let (header, body) = out
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(Reason::OutOfOrder)?;
        let (explicit, body) = body
            .split_at_mut_checked(explicit_len)
            .ok_or(Reason::OutOfOrder)?;
        let content_len = fill(env, body.get_mut(..room).ok_or(Reason::OutOfOrder)?).min(room);

        let length = explicit_len
            .saturating_add(content_len)
            .saturating_add(trailer_len);
        let outer = match (self.active, self.version) {
            (true, Version::Tls13) => ContentType::ApplicationData,
            _ => kind,
        };
        let [high, low] = (length as u16).to_be_bytes();
        *header = [outer as u8, 3, 3, high, low];

        if self.active {
            let mut sealed_len = content_len;
            if self.version == Version::Tls13 {
                *body.get_mut(content_len).ok_or(Reason::OutOfOrder)? = kind as u8;
                sealed_len = content_len.saturating_add(1);
            }
            let nonce = self.nonce();
            crate::codec::copy(&self.seq.to_be_bytes(), explicit);
            let (data, tag) = body
                .split_at_mut_checked(sealed_len)
                .ok_or(Reason::OutOfOrder)?;
            let (aad, aad_len) = self.additional_data(header, content_len);
            let aad = aad.get(..aad_len).unwrap_or(&aad);
            let sealed = env
                .crypto()
                .seal(self.aead(), self.key(), &nonce, aad, data)?;
            *tag.first_chunk_mut().ok_or(Reason::OutOfOrder)? = sealed;
            self.advance()?;
        }
        Ok(HEADER_LEN.saturating_add(length))
    }

    /// Removes the protection of a record: its type and its content, which lies in `body`.
    ///
    /// A failure leaves the sequence number as it was, so that early data can be skipped.
    pub fn open<'a, C: Crypto>(
        &mut self,
        crypto: &mut C,
        header: &[u8; HEADER_LEN],
        body: &'a mut [u8],
    ) -> Result<(ContentType, &'a [u8]), Error> {
        let bad = Reason::BadRecordMac;
        let (explicit, body) = body
            .split_at_mut_checked(self.explicit_nonce_len())
            .ok_or(bad)?;
        let (data, tag) = body.split_last_chunk_mut::<TAG_LEN>().ok_or(bad)?;
        let mut nonce = self.nonce();
        if let Some(tail) = nonce.get_mut(4..).filter(|_| !explicit.is_empty()) {
            crate::codec::copy(explicit, tail);
        }
        let (aad, aad_len) = self.additional_data(header, data.len());
        let aad = aad.get(..aad_len).unwrap_or(&aad);
        crypto.open(self.aead(), self.key(), &nonce, aad, data, tag)?;
        self.advance()?;

        if self.version == Version::Tls12 {
            if data.len() > PLAINTEXT_MAX {
                return Err(Reason::RecordOverflow.into());
            }
            let kind = ContentType::from_u8(header[0]).ok_or(Reason::UnexpectedRecord)?;
            return Ok((kind, data));
        }
        // TLSInnerPlaintext: content, type, zeros.
        if data.len() > PLAINTEXT_MAX + 1 {
            return Err(Reason::RecordOverflow.into());
        }
        let end = data
            .iter()
            .rposition(|&byte| byte != 0)
            .ok_or(Reason::EmptyRecord)?;
        let (content, padded) = data.split_at_checked(end).ok_or(Reason::EmptyRecord)?;
        let kind = padded.first().copied().and_then(ContentType::from_u8);
        Ok((kind.ok_or(Reason::UnexpectedRecord)?, content))
    }
}
