//! Who is slowed down, and what it is told.

use std::{net::IpAddr, num::NonZeroU32};

use mcp_auth::{
    BoxRateLimitStore, MemoryRateLimitStore, PeerAddr, Quota, RateLimit, RateLimitLayer,
    testing::ClaimsBuilder,
};

use crate::{
    answers::stranger,
    house::{
        House, ISSUER, RequestExt, alice, call, calls_per_hour, no, post, reader, request, writer,
    },
};

fn token(claims: &ClaimsBuilder) -> String {
    ISSUER.token(claims)
}

#[tokio::test]
async fn trap_21_the_limit_speaks_where_it_is_misunderstood() {
    let house = House::with(|plan| {
        let limit = RateLimit::new("opening", Quota::per_hour(NonZeroU32::MIN));
        let limit = limit.with_methods(["initialize", "server/discover"]);
        let store = BoxRateLimitStore::new(MemoryRateLimitStore::new());
        plan.limits = RateLimitLayer::new(store, limit);
    });
    let initialize = || {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#;
        post(&reader(), body)
    };
    let discover = || {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"server/discover"}"#;
        post(&reader(), body)
            .and("mcp-protocol-version", "2026-07-28")
            .and("mcp-method", "server/discover")
    };
    house.passes("the first", initialize()).await;
    // A client that is told 429 here takes the server for one of another age.
    let expected = no(503, "rate_limited")
        .retry_after(3600)
        .rpc(
            "7",
            -31503,
            "Too many requests",
            r#"{"retryAfterSeconds":3600}"#,
        )
        .by("alice")
        .needs("read:data");
    house
        .refuses(
            "initialize",
            initialize(),
            &expected.clone().of("initialize", ""),
        )
        .await;
    house
        .refuses(
            "server/discover",
            discover(),
            &expected.of("server/discover", ""),
        )
        .await;
    // What is public is not counted.
    for _ in 0..3 {
        let path = "/.well-known/oauth-protected-resource/mcp";
        let answer = house.send(path, request("GET", "", "").to(path)).await;
        assert_eq!((answer.status, answer.event.rate_limit()), (200, None));
    }
}

#[tokio::test]
async fn trap_21_the_limit_counts_for_somebody_else() {
    let house = House::with(|plan| plan.limits = calls_per_hour(1));
    // One office, one address.
    let ask = |token: &str| {
        let mut request = call(token, "get_note");
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        request.extensions_mut().insert(PeerAddr::new(address));
        request
    };
    for _ in 0..3 {
        house.refuses("nobody", ask(""), &stranger()).await;
    }
    house.passes("alice", ask(&reader())).await;
    // A new token is not a new caller.
    let expected = no(429, "rate_limited")
        .retry_after(3600)
        .rpc(
            "7",
            -31429,
            "Too many requests",
            r#"{"retryAfterSeconds":3600}"#,
        )
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data");
    for (what, token) in [
        ("the same token", reader()),
        ("another token", token(&alice("read:data").jwt_id("t-2"))),
        ("more scopes", writer()),
    ] {
        house.refuses(what, ask(&token), &expected).await;
    }
    for (what, claims) in [
        ("another user", alice("read:data").subject("carol")),
        ("another client", alice("read:data").client_id("client-2")),
    ] {
        house.passes(what, ask(&token(&claims))).await;
    }
}
