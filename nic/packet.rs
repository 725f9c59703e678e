// SPDX-License-Identifier: GPL-2.0

//! What the device looks at in a packet: Ethernet, IPv4 or IPv6, TCP.

use core::ops::Range;

/// Bytes at the front of a packet in which [`parse`] finds all headers that it knows.
pub(crate) const HEADERS: usize = 14 + 60 + 60;

/// A direction of a connection. IPv4's addresses are mapped into IPv6's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) from: ([u8; 16], u16),
    pub(crate) to: ([u8; 16], u16),
}

/// A segment of a connection.
pub(crate) struct Segment {
    pub(crate) flow: Flow,
    pub(crate) seq: u32,
    pub(crate) payload: Range<usize>,
}

/// Finds a TCP segment in a packet of `len` bytes that begins with `head`. Fragments, options of
/// IPv6 and tunnels are none of the device's business: `None`.
pub(crate) fn parse(head: &[u8], len: usize) -> Option<Segment> {
    let (ethernet, ip) = head.split_at_checked(14)?;
    match ethernet.get(12..)? {
        [0x08, 0x00] => parse_ipv4(ip, len.checked_sub(14)?),
        [0x86, 0xdd] => parse_ipv6(ip, len.checked_sub(14)?),
        _ => None,
    }
}

fn parse_ipv4(ip: &[u8], len: usize) -> Option<Segment> {
    let (fixed, _) = ip.split_first_chunk::<20>()?;
    let header = usize::from(fixed[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff;
    if fixed[0] >> 4 != 4 || header < 20 || fixed[9] != 6 || fragment != 0 || total > len {
        return None;
    }
    let mapped = |a, b, c, d| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d];
    let from = mapped(fixed[12], fixed[13], fixed[14], fixed[15]);
    let to = mapped(fixed[16], fixed[17], fixed[18], fixed[19]);
    parse_tcp(ip.get(header..)?, from, to, 14 + header, 14 + total)
}

fn parse_ipv6(ip: &[u8], len: usize) -> Option<Segment> {
    let (fixed, tcp) = ip.split_first_chunk::<40>()?;
    let total = 40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    if fixed[0] >> 4 != 6 || fixed[6] != 6 || total > len {
        return None;
    }
    let from = fixed.get(8..24)?.try_into().ok()?;
    let to = fixed.get(24..)?.try_into().ok()?;
    parse_tcp(tcp, from, to, 14 + 40, 14 + total)
}

fn parse_tcp(
    tcp: &[u8],
    from: [u8; 16],
    to: [u8; 16],
    begin: usize,
    end: usize,
) -> Option<Segment> {
    let (fixed, _) = tcp.split_first_chunk::<20>()?;
    let header = usize::from(fixed[12] >> 4) * 4;
    let payload = begin + header..end;
    if header < 20 || payload.start > end {
        return None;
    }
    Some(Segment {
        flow: Flow {
            from: (from, u16::from_be_bytes([fixed[0], fixed[1]])),
            to: (to, u16::from_be_bytes([fixed[2], fixed[3]])),
        },
        seq: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        payload,
    })
}
