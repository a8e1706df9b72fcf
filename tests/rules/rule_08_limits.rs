//! Rule 8: what is counted, for whom, and when it is worth coming back.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use mcp_auth::{
    BoxRateLimitStore, MemoryRateLimitStore, PeerAddr, Quota, RateLimit, RateLimitLayer,
    testing::ClaimsBuilder,
};

use crate::house::{
    House, ISSUER, No, RequestExt, SESSION, alice, call, call_body, calls_per_hour, no, post,
    reader, writer,
};

fn limited(seconds: u64) -> No {
    no(429, "rate_limited")
        .retry_after(seconds)
        .rpc(
            "7",
            -31429,
            "Too many requests",
            &format!(r#"{{"retryAfterSeconds":{seconds}}}"#),
        )
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data")
}

fn layer(limit: RateLimit) -> RateLimitLayer<BoxRateLimitStore> {
    RateLimitLayer::new(BoxRateLimitStore::new(MemoryRateLimitStore::new()), limit)
}

fn per_hour(n: u32) -> Quota {
    Quota::per_hour(NonZeroU32::new(n).unwrap())
}

fn token(claims: ClaimsBuilder) -> String {
    ISSUER.token(&claims)
}

#[tokio::test]
async fn rule_08_so_many_at_once_then_evenly() {
    let house = House::with(|plan| plan.limits = calls_per_hour(3));
    let patient = token(alice("read:data").claim("exp", "1800007200"));
    for _ in 0..3 {
        let (_, event) = house.passes("at once", call(&patient, "get_note")).await;
        assert_eq!(event.rate_limit().map(|it| it.as_str()), Some("ok"));
    }
    for what in ["one more", "asking costs nothing"] {
        house
            .refuses(what, call(&patient, "get_note"), &limited(1200))
            .await;
    }
    let events = house.audit.events();
    let said = events.last().unwrap().rate_limit();
    assert_eq!(said.map(|it| it.as_str()), Some("limited"));
    // Rounded up, and never 0.
    house.clock.advance(Duration::from_millis(1_198_500));
    house
        .refuses("1.5 s", call(&patient, "get_note"), &limited(2))
        .await;
    house.clock.advance(Duration::from_millis(1_499));
    house
        .refuses("1 ms", call(&patient, "get_note"), &limited(1))
        .await;
}

#[tokio::test]
async fn rule_08_a_unit_comes_back_when_it_was_said() {
    let house = House::with(|plan| {
        plan.limits = layer(RateLimit::new("calls", Quota::per_second(NonZeroU32::MIN)));
    });
    house.passes("first", call(&reader(), "get_note")).await;
    house
        .refuses("second", call(&reader(), "get_note"), &limited(1))
        .await;
    house.clock.advance(Duration::from_secs(1));
    house
        .passes("a second later", call(&reader(), "get_note"))
        .await;
    house
        .refuses("again", call(&reader(), "get_note"), &limited(1))
        .await;
}

#[tokio::test]
async fn rule_08_a_principal_has_one_bucket_and_no_other() {
    let house = House::with(|plan| plan.limits = calls_per_hour(1));
    house.passes("first", call(&reader(), "get_note")).await;
    for (what, token) in [
        ("another token", token(alice("read:data").jwt_id("t-9"))),
        (
            "another session",
            token(alice("read:data").session_id("s-9")),
        ),
        ("more scopes", writer()),
    ] {
        house
            .refuses(what, call(&token, "get_note"), &limited(3600))
            .await;
    }
    let in_session = call(&reader(), "get_note").and("mcp-session-id", SESSION);
    house.open_session(&reader()).await;
    house
        .refuses("another MCP session", in_session, &limited(3600))
        .await;
    let other = limited(3600).of("tools/call", "get_other");
    house
        .refuses("another tool", call(&reader(), "get_other"), &other)
        .await;
    for (what, claims) in [
        ("another user", alice("read:data").subject("carol")),
        (
            "through another client",
            alice("read:data").client_id("client-2"),
        ),
        ("without a client", alice("read:data").without("client_id")),
    ] {
        house.passes(what, call(&token(claims), "get_note")).await;
    }
}

#[tokio::test]
async fn rule_08_only_what_is_chosen_counts_and_only_if_it_may_pass() {
    let house = House::with(|plan| plan.limits = calls_per_hour(1));
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"prompts/get","params":{"name":"greet"}}"#,
    ] {
        for _ in 0..3 {
            let (_, event) = house.passes(body, post(&reader(), body)).await;
            assert_eq!(event.rate_limit(), None);
        }
    }
    let denied = no(403, "denied")
        .rpc("7", -31403, "This is not allowed", "")
        .by("alice")
        .of("tools/call", "drop_all");
    for _ in 0..3 {
        house
            .refuses("denied", call(&reader(), "drop_all"), &denied)
            .await;
    }
    house
        .passes("the first that counts", call(&reader(), "get_note"))
        .await;
    house
        .refuses("the second", call(&reader(), "get_note"), &limited(3600))
        .await;
    // A call without an id is a call.
    let note = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_note"}}"#;
    let expected = limited(3600).rpc(
        "",
        -31429,
        "Too many requests",
        r#"{"retryAfterSeconds":3600}"#,
    );
    house
        .refuses("without an id", post(&reader(), note), &expected)
        .await;
}

#[tokio::test]
async fn rule_08_batches_and_dear_tools_cost_what_is_in_them() {
    let house = House::with(|plan| {
        plan.limits = layer(RateLimit::new("calls", per_hour(4)).with_cost("get_all*", 3));
    });
    let batch = |tools: &[&str]| {
        let calls: Vec<_> = tools.iter().map(|tool| call_body("7", tool)).collect();
        post(&reader(), format!("[{}]", calls.join(",")))
    };
    let refused = |seconds: u64| {
        limited(seconds)
            .rpc(
                "",
                -31429,
                "Too many requests",
                &format!(r#"{{"retryAfterSeconds":{seconds}}}"#),
            )
            .of("batch", "")
    };
    house
        .refuses(
            "more than there ever is",
            batch(&["get_a"; 5]),
            &refused(3600),
        )
        .await;
    house.passes("3", call(&reader(), "get_all_notes")).await;
    house
        .refuses("2 of 1", batch(&["get_a", "get_b"]), &refused(900))
        .await;
    let dear = limited(1800).of("tools/call", "get_all_notes");
    house
        .refuses("3 of 1", call(&reader(), "get_all_notes"), &dear)
        .await;
    // Nothing was taken in vain.
    house.passes("1 of 1", call(&reader(), "get_note")).await;
}

#[tokio::test]
async fn rule_08_what_opens_a_session_is_503_for_clients_take_429_for_an_old_server() {
    let house = House::with(|plan| {
        let limit = RateLimit::new("opening", per_hour(1));
        plan.limits = layer(limit.with_methods(["initialize", "server/discover"]));
    });
    let initialize = r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"probe","version":"1.2"}}}"#;
    let (_, event) = house.passes("first", post(&reader(), initialize)).await;
    assert_eq!(event.client_claimed(), Some("probe/1.2"));
    let expected = no(503, "rate_limited")
        .retry_after(3600)
        .rpc(
            "\"a\"",
            -31503,
            "Too many requests",
            r#"{"retryAfterSeconds":3600}"#,
        )
        .by("alice")
        .needs("read:data");
    let opening = expected.clone().of("initialize", "");
    house
        .refuses("second", post(&reader(), initialize), &opening)
        .await;
    let discover = r#"{"jsonrpc":"2.0","id":"a","method":"server/discover"}"#;
    let request = post(&reader(), discover)
        .and("mcp-protocol-version", "2026-07-28")
        .and("mcp-method", "server/discover");
    let expected = expected.of("server/discover", "");
    house.refuses("discovery", request, &expected).await;
}

#[tokio::test]
async fn rule_08_whose_part_is_not_known_is_not_let_through() {
    let house = House::with(|plan| {
        plan.limits = layer(RateLimit::new("calls", per_hour(1)).per_peer());
    });
    let expected = no(500, "layer_missing")
        .oauth("server_error", "The server is misconfigured")
        .error()
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data");
    house
        .refuses("no address", call(&reader(), "get_note"), &expected)
        .await;
    let from = |address: &str| {
        let mut request = call(&reader(), "get_note");
        let address: IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(PeerAddr::new(address));
        request
    };
    house.passes("one", from("192.0.2.1")).await;
    house
        .refuses("the same", from("192.0.2.1"), &limited(3600))
        .await;
    house.passes("another", from("192.0.2.2")).await;
}
