//! What an URL in a setting must look like.

use std::num::NonZeroU16;

use http::Uri;

use crate::error::ConfigError;

/// Reads an absolute `http` or `https` URL without user information, query and fragment.
///
/// # Errors
///
/// [`ConfigError`] that names `what` is wrong.
pub(super) fn parse(what: &str, text: &str) -> Result<Uri, ConfigError> {
    let wrong = |why: &str| ConfigError::new(format!("{what} {:?} {why}", shown(text)));
    let url: Uri = text
        .parse()
        .map_err(|_| wrong("is not an absolute http or https URL"))?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    if !is_http || authority.is_empty() || url.host().unwrap_or("").is_empty() {
        return Err(wrong("is not an absolute http or https URL"));
    }
    if authority.contains('@') {
        return Err(wrong("holds user information"));
    }
    // Who reads one that is none would take it for that of the scheme.
    let port = authority.strip_prefix(url.host().unwrap_or(""));
    let is_port = |port: &str| port.parse::<NonZeroU16>().is_ok();
    if port.is_some_and(|it| !it.is_empty() && !it.strip_prefix(':').is_some_and(is_port)) {
        return Err(wrong("has a port that is not from 1 to 65535"));
    }
    // `Uri` drops a fragment without a word.
    if text.contains('#') || url.query().is_some() {
        return Err(wrong("has a query or a fragment"));
    }
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Err(wrong("holds a quote or a backslash"));
    }
    if !text.is_ascii() {
        return Err(wrong("holds what must be escaped (RFC 3986)"));
    }
    Ok(url)
}

/// Reads an issuer identifier: such a URL, by which nobody between can read along.
///
/// # Errors
///
/// [`ConfigError`] that says what is wrong.
pub(crate) fn parse_issuer(text: &str) -> Result<Uri, ConfigError> {
    let url = parse("the issuer", text)?;
    if is_secure_or_loopback(&url) {
        Ok(url)
    } else {
        Err(ConfigError::new(format!(
            "the issuer {text:?} is neither https nor on this machine"
        )))
    }
}

/// The URL as an error may show it: not with user information, which may be a password, and without
/// query and fragment, in which keys are sent.
pub(crate) fn shown(url: &str) -> &str {
    if url.contains('@') {
        return "…";
    }
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Whether nobody between can read along: `https`, or `http` to this very machine.
fn is_secure_or_loopback(url: &Uri) -> bool {
    match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(url.host().unwrap_or("")),
        _ => false,
    }
}

/// Whether the host of an URL is this very machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_urls_pass() {
        for wrong in [
            "",
            "mcp",
            "/mcp",
            "ftp://h/mcp",
            "https://",
            "https://u@h/mcp",
            "https://h/mcp?x=1",
            "https://h/mcp#f",
            "https://h/m\"cp",
            "https://h/caf\u{e9}",
        ] {
            assert!(parse("the resource", wrong).is_err(), "{wrong:?}");
        }
        assert!(parse("the resource", "https://h:8443/mcp").is_ok());
    }

    #[test]
    fn a_port_is_one_that_a_server_can_have() {
        for url in [
            "https://h:99999/mcp",
            "https://h:0/mcp",
            "https://h:/mcp",
            "https://[::1]:65536",
            "https://[::1]8443/mcp",
            "https://[::1]x:1/mcp",
        ] {
            let error = parse("the resource", url).map_err(|error| error.to_string());
            let expected = format!("the resource {url:?} has a port that is not from 1 to 65535");
            assert_eq!(error.unwrap_err(), expected);
        }
        for url in ["https://h:65535/mcp", "https://[::1]:1", "https://[::1]"] {
            assert!(parse("the resource", url).is_ok(), "{url}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for url in [
            "https://u:s3cr3t@h/mcp",
            "u:s3cr3t@h",
            "https://u:s3cr3t@h\\",
        ] {
            let error = parse("the resource", url).unwrap_err().to_string();
            assert!(error.starts_with("the resource \"…\" "), "{error}");
        }
        for url in [
            "https://h/mcp?code=s3cr3t",
            "mcp?code=s3cr3t",
            "ftp://h/#s3cr3t",
        ] {
            let error = parse("the resource", url).unwrap_err().to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (url, expected) in [
            ("https://idp.example", true),
            ("http://127.0.0.1:9", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:9/x", true),
            ("http://LOCALHOST", true),
            ("http://localhost.evil.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                is_secure_or_loopback(&parse("x", url).unwrap()),
                expected,
                "{url}"
            );
        }
    }
}
