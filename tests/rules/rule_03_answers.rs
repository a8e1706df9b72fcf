//! Rule 3: what a refusal says, and what of the answer behind passes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mcp_auth::{McpRequest, Rejection, ScopePolicy, reject_fn};
use tower::ServiceExt;

use crate::house::{
    House, ISSUER, METADATA, RequestExt, Told, UpstreamBody, alice, answering, call, fields, no,
    post, reader, request, told,
};

fn upstream(status: u16, headers: &[(&str, &str)]) -> Response<UpstreamBody> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from("upstream").boxed()).unwrap()
}

#[tokio::test]
async fn rule_03_a_missing_scope_is_challenged_with_all_that_is_needed_then_what_is_held() {
    let house = House::new();
    let required = |scopes: &str| {
        let scopes: Vec<_> = scopes
            .split(' ')
            .map(|scope| format!("\"{scope}\""))
            .collect();
        format!(r#"{{"required":[{}]}}"#, scopes.join(","))
    };
    for (held, tool, challenged, needed) in [
        (
            "read:data",
            "put_note",
            "read:data write:data",
            "read:data write:data",
        ),
        ("", "get_note", "read:data", "read:data"),
        (
            "",
            "put_note",
            "read:data write:data",
            "read:data write:data",
        ),
        // Many clients replace what they had.
        (
            "export:data read:data",
            "put_note",
            "read:data write:data export:data",
            "read:data write:data",
        ),
        (
            "write:data",
            "export",
            "read:data export:data write:data",
            "read:data export:data",
        ),
        // What the policy does not know was not given for this resource.
        (
            "read:data openid offline_access canary",
            "put_note",
            "read:data write:data",
            "read:data write:data",
        ),
        ("READ:DATA", "get_note", "read:data", "read:data"),
    ] {
        let expected = no(403, "insufficient_scope")
            .challenge(&format!(
                r#"Bearer error="insufficient_scope", scope="{challenged}", {METADATA}"#
            ))
            .rpc(
                "7",
                -31403,
                "The access token lacks a scope",
                &required(needed),
            )
            .by("alice")
            .of("tools/call", tool)
            .needs(needed);
        let token = ISSUER.token(&alice(held));
        house
            .refuses(&format!("{held}: {tool}"), call(&token, tool), &expected)
            .await;
    }
}

#[tokio::test]
async fn rule_03_offline_access_is_never_asked_for() {
    let policy = r#"{"base": ["offline_access", "read:data"], "tools": {"*": ["write:data"]}}"#;
    let house = House::with(|plan| {
        plan.policy = Arc::new(ScopePolicy::from_json(policy).unwrap());
    });
    let first = no(401, "no_token")
        .challenge(&format!(r#"Bearer scope="read:data", {METADATA}"#))
        .oauth("invalid_token", "Authentication is required");
    house.refuses("first", call("", "get_note"), &first).await;
    let token = ISSUER.token(&alice("offline_access read:data"));
    let missing = no(403, "insufficient_scope")
        .challenge(&format!(
            r#"Bearer error="insufficient_scope", scope="read:data write:data", {METADATA}"#
        ))
        .rpc(
            "7",
            -31403,
            "The access token lacks a scope",
            r#"{"required":["offline_access","read:data","write:data"]}"#,
        )
        .by("alice")
        .of("tools/call", "put_note")
        .needs("offline_access read:data write:data");
    house
        .refuses("missing", call(&token, "put_note"), &missing)
        .await;
}

#[tokio::test]
async fn rule_03_a_body_of_ones_own_changes_nothing_else() {
    let house = House::with(|plan| {
        plan.reject = Arc::new(reject_fn(|rejection: &Rejection| {
            Response::builder()
                .status(StatusCode::OK)
                .header("www-authenticate", "Basic realm=x")
                .header("cache-control", "public")
                .header("retry-after", "0")
                .header("content-type", "application/json")
                .body(Bytes::from(format!("own: {}", rejection.reason())))
                .unwrap()
        }));
    });
    let answer = house.send("own body", call("", "get_note")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body, "own: no_token");
    let expected = [
        ("cache-control", "no-store".to_owned()),
        ("content-type", "application/json".to_owned()),
        (
            "www-authenticate",
            format!(r#"Bearer scope="read:data", {METADATA}"#),
        ),
    ];
    let expected: Vec<_> = expected
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    assert_eq!(fields(&answer.headers), expected);
    // Where no challenge belongs, none is smuggled in.
    let answer = house.send("denied", call(&reader(), "drop_all")).await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (403, &b"own: denied"[..])
    );
    assert_eq!(fields(&answer.headers), expected[..2]);
}

#[tokio::test]
async fn rule_03_the_metadata_is_public_and_says_what_was_configured() {
    let house = House::new();
    let document = format!(
        r#"{{"authorization_servers":["{}"],"bearer_methods_supported":["header"],"resource":"https://mcp.example.com/mcp","scopes_supported":["read:data"]}}"#,
        ISSUER.url()
    );
    let length = document.len().to_string();
    let open = ("access-control-allow-origin", "*");
    let get = vec![
        open,
        ("cache-control", "public, max-age=300"),
        ("content-type", "application/json"),
    ];
    let mut head = get.clone();
    head.insert(2, ("content-length", &length));
    let options = vec![
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        open,
        ("allow", "GET, HEAD, OPTIONS"),
        ("vary", "Access-Control-Request-Headers"),
    ];
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        for (method, status, headers, body) in [
            ("GET", 200, &get, &*document),
            ("HEAD", 200, &head, ""),
            ("OPTIONS", 204, &options, ""),
        ] {
            let mut request = request(method, "", "").to(path);
            if method == "OPTIONS" {
                request = request.and("access-control-request-headers", "authorization");
            }
            let answer = house.send(method, request).await;
            assert_eq!(
                (answer.status, &answer.body[..]),
                (status, body.as_bytes()),
                "{method}"
            );
            let named = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let headers: Vec<_> = headers.iter().map(named).collect();
            assert_eq!(fields(&answer.headers), headers, "{method}");
            let event = told(&answer.event);
            let expected = Told {
                decision: "allow".into(),
                reason: "ok".into(),
                status: Some(status),
                user: None,
                action: "metadata".into(),
                tool: None,
                required: String::new(),
                cancelled: false,
            };
            assert_eq!(event, expected, "{method}");
        }
        for method in ["POST", "PUT", "DELETE"] {
            let answer = house
                .send(method, request(method, "", "canary").to(path))
                .await;
            let expected = [
                ("access-control-allow-origin", "*"),
                ("allow", "GET, HEAD, OPTIONS"),
                ("cache-control", "no-store"),
                ("content-type", "application/json"),
            ];
            let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(fields(&answer.headers), expected, "{method}");
            assert_eq!(
                answer.body,
                r#"{"error":"method_not_allowed","error_description":"The metadata can only be read"}"#
            );
            let event = told(&answer.event);
            assert_eq!(
                (&*event.reason, &*event.decision),
                ("method_not_allowed", "deny")
            );
            assert_eq!(event.action, "metadata");
        }
    }
    assert!(house.seen().is_empty());
    // Anything else down there is guarded like the rest.
    let expected = no(401, "no_token")
        .challenge(&format!(r#"Bearer scope="read:data", {METADATA}"#))
        .oauth("invalid_token", "Authentication is required")
        .of("GET", "");
    for path in [
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/openid-configuration",
    ] {
        house
            .refuses(path, request("GET", "", "").to(path), &expected)
            .await;
    }
}

#[tokio::test]
async fn rule_03_the_answer_behind_passes_but_for_its_challenge() {
    for status in [200, 202, 307, 400, 403, 404, 405, 429, 500, 503] {
        let house = House::with(|plan| {
            plan.upstream = answering(move |_| {
                upstream(
                    status,
                    &[
                        ("www-authenticate", "Bearer scope=\"canary\""),
                        ("www-authenticate", "Basic realm=canary"),
                        ("x-own", "1"),
                        ("x-own", "2"),
                        ("retry-after", "9"),
                    ],
                )
            });
        });
        let answer = house.send("passes", call(&reader(), "get_note")).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (status, &b"upstream"[..])
        );
        let expected = [("retry-after", "9"), ("x-own", "1"), ("x-own", "2")];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(fields(&answer.headers), expected);
        let event = told(&answer.event);
        assert_eq!((&*event.reason, event.status), ("ok", Some(status)));
    }
}

#[tokio::test]
async fn rule_03_a_401_behind_is_502_unless_it_is_asked_for() {
    let refusing = || answering(|_| upstream(401, &[("www-authenticate", "Bearer canary")]));
    let house = House::with(|plan| plan.upstream = refusing());
    for (what, request, action, tool, body) in [
        (
            "call",
            call(&reader(), "get_note"),
            "tools/call",
            "get_note",
            true,
        ),
        ("GET", request("GET", &reader(), ""), "GET", "", false),
    ] {
        let answer = house.send(what, request).await;
        let expected = no(502, "upstream_error");
        let expected = if body {
            expected.rpc("7", -31502, "The upstream failed", "")
        } else {
            expected.oauth("upstream_error", "The upstream failed")
        };
        expected
            .error()
            .by("alice")
            .of(action, tool)
            .needs("read:data")
            .assert(what, &answer);
    }
    assert_eq!(house.seen().len(), 2);

    let house = House::with(|plan| {
        plan.upstream = refusing();
        plan.upstream_keys = plan.upstream_keys.clone().with_upstream_challenges();
    });
    let answer = house.send("asked for", call(&reader(), "get_note")).await;
    assert_eq!((answer.status, &answer.body[..]), (401, &b"upstream"[..]));
    assert_eq!(answer.headers["www-authenticate"], "Bearer canary");
}

#[tokio::test]
async fn rule_03_an_upstream_that_breaks_or_is_silent() {
    // As a gateway answers that stands behind the stack.
    let read = |seen: &crate::house::Seen| McpRequest::from_json(&seen.body).unwrap();
    let house = House::with(|plan| {
        plan.upstream =
            answering(move |seen| Rejection::upstream_error(Some(&read(&seen))).into_response());
    });
    let broken = no(502, "upstream_error")
        .rpc("7", -31502, "The upstream failed", "")
        .error()
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data");
    let answer = house.send("broken", call(&reader(), "get_note")).await;
    broken.assert("broken", &answer);

    let house = House::with(|plan| {
        plan.upstream =
            answering(move |seen| Rejection::upstream_timeout(Some(&read(&seen))).into_response());
    });
    let silent = no(504, "timeout")
        .rpc("7", -31502, "The upstream did not answer in time", "")
        .error()
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data");
    let answer = house.send("silent", call(&reader(), "get_note")).await;
    silent.assert("silent", &answer);

    // A service that fails is passed on as it is, and recorded.
    let house = House::with(|plan| {
        plan.upstream = Arc::new(|_| std::future::ready(Err("canary")).boxed());
    });
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let error = house.service.clone().oneshot(post(&reader(), ping)).await;
    assert_eq!(error.unwrap_err(), "canary");
    let [event] = &house.audit.events()[..] else {
        panic!("one event")
    };
    let expected = Told {
        decision: "error".into(),
        reason: "upstream_error".into(),
        status: None,
        user: Some("alice".into()),
        action: "ping".into(),
        tool: None,
        required: "read:data".into(),
        cancelled: false,
    };
    assert_eq!(told(event), expected);
}

#[tokio::test]
async fn rule_03_no_upgrade_is_asked_for_and_none_is_let_through() {
    let house = House::with(|plan| plan.upstream = answering(|_| upstream(101, &[])));
    let upgrade = request("GET", &reader(), "")
        .and("connection", "Upgrade")
        .and("upgrade", "websocket");
    let answer = house.send("upgrade", upgrade).await;
    let expected = no(502, "upstream_error")
        .oauth("upstream_error", "The upstream failed")
        .by("alice")
        .of("GET", "")
        .needs("read:data")
        .error();
    expected.assert("upgrade", &answer);
    let seen = house.seen();
    let asked = ["connection", "upgrade"].map(|name| seen[0].headers.contains_key(name));
    assert_eq!((seen.len(), asked), (1, [false; 2]));
}
