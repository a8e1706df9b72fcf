//! The registered claims, as they stand in the JSON text.

use std::{borrow::Cow, slice, time::Duration};

use crate::{clock::UnixTime, error::Reason, json};

/// Claims as they stand in their JSON text: what is refused is never copied.
pub(super) struct ReadClaims<'a> {
    pub(super) json: &'a str,
    pub(super) iss: Cow<'a, str>,
    pub(super) sub: Cow<'a, str>,
    pub(super) aud: Texts<'a>,
    pub(super) exp: UnixTime,
    pub(super) nbf: Option<UnixTime>,
    pub(super) iat: Option<UnixTime>,
    pub(super) jti: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
    pub(super) client_id: Option<Cow<'a, str>>,
    scope: Texts<'a>,
    scp: Texts<'a>,
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
    pub(super) fn scopes(&self) -> Cow<'_, str> {
        if let (Texts::One(scopes), Texts::None) | (Texts::None, Texts::One(scopes)) =
            (&self.scope, &self.scp)
        {
            return Cow::Borrowed(scopes);
        }
        let mut scopes = String::new();
        self.scope.push_scopes(&mut scopes);
        self.scp.push_scopes(&mut scopes);
        scopes.into()
    }
}

/// What is a string or an array of strings.
#[derive(Default)]
pub(super) enum Texts<'a> {
    #[default]
    None,
    One(Cow<'a, str>),
    Several(Vec<Cow<'a, str>>),
}

impl<'a> Texts<'a> {
    /// `false` where the value is neither.
    fn set(&mut self, value: json::Value<'a>) -> bool {
        *self = match value {
            json::Value::String(one) => Self::One(one),
            json::Value::Strings(all) => Self::Several(all),
            _ => return false,
        };
        true
    }

    pub(super) const fn as_slice(&self) -> &[Cow<'a, str>] {
        match self {
            Self::None => &[],
            Self::One(one) => slice::from_ref(one),
            Self::Several(all) => all.as_slice(),
        }
    }

    /// As scopes, separated by spaces, behind those that are there.
    fn push_scopes(&self, scopes: &mut String) {
        let items = self.as_slice().iter();
        // An item with a space in it is no scope, and not two.
        let is_whole = |item: &&Cow<'_, str>| matches!(self, Self::One(_)) || !item.contains(' ');
        for item in items.filter(is_whole) {
            scopes.push_str(item);
            scopes.push(' ');
        }
    }
}

/// The registered claims, as they come by.
#[derive(Default)]
struct Found<'a> {
    iss: Option<Cow<'a, str>>,
    sub: Option<Cow<'a, str>>,
    aud: Texts<'a>,
    exp: Option<UnixTime>,
    nbf: Option<UnixTime>,
    iat: Option<UnixTime>,
    jti: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    client_id: Option<Cow<'a, str>>,
    azp: Option<Cow<'a, str>>,
    scope: Texts<'a>,
    scp: Texts<'a>,
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
            "aud" => self.aud.set(value),
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
