// SPDX-License-Identifier: GPL-2.0
//! The DER form of a signature: Ecdsa-Sig-Value of RFC 3279 section 2.2.3, a SEQUENCE of two
//! INTEGERs. All lengths are below 128, one octet.

use super::Signature;
use crate::Error;

/// Octets that the DER form has at most.
pub const DER_MAX_LEN: usize = 72;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

impl Signature {
    /// Writes the DER form to the front of `out` and returns its length in octets.
    pub fn to_der(&self, out: &mut [u8; DER_MAX_LEN]) -> usize {
        let (r, s) = self.0.split_at(32);
        let (r, s) = (significant(r), significant(s));
        let octets = |n: &[u8]| n.len().wrapping_add(usize::from(needs_zero(n)));
        let body = octets(r).wrapping_add(octets(s)).wrapping_add(4);
        let header = [SEQUENCE, body as u8];
        let integer = |n| [INTEGER, octets(n) as u8];
        let zero = |n| if needs_zero(n) { &[0][..] } else { &[] };
        let parts = [
            &header[..],
            &integer(r),
            zero(r),
            r,
            &integer(s),
            zero(s),
            s,
        ];
        let mut len = 0usize;
        for (to, from) in out.iter_mut().zip(parts.iter().copied().flatten()) {
            *to = *from;
            len = len.wrapping_add(1);
        }
        len
    }

    /// From the DER form, which must be exact: minimal lengths, minimal INTEGERs, nothing after.
    /// The range of r and s is checked by verification.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        parse(der).ok_or(Error::InvalidSignature)
    }
}

fn parse(der: &[u8]) -> Option<Signature> {
    let (body, rest) = element(der, SEQUENCE)?;
    let (r, s) = element(body, INTEGER)?;
    let (s, end) = element(s, INTEGER)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut octets = [0; 64];
    let (r_half, s_half) = octets.split_at_mut(32);
    unsigned(r, r_half)?;
    unsigned(s, s_half)?;
    Some(Signature(octets))
}

/// The contents of a leading element with that tag and a length below 128, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[t, len], rest) = der.split_first_chunk()?;
    if t != tag || len >= 0x80 {
        return None;
    }
    rest.split_at_checked(usize::from(len))
}

/// Writes a minimal, non-negative INTEGER of at most 32 significant octets to `out`, big-endian.
fn unsigned(contents: &[u8], out: &mut [u8]) -> Option<()> {
    let magnitude = match contents {
        [] => return None,
        [0] => &[],
        [0, rest @ ..] if needs_zero(rest) => rest,
        [first, ..] if (1..0x80).contains(first) => contents,
        _ => return None,
    };
    let start = out.len().checked_sub(magnitude.len())?;
    out.get_mut(start..)?.copy_from_slice(magnitude);
    Some(())
}

/// Big-endian octets without leading zeros.
fn significant(mut octets: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = octets {
        octets = rest;
    }
    octets
}

/// Whether an INTEGER of these significant octets has a zero before them: when the first bit is set,
/// or there are none.
fn needs_zero(octets: &[u8]) -> bool {
    octets.first().is_none_or(|&first| first >= 0x80)
}
