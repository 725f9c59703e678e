// SPDX-License-Identifier: GPL-2.0
//! One connection to the runner.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tls_hs::{Config as EngineConfig, Version};
use tls_hs_host::{Endpoint, Failure, HostCrypto, Identity, Outcome, Received, Stream, TicketKeys};

use crate::advertised::{self, Recorder};
use crate::flags::Config;
use crate::Stop;

/// Bytes that a read takes at most, unless -read-size says otherwise: less than a record, so that
/// one record takes several reads.
const READ_SIZE: usize = 512;

/// A protocol that no client offers.
const NO_PROTOCOL: &[u8] = b"none that anybody has";

/// What connections of one process have in common.
pub struct Shared {
    tickets: Arc<TicketKeys>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            tickets: Arc::new(TicketKeys::new(&mut HostCrypto::new())),
        }
    }
}

fn engine_config(config: &Config) -> EngineConfig {
    let mut engine = EngineConfig::SUPPORTED;
    engine.versions = [
        (Version::Tls12, config.no_tls12),
        (Version::Tls13, config.no_tls13),
    ]
    .into_iter()
    .filter(|&(version, switched_off)| {
        !switched_off
            && config.min_version.is_none_or(|min| min <= version.code())
            && config.max_version.is_none_or(|max| version.code() <= max)
    })
    .fold(0, |bits, (version, _)| bits | version.bit());
    if !config.curves.is_empty() {
        engine.ecurves = config.curves.iter().fold(0, |bits, g| bits | g.bit());
    }
    if let Some(len) = config.max_send_fragment {
        engine.fragment_max = len;
    }
    engine
}

fn endpoint(config: &Config, shared: &Shared) -> Result<Endpoint, Stop> {
    let identity = Identity::load(&config.cert_file, &config.key_file).map_err(|error| {
        if error.is_other_kind() {
            Stop::Unimplemented(error.to_string())
        } else {
            Stop::failed(error)
        }
    })?;
    let mut endpoint = Endpoint::new(engine_config(config), Arc::new(identity));
    if config.reject_alpn {
        endpoint.set_protocols([NO_PROTOCOL]);
    } else if !config.decline_alpn && !config.select_alpn.is_empty() {
        endpoint.set_protocols([&config.select_alpn[..]]);
    }
    if !config.no_ticket {
        endpoint.tickets = Some(shared.tickets.clone());
    }
    Ok(endpoint)
}

/// Connects, does a handshake, echoes, and checks what the flags expect.
pub fn run(config: &Config, shared: &Shared, resumes: bool) -> Result<(), Stop> {
    let endpoint = endpoint(config, shared)?;
    let address: SocketAddr = if config.ipv6 {
        (Ipv6Addr::LOCALHOST, config.port).into()
    } else {
        (Ipv4Addr::LOCALHOST, config.port).into()
    };
    let mut transport = TcpStream::connect(address).map_err(Stop::failed)?;
    transport.set_nodelay(true).map_err(Stop::failed)?;
    transport
        .write_all(&config.shim_id.to_le_bytes())
        .map_err(Stop::failed)?;
    let result = talk(config, &endpoint, &transport, resumes);
    let patience = match result {
        Ok(()) => Duration::from_millis(200),
        Err(_) => Duration::from_secs(5),
    };
    drain(&transport, patience);
    result
}

/// Ends the connection in a way that does not take back what was sent: closing a socket with
/// unread data would reset the connection, and the alert would be lost. A runner that keeps its
/// end open is not waited for longer than `patience`.
fn drain(mut transport: &TcpStream, patience: Duration) {
    let end = Instant::now() + patience;
    let _ = transport.shutdown(Shutdown::Write);
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero()
            || transport.set_read_timeout(Some(left)).is_err()
            || !matches!(transport.read(&mut buffer), Ok(1..))
        {
            return;
        }
    }
}

fn talk(
    config: &Config,
    endpoint: &Endpoint,
    transport: &TcpStream,
    resumes: bool,
) -> Result<(), Stop> {
    let mut recorder = Recorder::new(transport);
    let accepted = Stream::accept(&mut recorder, endpoint, HostCrypto::new());
    let mut stream = accepted.map_err(Stop::failed)?.map_transport(|_| transport);
    check(config, stream.outcome(), resumes).map_err(Stop::Failed)?;
    let advertised = advertised::protocols(recorder.recorded()).unwrap_or_default();
    if !config.expect_advertised_alpn.is_empty() && config.expect_advertised_alpn != advertised {
        return Err(Stop::Failed(format!(
            "advertised protocols: {}",
            advertised.escape_ascii()
        )));
    }
    if !config.shim_shuts_down {
        echo(config, &mut stream)?;
    }
    match (stream.close(), config.check_close_notify) {
        (Err(error), true) => return Err(Stop::failed(error)),
        // A runner that does not check may be gone already.
        (_, false) => return Ok(()),
        (Ok(()), true) => {}
    }
    match stream.receive().map_err(Stop::failed)? {
        Received::Closed => Ok(()),
        Received::Data(_) => Err(Stop::failed("application data instead of close_notify")),
    }
}

fn echo(config: &Config, stream: &mut Stream<&TcpStream>) -> Result<(), Stop> {
    let read_size = config
        .read_size
        .filter(|&size| size > 0)
        .unwrap_or(READ_SIZE);
    loop {
        let mut data = match stream.receive() {
            Ok(Received::Data(data)) => data,
            Ok(Received::Closed) => return Ok(()),
            Err(Failure::Truncated) if !config.check_close_notify => return Ok(()),
            Err(failure) => return Err(Stop::failed(failure)),
        };
        data.iter_mut().for_each(|byte| *byte ^= 0xff);
        for part in data.chunks(read_size) {
            if config.key_update {
                stream.session().update_keys();
            }
            stream.send(part).map_err(Stop::failed)?;
        }
    }
}

/// Whether the handshake came out as the flags expect.
fn check(config: &Config, outcome: &Outcome, resumes: bool) -> Result<(), String> {
    let should_resume = resumes && !config.expect_session_miss;
    if outcome.resumed != should_resume {
        let not = if outcome.resumed { "" } else { " not" };
        return Err(format!("the session was{not} resumed"));
    }
    if config.expect_session_id && !resumes {
        return Err("there is no session cache".into());
    }
    let name = outcome.server_name.as_deref().unwrap_or_default();
    if !config.expect_server_name.is_empty() && config.expect_server_name != name {
        return Err(format!("server name: {}", name.escape_ascii()));
    }
    let protocol = outcome.protocol.as_deref().unwrap_or_default();
    if config.select_alpn != protocol {
        return Err(format!("application protocol: {}", protocol.escape_ascii()));
    }
    if config.expect_extended_master_secret && !outcome.extended_master_secret {
        return Err("no extended master secret".into());
    }
    if config.expect_hrr && !outcome.hello_retried {
        return Err("no HelloRetryRequest".into());
    }
    if config.expect_no_hrr && outcome.hello_retried {
        return Err("a HelloRetryRequest".into());
    }
    match config.expect_curve_id {
        Some(code) if code != outcome.group.code() => {
            Err(format!("group: {}", outcome.group.name()))
        }
        _ => Ok(()),
    }
}
