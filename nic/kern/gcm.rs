// SPDX-License-Identifier: GPL-2.0

//! AES-GCM of lib/crypto, in pieces of any length.

use core::mem::MaybeUninit;
use core::ptr;
use kernel::prelude::*;
use tlsdev::bindings::{self, aes_gcm_ctx, aes_gcm_key};

const BLOCK: usize = 16;

/// An expanded key, overwritten when it is dropped.
///
/// # Invariants
///
/// The key is prepared.
pub(crate) struct Key(aes_gcm_key);

impl Key {
    /// `key` is 16 or 32 bytes long.
    pub(crate) fn new(key: &[u8]) -> Result<KBox<Self>> {
        // SAFETY: Plain data.
        let zeros = unsafe { MaybeUninit::<Self>::zeroed().assume_init() };
        let mut new = KBox::new(zeros, GFP_KERNEL)?;
        // SAFETY: `key` is readable; the invariant holds from here on.
        kernel::error::to_result(unsafe {
            bindings::aes_gcm_preparekey(&mut new.0, key.as_ptr(), key.len(), BLOCK)
        })?;
        Ok(new)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: Plain data that nobody uses any more.
        unsafe { bindings::tlsdev_wipe(ptr::from_mut(self).cast(), size_of::<Self>()) }
    }
}

/// A message under way, if there is one. Its key comes with every call.
///
/// # Invariants
///
/// The context is initialised.
pub(crate) struct Message(Option<aes_gcm_ctx>);

// SAFETY: The pointers to a key within are set at every call.
unsafe impl Send for Message {}

impl Message {
    /// None: [`Message::begin`] has to come first.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Begins a message.
    pub(crate) fn begin(&mut self, key: &Key, nonce: [u8; 12], aad: &[u8]) {
        // SAFETY: Plain data, writable, which is initialised here; the others are readable.
        self.0 = unsafe {
            let mut context = MaybeUninit::zeroed().assume_init();
            bindings::aes_gcm_init(&mut context, nonce.as_ptr(), &key.0);
            bindings::aes_gcm_auth_update(&mut context, aad.as_ptr(), aad.len());
            Some(context)
        };
    }

    /// Encrypts the next bytes of the content. False if there is no message.
    pub(crate) fn encrypt(&mut self, key: &Key, data: &mut [u8]) -> bool {
        let data_ptr = data.as_mut_ptr();
        self.with(key, |context| {
            // SAFETY: The context is initialised; input and output may be the same.
            unsafe { bindings::aes_gcm_encrypt_update(context, data_ptr, data_ptr, data.len()) };
        })
    }

    /// Decrypts the next bytes of the content. False if there is no message.
    pub(crate) fn decrypt(&mut self, key: &Key, data: &mut [u8]) -> bool {
        let data_ptr = data.as_mut_ptr();
        self.with(key, |context| {
            // SAFETY: The context is initialised; input and output may be the same.
            unsafe { bindings::aes_gcm_decrypt_update(context, data_ptr, data_ptr, data.len()) };
        })
    }

    /// The tag of the message, which ends with that.
    pub(crate) fn tag(&mut self, key: &Key) -> Option<[u8; BLOCK]> {
        let mut tag = [0; BLOCK];
        let tag_ptr = tag.as_mut_ptr();
        let whole = self.with(key, |context| {
            // SAFETY: The context is initialised, and overwritten by this; the tag has the length
            // that the key was prepared for.
            unsafe { bindings::aes_gcm_encrypt_final(context, tag_ptr) };
        });
        self.0 = None;
        whole.then_some(tag)
    }

    fn with(&mut self, key: &Key, call: impl FnOnce(&mut aes_gcm_ctx)) -> bool {
        let Some(context) = &mut self.0 else {
            return false;
        };
        context.key = &key.0;
        context.ghash.key = &key.0.ghash;
        call(context);
        true
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: Plain data that nobody uses any more.
        unsafe { bindings::tlsdev_wipe(ptr::from_mut(self).cast(), size_of::<Self>()) }
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
                };
            }
            let right = message.tag(&key).is_some_and(|got| equal(&got, &tag));
            if !right {
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
