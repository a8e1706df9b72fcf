//! Whether a token is good: bytes, keys and the time in, a proof out.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    header::Header,
    known::Known,
    registered::ReadClaims,
    segments::Segments,
    unverified::{ReadToken, UnverifiedToken},
};
use crate::{
    clock::UnixTime,
    error::{ConfigError, Reason},
    keys::{Algorithm, VerificationKeyId},
    oauth::parse_issuer,
    token::{Claims, Scope, TokenError, VerifiedToken},
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
/// use mcp_auth::{JwtValidator, KeyStore, Reason, StaticJwks, UnixTime};
///
/// let issuer = "https://idp.example.com";
/// let validator = JwtValidator::new(issuer, "https://mcp.example.com/mcp")?;
/// let keys = StaticJwks::from_json(
///     issuer,
///     br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026",
///         "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
/// )?;
/// let token = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYifQ.\
///     eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbSIsInN1YiI6ImFsaWNlIiwiYXVkIjoiaHR0cHM6Ly9tY3AuZX\
///     hhbXBsZS5jb20vbWNwIiwiZXhwIjoyMDAwMDAwMDAwLCJzY29wZSI6InJlYWQ6ZGF0YSJ9.\
///     iwW8UrcTlja7fMUBdWjfSB35ed-cqnIYK3saGslYck3x4EXp62i-05eQQ-fhyuEaf6AkZAWYPJxdEApfTRVLAw";
///
/// let unverified = validator.inspect(token, UnixTime::from_secs(1_999_999_999))?;
/// let key = keys.key(unverified.key_id()).into_inner()?.ok_or("no such key")?;
/// let verified = unverified.verify(&key)?;
/// assert_eq!(verified.principal().subject(), "alice");
/// assert!(verified.scope().contains("read:data"));
///
/// let error = validator.inspect(token, UnixTime::from_secs(2_000_000_030)).unwrap_err();
/// assert_eq!(error.reason(), Reason::Expired);
/// assert_eq!(error.to_string(), "The access token expired");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtValidator(Arc<Rules>);

#[derive(Clone, Debug)]
pub(super) struct Rules {
    issuers: Vec<Arc<str>>,
    pub(super) audiences: Vec<Arc<str>>,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    max_lifetime: Option<Duration>,
    is_strict: bool,
    scope_claim: Option<Box<str>>,
    /// What headers say, by their segment.
    pub(super) headers: Arc<Known<Header>>,
    scopes: Arc<Known<Scope>>,
}

impl Rules {
    /// The proof of a token whose signature is good.
    pub(super) fn proven(&self, mut claims: Claims, scopes: &str) -> VerifiedToken {
        claims.set_scope(match &self.scope_claim {
            None => self.scope(scopes),
            Some(path) => claims.scope_with(scopes, path),
        });
        VerifiedToken::assertion(claims)
    }

    fn scope(&self, scopes: &str) -> Scope {
        self.scopes.get(scopes.as_bytes()).unwrap_or_else(|| {
            let scope = Scope::from_claim(scopes);
            self.scopes.remember(scopes.as_bytes(), scope.clone());
            scope
        })
    }
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
            algorithms: Algorithm::ALL.to_vec(),
            leeway: LEEWAY,
            max_lifetime: None,
            is_strict: false,
            scope_claim: None,
            headers: Arc::default(),
            scopes: Arc::default(),
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
    /// [`ConfigError`] where it is no `https` URL (`http` on this machine), or holds a `|`.
    pub fn with_issuer(self, issuer: &str) -> Result<Self, ConfigError> {
        parse_issuer(issuer)?;
        if issuer.contains('|') {
            return Err(ConfigError::new(format!("the issuer {issuer:?} holds a |")));
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
        Ok(self.set(|rules| {
            rules.audiences.push(audience.into());
            rules.audiences.extend(with_other_slash(audience));
        }))
    }

    /// Accepts these signature algorithms alone (default: [`Algorithm::ALL`]).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where there is none.
    pub fn with_algorithms(
        self,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        if algorithms.is_empty() {
            return Err(ConfigError::new("no signature algorithm is accepted"));
        }
        Ok(self.set(|rules| rules.algorithms = algorithms))
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

    /// Checks all that can be checked without the key, so that junk costs no signature check: at
    /// most 16 KiB of three canonical base64url segments, header and claims (RFC 7515, RFC 7519),
    /// algorithm, kind, issuer, audience and times. `now` is the present instant.
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
        let mut buffer = Vec::new();
        let read = self.read(&token, &mut buffer, now)?;
        Ok(read.into_unverified(token.clone()))
    }

    /// The same, with nothing copied: the claims are decoded into `buffer`.
    pub(crate) fn read<'a>(
        &'a self,
        token: &'a [u8],
        buffer: &'a mut Vec<u8>,
        now: UnixTime,
    ) -> Result<ReadToken<'a>, TokenError> {
        self.try_read(token, buffer, now).map_err(TokenError::new)
    }

    fn try_read<'a>(
        &'a self,
        token: &'a [u8],
        buffer: &'a mut Vec<u8>,
        now: UnixTime,
    ) -> Result<ReadToken<'a>, Reason> {
        if token.len() > MAX_TOKEN {
            return Err(Reason::InvalidToken);
        }
        let segments = Segments::of(token).ok_or(Reason::InvalidToken)?;
        // What is decoded is shorter than its text.
        buffer.resize(token.len(), 0);
        let header_text = segments.header_text();
        let known = self.0.headers.get(header_text);
        let is_known = known.is_some();
        let header = match known {
            Some(header) => header,
            None => Header::from_json(segments.header(buffer)?)?,
        };
        self.check_header(&header)?;
        let (for_claims, for_signature) = segments.rooms(buffer);
        let claims = ReadClaims::from_json(segments.claims(for_claims)?)?;
        let signature = segments.signature(for_signature)?;
        let issuer = self.check_claims(&claims, now)?;
        Ok(ReadToken {
            rules: &self.0,
            new_header: (!is_known).then(|| (header_text, header.clone())),
            key_id: VerificationKeyId::new(issuer, header.kid, header.algorithm),
            claims,
            signature,
            signed: segments.signed(token),
        })
    }

    fn check_header(&self, header: &Header) -> Result<(), Reason> {
        if !self.0.algorithms.contains(&header.algorithm) {
            return Err(Reason::InvalidToken);
        }
        if self.0.is_strict && !header.is_access_token {
            return Err(Reason::WrongType);
        }
        Ok(())
    }

    /// Says which of the issuers it is.
    fn check_claims(&self, claims: &ReadClaims<'_>, now: UnixTime) -> Result<Arc<str>, Reason> {
        let rules = &*self.0;
        let mut issuers = rules.issuers.iter();
        let Some(issuer) = issuers.find(|own| ***own == *claims.iss) else {
            return Err(Reason::WrongIssuer);
        };
        let is_ours =
            |audience: &Cow<'_, str>| rules.audiences.iter().any(|own| **own == **audience);
        if !claims.aud.as_slice().iter().any(is_ours) {
            return Err(Reason::WrongAudience);
        }
        if now >= claims.exp.saturating_add(rules.leeway) {
            return Err(Reason::Expired);
        }
        let latest = now.saturating_add(rules.leeway);
        if claims.nbf.is_some_and(|nbf| nbf > latest) || claims.iat.is_some_and(|iat| iat > latest)
        {
            return Err(Reason::NotYetValid);
        }
        match (rules.max_lifetime, claims.iat) {
            (None, _) => Ok(Arc::clone(issuer)),
            (Some(most), Some(iat)) if claims.exp.saturating_since(iat) <= most => {
                Ok(Arc::clone(issuer))
            }
            (Some(_), _) => Err(Reason::InvalidToken),
        }
    }

    pub(crate) fn leeway(&self) -> Duration {
        self.0.leeway
    }

    /// The instant from which a verified token is refused.
    pub(crate) fn refused_from(&self, token: &VerifiedToken) -> UnixTime {
        token.expires_at().saturating_add(self.0.leeway)
    }
}

/// For a URL without a path the same with a slash at its end, or without: RFC 3986 section 6.2.3
/// calls them equal, and issuers write both.
fn with_other_slash(audience: &str) -> Option<Arc<str>> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| audience.strip_prefix(scheme))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.is_empty() || authority.contains(['/', '?', '#']) {
        return None;
    }
    Some(match audience.strip_suffix('/') {
        Some(bare) => bare.into(),
        None => format!("{audience}/").into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::keys::VerificationKey;

    const HEADER: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYifQ";
    const CLAIMS: &str = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbSIsInN1YiI6ImFsaWNlIiwiYXVkIjoiaHR0c\
        HM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIiwiZXhwIjoyMDAwMDAwMDAwLCJzY29wZSI6InJlYWQ6ZGF0YSJ9";
    const SIGNATURE: &str =
        "iwW8UrcTlja7fMUBdWjfSB35ed-cqnIYK3saGslYck3x4EXp62i-05eQQ-fhyuEaf6AkZAWYPJxdEApfTRVLAw";

    /// Whether the header is known after the token was read and verified, and what came of it.
    fn known_after(validator: &JwtValidator, signature: &str) -> (bool, Result<(), Reason>) {
        let key =
            br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = VerificationKey::from_jwk(key).unwrap();
        let token = format!("{HEADER}.{CLAIMS}.{signature}");
        let (mut buffer, now) = (Vec::new(), UnixTime::from_secs(1_999_999_999));
        let outcome = validator
            .read(token.as_bytes(), &mut buffer, now)
            .and_then(|read| read.verify(&key))
            .map(|verified| assert_eq!(verified.principal().subject(), "alice"))
            .map_err(|error| error.reason());
        let known = validator.0.headers.get(HEADER.as_bytes());
        (known.is_some(), outcome)
    }

    #[test]
    fn a_header_is_known_once_its_signature_was_good() {
        let validator =
            JwtValidator::new("https://idp.example.com", "https://mcp.example.com/mcp").unwrap();
        let forged = SIGNATURE.replacen('i', "j", 1);
        let bad = Err(Reason::BadSignature);
        assert_eq!(known_after(&validator, &forged), (false, bad));
        for _ in 0..2 {
            assert_eq!(known_after(&validator, SIGNATURE), (true, Ok(())));
        }
        assert_eq!(known_after(&validator, &forged), (true, bad));
        // Known or not, it is held against the rules.
        let other = validator.with_algorithms([Algorithm::ES256]).unwrap();
        let refused = Err(Reason::InvalidToken);
        assert_eq!(known_after(&other, SIGNATURE), (true, refused));
    }
}
