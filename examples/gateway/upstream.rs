//! Where requests go: the upstream's origin, the path that is put before theirs, and the one that
//! is taken off.

use std::num::NonZeroU16;

use http::{
    Uri,
    uri::{self, Authority, InvalidUri, PathAndQuery, Scheme},
};
use percent_encoding::percent_decode_str;

/// The upstream's URL, without query, credentials or a slash at the end of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
    /// The path that it is mounted under; empty where it is not.
    mount: String,
}

impl Upstream {
    /// Reads an `http` or `https` URL. The sentence of an error does not repeat the URL, which may
    /// hold a secret.
    pub(crate) fn from_url(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url
            .parse()
            .map_err(|_: InvalidUri| "is not an http or https URL")?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("is not an http or https URL");
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("is not an http or https URL");
        }
        if authority.as_str().contains('@') {
            return Err("must not hold credentials");
        }
        if authority.host().is_empty() {
            return Err("has no host");
        }
        // The client would take a port that it cannot read for none, and ask that of the scheme.
        let port = authority.as_str().strip_prefix(authority.host());
        let is_port = |port: &str| port.parse::<NonZeroU16>().is_ok();
        if port.is_some_and(|it| !it.is_empty() && !it.strip_prefix(':').is_some_and(is_port)) {
            return Err("has a port that is not from 1 to 65535");
        }
        let path = parts.path_and_query;
        if url.contains('#') || path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err("must not hold a query or a fragment");
        }
        let prefix = path.as_ref().map_or("", PathAndQuery::path);
        if leaves_its_place(prefix) {
            return Err("must not hold dot segments in its path");
        }
        Ok(Self {
            scheme,
            authority,
            prefix: prefix.trim_end_matches('/').to_owned(),
            mount: String::new(),
        })
    }

    /// The same, mounted under a path: that is taken off before the URL's own is put on.
    pub(crate) fn mounted_at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.mount);
        self
    }

    /// How clients of the gateway call a place that the upstream names; `None` where that is not
    /// one of its own, or not to be had through the gateway.
    ///
    /// An upstream knows itself by its own address only. A client that is sent there goes around the
    /// gateway, if it comes through at all.
    pub(crate) fn redirect_to(&self, location: &str) -> Option<String> {
        let (place, fragment) = match location.split_once('#') {
            Some((place, fragment)) => (place, Some(fragment)),
            None => (location, None),
        };
        let parts = place.parse::<Uri>().ok()?.into_parts();
        let is_own = match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) => self.is_at(&scheme, &authority),
            (scheme, authority) => scheme.is_none() && authority.is_none(),
        };
        let path_and_query = parts.path_and_query.filter(|_| is_own)?;
        let rest = path_and_query.path().strip_prefix(&*self.prefix)?;
        let path = match (&*self.mount, rest) {
            ("", "") => "/".to_owned(),
            (mount, rest) if rest.is_empty() || rest.starts_with('/') => format!("{mount}{rest}"),
            _ => return None,
        };
        // Behind two slashes clients read a host.
        if path.starts_with("//") || place.starts_with("//") {
            return None;
        }
        let query = path_and_query.query().map(|query| format!("?{query}"));
        let fragment = fragment.map(|fragment| format!("#{fragment}"));
        let (query, fragment) = (query.unwrap_or_default(), fragment.unwrap_or_default());
        Some(format!("{path}{query}{fragment}"))
    }

    fn is_at(&self, scheme: &Scheme, authority: &Authority) -> bool {
        let usual = if self.is_https() { 443 } else { 80 };
        let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
        *scheme == self.scheme
            && authority.host().eq_ignore_ascii_case(self.authority.host())
            && port(authority) == port(&self.authority)
    }

    /// Its scheme, host and port: what of it a log may show.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Whether it is asked over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The URL to ask for what `requested` asks for; `None` where its path would leave the prefix,
    /// is not to the letter under the mount, or is no path at all (`*`).
    pub(crate) fn locate(&self, requested: &Uri) -> Option<Uri> {
        let path = requested.path();
        if !path.starts_with('/') || leaves_its_place(path) {
            return None;
        }
        let rest = path.strip_prefix(&*self.mount)?;
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = if self.mount.is_empty() && self.prefix.is_empty() {
            requested.path_and_query().cloned()
        } else {
            let path = match (&*self.prefix, rest) {
                ("", "") => "/".to_owned(),
                (prefix, rest) if rest.is_empty() || rest.starts_with('/') => {
                    format!("{prefix}{rest}")
                }
                _ => return None,
            };
            let path_and_query = match requested.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            Some(path_and_query.try_into().ok()?)
        };
        Uri::from_parts(parts).ok()
    }
}

/// Whether a server could read a path as one that climbs: it holds `.` or `..` as a segment.
fn leaves_its_place(path: &str) -> bool {
    // Without a dot, written out or encoded, there is no such segment.
    let may_hold_dots = path.contains(['.', '%']);
    may_hold_dots
        && segments(path)
            .iter()
            .any(|segment| matches!(&**segment, "." | ".."))
}

/// The segments of a path as the most generous server reads them: percent-encoding undone, a
/// backslash a slash, matrix parameters dropped (some servers do so before they read dots), empty
/// segments none.
pub(crate) fn segments(path: &str) -> Vec<String> {
    percent_decode_str(path)
        .decode_utf8_lossy()
        .replace('\\', "/")
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or(segment).to_owned())
        .filter(|segment| !segment.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_prefix_stands_before_the_path() {
        let located = |upstream: &str, requested: &str| {
            Upstream::from_url(upstream)
                .unwrap()
                .locate(&requested.parse().unwrap())
                .map(|uri| uri.to_string())
        };
        let case = |upstream, requested, expected: &str| {
            assert_eq!(
                located(upstream, requested).as_deref(),
                Some(expected),
                "{upstream} {requested}"
            );
        };
        case("http://h:1", "/mcp", "http://h:1/mcp");
        case("http://h:1/", "/mcp?a=%2e", "http://h:1/mcp?a=%2e");
        case("https://h/a/b/", "/mcp", "https://h/a/b/mcp");
        case("http://h/a", "http://other/x", "http://h/a/x");
        case("http://[::1]:1", "/", "http://[::1]:1/");
        for climbing in [
            "/../x",
            "/a/%2E%2e/x",
            "/a/..;v=1/x",
            "/..%2fx",
            "/..%5Cx",
            "/.",
        ] {
            assert_eq!(located("http://h/a", climbing), None, "{climbing}");
        }
        assert_eq!(located("http://h/a", "*"), None);
    }

    #[test]
    fn the_path_of_a_mount_is_taken_off() {
        let located = |upstream: &str, requested: &str| {
            Upstream::from_url(upstream)
                .unwrap()
                .mounted_at("/a/b")
                .locate(&requested.parse().unwrap())
                .map(|uri| uri.to_string())
        };
        for (upstream, requested, expected) in [
            ("http://h", "/a/b", Some("http://h/")),
            ("http://h", "/a/b?x=1", Some("http://h/?x=1")),
            ("http://h", "/a/b/", Some("http://h/")),
            ("http://h", "/a/b/mcp", Some("http://h/mcp")),
            ("http://h/mcp", "/a/b", Some("http://h/mcp")),
            ("http://h/mcp/", "/a/b/", Some("http://h/mcp/")),
            ("http://h/mcp", "/a/b/x?y", Some("http://h/mcp/x?y")),
            ("http://h/mcp", "/a/b/a/b", Some("http://h/mcp/a/b")),
            ("http://h/mcp", "/a/bc", None),
            ("http://h/mcp", "/a", None),
            ("http://h/mcp", "//a/b", None),
            ("http://h/mcp", "/%61/b", None),
            ("http://h/mcp", "/a/b%2fx", None),
            ("http://h/mcp", "/a/b;x", None),
            ("http://h/mcp", "/a/b/../x", None),
        ] {
            let found = located(upstream, requested);
            assert_eq!(found.as_deref(), expected, "{upstream} {requested}");
        }
    }

    #[test]
    fn a_place_of_its_own_is_named_as_seen_from_here() {
        let redirect_to = |upstream: &str, mount: &str, location: &str| {
            Upstream::from_url(upstream)
                .unwrap()
                .mounted_at(mount)
                .redirect_to(location)
        };
        for (upstream, mount, location, expected) in [
            ("http://h:1", "", "http://h:1/mcp/", Some("/mcp/")),
            ("http://h:1", "", "/mcp/?a=b#c", Some("/mcp/?a=b#c")),
            ("http://h", "", "http://H:80/x", Some("/x")),
            ("https://h:443", "", "https://h/x", Some("/x")),
            ("http://h:1/a", "", "http://h:1/a/x?y#z", Some("/x?y#z")),
            ("http://h:1/a", "", "http://h:1/a", Some("/")),
            ("http://h:1/mcp", "/git", "http://h:1/mcp/", Some("/git/")),
            ("http://h:1/mcp", "/git", "/mcp/", Some("/git/")),
            ("http://h:1", "/git", "/", Some("/git/")),
            // Somewhere else, or not to be had through here.
            ("http://h:1", "", "http://h:2/mcp/", None),
            ("http://h:1", "", "https://h:1/mcp/", None),
            ("http://h:1", "", "http://other:1/mcp/", None),
            ("http://h:1/mcp", "/git", "http://h:1/mcpx", None),
            ("http://h:1/mcp", "/git", "/login", None),
            ("http://h:1", "", "mcp/", None),
            ("http://h:1", "", "", None),
            // What would be read as a host.
            ("http://h:1", "", "//evil/x", None),
            ("http://h:1", "", "http://h:1//evil/x", None),
            ("http://h:1/a", "", "/a//evil/x", None),
        ] {
            let named = redirect_to(upstream, mount, location);
            assert_eq!(named.as_deref(), expected, "{upstream} {mount} {location}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_refused() {
        for (url, expected) in [
            ("", "is not an http or https URL"),
            ("127.0.0.1:8000", "is not an http or https URL"),
            ("/mcp", "is not an http or https URL"),
            ("ftp://h", "is not an http or https URL"),
            ("http://u:p@h", "must not hold credentials"),
            ("http://h/?q", "must not hold a query or a fragment"),
            ("http://h/#f", "must not hold a query or a fragment"),
            ("http://h/a/../b", "must not hold dot segments in its path"),
            // As which the client would take 80 or 443, and give the keys to whoever listens there.
            ("http://h:99999", "has a port that is not from 1 to 65535"),
            (
                "http://h:65536/mcp",
                "has a port that is not from 1 to 65535",
            ),
            (
                "https://[::1]:99999",
                "has a port that is not from 1 to 65535",
            ),
            ("http://h:0", "has a port that is not from 1 to 65535"),
            ("http://h:", "has a port that is not from 1 to 65535"),
            ("http://[::1]8000", "has a port that is not from 1 to 65535"),
            ("http://[::1]x:1", "has a port that is not from 1 to 65535"),
        ] {
            assert_eq!(Upstream::from_url(url).err(), Some(expected), "{url}");
        }
    }
}
