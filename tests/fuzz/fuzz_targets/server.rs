// SPDX-License-Identifier: GPL-2.0
//! A whole connection: all that a client sends, behind a byte that chooses the listener and one
//! that chooses how the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs_fuzz::run_cut;

fuzz_target!(|data: &[u8]| {
    if let [choice, seed, stream @ ..] = data {
        run_cut(*choice, *seed, stream);
    }
});
