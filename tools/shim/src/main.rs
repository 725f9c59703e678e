// SPDX-License-Identifier: GPL-2.0
//! Shim for the runner of BoringSSL's protocol tests.
//!
//! The runner listens and plays a TLS client with all kinds of faults; the shim connects, says by
//! its id for which test, and plays the TLS server. It does 1 + `-resume-count` connections one
//! after another, which share ticket keys. What the client sends comes back with each byte
//! XOR 0xff, until it sends close_notify.
//!
//! Exit status: 0 if everything is as the flags say, 1 if not, 89 for what is not implemented,
//! which is every flag that [`flags`] does not know.

#![forbid(unsafe_code)]

mod advertised;
mod connection;
mod flags;

use std::process::ExitCode;

const UNIMPLEMENTED: u8 = 89;

/// Why the shim ends without success.
enum Stop {
    /// Not implemented.
    Unimplemented(String),
    /// The test failed.
    Failed(String),
}

impl Stop {
    fn failed(why: impl ToString) -> Self {
        Stop::Failed(why.to_string())
    }
}

fn run() -> Result<(), Stop> {
    let mut arguments = std::env::args().skip(1);
    let flags = flags::parse(&mut arguments)?;
    if flags.initial.is_handshaker_supported {
        println!("No");
        return Ok(());
    }
    if !flags.initial.server {
        return Err(Stop::Unimplemented("only the server's side".into()));
    }
    let shared = connection::Shared::default();
    for number in 0..=flags.initial.resume_count {
        let config = if number == 0 {
            &flags.initial
        } else {
            &flags.resume
        };
        connection::run(config, &shared, number != 0)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Unimplemented(what)) => {
            eprintln!("not implemented: {what}");
            ExitCode::from(UNIMPLEMENTED)
        }
        Err(Stop::Failed(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
