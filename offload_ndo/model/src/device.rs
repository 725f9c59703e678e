// SPDX-License-Identifier: GPL-2.0
//! A device that encrypts or decrypts one direction of one connection, with nothing but the state
//! of one place in the stream.

use offload_ndo::{Framer, Part, Protocol};

use crate::{Cipher, IV};

/// One connection in a device.
#[derive(Clone)]
pub struct Device {
    framer: Framer,
    cipher: Option<Cipher>,
    tag: [u8; 16],
    encrypts: bool,
}

impl Device {
    /// At the first byte of a record.
    pub fn new(protocol: Protocol, number: u64, encrypts: bool) -> Self {
        Device {
            framer: Framer::new(protocol, number),
            cipher: None,
            tag: [0; 16],
            encrypts,
        }
    }

    /// Goes on from a place: in the middle of a record only if it is the one where it stands.
    pub fn go_to(&mut self, framer: Framer) {
        if framer != self.framer {
            assert!(
                framer.offset() < 5,
                "no state for {framer:?} in {:?}",
                self.framer
            );
            self.framer = framer;
            self.cipher = None;
        }
    }

    /// Where it stands.
    pub fn framer(&self) -> &Framer {
        &self.framer
    }

    /// Encrypts or decrypts what comes next in the stream. False if a tag was wrong.
    pub fn process(&mut self, bytes: &mut [u8]) -> bool {
        let mut rest = bytes;
        let mut right = true;
        loop {
            // The tag's last byte moves the framer on to the next record.
            let here = self.framer;
            let Some((piece, bytes)) = self.framer.next_mut(&mut rest) else {
                break;
            };
            if let Part::Content | Part::Tag = piece.part {
                let cipher = self.cipher.get_or_insert_with(|| {
                    let aad = here.aad().expect("content has a header");
                    Cipher::new(&here.nonce(&IV), &aad)
                });
                match (piece.part, self.encrypts) {
                    (Part::Content, true) => cipher.encrypt(bytes),
                    (Part::Content, false) => cipher.decrypt(bytes),
                    (_, encrypts) => {
                        let range = piece.offset as usize..(piece.offset + piece.len) as usize;
                        let tag = &cipher.tag()[range.clone()];
                        match encrypts {
                            true => bytes.copy_from_slice(tag),
                            false => self.tag[range].copy_from_slice(bytes),
                        }
                    }
                }
            }
            if piece.record_done {
                let cipher = self.cipher.take().expect("a tag has a cipher");
                right &= self.encrypts || self.tag == cipher.tag();
            }
        }
        assert!(!self.framer.lost(), "the stream has no bad header");
        right
    }
}
