// SPDX-License-Identifier: GPL-2.0
//! The protocols that the client offered by ALPN, for -expect-advertised-alpn. The engine chooses
//! among them and forgets the list, so the shim looks at what came over the transport itself.

use std::io::{Read, Result, Write};
use std::net::TcpStream;

const HANDSHAKE: u8 = 22;
const ALPN: u16 = 16;

/// A transport that keeps what it has read.
pub struct Recorder<'a> {
    transport: &'a TcpStream,
    bytes: Vec<u8>,
}

impl<'a> Recorder<'a> {
    /// Nothing read yet.
    pub fn new(transport: &'a TcpStream) -> Self {
        Recorder {
            transport,
            bytes: Vec::new(),
        }
    }

    /// What was read.
    pub fn recorded(&self) -> &[u8] {
        &self.bytes
    }
}

impl Read for Recorder<'_> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let len = self.transport.read(out)?;
        self.bytes.extend_from_slice(&out[..len]);
        Ok(len)
    }
}

impl Write for Recorder<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.transport.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.transport.flush()
    }
}

/// Takes a vector with a length of `N` bytes off the front.
fn vector<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = bytes.split_first_chunk::<N>()?;
    let len = len
        .iter()
        .fold(0, |len, &byte| (len << 8) | usize::from(byte));
    let (vector, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some(vector)
}

/// The ProtocolNameList of the first ClientHello, without its length. The engine has accepted that
/// ClientHello.
pub fn protocols(mut stream: &[u8]) -> Option<Vec<u8>> {
    let mut handshake = Vec::new();
    while let [HANDSHAKE, _, _, rest @ ..] = stream {
        stream = rest;
        match vector::<2>(&mut stream) {
            Some(content) => handshake.extend_from_slice(content),
            None => break,
        }
    }
    let hello = vector::<3>(&mut handshake.get(1..)?)?;
    let mut rest = hello.get(2 + 32..)?;
    vector::<1>(&mut rest)?;
    vector::<2>(&mut rest)?;
    vector::<1>(&mut rest)?;
    let mut extensions = vector::<2>(&mut rest)?;
    while let Some((kind, mut rest)) = extensions.split_first_chunk::<2>() {
        let mut data = vector::<2>(&mut rest)?;
        if u16::from_be_bytes(*kind) == ALPN {
            return Some(vector::<2>(&mut data)?.to_vec());
        }
        extensions = rest;
    }
    None
}
