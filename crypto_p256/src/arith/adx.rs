// SPDX-License-Identifier: GPL-2.0
//! x86-64 with BMI2 and ADX, on general registers only: no FPU section is needed in a kernel.
//!
//! MULX leaves the flags alone and ADCX and ADOX use one flag each, so that the two carry chains of
//! a row of products run side by side.
//!
//! # Bounds
//!
//! With a, b < p, a b + m p < p^2 + 2^256 p, so that the quotient by 2^256 is below 2p: it has 257
//! bits and one conditional subtraction makes it canonical. The same holds for n.

#![allow(unsafe_code)]

pub(crate) mod words;

use super::Arith;
use crate::field::Fe;
use crate::inverse::DivSteps;
use crate::lookup::Entry;
use crate::point::Accumulator;
use crate::scalar::{Scalar, N};
use core::arch::asm;
use words::{load, product, product_row, scan, square, store, store_high};

/// The path that needs BMI2 and ADX.
///
/// # Invariants
///
/// A value exists only where the processor has both.
#[derive(Clone, Copy)]
pub(crate) struct Adx(());

impl Adx {
    /// # Safety
    ///
    /// The processor must have BMI2 and ADX.
    pub(crate) const unsafe fn new() -> Self {
        Adx(())
    }
}

/// r8..r11 = (r8..r15) / 2^256 mod p, canonical; clobbers rax, rcx, rdx, `{t}`, r12..r15.
///
/// A round adds t0 * p, which clears t0: as in the portable path, t0 * 2^96 goes to the next two
/// limbs. The top limb of p is 2^64 - 2^32 + 1, whose product with t0 is two shifted subtractions.
macro_rules! reduce_p {
    () => {
        concat!(
            "mov edx, 32\n",
            reduce_p_round!("r8", "r9", "r10", "r11"),
            reduce_p_round!("r9", "r10", "r11", "r8"),
            reduce_p_round!("r10", "r11", "r8", "r9"),
            reduce_p_round!("r11", "r8", "r9", "r10"),
            "xor eax, eax
             add r8, r12
             adc r9, r13
             adc r10, r14
             adc r11, r15
             adc eax, 0
             mov ecx, 0xffffffff
             mov rdx, 0xffffffff00000001
             mov r12, r8
             mov r13, r9
             mov r14, r10
             mov r15, r11
             sub r8, -1
             sbb r9, rcx
             sbb r10, 0
             sbb r11, rdx
             sbb rax, 0
             cmovc r8, r12
             cmovc r9, r13
             cmovc r10, r14
             cmovc r11, r15
            "
        )
    };
}

macro_rules! reduce_p_round {
    ($t0:literal, $t1:literal, $t2:literal, $t3:literal) => {
        concat!(
            "shlx rax, ",
            $t0,
            ", rdx\n",
            "shrx rcx, ",
            $t0,
            ", rdx\n",
            "mov {t}, ",
            $t0,
            "\n",
            "sub {t}, rax\n",
            "sbb ",
            $t0,
            ", rcx\n",
            "add ",
            $t1,
            ", rax\n",
            "adc ",
            $t2,
            ", rcx\n",
            "adc ",
            $t3,
            ", {t}\n",
            "adc ",
            $t0,
            ", 0\n",
        )
    };
}

/// r8..r11 = (r8..r15) / 2^256 mod n, canonical, for n at `{b}`; clobbers rax, rcx, rdx, `{t}`, r12..r15.
macro_rules! reduce_n {
    () => {
        concat!(
            "mov {t}, 0xccd1c8aaee00bc4f\n", // -1/n mod 2^64
            reduce_n_round!("r8", "r9", "r10", "r11"),
            reduce_n_round!("r9", "r10", "r11", "r8"),
            reduce_n_round!("r10", "r11", "r8", "r9"),
            reduce_n_round!("r11", "r8", "r9", "r10"),
            "xor eax, eax
             add r8, r12
             adc r9, r13
             adc r10, r14
             adc r11, r15
             adc eax, 0
             mov r12, r8
             mov r13, r9
             mov r14, r10
             mov r15, r11
             sub r8, [{b}]
             sbb r9, [{b} + 8]
             sbb r10, [{b} + 16]
             sbb r11, [{b} + 24]
             sbb rax, 0
             cmovc r8, r12
             cmovc r9, r13
             cmovc r10, r14
             cmovc r11, r15
            "
        )
    };
}

/// Adds the multiple of n that clears t0, which becomes the top limb.
macro_rules! reduce_n_round {
    ($t0:literal, $t1:literal, $t2:literal, $t3:literal) => {
        concat!(
            "mov rdx, ",
            $t0,
            "\n",
            "imul rdx, {t}\n",
            "xor eax, eax\n",
            "mulx rcx, rax, [{b}]\n",
            "adcx ",
            $t0,
            ", rax\n",
            "adox ",
            $t1,
            ", rcx\n",
            "mulx rcx, rax, [{b} + 8]\n",
            "adcx ",
            $t1,
            ", rax\n",
            "adox ",
            $t2,
            ", rcx\n",
            "mulx rcx, rax, [{b} + 16]\n",
            "adcx ",
            $t2,
            ", rax\n",
            "adox ",
            $t3,
            ", rcx\n",
            "mulx rcx, rax, [{b} + 24]\n",
            "adcx ",
            $t3,
            ", rax\n",
            "adox ",
            $t0,
            ", rcx\n",
            "mov eax, 0\n",
            "adcx ",
            $t0,
            ", rax\n",
        )
    };
}

/// Adds p to r8..r11 after a difference, if that borrowed; clobbers rax, rcx, rdx.
macro_rules! add_p_if_borrow {
    () => {
        // The top limb of p is 1 - 2^32 mod 2^64.
        "sbb rax, rax
         mov ecx, eax
         xor edx, edx
         sub rdx, rcx
         add r8, rax
         adc r9, rcx
         adc r10, 0
         adc r11, rdx
        "
    };
}

/// r8..r11 -= a mod p, for a at an address; clobbers rax, rcx, rdx.
macro_rules! sub_p {
    ($a:literal) => {
        concat!(
            "sub r8, [",
            $a,
            "]\n",
            "sbb r9, [",
            $a,
            " + 8]\n",
            "sbb r10, [",
            $a,
            " + 16]\n",
            "sbb r11, [",
            $a,
            " + 24]\n",
            add_p_if_borrow!(),
        )
    };
}

/// r8..r11 += a mod p, for a at an address, as a difference to p - a; clobbers rax, rcx, rdx, `{t}`.
macro_rules! add_p {
    ($a:literal) => {
        concat!(
            "mov rax, -1\n",
            "mov ecx, 0xffffffff\n",
            "xor edx, edx\n",
            "mov {t}, 0xffffffff00000001\n",
            "sub rax, [",
            $a,
            "]\n",
            "sbb rcx, [",
            $a,
            " + 8]\n",
            "sbb rdx, [",
            $a,
            " + 16]\n",
            "sbb {t}, [",
            $a,
            " + 24]\n",
            "sub r8, rax\n",
            "sbb r9, rcx\n",
            "sbb r10, rdx\n",
            "sbb r11, {t}\n",
            add_p_if_borrow!(),
        )
    };
}

/// r8..r11 /= 2 mod p; clobbers rax, rcx, rdx.
macro_rules! half_p {
    () => {
        "mov eax, r8d
         and eax, 1
         neg rax
         mov ecx, eax
         xor edx, edx
         sub rdx, rcx
         add r8, rax
         adc r9, rcx
         adc r10, 0
         adc r11, rdx
         rcr r11, 1
         rcr r10, 1
         rcr r9, 1
         rcr r8, 1
        "
    };
}

/// Subtracts the eight words at an address from r8..r15 and adds p 2^256 if that borrowed: between
/// products of numbers below p, the result is in [0, p 2^256). Clobbers rax, rcx, rdx.
macro_rules! sub_wide {
    ($a:literal) => {
        concat!(
            "sub r8, [",
            $a,
            "]\n",
            "sbb r9, [",
            $a,
            " + 8]\n",
            "sbb r10, [",
            $a,
            " + 16]\n",
            "sbb r11, [",
            $a,
            " + 24]\n",
            "sbb r12, [",
            $a,
            " + 32]\n",
            "sbb r13, [",
            $a,
            " + 40]\n",
            "sbb r14, [",
            $a,
            " + 48]\n",
            "sbb r15, [",
            $a,
            " + 56]\n",
            "sbb rax, rax
             mov ecx, eax
             xor edx, edx
             sub rdx, rcx
             add r12, rax
             adc r13, rcx
             adc r14, 0
             adc r15, rdx
            "
        )
    };
}

impl DivSteps for Adx {
    /// Without masks: `e` is what is added if g is odd, f or -f by the sign of zeta, and is ready
    /// before it is needed.
    #[inline(always)]
    fn div_steps<const N: u32>(self, mut zeta: i64, mut f: i64, mut g: i64) -> (i64, i64, i64) {
        let e = (f ^ (zeta >> 63)).wrapping_sub(zeta >> 63);
        // SAFETY: computes on registers only.
        unsafe {
            asm!(
                ".rept {n}",
                "lea {sum}, [{g} + {e}]",
                "mov {old}, {g}",
                "sar {g}, 1",
                "sar {sum}, 1",
                "lea {less}, [{zeta} - 1]",
                "mov {turned}, -2",
                "sub {turned}, {zeta}",
                "test {old:l}, 1",
                "cmovnz {g}, {sum}",
                "cmovz {old}, {f}",
                "cmovz {turned}, {less}",
                "test {zeta}, {zeta}",
                "cmovs {f}, {old}",
                "cmovs {less}, {turned}",
                "mov {zeta}, {less}",
                "mov {e}, {f}",
                "mov {old}, {f}",
                "neg {old}",
                "test {zeta}, {zeta}",
                "cmovs {e}, {old}",
                ".endr",
                n = const N,
                zeta = inout(reg) zeta, f = inout(reg) f, g = inout(reg) g, e = inout(reg) e => _,
                sum = out(reg) _, old = out(reg) _, less = out(reg) _, turned = out(reg) _,
                options(pure, nomem, nostack),
            );
        }
        (zeta, f, g)
    }
}

impl Arith for Adx {
    #[inline(never)]
    fn mul(self, a: &Fe, b: &Fe) -> Fe {
        let (r0, r1, r2, r3);
        // SAFETY: reads 32 octets at each of two references; the processor has the instructions by
        // the invariant of `self`.
        unsafe {
            asm!(
                product!("{t}", "{b}"),
                reduce_p!(),
                t = inout(reg) a => _,
                b = in(reg) b,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") r0, out("r9") r1, out("r10") r2, out("r11") r3,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(never)]
    fn sqr(self, a: &Fe) -> Fe {
        let (r0, r1, r2, r3);
        // SAFETY: reads 32 octets at a reference; the processor has the instructions by the
        // invariant of `self`.
        unsafe {
            asm!(
                square!("{t}"),
                reduce_p!(),
                t = inout(reg) a => _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") r0, out("r9") r1, out("r10") r2, out("r11") r3,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(never)]
    fn mul_n(self, a: &Scalar, b: &Scalar) -> Scalar {
        let (r0, r1, r2, r3);
        // SAFETY: reads 32 octets at each of three references; the processor has the instructions
        // by the invariant of `self`.
        unsafe {
            asm!(
                product!("{t}", "{b}"),
                "lea {b}, [rip + {n}]",
                reduce_n!(),
                t = inout(reg) a => _,
                b = inout(reg) b => _,
                n = sym N,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") r0, out("r9") r1, out("r10") r2, out("r11") r3,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(pure, readonly, nostack),
            );
        }
        Scalar([r0, r1, r2, r3])
    }

    #[inline(always)]
    fn add(self, a: &Fe, b: &Fe) -> Fe {
        let [mut r0, mut r1, mut r2, mut r3] = a.0;
        // SAFETY: reads 32 octets at a reference.
        unsafe {
            asm!(
                add_p!("{b}"),
                b = in(reg) b,
                t = out(reg) _,
                out("rax") _, out("rcx") _, out("rdx") _,
                inout("r8") r0, inout("r9") r1, inout("r10") r2, inout("r11") r3,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(always)]
    fn sub(self, a: &Fe, b: &Fe) -> Fe {
        let [mut r0, mut r1, mut r2, mut r3] = a.0;
        // SAFETY: reads 32 octets at a reference.
        unsafe {
            asm!(
                sub_p!("{b}"),
                b = in(reg) b,
                out("rax") _, out("rcx") _, out("rdx") _,
                inout("r8") r0, inout("r9") r1, inout("r10") r2, inout("r11") r3,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(always)]
    fn half(self, a: &Fe) -> Fe {
        let [mut r0, mut r1, mut r2, mut r3] = a.0;
        // SAFETY: computes on registers only.
        unsafe {
            asm!(
                half_p!(),
                out("rax") _, out("rcx") _, out("rdx") _,
                inout("r8") r0, inout("r9") r1, inout("r10") r2, inout("r11") r3,
                options(pure, nomem, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(always)]
    fn lookup<const N: usize, const E: usize>(self, table: &[Entry<N>; E], index: u64) -> Entry<N> {
        const { assert!(E > 0 && E % 8 == 0 && (N == 8 || N == 12)) };
        if cfg!(crypto_p256_direct_lookup) && N == 8 {
            return table.get(index as usize).copied().unwrap_or(Entry([0; N]));
        }
        let mut r = [0; N];
        for (chunk, first) in r.chunks_mut(8).zip([0, 64]) {
            match chunk {
                [r0, r1, r2, r3, r4, r5, r6, r7] => {
                    scan!(table, index, first, r0 0, r1 8, r2 16, r3 24, r4 32, r5 40, r6 48, r7 56);
                }
                [r0, r1, r2, r3] => scan!(table, index, first, r0 0, r1 8, r2 16, r3 24),
                // Entries have a multiple of four words.
                _ => {}
            }
        }
        Entry(r)
    }

    /// The formulas of the trait, the last product and square subtracted before they are reduced.
    #[inline(never)]
    fn double(self, p: &mut Accumulator) {
        // SAFETY: reads and writes within the accumulator, whose layout is eleven elements of 32
        // octets in the order of its fields; the processor has the instructions by the invariant
        // of `self`.
        unsafe {
            asm!(
                // x: 0, y: 32, z: 64, the scratch from 160 on.
                square!("rsi + 64"), reduce_p!(), store!("rsi + 160"), // z^2
                square!("rsi + 32"), reduce_p!(), store!("rsi + 192"), // y^2
                load!("rsi"), sub_p!("rsi + 160"), store!("rsi + 224"),
                load!("rsi"), add_p!("rsi + 160"), store!("rsi + 160"),
                product!("rsi + 224", "rsi + 160"), reduce_p!(), store!("rsi + 160"),
                product!("rsi", "rsi + 192"), reduce_p!(), store!("rsi + 224"), // t
                load!("rsi + 160"), half_p!(), add_p!("rsi + 160"), store!("rsi + 160"), // m
                product!("rsi + 32", "rsi + 64"), reduce_p!(), store!("rsi + 64"), // z'
                square!("rsi + 160"), reduce_p!(), store!("rsi"),
                square!("rsi + 192"), store!("rsi + 256"), store_high!("rsi + 288"), // y^4
                load!("rsi"), sub_p!("rsi + 224"), sub_p!("rsi + 224"), store!("rsi"), // x'
                load!("rsi + 224"), sub_p!("rsi"), store!("rsi + 224"),
                product!("rsi + 160", "rsi + 224"), sub_wide!("rsi + 256"), reduce_p!(), store!("rsi + 32"), // y'
                in("rsi") p,
                t = out(reg) _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(nostack),
            );
        }
    }

    /// The formulas of the trait, the last two products subtracted before they are reduced.
    #[inline(never)]
    fn add_addend(self, p: &mut Accumulator) {
        // SAFETY: as for `double`.
        unsafe {
            asm!(
                // x: 0, y: 32, z: 64, the addend's x: 96, y: 128, the scratch from 160 on.
                square!("rsi + 64"), reduce_p!(), store!("rsi + 160"), // z^2
                product!("rsi + 160", "rsi + 64"), reduce_p!(), store!("rsi + 192"), // z^3
                product!("rsi + 96", "rsi + 160"), reduce_p!(), sub_p!("rsi"), store!("rsi + 160"), // h
                product!("rsi + 128", "rsi + 192"), reduce_p!(), sub_p!("rsi + 32"), store!("rsi + 192"), // r
                square!("rsi + 160"), reduce_p!(), store!("rsi + 224"), // h^2
                product!("rsi + 64", "rsi + 160"), reduce_p!(), store!("rsi + 64"), // z'
                product!("rsi + 224", "rsi + 160"), reduce_p!(), store!("rsi + 160"), // h^3
                product!("rsi", "rsi + 224"), reduce_p!(), store!("rsi + 224"), // v
                square!("rsi + 192"), reduce_p!(), store!("rsi"),
                product!("rsi + 32", "rsi + 160"), store!("rsi + 256"), store_high!("rsi + 288"),
                load!("rsi"), sub_p!("rsi + 160"), sub_p!("rsi + 224"), sub_p!("rsi + 224"), store!("rsi"), // x'
                load!("rsi + 224"), sub_p!("rsi"), store!("rsi + 224"),
                product!("rsi + 192", "rsi + 224"), sub_wide!("rsi + 256"), reduce_p!(), store!("rsi + 32"), // y'
                in("rsi") p,
                t = out(reg) _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    fn blinding(self) -> Option<Fe> {
        if !cfg!(crypto_p256_direct_lookup) {
            return None;
        }
        // A top limb of at most 2^63 keeps it below p; the lowest bit keeps it from being 0.
        let [r0, r1, r2, r3] = [rdrand()?, rdrand()?, rdrand()?, rdrand()?];
        Some(Fe([r0 | 1, r1, r2, r3 >> 1]))
    }
}

/// A random word, if the processor has one ready.
#[inline(always)]
fn rdrand() -> Option<u64> {
    let (random, ready): (u64, u8);
    // SAFETY: writes two registers; the randomised build asks for RDRAND at `Cpu::bmi2_adx`.
    unsafe {
        asm!(
            "rdrand {random}",
            "setc {ready}",
            random = out(reg) random,
            ready = out(reg_byte) ready,
            options(nomem, nostack),
        );
    }
    (ready == 1).then_some(random)
}
