// SPDX-License-Identifier: GPL-2.0

//! The textual encoding of keys and certificates, RFC 7468.
//!
//! Text may stand between the blocks, lines may end in LF, CRLF or CR, and a body may be broken
//! anywhere by blanks. What a body holds is strict base64 (RFC 4648, section 4): nothing outside the
//! alphabet, padded, and with the unused bits of the last character 0.
//!
//! # Constant time
//!
//! [`decode`] uses no table and no branch that depends on which character of the alphabet it reads.
//! What shows is where line ends and padding are.

/// Why a text is not PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A block has no end.
    NoEnd,
    /// The boundaries of a block do not belong together, or are no boundaries.
    BadBoundary,
    /// The body is not base64.
    BadBase64,
}

/// One block: what stands between a BEGIN and an END line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The label, such as `CERTIFICATE`.
    pub label: &'a [u8],
    /// The lines between the boundaries, still encoded.
    pub body: &'a [u8],
}

impl Block<'_> {
    /// Whether the body is encrypted after RFC 1421, as OpenSSL's traditional formats can be.
    pub fn is_encrypted(&self) -> bool {
        self.body.starts_with(b"Proc-Type:")
    }
}

/// The blocks of a text, in order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// Starts at the beginning of `text`.
    pub const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Takes the next line, without its end. A CRLF ends a line and then an empty one.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&c| matches!(c, b'\r' | b'\n'));
        let (line, rest) = match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
            None => (self.rest, Default::default()),
        };

        self.rest = rest;
        Some(line.trim_ascii_end())
    }

    /// Reads up to the END line that belongs to `label`.
    fn body(&mut self, label: &'a [u8]) -> Result<Block<'a>, Error> {
        let start = self.rest;

        loop {
            let before = self.rest.len();
            let line = self.line().ok_or(Error::NoEnd)?;

            if line.starts_with(b"-----END ") {
                if boundary(line, b"-----END ") != Some(label) {
                    return Err(Error::BadBoundary);
                }
                let body_len = start.len().saturating_sub(before);
                let body = start.get(..body_len).unwrap_or_default();
                return Ok(Block { label, body });
            }
            if line.starts_with(b"-----") {
                return Err(Error::BadBoundary);
            }
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line()?;

            if !line.starts_with(b"-----BEGIN ") {
                continue;
            }
            let block = boundary(line, b"-----BEGIN ")
                .ok_or(Error::BadBoundary)
                .and_then(|label| self.body(label));
            if block.is_err() {
                self.rest = Default::default();
            }
            return Some(block);
        }
    }
}

/// Whether `input` has a line that opens a block.
pub fn is_pem(input: &[u8]) -> bool {
    let mut lines = Blocks::new(input);

    while let Some(line) = lines.line() {
        if line.starts_with(b"-----BEGIN ") {
            return true;
        }
    }
    false
}

/// The label of a boundary line that opens with `start`.
fn boundary<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}

/// Decodes the body of a block, in time independent of what it holds.
///
/// Returns the length of what is encoded. As much of it as `out` has room for is written there, so
/// that an empty `out` just measures, and the beginning of something too long can be looked at.
///
/// # Errors
///
/// [`Error::BadBase64`]; `out` then holds garbage, some of which may be secret.
pub fn decode(body: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    let mut len = 0_usize;
    let mut put = |octet: u32| {
        if let Some(place) = out.get_mut(len) {
            *place = octet as u8;
        }
        len = len.saturating_add(1);
    };
    // Up to four characters, as one number.
    let mut group = 0_u32;
    let mut characters = 0_u8;
    let mut padding = 0_u8;

    for &c in body {
        let (value, invalid) = sextet(c);

        // Without black_box the compiler sees that blanks and '=' come before the letters, and
        // splits the alphabet in two with a branch.
        if core::hint::black_box(invalid) != 0 {
            match c {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'=' if padding < 2 => padding = padding.wrapping_add(1),
                _ => return Err(Error::BadBase64),
            }
            continue;
        }
        if padding > 0 {
            return Err(Error::BadBase64);
        }
        group = (group << 6) | value;
        characters = characters.wrapping_add(1);
        if characters == 4 {
            put(group >> 16);
            put(group >> 8);
            put(group);
            group = 0;
            characters = 0;
        }
    }

    let unused = match (characters, padding) {
        (0, 0) => 0,
        (2, 2) => {
            put(group >> 4);
            group & 0xf
        }
        (3, 1) => {
            put(group >> 10);
            put(group >> 2);
            group & 0x3
        }
        _ => return Err(Error::BadBase64),
    };
    if unused == 0 {
        Ok(len)
    } else {
        Err(Error::BadBase64)
    }
}

/// The value of a character of the base64 alphabet, and whether it is none (all ones if so).
fn sextet(c: u8) -> (u32, u32) {
    let c = u32::from(c);
    // All ones if low <= c <= high: both differences are then negative.
    let within = |low: u8, high: u8| {
        let below = u32::from(low).wrapping_sub(1).wrapping_sub(c);
        let above = c.wrapping_sub(u32::from(high)).wrapping_sub(1);
        0_u32.wrapping_sub((below & above) >> 31)
    };
    let upper = within(b'A', b'Z');
    let lower = within(b'a', b'z');
    let digit = within(b'0', b'9');
    let plus = within(b'+', b'+');
    let slash = within(b'/', b'/');
    let value = (upper & c.wrapping_sub(65))
        | (lower & c.wrapping_sub(71))
        | (digit & c.wrapping_add(4))
        | (plus & 62)
        | (slash & 63);

    (value, !(upper | lower | digit | plus | slash))
}
