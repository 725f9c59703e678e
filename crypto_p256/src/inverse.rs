// SPDX-License-Identifier: GPL-2.0
//! Inversion modulo an odd prime by the half-delta form of safegcd (Bernstein and Yang, "Fast
//! constant-time gcd computation and modular inversion", 2019).
//!
//! From f = m, g = a the division step
//!
//! ```text
//! zeta < 0 and g odd:  zeta' = -zeta - 2,  f' = g,  g' = (g - f) / 2
//! else:                zeta' = zeta - 1,   f' = f,  g' = (g + (g mod 2) f) / 2
//! ```
//!
//! with zeta = -1 at first (zeta is -(delta + 1/2)) reaches g = 0 and f = +-1 after at most 590
//! steps for 256-bit m and any a in [0, m). d and e follow with d a = f, e a = g mod m, so that
//! at the end 1/a = f d.
//!
//! 59 steps at a time are done on the low words alone and gathered in a 2x2 matrix, which is then
//! applied to the full numbers. The matrix is kept times 2^3, so that the exact division after each
//! batch is by 2^62, one limb.
//!
//! # Constant time
//!
//! The number of steps is fixed, and each is done with masks.

use crate::limbs::Limbs;

/// Five limbs in radix 2^62, all but the last in [0, 2^62): `limb[i] * 2^(62 i)`, summed.
type Signed62 = [i64; 5];

const M62: u64 = u64::MAX >> 2;

/// Batches of 59 steps: 590.
const BATCHES: usize = 10;

/// The division steps: what differs between processors.
pub(crate) trait DivSteps: Copy {
    /// N steps on words that hold a row each, as [`run`] packs them: (zeta, f, g) after them.
    ///
    /// # Constant time
    ///
    /// For all arguments.
    #[inline(always)]
    fn div_steps<const N: u32>(self, mut zeta: i64, mut f: i64, mut g: i64) -> (i64, i64, i64) {
        for _ in 0..N {
            let swap = zeta >> 63;
            let odd = 0i64.wrapping_sub(g & 1);
            let both = swap & odd;
            let addend = (f ^ swap).wrapping_sub(swap) & odd;
            f ^= (f ^ g) & both;
            g = g.wrapping_add(addend) >> 1;
            zeta = (zeta ^ both).wrapping_sub(1);
        }
        (zeta, f, g)
    }
}

/// A modulus that can be inverted by.
pub(crate) struct Modulus {
    m: Signed62,
    /// 1/m mod 2^62.
    inverse: u64,
}

/// p.
pub(crate) const P: Modulus = Modulus::new(&crate::field::P);
/// n.
pub(crate) const N: Modulus = Modulus::new(&crate::scalar::N);

impl Modulus {
    /// For odd `m`.
    pub(crate) const fn new(m: &Limbs) -> Self {
        // Newton's iteration: m is its own inverse mod 2^3, and each round doubles the bits.
        let mut inverse = m[0];
        let mut round = 0;
        while round < 5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(m[0].wrapping_mul(inverse)));
            round += 1;
        }
        Modulus {
            m: to_signed62(m),
            inverse: inverse & M62,
        }
    }
}

/// `1/a mod m` for `a` in [0, m), and 0 for 0.
pub(crate) fn invert<S: DivSteps>(steps: S, a: &Limbs, modulus: &Modulus) -> Limbs {
    let mut f = modulus.m;
    let mut g = to_signed62(a);
    let mut d = [0; 5];
    let mut e = [1, 0, 0, 0, 0];
    let mut zeta = -1;
    for _ in 0..BATCHES {
        let (next, t) = batch(steps, zeta, f[0], g[0]);
        zeta = next;
        (f, g) = update_fg(&t, &f, &g);
        (d, e) = update_de(&t, &d, &e, modulus);
    }
    // f is 1 or -1: the sign of the last limb says which.
    normalize(&d, f[4] >> 63, modulus)
}

/// [`invert`] for a public `a`: as many steps as it takes, and 62 at a time.
pub(crate) fn invert_vartime(a: &Limbs, modulus: &Modulus) -> Limbs {
    let mut f = modulus.m;
    let mut g = to_signed62(a);
    let mut d = [0; 5];
    let mut e = [1, 0, 0, 0, 0];
    let mut eta = -1;
    while g != [0; 5] {
        let (next, t) = batch_vartime(eta, f[0], g[0]);
        eta = next;
        (f, g) = update_fg(&t, &f, &g);
        (d, e) = update_de(&t, &d, &e, modulus);
    }
    normalize(&d, f[4] >> 63, modulus)
}

/// 62 steps of the form with whole delta = -eta, which has simpler runs:
///
/// ```text
/// eta < 0 and g odd:  eta' = -eta - 1,  f' = g,  g' = (g - f) / 2
/// else:               eta' = eta - 1,   f' = f,  g' = (g + (g mod 2) f) / 2
/// ```
///
/// All steps up to the next odd g are shifts. As long as eta stays above 0 no step exchanges f and
/// g, so that up to 6 of them are one addition of the multiple of f that makes so many bits of g 0.
fn batch_vartime(mut eta: i64, f: i64, g: i64) -> (i64, Matrix) {
    const STEPS: u32 = 62;
    let (mut u, mut v, mut q, mut r) = (1i64, 0i64, 0i64, 1i64);
    let (mut f, mut g) = (f, g);
    let mut left = STEPS;
    loop {
        // A g of 0 is shifted to the end.
        let zeros = g.trailing_zeros().min(left);
        g = g.wrapping_shr(zeros);
        u = u.wrapping_shl(zeros);
        v = v.wrapping_shl(zeros);
        eta = eta.wrapping_sub(zeros.into());
        left = left.wrapping_sub(zeros);
        if left == 0 {
            return (eta, Matrix { u, v, q, r });
        }
        if eta < 0 {
            eta = eta.wrapping_neg();
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        let bits = eta.wrapping_add(1).min(6).min(left.into());
        let mask = 1i64.wrapping_shl(bits as u32).wrapping_sub(1);
        // 1/f = f (2 - f^2) mod 2^6, as f^2 = 1 mod 2^3.
        let square = f.wrapping_mul(f);
        let w = g.wrapping_mul(f).wrapping_mul(square.wrapping_sub(2)) & mask;
        g = g.wrapping_add(f.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
}

/// 2^62 times the matrix of a batch of steps: f' = (u f + v g) / 2^62, g' = (q f + r g) / 2^62.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Matrix {
    /// The low words after the steps of `self`, exact in all but the highest bits.
    #[inline(always)]
    fn apply_low(&self, f: i64, g: i64, steps: u32) -> (i64, i64) {
        let row = |a: i64, b: i64| {
            a.wrapping_mul(f)
                .wrapping_add(b.wrapping_mul(g))
                .wrapping_shr(steps)
        };
        (row(self.u, self.v), row(self.q, self.r))
    }

    /// The matrix of the steps of `self` and then those of `next`.
    #[inline(always)]
    fn then(&self, next: &Matrix) -> Matrix {
        let dot =
            |a: i64, x: i64, b: i64, y: i64| a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y));
        Matrix {
            u: dot(next.u, self.u, next.v, self.q),
            v: dot(next.u, self.v, next.v, self.r),
            q: dot(next.q, self.u, next.r, self.q),
            r: dot(next.q, self.v, next.r, self.r),
        }
    }
}

/// 59 steps on the low words `f`, `g`, in three short runs.
#[inline(always)]
fn batch<S: DivSteps>(steps: S, mut zeta: i64, mut f: i64, mut g: i64) -> (i64, Matrix) {
    let m1 = run::<20, S>(steps, &mut zeta, f, g);
    (f, g) = m1.apply_low(f, g, 20);
    let m2 = run::<20, S>(steps, &mut zeta, f, g);
    (f, g) = m2.apply_low(f, g, 20);
    let m3 = run::<19, S>(steps, &mut zeta, f, g);
    let Matrix { u, v, q, r } = m1.then(&m2).then(&m3);
    (
        zeta,
        Matrix {
            u: u << 3,
            v: v << 3,
            q: q << 3,
            r: r << 3,
        },
    )
}

/// Up to 20 steps on the lowest 20 bits of `f` and `g`, with 2^steps times their matrix.
///
/// One word holds f and, 2^20 times their value, u and v: `f - u 2^21 - v 2^42`; another g, q and r.
/// So one addition or shift does all three. A step replaces a row by the other or by half their
/// sum or difference, so that |f| < 2^20 and the sum of |u| and |v| is at most 1 throughout. u or v
/// can be 1 (and never -1) only while their row is still one of the first two, and then f is not
/// negative: hence the minus signs, with which each field can be told from those below it.
#[inline(always)]
fn run<const STEPS: u32, S: DivSteps>(steps: S, zeta: &mut i64, f: i64, g: i64) -> Matrix {
    const LOW: i64 = (1 << 20) - 1;
    let f = (f & LOW).wrapping_sub(1 << 41);
    let g = (g & LOW).wrapping_sub(1 << 62);
    let (next, f, g) = steps.div_steps::<STEPS>(*zeta, f, g);
    *zeta = next;
    // 2^20 times a coefficient, from its field; the runs are of 20 steps or one less.
    let low = |x: i64| 0i64.wrapping_sub(x.wrapping_add(1 << 20) << 22 >> 43) >> (20 - STEPS);
    let high = |x: i64| 0i64.wrapping_sub(x.wrapping_add(1 << 41) >> 42) >> (20 - STEPS);
    Matrix {
        u: low(f),
        v: high(f),
        q: low(g),
        r: high(g),
    }
}

/// `a * x + b * y + acc`; the callers keep it below 2^127 in magnitude.
#[inline(always)]
fn mac2(acc: i128, a: i64, x: i64, b: i64, y: i64) -> i128 {
    acc.wrapping_add(i128::from(a).wrapping_mul(i128::from(x)))
        .wrapping_add(i128::from(b).wrapping_mul(i128::from(y)))
}

/// `(a x + b y) / 2^62`, exact. |a| + |b| <= 2^62, so that each sum stays below 2^126.
#[inline(always)]
fn combine(a: i64, x: &Signed62, b: i64, y: &Signed62) -> Signed62 {
    let c = mac2(0, a, x[0], b, y[0]) >> 62;
    let c = mac2(c, a, x[1], b, y[1]);
    let r0 = c as i64 & M62 as i64;
    let c = mac2(c >> 62, a, x[2], b, y[2]);
    let r1 = c as i64 & M62 as i64;
    let c = mac2(c >> 62, a, x[3], b, y[3]);
    let r2 = c as i64 & M62 as i64;
    let c = mac2(c >> 62, a, x[4], b, y[4]);
    let r3 = c as i64 & M62 as i64;
    [r0, r1, r2, r3, (c >> 62) as i64]
}

fn update_fg(t: &Matrix, f: &Signed62, g: &Signed62) -> (Signed62, Signed62) {
    (combine(t.u, f, t.v, g), combine(t.q, f, t.r, g))
}

/// d and e stay in (-2m, m): where one is negative, m is added before the matrix is applied.
fn update_de(t: &Matrix, d: &Signed62, e: &Signed62, modulus: &Modulus) -> (Signed62, Signed62) {
    let (sd, se) = (d[4] >> 63, e[4] >> 63);
    (
        combine_mod(t.u, d, sd, t.v, e, se, modulus),
        combine_mod(t.q, d, sd, t.r, e, se, modulus),
    )
}

/// `(a x + b y) / 2^62 mod m` in (-2m, m) for `x`, `y` in (-2m, m) with signs `sx`, `sy`.
#[inline(always)]
fn combine_mod(
    a: i64,
    x: &Signed62,
    sx: i64,
    b: i64,
    y: &Signed62,
    sy: i64,
    modulus: &Modulus,
) -> Signed62 {
    let m = &modulus.m;
    // k m is added: m for each negative operand, and what makes the sum divisible by 2^62.
    let k = (a & sx).wrapping_add(b & sy);
    let c = mac2(0, a, x[0], b, y[0]);
    let low = modulus
        .inverse
        .wrapping_mul(c as u64)
        .wrapping_add(k as u64)
        & M62;
    let k = k.wrapping_sub(low as i64);
    let c = mac2(c, k, m[0], 0, 0) >> 62;
    let c = mac2(mac2(c, a, x[1], b, y[1]), k, m[1], 0, 0);
    let r0 = c as i64 & M62 as i64;
    let c = mac2(mac2(c >> 62, a, x[2], b, y[2]), k, m[2], 0, 0);
    let r1 = c as i64 & M62 as i64;
    let c = mac2(mac2(c >> 62, a, x[3], b, y[3]), k, m[3], 0, 0);
    let r2 = c as i64 & M62 as i64;
    let c = mac2(mac2(c >> 62, a, x[4], b, y[4]), k, m[4], 0, 0);
    let r3 = c as i64 & M62 as i64;
    [r0, r1, r2, r3, (c >> 62) as i64]
}

/// `d`, negated when `negative` is all ones, from (-2m, m) to [0, m).
fn normalize(d: &Signed62, negative: i64, modulus: &Modulus) -> Limbs {
    let add_m = |x: &Signed62, mask: i64| {
        let mut r = *x;
        for (limb, m) in r.iter_mut().zip(&modulus.m) {
            *limb = limb.wrapping_add(m & mask);
        }
        r
    };
    let mut r = carry(&add_m(d, d[4] >> 63));
    for limb in &mut r {
        *limb = (*limb ^ negative).wrapping_sub(negative);
    }
    let r = carry(&r);
    to_limbs(&carry(&add_m(&r, r[4] >> 63)))
}

/// Brings all limbs but the last into [0, 2^62).
fn carry(x: &Signed62) -> Signed62 {
    let mut r = *x;
    let mut c = 0i64;
    for (i, limb) in r.iter_mut().enumerate() {
        let t = limb.wrapping_add(c);
        if i == 4 {
            *limb = t;
        } else {
            *limb = t & M62 as i64;
            c = t >> 62;
        }
    }
    r
}

const fn to_signed62(a: &Limbs) -> Signed62 {
    [
        (a[0] & M62) as i64,
        (((a[0] >> 62) | (a[1] << 2)) & M62) as i64,
        (((a[1] >> 60) | (a[2] << 4)) & M62) as i64,
        (((a[2] >> 58) | (a[3] << 6)) & M62) as i64,
        (a[3] >> 56) as i64,
    ]
}

/// For a number in [0, 2^256).
const fn to_limbs(a: &Signed62) -> Limbs {
    let (a0, a1, a2, a3, a4) = (
        a[0] as u64,
        a[1] as u64,
        a[2] as u64,
        a[3] as u64,
        a[4] as u64,
    );
    [
        a0 | (a1 << 62),
        (a1 >> 2) | (a2 << 60),
        (a2 >> 4) | (a3 << 58),
        (a3 >> 6) | (a4 << 56),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Arith, Portable};
    use crate::field::Fe;
    use crate::scalar::Scalar;

    /// 1/a * a = 1 at the limb boundaries and both ends of the range.
    #[test]
    fn inverse_times_number_is_one() {
        for word in 0..4 {
            for bit in 0..64 {
                for minus in 0..2u64 {
                    let mut a = [0; 4];
                    a[word] = 1u64 << bit;
                    if minus == 1 {
                        a = crate::limbs::sub(&crate::scalar::N, &a).0;
                    }
                    let x = Fe(a);
                    assert_eq!(Portable.mul(&x.invert(Portable), &x).0, Fe::ONE.0);
                    assert_eq!(x.invert_vartime(Portable).0, x.invert(Portable).0);
                    for modulus in [&P, &N] {
                        let reduced = crate::limbs::reduce_once(&a, 0, &crate::field::P);
                        assert_eq!(
                            invert_vartime(&reduced, modulus),
                            invert(Portable, &reduced, modulus)
                        );
                    }
                    let s = Scalar(a);
                    let i = s.invert_to_montgomery(Portable);
                    assert_eq!(Portable.mul_n(&i, &s).0, [1, 0, 0, 0]);
                }
            }
        }
        assert_eq!(invert(Portable, &[0; 4], &P), [0; 4]);
        assert_eq!(invert_vartime(&[0; 4], &P), [0; 4]);
    }

    /// The two forms agree on numbers without structure.
    #[test]
    fn inverses_in_variable_time() {
        let mut a = [7; 4];
        for _ in 0..20_000 {
            for modulus in [&P, &N] {
                let inverse = invert(Portable, &a, modulus);
                assert_eq!(invert_vartime(&a, modulus), inverse);
                a = inverse;
            }
            a[0] = a[0].wrapping_add(1);
            a[3] >>= 1;
        }
    }
}
