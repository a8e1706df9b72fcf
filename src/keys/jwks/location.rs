//! Where an issuer's JWK Set is: URLs that may be fetched, and the metadata that names them.

use reqwest::Url;
use serde::Deserialize;

use crate::{
    error::ConfigError,
    oauth::{is_loopback, parse_issuer, shown_url},
};

/// Reads the issuer identifier as a URL.
///
/// # Errors
///
/// [`ConfigError`] where it is no `https` URL (`http` on this machine), or has a query or fragment.
pub(super) fn issuer_url(issuer: &str) -> Result<Url, ConfigError> {
    parse_issuer(issuer)?;
    Url::parse(issuer)
        .map_err(|_| ConfigError::new(format!("the issuer {issuer:?} is not an absolute URL")))
}

/// Reads the URL of a JWK Set from a setting.
///
/// # Errors
///
/// [`ConfigError`] where it must not be fetched.
pub(super) fn jwks_url(uri: &str) -> Result<Url, ConfigError> {
    fetchable(uri, true).map_err(|why| {
        ConfigError::new(format!("the URL of the JWK Set {:?} {why}", shown_url(uri)))
    })
}

/// Whether `url` is this very machine's.
pub(super) fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

fn fetchable(uri: &str, may_be_local_http: bool) -> Result<Url, &'static str> {
    let url = Url::parse(uri).map_err(|_| "is not an absolute URL")?;
    match url.scheme() {
        "https" => {}
        "http" if may_be_local_http && is_local(&url) => {}
        _ => return Err("is neither https nor on this machine"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds user information");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    Ok(url)
}

/// Where the metadata of an issuer may be, in the order in which the MCP specification asks: RFC
/// 8414 section 3.1 with the path inserted, OpenID Connect Discovery with the path inserted, and
/// the same with the path in front.
pub(super) fn metadata_urls(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
}

/// Reads `jwks_uri` out of an issuer's metadata (RFC 8414 section 2). Metadata of an `https` issuer
/// cannot point to this machine's `http`.
///
/// # Errors
///
/// A sentence for the log where the metadata is another issuer's (RFC 8414 section 3.3), or names
/// no URL that may be fetched.
pub(super) fn jwks_url_of_metadata(
    issuer: &str,
    issuer_url: &Url,
    body: &[u8],
) -> Result<Url, &'static str> {
    let metadata: Metadata =
        serde_json::from_slice(body).map_err(|_| "is no metadata of an issuer")?;
    if metadata.issuer != issuer {
        return Err("names another issuer");
    }
    let uri = metadata.jwks_uri.ok_or("names no jwks_uri")?;
    fetchable(&uri, issuer_url.scheme() == "http")
        .map_err(|_| "names a jwks_uri that must not be fetched")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_mcp_specification() {
        for (issuer, expected) in [
            (
                "https://idp.example.com",
                &[
                    "https://idp.example.com/.well-known/oauth-authorization-server",
                    "https://idp.example.com/.well-known/openid-configuration",
                ][..],
            ),
            (
                "https://idp.example.com/",
                &[
                    "https://idp.example.com/.well-known/oauth-authorization-server",
                    "https://idp.example.com/.well-known/openid-configuration",
                ],
            ),
            (
                "https://idp.example.com:8443/realms/a%20b/",
                &[
                    "https://idp.example.com:8443/.well-known/oauth-authorization-server/realms/a%20b",
                    "https://idp.example.com:8443/.well-known/openid-configuration/realms/a%20b",
                    "https://idp.example.com:8443/realms/a%20b/.well-known/openid-configuration",
                ],
            ),
        ] {
            let urls = metadata_urls(&issuer_url(issuer).unwrap());
            let urls: Vec<&str> = urls.iter().map(Url::as_str).collect();
            assert_eq!(urls, expected, "{issuer}");
        }
    }

    #[test]
    fn only_https_and_this_machine_may_be_fetched() {
        for wrong in [
            "http://idp.example.com/jwks",
            "http://127.0.0.1.example.com/jwks",
            "http://localhost@example.com/jwks",
            "http://0.0.0.0/jwks",
            "http://10.0.0.1/jwks",
            "ftp://localhost/jwks",
            "file:///etc/passwd",
            "data:application/json,{}",
            "https://user:secret@idp.example.com/jwks",
            "https://idp.example.com/jwks#x",
            "/jwks",
            "",
        ] {
            assert!(jwks_url(wrong).is_err(), "{wrong}");
        }
        for right in [
            "https://idp.example.com/jwks?p=1",
            "http://127.0.0.1:8080/jwks",
            "http://[::1]:8080/jwks",
            "http://localhost/jwks",
        ] {
            assert!(jwks_url(right).is_ok(), "{right}");
        }
        for wrong in [
            "http://idp.example.com",
            "https://idp.example.com?x=1",
            "https://idp.example.com#x",
            "idp.example.com",
            "https://a:b@idp.example.com",
        ] {
            assert!(issuer_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_query_is_shown() {
        for wrong in [
            "http://idp.example.com/jwks?code=s3cr3t",
            "jwks?code=s3cr3t",
            "https://idp.example.com/jwks?code=s3cr3t#x",
        ] {
            let error = jwks_url(wrong).unwrap_err().to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn metadata_must_be_of_the_issuer_and_name_a_url_that_may_be_fetched() {
        let issuer = "https://idp.example.com";
        let read = |body: &str| {
            jwks_url_of_metadata(issuer, &issuer_url(issuer).unwrap(), body.as_bytes())
                .map(String::from)
        };
        for (body, expected) in [
            (
                r#"{"issuer":"https://idp.example.com","jwks_uri":"https://keys.example.com/k"}"#,
                Ok("https://keys.example.com/k".to_owned()),
            ),
            (
                r#"{"issuer":"https://idp.example.com/","jwks_uri":"https://keys.example.com/k"}"#,
                Err("names another issuer"),
            ),
            (
                r#"{"issuer":"https://evil.example.com","jwks_uri":"https://keys.example.com/k"}"#,
                Err("names another issuer"),
            ),
            (
                r#"{"jwks_uri":"https://keys.example.com/k"}"#,
                Err("is no metadata of an issuer"),
            ),
            (
                r#"{"issuer":"https://idp.example.com"}"#,
                Err("names no jwks_uri"),
            ),
            (
                r#"{"issuer":"https://idp.example.com","jwks_uri":"http://127.0.0.1/k"}"#,
                Err("names a jwks_uri that must not be fetched"),
            ),
            (
                r#"{"issuer":"https://idp.example.com","jwks_uri":"file:///k"}"#,
                Err("names a jwks_uri that must not be fetched"),
            ),
            ("<html>", Err("is no metadata of an issuer")),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
    }
}
