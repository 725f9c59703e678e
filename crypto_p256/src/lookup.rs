// SPDX-License-Identifier: GPL-2.0
//! Tables of affine points, looked up with a secret index: the whole table is read.

use crate::arith::Arith;
use crate::field::Fe;
use crate::limbs::mask;
use crate::point::Affine;

/// N words of a point: 8 for x and y on P-256.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Entry<const N: usize>(pub(crate) [u64; N]);

/// For a digit u of a table of `entries`, a power of two, with u in [0, 2 entries): the entry to
/// read, and a mask that is all ones when it is to be negated. Entry u - N for u >= N, and below the
/// negative of entry N - 1 - u.
#[inline(always)]
pub(crate) fn signed_index(entries: usize, u: u64) -> (u64, u64) {
    let low = (entries as u64).wrapping_sub(1);
    let negative = mask(((u & !low) == 0).into());
    ((u ^ negative) & low, negative)
}

impl Entry<8> {
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

    /// The multiple for digit u.
    #[inline(always)]
    pub(crate) fn select<A: Arith, const E: usize>(
        arith: A,
        table: &[Entry<8>; E],
        u: u64,
    ) -> Affine {
        let (index, negative) = signed_index(E, u);
        let Affine { x, y } = arith.lookup(table, index).point();
        Affine {
            x,
            y: y.negate_if(arith, negative),
        }
    }
}
