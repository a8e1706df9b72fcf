//! The JOSE header of a token (RFC 7515 section 4).

use std::{borrow::Cow, sync::Arc};

use crate::{
    error::Reason,
    json,
    keys::{Algorithm, MAX_KID},
};

/// What a header says that matters here. `jwk`, `jku`, `x5u` and `x5c` are never followed.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Arc<str>>,
    /// Whether `typ` says that it is an access token of RFC 9068.
    pub(super) is_access_token: bool,
}

impl Header {
    pub(super) fn from_json(text: &str) -> Result<Self, Reason> {
        let (mut algorithm, mut kid, mut typ) = (None, None, None);
        let (mut is_malformed, mut is_nested) = (false, false);
        json::read_object(text, |name, value| match (name, value) {
            ("alg", json::Value::String(name)) => algorithm = Algorithm::from_name(&name),
            ("kid", json::Value::String(name)) if name.len() <= MAX_KID => {
                kid = Some(Arc::from(&*name));
            }
            ("typ", json::Value::String(name)) => typ = Some(name),
            // A nested token, or an extension that must be understood.
            ("cty" | "crit" | "b64" | "enc" | "zip", _) => is_nested = true,
            ("alg" | "kid" | "typ", _) => is_malformed = true,
            _ => {}
        })
        .map_err(|_| Reason::InvalidToken)?;
        if is_malformed || is_nested {
            return Err(Reason::InvalidToken);
        }
        let is = |name: &str| {
            typ.as_ref()
                .is_some_and(|typ: &Cow<'_, str>| typ.eq_ignore_ascii_case(name))
        };
        let is_access_token = is("at+jwt") || is("application/at+jwt");
        if !is_access_token && typ.is_some() && !is("jwt") {
            return Err(Reason::WrongType);
        }
        Ok(Self {
            algorithm: algorithm.ok_or(Reason::InvalidToken)?,
            kid,
            is_access_token,
        })
    }
}
