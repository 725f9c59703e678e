// SPDX-License-Identifier: GPL-2.0
//! The driver of the engine: bytes in, bytes out, and public-key operations on the spot.

use tls_hs::{
    wipe, Disposition, Error, NamedGroup, Reason, Server, Step, Suite, Version, ALERT_MAX,
    SCRATCH_LEN,
};

use crate::endpoint::Host;
use crate::{Endpoint, HostCrypto, Session};

/// A handshake under way.
///
/// After an error [`output`](Handshake::take_output) has the alert, and nothing more may be fed.
pub struct Handshake {
    server: Server<HostCrypto>,
    crypto: HostCrypto,
    input: Vec<u8>,
    output: Vec<u8>,
    scratch: Box<[u8; SCRATCH_LEN]>,
    /// Which of the endpoint's identities was selected.
    selected: usize,
    /// Whether a share was made.
    share_made: bool,
    /// Whether something was sent before a share was made: a HelloRetryRequest, or TLS 1.2.
    sent_without_share: bool,
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
    /// Application protocol.
    pub protocol: Option<Vec<u8>>,
    /// Whether a ticket was accepted.
    pub resumed: bool,
    /// Whether a HelloRetryRequest was sent.
    pub hello_retried: bool,
    /// Whether the secrets are bound to the transcript.
    pub extended_master_secret: bool,
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
            selected: 0,
            share_made: false,
            sent_without_share: false,
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
    pub fn finish(self, endpoint: &Endpoint) -> Result<(Outcome, Session), Box<Self>> {
        let Some(established) = self.server.established() else {
            return Err(Box::new(self));
        };
        let protocol = established.alpn.and_then(|index| endpoint.protocol(index));
        let outcome = Outcome {
            version: established.version,
            suite: established.suite,
            group: established.group,
            server_name: established.server_name.map(<[u8]>::to_vec),
            protocol: protocol.map(<[u8]>::to_vec),
            resumed: established.resumed,
            hello_retried: self.sent_without_share && established.version == Version::Tls13,
            extended_master_secret: established.extended_master_secret,
        };
        let session = Session::new(&established, self.crypto, self.input);
        Ok((outcome, session))
    }

    /// The keys that the client writes with and those that it reads with, for tests that play the
    /// client.
    #[cfg(test)]
    pub(crate) fn directions(&self) -> Option<(crate::Direction, crate::Direction)> {
        let established = self.server.established()?;
        let direction =
            |traffic| crate::Direction::new(established.version, established.suite, traffic);
        Some((direction(established.client), direction(established.server)))
    }

    fn send_alert(&mut self, endpoint: &Endpoint, reason: Reason) {
        let mut alert = [0; ALERT_MAX];
        let mut host = Host {
            endpoint,
            crypto: &mut self.crypto,
            selected: &mut self.selected,
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
            selected,
            ..
        } = self;
        let mut host = Host {
            endpoint,
            crypto,
            selected,
        };
        loop {
            match server.step() {
                Step::Receive => {
                    let len = server.receive(&mut host, &input[..], scratch)?;
                    input.drain(..len);
                    if len == 0 && matches!(server.step(), Step::Receive) {
                        return Ok(());
                    }
                }
                Step::MakeShare { group } => {
                    let mut private = [0; 32];
                    let public = host.crypto.make_share(group, &mut private);
                    let result = server.share_made(&mut host, &private, &public);
                    wipe(&mut private);
                    result?;
                    self.share_made = true;
                }
                Step::Derive {
                    group,
                    private,
                    peer,
                } => {
                    let mut shared = host.crypto.derive(group, private, peer);
                    let result = server.derived(&mut host, shared.as_ref().map(|s| &s[..]));
                    shared.iter_mut().for_each(|shared| wipe(shared));
                    result?;
                }
                Step::Sign { digest } => {
                    let key = &endpoint.hosts[*host.selected].identity.key;
                    let signature = host.crypto.sign(key, digest)?;
                    server.signed(&mut host, &signature)?;
                }
                Step::Transmit => {
                    self.sent_without_share |= !self.share_made;
                    let start = output.len();
                    output.resize(start + SCRATCH_LEN, 0);
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
