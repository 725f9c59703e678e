// SPDX-License-Identifier: GPL-2.0
//! x86-64 with BMI2 and ADX, on general registers only.

#![allow(unsafe_code)]

use super::field::{Arith25519, Extended, Fe, Ladder};
use crate::arith::adx::words::{load, product, product_row, square, store};
use crate::arith::{Adx, Arith};
use crate::lookup::Entry;
use core::arch::asm;

/// r8..r11 = r8..r15 mod q, reduced: 38 times the high half goes to the low half, as 2^256 = 38,
/// and what is above 2^256 then is at most 38. Clobbers rax, rcx, rdx, `{t}`.
macro_rules! reduce_q {
    () => {
        concat!(
            "mov edx, 38
             xor {t:e}, {t:e}
             mulx rcx, rax, r12
             adcx r8, rax
             adox r9, rcx
             mulx rcx, rax, r13
             adcx r9, rax
             adox r10, rcx
             mulx rcx, rax, r14
             adcx r10, rax
             adox r11, rcx
             mulx rcx, rax, r15
             adcx r11, rax
             adox rcx, {t}
             adcx rcx, {t}
            ",
            fold_q!(),
        )
    };
}

/// r8..r11 + rcx 2^256 with 19 for each 2^255: below 2^255 + 2^11 for rcx at most 38, and below
/// 2^256 for rcx below 2^18.
macro_rules! fold_q {
    () => {
        "add r11, r11
         adc rcx, rcx
         shr r11, 1
         imul rcx, rcx, 19
         add r8, rcx
         adc r9, 0
         adc r10, 0
         adc r11, 0
        "
    };
}

/// r8..r11 += a, reduced and at an address; a sum that carries is below 2^255 + 2^11, so that the 38
/// for 2^256 does not carry. Clobbers rax.
macro_rules! add_q {
    ($a:literal) => {
        concat!(
            "add r8, [",
            $a,
            "]\n",
            "adc r9, [",
            $a,
            " + 8]\n",
            "adc r10, [",
            $a,
            " + 16]\n",
            "adc r11, [",
            $a,
            " + 24]\n",
            "sbb rax, rax
             and eax, 38
             add r8, rax
             adc r9, 0
             adc r10, 0
             adc r11, 0
            "
        )
    };
}

/// r8..r11 -= a, reduced and at an address; a difference that borrows is at least 2^255 - 2^11, so
/// that the 38 for 2^256 does not borrow. Clobbers rax.
macro_rules! sub_q {
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
            "sbb rax, rax
             and eax, 38
             sub r8, rax
             sbb r9, 0
             sbb r10, 0
             sbb r11, 0
            "
        )
    };
}

/// r8..r11 = r8..r11 * 121665 + a mod q, for a at an address, not reduced. Clobbers rax, rcx, rdx, `{t}`.
macro_rules! mul_a24_add {
    ($a:literal) => {
        concat!(
            "mov edx, 121665
             xor {t:e}, {t:e}
             mulx r12, r8, r8
             mulx r13, r9, r9
             mulx r14, r10, r10
             mulx rcx, r11, r11
             adcx r9, r12
             adcx r10, r13
             adcx r11, r14
             adcx rcx, {t}
            ",
            "adox r8, [",
            $a,
            "]\n",
            "adox r9, [",
            $a,
            " + 8]\n",
            "adox r10, [",
            $a,
            " + 16]\n",
            "adox r11, [",
            $a,
            " + 24]\n",
            "adox rcx, {t}\n",
            fold_q!(),
        )
    };
}

/// Swaps the words of two numbers at an offset if the zero flag is clear.
macro_rules! swap_word {
    ($a:literal, $b:literal, $offset:literal) => {
        concat!(
            "mov r8, [",
            $a,
            " + ",
            $offset,
            "]\n",
            "mov r9, [",
            $b,
            " + ",
            $offset,
            "]\n",
            "mov r10, r8\n",
            "cmovnz r8, r9\n",
            "cmovnz r9, r10\n",
            "mov [",
            $a,
            " + ",
            $offset,
            "], r8\n",
            "mov [",
            $b,
            " + ",
            $offset,
            "], r9\n",
        )
    };
}

macro_rules! swap {
    ($a:literal, $b:literal) => {
        concat!(
            swap_word!($a, $b, "0"),
            swap_word!($a, $b, "8"),
            swap_word!($a, $b, "16"),
            swap_word!($a, $b, "24"),
        )
    };
}

impl Arith25519 for Adx {
    #[inline(never)]
    fn mul(self, a: &Fe, b: &Fe) -> Fe {
        let (r0, r1, r2, r3);
        // SAFETY: reads 32 octets at each of two references; the processor has the instructions by
        // the invariant of `self`.
        unsafe {
            asm!(
                product!("{t}", "{b}"),
                reduce_q!(),
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
                reduce_q!(),
                t = inout(reg) a => _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") r0, out("r9") r1, out("r10") r2, out("r11") r3,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(always)]
    fn add(self, a: &Fe, b: &Fe) -> Fe {
        let [mut r0, mut r1, mut r2, mut r3] = a.0;
        // SAFETY: reads 32 octets at a reference.
        unsafe {
            asm!(
                add_q!("{b}"),
                b = in(reg) b,
                out("rax") _,
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
                sub_q!("{b}"),
                b = in(reg) b,
                out("rax") _,
                inout("r8") r0, inout("r9") r1, inout("r10") r2, inout("r11") r3,
                options(pure, readonly, nostack),
            );
        }
        Fe([r0, r1, r2, r3])
    }

    #[inline(never)]
    fn step(self, ladder: &mut Ladder, swap: u64) {
        // SAFETY: reads and writes within the ladder, whose layout is nine numbers of 32 octets in
        // the order of its fields; the processor has the instructions by the invariant of `self`.
        unsafe {
            asm!(
                // x2: 0, z2: 32, x3: 64, z3: 96, x1: 128, the scratch from 160 on.
                "test {t}, {t}",
                swap!("rsi", "rsi + 64"),
                swap!("rsi + 32", "rsi + 96"),
                load!("rsi"), add_q!("rsi + 32"), store!("rsi + 160"), // a
                load!("rsi + 64"), sub_q!("rsi + 96"), store!("rsi + 192"), // d
                load!("rsi"), sub_q!("rsi + 32"), store!("rsi + 224"), // b
                load!("rsi + 64"), add_q!("rsi + 96"), store!("rsi + 256"), // c
                product!("rsi + 192", "rsi + 160"), reduce_q!(), store!("rsi + 192"), // d a
                product!("rsi + 256", "rsi + 224"), reduce_q!(), store!("rsi + 256"), // c b
                square!("rsi + 160"), reduce_q!(), store!("rsi + 160"), // a^2
                square!("rsi + 224"), reduce_q!(), store!("rsi + 224"), // b^2
                load!("rsi + 192"), add_q!("rsi + 256"), store!("rsi + 64"),
                load!("rsi + 192"), sub_q!("rsi + 256"), store!("rsi + 96"),
                square!("rsi + 64"), reduce_q!(), store!("rsi + 64"), // x3
                square!("rsi + 96"), reduce_q!(), store!("rsi + 96"),
                load!("rsi + 160"), sub_q!("rsi + 224"), store!("rsi + 192"), // e
                product!("rsi + 160", "rsi + 224"), reduce_q!(), store!("rsi"), // x2
                load!("rsi + 192"), mul_a24_add!("rsi + 160"), store!("rsi + 224"),
                product!("rsi + 128", "rsi + 96"), reduce_q!(), store!("rsi + 96"), // z3
                product!("rsi + 192", "rsi + 224"), reduce_q!(), store!("rsi + 32"), // z2
                in("rsi") ladder,
                t = inout(reg) swap => _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    fn lookup<const E: usize>(self, table: &[Entry<12>; E], index: u64) -> Entry<12> {
        Arith::lookup(self, table, index)
    }

    /// The formulas of the trait.
    #[inline(never)]
    fn add_addend(self, p: &mut Extended) {
        // SAFETY: reads and writes within the point, whose layout is eleven numbers of 32 octets in
        // the order of its fields; the processor has the instructions by the invariant of `self`.
        unsafe {
            asm!(
                // x: 0, y: 32, z: 64, t: 96, the addend's sum: 128, difference: 160, product: 192,
                // the scratch from 224 on.
                load!("rsi + 32"), sub_q!("rsi"), store!("rsi + 224"),
                load!("rsi + 32"), add_q!("rsi"), store!("rsi + 256"),
                product!("rsi + 96", "rsi + 192"), reduce_q!(), store!("rsi + 288"), // c
                product!("rsi + 224", "rsi + 160"), reduce_q!(), store!("rsi + 224"), // a
                product!("rsi + 256", "rsi + 128"), reduce_q!(), store!("rsi + 256"), // b
                load!("rsi + 64"), add_q!("rsi + 64"), store!("rsi + 96"), // d
                sub_q!("rsi + 288"), store!("rsi + 64"), // f
                load!("rsi + 256"), sub_q!("rsi + 224"), store!("rsi + 320"), // e
                load!("rsi + 96"), add_q!("rsi + 288"), store!("rsi + 288"), // g
                load!("rsi + 256"), add_q!("rsi + 224"), store!("rsi + 256"), // h
                product!("rsi + 320", "rsi + 64"), reduce_q!(), store!("rsi"), // x = e f
                product!("rsi + 288", "rsi + 256"), reduce_q!(), store!("rsi + 32"), // y = g h
                product!("rsi + 320", "rsi + 256"), reduce_q!(), store!("rsi + 96"), // t = e h
                product!("rsi + 288", "rsi + 64"), reduce_q!(), store!("rsi + 64"), // z = f g
                in("rsi") p,
                t = out(reg) _,
                out("rax") _, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                options(nostack),
            );
        }
    }
}
