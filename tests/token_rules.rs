//! The rules for tokens and their signatures, each with a table of inputs and the exact reason.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use mcp_auth::{
    Algorithm, JwtValidator, KeyStore, Reason, StaticJwks, UnixTime, VerificationKey, VerifiedToken,
};
use proptest::prelude::*;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
const NOW: u64 = 1_700_000_000;
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"ed"}"#;
/// The key of RFC 8037 appendix A.1.
const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&BASE64URL.decode(SEED).unwrap()).unwrap()
}

fn ed25519_jwk(kid: &str) -> String {
    let x = BASE64URL.encode(ed25519().public_key().as_ref());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}"#)
}

fn jwks(keys: &[String]) -> StaticJwks {
    StaticJwks::from_json(ISSUER, set(keys).as_bytes()).unwrap()
}

fn set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn validator() -> JwtValidator {
    JwtValidator::new(ISSUER, AUDIENCE).unwrap()
}

/// The usual claims, each of `changes` in the place of one or after them; an empty one is left out.
fn claims(changes: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("iss", r#""https://idp.example.com""#),
        ("sub", r#""alice""#),
        ("aud", r#""https://mcp.example.com/mcp""#),
        ("exp", "1700000300"),
        ("iat", "1699999990"),
        ("client_id", r#""app""#),
        ("scope", r#""read:data""#),
    ];
    for change in changes {
        match members.iter_mut().find(|(name, _)| *name == change.0) {
            Some(member) => *member = *change,
            None => members.push(*change),
        }
    }
    let members: Vec<_> = members
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn signed_with(
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    signed_text(&BASE64URL.encode(header), &BASE64URL.encode(claims), sign)
}

fn signed_text(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{header}.{claims}");
    let signature = sign(message.as_bytes());
    format!("{message}.{}", BASE64URL.encode(signature))
}

fn by_ed25519(message: &[u8]) -> Vec<u8> {
    ed25519().sign(message).as_ref().to_vec()
}

/// Signed by the right key, whatever it says.
fn token(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    signed_with(header, claims, by_ed25519)
}

fn judge(
    validator: &JwtValidator,
    keys: &StaticJwks,
    token: &[u8],
) -> Result<VerifiedToken, Reason> {
    let now = UnixTime::from_secs(NOW);
    let unverified = validator
        .inspect(token.to_vec(), now)
        .map_err(|error| error.reason())?;
    let key = keys.key(unverified.key_id()).into_inner().unwrap();
    unverified
        .verify(&key.ok_or(Reason::UnknownKey)?)
        .map_err(|error| error.reason())
}

fn outcome(token: &str) -> Result<VerifiedToken, Reason> {
    judge(&validator(), &jwks(&[ed25519_jwk("ed")]), token.as_bytes())
}

#[track_caller]
fn accepted(token: &str) -> VerifiedToken {
    outcome(token).unwrap_or_else(|reason| panic!("{reason}: {token}"))
}

#[track_caller]
fn refused(token: &str, reason: Reason, what: &str) {
    assert_eq!(outcome(token).err(), Some(reason), "{what}");
}

fn good() -> String {
    token(HEADER, claims(&[]))
}

#[test]
fn the_usual_token_is_accepted() {
    let verified = accepted(&good());
    assert_eq!(verified.principal().issuer(), ISSUER);
    assert_eq!(verified.principal().subject(), "alice");
    assert_eq!(verified.principal().client_id(), Some("app"));
    assert!(!verified.principal().is_machine());
    assert_eq!(verified.scope().to_string(), "read:data");
    assert_eq!(verified.claims().audience().collect::<Vec<_>>(), [AUDIENCE]);
}

#[test]
fn structure() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let json_form = format!(
        r#"{{"payload":"{claims}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
    );
    let padded = |text: &str| format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    let padded_claims = format!("{claims}==");
    for wrong in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "null".into(),
        "undefined".into(),
        "{}".into(),
        "e30.e30.".into(),
        header.into(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}.{signature}.{signature}"),
        format!("{good},{good}"),
        format!("{good}{good}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{header}.\t{claims}.{signature}"),
        format!("\"{good}\""),
        good.replace('.', "%2E"),
        good.replace('.', "\u{3002}"),
        format!("{header}\u{200b}.{claims}.{signature}"),
        format!("{good}\0"),
        format!("{header}.{claims}.{}", padded(signature)),
        format!("{header}.{claims}.+{}", &signature[1..]),
        format!("{header}.{claims}./{}", &signature[1..]),
        signed_text(header, &padded_claims, by_ed25519),
        signed_text(&format!("{header}="), claims, by_ed25519),
        json_form.clone(),
        BASE64URL.encode(&json_form),
    ] {
        refused(&wrong, Reason::InvalidToken, &wrong);
    }
    let keys = jwks(&[ed25519_jwk("ed")]);
    for bytes in [&b"\xff.\xff.\xff"[..], b"\0.\0.\0", &[0xff; 3]] {
        assert_eq!(
            judge(&validator(), &keys, bytes).err(),
            Some(Reason::InvalidToken)
        );
    }
}

#[test]
fn base64url_is_canonical() {
    // 64 bytes leave four bits of the last character unused.
    let good = good();
    let twins = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .map(|last| format!("{}{last}", &good[..good.len() - 1]))
        .filter(|twin| outcome(twin).is_ok());
    assert!(twins.eq([good.clone()]));
}

#[test]
fn a_token_has_at_most_16_kib() {
    let of_length = |length: usize| {
        (0..length)
            .rev()
            .map(|pad| {
                let pad = format!("\"{}\"", "x".repeat(pad));
                token(HEADER, claims(&[("pad", &pad)]))
            })
            .find(|token| token.len() <= length)
            .unwrap()
    };
    // Base64 comes in steps of a few characters: the last that fits, and the first that does not.
    let most = of_length(16 * 1024);
    assert!(most.len() > 16 * 1024 - 3, "{}", most.len());
    accepted(&most);
    let pad = most.len();
    let larger = (pad / 2..pad)
        .map(|pad| {
            token(
                HEADER,
                claims(&[("pad", &format!("\"{}\"", "x".repeat(pad)))]),
            )
        })
        .find(|token| token.len() > 16 * 1024)
        .unwrap();
    assert!(larger.len() < 16 * 1024 + 4, "{}", larger.len());
    refused(&larger, Reason::InvalidToken, "one too long");
    refused(&"a".repeat(1 << 20), Reason::InvalidToken, "1 MiB");
}

#[test]
fn the_header_is_one_strict_object() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"alg":"EdDSA","kid":"ed","x":{open}{close}}}"#)
    };
    for wrong in [
        "".to_owned(),
        "[]".into(),
        r#"["EdDSA"]"#.into(),
        "\"EdDSA\"".into(),
        "7".into(),
        "null".into(),
        "{".into(),
        HEADER.replace('}', ""),
        format!("{HEADER}{HEADER}"),
        format!("{HEADER}x"),
        format!("\u{feff}{HEADER}"),
        HEADER.replace('"', "'"),
        HEADER.replace('}', "/**/}"),
        HEADER.replace('}', ",}"),
        HEADER.replace('}', r#","alg":"none"}"#),
        HEADER.replace('{', r#"{"alg":"none","#),
        HEADER.replace('}', r#","kid":"evil"}"#),
        HEADER.replace('}', r#","k\u0069d":"ed"}"#),
        HEADER.replace('}', r#","x":{"a":1,"a":1}}"#),
        HEADER.replace('}', r#","x":"\ud800"}"#),
        deep(32),
        deep(2_500),
    ] {
        refused(
            &token(&wrong, claims(&[])),
            Reason::InvalidToken,
            wrong.get(..80).unwrap_or(&wrong),
        );
    }
    accepted(&token(deep(31), claims(&[])));
    let not_utf8 = [HEADER.trim_end_matches('}').as_bytes(), b",\"x\":\"\xff\"}"].concat();
    refused(&token(not_utf8, claims(&[])), Reason::InvalidToken, "UTF-8");
}

#[test]
fn the_claims_are_one_strict_object() {
    let good = claims(&[]);
    let with = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]);
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        with(&format!(r#""x":{open}{close}"#))
    };
    for wrong in [
        "[]".to_owned(),
        "null".into(),
        "\"{}\"".into(),
        format!("[{good}]"),
        format!("{{\"claims\":{good}}}"),
        format!("{good}{good}"),
        format!("{good} x"),
        format!("\u{feff}{good}"),
        with(""),
        with(r#""x":NaN"#),
        with(r#""x":Infinity"#),
        with(r#""x":1e400"#),
        with(r#""x":"\udc00""#),
        with(r#""x":["\ud800\ud800"]"#),
        with(r#""\ud800":1"#),
        with(r#""exp":9999999999"#),
        with(r#""aud":"https://other""#),
        with(r#""iss":"https://idp.example.com""#),
        with(r#""scope":"admin""#),
        with(r#""e\u0078p":9999999999"#),
        with(r#""x":{"a":1,"\u0061":2}"#),
        with(r#""x":[{"a":[{"b":1,"b":1}]}]"#),
        nested(32),
        nested(5_000),
    ] {
        refused(
            &token(HEADER, &wrong),
            Reason::InvalidToken,
            wrong.get(..300).unwrap_or(&wrong),
        );
    }
    accepted(&token(HEADER, nested(31)));
    accepted(&token(HEADER, format!(" {good}\r\n")));
    let not_utf8 = [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat();
    refused(&token(HEADER, not_utf8), Reason::InvalidToken, "UTF-8");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&token(HEADER, utf16), Reason::InvalidToken, "UTF-16");
}

#[test]
fn algorithms_that_are_none_are_refused() {
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""none ""#,
        r#""""#,
        "null",
        "0",
        "true",
        "[]",
        "{}",
        r#"["EdDSA"]"#,
        r#""eddsa""#,
        r#""EdDSA ""#,
        r#""EDDSA""#,
        r#""HS256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""ES512""#,
        r#""ES256K""#,
        r#""Ed448""#,
        r#""RS1""#,
        r#""RSA-OAEP""#,
        r#""dir""#,
        r#""ML-DSA-44""#,
    ] {
        let header = format!(r#"{{"alg":{alg},"kid":"ed"}}"#);
        refused(&token(&header, claims(&[])), Reason::InvalidToken, alg);
        let unsigned = signed_with(&header, claims(&[]), |_| Vec::new());
        refused(&unsigned, Reason::InvalidToken, alg);
    }
    refused(
        &token(r#"{"kid":"ed"}"#, claims(&[])),
        Reason::InvalidToken,
        "no alg",
    );
    // Signed with what everybody knows as if it were a secret.
    let hs256 = |key: &[u8]| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        signed_with(r#"{"alg":"HS256","kid":"ed"}"#, claims(&[]), |message| {
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    let public = ed25519().public_key().as_ref().to_vec();
    for secret in [&public[..], ed25519_jwk("ed").as_bytes(), b"", b"\0", b"ed"] {
        refused(&hs256(secret), Reason::InvalidToken, "HS256");
    }
}

#[test]
fn an_algorithm_that_was_not_chosen_is_refused() {
    let only = |algorithms: &[Algorithm]| {
        let validator = validator()
            .with_algorithms(algorithms.iter().copied())
            .unwrap();
        let keys = jwks(&[ed25519_jwk("ed")]);
        judge(&validator, &keys, good().as_bytes()).err()
    };
    assert_eq!(only(&[Algorithm::ES256, Algorithm::EdDSA]), None);
    assert_eq!(only(&[Algorithm::ES256]), Some(Reason::InvalidToken));
    assert!(validator().with_algorithms([]).is_err());
}

#[test]
fn header_parameters() {
    let with = |member: &str| HEADER.replace('}', &format!(",{member}}}"));
    for wrong in [
        r#""crit":["x"],"x":1"#,
        r#""crit":["x"]"#,
        r#""crit":["alg"]"#,
        r#""crit":[]"#,
        r#""crit":[5]"#,
        r#""crit":"x""#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":false,"crit":["b64"]"#,
        r#""cty":"JWT""#,
        r#""cty":"jwt""#,
        r#""enc":"A128GCM""#,
        r#""zip":"DEF""#,
    ] {
        refused(
            &token(with(wrong), claims(&[])),
            Reason::InvalidToken,
            wrong,
        );
    }
    for kid in ["null", "5", "true", "[]", "[\"ed\"]", "{}"] {
        let header = format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#);
        refused(&token(header, claims(&[])), Reason::InvalidToken, kid);
    }
    let long_kid = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(513));
    refused(&token(long_kid, claims(&[])), Reason::InvalidToken, "long");
    for kid in [
        "",
        "ED",
        "ed ",
        "../ed",
        "https://evil.example/jwks",
        "ed\\u0000",
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
        refused(&token(header, claims(&[])), Reason::UnknownKey, kid);
    }
    accepted(&token(r#"{"alg":"EdDSA"}"#, claims(&[])));
    accepted(&token(r#"{"alg":"Ed25519","kid":"ed"}"#, claims(&[])));
}

#[test]
fn keys_in_the_token_are_not_looked_at() {
    let evil = Ed25519KeyPair::generate().unwrap();
    let x = BASE64URL.encode(evil.public_key().as_ref());
    let jwk = format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"{x}"}}"#);
    for member in [
        jwk.as_str(),
        r#""jku":"https://evil.example/jwks""#,
        r#""x5u":"file:///etc/passwd""#,
        r#""x5c":["MIIB"],"x5t":"x""#,
    ] {
        let header = HEADER.replace('}', &format!(",{member}}}"));
        let forged = signed_with(&header, claims(&[]), |message| {
            evil.sign(message).as_ref().to_vec()
        });
        refused(&forged, Reason::BadSignature, member);
        accepted(&token(&header, claims(&[])));
    }
}

#[test]
fn the_kind_of_token() {
    let typed = |typ: &str| token(format!(r#"{{"alg":"EdDSA","typ":{typ}}}"#), claims(&[]));
    let strict = validator().with_strict_type();
    let keys = jwks(&[ed25519_jwk("ed")]);
    let judged_strictly = |token: &str| judge(&strict, &keys, token.as_bytes()).err();
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        let token = typed(&format!("\"{typ}\""));
        accepted(&token);
        assert_eq!(judged_strictly(&token), None, "{typ}");
    }
    for token in [
        typed("\"JWT\""),
        typed("\"jwt\""),
        token(r#"{"alg":"EdDSA"}"#, claims(&[])),
    ] {
        accepted(&token);
        assert_eq!(judged_strictly(&token), Some(Reason::WrongType));
    }
    for typ in [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "client-authentication+jwt",
        "oauth-id-jag+jwt",
        "vc+sd-jwt",
        "at+jwt ",
        "",
        "JOSE",
        "id_token",
    ] {
        let token = typed(&format!("\"{typ}\""));
        refused(&token, Reason::WrongType, typ);
        assert_eq!(judged_strictly(&token), Some(Reason::WrongType), "{typ}");
    }
    for typ in ["null", "5", "[\"at+jwt\"]", "{}"] {
        refused(&typed(typ), Reason::InvalidToken, typ);
    }
}

#[test]
fn claims_of_other_kinds() {
    for (name, value) in [
        ("nonce", "\"n\""),
        ("nonce", "null"),
        ("at_hash", "\"h\""),
        ("c_hash", "\"h\""),
        ("token_use", "\"id\""),
        ("typ", "\"ID\""),
        (
            "events",
            r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#,
        ),
        (
            "cnf",
            r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
        ),
        (
            "cnf",
            r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
        ),
        ("cnf", "null"),
    ] {
        let token = token(HEADER, claims(&[(name, value)]));
        refused(&token, Reason::WrongType, &format!("{name}: {value}"));
    }
    // What a logout token lacks does not hide what it is.
    let logout = claims(&[("events", "{}"), ("exp", ""), ("sub", "")]);
    refused(&token(HEADER, logout), Reason::WrongType, "logout token");
    for (name, value) in [("token_use", "\"access\""), ("typ", "\"Bearer\"")] {
        accepted(&token(HEADER, claims(&[(name, value)])));
    }
}

#[test]
fn times() {
    let table: &[(&str, &str, Option<Reason>)] = &[
        ("exp", "", Some(Reason::InvalidToken)),
        ("exp", "1700000001", None),
        ("exp", "1700000000", None), // within the leeway
        ("exp", "1699999971", None),
        ("exp", "1699999970.5", None),
        ("exp", "1699999970", Some(Reason::Expired)),
        ("exp", "1699996400", Some(Reason::Expired)),
        ("exp", "0", Some(Reason::Expired)),
        ("exp", "-0", Some(Reason::Expired)),
        ("exp", "1.7e9", None),
        ("exp", "17e2", Some(Reason::Expired)),
        ("exp", "1700000300.25", None),
        ("exp", "18446744073709551615", None),
        ("exp", "18446744073709551616", None),
        ("exp", "1e300", None),
        ("exp", "-1", Some(Reason::InvalidToken)),
        ("exp", "-9223372036854775808", Some(Reason::InvalidToken)),
        ("exp", "-1e30", Some(Reason::InvalidToken)),
        ("exp", "1e400", Some(Reason::InvalidToken)),
        ("exp", "NaN", Some(Reason::InvalidToken)),
        ("exp", "0x7fffffff", Some(Reason::InvalidToken)),
        ("exp", "\"1700000300\"", Some(Reason::InvalidToken)),
        ("exp", "null", Some(Reason::InvalidToken)),
        ("exp", "true", Some(Reason::InvalidToken)),
        ("exp", "[1700000300]", Some(Reason::InvalidToken)),
        ("exp", "{}", Some(Reason::InvalidToken)),
        ("nbf", "0", None),
        ("nbf", "1700000030", None),
        ("nbf", "1700000030.5", Some(Reason::NotYetValid)),
        ("nbf", "1700000031", Some(Reason::NotYetValid)),
        ("nbf", "1e30", Some(Reason::NotYetValid)),
        ("nbf", "18446744073709551615", Some(Reason::NotYetValid)),
        ("nbf", "-1", Some(Reason::InvalidToken)),
        ("nbf", "\"0\"", Some(Reason::InvalidToken)),
        ("nbf", "null", Some(Reason::InvalidToken)),
        ("iat", "", None),
        ("iat", "1700000030", None),
        ("iat", "1700000031", Some(Reason::NotYetValid)),
        ("iat", "\"1699999990\"", Some(Reason::InvalidToken)),
        ("iat", "null", Some(Reason::InvalidToken)),
    ];
    for (name, value, reason) in table {
        let token = token(HEADER, claims(&[(name, value)]));
        assert_eq!(outcome(&token).err(), *reason, "{name}: {value}");
    }
}

#[test]
fn the_leeway_and_the_lifetime_are_bounded() {
    let keys = jwks(&[ed25519_jwk("ed")]);
    let expired = token(HEADER, claims(&[("exp", "1699999705")]));
    let judged = |leeway: u64| {
        let validator = validator()
            .with_leeway(Duration::from_secs(leeway))
            .unwrap();
        judge(&validator, &keys, expired.as_bytes()).err()
    };
    assert_eq!(judged(300), None);
    assert_eq!(judged(295), Some(Reason::Expired));
    assert_eq!(judged(0), Some(Reason::Expired));
    for too_much in [Duration::from_millis(300_001), Duration::MAX] {
        assert!(validator().with_leeway(too_much).is_err());
    }

    let short = validator().with_max_lifetime(Duration::from_secs(310));
    let lived = |changes: &[(&str, &str)]| {
        let token = token(HEADER, claims(changes));
        judge(&short, &keys, token.as_bytes()).err()
    };
    assert_eq!(lived(&[]), None);
    assert_eq!(lived(&[("exp", "1700000301")]), Some(Reason::InvalidToken));
    assert_eq!(lived(&[("iat", "")]), Some(Reason::InvalidToken));
    assert_eq!(lived(&[("exp", "1e300")]), Some(Reason::InvalidToken));
}

#[test]
fn the_issuer_is_one_string_and_equal() {
    for (iss, reason) in [
        ("", Reason::InvalidToken),
        ("null", Reason::InvalidToken),
        ("5", Reason::InvalidToken),
        ("{}", Reason::InvalidToken),
        (r#"["https://idp.example.com"]"#, Reason::InvalidToken),
        (
            r#"["https://evil","https://idp.example.com"]"#,
            Reason::InvalidToken,
        ),
        (r#""""#, Reason::WrongIssuer),
        (r#""https://idp.example.com/""#, Reason::WrongIssuer),
        (r#""https://idp.example.co""#, Reason::WrongIssuer),
        (r#""https://idp.example.com.evil""#, Reason::WrongIssuer),
        (r#""http://idp.example.com""#, Reason::WrongIssuer),
        (r#""https://IDP.example.com""#, Reason::WrongIssuer),
        (r#""https://idp.example.com:443""#, Reason::WrongIssuer),
        (r#""https://a@idp.example.com""#, Reason::WrongIssuer),
        (r#""https://idp.example.com?x""#, Reason::WrongIssuer),
        (r#""https://idp.example.com#x""#, Reason::WrongIssuer),
        (r#""https://idp.example.com\u0000""#, Reason::WrongIssuer),
        (r#""https://idp.example.com\n""#, Reason::WrongIssuer),
        (r#"" https://idp.example.com""#, Reason::WrongIssuer),
    ] {
        refused(&token(HEADER, claims(&[("iss", iss)])), reason, iss);
    }
    accepted(&token(
        HEADER,
        claims(&[("iss", r#""https:\/\/idp.example.com""#)]),
    ));
}

#[test]
fn the_audience_is_equal_to_the_byte() {
    for (aud, reason) in [
        ("", Reason::WrongAudience),
        ("[]", Reason::WrongAudience),
        (r#""""#, Reason::WrongAudience),
        (r#""*""#, Reason::WrongAudience),
        (r#""https://mcp.example.com""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/mcp/""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/mc""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/mcp2""#, Reason::WrongAudience),
        (r#""https://MCP.example.com/mcp""#, Reason::WrongAudience),
        (
            r#""https://mcp.example.com:443/mcp""#,
            Reason::WrongAudience,
        ),
        (r#""https://mcp.example.com/mcp?x""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/mcp#x""#, Reason::WrongAudience),
        (r#""https://mcp.example.com/%6dcp""#, Reason::WrongAudience),
        (
            r#""https://mcp.example.com\u2215mcp""#,
            Reason::WrongAudience,
        ),
        (
            r#""https://mcp.example.com/mcp\u200b""#,
            Reason::WrongAudience,
        ),
        (
            r#""https://mcp.example.com/mcp\u0000""#,
            Reason::WrongAudience,
        ),
        (r#""https://mcp.example.com/mcp\n""#, Reason::WrongAudience),
        (
            r#""https://mcp.example.com/mcp,https://other""#,
            Reason::WrongAudience,
        ),
        (
            r#""https://other https://mcp.example.com/mcp""#,
            Reason::WrongAudience,
        ),
        (
            r#"["https://idp.example.com","app","account"]"#,
            Reason::WrongAudience,
        ),
        ("null", Reason::InvalidToken),
        ("5", Reason::InvalidToken),
        ("true", Reason::InvalidToken),
        (r#"{"https://mcp.example.com/mcp":1}"#, Reason::InvalidToken),
        (r#"[["https://mcp.example.com/mcp"]]"#, Reason::InvalidToken),
        (r#"["https://mcp.example.com/mcp",5]"#, Reason::InvalidToken),
        (
            r#"["https://mcp.example.com/mcp",null]"#,
            Reason::InvalidToken,
        ),
    ] {
        refused(&token(HEADER, claims(&[("aud", aud)])), reason, aud);
    }
    let resource = claims(&[
        ("aud", ""),
        ("resource", r#""https://mcp.example.com/mcp""#),
    ]);
    refused(&token(HEADER, resource), Reason::WrongAudience, "resource");
    let many = r#"["https://other","https://mcp.example.com/mcp"]"#;
    accepted(&token(HEADER, claims(&[("aud", many)])));
}

#[test]
fn an_audience_without_a_path_may_end_in_a_slash() {
    let keys = jwks(&[ed25519_jwk("ed")]);
    let takes = |configured: &str, aud: &str| {
        let validator = JwtValidator::new(ISSUER, configured).unwrap();
        let token = token(HEADER, claims(&[("aud", &format!("\"{aud}\""))]));
        judge(&validator, &keys, token.as_bytes()).is_ok()
    };
    for configured in ["https://h", "https://h/"] {
        assert!(takes(configured, "https://h"));
        assert!(takes(configured, "https://h/"));
        for other in [
            "https://h//",
            "https://h/a",
            "http://h",
            "https:/",
            "https:",
        ] {
            assert!(!takes(configured, other), "{other}");
        }
    }
    for (configured, other) in [
        ("https://h//", "https://h/"),
        ("https://h//", "https://h"),
        ("https://h/a", "https://h/a/"),
        ("https://h/a/", "https://h/a"),
        ("https://h?x", "https://h?x/"),
        ("urn://h", "urn://h/"),
        ("litellm-mcp", "litellm-mcp/"),
    ] {
        assert!(takes(configured, configured), "{configured}");
        assert!(!takes(configured, other), "{configured} {other}");
    }
}

#[test]
fn the_types_of_other_claims() {
    for sub in ["", "null", "5", "true", "[\"alice\"]", "{}", "\"\""] {
        refused(
            &token(HEADER, claims(&[("sub", sub)])),
            Reason::InvalidToken,
            sub,
        );
    }
    for name in ["jti", "sid", "client_id", "azp"] {
        for value in ["5", "null", "[]", "{}", "true"] {
            let what = format!("{name}: {value}");
            let token = token(HEADER, claims(&[(name, value)]));
            refused(&token, Reason::InvalidToken, &what);
        }
    }
    let long = format!("\"{}\"", "x".repeat(3_000));
    for sub in [r#""a\r\nb\u001b[31m\u0000\u202e""#, long.as_str()] {
        accepted(&token(HEADER, claims(&[("sub", sub)])));
    }
}

#[test]
fn who_is_calling() {
    let who = |changes: &[(&str, &str)]| accepted(&token(HEADER, claims(changes)));
    let azp = who(&[("client_id", ""), ("azp", "\"other\"")]);
    assert_eq!(azp.principal().client_id(), Some("other"));
    let both = who(&[("azp", "\"other\"")]);
    assert_eq!(both.principal().client_id(), Some("app"));
    let none = who(&[("client_id", "")]);
    assert_eq!(none.principal().client_id(), None);
    assert!(who(&[("sub", "\"app\"")]).principal().is_machine());
    let named = who(&[
        ("jti", "\"j\""),
        ("sid", "\"s\""),
        ("realm_access", r#"{"roles":["r"]}"#),
    ]);
    assert_eq!(named.jwt_id(), Some("j"));
    assert_eq!(named.session_id(), Some("s"));
    assert!(named.has("realm_access.roles", "r"));
    assert!(named.has("sub", "alice"));
    for (path, value) in [
        ("realm_access", "r"),
        ("roles", "r"),
        ("exp", "1700000300"),
        ("", ""),
    ] {
        assert!(!named.has(path, value), "{path}");
    }
    let read: serde_json::Value = named.deserialize().unwrap();
    assert_eq!(read["client_id"], "app");
}

#[test]
fn scopes() {
    let held = |changes: &[(&str, &str)]| {
        let verified = accepted(&token(HEADER, claims(changes)));
        verified.scope().to_string()
    };
    assert_eq!(held(&[("scope", "")]), "");
    assert_eq!(held(&[("scope", r#""a b  a""#)]), "a b");
    assert_eq!(held(&[("scope", r#"["a","b c","d"]"#)]), "a d");
    assert_eq!(held(&[("scope", r#""a""#), ("scp", r#""b c""#)]), "a b c");
    assert_eq!(held(&[("scope", ""), ("scp", r#"["b","c"]"#)]), "b c");
    for separator in [r"\t", r"\n", r"\u00a0", r"\u3000", ",", ";", "+"] {
        let scope = format!("\"a{separator}b c\"");
        assert!(
            !held(&[("scope", &scope)])
                .split(' ')
                .any(|held| held == "a" || held == "b")
        );
    }
    for name in ["scopes", "permissions", "roles"] {
        assert_eq!(held(&[(name, r#"["admin"]"#)]), "read:data");
    }
    for wrong in ["5", "null", "true", "{}", r#"["a",5]"#] {
        for name in ["scope", "scp"] {
            let token = token(HEADER, claims(&[(name, wrong)]));
            refused(&token, Reason::InvalidToken, wrong);
        }
    }
    let keys = jwks(&[ed25519_jwk("ed")]);
    let validator = validator().with_scope_claim("realm_access.roles");
    let roles = r#"{"roles":["writer","read:data","a b"]}"#;
    let token = token(HEADER, claims(&[("realm_access", roles)]));
    let verified = judge(&validator, &keys, token.as_bytes()).unwrap();
    assert_eq!(verified.scope().to_string(), "read:data writer");
}

#[test]
fn a_signature_is_over_the_very_token_by_the_very_key() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let raw = BASE64URL.decode(signature).unwrap();
    let with = |signature: &[u8]| format!("{header}.{payload}.{}", BASE64URL.encode(signature));
    // S + L is a second form of the same signature (RFC 8032 section 5.1.7).
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = raw.clone();
    let mut carry = 0;
    for (byte, order) in malleable[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + order + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let identity = [&[1][..], &[0; 63]].concat();
    for (what, wrong) in [
        ("zero", vec![0; 64]),
        ("ones", vec![0xff; 64]),
        ("R is the identity", identity),
        ("short", raw[..63].to_vec()),
        ("long", [&raw[..], &[0]].concat()),
        ("one byte", vec![0]),
        ("twice", [&raw[..], &raw[..]].concat()),
        ("reversed", raw.iter().rev().copied().collect()),
        ("S + L", malleable),
    ] {
        refused(&with(&wrong), Reason::BadSignature, what);
    }
    let other = claims(&[("sub", "\"bob\"")]);
    let swapped = format!("{header}.{}.{signature}", BASE64URL.encode(other));
    refused(&swapped, Reason::BadSignature, "payload");
    let spaced = BASE64URL.encode(HEADER.replace(':', ": "));
    refused(
        &format!("{spaced}.{payload}.{signature}"),
        Reason::BadSignature,
        "header",
    );
    let evil = Ed25519KeyPair::generate().unwrap();
    let by_evil = |header: &str| {
        signed_with(header, claims(&[]), |message| {
            evil.sign(message).as_ref().to_vec()
        })
    };
    refused(&by_evil(HEADER), Reason::BadSignature, "good kid");
    refused(
        &by_evil(r#"{"alg":"EdDSA"}"#),
        Reason::BadSignature,
        "no kid",
    );
    refused(
        &by_evil(r#"{"alg":"EdDSA","kid":"x"}"#),
        Reason::UnknownKey,
        "other kid",
    );
}

type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
type SignIfAble = dyn Fn(Algorithm, &[u8]) -> Option<Vec<u8>>;

/// A key with each algorithm that it can sign.
struct Signer {
    /// The members that make the key, without `kid`.
    jwk: String,
    sign: Box<SignIfAble>,
}

impl Signer {
    fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let n = BASE64URL.encode(
            pair.public_key()
                .modulus()
                .big_endian_without_leading_zero(),
        );
        let sign = move |algorithm, message: &[u8]| {
            let encoding: &'static dyn RsaEncoding = match algorithm {
                Algorithm::RS256 => &RSA_PKCS1_SHA256,
                Algorithm::RS384 => &RSA_PKCS1_SHA384,
                Algorithm::RS512 => &RSA_PKCS1_SHA512,
                Algorithm::PS256 => &RSA_PSS_SHA256,
                Algorithm::PS384 => &RSA_PSS_SHA384,
                Algorithm::PS512 => &RSA_PSS_SHA512,
                _ => return None,
            };
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                .unwrap();
            Some(signature)
        };
        Self {
            jwk: format!(r#""kty":"RSA","n":"{n}","e":"AQAB""#),
            sign: Box::new(sign),
        }
    }

    fn ec(curve: &'static str) -> Self {
        let (scheme, own) = match curve {
            "P-256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256),
            _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384),
        };
        let pair = EcdsaKeyPair::generate(scheme).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = format!(
            r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#,
            BASE64URL.encode(x),
            BASE64URL.encode(y)
        );
        let sign = move |algorithm, message: &[u8]| {
            let signature = pair.sign(&SystemRandom::new(), message).unwrap();
            (algorithm == own).then(|| signature.as_ref().to_vec())
        };
        Self {
            jwk,
            sign: Box::new(sign),
        }
    }

    fn ed25519() -> Self {
        let x = BASE64URL.encode(ed25519().public_key().as_ref());
        Self {
            jwk: format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
            sign: Box::new(|algorithm, message| {
                (algorithm == Algorithm::EdDSA).then(|| by_ed25519(message))
            }),
        }
    }

    fn all() -> [Self; 4] {
        [
            Self::rsa(),
            Self::ec("P-256"),
            Self::ec("P-384"),
            Self::ed25519(),
        ]
    }

    fn jwk(&self, more: &str) -> String {
        format!("{{{}{more}}}", self.jwk)
    }

    fn token(&self, algorithm: Algorithm) -> Option<String> {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#);
        (self.sign)(algorithm, b"")?;
        Some(signed_with(header, claims(&[]), |message| {
            (self.sign)(algorithm, message).unwrap()
        }))
    }
}

#[test]
fn every_algorithm_with_its_kind_of_key_and_no_other() {
    let signers = Signer::all();
    for signer in &signers {
        for &algorithm in Algorithm::ALL {
            let Some(token) = signer.token(algorithm) else {
                continue;
            };
            let judged = |keys: &StaticJwks| judge(&validator(), keys, token.as_bytes()).err();
            assert_eq!(
                judged(&jwks(&[signer.jwk(r#","kid":"k""#)])),
                None,
                "{algorithm}"
            );
            let own = format!(r#","kid":"k","use":"sig","key_ops":["verify"],"alg":"{algorithm}""#);
            assert_eq!(judged(&jwks(&[signer.jwk(&own)])), None, "{algorithm}");
            for &labelled in Algorithm::ALL.iter().filter(|other| **other != algorithm) {
                // The header says another algorithm than the one that signed.
                let header = format!(r#"{{"alg":"{labelled}","kid":"k"}}"#);
                let mislabelled = signed_with(header, claims(&[]), |message| {
                    (signer.sign)(algorithm, message).unwrap()
                });
                let keys = jwks(&[signer.jwk(r#","kid":"k""#)]);
                let reason = judge(&validator(), &keys, mislabelled.as_bytes()).err();
                let expected = if signer.token(labelled).is_some() {
                    Reason::BadSignature
                } else {
                    Reason::UnknownKey
                };
                assert_eq!(reason, Some(expected), "{algorithm} as {labelled}");
                // The key says another algorithm than the token.
                let other = format!(r#","kid":"k","alg":"{labelled}""#);
                let keys = StaticJwks::from_json(ISSUER, set(&[signer.jwk(&other)]).as_bytes());
                match keys {
                    Ok(keys) => assert_eq!(judged(&keys), Some(Reason::UnknownKey)),
                    Err(_) => assert!(signer.token(labelled).is_none()),
                }
            }
        }
        // A key of another owner and kind under the same kid.
        for other in signers.iter().filter(|other| other.jwk != signer.jwk) {
            for &algorithm in Algorithm::ALL {
                let Some(token) = signer.token(algorithm) else {
                    continue;
                };
                let keys = jwks(&[other.jwk(r#","kid":"k""#)]);
                let reason = judge(&validator(), &keys, token.as_bytes()).err();
                assert_eq!(reason, Some(Reason::UnknownKey), "{algorithm}");
            }
        }
    }
}

#[test]
fn forms_of_ecdsa_signatures() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
        BASE64URL.encode(&point[..32]),
        BASE64URL.encode(&point[32..])
    );
    let keys = jwks(&[jwk]);
    let judged = |sign: Sign<'_>| {
        let token = signed_with(r#"{"alg":"ES256"}"#, claims(&[]), sign);
        judge(&validator(), &keys, token.as_bytes()).err()
    };
    let raw = |message: &[u8]| {
        pair.sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    };
    assert_eq!(judged(&raw), None);
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let n = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let one = [&[0; 31][..], &[1]].concat();
    let swap = |signature: Vec<u8>| [&signature[32..], &signature[..32]].concat();
    let wrong: [(&str, Sign<'_>); 11] = [
        ("DER", &|message| {
            der.sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec()
        }),
        ("zeros", &|_| vec![0; 64]),
        ("r = 0", &|message| [&[0; 32], &raw(message)[32..]].concat()),
        ("s = 0", &|message| [&raw(message)[..32], &[0; 32]].concat()),
        ("n, n", &|_| [n, n].concat()),
        ("1, 1", &|_| [&one[..], &one[..]].concat()),
        ("swapped", &|message| swap(raw(message))),
        ("63", &|message| raw(message)[1..].to_vec()),
        ("65", &|message| [&[0], &raw(message)[..]].concat()),
        ("66", &|message| {
            [&[0], &raw(message)[..32], &[0], &raw(message)[32..]].concat()
        }),
        ("96", &|message| [&raw(message)[..], &[0; 32]].concat()),
    ];
    for (what, sign) in wrong {
        assert_eq!(judged(sign), Some(Reason::BadSignature), "{what}");
    }
}

#[test]
fn without_a_kid_exactly_one_key_must_fit() {
    let other = Ed25519KeyPair::generate().unwrap();
    let other = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","kid":"2","x":"{}"}}"#,
        BASE64URL.encode(other.public_key().as_ref())
    );
    let rsa = Signer::rsa().jwk(r#","kid":"rsa""#);
    let unnamed = token(r#"{"alg":"EdDSA"}"#, claims(&[]));
    let judged =
        |keys: &[String], token: &str| judge(&validator(), &jwks(keys), token.as_bytes()).err();
    let ed = ed25519_jwk("ed");
    assert_eq!(judged(&[ed.clone(), rsa.clone()], &unnamed), None);
    assert_eq!(judged(&[ed.clone(), ed.clone()], &unnamed), None);
    let both = [ed.clone(), other.clone(), rsa];
    assert_eq!(judged(&both, &unnamed), Some(Reason::UnknownKey));
    assert_eq!(judged(&both, &good()), None);
    // A kid names a key that has it, not one that has none.
    let nameless = ed.replace(r#""kid":"ed","#, "");
    assert_eq!(judged(std::slice::from_ref(&nameless), &unnamed), None);
    assert_eq!(judged(&[nameless], &good()), Some(Reason::UnknownKey));
    // Two keys of one name: neither.
    let twins = [ed.clone(), other.replace(r#""kid":"2""#, r#""kid":"ed""#)];
    assert!(StaticJwks::from_json(ISSUER, set(&twins).as_bytes()).is_err());
    let twins_and_more = [twins[0].clone(), twins[1].clone(), other];
    assert_eq!(judged(&twins_and_more, &good()), Some(Reason::UnknownKey));
    // One key under one name for two algorithms is no twin.
    let rsa = Signer::rsa();
    let halves = ["RS256", "PS256"].map(|alg| rsa.jwk(&format!(r#","kid":"k","alg":"{alg}""#)));
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        assert_eq!(
            judged(&halves, &rsa.token(algorithm).unwrap()),
            None,
            "{algorithm}"
        );
    }
}

#[test]
fn unusable_keys_are_skipped_one_by_one() {
    let ed = ed25519_jwk("bad").replace('}', "");
    let rsa = Signer::rsa();
    let n = rsa.jwk.split('"').nth(7).unwrap().to_owned();
    let modulus = BASE64URL.decode(&n).unwrap();
    let with_modulus = |bytes: &[u8]| {
        format!(
            r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#,
            BASE64URL.encode(bytes)
        )
    };
    let with_exponent = |e: &str| format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#);
    let even: Vec<u8> = [&modulus[..255], &[modulus[255] & 0xfe]].concat();
    let p256 = Signer::ec("P-256");
    let x25519 = ed.replace("Ed25519", "X25519");
    let small_order = [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "7P________________________________________8",
    ]
    .map(|x| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#));
    let mut bad: Vec<String> = vec![
        "{}".into(),
        "null".into(),
        "5".into(),
        "[]".into(),
        "\"key\"".into(),
        r#"{"kty":"oct","k":"AAAA"}"#.into(),
        r#"{"kty":"oct","k":""}"#.into(),
        r#"{"kty":"oct","alg":"RS256","k":"AAAA"}"#.into(),
        r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}"#.into(),
        r#"{"kty":5}"#.into(),
        r#"{"kty":"RSA"}"#.into(),
        format!(r#"{ed},"use":"enc"}}"#),
        format!(r#"{ed},"use":"SIG"}}"#),
        format!(r#"{ed},"use":null}}"#),
        format!(r#"{ed},"key_ops":["encrypt"]}}"#),
        format!(r#"{ed},"key_ops":["sign"]}}"#),
        format!(r#"{ed},"key_ops":[]}}"#),
        format!(r#"{ed},"key_ops":"verify"}}"#),
        format!(r#"{ed},"key_ops":["verify",5]}}"#),
        format!(r#"{ed},"alg":"ES256"}}"#),
        format!(r#"{ed},"alg":"none"}}"#),
        format!(r#"{ed},"alg":5}}"#),
        format!(r#"{ed},"d":"{SEED}"}}"#),
        format!(r#"{ed},"kid":"bad"}}"#),
        format!(r#"{ed},"n":"AAAA"}}"#).replace("OKP", "RSA"),
        format!("{}}}", ed.replace("\"bad\"", "5")),
        format!("{}}}", ed.replace("\"bad\"", &format!("\"{}\"", "k".repeat(513)))),
        format!("{x25519}}}"),
        format!("{}}}", ed.replace("Ed25519", "Ed448")),
        format!("{}}}", ed.replace("\"x\":\"", "\"x\":\"A")),
        format!("{}=\"}}", ed.trim_end_matches('"')),
        with_modulus(&[]),
        with_modulus(&modulus[..128]),
        with_modulus(&[&[0x7f], &modulus[1..]].concat()),
        with_modulus(&even),
        with_modulus(&[&vec![0xff; 1793][..], &modulus[..]].concat()),
        with_modulus(&vec![0xff; 1025]),
        with_modulus(&vec![0xff; 2048]),
        with_exponent(""),
        with_exponent("AA"),
        with_exponent("AQ"),
        with_exponent("Ag"),
        with_exponent("AQAA"),
        with_exponent("__________8"),
        rsa.jwk(r#","alg":"RSA-OAEP""#),
        rsa.jwk(r#","alg":"ES256""#),
        rsa.jwk(r#","alg":"HS256""#),
        rsa.jwk(r#","crv":"P-256""#),
        p256.jwk("").replace("P-256", "P-384"),
        p256.jwk("").replace("P-256", "P-521"),
        p256.jwk("").replace("P-256", "secp256k1"),
        p256.jwk(r#","alg":"ES384""#),
        p256.jwk(r#","alg":"ES521""#),
        r#"{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.into(),
        r#"{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#.into(),
    ];
    bad.extend(small_order);
    for jwk in &bad {
        assert!(VerificationKey::from_jwk(jwk.as_bytes()).is_err(), "{jwk}");
        let alone = set(std::slice::from_ref(jwk));
        assert!(
            StaticJwks::from_json(ISSUER, alone.as_bytes()).is_err(),
            "{jwk}"
        );
    }
    bad.insert(bad.len() / 2, ed25519_jwk("ed"));
    assert!(judge(&validator(), &jwks(&bad), good().as_bytes()).is_ok());
    for sound in [with_exponent("Aw"), with_exponent("AAEAAQ")] {
        assert!(
            VerificationKey::from_jwk(sound.as_bytes()).is_ok(),
            "{sound}"
        );
    }
}

#[test]
fn a_jwk_set_is_an_object_of_at_most_100_keys() {
    let ed = ed25519_jwk("ed");
    for wrong in [
        "".to_owned(),
        "[]".into(),
        format!("[{ed}]"),
        format!("[[{ed}]]"),
        ed.clone(),
        "{}".into(),
        r#"{"keys":[]}"#.into(),
        r#"{"keys":null}"#.into(),
        format!(r#"{{"keys":{ed}}}"#),
        format!("{}x", set(std::slice::from_ref(&ed))),
        format!("\u{feff}{}", set(std::slice::from_ref(&ed))),
        format!(r#"{{"keys":[{ed}],"keys":[]}}"#),
        format!(r#"{{"keys":[{ed}]"#),
        "<html></html>".into(),
        set(&vec![ed.clone(); 101]),
    ] {
        let read = StaticJwks::from_json(ISSUER, wrong.as_bytes());
        assert!(read.is_err(), "{}", wrong.get(..100).unwrap_or(&wrong));
    }
    assert!(StaticJwks::from_json(ISSUER, b"{\"keys\":[\"\xff\"]}").is_err());
    assert!(StaticJwks::from_json(ISSUER, set(&vec![ed; 100]).as_bytes()).is_ok());
}

#[test]
fn two_issuers_may_use_one_kid() {
    let other = Ed25519KeyPair::generate().unwrap();
    let other_jwk = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"{}"}}"#,
        BASE64URL.encode(other.public_key().as_ref())
    );
    let second = "https://second.example.com";
    let of_second = StaticJwks::from_json(second, set(std::slice::from_ref(&other_jwk)).as_bytes());
    let keys = jwks(&[ed25519_jwk("ed")]).and(of_second.unwrap()).unwrap();
    let validator = validator().with_issuer(second).unwrap();
    let by_other = |message: &[u8]| other.sign(message).as_ref().to_vec();
    let judged = |token: String| judge(&validator, &keys, token.as_bytes()).err();
    let iss = ("iss", r#""https://second.example.com""#);
    assert_eq!(judged(good()), None);
    assert_eq!(judged(signed_with(HEADER, claims(&[iss]), by_other)), None);
    assert_eq!(
        judged(token(HEADER, claims(&[iss]))),
        Some(Reason::BadSignature)
    );
    assert_eq!(
        judged(signed_with(HEADER, claims(&[]), by_other)),
        Some(Reason::BadSignature)
    );
    // More keys of one issuer, unless they take a name.
    let renamed = other_jwk.replace(r#""kid":"ed""#, r#""kid":"2""#);
    let both = jwks(&[ed25519_jwk("ed")]).and(jwks(&[renamed])).unwrap();
    assert!(judge(&validator, &both, good().as_bytes()).is_ok());
    assert!(
        jwks(&[ed25519_jwk("ed")])
            .and(jwks(std::slice::from_ref(&other_jwk)))
            .is_err()
    );
    let two = jwks(&[ed25519_jwk("ed"), Signer::ec("P-256").jwk("")]);
    assert!(two.and(jwks(&[other_jwk])).is_err());
}

#[test]
fn keys_in_pem() {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let pem = |label: &str, der: &[u8]| {
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let spki = |der: PublicKeyX509Der<'_>| pem("PUBLIC KEY", der.as_ref());
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let ed = spki(ed25519().public_key().as_der().unwrap());
    let rsa_spki = spki(rsa.public_key().as_der().unwrap());
    let rsa_pkcs1 = pem("RSA PUBLIC KEY", rsa.public_key().as_ref());
    let p256_spki = spki(p256.public_key().as_der().unwrap());
    let p384_spki = spki(p384.public_key().as_der().unwrap());

    let keys = StaticJwks::from_pem(ISSUER, "ed", ed.as_bytes(), Algorithm::EdDSA).unwrap();
    assert!(judge(&validator(), &keys, good().as_bytes()).is_ok());
    let rsa_algorithms = &Algorithm::ALL[..6];
    for (pem, fitting) in [
        (&ed, &[Algorithm::EdDSA][..]),
        (&rsa_spki, rsa_algorithms),
        (&rsa_pkcs1, rsa_algorithms),
        (&p256_spki, &[Algorithm::ES256]),
        (&p384_spki, &[Algorithm::ES384]),
    ] {
        for &algorithm in Algorithm::ALL {
            let key = VerificationKey::from_pem(pem.as_bytes(), algorithm);
            assert_eq!(
                key.is_ok(),
                fitting.contains(&algorithm),
                "{algorithm} {pem}"
            );
            for &other in Algorithm::ALL {
                assert_eq!(
                    key.as_ref().is_ok_and(|key| key.allows(other)),
                    key.is_ok() && other == algorithm
                );
            }
        }
    }
    let private = p256.to_pkcs8v1().unwrap();
    for wrong in [
        String::new(),
        "-----BEGIN PUBLIC KEY-----".into(),
        pem("PRIVATE KEY", private.as_ref()),
        pem("PUBLIC KEY", private.as_ref()),
        pem("CERTIFICATE", p256.public_key().as_der().unwrap().as_ref()),
        pem("PUBLIC KEY", b""),
        format!("{p256_spki}{p256_spki}"),
        format!("{p384_spki}{}", pem("PRIVATE KEY", private.as_ref())),
    ] {
        assert!(
            VerificationKey::from_pem(wrong.as_bytes(), Algorithm::ES256).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_key_is_in_force_until_it_is_not() {
    let key = VerificationKey::from_jwk(ed25519_jwk("ed").as_bytes()).unwrap();
    let clone = key.clone();
    assert!(key.is_in_force(UnixTime::MAX));
    key.set_in_force_until(UnixTime::from_secs(10));
    assert!(clone.is_in_force(UnixTime::from_nanos(9_999_999_999)));
    assert!(!clone.is_in_force(UnixTime::from_secs(10)));
    key.set_in_force_until(UnixTime::EPOCH);
    assert!(!clone.is_in_force(UnixTime::EPOCH));
}

#[test]
fn settings_that_cannot_be() {
    for issuer in [
        "",
        "idp.example.com",
        "http://idp.example.com",
        "http://localhost.evil.example",
        "ftp://idp.example.com",
        "https://",
        "https://a@idp.example.com",
        "https://idp.example.com?x",
        "https://idp.example.com#x",
        "https://idp.example.com/a|b",
    ] {
        assert!(JwtValidator::new(issuer, AUDIENCE).is_err(), "{issuer}");
        assert!(validator().with_issuer(issuer).is_err(), "{issuer}");
    }
    for issuer in [
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:1/x",
        ISSUER,
    ] {
        assert!(JwtValidator::new(issuer, AUDIENCE).is_ok(), "{issuer}");
    }
    assert!(JwtValidator::new(ISSUER, "").is_err());
    assert!(validator().with_audience("").is_err());
}

#[test]
fn what_is_said_may_stand_in_a_challenge_and_shows_nothing() {
    let secret = claims(&[("sub", "\"s3cr3t\""), ("exp", "5")]);
    for token in [
        "x".to_owned(),
        token(HEADER, secret),
        token(HEADER, claims(&[("aud", "[]")])),
    ] {
        let error = validator()
            .inspect(token, UnixTime::from_secs(NOW))
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(text, error.description());
        assert!(text.starts_with("The "), "{text}");
        assert!(!text.contains(['=', '"', '\\']), "{text}");
        assert!(!format!("{error:?}").contains("s3cr3t"));
    }
    let claims = claims(&[("email", "\"s3cr3t\"")]);
    let unverified = validator()
        .inspect(token(HEADER, &claims), UnixTime::from_secs(NOW))
        .unwrap();
    assert!(!format!("{unverified:?}").contains("s3cr3t"));
    assert!(!format!("{unverified:?}").contains("alice"));
    assert!(!format!("{:?}", accepted(&token(HEADER, &claims))).contains("s3cr3t"));
    let key = VerificationKey::from_jwk(ed25519_jwk("ed").as_bytes()).unwrap();
    assert_eq!(
        format!("{key:?}"),
        r#"VerificationKey { kid: Some("ed"), algorithms: [EdDSA], .. }"#
    );
}

#[test]
fn no_change_of_one_byte_is_accepted() {
    let (validator, keys) = (validator(), jwks(&[ed25519_jwk("ed")]));
    let good = good().into_bytes();
    for position in 0..good.len() {
        for flipped in [1, 2, 0x20, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[position] ^= flipped;
            let judged = judge(&validator, &keys, &changed);
            assert!(judged.is_err(), "byte {position}");
        }
        let shorter = [&good[..position], &good[position + 1..]].concat();
        assert!(
            judge(&validator, &keys, &shorter).is_err(),
            "byte {position} left out"
        );
    }
}

proptest! {
    #[test]
    fn no_mutation_is_accepted(position in 0_usize..400, byte: u8, insert: bool) {
        let (good, keys) = (good().into_bytes(), jwks(&[ed25519_jwk("ed")]));
        let mut changed = good.clone();
        let position = position % good.len();
        if insert {
            changed.insert(position, byte);
        } else {
            changed[position] = byte;
        }
        prop_assert_eq!(judge(&validator(), &keys, &changed).is_ok(), changed == good);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, header in ".{0,60}", claims in ".{0,200}") {
        let keys = jwks(&[ed25519_jwk("ed")]);
        prop_assert!(judge(&validator(), &keys, &bytes).is_err());
        for (header, claims) in [(header.as_str(), claims.as_str()), (HEADER, claims.as_str())] {
            prop_assert!(judge(&validator(), &keys, token(header, claims).as_bytes()).is_err());
        }
        prop_assert!(VerificationKey::from_jwk(&bytes).is_err());
        prop_assert!(StaticJwks::from_json(ISSUER, &bytes).is_err());
        for &algorithm in Algorithm::ALL {
            prop_assert!(VerificationKey::from_pem(&bytes, algorithm).is_err());
        }
    }

    #[test]
    fn no_claim_makes_it_panic(
        name in "iss|sub|aud|exp|nbf|iat|jti|scope|scp|azp|cnf|x",
        value in r#"-?[0-9]{1,30}(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?|"[a-z \\]{0,5}"|[\[\]{}",:0-9a-z\\]{0,20}"#,
    ) {
        let _ = outcome(&token(HEADER, claims(&[(&name, &value)])));
    }
}
