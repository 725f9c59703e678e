// SPDX-License-Identifier: GPL-2.0
//! The command line.
//!
//! A flag behind `-on-initial` or `-on-resume` is for the first connection or for the later ones,
//! otherwise it is for all.

use std::path::PathBuf;

use tls_hs::NamedGroup;

use crate::Stop;

/// What the flags say about a connection.
#[derive(Clone, Default)]
pub struct Config {
    pub port: u16,
    pub shim_id: u64,
    pub ipv6: bool,
    pub server: bool,
    pub is_handshaker_supported: bool,
    pub resume_count: u32,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    pub curves: Vec<NamedGroup>,
    pub min_version: Option<u16>,
    pub max_version: Option<u16>,
    pub no_tls12: bool,
    pub no_tls13: bool,
    pub select_alpn: Vec<u8>,
    pub decline_alpn: bool,
    pub reject_alpn: bool,
    pub expect_advertised_alpn: Vec<u8>,
    pub expect_server_name: Vec<u8>,
    pub expect_session_miss: bool,
    pub expect_session_id: bool,
    pub expect_hrr: bool,
    pub expect_no_hrr: bool,
    pub expect_extended_master_secret: bool,
    pub expect_curve_id: Option<u16>,
    pub no_ticket: bool,
    pub check_close_notify: bool,
    pub shim_shuts_down: bool,
    pub read_size: Option<usize>,
    pub max_send_fragment: Option<u16>,
    pub key_update: bool,
}

/// The whole command line.
#[derive(Default)]
pub struct Flags {
    pub initial: Config,
    pub resume: Config,
}

/// The connections that a flag is for.
#[derive(Clone, Copy)]
enum Scope {
    All,
    Initial,
    Resume,
    /// A retry after rejected early data, which only a client makes, or another process.
    None,
}

const PREFIXES: [(&str, Scope); 4] = [
    ("-on-initial", Scope::Initial),
    ("-on-resume", Scope::Resume),
    ("-on-retry", Scope::None),
    ("-on-handshaker", Scope::None),
];

fn scope(flag: &str) -> (Scope, &str) {
    let flag = match flag.strip_prefix("-on-shim") {
        Some(rest) if rest.starts_with('-') => rest,
        _ => flag,
    };
    PREFIXES
        .into_iter()
        .find_map(|(prefix, scope)| {
            let rest = flag.strip_prefix(prefix)?;
            rest.starts_with('-').then_some((scope, rest))
        })
        .unwrap_or((Scope::All, flag))
}

/// Reads the command line.
pub fn parse(arguments: &mut dyn Iterator<Item = String>) -> Result<Flags, Stop> {
    let mut flags = Flags::default();
    while let Some(argument) = arguments.next() {
        let (scope, name) = scope(&argument);
        let setter = setter(name).ok_or_else(|| Stop::Unimplemented(argument.clone()))?;
        let value = match setter {
            Setter::Flag(_) => String::new(),
            Setter::Value(_) => arguments
                .next()
                .ok_or_else(|| Stop::Failed(format!("{argument} needs a value")))?,
        };
        let Flags { initial, resume } = &mut flags;
        let configs: &mut [&mut Config] = match scope {
            Scope::All => &mut [initial, resume],
            Scope::Initial => &mut [initial],
            Scope::Resume => &mut [resume],
            Scope::None => &mut [],
        };
        for config in configs {
            match &setter {
                Setter::Flag(set) => set(config),
                Setter::Value(set) => set(config, &value)
                    .map_err(|why| why.into_stop(&format!("{argument} {value}")))?,
            }
        }
    }
    Ok(flags)
}

/// What is wrong with a value.
enum BadValue {
    Malformed,
    Unimplemented,
}

impl BadValue {
    fn into_stop(self, flag: &str) -> Stop {
        match self {
            BadValue::Malformed => Stop::Failed(format!("bad value: {flag}")),
            BadValue::Unimplemented => Stop::Unimplemented(flag.to_string()),
        }
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, BadValue> {
    value.parse().map_err(|_| BadValue::Malformed)
}

fn group(value: &str) -> Result<NamedGroup, BadValue> {
    let code: u16 = number(value)?;
    NamedGroup::ALL
        .into_iter()
        .find(|group| group.code() == code)
        .ok_or(BadValue::Unimplemented)
}

enum Setter {
    Flag(fn(&mut Config)),
    Value(fn(&mut Config, &str) -> Result<(), BadValue>),
}

macro_rules! set {
    ($field:ident) => {
        Setter::Flag(|config| config.$field = true)
    };
    ($field:ident, $value:ident => $parsed:expr) => {
        Setter::Value(|config, $value| {
            config.$field = $parsed;
            Ok(())
        })
    };
}

/// What a flag does; nothing for one that is not known.
fn setter(name: &str) -> Option<Setter> {
    Some(match name {
        "-port" => set!(port, v => number(v)?),
        "-shim-id" => set!(shim_id, v => number(v)?),
        "-ipv6" => set!(ipv6),
        "-server" => set!(server),
        "-is-handshaker-supported" => set!(is_handshaker_supported),
        "-resume-count" => set!(resume_count, v => number(v)?),
        "-cert-file" => set!(cert_file, v => v.into()),
        "-key-file" => set!(key_file, v => v.into()),
        "-curves" => Setter::Value(|config, v| {
            config.curves.push(group(v)?);
            Ok(())
        }),
        "-min-version" => set!(min_version, v => Some(number(v)?)),
        "-max-version" => set!(max_version, v => Some(number(v)?)),
        "-no-tls12" => set!(no_tls12),
        "-no-tls13" => set!(no_tls13),
        "-select-alpn" => set!(select_alpn, v => v.into()),
        "-decline-alpn" => set!(decline_alpn),
        "-reject-alpn" => set!(reject_alpn),
        "-expect-advertised-alpn" => set!(expect_advertised_alpn, v => v.into()),
        "-expect-server-name" => set!(expect_server_name, v => v.into()),
        "-expect-session-miss" => set!(expect_session_miss),
        "-expect-session-id" => set!(expect_session_id),
        "-expect-hrr" => set!(expect_hrr),
        "-expect-no-hrr" => set!(expect_no_hrr),
        "-expect-extended-master-secret" => set!(expect_extended_master_secret),
        "-expect-curve-id" => set!(expect_curve_id, v => Some(number(v)?)),
        "-no-ticket" => set!(no_ticket),
        "-check-close-notify" => set!(check_close_notify),
        "-shim-shuts-down" => set!(shim_shuts_down),
        "-read-size" => set!(read_size, v => Some(number(v)?)),
        "-max-send-fragment" => set!(max_send_fragment, v => Some(number(v)?)),
        "-key-update" => set!(key_update),
        // About how a library is called, about versions that the engine does not have, about
        // client certificates, which it does not ask for, or about a session cache, which it does
        // not have.
        "-async"
        | "-implicit-handshake"
        | "-use-early-callback"
        | "-no-tls1"
        | "-no-tls11"
        | "-expect-no-session-id" => Setter::Flag(|_| ()),
        "-trust-cert" => Setter::Value(|_, _| Ok(())),
        _ => return None,
    })
}
