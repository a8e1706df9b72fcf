//! Signature checks by AWS-LC. The key is parsed once, here.

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        RsaParameters,
    },
};

use super::{Algorithm, Material};

/// One key, ready for one algorithm.
pub(super) struct Verifier(ParsedPublicKey);

impl Verifier {
    /// `None` where the key is no such key: a point that is not on the curve, say.
    pub(super) fn new(material: &Material, algorithm: Algorithm) -> Option<Self> {
        let parsed = match (material, algorithm) {
            (Material::Rsa { n, e }, _) => PublicKeyComponents { n, e }
                .to_parsed_public_key(rsa_parameters(algorithm)?)
                .ok(),
            (Material::P256(point), Algorithm::ES256) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_slice()).ok()
            }
            (Material::P384(point), Algorithm::ES384) => {
                ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point.as_slice()).ok()
            }
            (Material::Ed25519(x), Algorithm::EdDSA) => ParsedPublicKey::new(&ED25519, x).ok(),
            _ => None,
        };
        parsed.map(Self)
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => return None,
    })
}

/// The modulus and the exponent of a PKCS#1 `RSAPublicKey`.
pub(super) fn rsa_components(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let utils = &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.key_utils;
    (utils.rsa_pub_components_from_public_key)(der).ok()
}
