// SPDX-License-Identifier: GPL-2.0
//! The driver of the engine: bytes in, bytes out, and public-key operations on the spot.

use tls_hs::{
    wipe, Disposition, Error, NamedGroup, Reason, Server, Step, Suite, Version, ALERT_MAX,
    SCRATCH_LEN,
};

use crate::endpoint::Host;
use crate::{Direction, Endpoint, HostCrypto, Session};

/// A handshake under way.
///
/// After an error [`output`](Handshake::take_output) has the alert, and nothing more may be fed.
pub struct Handshake {
    server: Server<HostCrypto>,
    crypto: HostCrypto,
    input: Vec<u8>,
    output: Vec<u8>,
    scratch: Box<[u8; SCRATCH_LEN]>,
    /// Most bytes that the engine may write at a time.
    room: usize,
}

/// What was agreed upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Protocol version.
    pub version: Version,
    /// Cipher suite.
    pub suite: Suite,
    /// Key exchange group.
    pub group: NamedGroup,
    /// Server name asked for by the client.
    pub server_name: Option<Vec<u8>>,
}

impl Handshake {
    /// A handshake of which nothing has happened yet.
    pub fn new(crypto: HostCrypto) -> Self {
        Handshake {
            server: Server::new(),
            crypto,
            input: Vec::new(),
            output: Vec::new(),
            scratch: Box::new([0; SCRATCH_LEN]),
            room: SCRATCH_LEN,
        }
    }

    /// Takes what the client sent, and goes on as far as possible.
    ///
    /// A ClientHello that the engine would rather leave to another library is refused with the
    /// reason's alert: there is no other library here.
    pub fn feed(&mut self, endpoint: &Endpoint, bytes: &[u8]) -> Result<(), Reason> {
        self.input.extend_from_slice(bytes);
        self.advance(endpoint).map_err(|Error(reason)| {
            if self.server.disposition(reason) != Disposition::Close {
                self.send_alert(endpoint, reason);
            }
            reason
        })
    }

    /// What goes to the client.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the handshake is complete.
    pub fn is_complete(&self) -> bool {
        self.server.established().is_some()
    }

    /// The result and the protected connection, once complete; otherwise the handshake again.
    pub fn finish(self) -> Result<(Outcome, Session), Box<Self>> {
        let Some(established) = self.server.established() else {
            return Err(Box::new(self));
        };
        let outcome = Outcome {
            version: established.version,
            suite: established.suite,
            group: established.group,
            server_name: established.server_name.map(<[u8]>::to_vec),
        };
        let session = Session::new(
            Direction::new(established.version, established.suite, established.client),
            Direction::new(established.version, established.suite, established.server),
            self.crypto,
            self.input,
        );
        Ok((outcome, session))
    }

    fn send_alert(&mut self, endpoint: &Endpoint, reason: Reason) {
        let mut alert = [0; ALERT_MAX];
        let mut host = Host {
            endpoint,
            crypto: &mut self.crypto,
        };
        let len = self.server.alert(&mut host, reason, &mut alert);
        self.output.extend_from_slice(&alert[..len]);
    }

    fn advance(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let Handshake {
            server,
            crypto,
            input,
            output,
            scratch,
            room,
        } = self;
        loop {
            match server.step() {
                Step::Receive => {
                    let mut host = Host { endpoint, crypto };
                    let len = server.receive(&mut host, &input[..], scratch)?;
                    input.drain(..len);
                    if len == 0 && matches!(server.step(), Step::Receive) {
                        return Ok(());
                    }
                }
                Step::MakeShare { group } => {
                    let mut private = [0; 32];
                    let public = crypto.make_share(group, &mut private);
                    let mut host = Host { endpoint, crypto };
                    let result = server.share_made(&mut host, &private, &public);
                    wipe(&mut private);
                    result?;
                }
                Step::Derive {
                    group,
                    private,
                    peer,
                } => {
                    let mut shared = crypto.derive(group, private, peer);
                    let mut host = Host { endpoint, crypto };
                    let result = server.derived(&mut host, shared.as_ref().map(|s| &s[..]));
                    shared.iter_mut().for_each(|shared| wipe(shared));
                    result?;
                }
                Step::Sign { digest } => {
                    let signature = crypto.sign(&endpoint.identity.key, digest)?;
                    let mut host = Host { endpoint, crypto };
                    server.signed(&mut host, &signature)?;
                }
                Step::Transmit => {
                    let mut host = Host { endpoint, crypto };
                    let start = output.len();
                    output.resize(start + *room, 0);
                    let result = server.transmit(&mut host, &mut output[start..]);
                    output.truncate(start + *result.as_ref().unwrap_or(&0));
                    result?;
                }
                Step::Established => return Ok(()),
                Step::Failed => return Err(Reason::OutOfOrder.into()),
            }
        }
    }
}
