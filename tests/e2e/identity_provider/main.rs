//! The gateway before an MCP server, with the tokens, the metadata and the keys of a real identity
//! provider: `oidc-provider`, a certified OpenID provider.
//!
//! `tests/e2e/identity_provider.sh` installs the provider and runs this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod gated;
mod provider;
#[path = "../../support/mod.rs"]
mod support;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use self::{
    gated::{Gated, RESOURCE},
    provider::{Provider, get},
};

/// Another resource of the provider's.
const OTHER_RESOURCE: &str = "https://other.example.com/mcp";
/// The two clients that the provider knows, by how it signs their tokens.
const CLIENTS: [(&str, &str); 2] = [("RS256", "agent-RS256"), ("ES256", "agent-ES256")];
const METADATA: &str =
    r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;

/// A part of a token, read.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_tool_is_open_to_whom_the_provider_gave_its_scope() {
    let provider = Provider::start().await;
    let gated = Gated::start(&provider).await;
    for (algorithm, client) in CLIENTS {
        let reader = provider.token(client, Some(RESOURCE), "read:data").await;
        let header = part(&reader, 0);
        assert_eq!(header["alg"], algorithm);
        assert_eq!(header["typ"], "at+jwt");
        assert!(provider.kids().await.contains(&header["kid"]));
        let allowed = |tool: &str| {
            json!([
                client,
                provider.issuer(),
                "tools/call",
                tool,
                "allow",
                "ok",
                200
            ])
        };

        let answer = gated.call(Some(&reader), "get_note").await;
        assert_eq!((answer.status, answer.challenge), (200, None));
        assert_eq!(answer.audited, allowed("get_note"));
        assert_eq!(answer.forwarded.len(), 1);
        let forwarded = &answer.forwarded[0];
        assert!(forwarded.headers.get("authorization").is_none());
        let forwarded: Value = serde_json::from_slice(&forwarded.body).unwrap();
        assert_eq!(forwarded["params"]["name"], "get_note");

        let answer = gated.call(Some(&reader), "put_note").await;
        let challenge = format!(
            r#"Bearer error="insufficient_scope", scope="read:data write:data", {METADATA}"#
        );
        assert_eq!((answer.status, answer.challenge), (403, Some(challenge)));
        assert_eq!(
            answer.audited,
            json!([
                client,
                provider.issuer(),
                "tools/call",
                "put_note",
                "deny",
                "insufficient_scope",
                403
            ])
        );
        assert_eq!(answer.forwarded.len(), 0);

        let scopes = "read:data write:data";
        let writer = provider.token(client, Some(RESOURCE), scopes).await;
        let answer = gated.call(Some(&writer), "put_note").await;
        assert_eq!((answer.status, answer.challenge), (200, None));
        assert_eq!(answer.audited, allowed("put_note"));
        assert_eq!(answer.forwarded.len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_token_for_this_server_is_refused() {
    let provider = Provider::start().await;
    let gated = Gated::start(&provider).await;
    for (_, client) in CLIENTS {
        let token = provider.token(client, Some(RESOURCE), "read:data").await;
        let mut claims = part(&token, 1);
        claims["scope"] = "read:data write:data".into();
        let parts: Vec<&str> = token.split('.').collect();
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let tampered = [parts[0], &claims, parts[2]].join(".");

        let elsewhere = provider
            .token(client, Some(OTHER_RESOURCE), "read:data")
            .await;
        assert_eq!(part(&elsewhere, 1)["aud"], OTHER_RESOURCE);

        let opaque = provider.token(client, None, "read:data").await;
        assert!(!opaque.contains('.'));

        for (wrong, reason, description) in [
            (
                &tampered,
                "bad_signature",
                "The signature of the access token does not verify",
            ),
            (
                &elsewhere,
                "wrong_audience",
                "The access token is meant for another resource",
            ),
            (
                &opaque,
                "invalid_token",
                "The access token is malformed or not acceptable here",
            ),
        ] {
            let answer = gated.call(Some(wrong), "get_note").await;
            let challenge = format!(
                r#"Bearer error="invalid_token", scope="read:data", {METADATA}, error_description="{description}""#
            );
            assert_eq!((answer.status, answer.challenge), (401, Some(challenge)));
            assert_eq!(answer.audited, refused(reason));
            assert_eq!(answer.forwarded.len(), 0, "{reason}");
        }
        // What was tampered with is good.
        assert_eq!(gated.call(Some(&token), "get_note").await.status, 200);
    }
}

#[tokio::test]
async fn a_client_that_knows_nothing_finds_its_way_to_a_token() {
    let provider = Provider::start().await;
    let gated = Gated::start(&provider).await;
    let answer = gated.call(None, "get_note").await;
    let challenge = format!(r#"Bearer scope="read:data", {METADATA}"#);
    assert_eq!((answer.status, answer.challenge), (401, Some(challenge)));
    assert_eq!(answer.audited, refused("no_token"));
    assert_eq!(answer.forwarded.len(), 0);

    let metadata = get(&gated.url("/.well-known/oauth-protected-resource/mcp")).await;
    assert_eq!(
        metadata["authorization_servers"],
        json!([provider.issuer()])
    );
    let resource = metadata["resource"].as_str().unwrap();
    let (_, client) = CLIENTS[0];
    let token = provider.token(client, Some(resource), "read:data").await;
    assert_eq!(gated.call(Some(&token), "get_note").await.status, 200);
}

#[tokio::test]
async fn new_keys_of_the_provider_take_the_place_of_the_old_ones() {
    // A key that is not known is looked for once the keys that are there are older than this.
    const KEYS_ARE_YOUNG: Duration = Duration::from_secs(11);

    let mut provider = Provider::start().await;
    let (_, client) = CLIENTS[1];
    let gated = Gated::start(&provider).await;
    let old = provider.token(client, Some(RESOURCE), "read:data").await;
    assert_eq!(gated.call(Some(&old), "get_note").await.status, 200);

    provider.change_keys().await;
    let new = provider.token(client, Some(RESOURCE), "read:data").await;
    assert_ne!(part(&new, 0)["kid"], part(&old, 0)["kid"]);
    assert_eq!(gated.call(Some(&old), "get_note").await.status, 200);

    let mut gateways = vec![Gated::start(&provider).await];
    if std::env::var_os("CI").is_some() {
        tokio::time::sleep(KEYS_ARE_YOUNG).await;
        gateways.push(gated);
    }
    for gated in gateways {
        assert_eq!(gated.call(Some(&new), "get_note").await.status, 200);
        let answer = gated.call(Some(&old), "get_note").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.audited, refused("unknown_key"));
    }
}

/// What is audited where nobody knows who asks, nor looks for what.
fn refused(reason: &str) -> Value {
    json!([null, null, "POST", null, "deny", reason, 401])
}
