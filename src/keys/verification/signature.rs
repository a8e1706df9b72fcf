//! The signature check: by AWS-LC with a key that was parsed before, else in pure Rust.

use super::{Algorithm, jwk::Material};

#[cfg(feature = "aws-lc-rs")]
pub(super) use self::aws_lc::Verifier;
#[cfg(not(feature = "aws-lc-rs"))]
pub(super) use self::pure_rust::Verifier;

const UNUSABLE: &str = "the key cannot be used";

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use aws_lc_rs::{
        rsa::PublicKeyComponents,
        signature::{
            self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
            RsaParameters,
        },
    };

    use super::{Algorithm, Material, UNUSABLE};

    pub(in super::super) struct Verifier(ParsedPublicKey);

    impl Verifier {
        pub(in super::super) fn new(
            algorithm: Algorithm,
            material: &Material,
        ) -> Result<Self, &'static str> {
            let uncompressed = |x: &[u8], y: &[u8]| [&[4], x, y].concat();
            let parsed = match material {
                Material::Rsa { n, e } => {
                    return PublicKeyComponents { n, e }
                        .to_parsed_public_key(rsa(algorithm).ok_or(UNUSABLE)?)
                        .map(Self)
                        .map_err(|_| UNUSABLE);
                }
                Material::P256 { x, y } => {
                    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(x, y))
                }
                Material::P384 { x, y } => {
                    ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, uncompressed(x, y))
                }
                Material::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x),
            };
            parsed.map(Self).map_err(|_| UNUSABLE)
        }

        pub(in super::super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
            self.0.verify_sig(message, signature).is_ok()
        }
    }

    fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
        Some(match algorithm {
            Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod pure_rust {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jsonwebtoken::{DecodingKey, crypto::rust_crypto::DEFAULT_PROVIDER};

    use super::{Algorithm, Material, UNUSABLE};

    pub(in super::super) struct Verifier {
        algorithm: jsonwebtoken::Algorithm,
        key: DecodingKey,
    }

    impl Verifier {
        pub(in super::super) fn new(
            algorithm: Algorithm,
            material: &Material,
        ) -> Result<Self, &'static str> {
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let key = match material {
                Material::Rsa { n, e } => DecodingKey::from_rsa_components(&text(n), &text(e)),
                Material::P256 { x, y } | Material::P384 { x, y } => {
                    DecodingKey::from_ec_components(&text(x), &text(y))
                }
                Material::Ed25519 { x } => DecodingKey::from_ed_components(&text(x)),
            };
            let verifier = Self {
                algorithm: named(algorithm),
                key: key.map_err(|_| UNUSABLE)?,
            };
            // The provider is asked by name, never by the process-wide default, which panics when
            // two are compiled in. A key that it cannot parse is found out here.
            (DEFAULT_PROVIDER.verifier_factory)(&verifier.algorithm, &verifier.key)
                .map_err(|_| UNUSABLE)?;
            Ok(verifier)
        }

        pub(in super::super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
            (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &self.key)
                .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
        }
    }

    const fn named(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
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
}
