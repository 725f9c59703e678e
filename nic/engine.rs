// SPDX-License-Identifier: GPL-2.0

//! The cryptography of the device: one direction of one connection, packet by packet.

use crate::kern::gcm::{equal, Key, Message};
use kernel::prelude::*;
use offload_ndo::{Framer, Part, Protocol};
use tlsdev::Session;

/// What is done with the content of records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Seal,
    Open,
}

/// Key and state. The place in the stream, a [`Framer`], comes with every packet.
pub(crate) struct Engine {
    key: KBox<Key>,
    iv: [u8; 12],
    protocol: Protocol,
    message: Message,
    tag: [u8; 16],
}

impl Engine {
    pub(crate) fn new(session: &Session) -> Result<Self> {
        Ok(Self {
            key: Key::new(session.key())?,
            iv: *session.iv(),
            protocol: session.protocol(),
            message: Message::none(),
            tag: [0; 16],
        })
    }

    /// How the connection's records are protected.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Encrypts the next bytes of the stream, and writes tags where records end. False if they
    /// are no records.
    pub(crate) fn seal(&mut self, framer: &mut Framer, bytes: &mut [u8]) -> bool {
        self.run(Mode::Seal, framer, bytes)
    }

    /// Decrypts the next bytes of the stream. False if a tag is wrong, or they are no records.
    pub(crate) fn open(&mut self, framer: &mut Framer, bytes: &mut [u8]) -> bool {
        self.run(Mode::Open, framer, bytes)
    }

    fn run(&mut self, mode: Mode, framer: &mut Framer, bytes: &mut [u8]) -> bool {
        let mut rest = bytes;
        while let Some((piece, bytes)) = framer.next_mut(&mut rest) {
            match piece.part {
                Part::Header | Part::Nonce => {
                    let last = match self.protocol.nonce_len() {
                        0 => Part::Header,
                        _ => Part::Nonce,
                    };
                    if piece.part == last && piece.part_done {
                        let Some(aad) = framer.aad() else {
                            return false;
                        };
                        let nonce = framer.nonce(&self.iv);
                        self.message.begin(&self.key, nonce, aad.as_ref());
                    }
                }
                Part::Content => {
                    let begun = match mode {
                        Mode::Seal => self.message.encrypt(&self.key, bytes),
                        Mode::Open => self.message.decrypt(&self.key, bytes),
                    };
                    if !begun {
                        return false;
                    }
                }
                Part::Tag => {
                    if piece.offset == 0 {
                        let Some(tag) = self.message.tag(&self.key) else {
                            return false;
                        };
                        self.tag = tag;
                    }
                    let tag = self.tag.get(piece.offset as usize..).unwrap_or(&[]);
                    match mode {
                        Mode::Seal => {
                            for (to, from) in bytes.iter_mut().zip(tag) {
                                *to = *from;
                            }
                        }
                        Mode::Open => match tag.get(..bytes.len()) {
                            Some(tag) if equal(tag, bytes) => {}
                            _ => return false,
                        },
                    }
                }
            }
        }
        !framer.lost()
    }
}
