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

/// Both backends must say the same of every signature, good or bad.
#[cfg(all(test, feature = "aws-lc-rs"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
            Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
            RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        },
    };
    use proptest::prelude::*;

    use super::{super::aws_lc, *};

    const MESSAGE: &[u8] = b"header.claims";

    fn rsa(pair: &RsaKeyPair) -> Material {
        let (n, e) = rsa_components(pair.public_key().as_ref()).unwrap();
        assert_eq!(
            aws_lc::rsa_components(pair.public_key().as_ref()).unwrap(),
            (n.clone(), e.clone())
        );
        Material::rsa(&n, &e).unwrap()
    }

    /// A key and a signature of `MESSAGE` for each algorithm.
    fn signed() -> Vec<(Material, Algorithm, Vec<u8>)> {
        let random = SystemRandom::new();
        let mut all = Vec::new();
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let encodings: [(Algorithm, &'static dyn RsaEncoding); 6] = [
            (Algorithm::RS256, &RSA_PKCS1_SHA256),
            (Algorithm::RS384, &RSA_PKCS1_SHA384),
            (Algorithm::RS512, &RSA_PKCS1_SHA512),
            (Algorithm::PS256, &RSA_PSS_SHA256),
            (Algorithm::PS384, &RSA_PSS_SHA384),
            (Algorithm::PS512, &RSA_PSS_SHA512),
        ];
        for (algorithm, encoding) in encodings {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &random, MESSAGE, &mut signature)
                .unwrap();
            all.push((rsa(&pair), algorithm, signature));
        }
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let material = Material::p256(pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
        all.push((material, Algorithm::ES256, signature));
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let material = Material::p384(pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
        all.push((material, Algorithm::ES384, signature));
        let pair = Ed25519KeyPair::generate().unwrap();
        let material = Material::ed25519(pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(MESSAGE).as_ref().to_vec();
        all.push((material, Algorithm::EdDSA, signature));
        all
    }

    #[test]
    fn a_key_is_one_for_its_own_algorithms() {
        for (material, _, _) in signed() {
            for &algorithm in Algorithm::ALL {
                let is_own = material.algorithms().contains(&algorithm);
                assert_eq!(Verifier::new(&material, algorithm).is_some(), is_own);
                assert_eq!(
                    aws_lc::Verifier::new(&material, algorithm).is_some(),
                    is_own
                );
            }
        }
        // Larger RSA keys are for AWS-LC alone, and points must be on their curves.
        let large = Material::rsa(&[0xff; 513], &[1, 0, 1]).unwrap();
        assert!(Verifier::new(&large, Algorithm::RS256).is_none());
        assert!(aws_lc::Verifier::new(&large, Algorithm::RS256).is_some());
        let mut point = [1; 65];
        point[0] = 4;
        let nowhere = Material::p256(&point).unwrap();
        assert!(Verifier::new(&nowhere, Algorithm::ES256).is_none());
        assert!(aws_lc::Verifier::new(&nowhere, Algorithm::ES256).is_none());
    }

    #[test]
    fn the_backends_agree() {
        for (material, algorithm, signature) in signed() {
            let ours = Verifier::new(&material, algorithm).unwrap();
            let theirs = aws_lc::Verifier::new(&material, algorithm).unwrap();
            assert!(ours.verify(MESSAGE, &signature), "{algorithm}");
            assert!(theirs.verify(MESSAGE, &signature), "{algorithm}");
            assert!(!ours.verify(b"other", &signature), "{algorithm}");
            assert!(!theirs.verify(b"other", &signature), "{algorithm}");
            let strategy = (0..signature.len(), any::<u8>(), 0..3_usize);
            proptest!(ProptestConfig::with_cases(32), |((at, byte, form) in strategy)| {
                let mut changed = signature.clone();
                match form {
                    0 => changed[at] = byte,
                    1 => changed.truncate(at),
                    _ => changed.insert(at, byte),
                }
                let ours = ours.verify(MESSAGE, &changed);
                prop_assert_eq!(ours, theirs.verify(MESSAGE, &changed));
                prop_assert_eq!(ours, changed == signature);
            });
        }
    }
}
