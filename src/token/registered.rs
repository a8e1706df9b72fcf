//! The registered claims, as they stand in the JSON text.

use std::{borrow::Cow, time::Duration};

use crate::{clock::UnixTime, error::Reason, json};

/// Claims as they stand in their JSON text: what is refused is never copied.
pub(super) struct ReadClaims<'a> {
    pub(super) json: &'a str,
    pub(super) iss: Cow<'a, str>,
    pub(super) sub: Cow<'a, str>,
    pub(super) aud: Vec<Cow<'a, str>>,
    pub(super) exp: UnixTime,
    pub(super) nbf: Option<UnixTime>,
    pub(super) iat: Option<UnixTime>,
    pub(super) jti: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
    pub(super) client_id: Option<Cow<'a, str>>,
    scope: Scopes<'a>,
    scp: Scopes<'a>,
}

impl<'a> ReadClaims<'a> {
    pub(super) fn from_json(json: &'a str) -> Result<Self, Reason> {
        let mut found = Found::default();
        json::read_object(json, |name, value| found.take(name, value))
            .map_err(|_| Reason::InvalidToken)?;
        if found.is_other_kind {
            return Err(Reason::WrongType);
        }
        if found.is_mistyped {
            return Err(Reason::InvalidToken);
        }
        let (Some(iss), Some(sub), Some(exp)) = (found.iss, found.sub, found.exp) else {
            return Err(Reason::InvalidToken);
        };
        if sub.is_empty() {
            return Err(Reason::InvalidToken);
        }
        Ok(Self {
            json,
            iss,
            sub,
            aud: found.aud,
            exp,
            nbf: found.nbf,
            iat: found.iat,
            jti: found.jti,
            sid: found.sid,
            client_id: found.client_id.or(found.azp),
            scope: found.scope,
            scp: found.scp,
        })
    }

    /// `scope` and `scp`, separated by spaces. They are taken apart when the signature is known to
    /// be good: that costs as much as the caller likes.
    pub(super) fn scopes(&self) -> String {
        let items = || self.scope.items().chain(self.scp.items());
        let mut scopes = String::with_capacity(items().map(|item| item.len() + 1).sum());
        for item in items() {
            scopes.push_str(item);
            scopes.push(' ');
        }
        scopes
    }
}

/// `scope` or `scp`.
#[derive(Default)]
enum Scopes<'a> {
    #[default]
    None,
    /// Separated by spaces.
    Text(Cow<'a, str>),
    Items(Vec<Cow<'a, str>>),
}

impl Scopes<'_> {
    fn items(&self) -> impl Iterator<Item = &str> {
        let (text, items) = match self {
            Self::None => (None, [].as_slice()),
            Self::Text(text) => (Some(&**text), [].as_slice()),
            Self::Items(items) => (None, items.as_slice()),
        };
        // An item with a space in it is no scope, and not two.
        let items = items.iter().filter(|item| !item.contains(' '));
        text.into_iter().chain(items.map(|item| &**item))
    }
}

/// The registered claims, as they come by.
#[derive(Default)]
struct Found<'a> {
    iss: Option<Cow<'a, str>>,
    sub: Option<Cow<'a, str>>,
    aud: Vec<Cow<'a, str>>,
    exp: Option<UnixTime>,
    nbf: Option<UnixTime>,
    iat: Option<UnixTime>,
    jti: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    client_id: Option<Cow<'a, str>>,
    azp: Option<Cow<'a, str>>,
    scope: Scopes<'a>,
    scp: Scopes<'a>,
    is_mistyped: bool,
    is_other_kind: bool,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: json::Value<'a>) {
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
                    self.aud = vec![one];
                    true
                }
                json::Value::Strings(all) => {
                    self.aud = all;
                    true
                }
                _ => false,
            },
            "scope" => self.scope.set(value),
            "scp" => self.scp.set(value),
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
}

impl<'a> Scopes<'a> {
    /// `false` where the value is neither a string nor an array of strings.
    fn set(&mut self, value: json::Value<'a>) -> bool {
        *self = match value {
            json::Value::String(text) => Self::Text(text),
            json::Value::Strings(items) => Self::Items(items),
            _ => return false,
        };
        true
    }
}

fn text(value: json::Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        json::Value::String(text) => Some(text),
        _ => None,
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
