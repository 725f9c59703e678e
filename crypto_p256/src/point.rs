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
pub(crate) struct Affine {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
}

/// A point in Jacobian coordinates: (x / z^2, y / z^3); the identity has z = 0.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
}

impl Affine {
    /// 1 when (x, y) satisfies the curve's equation, else 0.
    pub(crate) fn on_curve<A: Arith>(&self, arith: A) -> u64 {
        let x3 = arith.mul(&arith.sqr(&self.x), &self.x);
        let rhs = x3.sub(&self.x.double().add(&self.x)).add(&B);
        arith.sqr(&self.y).eq(&rhs)
    }

    /// The same point with z = 1.
    pub(crate) fn to_jacobian(self) -> Jacobian {
        Jacobian {
            x: self.x,
            y: self.y,
            z: Fe::ONE,
        }
    }
}

impl Jacobian {
    /// The affine form of a point other than the identity.
    pub(crate) fn to_affine<A: Arith>(self, arith: A) -> Affine {
        let zi = self.z.invert(arith);
        let zi2 = arith.sqr(&zi);
        Affine {
            x: arith.mul(&self.x, &zi2),
            y: arith.mul(&self.y, &arith.mul(&zi2, &zi)),
        }
    }

    /// `2 self`; the identity gives the identity. 4 multiplications and 4 squarings.
    pub(crate) fn double<A: Arith>(&self, arith: A) -> Jacobian {
        let y2 = self.y.double();
        let z = arith.mul(&y2, &self.z);
        // 4y^2, and S = 4xy^2.
        let yy4 = arith.sqr(&y2);
        let s = arith.mul(&self.x, &yy4);
        // M = 3 (x - z^2)(x + z^2), as a = -3.
        let zz = arith.sqr(&self.z);
        let t = arith.mul(&self.x.sub(&zz), &self.x.add(&zz));
        let m = t.double().add(&t);
        let x = arith.sqr(&m).sub(&s.double());
        // 8y^4 is half of (4y^2)^2.
        let y = arith.mul(&m, &s.sub(&x)).sub(&arith.sqr(&yy4).half());
        Jacobian { x, y, z }
    }

    /// `self + b` for points other than the identity with `self` other than `b` and `-b`; for
    /// `self = -b` the identity comes out. 8 multiplications and 3 squarings.
    pub(crate) fn add_affine<A: Arith>(&self, arith: A, b: &Affine) -> Jacobian {
        let zz = arith.sqr(&self.z);
        let h = arith.mul(&b.x, &zz).sub(&self.x);
        let r = arith.mul(&b.y, &arith.mul(&zz, &self.z)).sub(&self.y);
        self.add_differences(arith, &self.x, &self.y, &self.z, &h, &r)
    }

    /// `self + b` under the conditions of [`Jacobian::add_affine`], for `b` with the square and
    /// the cube of its z. 11 multiplications and 3 squarings.
    pub(crate) fn add<A: Arith>(&self, arith: A, b: &Cached) -> Jacobian {
        let zz = arith.sqr(&self.z);
        let x1 = arith.mul(&self.x, &b.zz);
        let h = arith.mul(&b.x, &zz).sub(&x1);
        let y1 = arith.mul(&self.y, &b.zzz);
        let r = arith.mul(&b.y, &arith.mul(&zz, &self.z)).sub(&y1);
        self.add_differences(arith, &x1, &y1, &arith.mul(&self.z, &b.z), &h, &r)
    }

    /// The rest of an addition, from `x1`, `y1` and the differences `h`, `r` of the coordinates
    /// brought to the common denominator `z`.
    #[inline(always)]
    fn add_differences<A: Arith>(
        &self,
        arith: A,
        x1: &Fe,
        y1: &Fe,
        z: &Fe,
        h: &Fe,
        r: &Fe,
    ) -> Jacobian {
        let hh = arith.sqr(h);
        let hhh = arith.mul(&hh, h);
        let v = arith.mul(x1, &hh);
        let x = arith.sqr(r).sub(&hhh).sub(&v.double());
        let y = arith.mul(r, &v.sub(&x)).sub(&arith.mul(y1, &hhh));
        Jacobian {
            x,
            y,
            z: arith.mul(z, h),
        }
    }
}

/// A Jacobian point with powers of its z, for repeated addition.
#[derive(Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
    pub(crate) zz: Fe,
    pub(crate) zzz: Fe,
}

impl Cached {
    /// An entry to be overwritten.
    pub(crate) const ZERO: Cached = Cached {
        x: Fe::ZERO,
        y: Fe::ZERO,
        z: Fe::ZERO,
        zz: Fe::ZERO,
        zzz: Fe::ZERO,
    };

    pub(crate) fn new<A: Arith>(arith: A, p: &Jacobian) -> Cached {
        let zz = arith.sqr(&p.z);
        Cached {
            x: p.x,
            y: p.y,
            z: p.z,
            zz,
            zzz: arith.mul(&zz, &p.z),
        }
    }
}
