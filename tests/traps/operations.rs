//! Not only requests for tools do something.

use crate::{
    answers::{denied, lacks, unread},
    house::{House, ISSUER, RequestExt, alice, calls_per_hour, no, post, reader, writer},
};

#[tokio::test]
async fn trap_06_a_call_without_an_id() {
    let house = House::with(|plan| plan.limits = calls_per_hour(1));
    let without_id = |tool: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}"}}}}"#)
    };
    let expected = lacks("", "read:data write:data").of("tools/call", "put_note");
    house
        .refuses(
            "no scope",
            post(&reader(), without_id("put_note")),
            &expected,
        )
        .await;
    house
        .passes("the first", post(&reader(), without_id("get_note")))
        .await;
    let expected = no(429, "rate_limited")
        .retry_after(3600)
        .rpc(
            "",
            -31429,
            "Too many requests",
            r#"{"retryAfterSeconds":3600}"#,
        )
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data");
    house
        .refuses(
            "the second",
            post(&reader(), without_id("get_note")),
            &expected,
        )
        .await;
    let null = r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"put_note"}}"#;
    let expected = unread(-32600, "", "The id is neither a string nor an integer");
    house
        .refuses("null", post(&writer(), null), &expected)
        .await;
}

#[tokio::test]
async fn trap_07_other_methods_give_the_same_data_away() {
    let house = House::new();
    let secret = "file:///secret/a";
    for (version, method, params, target) in [
        (
            "2025-11-25",
            "resources/read",
            r#""uri":"file:///secret/a""#,
            secret,
        ),
        (
            "2025-11-25",
            "resources/subscribe",
            r#""uri":"file:///secret/a""#,
            secret,
        ),
        (
            "2025-11-25",
            "resources/unsubscribe",
            r#""uri":"file:///secret/a""#,
            secret,
        ),
        (
            "2025-11-25",
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"file:///secret/a"}"#,
            secret,
        ),
        (
            "2026-07-28",
            "subscriptions/listen",
            r#""notifications":{"resourceSubscriptions":["file:///secret/a"]}"#,
            secret,
        ),
        ("2025-11-25", "tasks/list", "", ""),
        ("2025-11-25", "tasks/get", r#""taskId":"t1""#, "t1"),
        ("2025-11-25", "tasks/result", r#""taskId":"t1""#, "t1"),
        ("2025-11-25", "tasks/cancel", r#""taskId":"t1""#, "t1"),
    ] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#);
        let mut request =
            post(&ISSUER.token(&alice("admin")), body).and("mcp-protocol-version", version);
        if version == "2026-07-28" {
            request = request.and("mcp-method", method);
        }
        let expected = denied("7").of(method, target);
        house.refuses(method, request, &expected).await;
    }
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":"debug"}}"#;
    let expected = lacks("7", "read:data admin").of("logging/setLevel", "");
    house
        .refuses("a method rule", post(&reader(), body), &expected)
        .await;
    // What nobody named exists for nobody.
    for method in ["acme/export", "tools/export", "sampling/createMessage"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#);
        let expected = no(404, "unknown_method")
            .rpc("7", -32601, "Method not found", "")
            .by("alice")
            .of(method, "");
        house
            .refuses(method, post(&writer(), body), &expected)
            .await;
    }
    // What needs no rule needs the base.
    let none = ISSUER.token(&alice(""));
    for method in [
        "initialize",
        "ping",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "notifications/initialized",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#);
        let expected = lacks("7", "read:data").of(method, "");
        house.refuses(method, post(&none, body), &expected).await;
    }
}
