// SPDX-License-Identifier: GPL-2.0
//! A TLS connection over anything that reads and writes, blocking.

use std::io::{Read, Write};

use crate::{Endpoint, Failure, Handshake, HostCrypto, Outcome, Received, Session};

/// A TLS connection, handshake complete.
pub struct Stream<T> {
    transport: T,
    session: Session,
    outcome: Outcome,
}

impl<T> Stream<T> {
    /// The same connection over another transport.
    pub fn map_transport<U>(self, map: impl FnOnce(T) -> U) -> Stream<U> {
        Stream {
            transport: map(self.transport),
            session: self.session,
            outcome: self.outcome,
        }
    }
}

impl<T: Read + Write> Stream<T> {
    /// Does the server's side of a handshake. On an error the alert has been sent; the transport
    /// is the caller's to close.
    pub fn accept(
        mut transport: T,
        endpoint: &Endpoint,
        crypto: HostCrypto,
    ) -> Result<Self, Failure> {
        let mut handshake = Handshake::new(crypto);
        let mut buffer = [0; 4096];
        loop {
            let result = match transport.read(&mut buffer)? {
                0 => return Err(Failure::Truncated),
                len => handshake.feed(endpoint, &buffer[..len]),
            };
            let written = transport.write_all(&handshake.take_output());
            result.map_err(Failure::Handshake)?;
            written?;
            match handshake.finish(endpoint) {
                Ok((outcome, session)) => {
                    return Ok(Stream {
                        transport,
                        session,
                        outcome,
                    })
                }
                Err(unfinished) => handshake = *unfinished,
            }
        }
    }

    /// What was agreed upon.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The records' side of the connection. What it puts out goes with the next write.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The next data, or the client's close_notify. [`Failure::Truncated`] if the client closes
    /// without one. On an error the alert, if any, has been sent.
    pub fn receive(&mut self) -> Result<Received, Failure> {
        let mut buffer = [0; 4096];
        loop {
            match self.session.receive() {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(failure) => {
                    // The failure counts, not whether the client still hears of it.
                    let _ = self.flush();
                    return Err(failure);
                }
            }
            match self.transport.read(&mut buffer)? {
                0 => return Err(Failure::Truncated),
                len => self.session.feed(&buffer[..len]),
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.transport.write_all(&self.session.take_output())?;
        Ok(self.transport.flush()?)
    }

    /// Sends data.
    pub fn send(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.session.send(data);
        self.flush()
    }

    /// Sends close_notify.
    pub fn close(&mut self) -> Result<(), Failure> {
        self.session.close();
        self.flush()
    }
}
