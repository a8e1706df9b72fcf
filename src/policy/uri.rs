//! Resource URIs that could mean another resource than they seem to.

/// Whether some server could take the URI for one outside of where it seems to be: then no glob
/// matches it, and only a rule for the very URI speaks of it.
///
/// A slash at the end names a directory, and is no empty segment.
pub(super) fn is_ambiguous(uri: &str) -> bool {
    uri.bytes()
        .any(|byte| matches!(byte, b'\\' | 0..=b' ' | 0x7F))
        || has_encoded_separator(uri)
        || has_dot_segment(uri)
        || has_empty_segment(uri)
}

/// `%2f`, `%2e`, `%5c`, in any case and encoded any number of times (`%252f`).
fn has_encoded_separator(uri: &str) -> bool {
    uri.split('%').skip(1).any(|rest| {
        let mut rest = rest.as_bytes();
        while let [b'2', b'5', deeper @ ..] = rest {
            rest = deeper;
        }
        matches!(
            rest,
            [b'2', b'F' | b'f' | b'E' | b'e', ..] | [b'5', b'C' | b'c', ..]
        )
    })
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
            "public//a",
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
            "file:///public/%2",
            "file:///public/%",
            "",
        ] {
            assert!(!is_ambiguous(uri), "{uri}");
        }
    }
}
