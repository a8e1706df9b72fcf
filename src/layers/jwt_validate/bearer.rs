//! Finds the bearer token of a request (RFC 6750 section 2).

use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::layers::shared::{Field, Several};

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bearer<'a> {
    /// No bearer token.
    None,
    /// One token: the bytes after the scheme.
    Token(&'a [u8]),
    /// Several, or one in a place where it must not be.
    Malformed(&'static str),
}

/// Finds the one token. Only its place is judged here, not what it is: whether it is [`one`] is asked
/// of tokens that were not verified before, for no other has a byte of it looked at.
#[inline]
pub(super) fn find<'a>(authorization: Field<'a>, uri: &Uri) -> Bearer<'a> {
    if uri.query().is_some_and(has_access_token) {
        return Bearer::Malformed("A token was sent in the query");
    }
    match authorization.only() {
        Ok(None) => Bearer::None,
        Ok(Some(field)) => of_field(field),
        Err(Several) => Bearer::Malformed("Several Authorization fields were sent"),
    }
}

fn of_field(field: &HeaderValue) -> Bearer<'_> {
    let Some((scheme, rest)) = field.as_bytes().split_first_chunk::<6>() else {
        return Bearer::None;
    };
    // To the letter, as nearly all send it; else in any case.
    let is_bearer = scheme == b"Bearer" || scheme.eq_ignore_ascii_case(b"bearer");
    if !is_bearer || !matches!(rest, [b' ' | b'\t', ..]) {
        return Bearer::None;
    }
    let start = rest.iter().position(|byte| *byte != b' ');
    let token = start.and_then(|start| rest.get(start..));
    token.map_or(Bearer::None, Bearer::Token)
}

/// Whether what stands after the scheme is one token and not several.
pub(super) fn one(token: &[u8]) -> Result<(), &'static str> {
    // All bytes are looked at, which vector code does sooner than a loop that may end early.
    let is_several = token
        .iter()
        .fold(false, |any, byte| any | matches!(byte, b' ' | b'\t' | b','));
    if is_several {
        return Err("The Authorization field holds more than one token");
    }
    Ok(())
}

/// Whether a query has the parameter `access_token` (RFC 6750 section 2.3), which must not be used.
fn has_access_token(query: &str) -> bool {
    // Some servers still part at `;`, too.
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        let name = percent_decode_str(name).decode_utf8_lossy();
        name.eq_ignore_ascii_case("access_token")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderMap, header};

    use super::*;
    use crate::layers::shared::fields;

    fn found(values: &[&str], uri: &str) -> String {
        let mut headers = HeaderMap::new();
        for field in values {
            headers.append(header::AUTHORIZATION, field.parse().unwrap());
        }
        let [authorization] = fields(&headers, [&header::AUTHORIZATION]);
        match find(authorization, &uri.parse().unwrap()) {
            Bearer::None => "none".into(),
            Bearer::Token(token) if one(token).is_err() => "malformed".into(),
            Bearer::Token(token) => format!("token {}", String::from_utf8_lossy(token)),
            Bearer::Malformed(_) => "malformed".into(),
        }
    }

    #[test]
    fn the_one_token_is_found() {
        for (fields, expected) in [
            (&[][..], "none"),
            (&[""], "none"),
            (&["Basic YTpi"], "none"),
            (&["DPoP a.b.c"], "none"),
            (&["Bearer"], "none"),
            (&["Bearer "], "none"),
            (&["Bearer=a"], "none"),
            (&["a.b.c"], "none"),
            (&["Bearer a.b.c"], "token a.b.c"),
            (&["bEARER   a.b.c"], "token a.b.c"),
            (&["Bearer \"a\""], "token \"a\""),
            (&["Bearer\ta.b.c"], "malformed"),
            (&["Bearer a b"], "malformed"),
            (&["Bearer a,b"], "malformed"),
            (&["Bearer a, realm=x"], "malformed"),
            (&["Bearer a", "Bearer a"], "malformed"),
            (&["Basic a", "Bearer a"], "malformed"),
            (&["", "Bearer a"], "malformed"),
        ] {
            assert_eq!(found(fields, "/mcp"), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_refused() {
        for uri in [
            "/mcp?access_token=a",
            "/mcp?x=1&access_token=a",
            "/mcp?x=1;access_token=a",
            "/mcp?access%5Ftoken=a",
            "/mcp?ACCESS_TOKEN=a",
            "/mcp?access_token",
        ] {
            assert_eq!(found(&["Bearer a"], uri), "malformed", "{uri}");
            assert_eq!(found(&[], uri), "malformed", "{uri}");
        }
        for uri in ["/mcp?my_access_token=a", "/mcp?x=access_token", "/mcp?%"] {
            assert_eq!(found(&["Bearer a"], uri), "token a", "{uri}");
        }
    }
}
