//! Signature checks in pure Rust, by a provider that is named here and never the process's.

use jsonwebtoken::{DecodingKey, crypto::rust_crypto::DEFAULT_PROVIDER};

use super::{Algorithm, Material};

/// The provider builds the key anew for each check and refuses larger RSA keys then.
const MAX_RSA_BYTES: usize = 4096 / 8;

/// One key, ready for one algorithm.
pub(super) struct Verifier {
    key: DecodingKey,
    algorithm: jsonwebtoken::Algorithm,
}

impl Verifier {
    /// `None` where the key is no such key: a point that is not on the curve, say.
    pub(super) fn new(material: &Material, algorithm: Algorithm) -> Option<Self> {
        if !material.algorithms().contains(&algorithm) {
            return None;
        }
        let key = match material {
            Material::Rsa { n, .. } if n.len() > MAX_RSA_BYTES => return None,
            Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Material::P256(point) => DecodingKey::from_ec_der(point.as_slice()),
            Material::P384(point) => DecodingKey::from_ec_der(point.as_slice()),
            Material::Ed25519(x) => DecodingKey::from_ed_der(x),
        };
        let verifier = Self {
            key,
            algorithm: provider_name(algorithm),
        };
        // Points are read, and refused, by the factory.
        (DEFAULT_PROVIDER.verifier_factory)(&verifier.algorithm, &verifier.key).ok()?;
        Some(verifier)
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }
}

const fn provider_name(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// The modulus and the exponent of a PKCS#1 `RSAPublicKey`.
pub(super) fn rsa_components(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    (DEFAULT_PROVIDER
        .key_utils
        .rsa_pub_components_from_public_key)(der)
    .ok()
}
