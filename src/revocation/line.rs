//! One line of a file of revocations.

use std::sync::Arc;

use serde::{Deserialize, de::IgnoredAny};

use crate::{clock::UnixTime, revocation::entries::Entries, token::Name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    iss: Option<String>,
    jti: Option<String>,
    sid: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    until: Option<u64>,
}

/// Whether these bytes are one whole object, to which nothing can be added.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Puts the line in force. The error says what is wrong in words of ours: what stands in the line
/// goes into no log.
pub(super) fn apply(
    line: &[u8],
    issuers: &[Arc<str>],
    now: UnixTime,
    entries: &Entries,
) -> Result<(), &'static str> {
    const FORM: &str = "not a JSON object of iss, jti, sid, client_id, sub and until, each of its \
                        type and at most once";
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    if !line.starts_with(b"{") {
        return Err(FORM);
    }
    let line: Line = serde_json::from_slice(line).map_err(|_| FORM)?;
    let iss = match (&line.iss, issuers) {
        (Some(iss), _) if issuers.iter().any(|known| **known == **iss) => iss,
        (Some(_), _) => return Err("iss is none of the issuers"),
        (None, [only]) => &**only,
        (None, _) => return Err("iss is missing, and there are several issuers"),
    };
    let (name, id) = match (&line.jti, &line.sid, &line.client_id, &line.sub) {
        (Some(id), None, None, None) => (Name::Token, id),
        (None, Some(id), None, None) => (Name::Session, id),
        (None, None, Some(id), None) => (Name::Client, id),
        (None, None, None, Some(id)) => (Name::Subject, id),
        _ => return Err("not exactly one of jti, sid, client_id and sub"),
    };
    if id.is_empty() {
        return Err("the id is empty");
    }
    let issued_up_to = match (name, line.until) {
        (Name::Subject, None) => now,
        (Name::Subject, Some(until)) => UnixTime::from_secs(until),
        (_, None) => UnixTime::MAX,
        (_, Some(_)) => return Err("until goes with sub only"),
    };
    entries.add(name, iss, id, issued_up_to, UnixTime::MAX, now);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn says_what_is_wrong_with_a_line_and_not_what_is_in_it() {
        let (one, two): (Vec<Arc<str>>, Vec<Arc<str>>) =
            (vec!["a".into()], vec!["a".into(), "b".into()]);
        let form = "not a JSON object of iss, jti, sid, client_id, sub and until, each of its \
                    type and at most once";
        let count = "not exactly one of jti, sid, client_id and sub";
        for (line, issuers, outcome) in [
            (r#" {"jti":"x"} "#, &one, Ok(())),
            (r#"{"iss":"a","sid":"x"}"#, &one, Ok(())),
            (r#"{"iss":"b","client_id":"x"}"#, &two, Ok(())),
            (r#"{"sub":"x"}"#, &one, Ok(())),
            (r#"{"sub":"x","until":1}"#, &one, Ok(())),
            (" \r", &two, Ok(())),
            (
                r#"{"jti":"x"}"#,
                &two,
                Err("iss is missing, and there are several issuers"),
            ),
            (
                r#"{"iss":"c","jti":"x"}"#,
                &two,
                Err("iss is none of the issuers"),
            ),
            (
                r#"{"iss":"b","jti":"x"}"#,
                &one,
                Err("iss is none of the issuers"),
            ),
            (r#"{}"#, &one, Err(count)),
            (r#"{"jti":"x","sid":"x"}"#, &one, Err(count)),
            (r#"{"jti":""}"#, &one, Err("the id is empty")),
            (
                r#"{"jti":"x","until":1}"#,
                &one,
                Err("until goes with sub only"),
            ),
            (r#"{"jti":"x","jti":"y"}"#, &one, Err(form)),
            (r#"{"jti":"x","exp":1}"#, &one, Err(form)),
            (r#"{"jti":1}"#, &one, Err(form)),
            (r#"{"sub":"x","until":-1}"#, &one, Err(form)),
            (r#"{"sub":"x","until":1.5}"#, &one, Err(form)),
            (r#"{"jti":"x"} {"jti":"y"}"#, &one, Err(form)),
            (r#"{"jti":"x""#, &one, Err(form)),
            (r#"[null,"x",null,null,null,null]"#, &one, Err(form)),
            ("\u{feff}{\"jti\":\"x\"}", &one, Err(form)),
        ] {
            let entries = Entries::new();
            let got = apply(line.as_bytes(), issuers, NOW, &entries);
            assert_eq!(got, outcome, "{line}");
        }
        assert_eq!(
            apply(b"{\"jti\":\"\xff\"}", &one, NOW, &Entries::new()),
            Err(form)
        );
    }
}
