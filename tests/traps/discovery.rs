//! How clients find the authorization server.

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    AuthStack, Decision, JwtValidator, ResourceMetadata, StaticJwks, policy_fn, testing::TestClock,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    answers::{lacks, stranger},
    house::{
        House, ISSUER, NOW, RequestExt, UpstreamBody, alice, bad_token, call, post, reader, request,
    },
};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a proxy in between may say, or a client that pretends to be one.
const CLAIMS: [(&str, &str); 7] = [
    ("x-forwarded-proto", "http"),
    ("x-forwarded-port", "4711"),
    ("x-forwarded-prefix", "/canary"),
    ("forwarded", "host=canary.example;proto=http"),
    ("x-original-host", "canary.example"),
    ("x-original-url", "/canary"),
    ("x-rewrite-url", "/canary"),
];

#[tokio::test]
async fn trap_16_the_address_of_the_metadata_is_taken_from_the_request() {
    let house = House::new();
    // The house's requests name another host than the resource's already.
    let claiming = |request| {
        CLAIMS.iter().fold(request, |request, (name, value)| {
            RequestExt::and(request, name, value)
        })
    };
    let from = "http://host-canary.example/mcp";
    house
        .refuses(
            "no token",
            claiming(call("", "get_note")).to(from),
            &stranger(),
        )
        .await;
    let expired = ISSUER.token(&alice("read:data").claim("exp", "1"));
    let expected = bad_token("expired", "The access token expired");
    house
        .refuses("expired", claiming(call(&expired, "get_note")), &expected)
        .await;
    let expected = lacks("7", "read:data write:data").of("tools/call", "put_note");
    house
        .refuses("no scope", claiming(call(&reader(), "put_note")), &expected)
        .await;
    let document = format!(
        r#"{{"authorization_servers":["{}"],"bearer_methods_supported":["header"],"resource":"https://mcp.example.com/mcp","scopes_supported":["read:data"]}}"#,
        ISSUER.url()
    );
    for path in [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/mcp")] {
        for uri in [path.clone(), format!("http://host-canary.example{path}")] {
            let answer = house
                .send(&uri, claiming(request("GET", "", "")).to(&uri))
                .await;
            assert_eq!(answer.status, 200, "{uri}");
            assert_eq!(answer.body, document, "{uri}");
        }
    }
}

/// What one of several servers under one host answers: status, challenge and body.
async fn ask(server: &str, method: &str, token: &str, path: &str) -> (u16, String, String) {
    let resource = format!("https://mcp.example.com{server}");
    let stack = AuthStack::new(
        JwtValidator::new(ISSUER.url(), &resource).unwrap(),
        StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap(),
        ResourceMetadata::new(&resource, [ISSUER.url()])
            .unwrap()
            .without_root_alias(),
        policy_fn(|_| Decision::allow()),
    )
    .with_clock(TestClock::new(NOW));
    let service = stack.layer(service_fn(async |_| {
        let body: UpstreamBody = Full::from("upstream").boxed();
        Ok::<_, std::convert::Infallible>(Response::new(body))
    }));
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
    let mut request = match method {
        "POST" => post(token, body),
        _ => request(method, token, ""),
    };
    let host = "mcp.example.com".parse().unwrap();
    request.headers_mut().insert("host", host);
    let (head, body) = service
        .oneshot(request.to(path))
        .await
        .unwrap()
        .into_parts();
    let body: Bytes = body.collect().await.unwrap().to_bytes();
    let challenge = head.headers.get("www-authenticate");
    (
        head.status.as_u16(),
        challenge.map_or("", |it| it.to_str().unwrap()).to_owned(),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn trap_17_two_servers_of_one_host_share_a_resource() {
    for (server, other) in [("/notes", "/files"), ("/files", "/notes")] {
        let audience = format!("https://mcp.example.com{server}");
        let token = ISSUER.token(&alice("read:data").audience(&audience));
        let (status, _, body) = ask(server, "POST", &token, server).await;
        assert_eq!((status, &*body), (200, "upstream"));
        // It is nobody's but its own, and each says where its own is found.
        let (status, challenge, _) = ask(other, "POST", &token, other).await;
        let expected = format!(
            r#"Bearer error="invalid_token", resource_metadata="https://mcp.example.com{WELL_KNOWN}{other}", error_description="The access token is meant for another resource""#
        );
        assert_eq!((status, challenge), (401, expected));
        let (status, challenge, body) =
            ask(server, "GET", "", &format!("{WELL_KNOWN}{server}")).await;
        let expected = format!(
            r#"{{"authorization_servers":["{}"],"bearer_methods_supported":["header"],"resource":"{audience}"}}"#,
            ISSUER.url()
        );
        assert_eq!((status, &*challenge, body), (200, "", expected));
        // Neither speaks for the other or for the whole host.
        for path in [
            WELL_KNOWN.to_owned(),
            format!("{WELL_KNOWN}/"),
            format!("{WELL_KNOWN}{other}"),
            format!("{WELL_KNOWN}{server}/"),
        ] {
            let (status, challenge, _) = ask(server, "GET", "", &path).await;
            let expected = format!(
                r#"Bearer resource_metadata="https://mcp.example.com{WELL_KNOWN}{server}""#
            );
            assert_eq!((status, challenge), (401, expected), "{path}");
        }
    }
    // Clients compare the resource with what was typed, and find a slash too many.
    ResourceMetadata::new("https://mcp.example.com/notes/", [ISSUER.url()]).unwrap_err();
}

#[tokio::test]
async fn trap_17_the_resource_has_a_slash_more_or_less() {
    // Clients write a resource without a path in both ways, and one with a path in one way alone.
    for (server, audience, status) in [
        ("", "https://mcp.example.com", 200),
        ("", "https://mcp.example.com/", 200),
        ("", "https://mcp.example.com//", 401),
        ("", "http://mcp.example.com", 401),
        ("/mcp", "https://mcp.example.com/mcp", 200),
        ("/mcp", "https://mcp.example.com/mcp/", 401),
        ("/mcp", "https://mcp.example.com/", 401),
    ] {
        let token = ISSUER.token(&alice("read:data").audience(audience));
        let (answered, ..) = ask(server, "POST", &token, "/mcp").await;
        assert_eq!(answered, status, "{server:?}: {audience}");
    }
}
