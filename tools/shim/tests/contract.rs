// SPDX-License-Identifier: GPL-2.0
//! What the shim promises to the runner, tried with rustls and with bare bytes as the runner.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

const NAME: &str = "shim.test";
const ID: u64 = 0x0102_0304_0506_0708;

struct Credentials {
    chain: PathBuf,
    key: PathBuf,
    p384: PathBuf,
    root: rustls::pki_types::CertificateDer<'static>,
}

fn credentials() -> &'static Credentials {
    static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
    CREDENTIALS.get_or_init(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        // Not for the shim.
        let other_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let certificate = rcgen::CertificateParams::new([NAME.to_string()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let file = |name: &str, text: String| {
            let path = dir.join(format!("{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            path
        };
        Credentials {
            chain: file("chain.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
            p384: file("p384.pem", other_key.serialize_pem()),
            root: certificate.der().clone(),
        }
    })
}

/// A shim under test, and where it connects to.
struct Shim {
    listener: TcpListener,
    child: Child,
}

impl Shim {
    fn start(flags: &[&str]) -> Self {
        Self::start_with(&credentials().key, flags)
    }

    fn start_with(key: &PathBuf, flags: &[&str]) -> Self {
        let address = if flags.contains(&"-ipv6") {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        };
        let listener = TcpListener::bind(address).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tls_hs_shim"))
            .args(["-port", &listener.local_addr().unwrap().port().to_string()])
            .args(["-shim-id", &ID.to_string(), "-server"])
            .arg("-cert-file")
            .arg(&credentials().chain)
            .arg("-key-file")
            .arg(key)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Shim { listener, child }
    }

    /// The next connection, behind the id.
    fn accept(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut id = [0; 8];
        stream.read_exact(&mut id).unwrap();
        assert_eq!(u64::from_le_bytes(id), ID);
        stream
    }

    fn tls(&self) -> Client {
        self.tls_with(client_config())
    }

    fn tls_with(&self, config: Arc<ClientConfig>) -> Client {
        let connection = ClientConnection::new(config, NAME.try_into().unwrap()).unwrap();
        StreamOwned::new(connection, self.accept())
    }

    fn output(self) -> Output {
        drop(self.listener);
        self.child.wait_with_output().unwrap()
    }

    /// Checks the exit status; returns what was said on standard error.
    fn ends_with(self, status: i32) -> String {
        let output = self.output();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{text}");
        text
    }
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn client_config() -> Arc<ClientConfig> {
    config_with(rustls::DEFAULT_VERSIONS, &[])
}

fn config_with(
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(credentials().root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Arc::new(config)
}

fn echo(client: &mut Client, data: &[u8]) {
    client.write_all(data).unwrap();
    client.flush().unwrap();
    let mut answer = vec![0; data.len()];
    client.read_exact(&mut answer).unwrap();
    assert!(data.iter().zip(&answer).all(|(d, a)| *d == !*a));
}

/// Ends the client's side; what comes then must be close_notify and the end.
fn close(mut client: Client) {
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn echoes_every_byte_inverted_until_close_notify() {
    let shim = Shim::start(&["-async", "-implicit-handshake", "-use-early-callback"]);
    let mut client = shim.tls();
    echo(&mut client, b"x");
    let data: Vec<u8> = (0..40_000_u32).map(|i| ((i * i) >> 7) as u8).collect();
    echo(&mut client, &data);
    close(client);
    shim.ends_with(0);
}

/// Three connections of one shim, with one client's memory of sessions or with three.
fn three_connections(
    flags: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
    remember: bool,
    status: i32,
) {
    let shim = Shim::start(&[&["-resume-count", "2"], flags].concat());
    let memory = config_with(versions, &[]);
    for number in 0..3 {
        let config = if remember {
            memory.clone()
        } else {
            config_with(versions, &[])
        };
        let mut client = shim.tls_with(config);
        if status != 0 && number > 0 {
            let _ = client.write_all(b"x");
            let _ = client.read_exact(&mut [0]);
            break;
        }
        echo(&mut client, b"again");
        close(client);
    }
    shim.ends_with(status);
}

#[test]
fn resumes_in_both_versions() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        three_connections(&["-expect-extended-master-secret"], &[version], true, 0);
        three_connections(&["-expect-session-miss"], &[version], false, 0);
        three_connections(
            &[
                "-on-initial-no-ticket",
                "-on-resume-no-ticket",
                "-expect-session-miss",
            ],
            &[version],
            true,
            0,
        );
        // A session that is or is not resumed against what is expected.
        three_connections(&["-expect-session-miss"], &[version], true, 1);
        three_connections(&[], &[version], false, 1);
        three_connections(&["-on-resume-no-ticket"], &[version], true, 1);
    }
}

#[test]
fn chooses_application_protocols() {
    let offer: &[&[u8]] = &[b"foo", b"bar"];
    for (flags, protocol, status) in [
        (&["-select-alpn", "bar"][..], Some(&b"bar"[..]), 0),
        (
            &[
                "-select-alpn",
                "bar",
                "-expect-advertised-alpn",
                "\x03foo\x03bar",
            ],
            Some(b"bar"),
            0,
        ),
        (
            &[
                "-select-alpn",
                "bar",
                "-expect-advertised-alpn",
                "\x03bar\x03foo",
            ],
            Some(b"bar"),
            1,
        ),
        (&["-decline-alpn"], None, 0),
        (&[], None, 0),
    ] {
        let shim = Shim::start(flags);
        let mut client = shim.tls_with(config_with(rustls::DEFAULT_VERSIONS, offer));
        let _ = client.write_all(b"x");
        assert_eq!(
            client.read_exact(&mut [0]).is_ok(),
            status == 0,
            "{flags:?}"
        );
        assert_eq!(client.conn.alpn_protocol(), protocol);
        client.conn.send_close_notify();
        let _ = client.flush();
        drop(client);
        shim.ends_with(status);
    }
    for flags in [&["-reject-alpn"][..], &["-select-alpn", "baz"]] {
        let shim = Shim::start(flags);
        let mut client = shim.tls_with(config_with(rustls::DEFAULT_VERSIONS, offer));
        let error = client.write_all(b"x").unwrap_err().to_string();
        assert!(error.contains("NoApplicationProtocol"), "{error}");
        drop(client);
        shim.ends_with(1);
    }
}

#[test]
fn connects_over_ipv6() {
    let shim = Shim::start(&["-ipv6"]);
    let mut client = shim.tls();
    echo(&mut client, b"six");
    close(client);
    shim.ends_with(0);
}

#[test]
fn tells_what_is_not_implemented_by_its_exit_status() {
    for flags in [
        &["-dtls"][..],
        &["-on-resume-enable-early-data"],
        &["-curves", "24"],
        &["-no-such-flag"],
    ] {
        assert!(Shim::start(flags).ends_with(89).contains(flags[0]));
    }
    Shim::start_with(&credentials().p384, &[]).ends_with(89);
    let client = Command::new(env!("CARGO_BIN_EXE_tls_hs_shim"))
        .args(["-port", "1"])
        .output()
        .unwrap();
    assert_eq!(client.status.code(), Some(89));
}

#[test]
fn has_no_handshaker() {
    let output = Shim::start(&["-is-handshaker-supported"]).output();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"No\n");
}

#[test]
fn missing_close_notify_counts_only_if_it_is_checked() {
    for (flags, status) in [(&[][..], 0), (&["-check-close-notify"], 1)] {
        let shim = Shim::start(flags);
        let mut client = shim.tls();
        echo(&mut client, b"x");
        drop(client);
        shim.ends_with(status);
    }
    let shim = Shim::start(&["-check-close-notify"]);
    let mut client = shim.tls();
    echo(&mut client, b"x");
    close(client);
    shim.ends_with(0);
}

#[test]
fn shuts_down_first_if_told_to() {
    let shim = Shim::start(&["-shim-shuts-down", "-check-close-notify"]);
    let mut client = shim.tls();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    close(client);
    shim.ends_with(0);

    let shim = Shim::start(&["-shim-shuts-down", "-check-close-notify"]);
    let mut client = shim.tls();
    client.write_all(b"data").unwrap();
    client.flush().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    assert!(shim.ends_with(1).contains("application data"));
}

#[test]
fn updates_its_keys() {
    let shim = Shim::start(&["-key-update"]);
    let mut client = shim.tls();
    for _ in 0..10 {
        echo(&mut client, &[7; 1500]);
    }
    client.conn.refresh_traffic_keys().unwrap();
    echo(&mut client, b"under new keys in both directions");
    close(client);
    shim.ends_with(0);
}

#[test]
fn keeps_its_records_small() {
    let shim = Shim::start(&["-max-send-fragment", "100", "-read-size", "16384"]);
    let config = client_config();
    let mut client = shim.tls_with(config);
    echo(&mut client, b"x");
    client.write_all(&[1; 1000]).unwrap();
    client.flush().unwrap();
    // Content, its type, the tag.
    let mut records = vec![0; 10 * (5 + 100 + 1 + 16)];
    client.sock.read_exact(&mut records).unwrap();
    for record in records.chunks(122) {
        assert_eq!(record[..5], [23, 3, 3, 0, 117]);
    }
    drop(client);
    shim.ends_with(0);
}

#[test]
fn expectations_that_fail_fail_the_test() {
    for (flags, status) in [
        (&["-expect-server-name", NAME][..], 0),
        (&["-expect-server-name", "other.test"], 1),
        (&["-expect-curve-id", "29"], 0),
        (&["-expect-curve-id", "23"], 1),
        (&["-curves", "23", "-expect-curve-id", "23"], 0),
        (&["-on-resume-expect-curve-id", "23"], 0),
        (&["-on-initial-expect-curve-id", "23"], 1),
        (&["-expect-no-session-id", "-trust-cert", "x"], 0),
        (&["-expect-no-hrr"], 0),
        (&["-expect-hrr"], 1),
        (&["-curves", "23", "-expect-hrr"], 0),
        (&["-select-alpn", "http/1.1"], 1),
    ] {
        let shim = Shim::start(flags);
        let mut client = shim.tls();
        let _ = client.write_all(b"x");
        let mut answer = [0];
        assert_eq!(
            client.read_exact(&mut answer).is_ok(),
            status == 0,
            "{flags:?}"
        );
        client.conn.send_close_notify();
        let _ = client.flush();
        drop(client);
        shim.ends_with(status);
    }
}

/// The alert that bytes are answered with, behind which there is only the end.
fn alert_for(bytes: &[u8], flags: &[&str]) -> (u8, String) {
    let shim = Shim::start(flags);
    let mut runner = shim.accept();
    runner.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    runner.read_to_end(&mut answer).unwrap();
    drop(runner);
    assert_eq!(answer[..6], [21, 3, answer[2], 0, 2, 2], "{answer:?}");
    assert_eq!(answer.len(), 7);
    (answer[6], shim.ends_with(1))
}

#[test]
fn alert_arrives_even_with_unread_data_behind_it() {
    let mut bytes = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    bytes.resize(100_000, b'x');
    let (alert, why) = alert_for(&bytes, &[]);
    assert_eq!(alert, 10);
    assert!(why.contains("not_tls"), "{why}");
}

#[test]
fn versions_are_switched_off() {
    for flags in [
        &["-no-tls12", "-no-tls13"][..],
        &["-max-version", "770"],
        &["-min-version", "772", "-no-tls13", "-no-tls1", "-no-tls11"],
    ] {
        let shim = Shim::start(flags);
        let mut client = shim.tls();
        let error = client.write_all(b"x").unwrap_err().to_string();
        assert!(error.contains("ProtocolVersion"), "{error}");
        drop(client);
        shim.ends_with(1);
    }
}
