// SPDX-License-Identifier: GPL-2.0
//! PEM: blocks lie in the text in order, and what decodes fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs::pem::{decode, is_pem, Blocks};

fuzz_target!(|data: &[u8]| {
    let mut found = 0;
    let mut covered = 0;
    for block in Blocks::new(data) {
        found += 1;
        assert!(found <= data.len(), "more blocks than bytes");
        let Ok(block) = block else { break };
        covered += block.label.len() + block.body.len();
        assert!(covered <= data.len());
        block.is_encrypted();
        let mut out = vec![0; block.body.len()];
        if let Ok(len) = decode(block.body, &mut out) {
            assert!(len * 4 <= block.body.len() * 3);
            // The length does not depend on the room.
            assert_eq!(decode(block.body, &mut []), Ok(len));
        }
    }
    assert!(found == 0 || is_pem(data));
});
