//! Rule 6: the service behind sees the caller's internal key, and nothing else that could pass for
//! an identity; the key never comes back.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use mcp_auth::{
    AuthStack, BoxKeyStore, Decision, JwtValidator, KeyHeader, KeyMap, KeyMapLayer, McpBody,
    ResourceMetadata, StaticJwks, UpstreamKey, VerifiedToken, policy_fn, testing::TestClock,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::house::{
    House, ISSUER, NOW, RESOURCE, RequestExt, UpstreamBody, alice, answering, call, fields, no,
    reader, request, writer,
};

#[tokio::test]
async fn rule_06_the_weakest_key_that_suffices_is_injected() {
    let house = House::new();
    for (held, tool, name) in [
        ("read:data", "get_note", "ro"),
        ("write:data", "get_note", "ro"),
        ("write:data", "put_note", "rw"),
        ("read:data export:data", "export", "all"),
        ("admin", "put_note", "rw"),
    ] {
        let what = format!("{held}: {tool}");
        let token = ISSUER.token(&alice(held));
        let (seen, event) = house.passes(&what, call(&token, tool)).await;
        let keys: Vec<_> = seen.headers.get_all("x-api-key").iter().collect();
        assert_eq!(keys, [&*format!("internal-key-{name}")], "{what}");
        assert_eq!(event.key_name(), Some(name), "{what}");
        assert!(!seen.headers.contains_key("authorization"), "{what}");
    }
}

#[tokio::test]
async fn rule_06_whoever_has_no_key_is_denied_without_a_challenge() {
    let house = House::new();
    let denied = no(403, "no_key")
        .rpc("7", -31403, "This is not allowed", "")
        .of("tools/call", "get_note")
        .needs("read:data");
    for (what, claims, user) in [
        ("nobody's", alice("read:data").subject("bob"), "bob"),
        (
            "in other letters",
            alice("read:data").subject("Alice"),
            "Alice",
        ),
        (
            "a space more",
            alice("read:data").subject("alice "),
            "alice ",
        ),
        // A machine called alice is not the user alice.
        ("a machine", alice("read:data").client_id("alice"), "alice"),
        (
            "a machine by azp",
            alice("read:data")
                .without("client_id")
                .claim("azp", "\"alice\""),
            "alice",
        ),
    ] {
        let request = call(&ISSUER.token(&claims), "get_note");
        house.refuses(what, request, &denied.clone().by(user)).await;
    }
    // One key, which serves less than what was granted.
    let token = ISSUER.token(&alice("write:data").subject("carol"));
    let expected = no(403, "no_key")
        .rpc("7", -31403, "This is not allowed", "")
        .by("carol")
        .of("tools/call", "put_note")
        .needs("read:data write:data");
    house
        .refuses("too weak", call(&token, "put_note"), &expected)
        .await;
    house
        .passes("strong enough", call(&token, "get_note"))
        .await;
    let expected = no(403, "no_key")
        .oauth("access_denied", "This is not allowed")
        .by("bob")
        .of("DELETE", "")
        .needs("read:data");
    let bob = ISSUER.token(&alice("read:data").subject("bob"));
    house
        .refuses("no message", request("DELETE", &bob, ""), &expected)
        .await;
}

/// What a client could pretend to be somebody else with.
const PRETENCES: [&str; 34] = [
    "authorization_",
    "http_authorization",
    "http-authorization",
    "x-authorization",
    "proxy-authorization",
    "proxy_authorization",
    "x_api_key",
    "x-api_key",
    "x-api-key-",
    "x-x-api-key",
    "http_x_api_key",
    "http-x-api-key",
    "x-mcp-notes-authorization",
    "x-mcp-other-authorization",
    "x_mcp_notes_authorization",
    "x-forwarded-user",
    "x_forwarded_user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-access-token",
    "x-remote-user",
    "remote-user",
    "remote_user",
    "x-user",
    "x-amzn-oidc-data",
    "x-goog-authenticated-user-email",
    "x-ms-client-principal",
    "x-pomerium-jwt-assertion",
    "cf-access-jwt-assertion",
];

#[tokio::test]
async fn rule_06_no_identity_passes_from_the_client_under_any_alias() {
    let house = House::new();
    let pretend = |mut request: Request<_>| {
        for name in PRETENCES {
            request = RequestExt::and(request, name, "pretence");
        }
        request
            .and("x-api-key", "pretence")
            .and("x-api-key", "pretence")
            .and("connection", "keep-alive, x-api-key, x-hop, content-length")
            .and("x-hop", "pretence")
            .and("x-request-id", "r-1")
    };
    let expected = [
        ("content-type", "application/json"),
        ("host", "host-canary.example"),
        ("x-api-key", "internal-key-ro"),
        ("x-forwarded-host", "forwarded-canary.example"),
        ("x-request-id", "r-1"),
    ];
    let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let (seen, _) = house
        .passes("call", pretend(call(&reader(), "get_note")))
        .await;
    assert_eq!(fields(&seen.headers), expected);
    let (seen, _) = house
        .passes("GET", pretend(request("GET", &reader(), "")))
        .await;
    assert_eq!(fields(&seen.headers), expected[1..]);
}

#[tokio::test]
async fn rule_06_the_same_holds_where_no_key_is_injected() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let jwks = StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap();
    let stack = AuthStack::new(
        JwtValidator::new(ISSUER.url(), RESOURCE).unwrap(),
        jwks,
        ResourceMetadata::new(RESOURCE, [ISSUER.url()]).unwrap(),
        policy_fn(|_| Decision::allow()),
    )
    .with_clock(TestClock::new(NOW));
    let service = stack.layer(service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<McpBody>| {
            // The proof of who is calling is there for the service.
            let token = request.extensions().get::<VerifiedToken>().unwrap();
            assert_eq!(token.principal().subject(), "alice");
            seen.lock().unwrap().push(request.headers().clone());
            let body = UpstreamBody::new(Empty::new());
            async { Ok::<_, std::convert::Infallible>(Response::new(body)) }
        }
    }));
    let mut request = call(&reader(), "get_note").and("x-api-key", "pretence");
    for name in PRETENCES {
        request = request.and(name, "pretence");
    }
    let host = "mcp.example.com".parse().unwrap();
    request.headers_mut().insert("host", host);
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let expected = [
        ("content-type", "application/json"),
        ("host", "mcp.example.com"),
        ("x-forwarded-host", "forwarded-canary.example"),
    ];
    let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(fields(&seen.lock().unwrap()[0]), expected);
}

fn keyed(
    house_key: &'static str,
    header: &str,
) -> KeyMapLayer<BoxKeyStore<mcp_auth::UpstreamKeyId, UpstreamKey>> {
    let map = KeyMap::from_json(&format!(r#"{{"alice":"{house_key}"}}"#)).unwrap();
    KeyMapLayer::new(BoxKeyStore::new(map)).with_header(header.parse::<KeyHeader>().unwrap())
}

#[tokio::test]
async fn rule_06_the_key_goes_under_the_header_of_choice_alone() {
    for (header, name, value) in [
        ("x-api-key", "x-api-key", "internal-key-1"),
        ("Authorization", "authorization", "Bearer internal-key-1"),
        (
            "authorization: Token {key}",
            "authorization",
            "Token internal-key-1",
        ),
        (
            "x-mcp-notes-authorization: {key}",
            "x-mcp-notes-authorization",
            "internal-key-1",
        ),
    ] {
        let house = House::with(|plan| plan.upstream_keys = keyed("internal-key-1", header));
        let mut request = call(&reader(), "get_note");
        for pretence in PRETENCES {
            request = request.and(pretence, "pretence");
        }
        let (seen, _) = house.passes(header, request).await;
        let mut expected = vec![
            (name, value),
            ("content-type", "application/json"),
            ("host", "host-canary.example"),
            ("x-forwarded-host", "forwarded-canary.example"),
        ];
        // Another key's aliases mean nothing to a service that reads this header.
        if header != "x-api-key" {
            let others = PRETENCES.iter().filter(|name| name.contains("api"));
            expected.extend(others.map(|name| (*name, "pretence")));
        }
        expected.sort_unstable();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        assert_eq!(fields(&seen.headers), expected, "{header}");
        let field = &seen.headers[HeaderName::try_from(name).unwrap()];
        assert!(field.is_sensitive(), "{header}");
    }
}

#[tokio::test]
async fn rule_06_the_key_never_comes_back_in_a_field_and_bodies_are_not_touched() {
    for (header, echo) in [
        ("x-api-key", "internal-key-1"),
        ("authorization", "Bearer internal-key-1"),
    ] {
        let house = House::with(|plan| {
            plan.upstream_keys = keyed("internal-key-1", header);
            plan.upstream = answering(move |_| {
                let mut trailers = HeaderMap::new();
                for (name, value) in [("x-t-echo", echo), ("x-t", "1")] {
                    trailers.insert(name, value.parse().unwrap());
                }
                let frames = [
                    Ok(Frame::data(Bytes::from("body: internal-key-1"))),
                    Ok(Frame::trailers(trailers)),
                ];
                Response::builder()
                    .header("x-api-key", echo)
                    .header("set-cookie", format!("k={echo}; path=/"))
                    .header("set-cookie", "other=1")
                    .header("location", format!("https://up.example/?key={echo}"))
                    .header("x-kept", "internal-key-")
                    .body(StreamBody::new(futures_util::stream::iter(frames)).boxed())
                    .unwrap()
            });
        });
        let answer = house.send(header, call(&writer(), "put_note")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, "body: internal-key-1");
        let expected = [("set-cookie", "other=1"), ("x-kept", "internal-key-")];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(fields(&answer.headers), expected);
        let expected = [("x-t".to_owned(), "1".to_owned())];
        assert_eq!(fields(&answer.trailers.unwrap()), expected);
    }
}
