// SPDX-License-Identifier: GPL-2.0
//! Pieces of asm on numbers of four words, for whole formulas to be put together from.
//!
//! Numbers are at addresses, given as the text of a base and an offset; r8..r11 hold the result of
//! a piece for the next.

/// r8..r15 = a * b, for a and b at addresses, by rows; clobbers rax, rcx, rdx.
macro_rules! product {
    ($a:literal, $b:literal) => {
        concat!(
            "mov rdx, [",
            $a,
            "]\n",
            "mulx r9, r8, [",
            $b,
            "]\n",
            "mulx r10, rax, [",
            $b,
            " + 8]\n",
            "add r9, rax\n",
            "mulx r11, rax, [",
            $b,
            " + 16]\n",
            "adc r10, rax\n",
            "mulx r12, rax, [",
            $b,
            " + 24]\n",
            "adc r11, rax\n",
            "adc r12, 0\n",
            product_row!($a, " + 8", $b, "r9", "r10", "r11", "r12", "r13"),
            product_row!($a, " + 16", $b, "r10", "r11", "r12", "r13", "r14"),
            product_row!($a, " + 24", $b, "r11", "r12", "r13", "r14", "r15"),
        )
    };
}

/// Adds the product of one limb of a and b to `t0..t3`, with the top limb in `t4`.
macro_rules! product_row {
    ($a:literal, $limb:literal, $b:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
        concat!(
            "mov rdx, [",
            $a,
            $limb,
            "]\n",
            "xor ",
            $t4,
            "d, ",
            $t4,
            "d\n",
            "mulx rcx, rax, [",
            $b,
            "]\n",
            "adcx ",
            $t0,
            ", rax\n",
            "adox ",
            $t1,
            ", rcx\n",
            "mulx rcx, rax, [",
            $b,
            " + 8]\n",
            "adcx ",
            $t1,
            ", rax\n",
            "adox ",
            $t2,
            ", rcx\n",
            "mulx rcx, rax, [",
            $b,
            " + 16]\n",
            "adcx ",
            $t2,
            ", rax\n",
            "adox ",
            $t3,
            ", rcx\n",
            "mulx rcx, rax, [",
            $b,
            " + 24]\n",
            "adcx ",
            $t3,
            ", rax\n",
            "adox rcx, ",
            $t4,
            "\n",
            "adcx ",
            $t4,
            ", rcx\n",
        )
    };
}

/// r8..r15 = a^2, for a at an address: the products of unequal limbs once, then doubled in one carry
/// chain while the squares are added in the other; clobbers rax, rcx, rdx.
macro_rules! square {
    ($a:literal) => {
        concat!(
            "mov rdx, [",
            $a,
            "]\n",
            "mulx r10, r9, [",
            $a,
            " + 8]\n",
            "mulx r11, rax, [",
            $a,
            " + 16]\n",
            "add r10, rax\n",
            "mulx r12, rax, [",
            $a,
            " + 24]\n",
            "adc r11, rax\n",
            "adc r12, 0\n",
            "mov rdx, [",
            $a,
            " + 8]\n",
            "xor r14d, r14d\n",
            "mulx rcx, rax, [",
            $a,
            " + 16]\n",
            "adcx r11, rax\n",
            "adox r12, rcx\n",
            "mulx r13, rax, [",
            $a,
            " + 24]\n",
            "adcx r12, rax\n",
            "adox r13, r14\n",
            "mov rdx, [",
            $a,
            " + 16]\n",
            "mulx rcx, rax, [",
            $a,
            " + 24]\n",
            "adcx r13, rax\n",
            "adcx r14, rcx\n",
            "mov rdx, [",
            $a,
            "]\n",
            "xor r15d, r15d\n",
            "mulx rcx, r8, rdx\n",
            "adcx r9, r9\n",
            "adox r9, rcx\n",
            "mov rdx, [",
            $a,
            " + 8]\n",
            "mulx rcx, rax, rdx\n",
            "adcx r10, r10\n",
            "adox r10, rax\n",
            "adcx r11, r11\n",
            "adox r11, rcx\n",
            "mov rdx, [",
            $a,
            " + 16]\n",
            "mulx rcx, rax, rdx\n",
            "adcx r12, r12\n",
            "adox r12, rax\n",
            "adcx r13, r13\n",
            "adox r13, rcx\n",
            "mov rdx, [",
            $a,
            " + 24]\n",
            "mulx rcx, rax, rdx\n",
            "adcx r14, r14\n",
            "adox r14, rax\n",
            "adcx r15, r15\n",
            "adox r15, rcx\n",
        )
    };
}

/// r8..r11 = the four words at an address.
macro_rules! load {
    ($a:literal) => {
        concat!(
            "mov r8, [",
            $a,
            "]\n",
            "mov r9, [",
            $a,
            " + 8]\n",
            "mov r10, [",
            $a,
            " + 16]\n",
            "mov r11, [",
            $a,
            " + 24]\n",
        )
    };
}

/// The four words at an address = r8..r11.
macro_rules! store {
    ($a:literal) => {
        concat!(
            "mov [",
            $a,
            "], r8\n",
            "mov [",
            $a,
            " + 8], r9\n",
            "mov [",
            $a,
            " + 16], r10\n",
            "mov [",
            $a,
            " + 24], r11\n",
        )
    };
}

/// The four words at an address = r12..r15.
macro_rules! store_high {
    ($a:literal) => {
        concat!(
            "mov [",
            $a,
            "], r12\n",
            "mov [",
            $a,
            " + 8], r13\n",
            "mov [",
            $a,
            " + 16], r14\n",
            "mov [",
            $a,
            " + 24], r15\n",
        )
    };
}

/// Reads the words from `$first` octets on of all entries of `$table` and leaves those of entry
/// `$index` in the places given, each with its offset in octets. There must be a multiple of 8 of
/// entries of N words.
macro_rules! scan {
    ($table:expr, $index:expr, $first:expr, $($r:ident $offset:literal),+) => {{
        let core::ops::Range { start, end } = $table.as_ptr_range();
        let (start, end) = (start.wrapping_byte_add($first), end.wrapping_byte_add($first));
        // SAFETY: reads the table and nothing else: `end` is a multiple of 8 times the size of an
        // entry away, and `first` and the offsets are together those of words of one entry.
        unsafe {
            core::arch::asm!(
                "2:",
                ".rept 8",
                "sub {index}, 1",
                $(concat!("cmovc {", stringify!($r), "}, [{p} + ", $offset, "]"),)+
                "add {p}, {size}",
                ".endr",
                "cmp {p}, {end}",
                "jne 2b",
                size = const N * 8,
                index = inout(reg) $index => _,
                p = inout(reg) start => _,
                end = in(reg) end,
                $($r = inout(reg) *$r,)+
                options(pure, readonly, nostack),
            );
        }
    }};
}

pub(crate) use {load, product, product_row, scan, square, store, store_high};
