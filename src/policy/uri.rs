//! Resource URIs that could mean another resource than they seem to.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// Whether some server could take the URI for one outside of where it seems to be: then no glob
/// matches it, and only a rule for the very URI speaks of it.
///
/// A slash at the end names a directory, and is no empty segment.
pub(super) fn is_ambiguous(uri: &str) -> bool {
    uri.chars()
        .any(|char| matches!(char, '\\' | '|') || char.is_control() || is_space(char))
        || has_needless_escape(uri)
        || percent_decode_str(uri).decode_utf8().is_err()
        || has_dot_segment(uri)
        || has_empty_segment(uri)
        || is_respelled(uri)
}

/// What a URI, or the beginning of one, is compared by: decoded, as most servers read it, but for
/// what would mean something else (`?`, `#`, `%`). An ambiguous one is compared to the letter.
pub(super) fn sense(uri: &str) -> Cow<'_, str> {
    if !uri.contains('%') || is_ambiguous(uri) {
        return uri.into();
    }
    let mut parts = uri.split('%');
    let mut bytes = Vec::from(parts.next().unwrap_or_default());
    for part in parts {
        let (escaped, rest) = part.split_at_checked(2).unwrap_or(("", part));
        match u8::from_str_radix(escaped, 16) {
            Ok(byte) if !matches!(byte, b'?' | b'#' | b'%') => bytes.push(byte),
            _ => {
                bytes.push(b'%');
                bytes.extend(escaped.to_ascii_uppercase().bytes());
            }
        }
        bytes.extend(rest.bytes());
    }
    // What is no UTF-8 is ambiguous.
    String::from_utf8(bytes).map_or(Cow::Borrowed(uri), Cow::Owned)
}

/// What servers trim or leave out, some of it only some of them.
fn is_space(char: char) -> bool {
    char.is_whitespace() || char == '\u{feff}'
}

/// What else some servers read: the URI without its query and fragment; of a file, that without the
/// host, of others with the name of the host alone, or with the path's first segment for a host that is
/// not there. Each with what it is with or without a slash at its end, which for some names the same.
pub(super) fn readings(uri: &str) -> impl Iterator<Item = [Cow<'_, str>; 2]> {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let hosted = path.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match scheme {
            "file" => (!path.is_empty()).then(|| format!("file://{path}")),
            // Of these another port is another server, and what else is not the name is ambiguous.
            "http" | "https" | "ws" | "wss" | "ftp" => None,
            _ => {
                let name = host_name(authority);
                // Without a name, some cut off all slashes in front.
                let path = if name.is_empty() {
                    path.strip_prefix('/')?
                } else {
                    path
                };
                (name.is_empty() || name != authority).then(|| format!("{scheme}://{name}{path}"))
            }
        }
    });
    let readings = [Some(path.into()), hosted.map(Cow::Owned)];
    readings.into_iter().flatten().map(with_other_slash)
}

/// What parsers call the host, without user information and port, in lower case.
fn host_name(authority: &str) -> String {
    let host = authority.rsplit('@').next().unwrap_or(authority);
    // What is no number is a port to some.
    let is_port = |port: &str| !port.contains(']');
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    name.to_ascii_lowercase()
}

fn with_other_slash(uri: Cow<'_, str>) -> [Cow<'_, str>; 2] {
    let other = match uri.strip_suffix('/') {
        Some(bare) => bare.to_owned(),
        None => format!("{uri}/"),
    };
    [uri, other.into()]
}

/// Whether every URI that begins so is ambiguous: a glob of that would match nothing.
pub(super) fn is_dead(prefix: &str) -> bool {
    // White space is compared decoded, and control characters are nowhere.
    let prefix = prefix.replace(|char: char| is_space(char) && !char.is_control(), "%20");
    let goes_on = ["a", "/a", "//a", "///a"];
    let mut uris = goes_on.iter().map(|rest| format!("{prefix}{rest}"));
    uris.all(|uri| is_ambiguous(&uri))
}

/// Escapes that no URI needs: of letters, digits, `-`, `.`, `_` and `~` (RFC 3986 section 2.3), and
/// of what was escaped before (`%252f`). And those that some decode where others do not: of slashes,
/// backslashes and control characters.
fn has_needless_escape(uri: &str) -> bool {
    uri.split('%').skip(1).any(|rest| {
        let inner = rest.strip_prefix("25");
        let byte = |text: &str| u8::from_str_radix(text.get(..2)?, 16).ok();
        match inner.and_then(byte) {
            Some(_) => true,
            None => byte(rest).is_some_and(|byte| {
                byte.is_ascii_alphanumeric()
                    || byte.is_ascii_control()
                    || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\')
            }),
        }
    })
}

/// Whether parsers of URLs (WHATWG URL) write its scheme or authority otherwise, or see its path
/// begin elsewhere: `FILE:`, `file:/a`, `file://localhost/a`, `https://H`, `https://h:443`. Or whether
/// it leads to a host that is named in other words: `https://user@h`, `https://h.`.
fn is_respelled(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    let is_dotted = url.host_str().is_some_and(|host| host.ends_with('.'));
    if url.is_special() && (is_dotted || !url.username().is_empty() || url.password().is_some()) {
        return true;
    }
    let begin = &url[..Position::BeforePath];
    let begins_so = uri.strip_prefix(begin).is_some_and(|rest| {
        let starts = rest.chars().next();
        matches!(starts, None | Some('?' | '#')) || url.path().chars().next() == starts
    });
    // What it only escapes is the same.
    !begins_so && !percent_decode_str(url.as_str()).eq(percent_decode_str(uri))
}

/// `.` and `..` between any of the characters that part a URI, for servers differ in where they
/// think that a path begins and ends.
fn has_dot_segment(uri: &str) -> bool {
    uri.split(['/', ':', '?', '#', '&', '=', ';'])
        .any(|part| matches!(part, "." | ".."))
}

fn has_empty_segment(uri: &str) -> bool {
    let after_scheme = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    // `//` and an authority, which `file:///` leaves empty.
    let path = after_scheme.strip_prefix("//").unwrap_or(after_scheme);
    path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_elsewhere_is_ambiguous() {
        for uri in [
            "file:///public/../secret",
            "file:///public/..",
            "file:///public/./a",
            "file:///public/..?x",
            "file:///public/..;/secret",
            "file:///public/..#x",
            "file:..",
            "notes://get?file=../secret",
            "file:///public/%2e%2e/secret",
            "file:///public/%2E./secret",
            "file:///public/..%2fsecret",
            "file:///public/a%2Fb",
            "file:///public/..%5csecret",
            "file:///public/%5C",
            "file:///public/%252e%252e/secret",
            "file:///public/%25252Fsecret",
            "file:///public\\..\\secret",
            "file:///public//secret",
            "file:////public/a",
            "file:///public/.\t./secret",
            "file:///public/a b",
            "file:///public/a\n",
            " file:///public/a",
            "\u{a0}file:///public/a",
            "\u{feff}file:///public/a",
            "file:///public/a\u{3000}",
            "file:///public/a\u{85}",
            "public//a",
            "file:///%73ecret/a",
            "file:///%7Euser",
            "file:///a%00.txt",
            "file:///a%0a",
            "file:///%2540",
            "file:///%252540",
            "file:///%ff",
            "file:///%C3",
            "FILE:///secret/a",
            "file:/secret/a",
            "file:secret/a",
            "file://localhost/secret/a",
            "HTTPS://h/a",
            "https://H/a",
            "https:/h/a",
            "https:h/a",
            "https:///h/a",
            "https://h:443/a",
            "https://h:/a",
            "https://@h/a",
            "https://user@h/a",
            "https://h./a",
            "https://m\u{fc}nchen.de/a",
            "file:///C|/a",
            "https://%68/a",
            "https://0x7f.1/a",
            "DB://prod/a",
        ] {
            assert!(is_ambiguous(uri), "{uri}");
        }
    }

    #[test]
    fn ordinary_uris_are_not() {
        for uri in [
            "file:///public/a.txt",
            "file:///public/.hidden",
            "file:///public/...",
            "file:///public/",
            "https://h/",
            "https://h:8080/a/b?c=d&e=f#g",
            "note://1",
            "memo:///",
            "urn:isbn:1",
            "file:///public/{path}",
            "file:///public/%20a%25",
            "file:///c%3A/a",
            "file:///c:/a",
            "file://server/share/a",
            "file:///caf%C3%A9",
            "file:///caf\u{e9}",
            "https://h",
            "https://h?a=b",
            "https://127.0.0.1/a",
            "https://[::1]:8080/a",
            "notes://{owner}/{name}",
            "postgres://{user}@{host}/{db}",
            "note://\u{4f1a}\u{8bae}/1",
            "note://john=doe@c/a",
            "note://Home/a",
            "note:a",
            "mailto:a@h",
            "file:///public/%2",
            "file:///public/%",
            "",
        ] {
            assert!(!is_ambiguous(uri), "{uri}");
        }
    }

    #[test]
    fn escapes_are_compared_decoded() {
        for (uri, expected) in [
            ("notes://a%40b/x", "notes://a@b/x"),
            ("file:///c%3A/a%20b", "file:///c:/a b"),
            ("file:///c%3a/caf%c3%a9", "file:///c:/caf\u{e9}"),
            ("f:a%3fb%23%25%zz%", "f:a%3Fb%23%25%ZZ%"),
            ("f:a%2Ab", "f:a*b"),
            // To the letter.
            ("file:///a%2fb%40", "file:///a%2fb%40"),
            ("file:///%ff%40", "file:///%ff%40"),
            ("file:///a", "file:///a"),
        ] {
            assert_eq!(sense(uri), expected, "{uri}");
        }
    }

    #[test]
    fn every_reading_is_told() {
        let told = |uri: &'static str| readings(uri).collect::<Vec<_>>().concat();
        assert_eq!(told("https://h"), ["https://h", "https://h/"]);
        assert_eq!(told("note:a/?b#c"), ["note:a/", "note:a"]);
        assert_eq!(
            told("file://h/a"),
            ["file://h/a", "file://h/a/", "file:///a", "file:///a/"]
        );
        assert_eq!(
            told("file://h/?b"),
            ["file://h/", "file://h", "file:///", "file://"]
        );
        assert_eq!(
            told("db://u:p@[::A]:1/B"),
            [
                "db://u:p@[::A]:1/B",
                "db://u:p@[::A]:1/B/",
                "db://[::a]/B",
                "db://[::a]/B/"
            ]
        );
        assert_eq!(told("db://[::1]"), ["db://[::1]", "db://[::1]/"]);
        assert_eq!(
            told("note:///a/b"),
            ["note:///a/b", "note:///a/b/", "note://a/b", "note://a/b/"]
        );
    }

    #[test]
    fn a_glob_that_matches_nothing_is_dead() {
        for dead in [
            "https://Example.com/admin/",
            "https://H",
            "https://h:443/admin/",
            "https://m\u{fc}nchen.de/",
            "file:///a%2Db/",
            "file:///srv//secret/",
            "file:///a/../b",
            "FILE:",
            "file:///a\n",
        ] {
            assert!(is_dead(dead), "{dead}");
        }
        for alive in [
            "",
            "f",
            "file:",
            "file:/",
            "file://",
            "file:///",
            "file:///a/.",
            "file:///my docs/",
            "file:///my\u{a0}docs/",
            "https:",
            "https://",
            "https://h",
            "https://h:",
            "https://h:44",
            "note://\u{4f1a}/",
            "%",
            "file:///a%2",
        ] {
            assert!(!is_dead(alive), "{alive}");
        }
    }
}
