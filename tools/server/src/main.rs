// SPDX-License-Identifier: GPL-2.0
//! An HTTPS server over the handshake engine, without the kernel: for tests, and for people who
//! want to try the engine. It serves one page, to many connections at a time, one thread each.

#![forbid(unsafe_code)]

mod arguments;
mod http;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tls_hs_host::{
    Endpoint, Failure, HostCrypto, Identity, Outcome, Received, Stream, TicketKeys, VirtualHost,
};

use arguments::Arguments;

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How long the server waits for a client to read what was sent last.
const LINGER: Duration = Duration::from_secs(2);
/// Stack of a connection's thread.
const STACK: usize = 256 << 10;

struct Server {
    endpoint: Endpoint,
    page: Vec<u8>,
    verbose: bool,
    close: bool,
    connections: AtomicUsize,
    connections_max: usize,
}

fn version_name(outcome: &Outcome) -> &'static str {
    match outcome.version {
        tls_hs::Version::Tls12 => "TLSv1.2",
        tls_hs::Version::Tls13 => "TLSv1.3",
    }
}

fn handshake_name(outcome: &Outcome) -> &'static str {
    match (outcome.resumed, outcome.hello_retried) {
        (true, _) => "resumed",
        (false, true) => "retried",
        (false, false) => "full",
    }
}

/// Ends the sending side, then reads until the client has ended too: closing at once would reset
/// the connection if anything is unread, and take back what was sent last.
fn linger(mut transport: &TcpStream) {
    let _ = transport.shutdown(Shutdown::Write);
    let _ = transport.set_read_timeout(Some(LINGER));
    let mut buffer = [0; 4096];
    for _ in 0..64 {
        if !matches!(transport.read(&mut buffer), Ok(1..)) {
            break;
        }
    }
}

fn serve(server: &Server, transport: &TcpStream, peer: SocketAddr) -> Result<(), Failure> {
    transport.set_nodelay(true)?;
    transport.set_read_timeout(Some(IDLE))?;
    transport.set_write_timeout(Some(IDLE))?;
    let mut stream = Stream::accept(transport, &server.endpoint, HostCrypto::new())?;
    let outcome = stream.outcome().clone();
    let about = format!(
        "engine {} {} {} {}",
        version_name(&outcome),
        outcome.suite.name(outcome.version),
        outcome.group.name(),
        handshake_name(&outcome),
    );
    let mut requests = http::Requests::new(server.close);
    let mut sent = 0;
    let result = loop {
        match stream.receive() {
            Ok(Received::Data(data)) => requests.feed(&data),
            Ok(Received::Closed) => break stream.close(),
            Err(failure) => break Err(failure),
        }
        let mut close = false;
        while let Some(response) = requests.answer(&server.page, &about) {
            stream.send(&response.bytes)?;
            sent += response.bytes.len();
            close = response.close;
            if close {
                break;
            }
        }
        if close {
            break stream.close();
        }
    };
    if server.verbose {
        let name = outcome.server_name.as_deref().unwrap_or(b"-");
        let protocol = outcome.protocol.as_deref().unwrap_or(b"-");
        say(&format!(
            "conn peer={peer} tls=engine version={} suite={} group={} handshake={} alpn={} sni={} bytes={sent}",
            version_name(&outcome),
            outcome.suite.name(outcome.version),
            outcome.group.name(),
            handshake_name(&outcome),
            protocol.escape_ascii(),
            name.escape_ascii(),
        ));
    }
    result
}

/// Prints a line; nobody need listen.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn endpoint(arguments: &Arguments) -> Result<Endpoint, Box<dyn std::error::Error>> {
    let mut identity = Identity::load(&arguments.cert, &arguments.key)?;
    if let Some(path) = &arguments.ocsp {
        identity.ocsp_response = std::fs::read(path)?;
    }
    let mut endpoint = Endpoint::new(arguments.config(), Arc::new(identity));
    if arguments.strict {
        endpoint.hosts.clear();
    }
    for vhost in &arguments.vhost {
        endpoint.hosts.push(VirtualHost {
            pattern: vhost.name.clone(),
            identity: Arc::new(Identity::load(&vhost.cert, &vhost.key)?),
        });
    }
    if endpoint.hosts.is_empty() {
        return Err("--strict leaves no name to serve without --vhost".into());
    }
    let protocols = arguments.alpn.split(',').map(str::as_bytes);
    endpoint.set_protocols(protocols.filter(|protocol| (1..=255).contains(&protocol.len())));
    if arguments.tickets > 0 {
        endpoint.tickets = Some(Arc::new(TicketKeys::new(&mut HostCrypto::new())));
    }
    Ok(endpoint)
}

fn listen(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let server = Arc::new(Server {
        endpoint: endpoint(&arguments)?,
        page: vec![b'x'; arguments.body_size],
        verbose: arguments.verbose,
        close: arguments.close,
        connections: AtomicUsize::new(0),
        connections_max: arguments.connections,
    });
    let listener = TcpListener::bind((arguments.address, arguments.port))?;
    say(&format!("ready {}", listener.local_addr()?));
    loop {
        let (transport, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // The client is gone already, or there are no more file descriptors just now.
            Err(error) => {
                eprintln!("accept: {error}");
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
        };
        if server.connections.fetch_add(1, Ordering::Relaxed) >= server.connections_max {
            server.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let for_thread = server.clone();
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                if let Err(failure) = serve(&for_thread, &transport, peer) {
                    if for_thread.verbose {
                        say(&format!("fail peer={peer} {failure}"));
                    }
                }
                linger(&transport);
                for_thread.connections.fetch_sub(1, Ordering::Relaxed);
            });
        if let Err(error) = thread {
            eprintln!("no thread: {error}");
            server.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn main() -> ExitCode {
    match listen(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls_hs_server: {error}");
            ExitCode::FAILURE
        }
    }
}
