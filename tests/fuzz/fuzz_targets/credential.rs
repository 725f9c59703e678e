// SPDX-License-Identifier: GPL-2.0
//! Private keys and certificate chains as users hand them over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs::credential::{chain_len, read_private_key, write_chain, Error};

fuzz_target!(|data: &[u8]| {
    let mut scalar = [0x5a; 32];
    match read_private_key(data, &mut scalar) {
        Ok(point) => assert!(point.is_none_or(|point| point[0] == 4)),
        Err(_) => assert_eq!(scalar, [0; 32], "an error leaves nothing behind"),
    }

    let Ok(len) = chain_len(data) else {
        assert!(write_chain(data, &mut [0; 4096]).is_err());
        return;
    };
    let mut out = vec![0; len];
    match write_chain(data, &mut out) {
        Ok(chain) => {
            assert_eq!(chain.len, len);
            let mut rest = &out[..];
            for _ in 0..chain.certificates {
                let ([a, b, c], tail) = rest.split_first_chunk().expect("a length");
                rest = &tail[u32::from_be_bytes([0, *a, *b, *c]) as usize..];
            }
            assert!(rest.is_empty());
        }
        Err(error) => assert_ne!(error, Error::NoSpace),
    }
    if len > 0 {
        assert!(write_chain(data, &mut out[1..]).is_err(), "one byte less");
    }
});
