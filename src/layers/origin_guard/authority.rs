//! `host[:port]`, as it stands in `Host`, in an origin and in a setting.

use std::net::Ipv6Addr;

use crate::oauth::is_loopback;

/// A host and, where it is written, a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets; user information, an empty
    /// port and anything else that a browser does not write is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.find(']') {
            Some(bracket) => {
                let (host, rest) = text.split_at_checked(bracket.checked_add(1)?)?;
                let address = host.strip_prefix('[')?.strip_suffix(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                match rest {
                    "" => (host, None),
                    _ => (host, Some(rest.strip_prefix(':')?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(is_name)) {
            return None;
        }
        let port = match port {
            // `parse` would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self { host, port })
    }

    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(self.host)
    }

    pub(super) fn is_host(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }
}

/// The port that an URL of this scheme means where it names none.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_browsers_write_is_read() {
        for (text, expected) in [
            ("h", Some(("h", None))),
            (
                "mcp.example.com:8443",
                Some(("mcp.example.com", Some(8443))),
            ),
            ("127.0.0.1:0", Some(("127.0.0.1", Some(0)))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
            ("", None),
            (":80", None),
            ("h:", None),
            ("h:+80", None),
            ("h:65536", None),
            ("h:80:80", None),
            ("u@h", None),
            ("h/", None),
            ("h, evil", None),
            (" h", None),
            ("h\\evil", None),
            ("::1", None),
            ("[::1", None),
            ("::1]", None),
            ("[localhost]", None),
            ("[127.0.0.1]", None),
            ("[::1]80", None),
            ("[::1]:", None),
            ("x[::1]", None),
            ("hö", None),
        ] {
            let read = Authority::parse(text).map(|read| (read.host, read.port));
            assert_eq!(read, expected, "{text:?}");
        }
    }
}
