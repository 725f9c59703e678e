// SPDX-License-Identifier: GPL-2.0
//! The digits of a signed comb (Lim and Lee, CRYPTO '94).
//!
//! An odd number k is a sum of signed powers of two, s_0 + s_1 2 + ... + s_(L-1) 2^(L-1) with all
//! s_i in {1, -1}: s_i is 1 where bit i + 1 of k + 2^L is 1. With W rows of d = L / W signs, digit i
//! gathers the signs i, i + d, i + 2d, ... A table for it holds the multiples of the base point for
//! all choices with the last sign positive; the others are their negatives. No digit is zero.

use crate::limbs::Limbs;
use crate::wipe::wipe;

/// The signs of a number by rows, 1 for a positive one. Wiped when dropped.
pub(crate) struct Rows<const W: usize>([u64; W]);

impl<const W: usize> Drop for Rows<W> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl<const W: usize> Rows<W> {
    /// The rows of odd k, each of `depth` below 64 signs, with 256 <= W * depth <= 318.
    pub(crate) fn new(k: &Limbs, depth: usize) -> Self {
        let word = |i: usize| k.get(i).copied().unwrap_or(0);
        let high = 1u64.wrapping_shl(depth as u32);
        let mut rows = [0; W];
        let mut bit = 1usize;
        for row in &mut rows {
            let shift = (bit % 64) as u32;
            let next = word((bit / 64).wrapping_add(1));
            *row = (word(bit / 64) >> shift) | next.wrapping_shl(1).wrapping_shl(63 - shift);
            *row &= high.wrapping_sub(1);
            bit = bit.wrapping_add(depth);
        }
        if let Some(last) = rows.last_mut() {
            // 2^L, one bit down.
            *last |= high >> 1;
        }
        Rows(rows)
    }

    /// The signs of column `i`, that of the last row highest.
    #[inline(always)]
    pub(crate) fn digit(&self, i: usize) -> u64 {
        let mut u = 0;
        for row in self.0.iter().rev() {
            u = (u << 1) | (row.wrapping_shr(i as u32) & 1);
        }
        u
    }
}
