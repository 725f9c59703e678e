// SPDX-License-Identifier: GPL-2.0
//! What the compiler made of the engine, with the options of the kernel: which symbols the object
//! needs, and whether secrets are wiped.

use std::path::PathBuf;
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles the engine and tests/object/instance.rs; returns the folder of the objects.
fn objects(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let rustc = || {
        let mut rustc = Command::new("rustc");
        rustc.args([
            "--edition=2021",
            "--crate-type=rlib",
            "-Copt-level=2",
            "-Cpanic=abort",
        ]);
        rustc.args([
            "-Coverflow-checks=y",
            "-Cdebug-assertions=n",
            "-Ccodegen-units=1",
        ]);
        rustc
            .args(["-Csymbol-mangling-version=v0", "-Awarnings"])
            .arg("--out-dir")
            .arg(&folder);
        rustc
    };
    run(rustc()
        .args(["--crate-name=tls_hs", "--emit=metadata,obj"])
        .arg(root.join("src/lib.rs")));
    run(rustc()
        .args(["--crate-name=instance", "--emit=obj,asm", "--extern"])
        .arg(format!(
            "tls_hs={}",
            folder.join("libtls_hs.rmeta").display()
        ))
        .arg(root.join("tests/object/instance.rs")));
    folder
}

/// Nothing may be needed but the compiler's memory functions, what the instance brings along, and
/// what one object has of the other: no panic, no formatting, no unwinding.
#[test]
fn objects_need_no_panic() {
    let folder = objects("needs_no_panic");
    for object in ["tls_hs.o", "instance.o"] {
        let undefined = run(Command::new("nm").arg("-u").arg(folder.join(object)));
        let foreign: Vec<_> = undefined
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .filter(|symbol| !["memcpy", "memset", "memmove", "memcmp", "bcmp"].contains(symbol))
            .filter(|symbol| !symbol.starts_with("model_") && !symbol.contains("6tls_hs"))
            .collect();
        assert!(foreign.is_empty(), "{object} needs {foreign:?}");
    }
}

/// The engine runs on kernel stacks: no function may take more than what the kernel's C code is
/// warned of (CONFIG_FRAME_WARN).
#[test]
fn frames_fit_kernel_stacks() {
    const FRAME_WARN: u64 = 2048;
    let folder = objects("frames");
    let mut frames = 0;
    for object in ["tls_hs.o", "instance.o"] {
        let listing = run(Command::new("objdump").arg("-d").arg(folder.join(object)));
        let mut function = "";
        for line in listing.lines() {
            if line.ends_with(">:") {
                function = line;
            }
            let Some((_, size)) = line.split_once("sub    $0x") else {
                continue;
            };
            let Some(size) = size.strip_suffix(",%rsp") else {
                continue;
            };
            let size = u64::from_str_radix(size, 16).unwrap();
            assert!(size <= FRAME_WARN, "{function} takes {size} bytes of stack");
            frames += 1;
        }
    }
    assert!(frames > 10, "no frames found");
}

/// The drop of a secret must reach the function that wipes, and that one must store.
#[test]
fn wipe_is_kept() {
    let folder = objects("wipe_is_kept");
    let body = |object: &str, name: &str| {
        let listing = run(Command::new("objdump").arg("-dr").arg(folder.join(object)));
        let functions: Vec<_> = listing
            .split("\n\n")
            .filter(|f| f.lines().next().unwrap().contains(name))
            .collect();
        assert_eq!(functions.len(), 1, "functions named {name}");
        functions[0].to_string()
    };
    let wipe = body("tls_hs.o", "6secret4wipe>:");
    assert!(wipe.contains("memset"), "{wipe}");
    let user = body("instance.o", "<instance_wipe>:");
    assert!(
        user.contains("model_random") && user.contains("6secret4wipe"),
        "{user}"
    );
}
