// SPDX-License-Identifier: GPL-2.0
//! The TLS 1.2 PRF and what is made with it, RFC 5246 sections 5, 6.3 and 8.1 and RFC 7627.

use crate::codec::copy;
use crate::key_schedule::{first, Mac};
use crate::record::Traffic;
use crate::secret::Secret;
use crate::transcript::Digest;
use crate::{Aead, Crypto, HashAlgorithm, Suite};

/// Length of verify_data.
pub const VERIFY_DATA_LEN: usize = 12;

/// PRF(secret, label, a + b), RFC 5246 section 5, in pieces of the length of the hash.
fn prf<C: Crypto>(
    hash: HashAlgorithm,
    secret: &[u8],
    label: &[u8],
    seed: [&[u8]; 2],
    out: &mut [u8],
) {
    let [x, y] = seed;
    let mut mac = Mac::<C>::new(hash);
    mac.set_key(secret);
    let mut a = Secret::<48>::zero();
    let mut block = Secret::<48>::zero();
    // A(1), then A(i): none that is not needed.
    mac.mac(&[label, x, y], a.bytes_mut());
    let mut pieces = out.chunks_mut(hash.output_len()).peekable();
    while let Some(piece) = pieces.next() {
        let message = [first(a.bytes(), hash), label, x, y];
        mac.mac(&message, block.bytes_mut());
        copy(first(block.bytes(), hash), piece);
        if pieces.peek().is_some() {
            mac.mac(&[first(a.bytes(), hash)], block.bytes_mut());
            copy(block.bytes(), a.bytes_mut());
        }
    }
}

/// What the master secret is made from beside the premaster secret.
pub enum MasterSeed<'a> {
    /// The randoms of client and server.
    Randoms(&'a [u8; 32], &'a [u8; 32]),
    /// RFC 7627 section 4: the hash of ClientHello..ClientKeyExchange.
    SessionHash(&'a Digest),
}

/// The master secret.
pub fn master_secret<C: Crypto>(
    hash: HashAlgorithm,
    premaster: &[u8],
    seed: MasterSeed<'_>,
    master: &mut Secret<48>,
) {
    let (label, seed): (&[u8], [&[u8]; 2]) = match seed {
        MasterSeed::Randoms(client, server) => (b"master secret", [client, server]),
        MasterSeed::SessionHash(hash) => (b"extended master secret", [hash.bytes(), &[]]),
    };
    prf::<C>(hash, premaster, label, seed, master.bytes_mut());
}

/// Keys of both directions. Neither is protected yet.
pub fn prepare_keys<C: Crypto>(
    suite: Suite,
    master: &Secret<48>,
    client_random: &[u8; 32],
    server_random: &[u8; 32],
    read: &mut Traffic,
    write: &mut Traffic,
) {
    // client_write_key, server_write_key, client_write_IV, server_write_IV.
    let mut block = Secret::<{ 2 * 32 + 2 * 12 }>::zero();
    let key_len = suite.aead().key_len();
    let iv_len = match suite.aead() {
        Aead::Aes128Gcm | Aead::Aes256Gcm => 4,
        Aead::Chacha20Poly1305 => 12,
    };
    let seed: [&[u8]; 2] = [server_random, client_random];
    let len = 2usize.saturating_mul(key_len.saturating_add(iv_len));
    let needed = block.bytes_mut().get_mut(..len).unwrap_or(&mut []);
    let label = b"key expansion";
    prf::<C>(suite.hash(), master.bytes(), label, seed, needed);
    let mut reader = crate::codec::Reader::new(block.bytes());
    let mut next = |len| reader.take(len).unwrap_or(&[]);
    let (client, server) = (next(key_len), next(key_len));
    read.prepare_tls12(suite, client, next(iv_len));
    write.prepare_tls12(suite, server, next(iv_len));
}

/// verify_data of the Finished of `label`'s side.
pub fn verify_data<C: Crypto>(
    hash: HashAlgorithm,
    master: &Secret<48>,
    label: &[u8],
    messages: &Digest,
    out: &mut [u8; VERIFY_DATA_LEN],
) {
    prf::<C>(hash, master.bytes(), label, [messages.bytes(), &[]], out);
}
