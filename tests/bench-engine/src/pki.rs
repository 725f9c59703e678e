// SPDX-License-Identifier: GPL-2.0
//! An authority and a server's certificate, made for the run.

/// Name of the server.
pub const NAME: &str = "bench.test";

pub struct Pki {
    pub authority: Vec<u8>,
    pub leaf: rcgen::Certificate,
    pub key: rcgen::KeyPair,
}

impl Pki {
    pub fn new() -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new([NAME.to_string()])
            .unwrap()
            .signed_by(&key, &authority, &authority_key)
            .unwrap();
        Pki {
            authority: authority.der().to_vec(),
            leaf,
            key,
        }
    }
}
