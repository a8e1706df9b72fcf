//! Tokens that must be refused.

use aws_lc_rs::hmac;

use super::{
    ClaimsBuilder,
    signing::{SigningKeys, base64url},
};
use crate::keys::Algorithm;

/// Ways in which a token can be wrong though its claims are right. (For wrong claims, see
/// [`ClaimsBuilder::claim`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WrongToken {
    /// Signed with a key of somebody else, under the `kid` of the issuer's.
    ForeignKey,
    /// Signed with a key of somebody else, under a `kid` that nobody has.
    UnknownKid,
    /// Signed with a key of somebody else that the header brings along (`jwk`, RFC 7515 section
    /// 4.1.3).
    EmbeddedKey,
    /// One bit of the signature turned.
    BrokenSignature,
    /// The signature left out.
    NoSignature,
    /// `alg` is `none`, with no signature (RFC 7515 appendix A.5).
    AlgNone,
    /// `alg` is `HS256`, and the issuer's public RSA key as PEM is the secret (RFC 8725 section 2.1).
    PublicKeyAsSecret,
    /// `crit` names an extension that nobody knows (RFC 7515 section 4.1.11).
    UnknownCritical,
}

impl WrongToken {
    /// All of them, for a test that tries each.
    pub const ALL: &'static [Self] = &[
        Self::ForeignKey,
        Self::UnknownKid,
        Self::EmbeddedKey,
        Self::BrokenSignature,
        Self::NoSignature,
        Self::AlgNone,
        Self::PublicKeyAsSecret,
        Self::UnknownCritical,
    ];

    /// The token: `own` are the issuer's keys, `foreign` somebody else's.
    pub(super) fn make(
        self,
        own: &SigningKeys,
        foreign: &SigningKeys,
        claims: &ClaimsBuilder,
    ) -> String {
        let alg = Algorithm::RS256;
        let kid = own.kid(alg);
        let rs256 = format!(r#"{{"typ":"at+jwt","alg":"RS256","kid":"{kid}"}}"#);
        let claims = claims.to_json();
        match self {
            Self::ForeignKey => signed(&rs256, &claims, |message| foreign.sign(alg, message)),
            Self::UnknownKid => {
                let header = r#"{"typ":"at+jwt","alg":"RS256","kid":"nobody's"}"#;
                signed(header, &claims, |message| foreign.sign(alg, message))
            }
            Self::EmbeddedKey => {
                let jwks = foreign.public_jwks();
                let jwk = jwks.first().map(ToString::to_string).unwrap_or_default();
                let header =
                    format!(r#"{{"typ":"at+jwt","alg":"RS256","kid":"{kid}","jwk":{jwk}}}"#);
                signed(&header, &claims, |message| foreign.sign(alg, message))
            }
            Self::BrokenSignature => signed(&rs256, &claims, |message| {
                let mut signature = own.sign(alg, message);
                if let Some(byte) = signature.last_mut() {
                    *byte ^= 1;
                }
                signature
            }),
            Self::NoSignature => signed(&rs256, &claims, |_| Vec::new()),
            Self::AlgNone => signed(r#"{"typ":"at+jwt","alg":"none"}"#, &claims, |_| Vec::new()),
            Self::PublicKeyAsSecret => {
                let header = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#);
                let secret = hmac::Key::new(hmac::HMAC_SHA256, own.public_rsa_pem().as_bytes());
                signed(&header, &claims, |message| {
                    hmac::sign(&secret, message).as_ref().to_vec()
                })
            }
            Self::UnknownCritical => {
                let header =
                    format!(r#"{{"typ":"at+jwt","alg":"RS256","kid":"{kid}","crit":["x"],"x":1}}"#);
                signed(&header, &claims, |message| own.sign(alg, message))
            }
        }
    }
}

/// A JWS in its compact form (RFC 7515 section 7.1).
pub(super) fn signed(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
