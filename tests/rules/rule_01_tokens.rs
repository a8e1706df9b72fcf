//! Rule 1: a token is good, or the answer is 401 and says why; 400 is for credentials that cannot be
//! told apart.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, poll};
use mcp_auth::{
    Algorithm, BoxKeyStore, Clock, KeyStore, StaticJwks, VerificationKeyId, key_store_fn,
    testing::{ClaimsBuilder, WrongToken},
};

use tokio::sync::Notify;
use tower::ServiceExt;

use crate::house::{
    House, ISSUER, METADATA, NOW, RESOURCE, RequestExt, alice, bad_token, call, no, reader, request,
};

const MALFORMED: &str = "The access token is malformed or not acceptable here";
const EXPIRED: &str = "The access token expired";
const NOT_YET: &str = "The access token is not valid yet";
const OTHER_KIND: &str = "The token is not a plain access token";
const OTHER_ISSUER: &str = "The access token is from an issuer that is not trusted here";
const OTHER_RESOURCE: &str = "The access token is meant for another resource";
const UNKNOWN_KEY: &str = "The access token was signed with an unknown key";
const NOT_SIGNED: &str = "The signature of the access token does not verify";

fn good() -> ClaimsBuilder {
    alice("read:data")
}

/// A token with this header, but for `kid`.
fn headed(members: &str, claims: &ClaimsBuilder) -> String {
    let kid = ISSUER.kid(Algorithm::ES256);
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}"{members}}}"#);
    ISSUER.sign_raw(Algorithm::ES256, &header, &claims.to_json())
}

#[tokio::test]
async fn rule_01_every_wrong_token_has_its_reason() {
    let house = House::new();
    for wrong in WrongToken::ALL {
        let (reason, description) = match wrong {
            WrongToken::ForeignKey | WrongToken::EmbeddedKey | WrongToken::BrokenSignature => {
                ("bad_signature", NOT_SIGNED)
            }
            WrongToken::UnknownKid => ("unknown_key", UNKNOWN_KEY),
            _ => ("invalid_token", MALFORMED),
        };
        let request = call(&ISSUER.wrong_token(*wrong, &good()), "get_note");
        let expected = bad_token(reason, description);
        house
            .refuses(&format!("{wrong:?}"), request, &expected)
            .await;
    }
}

#[tokio::test]
async fn rule_01_every_wrong_claim_has_its_reason() {
    let house = House::new();
    let at = |offset: i64| (1_800_000_000 + offset).to_string();
    let rows: &[(&str, ClaimsBuilder, &str, &str)] = &[
        (
            "exp passed, and the leeway",
            good().claim("exp", &at(-30)),
            "expired",
            EXPIRED,
        ),
        ("exp long ago", good().claim("exp", "0"), "expired", EXPIRED),
        ("no exp", good().without("exp"), "invalid_token", MALFORMED),
        (
            "exp as text",
            good().claim("exp", "\"1900000000\""),
            "invalid_token",
            MALFORMED,
        ),
        (
            "exp below zero",
            good().claim("exp", "-1"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "nbf ahead",
            good().claim("nbf", &at(31)),
            "not_yet_valid",
            NOT_YET,
        ),
        (
            "iat ahead",
            good().claim("iat", &at(31)),
            "not_yet_valid",
            NOT_YET,
        ),
        (
            "nbf null",
            good().claim("nbf", "null"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "another issuer",
            good().issuer("https://canary.example"),
            "wrong_issuer",
            OTHER_ISSUER,
        ),
        (
            "issuer with a slash more",
            good().issuer(&format!("{}/", ISSUER.url())),
            "wrong_issuer",
            OTHER_ISSUER,
        ),
        (
            "two issuers",
            good().claim("iss", &format!("[\"{}\"]", ISSUER.url())),
            "invalid_token",
            MALFORMED,
        ),
        (
            "no issuer",
            good().without("iss"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "no subject",
            good().without("sub"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "empty subject",
            good().subject(""),
            "invalid_token",
            MALFORMED,
        ),
        (
            "subject a number",
            good().claim("sub", "7"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "no audience",
            good().without("aud"),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "an audience that begins alike",
            good().audience("https://mcp.example.com/mcp-canary"),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "the audience in other letters",
            good().audience("https://mcp.example.com/MCP"),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "the audience with a slash more",
            good().audience("https://mcp.example.com/mcp/"),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "no audiences",
            good().claim("aud", "[]"),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "an audience that is no text beside the right one",
            good().claim("aud", &format!("[\"{RESOURCE}\",7]")),
            "invalid_token",
            MALFORMED,
        ),
        (
            "an ID token",
            good().claim("nonce", "\"n\""),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "an ID token's hash",
            good().claim("at_hash", "\"x\""),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "an ID token by Cognito",
            good().claim("token_use", "\"id\""),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "an ID token by Keycloak",
            good().claim("typ", "\"ID\""),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "a logout token",
            good().claim("events", "{}"),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "a bound token",
            good().claim("cnf", r#"{"jkt":"x"}"#),
            "wrong_type",
            OTHER_KIND,
        ),
        (
            "a member twice, one of them nobody's",
            good().claim("x", r#"{"a":1,"a":2}"#),
            "invalid_token",
            MALFORMED,
        ),
        (
            "half a surrogate pair",
            good().claim("x", r#""\ud800""#),
            "invalid_token",
            MALFORMED,
        ),
        (
            "something behind the claims",
            good().claim("x", "1} {"),
            "invalid_token",
            MALFORMED,
        ),
        (
            "nested beyond reason",
            good().claim("x", &format!("{}{}", "[".repeat(200), "]".repeat(200))),
            "invalid_token",
            MALFORMED,
        ),
        (
            "more than 16 KiB",
            good().claim("x", &format!("\"{}\"", "a".repeat(16 * 1024))),
            "invalid_token",
            MALFORMED,
        ),
    ];
    for (what, claims, reason, description) in rows {
        let request = call(&ISSUER.token(claims), "get_note");
        house
            .refuses(what, request, &bad_token(reason, description))
            .await;
    }
}

#[tokio::test]
async fn rule_01_every_wrong_header_has_its_reason() {
    let house = House::new();
    for (members, reason, description) in [
        (r#","typ":"logout+jwt""#, "wrong_type", OTHER_KIND),
        (r#","typ":"dpop+jwt""#, "wrong_type", OTHER_KIND),
        (r#","typ":"oauth-id-jag+jwt""#, "wrong_type", OTHER_KIND),
        (r#","typ":7"#, "invalid_token", MALFORMED),
        (r#","b64":true"#, "invalid_token", MALFORMED),
        (r#","crit":[]"#, "invalid_token", MALFORMED),
        (r#","cty":"JWT""#, "invalid_token", MALFORMED),
        (r#","kid":"canary""#, "invalid_token", MALFORMED),
    ] {
        let request = call(&headed(members, &good()), "get_note");
        house
            .refuses(members, request, &bad_token(reason, description))
            .await;
    }
    let kid = ISSUER.kid(Algorithm::RS256);
    let claims = good().to_json();
    for (what, header, reason, description) in [
        (
            "the key decides the algorithm",
            format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#),
            "unknown_key",
            UNKNOWN_KEY,
        ),
        (
            "no algorithm",
            format!(r#"{{"kid":"{kid}"}}"#),
            "invalid_token",
            MALFORMED,
        ),
        (
            "an algorithm in other letters",
            format!(r#"{{"alg":"rs256","kid":"{kid}"}}"#),
            "invalid_token",
            MALFORMED,
        ),
        (
            "a kid that is no text",
            r#"{"alg":"RS256","kid":7}"#.to_owned(),
            "invalid_token",
            MALFORMED,
        ),
    ] {
        let token = ISSUER.sign_raw(Algorithm::RS256, &header, &claims);
        let expected = bad_token(reason, description);
        house
            .refuses(what, call(&token, "get_note"), &expected)
            .await;
    }
}

#[tokio::test]
async fn rule_01_what_is_no_token_at_all_is_a_bad_token() {
    let house = House::new();
    let token = reader();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for wrong in [
        "canary-a.b.c",
        "canary",
        "..",
        "\"canary\"",
        &format!("{token}.canary"),
        &format!("{token}="),
        &format!("{signed}.{}", signature.replace('_', "/")),
        &format!("{signed}."),
        &"canary".repeat(4000),
    ] {
        let expected = bad_token("invalid_token", MALFORMED);
        // A signature without an underscore is a good one.
        if *wrong != *token {
            house
                .refuses(wrong, call(wrong, "get_note"), &expected)
                .await;
        }
    }
}

#[tokio::test]
async fn rule_01_no_credentials_and_credentials_that_cannot_be_told_apart() {
    let house = House::new();
    let none = no(401, "no_token")
        .challenge(&format!(r#"Bearer scope="read:data", {METADATA}"#))
        .oauth("invalid_token", "Authentication is required");
    let malformed = |why: &str| {
        no(400, "malformed_request")
            .challenge(&format!(
                r#"Bearer error="invalid_request", {METADATA}, error_description="{why}""#
            ))
            .oauth("invalid_request", why)
    };
    let several = malformed("Several Authorization fields were sent");
    let more = malformed("The Authorization field holds more than one token");
    let query = malformed("A token was sent in the query");
    let token = reader();
    let bearer = format!("Bearer {token}");
    let plain = || call("", "get_note");
    let field = |value: &str| plain().and("authorization", value);
    for (what, request, expected) in [
        ("nothing", plain(), &none),
        ("an empty field", field(""), &none),
        ("a scheme alone", field("Bearer"), &none),
        ("a scheme and a space", field("Bearer "), &none),
        ("another scheme", field("Basic Y2FuYXJ5OmI="), &none),
        ("a token without a scheme", field(&token), &none),
        ("DPoP", field(&format!("DPoP {token}")), &none),
        ("an API key", plain().and("x-api-key", "canary"), &none),
        (
            "two fields",
            field(&bearer).and("authorization", &bearer),
            &several,
        ),
        (
            "two schemes in two fields",
            field("Basic Y2FuYXJ5OmI=").and("authorization", &bearer),
            &several,
        ),
        ("two tokens", field(&format!("{bearer} {token}")), &more),
        ("two in a list", field(&format!("{bearer},{token}")), &more),
        (
            "two credentials in one",
            field(&format!("{bearer}, Basic Y2FuYXJ5OmI=")),
            &more,
        ),
        (
            "a parameter",
            field(&format!("{bearer}, realm=canary")),
            &more,
        ),
        ("a tab", field(&format!("Bearer\t{token}")), &more),
        (
            "in the query",
            plain().to(&format!("/mcp?access_token={token}")),
            &query,
        ),
        (
            "in the query too",
            field(&bearer).to("/mcp?a=1&access%5Ftoken=canary"),
            &query,
        ),
    ] {
        house.refuses(what, request, expected).await;
    }
    // Nobody who is unknown is told which methods and types are read.
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "TRACE"] {
        let expected = none.clone().of(method, "");
        house
            .refuses(method, request(method, "", ""), &expected)
            .await;
    }
    house
        .refuses("no type", request("POST", "", "{"), &none)
        .await;
}

#[tokio::test]
async fn rule_01_good_tokens_pass_in_every_form_that_issuers_give_them() {
    let house = House::new();
    for algorithm in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::RS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let token = ISSUER.token_signed_with(algorithm, &good());
        let (_, event) = house
            .passes(&format!("{algorithm:?}"), call(&token, "get_note"))
            .await;
        assert_eq!(event.user(), Some("alice"));
    }
    for typ in [
        "",
        r#","typ":"JWT""#,
        r#","typ":"AT+JWT""#,
        r#","typ":"application/at+jwt""#,
        r#","jku":"https://canary.example/jwks.json","x5u":"https://canary.example/x""#,
    ] {
        house
            .passes(typ, call(&headed(typ, &good()), "get_note"))
            .await;
    }
    for (what, claims) in [
        (
            "several audiences",
            good().claim("aud", &format!("[\"https://other\",\"{RESOURCE}\"]")),
        ),
        ("exp within the leeway", good().claim("exp", "1799999971")),
        ("nbf within the leeway", good().claim("nbf", "1800000030")),
        ("a fraction", good().claim("exp", "1800000300.25")),
        ("no iat", good().without("iat")),
        (
            "scp",
            good().without("scope").claim("scp", r#"["read:data"]"#),
        ),
        ("scope as a list", good().claim("scope", r#"["read:data"]"#)),
        ("a repeated scope", good().scope("read:data  read:data")),
    ] {
        house
            .passes(what, call(&ISSUER.token(&claims), "get_note"))
            .await;
    }
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let field = format!("{scheme} {}", reader());
        house
            .passes(scheme, call("", "get_note").and("authorization", &field))
            .await;
    }
}

#[tokio::test]
async fn rule_01_a_remembered_token_expires_to_the_second() {
    let house = House::new();
    let token = reader();
    house.passes("new", call(&token, "get_note")).await;
    house
        .clock
        .set(NOW.saturating_add(Duration::from_secs(329)));
    house.passes("last second", call(&token, "get_note")).await;
    house.clock.advance(Duration::from_secs(1));
    house
        .refuses(
            "too late",
            call(&token, "get_note"),
            &bad_token("expired", EXPIRED),
        )
        .await;
}

#[tokio::test]
async fn rule_01_a_token_that_expires_while_it_waits_for_its_key_is_refused() {
    let keys_came = Arc::new(Notify::new());
    let house = House::with(|plan| {
        let jwks = StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap();
        let keys_came = Arc::clone(&keys_came);
        plan.keys = BoxKeyStore::new(key_store_fn(move |id: VerificationKeyId| {
            let (jwks, keys_came) = (jwks.clone(), Arc::clone(&keys_came));
            async move {
                keys_came.notified().await;
                jwks.key(&id).await
            }
        }));
    });
    // It is good for 300 s, and 30 s of leeway.
    for (waits, status, reason) in [(329, 200, "ok"), (330, 401, "expired")] {
        let mut answer = house.service.clone().oneshot(call(
            &ISSUER.token(&good().made_at(house.clock.now())),
            "get_note",
        ));
        assert!(poll!(&mut answer).is_pending());
        house.clock.advance(Duration::from_secs(waits));
        keys_came.notify_one();
        let answer = answer.now_or_never().unwrap().unwrap();
        assert_eq!(answer.status(), status, "{waits} s");
        let event = house.audit.events().pop().unwrap();
        assert_eq!(event.reason().as_str(), reason, "{waits} s");
    }
    assert_eq!(house.seen().len(), 1);
}
