// SPDX-License-Identifier: GPL-2.0
//! Tables of affine points, looked up with a secret index: the whole table is read.

use crate::arith::Arith;
use crate::field::Fe;
use crate::limbs::mask;
use crate::point::Affine;

/// x and y of a point.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Entry(pub(crate) [u64; 8]);

impl Entry {
    pub(crate) fn new(point: &Affine) -> Self {
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (point.x.0, point.y.0);
        Entry([x0, x1, x2, x3, y0, y1, y2, y3])
    }

    pub(crate) fn point(&self) -> Affine {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = self.0;
        Affine {
            x: Fe([x0, x1, x2, x3]),
            y: Fe([y0, y1, y2, y3]),
        }
    }

    /// The multiple for a digit u of a table of N = 2^w entries, u in [0, 2N): entry u - N for
    /// u >= N, and below the negative of entry N - 1 - u.
    #[inline(always)]
    pub(crate) fn select<A: Arith, const N: usize>(arith: A, table: &[Entry; N], u: u64) -> Affine {
        const { assert!(N.is_power_of_two()) };
        let negative = mask((u / N as u64) ^ 1);
        let index = (u ^ negative) & (N as u64).wrapping_sub(1);
        let Affine { x, y } = arith.lookup(table, index).point();
        Affine {
            x,
            y: y.negate_if(negative),
        }
    }
}
