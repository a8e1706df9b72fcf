//! Rule 5: what no rule allows is denied, and every message is judged by all that speaks of it.

use std::sync::Arc;

use http::Request;
use mcp_auth::{Decision, Target, policy_fn};

use crate::house::{
    Body, House, ISSUER, METADATA, NOW, No, RequestExt, SESSION, alice, call, no, post, reader,
};

const V1: &str = "2025-03-26";
const V2: &str = "2025-06-18";
const V3: &str = "2025-11-25";
const V4: &str = "2026-07-28";

enum Verdict {
    /// Passes, by these scopes.
    By(&'static str),
    /// Needs these scopes.
    Needs(&'static str),
    /// No scope would help.
    Never,
    /// The revision has no such method.
    Unknown,
}
use Verdict::{By, Needs, Never, Unknown};

/// A message of a revision, with the headers that it demands.
fn message(token: &str, version: &str, method: &str, params: &str, name: &str) -> Request<Body> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#);
    let mut request = post(token, body).and("mcp-protocol-version", version);
    if version == V4 {
        request = request.and("mcp-method", method);
        if !name.is_empty() {
            request = request.and("mcp-name", name);
        }
    }
    request
}

fn denied() -> No {
    no(403, "denied").rpc("7", -31403, "This is not allowed", "")
}

fn lacks(required: &str, held: &str) -> No {
    let list: Vec<_> = required
        .split(' ')
        .map(|scope| format!("\"{scope}\""))
        .collect();
    let is_known = |one: &str| matches!(one, "read:data" | "write:data" | "export:data" | "admin");
    let more = held
        .split(' ')
        .filter(|one| is_known(one) && !required.split(' ').any(|it| it == *one));
    let challenged: Vec<_> = required.split(' ').chain(more).collect();
    no(403, "insufficient_scope")
        .challenge(&format!(
            r#"Bearer error="insufficient_scope", scope="{}", {METADATA}"#,
            challenged.join(" ")
        ))
        .rpc(
            "7",
            -31403,
            "The access token lacks a scope",
            &format!(r#"{{"required":[{}]}}"#, list.join(",")),
        )
        .needs(required)
}

#[tokio::test]
async fn rule_05_every_operation_has_its_verdict() {
    let house = House::new();
    let rows: &[(&str, &str, &str, &str, &str, Verdict)] = &[
        // held, revision, method, params, what it names, verdict
        (
            "read:data",
            V1,
            "tools/call",
            r#""name":"get_note""#,
            "get_note",
            By("read:data"),
        ),
        (
            "read:data",
            V4,
            "tools/call",
            r#""name":"get_note""#,
            "get_note",
            By("read:data"),
        ),
        (
            "",
            V1,
            "tools/call",
            r#""name":"get_note""#,
            "get_note",
            Needs("read:data"),
        ),
        (
            "read:data",
            V1,
            "tools/call",
            r#""name":"put_note""#,
            "put_note",
            Needs("read:data write:data"),
        ),
        (
            "write:data",
            V1,
            "tools/call",
            r#""name":"put_note""#,
            "put_note",
            By("read:data write:data"),
        ),
        (
            "admin",
            V1,
            "tools/call",
            r#""name":"put_note""#,
            "put_note",
            By("read:data write:data"),
        ),
        (
            "read:data",
            V4,
            "tools/call",
            r#""name":"put_note""#,
            "put_note",
            Needs("read:data write:data"),
        ),
        // Nothing is guessed from names.
        (
            "read",
            V1,
            "tools/call",
            r#""name":"get_note""#,
            "get_note",
            Needs("read:data"),
        ),
        (
            "read:data:more",
            V1,
            "tools/call",
            r#""name":"get_note""#,
            "get_note",
            Needs("read:data"),
        ),
        // No rule.
        (
            "admin",
            V1,
            "tools/call",
            r#""name":"drop_all""#,
            "drop_all",
            Never,
        ),
        (
            "admin",
            V1,
            "tools/call",
            r#""name":"GET_note""#,
            "GET_note",
            Never,
        ),
        (
            "admin",
            V1,
            "tools/call",
            r#""name":" get_note""#,
            " get_note",
            Never,
        ),
        ("admin", V1, "tools/call", r#""name":"get""#, "get", Never),
        ("admin", V1, "tools/call", r#""name":"""#, "", Never),
        // The name as it is read, not as it is written.
        (
            "read:data",
            V1,
            "tools/call",
            r#""name":"\u0070ut_note""#,
            "put_note",
            Needs("read:data write:data"),
        ),
        // Prompts and resources.
        (
            "read:data",
            V1,
            "prompts/get",
            r#""name":"greet""#,
            "greet",
            By("read:data"),
        ),
        (
            "read:data",
            V1,
            "resources/read",
            r#""uri":"file:///public/a""#,
            "file:///public/a",
            By("read:data"),
        ),
        (
            "read:data",
            V1,
            "resources/read",
            r#""uri":"file:///secret/a""#,
            "file:///secret/a",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///public/../secret""#,
            "file:///public/../secret",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///public/%2e%2e/secret""#,
            "file:///public/%2e%2e/secret",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///public/%2Fsecret""#,
            "file:///public/%2Fsecret",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///public//secret""#,
            "file:///public//secret",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///public/a\\b""#,
            "file:///public/a\\b",
            Never,
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"FILE:///public/a""#,
            "FILE:///public/a",
            Never,
        ),
        // One of several sets.
        (
            "read:data",
            V1,
            "resources/read",
            r#""uri":"file:///logs/a""#,
            "file:///logs/a",
            Needs("read:data admin"),
        ),
        (
            "read:data export:data",
            V1,
            "resources/read",
            r#""uri":"file:///logs/a""#,
            "file:///logs/a",
            By("read:data export:data"),
        ),
        (
            "admin",
            V1,
            "resources/read",
            r#""uri":"file:///logs/a""#,
            "file:///logs/a",
            By("read:data admin"),
        ),
        // What follows the rules of what it names.
        (
            "read:data",
            V1,
            "resources/subscribe",
            r#""uri":"file:///public/a""#,
            "file:///public/a",
            By("read:data"),
        ),
        (
            "read:data",
            V1,
            "resources/unsubscribe",
            r#""uri":"file:///secret/a""#,
            "file:///secret/a",
            Never,
        ),
        ("read:data", V1, "resources/subscribe", "", "", Never),
        (
            "read:data",
            V3,
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"greet"}"#,
            "greet",
            By("read:data"),
        ),
        (
            "read:data",
            V3,
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"file:///secret/a"}"#,
            "file:///secret/a",
            Never,
        ),
        (
            "read:data",
            V3,
            "completion/complete",
            r#""ref":{"type":"ref/canary","name":"greet"}"#,
            "",
            Never,
        ),
        (
            "read:data",
            V4,
            "subscriptions/listen",
            r#""notifications":{"resourceSubscriptions":["file:///public/a"]}"#,
            "file:///public/a",
            By("read:data"),
        ),
        (
            "read:data",
            V4,
            "subscriptions/listen",
            r#""notifications":{"resourceSubscriptions":["file:///public/a","file:///secret/a"]}"#,
            "file:///public/a",
            Never,
        ),
        (
            "read:data",
            V4,
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true}"#,
            "",
            By("read:data"),
        ),
        // A method rule.
        (
            "read:data",
            V3,
            "logging/setLevel",
            r#""level":"debug""#,
            "",
            Needs("read:data admin"),
        ),
        (
            "admin",
            V3,
            "logging/setLevel",
            r#""level":"debug""#,
            "",
            By("read:data admin"),
        ),
        // Life cycle and lists.
        (
            "read:data",
            V1,
            "initialize",
            r#""protocolVersion":"2025-03-26""#,
            "",
            By("read:data"),
        ),
        ("read:data", V1, "ping", "", "", By("read:data")),
        ("read:data", V4, "server/discover", "", "", By("read:data")),
        ("read:data", V1, "tools/list", "", "", By("read:data")),
        ("read:data", V4, "tools/list", "", "", By("read:data")),
        ("read:data", V2, "prompts/list", "", "", By("read:data")),
        ("read:data", V2, "resources/list", "", "", By("read:data")),
        (
            "read:data",
            V2,
            "resources/templates/list",
            "",
            "",
            By("read:data"),
        ),
        (
            "other",
            V1,
            "initialize",
            r#""protocolVersion":"2025-03-26""#,
            "",
            Needs("read:data"),
        ),
        ("", V1, "ping", "", "", Needs("read:data")),
        ("", V2, "tools/list", "", "", Needs("read:data")),
        // Tasks need a rule of their own.
        ("admin", V3, "tasks/get", r#""taskId":"t""#, "t", Never),
        ("admin", V3, "tasks/list", "", "", Never),
        ("admin", V4, "tasks/update", r#""taskId":"t""#, "t", Never),
        // Not of this revision.
        ("admin", V4, "ping", "", "", Unknown),
        ("admin", V4, "initialize", "", "", Unknown),
        (
            "admin",
            V4,
            "resources/subscribe",
            r#""uri":"file:///public/a""#,
            "file:///public/a",
            Unknown,
        ),
        ("admin", V1, "server/discover", "", "", Unknown),
        ("admin", V2, "tasks/get", r#""taskId":"t""#, "t", Unknown),
        (
            "admin",
            V1,
            "tools/Call",
            r#""name":"get_note""#,
            "",
            Unknown,
        ),
        (
            "admin",
            V1,
            "tools/call ",
            r#""name":"get_note""#,
            "",
            Unknown,
        ),
        ("admin", V1, "", "", "", Unknown),
        ("admin", V1, "canary", "", "", Unknown),
        ("admin", V1, "sampling/createMessage", "", "", Unknown),
    ];
    for (held, version, method, params, name, verdict) in rows {
        let what = format!("{held:?} {version} {method} {params}");
        let token = ISSUER.token(&alice(held));
        let request = message(&token, version, method, params, name);
        let no = match verdict {
            By(scopes) => {
                let (_, event) = house.passes(&what, request).await;
                assert_eq!(event.required_scopes().to_string(), *scopes, "{what}");
                assert_eq!(event.action(), *method, "{what}");
                assert_eq!(event.tool().unwrap_or(""), *name, "{what}");
                continue;
            }
            Needs(scopes) => lacks(scopes, held),
            Never => denied(),
            Unknown => no(404, "unknown_method").rpc("7", -32601, "Method not found", ""),
        };
        // An empty name is a name.
        let no = match (verdict, *name) {
            (Never, "") if params.contains("\"name\":\"\"") => no.of_tool(method, ""),
            _ => no.of(method, name),
        };
        house.refuses(&what, request, &no.by("alice")).await;
    }
}

#[tokio::test]
async fn rule_05_all_that_a_subscription_is_for_is_judged_and_told() {
    let house = House::new();
    let method = "subscriptions/listen";
    for (uris, passes) in [
        (["file:///public/a", "file:///public/b"], true),
        (["file:///public/a", "file:///secret/a"], false),
    ] {
        let params = format!(r#""notifications":{{"resourceSubscriptions":{uris:?}}}"#);
        let request = message(&reader(), V4, method, &params, uris[0]);
        let answer = house.send(uris[1], request).await;
        assert_eq!(answer.status, if passes { 200 } else { 403 }, "{uris:?}");
        let told = answer.event.operations().unwrap().iter();
        let told: Vec<_> = told.map(|one| (one.action(), one.tool())).collect();
        assert_eq!(told, [(method, Some(uris[0])), (method, Some(uris[1]))]);
    }
}

#[tokio::test]
async fn rule_05_a_method_that_does_not_exist_does_not_end_a_session() {
    let house = House::new();
    let in_session = |body: &'static str| post(&reader(), body).and("mcp-session-id", SESSION);
    house.open_session(&reader()).await;
    let expected = no(200, "unknown_method")
        .rpc("7", -32601, "Method not found", "")
        .by("alice")
        .of("canary/x", "");
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"canary/x"}"#;
    house
        .refuses("in a session", in_session(body), &expected)
        .await;
    let expected = no(404, "unknown_method")
        .rpc("", -32601, "Method not found", "")
        .by("alice")
        .of("canary/x", "");
    let body = r#"{"jsonrpc":"2.0","method":"canary/x"}"#;
    house
        .refuses("a notification", post(&reader(), body), &expected)
        .await;
    // Nobody would be answered by an error with 200.
    let expected = no(400, "unknown_method")
        .rpc("", -32601, "Method not found", "")
        .by("alice");
    let batch = r#"[{"jsonrpc":"2.0","id":7,"method":"canary/x"},{"jsonrpc":"2.0","id":8,"method":"ping"}]"#;
    for (action, body) in [("canary/x", body), ("batch", batch)] {
        let expected = expected.clone().of(action, "");
        house.refuses(action, in_session(body), &expected).await;
    }
    // A method that only an older revision has needs no Mcp-Name to be told so.
    let expected = no(404, "unknown_method")
        .rpc("7", -32601, "Method not found", "")
        .by("alice")
        .of("tasks/result", "t1");
    let no_longer = || {
        let request = post(
            &reader(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tasks/result","params":{"taskId":"t1"}}"#,
        );
        let request = request.and("mcp-protocol-version", V4);
        request.and("mcp-method", "tasks/result")
    };
    house.refuses("no longer", no_longer(), &expected).await;
    // That revision ignores the session, so none can end.
    let with_session = no_longer().and("mcp-session-id", SESSION);
    house.refuses("no session", with_session, &expected).await;
}

#[tokio::test]
async fn rule_05_a_call_without_an_id_and_an_answer_are_judged_too() {
    let house = House::new();
    let call = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_all"}}"#;
    let expected = no(403, "denied")
        .rpc("", -31403, "This is not allowed", "")
        .by("alice")
        .of("tools/call", "drop_all");
    house
        .refuses("no id", post(&reader(), call), &expected)
        .await;
    let (_, event) = house
        .passes(
            "a notification",
            post(
                &reader(),
                r#"{"jsonrpc":"2.0","method":"notifications/of-tomorrow"}"#,
            ),
        )
        .await;
    assert_eq!(event.action(), "notifications/of-tomorrow");

    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"tool":"argument-canary"}}"#;
    for version in [V1, V2, V3] {
        let request = post(&reader(), answer).and("mcp-protocol-version", version);
        let (_, event) = house.passes(version, request).await;
        assert_eq!(event.action(), "response");
    }
    let none = ISSUER.token(&alice(""));
    let expected = lacks("read:data", "")
        .rpc(
            "",
            -31403,
            "The access token lacks a scope",
            r#"{"required":["read:data"]}"#,
        )
        .by("alice")
        .of("response", "");
    house.refuses("base", post(&none, answer), &expected).await;
    let request = post(&reader(), answer).and("mcp-protocol-version", V4);
    let expected = no(400, "malformed_message")
        .rpc("", -32600, "This revision has no responses of clients", "")
        .by("alice");
    house.refuses(V4, request, &expected).await;
    // The id of a response is the server's: to the client it would be that of its own request.
    let expected = no(404, "session_mismatch")
        .rpc("", -31404, "There is no such session", "")
        .by("alice")
        .of("response", "");
    let request = post(&reader(), answer).and("mcp-session-id", "gone");
    house.refuses("no session", request, &expected).await;
}

#[tokio::test]
async fn rule_05_a_policy_of_ones_own_sees_token_arguments_and_time() {
    let house = House::with(|plan| {
        plan.policy = Arc::new(policy_fn(|access| {
            let is_alice = access.token.principal().subject() == "alice";
            let is_tool = matches!(access.operation.target(), Some(Target::Tool(_)));
            let arguments = access.arguments.unwrap_or_default();
            if is_alice
                && is_tool
                && arguments == br#"{"text":"argument-canary"}"#
                && access.now == NOW
            {
                Decision::allow()
            } else {
                Decision::forbid()
            }
        }));
    });
    let (_, event) = house.passes("as it likes it", call(&reader(), "any")).await;
    assert!(event.required_scopes().is_empty());
    house.clock.advance(std::time::Duration::from_nanos(1));
    let expected = denied().by("alice").of("tools/call", "any");
    house
        .refuses("later", call(&reader(), "any"), &expected)
        .await;
}
