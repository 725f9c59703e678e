// SPDX-License-Identifier: GPL-2.0
//! Compiles the list as the kernel is compiled, at level 2.

fn main() {
    println!("cargo:rerun-if-changed=src/list.c");
    cc::Build::new()
        .file("src/list.c")
        .compiler("gcc-14")
        .opt_level(2)
        .flag("-fno-strict-aliasing")
        .warnings_into_errors(true)
        .compile("list");
}
