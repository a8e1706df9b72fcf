//! Clients that are pages in a browser.

use http::Request;

use crate::{
    answers::{lacks, stranger},
    house::{Body, House, RequestExt, call, fields, no, reader, request, told},
};

const PAGE: &str = "https://mcp.example.com";
const METADATA_PATHS: [&str; 2] = [
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource",
];

fn preflight(origin: &str) -> Request<Body> {
    request("OPTIONS", "", "")
        .and("origin", origin)
        .and("access-control-request-method", "POST")
        .and(
            "access-control-request-headers",
            "authorization,content-type,mcp-protocol-version,mcp-param-region",
        )
}

fn named(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let named = of
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    named.collect()
}

#[tokio::test]
async fn trap_15_a_page_is_shut_out_before_it_can_have_a_token() {
    let house = House::new();
    // A browser asks first, and never with a token.
    let answer = house.send("preflight", preflight(PAGE)).await;
    assert_eq!((answer.status, &*answer.body), (204, &b""[..]));
    let expected = [
        (
            "access-control-allow-headers",
            "authorization,content-type,mcp-protocol-version,mcp-param-region",
        ),
        ("access-control-allow-methods", "GET,POST,DELETE"),
        ("access-control-allow-origin", PAGE),
        ("access-control-max-age", "600"),
    ];
    assert_eq!(fields(&answer.headers), named(&expected));
    let event = told(&answer.event);
    assert_eq!((&*event.action, &*event.reason), ("preflight", "ok"));
    assert_eq!(event.status, Some(204));

    // The metadata is for every page there is.
    for path in METADATA_PATHS {
        for origin in [PAGE, "https://anybody.example", "null"] {
            for (method, status) in [("OPTIONS", 204), ("GET", 200), ("HEAD", 200)] {
                let mut request = preflight(origin).to(path);
                *request.method_mut() = method.parse().unwrap();
                let answer = house.send(path, request).await;
                assert_eq!(answer.status, status, "{method} {path} {origin}");
                let open = &answer.headers["access-control-allow-origin"];
                assert_eq!(open, "*", "{method} {path} {origin}");
                assert_eq!(answer.event.action(), "metadata");
            }
        }
    }

    // A page may read what it lacks. The house looks at every answer for what pages may read of it.
    for (what, request, expected) in [
        ("no token", call("", "get_note"), stranger()),
        (
            "no scope",
            call(&reader(), "put_note"),
            lacks("7", "read:data write:data").of("tools/call", "put_note"),
        ),
    ] {
        let mut answer = house.send(what, request.and("origin", PAGE)).await;
        let page = answer.headers.remove("access-control-allow-origin");
        assert_eq!(page.unwrap(), PAGE, "{what}");
        expected.assert(what, &answer);
    }
    // Only pages that are allowed. A challenge would send the others for a token.
    let expected = no(403, "origin_denied").oauth("access_denied", "The Origin is not allowed");
    for origin in [
        "https://evil.example",
        "https://mcp.example.com.evil.example",
        "null",
    ] {
        house
            .refuses(
                origin,
                call(&reader(), "get_note").and("origin", origin),
                &expected,
            )
            .await;
        house
            .refuses(
                origin,
                preflight(origin),
                &expected.clone().of("preflight", ""),
            )
            .await;
    }
    assert_eq!(house.seen().len(), 0);
}
