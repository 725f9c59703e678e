// SPDX-License-Identifier: GPL-2.0
//! TCP sequence numbers, RFC 9293 section 3.4: numbers modulo 2^32, of which one is before the
//! other if the way from it is shorter than 2^31.

/// How far it is from one number to another; negative if `to` is before `from`.
pub const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

/// Whether `a` is before `b`.
pub const fn before(a: u32, b: u32) -> bool {
    distance(b, a) < 0
}

/// Whether `seq` is in the range from `start` on that ends before `end`.
pub const fn within(seq: u32, start: u32, end: u32) -> bool {
    seq.wrapping_sub(start) < end.wrapping_sub(start)
}
