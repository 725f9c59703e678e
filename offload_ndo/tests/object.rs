// SPDX-License-Identifier: GPL-2.0
//! What the compiler made of the crate, with the options of the kernel: which symbols the object
//! needs, and how much stack.

use std::path::PathBuf;
use std::process::Command;

/// The softirq that runs this is deep in the network stack already.
const FRAME_MAX: u64 = 512;

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles the crate and tests/object/instance.rs; returns the objects.
fn objects() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("offload_objects");
    std::fs::create_dir_all(&folder).unwrap();
    let library = folder.join("liboffload_ndo.rmeta");
    for (name, source, emit) in [
        ("offload_ndo", "src/lib.rs", "metadata,obj"),
        ("instance", "tests/object/instance.rs", "obj"),
    ] {
        run(Command::new("rustc")
            .args(["--edition=2021", "--crate-type=rlib", "-Cpanic=abort"])
            .args(["-Copt-level=2", "-Coverflow-checks=y"])
            .args(["-Cdebug-assertions=n", "-Ccodegen-units=1", "-Awarnings"])
            .arg(format!("--crate-name={name}"))
            .arg(format!("--emit={emit}"))
            .arg(format!("--extern=offload_ndo={}", library.display()))
            .arg("--out-dir")
            .arg(&folder)
            .arg(root.join(source)));
    }
    ["offload_ndo.o", "instance.o"]
        .map(|o| folder.join(o))
        .into()
}

#[test]
fn objects_need_no_panic_and_little_stack() {
    let mut frames = 0;
    for object in objects() {
        for line in run(Command::new("nm").arg("-u").arg(&object)).lines() {
            let symbol = line.split_whitespace().last().unwrap();
            assert!(
                ["memcpy", "memset", "memmove"].contains(&symbol) || symbol.contains("offload_ndo"),
                "{} needs {symbol}",
                object.display()
            );
        }
        let mut function = String::new();
        for line in run(Command::new("objdump").arg("-d").arg(&object)).lines() {
            if line.ends_with(">:") {
                function = line.to_string();
            }
            let size = line
                .split_once("sub    $0x")
                .and_then(|(_, size)| size.strip_suffix(",%rsp"));
            if let Some(size) = size {
                let size = u64::from_str_radix(size, 16).unwrap();
                assert!(size <= FRAME_MAX, "{function} takes {size} bytes of stack");
                frames += 1;
            }
        }
    }
    assert!(frames > 2, "no frames found");
}
