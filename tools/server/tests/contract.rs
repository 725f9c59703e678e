// SPDX-License-Identifier: GPL-2.0
//! What the server promises to those who test with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, SupportedProtocolVersion};

const NAME: &str = "server.test";
const BOTH: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

struct Credentials {
    chain: PathBuf,
    key: PathBuf,
    root: rustls::pki_types::CertificateDer<'static>,
}

fn credentials() -> &'static Credentials {
    static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
    CREDENTIALS.get_or_init(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new([NAME.to_string()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let file = |name: &str, text: String| {
            let name = format!("{}-{name}", std::process::id());
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Credentials {
            chain: file("chain.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
            root: certificate.der().clone(),
        }
    })
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tls_hs_server"))
            .args(["--address", "127.0.0.1", "--port", "0", "--cert"])
            .arg(&credentials().chain)
            .arg("--key")
            .arg(&credentials().key)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready ").unwrap().to_string();
        Server { child, address }
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> Client {
        let transport = TcpStream::connect(&self.address).unwrap();
        transport
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client {
            tls: ClientConnection::new(config.clone(), NAME.try_into().unwrap()).unwrap(),
            transport,
            received: Vec::new(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn config(versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(credentials().root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A client that sees the records that the server sends.
struct Client {
    tls: ClientConnection,
    transport: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn flush(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.transport).unwrap();
        }
    }

    /// Takes what comes next; false at the end of the connection.
    fn receive(&mut self) -> Result<bool, rustls::Error> {
        let mut buffer = [0; 20000];
        let len = self.transport.read(&mut buffer).unwrap();
        self.received.extend_from_slice(&buffer[..len]);
        let mut bytes = &buffer[..len];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            self.tls.process_new_packets()?;
        }
        Ok(len != 0)
    }

    fn handshake(&mut self) -> Result<(), rustls::Error> {
        self.flush();
        while self.tls.is_handshaking() {
            assert!(self.receive()?, "the server closed");
            self.flush();
        }
        Ok(())
    }

    /// Does a handshake if that is still to be done, sends a request and reads until `len` bytes
    /// of the page are there.
    fn get(&mut self, request: &str, len: usize) -> String {
        self.handshake().unwrap();
        self.tls.writer().write_all(request.as_bytes()).unwrap();
        self.flush();
        let mut page = String::new();
        loop {
            let _ = self.tls.reader().read_to_string(&mut page);
            if page.ends_with(&"x".repeat(len)) {
                return page;
            }
            assert!(self.receive().unwrap(), "the server closed: {page}");
        }
    }

    /// What comes now must be close_notify and nothing else.
    fn ends(mut self) {
        while self.receive().unwrap() {}
        assert_eq!(self.tls.reader().read(&mut [0]).unwrap(), 0);
    }

    /// Types of the records received.
    fn records(&self) -> Vec<u8> {
        let mut rest = &self.received[..];
        let mut types = Vec::new();
        while let [kind, _, _, high, low, tail @ ..] = rest {
            types.push(*kind);
            rest = &tail[usize::from(u16::from_be_bytes([*high, *low]))..];
        }
        types
    }
}

#[test]
fn header_and_page_leave_in_one_record() {
    let server = Server::start(&["--body-size", "5000"]);
    let mut client = server.connect(&config(&[&rustls::version::TLS12], &[]));
    client.handshake().unwrap();
    client.received.clear();
    let page = client.get("GET / HTTP/1.0\r\n\r\n", 5000);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"));
    while client.receive().unwrap() {}
    assert_eq!(client.records(), [23, 21]);
}

#[test]
fn connection_lasts_as_http_says() {
    let server = Server::start(&["--body-size", "10"]);
    for version in BOTH {
        let config = config(&[version], &["http/1.1"]);
        let mut client = server.connect(&config);
        client.handshake().unwrap();
        assert_eq!(client.tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        client.get("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 10);
        client.get("GET / HTTP/1.1\nHost: x\n\n", 10);
        client.get("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 10);
        client.ends();
        let mut client = server.connect(&config);
        client.get("GET / HTTP/1.0\n\n", 10);
        client.ends();
    }
}

#[test]
fn many_connections_at_a_time() {
    let server = Server::start(&[]);
    let config = config(BOTH, &[]);
    let mut clients: Vec<_> = (0..200).map(|_| server.connect(&config)).collect();
    clients
        .iter_mut()
        .for_each(|client| client.handshake().unwrap());
    for client in &mut clients {
        client.get("GET / HTTP/1.1\r\n\r\n", 1024);
    }
}

#[test]
fn protocols_are_what_the_option_says() {
    let refused = rustls::AlertDescription::NoApplicationProtocol;
    for (option, offer, result) in [
        ("h2,http/1.1", &["http/1.1", "h2"][..], Ok(Some("h2"))),
        ("http/1.1", &["h2"], Err(refused)),
        ("http/1.1", &[], Ok(None)),
        ("", &["h2"], Ok(None)),
    ] {
        let server = Server::start(&["--alpn", option]);
        let mut client = server.connect(&config(BOTH, offer));
        match (client.handshake(), result) {
            (Ok(()), Ok(protocol)) => {
                assert_eq!(client.tls.alpn_protocol(), protocol.map(str::as_bytes));
            }
            (Err(error), Err(alert)) => {
                assert_eq!(error, rustls::Error::AlertReceived(alert));
            }
            (seen, _) => panic!("{option} for {offer:?}: {seen:?}"),
        }
    }
}

#[test]
fn tickets_can_be_switched_off() {
    for (options, second) in [
        (&[][..], HandshakeKind::Resumed),
        (&["--tickets", "1"], HandshakeKind::Resumed),
        (&["--tickets", "0"], HandshakeKind::Full),
    ] {
        let server = Server::start(options);
        for version in BOTH {
            let config = config(&[version], &[]);
            for kind in [HandshakeKind::Full, second] {
                let mut client = server.connect(&config);
                client.get("GET / HTTP/1.0\r\n\r\n", 1024);
                assert_eq!(client.tls.handshake_kind(), Some(kind), "{options:?}");
            }
        }
    }
}

#[test]
fn parameters_are_what_the_options_say() {
    let options = ["--versions", "1.2", "--groups", "secp256r1", "--ciphers"];
    let cipher = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let server = Server::start(&[&options[..], &[cipher]].concat());
    let mut client = server.connect(&config(BOTH, &[]));
    client.handshake().unwrap();
    let suite = client.tls.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some(cipher));
    let group = client.tls.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::secp256r1);
    let mut client = server.connect(&config(&[&rustls::version::TLS13], &[]));
    let alert = rustls::AlertDescription::ProtocolVersion;
    assert_eq!(client.handshake(), Err(rustls::Error::AlertReceived(alert)));
}

#[test]
fn names_choose_the_certificate() {
    let Credentials { chain, key, .. } = credentials();
    let host = |name: &str| format!("{name}:{}:{}", chain.display(), key.display());
    let unrecognized = rustls::AlertDescription::UnrecognisedName;
    for (name, served) in [
        (NAME, true),
        ("*.test", true),
        ("*.server.test", false),
        ("test", false),
    ] {
        let server = Server::start(&["--strict", "--vhost", &host(name)]);
        let result = server.connect(&config(BOTH, &[])).handshake();
        if served {
            assert_eq!(result, Ok(()), "{name}");
        } else {
            assert_eq!(
                result,
                Err(rustls::Error::AlertReceived(unrecognized)),
                "{name}"
            );
        }
    }
}
