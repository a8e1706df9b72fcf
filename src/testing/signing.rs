//! The private keys of the test issuer.

// A test tool: where no key can be made, a panic is the report.
#![allow(clippy::expect_used)]

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::keys::Algorithm;

/// One key of every kind, all of one generation: the number at the end of each `kid`.
pub(super) struct SigningKeys {
    generation: u64,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl SigningKeys {
    pub(super) fn generate(generation: u64) -> Self {
        Self {
            generation,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key"),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a P-384 key"),
            ed25519: Ed25519KeyPair::generate().expect("an Ed25519 key"),
        }
    }

    /// The `kid` of the key that signs with this algorithm.
    pub(super) fn kid(&self, algorithm: Algorithm) -> String {
        let kind = match algorithm {
            Algorithm::ES256 => "p256",
            Algorithm::ES384 => "p384",
            Algorithm::EdDSA => "ed25519",
            _ => "rsa",
        };
        format!("{kind}-{}", self.generation)
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ecdsa = |pair: &EcdsaKeyPair| {
            let signature = pair.sign(&random, message).expect("an ECDSA signature");
            signature.as_ref().to_vec()
        };
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(padding, &random, message, &mut signature)
                .expect("an RSA signature");
            signature
        };
        match algorithm {
            Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
            Algorithm::PS384 => rsa(&RSA_PSS_SHA384),
            Algorithm::PS512 => rsa(&RSA_PSS_SHA512),
            Algorithm::ES256 => ecdsa(&self.p256),
            Algorithm::ES384 => ecdsa(&self.p384),
            Algorithm::EdDSA => self.ed25519.sign(message).as_ref().to_vec(),
        }
    }

    /// The public keys as JWKs. The RSA key names no `alg`: it verifies all of RSA's.
    pub(super) fn public_jwks(&self) -> Vec<Value> {
        let rsa = self.rsa.public_key();
        let ec = |pair: &EcdsaKeyPair, crv: &str, algorithm: Algorithm| {
            // Uncompressed: 0x04, x, y.
            let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": crv, "use": "sig", "alg": algorithm.as_str(),
                "kid": self.kid(algorithm), "x": base64url(x), "y": base64url(y)})
        };
        vec![
            json!({"kty": "RSA", "use": "sig", "kid": self.kid(Algorithm::RS256),
                "n": base64url(rsa.modulus().big_endian_without_leading_zero()),
                "e": base64url(rsa.exponent().big_endian_without_leading_zero())}),
            ec(&self.p256, "P-256", Algorithm::ES256),
            ec(&self.p384, "P-384", Algorithm::ES384),
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": self.kid(Algorithm::EdDSA),
                "x": base64url(self.ed25519.public_key().as_ref())}),
        ]
    }

    /// The public RSA key as a PEM block, as it may lie in a file.
    pub(super) fn public_rsa_pem(&self) -> String {
        let der = self.rsa.public_key().as_der().expect("a public key as DER");
        let text = BASE64_STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
