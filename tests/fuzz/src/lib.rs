// SPDX-License-Identifier: GPL-2.0
//! A driver of the engine whose cryptography is none: what fuzz targets share.
//!
//! Every MAC, secret and tag is zero and nothing is encrypted, so that the fuzzer can write a
//! Finished message, a ticket or a protected record by itself and gets behind every check of the
//! protocol. It must not be able to make the engine panic, loop, or tell one way of cutting the
//! client's bytes from another.

use tls_hs::session::{Event, Session};
use tls_hs::{
    Aead, Config, Crypto, Environment, Error, Hash, Hmac, NamedGroup, Reason, Server, Step, TicketKey,
    Traffic, Version, ALERT_MAX, MIN_TRANSMIT, SCRATCH_LEN,
};

/// Sums up what it is given.
#[derive(Clone)]
pub struct Sum(u64);

impl<const N: usize> Hash<N> for Sum {
    fn new() -> Self {
        Sum(0xcbf2_9ce4_8422_2325)
    }

    fn update(&mut self, data: &[u8]) {
        for &byte in data {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(self) -> [u8; N] {
        let bytes = self.0.to_be_bytes();
        std::array::from_fn(|i| bytes[i % bytes.len()])
    }
}

/// HMAC with a result that is always zero.
pub struct Zero;

impl<const N: usize> Hmac<N> for Zero {
    fn new() -> Self {
        Zero
    }

    fn set_key(&mut self, _: &[u8]) {}

    fn mac(&self, _: &[&[u8]], out: &mut [u8; N]) {
        *out = [0; N];
    }
}

/// No cryptography.
#[derive(Default)]
pub struct Null {
    random: u8,
}

impl Crypto for Null {
    type Sha256 = Sum;
    type Sha384 = Sum;
    type HmacSha256 = Zero;
    type HmacSha384 = Zero;

    fn seal(
        &mut self,
        aead: Aead,
        key: &[u8],
        _: &[u8; 12],
        _: &[u8],
        _: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        assert_eq!(key.len(), aead.key_len());
        Ok([0; 16])
    }

    fn open(
        &mut self,
        aead: Aead,
        key: &[u8],
        _: &[u8; 12],
        _: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        assert_eq!(key.len(), aead.key_len());
        if *tag == [0; 16] {
            return Ok(());
        }
        data.fill(0xee);
        Err(Reason::BadRecordMac.into())
    }

    fn random(&mut self, out: &mut [u8]) {
        self.random = self.random.wrapping_add(1);
        out.fill(self.random);
    }
}

/// A listener.
pub struct Host {
    crypto: Null,
    config: Config,
    protocols: &'static [u8],
    ocsp_response: &'static [u8],
    strict: bool,
}

/// Two certificates of no meaning.
const CHAIN: [u8; 3 + 40 + 3 + 300] = {
    let mut chain = [0x30; 346];
    chain[0] = 0;
    chain[1] = 0;
    chain[2] = 40;
    chain[43] = 0;
    chain[44] = 1;
    chain[45] = 44;
    chain
};

impl Host {
    /// A listener whose properties are the bits of `choice`; 0 allows everything.
    pub fn new(choice: u8) -> Self {
        let bit = |n: u8| choice & (1 << n) != 0;
        let mut config = Config::SUPPORTED;
        if bit(0) {
            config.versions &= !Version::Tls12.bit();
        }
        if bit(1) {
            config.versions &= !Version::Tls13.bit();
        }
        if bit(2) {
            config.ecurves &= !NamedGroup::X25519.bit();
        }
        if bit(3) {
            config.ecurves &= !NamedGroup::Secp256r1.bit();
        }
        if bit(6) {
            config.fragment_max = 64;
        }
        Host {
            crypto: Null::default(),
            config,
            protocols: if bit(4) { b"\x02h2\x08http/1.1" } else { b"" },
            ocsp_response: if bit(7) { &[0x30; 200] } else { &[] },
            strict: bit(5),
        }
    }
}

impl Environment for Host {
    type Crypto = Null;

    fn crypto(&mut self) -> &mut Null {
        &mut self.crypto
    }

    fn config(&self) -> Config {
        self.config
    }

    fn select_identity(&mut self, server_name: Option<&[u8]>) -> bool {
        assert!(server_name.is_none_or(|name| (1..=255).contains(&name.len())));
        !self.strict || server_name == Some(b"localhost")
    }

    fn certificate_chain(&self) -> &[u8] {
        &CHAIN
    }

    fn alpn_protocols(&self) -> &[u8] {
        self.protocols
    }

    fn ocsp_response(&self) -> &[u8] {
        self.ocsp_response
    }

    /// Keys 0 and 1; 0 is the newer one.
    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        key.name = *name.unwrap_or(&[0; 16]);
        matches!(key.name, [0 | 1, rest @ ..] if rest == [0; 15])
    }

    fn now(&self) -> u64 {
        1 << 20
    }
}

/// How a connection went.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// What the server sent, alert included.
    pub output: Vec<u8>,
    /// Version, whether a session was resumed, and how many of the client's bytes are left over;
    /// `None` if the handshake is not complete.
    pub end: Result<Option<(Version, bool, usize)>, Reason>,
}

/// Shows the engine a client's bytes in pieces of the lengths that `cut` gives.
pub fn run(choice: u8, stream: &[u8], mut cut: impl FnMut() -> usize) -> Run {
    let mut host = Host::new(choice);
    let mut server = Server::new();
    let mut output = Vec::new();
    let (mut consumed, mut arrived) = (0, 0);
    let end = loop {
        match drive(
            &mut server,
            &mut host,
            stream,
            &mut consumed,
            arrived,
            &mut output,
        ) {
            Ok(true) => {
                let established = server.established().expect("is established");
                let mut session = Session::empty();
                session.start(&established);
                after(&mut session, &mut host, &stream[consumed..]);
                // What arrives later belongs to the session as well.
                break Ok(Some((
                    established.version,
                    established.resumed,
                    stream.len() - consumed,
                )));
            }
            Ok(false) if arrived == stream.len() => break Ok(None),
            Ok(false) => arrived = stream.len().min(arrived + cut().max(1)),
            Err(Error(reason)) => {
                let mut alert = [0; ALERT_MAX];
                let len = server.alert(&mut host, reason, &mut alert);
                assert_eq!(len == 0, reason.alert().is_none());
                output.extend_from_slice(&alert[..len]);
                assert!(matches!(server.step(), Step::Failed));
                break Err(reason);
            }
        }
    };
    records(&output);
    Run { output, end }
}

/// Goes on until the engine wants more than has arrived (false) or is done (true).
fn drive(
    server: &mut Server<Null>,
    host: &mut Host,
    stream: &[u8],
    consumed: &mut usize,
    arrived: usize,
    output: &mut Vec<u8>,
) -> Result<bool, Error> {
    let mut scratch = [0; SCRATCH_LEN];
    let mut steps = 0;
    loop {
        // Each step consumes a record or makes a state go by.
        steps += 1;
        assert!(steps < 64 + arrived, "the engine does not come to an end");
        match server.step() {
            Step::Receive => {
                let input = &stream[*consumed..arrived];
                let len = server.receive(host, input, &mut scratch)?;
                assert!(len <= input.len());
                *consumed += len;
                if len == 0 && matches!(server.step(), Step::Receive) {
                    return Ok(false);
                }
            }
            Step::MakeShare { group } => {
                let public = vec![4; group.share_len()];
                server.share_made(host, &[7; 32], &public)?;
            }
            Step::Derive { private, peer, .. } => {
                assert_eq!(*private, [7; 32]);
                let valid = peer.last() != Some(&0xff);
                server.derived(host, valid.then_some(&[9; 32]))?;
            }
            Step::Sign { .. } => {
                server.signed(host, &[0x30, 6, 2, 1, 1, 2, 1, 1])?;
            }
            Step::Transmit => {
                let mut out = [0; 4 * MIN_TRANSMIT];
                let len = server.transmit(host, &mut out)?;
                assert!(len > 0, "there was room enough");
                output.extend_from_slice(&out[..len]);
            }
            Step::Established => return Ok(true),
            Step::Failed => unreachable!("errors were returned"),
        }
    }
}

/// What follows a handshake, taken as (type, length, content).
fn after(session: &mut Session, host: &mut Host, mut bytes: &[u8]) {
    while let [kind, len, rest @ ..] = bytes {
        let (content, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        bytes = rest;
        match session.record(*kind, content) {
            Ok(Event::KeyUpdate { answer }) => {
                session.next_client(&mut host.crypto, &mut Traffic::plain());
                if answer {
                    session.next_server(&mut host.crypto, &mut Traffic::plain());
                }
            }
            Ok(Event::Nothing) => session.received_data(),
            Ok(Event::CloseNotify | Event::Alert(_)) | Err(_) => return,
        }
    }
}

/// What the server sends must be whole records of known types.
fn records(mut output: &[u8]) {
    while !output.is_empty() {
        let ([kind, major, minor, high, low], rest) = output.split_first_chunk().expect("a header");
        assert!((20..=23).contains(kind) && *major == 3 && *minor == 3);
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        assert!((1..=16384 + 256).contains(&len));
        output = &rest[len..];
    }
}

/// Shows the engine the same bytes at once and in pieces, which must not make a difference.
pub fn run_cut(choice: u8, seed: u8, stream: &[u8]) -> Run {
    let whole = run(choice, stream, || stream.len());
    let mut state = u32::from(seed);
    let pieces = run(choice, stream, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Mostly small pieces.
        1 + (state >> 24) as usize * usize::from(state & 0x10_0000 != 0)
    });
    assert_eq!(whole, pieces, "it matters how the bytes arrive");
    whole
}

/// A handshake record.
pub fn record(content: &[u8]) -> Vec<u8> {
    [
        &[22, 3, 1],
        &(content.len() as u16).to_be_bytes()[..],
        content,
    ]
    .concat()
}
