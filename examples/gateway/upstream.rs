//! Where requests go: the upstream's origin, and the path that is put before theirs.

use http::{
    Uri,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};

/// The upstream's URL, without query, credentials or a slash at the end of its path.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
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
        })
    }

    /// Whether it is asked over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The URL to ask for what `requested` asks for; `None` where its path would leave the prefix,
    /// or is no path at all (`*`).
    pub(crate) fn locate(&self, requested: &Uri) -> Option<Uri> {
        let path = requested.path();
        if !path.starts_with('/') || leaves_its_place(path) {
            return None;
        }
        let path_and_query = match requested.query() {
            Some(query) => format!("{}{path}?{query}", self.prefix),
            None => format!("{}{path}", self.prefix),
        };
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
            .ok()
    }
}

/// Whether a server could read a path as one that climbs: it holds `.` or `..` as a segment, plain
/// or percent-encoded, behind a slash, a backslash or an encoded one of them.
fn leaves_its_place(path: &str) -> bool {
    path.to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace('\\', "/")
        .split('/')
        // A matrix parameter is dropped by some servers before dots are read.
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .any(|segment| matches!(segment, "." | ".."))
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
        ] {
            assert_eq!(Upstream::from_url(url).err(), Some(expected), "{url}");
        }
    }
}
