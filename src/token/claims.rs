//! What a token says: its claims set, read once and strictly.

use std::{
    fmt, slice,
    sync::{Arc, OnceLock},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::registered::ReadClaims;
use crate::{
    clock::UnixTime,
    error::Reason,
    token::{Principal, Scope, TokenError},
};

/// The claims of an access token (RFC 7519 section 4, RFC 9068 section 2.2).
///
/// `iss`, `sub` and `exp` are there and of their type; what else is there has its type. That says
/// nothing yet of signature, audience and time: a [`VerifiedToken`](crate::VerifiedToken) does.
#[derive(Clone)]
pub struct Claims {
    principal: Principal,
    audience: Audience,
    expires_at: UnixTime,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    jwt_id: Option<Arc<str>>,
    session_id: Option<Arc<str>>,
    scope: Scope,
    json: Arc<str>,
    /// The claims as a tree, for whoever asks for one by its path.
    tree: OnceLock<Value>,
}

/// Nearly every token is for one, which needs no list.
#[derive(Clone)]
enum Audience {
    One(Arc<str>),
    Several(Arc<[Arc<str>]>),
}

impl Claims {
    /// Reads a claims set: one JSON object in strict UTF-8, of bounded depth, no member twice at any
    /// level, nothing after it.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with [`Reason::InvalidToken`] where it is no such object, or a registered claim
    /// is missing or of the wrong type; with [`Reason::WrongType`] where the claims are those of
    /// another kind of token.
    pub fn from_json(json: &str) -> Result<Self, TokenError> {
        let read = ReadClaims::from_json(json).map_err(TokenError::new)?;
        let mut claims = Self::new(&read, Arc::from(&*read.iss), &[]);
        claims.set_scope(Scope::from_claim(&read.scopes()));
        Ok(claims)
    }

    /// A copy of what was read, without scopes. The issuer, which is `iss`, is shared, and so is each
    /// audience that is among those that are accepted.
    pub(super) fn new(read: &ReadClaims<'_>, issuer: Arc<str>, audiences: &[Arc<str>]) -> Self {
        let shared = |text: &str| {
            let one = audiences.iter().find(|one| ***one == *text);
            one.map_or_else(|| Arc::from(text), Arc::clone)
        };
        let audience = match read.aud.as_slice() {
            [one] => Audience::One(shared(one)),
            all => Audience::Several(all.iter().map(|one| shared(one)).collect()),
        };
        Self {
            principal: Principal::new(
                issuer,
                Arc::from(&*read.sub),
                read.client_id.as_deref().map(Arc::from),
            ),
            audience,
            expires_at: read.exp,
            not_before: read.nbf,
            issued_at: read.iat,
            jwt_id: read.jti.as_deref().map(Arc::from),
            session_id: read.sid.as_deref().map(Arc::from),
            scope: Scope::EMPTY,
            json: read.json.into(),
            tree: OnceLock::new(),
        }
    }

    pub(super) fn set_scope(&mut self, scope: Scope) {
        self.scope = scope;
    }

    /// The scopes that the claim at `path` lists beside `scopes`.
    pub(super) fn scope_with(&self, scopes: &str, path: &str) -> Scope {
        let mut more = Vec::new();
        match self.at(path) {
            Some(Value::String(text)) => more.extend(text.split(' ')),
            Some(Value::Array(items)) => more.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
        Scope::from_claim_items(scopes.split(' ').chain(more))
    }

    fn at(&self, path: &str) -> Option<&Value> {
        let tree = self
            .tree
            .get_or_init(|| serde_json::from_str(&self.json).unwrap_or_default());
        // A claim may have a dot, or be an URL, in its own name.
        tree.get(path).or_else(|| {
            path.split('.')
                .try_fold(tree, |value, name| value.get(name))
        })
    }

    /// Who is calling.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// `aud`: whom the token is for. Never empty after verification.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let all = match &self.audience {
            Audience::One(one) => slice::from_ref(one),
            Audience::Several(all) => all,
        };
        all.iter().map(AsRef::as_ref)
    }

    /// `exp`: from this instant on (plus leeway) the token is refused.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// `nbf`: before this instant (less leeway) the token is refused.
    #[must_use]
    pub const fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// `iat`: when the token was made.
    #[must_use]
    pub const fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub fn jwt_id(&self) -> Option<&str> {
        self.jwt_id.as_deref()
    }

    /// `sid`: the session at the issuer in which the token was made.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// What the token allows: `scope` and `scp`, and the claim that the validator was told to read.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the claim at `path` (`realm_access.roles`) is the string `value`, or an array with an
    /// element that is. A claim whose own name has dots comes before a path.
    #[must_use]
    pub fn has(&self, path: &str, value: &str) -> bool {
        match self.at(path) {
            Some(Value::String(text)) => text == value,
            Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(value)),
            _ => false,
        }
    }

    /// All claims, read into a type of yours.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with [`Reason::InvalidToken`] where the claims do not fit the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, TokenError> {
        serde_json::from_str(&self.json).map_err(|_| TokenError::new(Reason::InvalidToken))
    }
}

/// Shows who is calling and until when, not what else the issuer said of them.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("principal", &self.principal)
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(changes: &str) -> Result<Claims, TokenError> {
        Claims::from_json(&format!(
            r#"{{"iss":"https://i","sub":"alice","exp":1000{changes}}}"#
        ))
    }

    #[test]
    fn what_is_read_is_what_was_said() {
        let claims = read(
            r#","aud":["a","b"],"nbf":1.5,"iat":2,"jti":"j","azp":"c","scope":"x y","scp":["z"],"realm_access":{"roles":["r","s"]}"#,
        )
        .unwrap();
        assert_eq!(claims.audience().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            claims.not_before(),
            Some(UnixTime::from_nanos(1_500_000_000))
        );
        assert_eq!(claims.principal().client_id(), Some("c"));
        assert_eq!(claims.scope().to_string(), "x y z");
        assert!(claims.has("realm_access.roles", "s"));
        assert!(!claims.has("realm_access.roles", "t"));
    }

    #[test]
    fn no_text_is_read_for_the_claims_that_it_holds() {
        for name in [
            "$serde_json::private::RawValue",
            r"\u0024serde_json::private::RawValue",
        ] {
            let claims = read(&format!(
                r#","profile":{{"{name}":"{{\"roles\":[\"admin\"]}}"}},"roles":["reader"]"#
            ));
            let has = |path, value| claims.as_ref().is_ok_and(|claims| claims.has(path, value));
            assert!(!has("profile.roles", "admin"), "{name}");
            let claims = read(&format!(r#","roles":["reader"],"{name}":"{{}}""#));
            let has = |value| claims.as_ref().map(|claims| claims.has("roles", value));
            assert!(
                has("reader").unwrap_or(true),
                "{name}: what is accepted is seen"
            );
        }
    }

    #[test]
    fn scopes_are_split_at_spaces_and_items_are_not() {
        let claims =
            read(r#","scope":"a  b\tc","scp":["d e","f","a",""],"roles":["g h","i"],"x":"j k""#);
        assert_eq!(claims.unwrap().scope().to_string(), "a f");
        let json = r#"{"iss":"https://i","sub":"a","exp":1,"scope":"a","roles":["g h","i"],"https://x.y/z":"j a"}"#;
        let read = ReadClaims::from_json(json).unwrap();
        let claims = Claims::new(&read, "https://i".into(), &[]);
        let scoped = |path| claims.scope_with(&read.scopes(), path);
        assert_eq!(scoped("roles").to_string(), "a i");
        assert_eq!(scoped("https://x.y/z").to_string(), "a j");
        assert_eq!(scoped("absent").to_string(), "a");
    }

    #[test]
    fn what_is_not_so_is_refused() {
        for changes in [
            r#","exp":1"#,
            r#","aud":5"#,
            r#","aud":["a",5]"#,
            r#","aud":null"#,
            r#","scope":5"#,
            r#","scp":["a",5]"#,
            r#","nbf":"5""#,
            r#","nbf":-1"#,
            r#","iat":1e400"#,
            r#","jti":5"#,
            r#","x":{"y":1,"\u0079":2}"#,
            r#","x":"\ud800""#,
        ] {
            assert_eq!(
                read(changes).unwrap_err().reason(),
                Reason::InvalidToken,
                "{changes}"
            );
        }
        for changes in [
            r#","nonce":"n""#,
            r#","cnf":{}"#,
            r#","token_use":"id""#,
            r#","events":{}"#,
        ] {
            assert_eq!(
                read(changes).unwrap_err().reason(),
                Reason::WrongType,
                "{changes}"
            );
        }
        assert!(Claims::from_json(r#"{"iss":["https://i"],"sub":"a","exp":1}"#).is_err());
        assert!(Claims::from_json(r#"{"iss":"https://i","sub":"","exp":1}"#).is_err());
        assert!(Claims::from_json(r#"{"iss":"https://i","sub":"a"}"#).is_err());
    }
}
