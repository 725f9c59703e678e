// SPDX-License-Identifier: GPL-2.0
//! Numbers mod q = 2^255 - 19.

use crate::inverse::{self, DivSteps, Modulus};
use crate::limbs::{self, Limbs};
use crate::lookup::Entry;

/// q.
const Q: Limbs = [
    0xffff_ffff_ffff_ffed,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
];

const MODULUS: Modulus = Modulus::new(&Q);

/// A number mod q: any of 256 bits.
///
/// A number is called reduced when it is below 2^255 + 2^11, as are products; it need not be below q.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Fe(pub(crate) Limbs);

impl Fe {
    /// 0.
    pub(crate) const ZERO: Fe = Fe([0; 4]);
    /// 1.
    pub(crate) const ONE: Fe = Fe([1, 0, 0, 0]);

    /// From 32 little-endian octets, without the highest bit (RFC 7748 section 5).
    pub(crate) fn from_octets(octets: &[u8; 32]) -> Fe {
        let mut r = [0; 4];
        for (limb, chunk) in r.iter_mut().zip(octets.chunks_exact(8)) {
            *limb = chunk
                .iter()
                .rev()
                .fold(0, |acc, &b| (acc << 8) | u64::from(b));
        }
        let [r0, r1, r2, r3] = r;
        Fe([r0, r1, r2, r3 & (u64::MAX >> 1)])
    }

    /// 32 little-endian octets of the number in [0, q).
    pub(crate) fn to_octets(self) -> [u8; 32] {
        let mut r = [0; 32];
        for (chunk, limb) in r.chunks_exact_mut(8).zip(self.canonical()) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        r
    }

    /// The number in [0, q).
    fn canonical(self) -> Limbs {
        // 2^255 = 19: below 2^255 + 19 then, and less than q is left after one subtraction more.
        let fold = |r: &Limbs, bit: u64| limbs::add(r, &[bit.wrapping_mul(19), 0, 0, 0]).0;
        let [r0, r1, r2, r3] = self.0;
        let r = fold(&[r0, r1, r2, r3 & (u64::MAX >> 1)], r3 >> 63);
        limbs::reduce_once(&r, 0, &Q)
    }

    /// `1 / self`, and 0 for 0. Reduced.
    pub(crate) fn invert<S: DivSteps>(self, steps: S) -> Fe {
        Fe(inverse::invert(steps, &self.canonical(), &MODULUS))
    }
}

/// Arithmetic mod q: what differs between processors.
///
/// # Constant time
///
/// Every method runs in constant time.
pub(crate) trait Arith25519: DivSteps {
    /// `a * b`, reduced, for any a and b.
    fn mul(self, a: &Fe, b: &Fe) -> Fe;
    /// `a^2`, reduced, for any a.
    fn sqr(self, a: &Fe) -> Fe;
    /// `a + b` for any a and a reduced b.
    fn add(self, a: &Fe, b: &Fe) -> Fe;
    /// `a - b` for any a and a reduced b.
    fn sub(self, a: &Fe, b: &Fe) -> Fe;
    /// Swaps where `swap` is 1, then does one step of the ladder.
    fn step(self, ladder: &mut Ladder, swap: u64);
    /// Entry `index` of `table`; every entry is read.
    fn lookup<const E: usize>(self, table: &[Entry<12>; E], index: u64) -> Entry<12>;

    /// `p` plus its addend: 7 multiplications (Hisil, Wong, Carter, Dawson, "Twisted Edwards curves
    /// revisited", 2008, section 3.1). There are no exceptional cases.
    fn add_addend(self, p: &mut Extended) {
        let a = self.mul(&self.sub(&p.y, &p.x), &p.addend.difference);
        let b = self.mul(&self.add(&p.y, &p.x), &p.addend.sum);
        let c = self.mul(&p.t, &p.addend.product);
        let d = self.add(&p.z, &p.z);
        let (e, f) = (self.sub(&b, &a), self.sub(&d, &c));
        let (g, h) = (self.add(&d, &c), self.add(&b, &a));
        p.x = self.mul(&e, &f);
        p.y = self.mul(&g, &h);
        p.t = self.mul(&e, &h);
        p.z = self.mul(&f, &g);
    }
}

/// A point (x / z, y / z) of the twisted Edwards form, with t = x y / z; all reduced. With the point
/// to add next and scratch memory.
#[repr(C, align(64))]
pub(crate) struct Extended {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
    pub(crate) t: Fe,
    pub(crate) addend: Addend,
    scratch: [Fe; 4],
}

/// y + x, y - x and 2 d x y of a point to be added; all reduced.
#[repr(C)]
pub(crate) struct Addend {
    pub(crate) sum: Fe,
    pub(crate) difference: Fe,
    pub(crate) product: Fe,
}

impl Extended {
    /// (0, 1).
    pub(crate) const IDENTITY: Extended = Extended {
        x: Fe::ZERO,
        y: Fe::ONE,
        z: Fe::ONE,
        t: Fe::ZERO,
        addend: Addend {
            sum: Fe::ONE,
            difference: Fe::ONE,
            product: Fe::ZERO,
        },
        scratch: [Fe::ZERO; 4],
    };

    /// `2 self`: 4 multiplications and 4 squarings (section 3.3 there), with all signs turned.
    pub(crate) fn double<A: Arith25519>(&mut self, arith: A) {
        let (a, b) = (arith.sqr(&self.x), arith.sqr(&self.y));
        let zz = arith.sqr(&self.z);
        let square = arith.sqr(&arith.add(&self.x, &self.y));
        // e = 2xy, g = y^2 - x^2, f = 2z^2 - g, h = x^2 + y^2.
        let e = arith.sub(&arith.sub(&square, &a), &b);
        let g = arith.sub(&b, &a);
        let f = arith.add(&arith.sub(&arith.add(&zz, &zz), &b), &a);
        let h = arith.add(&a, &b);
        self.x = arith.mul(&e, &f);
        self.y = arith.mul(&g, &h);
        self.t = arith.mul(&e, &h);
        self.z = arith.mul(&f, &g);
    }
}

/// The state of the Montgomery ladder (RFC 7748 section 5), all reduced, with scratch memory.
#[repr(C, align(64))]
pub(crate) struct Ladder {
    pub(crate) x2: Fe,
    pub(crate) z2: Fe,
    pub(crate) x3: Fe,
    pub(crate) z3: Fe,
    pub(crate) x1: Fe,
    scratch: [Fe; 4],
}

impl Ladder {
    /// For a reduced u.
    pub(crate) fn new(u: &Fe) -> Self {
        Ladder {
            x2: Fe::ONE,
            z2: Fe::ZERO,
            x3: *u,
            z3: Fe::ONE,
            x1: *u,
            scratch: [Fe::ZERO; 4],
        }
    }
}
