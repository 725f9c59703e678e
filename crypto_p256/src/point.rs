// SPDX-License-Identifier: GPL-2.0
//! Points of the curve y^2 = x^3 - 3x + b and their incomplete addition formulas.

use crate::arith::Arith;
use crate::field::Fe;

/// b in Montgomery form.
const B: Fe = Fe([
    0xd89c_df62_29c4_bddf,
    0xacf0_05cd_7884_3090,
    0xe5a2_20ab_f721_2ed6,
    0xdc30_061d_0487_4834,
]);

/// A point other than the identity: (x, y).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Affine {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
}

impl Affine {
    /// 1 when (x, y) satisfies the curve's equation, else 0.
    pub(crate) fn on_curve<A: Arith>(&self, arith: A) -> u64 {
        let x3 = arith.mul(&arith.sqr(&self.x), &self.x);
        let three_x = arith.add(&arith.add(&self.x, &self.x), &self.x);
        let rhs = arith.add(&arith.sub(&x3, &three_x), &B);
        arith.sqr(&self.y).eq(&rhs)
    }
}

/// A point in Jacobian coordinates, (x / z^2, y / z^3), with the point to add next and the scratch
/// memory of the formulas; the identity has z = 0. What fails for the identity or equal points is
/// said at [`Arith`], and ruled out by the multiplications that use it.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Accumulator {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
    pub(crate) addend: Affine,
    scratch: [Fe; 5],
}

impl Accumulator {
    pub(crate) fn new<A: Arith>(arith: A, p: &Affine) -> Self {
        let mut r = Accumulator {
            x: p.x,
            y: p.y,
            z: Fe::ONE,
            addend: *p,
            scratch: [Fe::ZERO; 5],
        };
        if let Some(z) = arith.blinding() {
            let zz = arith.sqr(&z);
            r.x = arith.mul(&r.x, &zz);
            r.y = arith.mul(&r.y, &arith.mul(&zz, &z));
            r.z = z;
        }
        r
    }

    /// `2 self`.
    #[inline]
    pub(crate) fn double<A: Arith>(&mut self, arith: A) {
        arith.double(self);
    }

    /// `self + b`.
    #[inline]
    pub(crate) fn add<A: Arith>(&mut self, arith: A, b: &Affine) {
        self.addend = *b;
        arith.add_addend(self);
    }

    /// `-self` where `mask` is all ones.
    pub(crate) fn negate_if<A: Arith>(&mut self, arith: A, mask: u64) {
        self.y = self.y.negate_if(arith, mask);
    }

    /// The affine form of a point other than the identity.
    pub(crate) fn to_affine<A: Arith>(&self, arith: A) -> Affine {
        let zi = self.z.invert(arith);
        let zi2 = arith.sqr(&zi);
        Affine {
            x: arith.mul(&self.x, &zi2),
            y: arith.mul(&self.y, &arith.mul(&zi2, &zi)),
        }
    }
}

/// Two different points, not opposite, with one z, which is not kept: (x1, y1) and (x2, y2). Meloni's
/// addition ("New point addition formulae for ECC applications", 2007) is cheaper than that of
/// Jacobian points, and gives the second point and the sum over a z again common to both.
#[derive(Clone, Copy)]
pub(crate) struct CommonZ {
    pub(crate) x1: Fe,
    pub(crate) y1: Fe,
    pub(crate) x2: Fe,
    pub(crate) y2: Fe,
}

impl CommonZ {
    /// `p` and `2 p`, over z = y of `p`.
    pub(crate) fn double<A: Arith>(arith: A, p: &Affine) -> CommonZ {
        let yy = arith.sqr(&p.y);
        let x1 = arith.mul(&p.x, &yy);
        let y1 = arith.sqr(&yy);
        let m = arith.sub(&arith.sqr(&p.x), &Fe::ONE);
        let m = arith.add(&m, &arith.half(&m));
        let x2 = arith.sub(&arith.sub(&arith.sqr(&m), &x1), &x1);
        let y2 = arith.sub(&arith.mul(&m, &arith.sub(&x1, &x2)), &y1);
        CommonZ { x1, y1, x2, y2 }
    }

    /// The first point becomes the sum of both, and z is multiplied by the number that comes back.
    pub(crate) fn add_second<A: Arith>(&mut self, arith: A) -> Fe {
        let h = arith.sub(&self.x2, &self.x1);
        let r = arith.sub(&self.y2, &self.y1);
        let hh = arith.sqr(&h);
        let rr = arith.sqr(&r);
        let w2 = arith.mul(&self.x2, &hh);
        let w1 = arith.mul(&self.x1, &hh);
        self.y2 = arith.mul(&self.y2, &arith.sub(&w2, &w1));
        self.x1 = arith.sub(&arith.sub(&rr, &w1), &w2);
        self.y1 = arith.sub(&arith.mul(&r, &arith.sub(&w2, &self.x1)), &self.y2);
        self.x2 = w2;
        h
    }
}
