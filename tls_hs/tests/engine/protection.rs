// SPDX-License-Identifier: GPL-2.0
//! Records of TLS 1.3 with AES-128-GCM and SHA-256, made and opened by the tests themselves.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::Aes128Gcm;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

pub fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<sha2::Sha256> as Mac>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// HKDF-Expand-Label for at most 32 bytes.
pub fn expand_label(secret: &[u8], label: &str, context: &[u8], len: usize) -> Vec<u8> {
    let mut info = (len as u16).to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    info.push(1);
    hmac(secret, &info)[..len].to_vec()
}

/// One direction.
pub struct Protection {
    pub key: Vec<u8>,
    pub iv: Vec<u8>,
    pub seq: u64,
}

impl Protection {
    pub fn new(secret: &[u8]) -> Self {
        let key = expand_label(secret, "key", &[], 16);
        Protection {
            key,
            iv: expand_label(secret, "iv", &[], 12),
            seq: 0,
        }
    }

    fn nonce(&mut self) -> Vec<u8> {
        let mut nonce = self.iv.clone();
        nonce[4..]
            .iter_mut()
            .zip(self.seq.to_be_bytes())
            .for_each(|(n, s)| *n ^= s);
        self.seq += 1;
        nonce
    }

    /// A record with `content` of type `kind` and `padding` zeros.
    pub fn seal(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let inner = [content, &[kind], &vec![0; padding]].concat();
        let header = [&[23, 3, 3], &(inner.len() as u16 + 16).to_be_bytes()[..]].concat();
        let nonce = self.nonce();
        let cipher = Aes128Gcm::new_from_slice(&self.key).unwrap();
        let payload = Payload {
            msg: &inner,
            aad: &header,
        };
        let nonce: [u8; 12] = nonce.try_into().unwrap();
        [
            header.clone(),
            cipher.encrypt(&nonce.into(), payload).unwrap(),
        ]
        .concat()
    }

    /// Content and type of a record.
    pub fn open(&mut self, record: &[u8]) -> (u8, Vec<u8>) {
        let nonce: [u8; 12] = self.nonce().try_into().unwrap();
        let cipher = Aes128Gcm::new_from_slice(&self.key).unwrap();
        let payload = Payload {
            msg: &record[5..],
            aad: &record[..5],
        };
        let mut inner = cipher
            .decrypt(&nonce.into(), payload)
            .expect("a record under these keys");
        while inner.last() == Some(&0) {
            inner.pop();
        }
        let kind = inner.pop().expect("a content type");
        (kind, inner)
    }
}

/// The secrets of a client whose P-256 private key is 1, so that its share is the generator and the
/// shared secret the x-coordinate of the server's share.
pub struct Secrets {
    pub client_handshake: Vec<u8>,
    pub server_handshake: Vec<u8>,
    master: Vec<u8>,
}

impl Secrets {
    /// From the messages so far and the ServerHello, which is the last of them.
    pub fn new(messages: &[u8], server_hello: &[u8]) -> Self {
        let at = server_hello
            .windows(5)
            .position(|w| w == [0, 23, 0, 65, 4])
            .expect("a share");
        let shared = &server_hello[at + 5..][..32];
        let nothing = Sha256::digest([]);
        let hash = Sha256::digest(messages);
        let early = hmac(&[0; 32], &[0; 32]);
        let handshake = hmac(&expand_label(&early, "derived", &nothing, 32), shared);
        Secrets {
            client_handshake: expand_label(&handshake, "c hs traffic", &hash, 32),
            server_handshake: expand_label(&handshake, "s hs traffic", &hash, 32),
            master: hmac(&expand_label(&handshake, "derived", &nothing, 32), &[0; 32]),
        }
    }

    /// The application traffic secret of `side`, "c" or "s", from the messages up to the server's
    /// Finished.
    pub fn application(&self, side: &str, messages: &[u8]) -> Vec<u8> {
        expand_label(
            &self.master,
            &format!("{side} ap traffic"),
            &Sha256::digest(messages),
            32,
        )
    }

    /// The client's Finished.
    pub fn finished(&self, messages: &[u8]) -> Vec<u8> {
        let key = expand_label(&self.client_handshake, "finished", &[], 32);
        crate::hello::message(20, &hmac(&key, &Sha256::digest(messages)))
    }
}

/// Splits a stream into its records.
pub fn split_records(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !stream.is_empty() {
        let len = 5 + usize::from(u16::from_be_bytes([stream[3], stream[4]]));
        let (record, rest) = stream.split_at(len);
        records.push(record);
        stream = rest;
    }
    records
}
