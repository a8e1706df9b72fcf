//! Whether a token is good: bytes, keys and the time in, a proof out.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

use super::header::Header;
use crate::{
    clock::UnixTime,
    error::{ConfigError, Reason},
    keys::{Algorithm, VerificationKey, VerificationKeyId},
    oauth::{is_secure_or_loopback, parse_url},
    token::{Claims, TokenError, VerifiedToken},
};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// How far clocks may differ, unless said otherwise, and at the most.
const LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The rules for access tokens (RFC 7519, RFC 9068 section 4, RFC 8725). Pure: it reads no clock
/// and fetches nothing. Cheap to clone.
///
/// ```
/// use mcp_auth::{JwtValidator, Reason, UnixTime};
///
/// let validator = JwtValidator::new("https://idp.example.com", "https://mcp.example.com/mcp")?;
/// let error = validator.inspect("not a token", UnixTime::from_secs(1_700_000_000)).unwrap_err();
/// assert_eq!(error.reason(), Reason::InvalidToken);
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtValidator(Arc<Rules>);

#[derive(Clone, Debug)]
struct Rules {
    issuers: Vec<Arc<str>>,
    audiences: Vec<Box<str>>,
    leeway: Duration,
    max_lifetime: Option<Duration>,
    is_strict: bool,
    scope_claim: Option<Box<str>>,
}

impl JwtValidator {
    /// Accepts tokens of `issuer` for `audience`. For an audience that is a URL without a path the
    /// form with a slash at its end is accepted too, because clients write it so.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the issuer is no `https` URL (`http` on this machine), or the audience
    /// is empty.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, ConfigError> {
        Self(Arc::new(Rules {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: LEEWAY,
            max_lifetime: None,
            is_strict: false,
            scope_claim: None,
        }))
        .with_issuer(issuer)?
        .with_audience(audience)
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Accepts tokens of another issuer too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no `https` URL (`http` on this machine).
    pub fn with_issuer(self, issuer: &str) -> Result<Self, ConfigError> {
        if !is_secure_or_loopback(&parse_url("the issuer", issuer)?) {
            return Err(ConfigError::new(format!(
                "the issuer {issuer:?} is neither https nor on this machine"
            )));
        }
        Ok(self.set(|rules| rules.issuers.push(issuer.into())))
    }

    /// Accepts tokens for another audience too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is empty.
    pub fn with_audience(self, audience: &str) -> Result<Self, ConfigError> {
        if audience.is_empty() {
            return Err(ConfigError::new("the audience is empty"));
        }
        let has_no_path = audience
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.trim_end_matches('/').contains('/'));
        Ok(self.set(|rules| {
            if has_no_path {
                let bare = audience.trim_end_matches('/');
                rules.audiences.push(bare.into());
                rules.audiences.push(format!("{bare}/").into());
            } else {
                rules.audiences.push(audience.into());
            }
        }))
    }

    /// Lets clocks differ by so much (default 30 s).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] above 300 s.
    pub fn with_leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        if leeway > MAX_LEEWAY {
            return Err(ConfigError::new("the leeway is above 300 s"));
        }
        Ok(self.set(|rules| rules.leeway = leeway))
    }

    /// Refuses tokens that live longer, from `iat` to `exp`, or do not say since when they live.
    pub fn with_max_lifetime(self, lifetime: Duration) -> Self {
        self.set(|rules| rules.max_lifetime = Some(lifetime))
    }

    /// Refuses tokens whose `typ` is not `at+jwt` (RFC 9068 section 4).
    pub fn with_strict_type(self) -> Self {
        self.set(|rules| rules.is_strict = true)
    }

    /// Reads scopes from the claim at `path` too, such as `realm_access.roles`.
    pub fn with_scope_claim(self, path: impl Into<Box<str>>) -> Self {
        self.set(|rules| rules.scope_claim = Some(path.into()))
    }

    /// Checks all that can be checked without the key, so that junk costs no signature.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with the first thing that is wrong.
    pub fn inspect(
        &self,
        token: impl Into<Bytes>,
        now: UnixTime,
    ) -> Result<UnverifiedToken, TokenError> {
        let token = token.into();
        if token.len() > MAX_TOKEN {
            return Err(Reason::InvalidToken.into());
        }
        let text = std::str::from_utf8(&token).map_err(|_| Reason::InvalidToken)?;
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::InvalidToken.into());
        };
        let signed = header.len() + 1 + claims.len();
        let header = Header::from_json(&decoded_text(header)?)?;
        let mut claims = Claims::from_json(&decoded_text(claims)?)?;
        let signature = decoded(signature)?;
        if signature.is_empty() {
            return Err(Reason::InvalidToken.into());
        }
        self.check(&header, &claims, now)?;
        if let Some(path) = &self.0.scope_claim {
            claims.add_scopes_at(path);
        }
        let issuer = Arc::clone(claims.principal().issuer());
        Ok(UnverifiedToken {
            key_id: VerificationKeyId::new(issuer, header.kid, header.algorithm),
            claims,
            signature,
            signed: token.slice(..signed),
        })
    }

    fn check(&self, header: &Header, claims: &Claims, now: UnixTime) -> Result<(), Reason> {
        let rules = &*self.0;
        if rules.is_strict && !header.is_access_token {
            return Err(Reason::WrongType);
        }
        if !rules.issuers.contains(claims.principal().issuer()) {
            return Err(Reason::WrongIssuer);
        }
        let is_ours = |audience: &str| rules.audiences.iter().any(|own| **own == *audience);
        if !claims.audience().any(is_ours) {
            return Err(Reason::WrongAudience);
        }
        if now >= claims.expires_at().saturating_add(rules.leeway) {
            return Err(Reason::Expired);
        }
        let latest = now.saturating_add(rules.leeway);
        if claims.not_before().is_some_and(|nbf| nbf > latest)
            || claims.issued_at().is_some_and(|iat| iat > latest)
        {
            return Err(Reason::NotYetValid);
        }
        match (rules.max_lifetime, claims.issued_at()) {
            (None, _) => Ok(()),
            (Some(most), Some(iat)) if claims.expires_at().saturating_since(iat) <= most => Ok(()),
            (Some(_), _) => Err(Reason::InvalidToken),
        }
    }

    /// The instant from which a verified token is refused.
    pub(crate) fn refused_from(&self, token: &VerifiedToken) -> UnixTime {
        token.expires_at().saturating_add(self.0.leeway)
    }
}

/// Base64url without padding, and with no bit that another text would share (RFC 7515 section 2).
fn decoded(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Reason::InvalidToken)
}

fn decoded_text(part: &str) -> Result<String, Reason> {
    String::from_utf8(decoded(part)?).map_err(|_| Reason::InvalidToken)
}

/// A token of which all is good but the signature, which nobody checked: nothing that it says can
/// be read.
#[derive(Clone, Debug)]
pub struct UnverifiedToken {
    key_id: VerificationKeyId,
    claims: Claims,
    signature: Vec<u8>,
    signed: Bytes,
}

impl UnverifiedToken {
    /// Which key is needed.
    #[must_use]
    pub const fn key_id(&self) -> &VerificationKeyId {
        &self.key_id
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with [`Reason::BadSignature`] where the key may not verify the token's
    /// algorithm, or did not sign the token.
    pub fn verify(&self, key: &VerificationKey) -> Result<VerifiedToken, TokenError> {
        let algorithm: Algorithm = self.key_id.algorithm();
        if key.verifies(algorithm, &self.signed, &self.signature) {
            Ok(VerifiedToken::assertion(self.claims.clone()))
        } else {
            Err(Reason::BadSignature.into())
        }
    }
}
