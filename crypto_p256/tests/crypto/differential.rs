// SPDX-License-Identifier: GPL-2.0
//! Random input, against another implementation.

use crate::edges::mod_n_minus_one_plus_one;
use crate::paths;
use crypto_p256::ecdh;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn key_pair_and_secret(random: [u8; 32], extra: [u8; 8], peer in 1u64.., peer_low: [u8; 24]) {
        let random: [u8; 40] = [&extra[..], &random].concat().try_into().unwrap();
        let peer: [u8; 32] = [&(peer >> 1).to_be_bytes()[..], &peer_low].concat().try_into().unwrap();
        let peer = p256::SecretKey::from_slice(&peer).unwrap();
        let peer_public = peer.public_key().to_encoded_point(false);
        for cpu in paths() {
            let (mut private, mut public, mut shared) = ([0; 32], [0; 65], [0; 32]);
            ecdh::make_share(cpu, &random, &mut private, &mut public);
            prop_assert_eq!(private, mod_n_minus_one_plus_one(&random));
            let theirs = p256::SecretKey::from_slice(&private).unwrap();
            let theirs_public = theirs.public_key().to_encoded_point(false);
            prop_assert_eq!(&public[..], theirs_public.as_bytes());
            ecdh::derive(cpu, &private, peer_public.as_bytes(), &mut shared).unwrap();
            let other = p256::ecdh::diffie_hellman(theirs.to_nonzero_scalar(), peer.public_key().as_affine());
            prop_assert_eq!(&shared[..], &other.raw_secret_bytes()[..]);
        }
    }
}
