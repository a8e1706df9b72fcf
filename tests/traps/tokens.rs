//! What a token is good for, and in which order that is found out.

use std::time::Duration;

use mcp_auth::{
    Algorithm,
    testing::{ClaimsBuilder, WrongToken},
};

use crate::{
    answers::{denied, lacks},
    house::{House, ISSUER, METADATA, NOW, RESOURCE, alice, bad_token, call, no, request},
};

const MALFORMED: &str = "The access token is malformed or not acceptable here";
const EXPIRED: &str = "The access token expired";
const OTHER_KIND: &str = "The token is not a plain access token";
const OTHER_RESOURCE: &str = "The access token is meant for another resource";

fn good() -> ClaimsBuilder {
    alice("read:data")
}

#[tokio::test]
async fn trap_18_a_token_for_somebody_else_passes_for_ours() {
    let house = House::new();
    for (what, claims) in [
        ("none", good().without("aud")),
        ("an empty list", good().claim("aud", "[]")),
        ("another host", good().audience("https://other.example/mcp")),
        (
            "more of it",
            good().audience("https://mcp.example.com/mcp-evil"),
        ),
        (
            "a path below",
            good().audience("https://mcp.example.com/mcp/evil"),
        ),
        ("less of it", good().audience("https://mcp.example.com")),
        (
            "a slash more",
            good().audience("https://mcp.example.com/mcp/"),
        ),
        (
            "in other letters",
            good().audience("https://MCP.example.com/mcp"),
        ),
        ("http", good().audience("http://mcp.example.com/mcp")),
        (
            "in the place of the client",
            good().audience("client-1").client_id(RESOURCE),
        ),
        (
            "in the place of azp",
            good().without("aud").claim("azp", &format!("{RESOURCE:?}")),
        ),
    ] {
        let expected = bad_token("wrong_audience", OTHER_RESOURCE);
        let request = call(&ISSUER.token(&claims), "get_note");
        house.refuses(what, request, &expected).await;
    }
    let in_list = good().claim("aud", &format!("[\"https://other.example\",{RESOURCE:?}]"));
    house
        .passes("in a list", call(&ISSUER.token(&in_list), "get_note"))
        .await;

    // Meant for us, and no access token.
    for (what, claims) in [
        ("an ID token", good().claim("nonce", "\"n\"")),
        ("an ID token's hash", good().claim("at_hash", "\"h\"")),
        (
            "an ID token by its use",
            good().claim("token_use", "\"id\""),
        ),
        ("a logout token", good().claim("events", "{}")),
        (
            "a token of a key's holder",
            good().claim("cnf", r#"{"jkt":"x"}"#),
        ),
    ] {
        let expected = bad_token("wrong_type", OTHER_KIND);
        let request = call(&ISSUER.token(&claims), "get_note");
        house.refuses(what, request, &expected).await;
    }
    for typ in ["oauth-id-jag+jwt", "dpop+jwt", "logout+jwt"] {
        let kid = ISSUER.kid(Algorithm::ES256);
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#);
        let token = ISSUER.sign_raw(Algorithm::ES256, &header, &good().to_json());
        let expected = bad_token("wrong_type", OTHER_KIND);
        house
            .refuses(typ, call(&token, "get_note"), &expected)
            .await;
    }
}

#[tokio::test]
async fn trap_19_scopes_are_asked_for_before_the_token_is_known_to_be_good() {
    let house = House::new();
    // Each of them lacks the scope too: to ask for more would be in vain.
    let poor = || alice("other");
    let expected = lacks("7", "read:data write:data").of("tools/call", "put_note");
    house
        .refuses("good", call(&ISSUER.token(&poor()), "put_note"), &expected)
        .await;
    for (what, token, reason, description) in [
        (
            "expired",
            ISSUER.token(&poor().claim("exp", "1799999970")),
            "expired",
            EXPIRED,
        ),
        (
            "for another",
            ISSUER.token(&poor().audience("https://other.example")),
            "wrong_audience",
            OTHER_RESOURCE,
        ),
        (
            "from another",
            ISSUER.token(&poor().issuer("https://other.example")),
            "wrong_issuer",
            "The access token is from an issuer that is not trusted here",
        ),
        (
            "unsigned",
            ISSUER.wrong_token(WrongToken::BrokenSignature, &poor()),
            "bad_signature",
            "The signature of the access token does not verify",
        ),
        (
            "no subject",
            ISSUER.token(&poor().without("sub")),
            "invalid_token",
            MALFORMED,
        ),
    ] {
        let expected = bad_token(reason, description);
        house
            .refuses(what, call(&token, "put_note"), &expected)
            .await;
    }
    let until = NOW.saturating_add(Duration::from_secs(330));
    house.revocations.revoke_token(ISSUER.url(), "t-1", until);
    let expected = bad_token("revoked", "The access token was revoked").by("alice");
    let token = ISSUER.token(&poor());
    house
        .refuses("revoked", call(&token, "put_note"), &expected)
        .await;
    for method in ["GET", "DELETE"] {
        let expected = expected.clone().of(method, "");
        house
            .refuses(method, request(method, &token, ""), &expected)
            .await;
    }
}

#[tokio::test]
async fn trap_22_a_client_is_sent_for_scopes_in_vain() {
    let house = House::new();
    // No scope helps: no challenge, or the client goes round in circles.
    let admin = ISSUER.token(&alice("admin"));
    let expected = denied("7").of("tools/call", "drop_all");
    house
        .refuses("no rule", call(&admin, "drop_all"), &expected)
        .await;
    let bob = ISSUER.token(&good().subject("bob"));
    let expected = no(403, "no_key")
        .rpc("7", -31403, "This is not allowed", "")
        .by("bob")
        .of("tools/call", "get_note")
        .needs("read:data");
    house
        .refuses("no key", call(&bob, "get_note"), &expected)
        .await;

    // All that is missing at once, and what is held beside it.
    for (held, tool, needed, challenged) in [
        (
            "other",
            "put_note",
            "read:data write:data",
            "read:data write:data",
        ),
        (
            "other",
            "export",
            "read:data export:data",
            "read:data export:data",
        ),
        (
            "export:data",
            "put_note",
            "read:data write:data",
            "read:data write:data export:data",
        ),
        // No scope is part of another by its letters, and only a space parts two.
        ("read", "get_note", "read:data", "read:data"),
        ("read:data:all", "get_note", "read:data", "read:data"),
        ("READ:DATA", "get_note", "read:data", "read:data"),
        ("read:data,write:data", "get_note", "read:data", "read:data"),
        (
            "read:data\twrite:data",
            "get_note",
            "read:data",
            "read:data",
        ),
        (
            "read:data\nwrite:data",
            "get_note",
            "read:data",
            "read:data",
        ),
        (
            "read:data\u{a0}write:data",
            "get_note",
            "read:data",
            "read:data",
        ),
    ] {
        let expected = lacks("7", needed)
            .challenge(&format!(
                r#"Bearer error="insufficient_scope", scope="{challenged}", {METADATA}"#
            ))
            .of("tools/call", tool);
        let token = ISSUER.token(&alice(held));
        house.refuses(held, call(&token, tool), &expected).await;
    }

    // What is enough, in every form that issuers give it.
    for (what, claims, tool) in [
        ("implied by one", alice("write:data"), "get_note"),
        ("implied by two", alice("admin"), "put_note"),
        (
            "several spaces",
            alice(" read:data  write:data "),
            "put_note",
        ),
        (
            "scope as a list",
            alice("").claim("scope", r#"["read:data","write:data"]"#),
            "put_note",
        ),
        (
            "scp as a list",
            alice("")
                .without("scope")
                .claim("scp", r#"["read:data","write:data"]"#),
            "put_note",
        ),
        (
            "scp as text",
            alice("").without("scope").claim("scp", "\"write:data\""),
            "put_note",
        ),
    ] {
        let token = ISSUER.token(&claims);
        house.passes(what, call(&token, tool)).await;
    }
}
