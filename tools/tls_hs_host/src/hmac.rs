// SPDX-License-Identifier: GPL-2.0
//! HMAC with a prepared key: the states of both hashes behind their first block, as the kernel's
//! library keeps them. The compression functions are RustCrypto's.

use sha2::{compress256, compress512};
use tls_hs::{wipe, Hmac};

macro_rules! hmac {
    ($name:ident $doc:literal $hash:ty, $compress:ident, $word:ty, $initial:expr,
     block $block:literal, length $length:ty, out $out:literal) => {
        #[doc = $doc]
        pub struct $name {
            /// Bytes of the words: the inner state, then the outer one.
            states: [[$word; 8]; 2],
        }

        impl $name {
            /// Goes on from `state`, behind one block, to the end of the message.
            fn finish(state: &mut [$word; 8], message: &[&[u8]]) {
                let mut block = [0; $block];
                let mut filled = 0;
                let mut len = $block;
                for part in message {
                    let mut part = *part;
                    len += part.len();
                    while !part.is_empty() {
                        let (now, later) = part.split_at(part.len().min($block - filled));
                        block[filled..filled + now.len()].copy_from_slice(now);
                        filled += now.len();
                        part = later;
                        if filled == $block {
                            $compress(state, &[block.into()]);
                            filled = 0;
                        }
                    }
                }
                block[filled] = 0x80;
                block[filled + 1..].fill(0);
                let length_at = $block - size_of::<$length>();
                if filled + 1 > length_at {
                    $compress(state, &[block.into()]);
                    block.fill(0);
                }
                block[length_at..].copy_from_slice(&(8 * len as $length).to_be_bytes());
                $compress(state, &[block.into()]);
                wipe(&mut block);
            }

            fn bytes(state: &[$word; 8]) -> [u8; 8 * size_of::<$word>()] {
                let mut bytes = [0; 8 * size_of::<$word>()];
                for (to, word) in bytes.chunks_mut(size_of::<$word>()).zip(state) {
                    to.copy_from_slice(&word.to_be_bytes());
                }
                bytes
            }
        }

        impl Hmac<$out> for $name {
            fn new() -> Self {
                $name {
                    states: [[0; 8]; 2],
                }
            }

            fn set_key(&mut self, key: &[u8]) {
                let mut short = [0; $block];
                if key.len() > $block {
                    let digest = <$hash as sha2::Digest>::digest(key);
                    short[..$out].copy_from_slice(&digest);
                } else {
                    short[..key.len()].copy_from_slice(key);
                }
                for (state, pad) in self.states.iter_mut().zip([0x36, 0x5c]) {
                    let mut block = short.map(|byte| byte ^ pad);
                    *state = $initial;
                    $compress(state, &[block.into()]);
                    wipe(&mut block);
                }
                wipe(&mut short);
            }

            fn mac(&self, message: &[&[u8]], out: &mut [u8; $out]) {
                let [mut inner, mut outer] = self.states;
                Self::finish(&mut inner, message);
                let digest = Self::bytes(&inner);
                Self::finish(&mut outer, &[&digest[..$out]]);
                out.copy_from_slice(&Self::bytes(&outer)[..$out]);
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.states = [[0; 8]; 2];
                std::hint::black_box(&mut self.states);
            }
        }
    };
}

/// FIPS 180-4 section 5.3.3.
const SHA256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// FIPS 180-4 section 5.3.4.
const SHA384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];

hmac!(HmacSha256 "HMAC-SHA-256." sha2::Sha256, compress256, u32, SHA256, block 64, length u64, out 32);
hmac!(HmacSha384 "HMAC-SHA-384." sha2::Sha384, compress512, u64, SHA384, block 128, length u128, out 48);

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::Mac;

    /// Against the crate of that name, at all lengths around those of blocks.
    #[test]
    fn codes_are_those_of_the_crate() {
        let bytes: Vec<u8> = (0..400u16).map(|i| (i * 7) as u8).collect();
        for key_len in [0, 1, 32, 48, 63, 64, 65, 127, 128, 129, 200] {
            let key = &bytes[..key_len];
            let (mut short, mut long) = (HmacSha256::new(), HmacSha384::new());
            short.set_key(key);
            long.set_key(key);
            let crate_short = <hmac::Hmac<sha2::Sha256> as Mac>::new_from_slice(key).unwrap();
            let crate_long = <hmac::Hmac<sha2::Sha384> as Mac>::new_from_slice(key).unwrap();
            for len in 0..bytes.len() {
                let (a, b) = bytes[..len].split_at(len / 3);
                let (mut out32, mut out48) = ([0; 32], [0; 48]);
                short.mac(&[a, &[], b], &mut out32);
                long.mac(&[a, b], &mut out48);
                let expected = crate_short.clone().chain_update(&bytes[..len]).finalize();
                assert_eq!(out32[..], expected.into_bytes()[..]);
                let expected = crate_long.clone().chain_update(&bytes[..len]).finalize();
                assert_eq!(out48[..], expected.into_bytes()[..]);
            }
        }
    }
}
