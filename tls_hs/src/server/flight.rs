// SPDX-License-Identifier: GPL-2.0
//! Sending a flight in pieces without storing it.
//!
//! The messages of a flight are values that encode themselves the same way each time. To send the
//! bytes from some position on, they are encoded through a window that starts there.

use crate::codec::{copy, Encode, Window};
use crate::record::{ContentType, Traffic};
use crate::{Environment, Error};

/// Least content of a record, unless less is left to send.
const CONTENT_MIN: usize = 64;

/// What a flight consists of: messages under the keys in use, if any, a change_cipher_spec record,
/// and messages under the keys that are then activated. The messages of each part share records where they fit.
pub trait Flight {
    /// Whether there are new keys.
    const NEW_KEYS: bool = false;

    /// Messages under the keys in use before.
    fn plain<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a;

    /// Whether a change_cipher_spec record follows them.
    fn change_cipher_spec(&self) -> bool {
        false
    }

    /// Messages under new keys.
    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        None::<u8>
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Plain,
    ChangeCipherSpec,
    Protected,
    Complete,
}

/// How much of a flight has been sent.
pub struct Cursor {
    part: Part,
    /// Bytes of the part.
    sent: usize,
}

impl Cursor {
    pub const fn new() -> Self {
        Cursor {
            part: Part::Plain,
            sent: 0,
        }
    }

    /// Writes records to `out` as long as they fit. Returns their length, and whether the flight
    /// is complete. `fragment_max` holds for protected records.
    pub fn transmit<F: Flight, E: Environment>(
        &mut self,
        flight: &F,
        write: &mut Traffic,
        fragment_max: u16,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        let mut done: usize = 0;
        while self.part != Part::Complete {
            let room = out.get_mut(done..).unwrap_or(&mut []);
            let skip = self.sent;
            let (kind, size) = match self.part {
                Part::Plain => (ContentType::Handshake, flight.plain(env).size()),
                Part::ChangeCipherSpec => (
                    ContentType::ChangeCipherSpec,
                    flight.change_cipher_spec().into(),
                ),
                _ => (ContentType::Handshake, flight.protected(env).size()),
            };
            let limit = match write.active() {
                true => fragment_max.into(),
                false => env.config().fragment_max().into(),
            };
            let left = size.saturating_sub(skip);
            if left == 0 {
                self.next_part::<F>(write);
                continue;
            }
            if room.len()
                < write
                    .overhead()
                    .saturating_add(left.min(CONTENT_MIN).min(limit))
            {
                break;
            }
            let part = self.part;
            let len = write.write(env, kind, limit.min(left), room, |env, content| {
                if part == Part::ChangeCipherSpec {
                    return copy(&[1], content);
                }
                let mut window = Window::new(skip, content);
                if part == Part::Plain {
                    flight.plain(env).encode(&mut window);
                } else {
                    flight.protected(env).encode(&mut window);
                }
                window.filled()
            })?;
            done = done.saturating_add(len);
            self.sent = skip.saturating_add(len.saturating_sub(write.overhead()));
        }
        Ok((done, self.part == Part::Complete))
    }

    fn next_part<F: Flight>(&mut self, write: &mut Traffic) {
        self.sent = 0;
        self.part = match self.part {
            Part::Plain => Part::ChangeCipherSpec,
            Part::ChangeCipherSpec if F::NEW_KEYS => {
                write.activate();
                Part::Protected
            }
            _ => Part::Complete,
        };
    }
}
