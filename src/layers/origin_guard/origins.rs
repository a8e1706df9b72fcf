use http::Uri;

use super::authority::{Authority, default_port};
use crate::{error::ConfigError, oauth::ResourceMetadata};

/// Under which hosts a server is reached, and which pages may read its answers: one setting for
/// `Host`, `Origin` and CORS.
///
/// ```
/// use mcp_auth::{Origins, ResourceMetadata};
///
/// let metadata = ResourceMetadata::new("https://mcp.example.com/mcp", ["https://idp.example.com"])?;
/// let origins = Origins::new(&metadata)
///     .allow_origin("https://app.example.com")?
///     .allow_host("mcp.internal")?;
/// assert!(origins.allows_host("mcp.example.com") && origins.allows_host("mcp.internal:8080"));
/// assert!(origins.allows_origin("https://app.example.com"));
/// assert!(!origins.allows_origin("https://evil.example") && !origins.allows_origin("null"));
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Origins {
    hosts: Vec<(Box<str>, Option<u16>)>,
    origins: Vec<(Box<str>, Box<str>, Option<u16>)>,
    loopback: bool,
    /// What a host without a port means: the resource's scheme says it.
    default_port: Option<u16>,
}

impl Origins {
    /// The host, port and origin of the resource; where that is on loopback, every loopback name
    /// with any port, as of [`allow_loopback`](Self::allow_loopback).
    pub fn new(metadata: &ResourceMetadata) -> Self {
        let exactly = Self::exactly(metadata);
        let mut hosts = exactly.hosts.iter();
        if hosts.any(|(host, _)| crate::oauth::is_loopback(host)) {
            return exactly.allow_loopback();
        }
        exactly
    }

    /// The host, port and origin of the resource and nothing else, even where that is on loopback.
    pub fn exactly(metadata: &ResourceMetadata) -> Self {
        let mut all = Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            loopback: false,
            default_port: None,
        };
        // A resource is an absolute URL; one that could not be read would allow nothing.
        let resource: Uri = metadata.resource().parse().unwrap_or_default();
        if let (Some(scheme), Some(host)) = (resource.scheme_str(), resource.host()) {
            all.default_port = default_port(scheme);
            let port = resource.port_u16().or(all.default_port);
            all.hosts.push((host.into(), port));
            all.origins.push((scheme.into(), host.into(), port));
        }
        all
    }

    /// Adds every name of this machine (`localhost`, `127.0.0.0/8`, `[::1]`) with any port, as host
    /// and as origin: for a server that listens on loopback.
    pub const fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Adds a page's origin: `SCHEME://HOST` or `SCHEME://HOST:PORT`, to the letter as browsers
    /// send it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no origin. `null` is none: every page can have it.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        let (scheme, authority) = parse_origin(origin).ok_or_else(|| {
            ConfigError::new(format!(
                "the origin {origin:?} is not SCHEME://HOST or SCHEME://HOST:PORT"
            ))
        })?;
        let port = authority.port.or_else(|| default_port(scheme));
        self.origins
            .push((scheme.into(), authority.host.into(), port));
        Ok(self)
    }

    /// Adds a name under which the server is reached: `HOST`, with any port, or `HOST:PORT`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is none of the two.
    pub fn allow_host(mut self, host: &str) -> Result<Self, ConfigError> {
        let authority = Authority::parse(host).ok_or_else(|| {
            ConfigError::new(format!("the host {host:?} is not HOST or HOST:PORT"))
        })?;
        self.hosts.push((authority.host.into(), authority.port));
        Ok(self)
    }

    /// Whether the server is meant when this is the `Host` or `:authority`.
    #[must_use]
    pub fn allows_host(&self, host: &str) -> bool {
        self.allows(host.as_bytes())
    }

    /// The same of a field, of which only an unusual one is looked at letter by letter.
    pub(super) fn allows(&self, host: &[u8]) -> bool {
        // To the letter, as nearly all send it; else by its parts.
        let is_usual = |(allowed, port): &(Box<str>, Option<u16>)| {
            allowed.as_bytes() == host && (port.is_none() || *port == self.default_port)
        };
        if self.hosts.iter().any(is_usual) {
            return true;
        }
        let Some(asked) = str::from_utf8(host).ok().and_then(Authority::parse) else {
            return false;
        };
        let port = asked.port.or(self.default_port);
        (self.loopback && asked.is_loopback())
            || self.hosts.iter().any(|(host, allowed)| {
                asked.is_host(host) && (allowed.is_none() || *allowed == port)
            })
    }

    /// Whether a page of this `Origin` may read the answers.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        let Some((scheme, asked)) = parse_origin(origin) else {
            return false;
        };
        let usual = default_port(scheme);
        let port = asked.port.or(usual);
        (self.loopback && usual.is_some() && asked.is_loopback())
            || self.origins.iter().any(|(allowed, host, allowed_port)| {
                scheme.eq_ignore_ascii_case(allowed) && asked.is_host(host) && *allowed_port == port
            })
    }
}

/// An origin as RFC 6454 section 6.2 writes it.
fn parse_origin(origin: &str) -> Option<(&str, Authority<'_>)> {
    let (scheme, rest) = origin.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        || !scheme.bytes().all(is_scheme)
    {
        return None;
    }
    Some((scheme, Authority::parse(rest)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(resource: &str) -> Origins {
        Origins::new(&ResourceMetadata::new(resource, ["https://idp.example"]).unwrap())
    }

    fn assert_hosts(origins: &Origins, table: &[(&str, bool)]) {
        for (host, expected) in table {
            assert_eq!(origins.allows_host(host), *expected, "{host:?}");
        }
    }

    fn assert_origins(origins: &Origins, table: &[(&str, bool)]) {
        for (origin, expected) in table {
            assert_eq!(origins.allows_origin(origin), *expected, "{origin:?}");
        }
    }

    #[test]
    fn a_resource_is_reached_under_its_own_host_and_port() {
        let origins = of("https://mcp.example.com/mcp");
        assert_hosts(
            &origins,
            &[
                ("mcp.example.com", true),
                ("MCP.example.COM:443", true),
                ("mcp.example.com:80", false),
                ("mcp.example.com:8443", false),
                ("mcp.example.com.", false),
                ("mcp.example.com.evil.example", false),
                ("evil-mcp.example.com", false),
                ("example.com", false),
                ("localhost", false),
                ("127.0.0.1", false),
                ("", false),
            ],
        );
        assert_origins(
            &origins,
            &[
                ("https://mcp.example.com", true),
                ("https://mcp.example.com:443", true),
                ("http://mcp.example.com", false),
                ("https://mcp.example.com:8443", false),
                ("https://mcp.example.com/", false),
                ("https://mcp.example.com.evil.example", false),
                ("https://u@mcp.example.com", false),
                ("mcp.example.com", false),
                ("http://localhost:3000", false),
                ("null", false),
                ("*", false),
                ("", false),
            ],
        );
        let odd = of("https://h:8443/mcp");
        assert_hosts(&odd, &[("h:8443", true), ("h", false), ("h:443", false)]);
    }

    #[test]
    fn on_loopback_every_loopback_name_will_do() {
        let metadata =
            ResourceMetadata::new("http://127.0.0.1:8080/mcp", ["https://idp.example"]).unwrap();
        let origins = Origins::new(&metadata);
        assert_hosts(
            &origins,
            &[
                ("127.0.0.1:8080", true),
                ("localhost", true),
                ("LOCALHOST:9", true),
                ("127.9.9.9:1", true),
                ("[::1]:8080", true),
                ("localhost.evil.example:8080", false),
                ("127.0.0.1.evil.example", false),
                ("10.0.0.1", false),
                ("0.0.0.0:8080", false),
                ("[::2]", false),
                ("::1", false),
            ],
        );
        assert_origins(
            &origins,
            &[
                ("http://localhost:6274", true),
                ("https://127.0.0.1", true),
                ("http://[::1]:3", true),
                ("ftp://localhost", false),
                ("http://localhost.evil.example", false),
                ("null", false),
            ],
        );
        let exactly = Origins::exactly(&metadata);
        assert_hosts(
            &exactly,
            &[
                ("127.0.0.1:8080", true),
                ("127.0.0.1:9", false),
                ("localhost:8080", false),
            ],
        );
        assert_origins(&exactly, &[("http://localhost:8080", false)]);
    }

    #[test]
    fn what_is_allowed_stands_beside_the_resource() {
        let origins = of("https://mcp.example.com/mcp")
            .allow_origin("https://app.example.com")
            .and_then(|origins| origins.allow_origin("http://App.Example.com:3000"))
            .and_then(|origins| origins.allow_origin("vscode-webview://abc"))
            .and_then(|origins| origins.allow_host("any-port"))
            .and_then(|origins| origins.allow_host("one-port:8080"))
            .unwrap();
        assert_hosts(
            &origins,
            &[
                ("mcp.example.com", true),
                ("any-port", true),
                ("any-port:1", true),
                ("one-port:8080", true),
                ("one-port", false),
                ("one-port:1", false),
                ("app.example.com", false),
            ],
        );
        assert_origins(
            &origins,
            &[
                ("https://mcp.example.com", true),
                ("https://app.example.com", true),
                ("http://app.example.com", false),
                ("http://app.example.com:3000", true),
                ("vscode-webview://abc", true),
                ("https://any-port", false),
            ],
        );
    }

    #[test]
    fn what_is_no_origin_or_host_is_a_configuration_error() {
        for wrong in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://h/",
            "https://u@h",
            "https://h:x",
            "://h",
            "https://*.example.com",
            "ht tp://h",
        ] {
            let error = of("https://h").allow_origin(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
        for wrong in ["", "*", "https://h", "h/", "h:", "h:x", "u@h", "::1"] {
            let error = of("https://h").allow_host(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
