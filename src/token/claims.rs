//! What a token says: its claims set, read once and strictly.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    clock::UnixTime,
    error::Reason,
    json,
    token::{Principal, Scope},
};

/// The claims of an access token (RFC 7519 section 4, RFC 9068 section 2.2).
///
/// `iss`, `sub` and `exp` are there and of their type; what else is there has its type. That says
/// nothing yet of signature, audience and time: a [`VerifiedToken`](crate::VerifiedToken) does.
#[derive(Clone)]
pub struct Claims {
    principal: Principal,
    audience: Arc<[Box<str>]>,
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

impl Claims {
    /// Reads a claims set: one JSON object in strict UTF-8, of bounded depth, no member twice at any
    /// level, nothing after it.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidToken`] where it is no such object, or a registered claim is missing or of
    /// the wrong type; [`Reason::WrongType`] where the claims are those of another kind of token.
    pub fn from_json(json: &str) -> Result<Self, Reason> {
        UnscopedClaims::from_json(json).map(|claims| claims.scoped(None))
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
        self.audience.iter().map(AsRef::as_ref)
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
    pub const fn jwt_id(&self) -> Option<&Arc<str>> {
        self.jwt_id.as_ref()
    }

    /// `sid`: the session at the issuer in which the token was made.
    #[must_use]
    pub const fn session_id(&self) -> Option<&Arc<str>> {
        self.session_id.as_ref()
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
    /// [`Reason::InvalidToken`] where the claims do not fit the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Reason> {
        serde_json::from_str(&self.json).map_err(|_| Reason::InvalidToken)
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

/// Claims whose scopes were not taken apart: that costs as much as the caller likes, and is left
/// for when the signature is known to be good.
#[derive(Clone, Debug)]
pub(super) struct UnscopedClaims {
    claims: Claims,
    /// `scope` and `scp`, separated by spaces.
    scopes: Box<str>,
}

impl UnscopedClaims {
    pub(super) fn from_json(json: &str) -> Result<Self, Reason> {
        let mut found = Found::default();
        json::read_object(json, |name, value| found.take(name, value))
            .map_err(|_| Reason::InvalidToken)?;
        if found.is_other_kind {
            return Err(Reason::WrongType);
        }
        if found.is_mistyped {
            return Err(Reason::InvalidToken);
        }
        let (Some(iss), Some(sub), Some(expires_at)) = (found.iss, found.sub, found.exp) else {
            return Err(Reason::InvalidToken);
        };
        if sub.is_empty() {
            return Err(Reason::InvalidToken);
        }
        let claims = Claims {
            principal: Principal::new(iss, sub, found.client_id.or(found.azp)),
            audience: found.aud.into(),
            expires_at,
            not_before: found.nbf,
            issued_at: found.iat,
            jwt_id: found.jti,
            session_id: found.sid,
            scope: Scope::EMPTY,
            json: json.into(),
            tree: OnceLock::new(),
        };
        Ok(Self {
            claims,
            scopes: found.scopes.into(),
        })
    }

    /// All but the scopes.
    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims with their scopes, and with those that the claim at `path` lists.
    pub(super) fn scoped(&self, path: Option<&str>) -> Claims {
        let mut items: Vec<&str> = self.scopes.split(' ').collect();
        let mut claims = self.claims.clone();
        match path.and_then(|path| self.claims.at(path)) {
            Some(Value::String(text)) => items.extend(text.split(' ')),
            Some(Value::Array(more)) => items.extend(more.iter().filter_map(Value::as_str)),
            _ => {}
        }
        claims.scope = Scope::from_claim_items(items);
        claims
    }
}

/// The registered claims, as they come by.
#[derive(Default)]
struct Found {
    iss: Option<Arc<str>>,
    sub: Option<Arc<str>>,
    aud: Vec<Box<str>>,
    exp: Option<UnixTime>,
    nbf: Option<UnixTime>,
    iat: Option<UnixTime>,
    jti: Option<Arc<str>>,
    sid: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
    azp: Option<Arc<str>>,
    scopes: String,
    is_mistyped: bool,
    is_other_kind: bool,
}

impl Found {
    fn take(&mut self, name: &str, value: json::Value<'_>) {
        let text = |value: json::Value<'_>| match value {
            json::Value::String(text) => Some(Arc::from(&*text)),
            _ => None,
        };
        let is_typed = match name {
            "iss" => set(&mut self.iss, text(value)),
            "sub" => set(&mut self.sub, text(value)),
            "jti" => set(&mut self.jti, text(value)),
            "sid" => set(&mut self.sid, text(value)),
            "client_id" => set(&mut self.client_id, text(value)),
            "azp" => set(&mut self.azp, text(value)),
            "exp" => set(&mut self.exp, numeric_date(&value)),
            "nbf" => set(&mut self.nbf, numeric_date(&value)),
            "iat" => set(&mut self.iat, numeric_date(&value)),
            "aud" => match value {
                json::Value::String(one) => {
                    self.aud = vec![(*one).into()];
                    true
                }
                json::Value::Strings(all) => {
                    self.aud = all.iter().map(|one| (**one).into()).collect();
                    true
                }
                _ => false,
            },
            "scope" | "scp" => match value {
                json::Value::String(text) => {
                    self.add_scopes(&text);
                    true
                }
                json::Value::Strings(items) => {
                    // An item with a space in it is no scope, and not two.
                    for item in items.iter().filter(|item| !item.contains(' ')) {
                        self.add_scopes(item);
                    }
                    true
                }
                _ => false,
            },
            // ID tokens, logout tokens, and tokens that are bound to a key nobody proved to hold.
            "nonce" | "at_hash" | "c_hash" | "events" | "cnf" => {
                self.is_other_kind = true;
                true
            }
            "token_use" | "typ" => {
                self.is_other_kind |= matches!(value, json::Value::String(kind)
                    if kind.eq_ignore_ascii_case("id"));
                true
            }
            _ => true,
        };
        self.is_mistyped |= !is_typed;
    }

    fn add_scopes(&mut self, scopes: &str) {
        self.scopes.push(' ');
        self.scopes.push_str(scopes);
    }
}

/// Fills the slot; `false` where the value had another type.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    *slot = value;
    slot.is_some()
}

/// A NumericDate (RFC 7519 section 2): seconds, maybe with a fraction.
fn numeric_date(value: &json::Value<'_>) -> Option<UnixTime> {
    match *value {
        json::Value::Integer(seconds) => Some(UnixTime::from_secs(seconds)),
        json::Value::Number(seconds) if seconds >= 0.0 => Some(
            Duration::try_from_secs_f64(seconds)
                .map_or(UnixTime::MAX, |since| UnixTime::EPOCH.saturating_add(since)),
        ),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(changes: &str) -> Result<Claims, Reason> {
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
        assert_eq!(claims.principal().client_id().unwrap().as_ref(), "c");
        assert_eq!(claims.scope().to_string(), "x y z");
        assert!(claims.has("realm_access.roles", "s"));
        assert!(!claims.has("realm_access.roles", "t"));
    }

    #[test]
    fn scopes_are_split_at_spaces_and_items_are_not() {
        let claims =
            read(r#","scope":"a  b\tc","scp":["d e","f","a",""],"roles":["g h","i"],"x":"j k""#);
        assert_eq!(claims.unwrap().scope().to_string(), "a f");
        let json = r#"{"iss":"https://i","sub":"a","exp":1,"scope":"a","roles":["g h","i"],"https://x.y/z":"j a"}"#;
        let scoped = |path| UnscopedClaims::from_json(json).unwrap().scoped(path);
        assert_eq!(scoped(Some("roles")).scope().to_string(), "a i");
        assert_eq!(scoped(Some("https://x.y/z")).scope().to_string(), "a j");
        assert_eq!(scoped(Some("absent")).scope().to_string(), "a");
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
                read(changes).unwrap_err(),
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
            assert_eq!(read(changes).unwrap_err(), Reason::WrongType, "{changes}");
        }
        assert!(Claims::from_json(r#"{"iss":["https://i"],"sub":"a","exp":1}"#).is_err());
        assert!(Claims::from_json(r#"{"iss":"https://i","sub":"","exp":1}"#).is_err());
        assert!(Claims::from_json(r#"{"iss":"https://i","sub":"a"}"#).is_err());
    }
}
