// SPDX-License-Identifier: GPL-2.0

//! AES-GCM in pieces of any length, as NIST SP 800-38D has it: lib/crypto's AES and GHASH, of
//! which the library's own AES-GCM does a whole message only.

use core::mem::MaybeUninit;
use core::ptr;
use kernel::prelude::*;
use tlsdev::bindings::{self, aes_enckey, ghash_ctx, ghash_key};

const BLOCK: usize = 16;

/// An expanded key, overwritten when it is dropped.
///
/// # Invariants
///
/// Both halves are initialised.
pub(crate) struct Key {
    aes: aes_enckey,
    ghash: ghash_key,
}

impl Key {
    /// `key` is 16 or 32 bytes long.
    pub(crate) fn new(key: &[u8]) -> Result<KBox<Self>> {
        let mut new = KBox::new(
            // SAFETY: Plain data.
            unsafe { MaybeUninit::<Self>::zeroed().assume_init() },
            GFP_KERNEL,
        )?;
        let mut h = [0; BLOCK];
        // SAFETY: `key` is readable; the invariant holds from here on.
        unsafe {
            kernel::error::to_result(bindings::aes_prepareenckey(
                &mut new.aes,
                key.as_ptr(),
                key.len(),
            ))?;
            new.block(&mut h);
            bindings::ghash_preparekey(&mut new.ghash, h.as_ptr());
            bindings::tlsdev_wipe(h.as_mut_ptr().cast(), BLOCK);
        }
        Ok(new)
    }

    /// Encrypts a block in place.
    fn block(&self, block: &mut [u8; BLOCK]) {
        let block = block.as_mut_ptr();
        // SAFETY: By the invariants; input and output may be the same.
        unsafe {
            let key = bindings::aes_encrypt_arg { enc_key: &self.aes };
            bindings::aes_encrypt(key, block, block);
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: Plain data that nobody uses any more.
        unsafe { bindings::tlsdev_wipe(ptr::from_mut(self).cast(), size_of::<Self>()) }
    }
}

/// A message under way. Its key comes with every call.
pub(crate) struct Message {
    ghash: ghash_ctx,
    /// The block that the counter was encrypted into, of which `used` bytes are.
    stream: [u8; BLOCK],
    used: usize,
    nonce: [u8; 12],
    counter: u32,
    aad: u64,
    content: u64,
}

// SAFETY: The pointer to a key within is set at every call.
unsafe impl Send for Message {}

impl Message {
    /// None: [`Message::begin`] has to come first.
    pub(crate) fn none() -> Self {
        Self {
            // SAFETY: Plain data.
            ghash: unsafe { MaybeUninit::zeroed().assume_init() },
            stream: [0; BLOCK],
            used: BLOCK,
            nonce: [0; 12],
            counter: 1,
            aad: 0,
            content: 0,
        }
    }

    /// Begins a message.
    pub(crate) fn begin(&mut self, key: &Key, nonce: [u8; 12], aad: &[u8]) {
        *self = Self::none();
        self.nonce = nonce;
        self.aad = aad.len() as u64;
        // SAFETY: The context is writable.
        unsafe { bindings::tlsdev_ghash_init(&mut self.ghash, &key.ghash) };
        self.hash(key, aad);
        self.pad(key, aad.len());
    }

    /// Encrypts the next bytes of the content.
    pub(crate) fn encrypt(&mut self, key: &Key, data: &mut [u8]) {
        self.crypt(key, data);
        self.content = self.content.wrapping_add(data.len() as u64);
        self.hash(key, data);
    }

    /// Decrypts the next bytes of the content.
    pub(crate) fn decrypt(&mut self, key: &Key, data: &mut [u8]) {
        self.hash(key, data);
        self.content = self.content.wrapping_add(data.len() as u64);
        self.crypt(key, data);
    }

    /// The message's tag.
    pub(crate) fn tag(&mut self, key: &Key) -> [u8; BLOCK] {
        self.pad(key, self.content as usize);
        let bits = |bytes: u64| bytes.wrapping_mul(8).to_be_bytes();
        self.hash(key, &bits(self.aad));
        self.hash(key, &bits(self.content));
        let mut tag = [0; BLOCK];
        self.ghash.key = &key.ghash;
        // SAFETY: The context is initialised, `tag` has the size of the digest.
        unsafe { bindings::ghash_final(&mut self.ghash, tag.as_mut_ptr()) };
        for (byte, mask) in tag.iter_mut().zip(self.counter_block(key, 1)) {
            *byte ^= mask;
        }
        tag
    }

    fn hash(&mut self, key: &Key, data: &[u8]) {
        self.ghash.key = &key.ghash;
        // SAFETY: The context is initialised, or all zeros but for its key, which is the same.
        unsafe { bindings::ghash_update(&mut self.ghash, data.as_ptr(), data.len()) };
    }

    /// Fills up the last block of `len` bytes.
    fn pad(&mut self, key: &Key, len: usize) {
        let zeros = [0; BLOCK];
        let padding = zeros.get(..len.wrapping_neg() % BLOCK).unwrap_or(&[]);
        self.hash(key, padding);
    }

    fn counter_block(&self, key: &Key, counter: u32) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let counter = counter.to_be_bytes();
        let bytes = Iterator::chain(self.nonce.iter(), &counter);
        for (to, from) in block.iter_mut().zip(bytes) {
            *to = *from;
        }
        key.block(&mut block);
        block
    }

    fn crypt(&mut self, key: &Key, data: &mut [u8]) {
        for byte in data {
            if self.used >= BLOCK {
                self.counter = self.counter.wrapping_add(1);
                self.stream = self.counter_block(key, self.counter);
                self.used = 0;
            }
            *byte ^= self.stream.get(self.used).copied().unwrap_or(0);
            self.used = self.used.wrapping_add(1);
        }
    }
}

/// In constant time.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: Both have that many bytes.
    a.len() == b.len() && unsafe { bindings::tlsdev_equal(a.as_ptr(), b.as_ptr(), a.len()) }
}

/// Test case 4 of the GCM specification, split at every byte.
pub(crate) fn self_test() -> Result {
    let key = Key::new(&hex(0xfeff_e992_8665_731c, 0x6d6a_8f94_6730_8308))?;
    let nonce = [
        0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88,
    ];
    let mut aad = [0; 20];
    let front = hex(0xfeed_face_dead_beef, 0xfeed_face_dead_beef);
    let bytes = Iterator::chain(front.iter(), &[0xab, 0xad, 0xda, 0xd2]);
    for (to, from) in aad.iter_mut().zip(bytes) {
        *to = *from;
    }
    let plain = [
        hex(0xd931_3225_f884_06e5, 0xa559_09c5_aff5_269a),
        hex(0x86a7_a953_1534_f7da, 0x2e4c_303d_8a31_8a72),
        hex(0x1c3c_0c95_9568_0953, 0x2fcf_0e24_49a6_b525),
        hex(0xb16a_edf5_aa0d_e657, 0xba63_7b39_0000_0000),
    ];
    let tag = hex(0x5bc9_4fbc_3221_a5db, 0x94fa_e95a_e712_1a47);
    let text = plain.as_flattened().get(..60).unwrap_or(&[]);
    for split in 0..=text.len() {
        let mut data = [0; 60];
        data.copy_from_slice(text);
        let mut message = Message::none();
        for decrypt in [false, true] {
            message.begin(&key, nonce, &aad);
            let (head, tail) = data.split_at_mut_checked(split).ok_or(EINVAL)?;
            for part in [head, tail] {
                match decrypt {
                    false => message.encrypt(&key, part),
                    true => message.decrypt(&key, part),
                }
            }
            if !equal(&message.tag(&key), &tag) {
                pr_err!("AES-GCM gives wrong results\n");
                return Err(EINVAL);
            }
        }
        if !equal(&data, text) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

fn hex(high: u64, low: u64) -> [u8; BLOCK] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}
