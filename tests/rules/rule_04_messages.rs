//! Rule 4: the message is read once and in one way only, and passes as the very bytes that were
//! judged.

use crate::house::{
    House, METADATA, No, RequestExt, SESSION, call_body, fields, no, post, reader, writer,
};

const NEW: &str = "2026-07-28";

/// A refusal of a message.
fn unread(code: i32, id: &str, message: &str) -> No {
    let reason = match code {
        -32020 => "header_mismatch",
        _ => "malformed_message",
    };
    no(400, reason).rpc(id, code, message, "").by("alice")
}

#[tokio::test]
async fn rule_04_what_every_parser_does_not_read_alike_is_refused() {
    const NOT_JSON: &str = "The body is not JSON";
    const REPEATED: &str = "A member is repeated";
    const TWIN: &str = "A member name differs from a reserved one only in case";
    const NO_ID: &str = "The id is neither a string nor an integer";
    const NO_PARAMS: &str = "The parameters are no object";
    const NO_NAME: &str = "The name or uri is missing";
    let house = House::new();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"x":{}{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    for (body, code, id, message) in [
        ("", -32700, "", NOT_JSON),
        (" ", -32700, "", NOT_JSON),
        ("{", -32700, "", NOT_JSON),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping"} {}"#,
            -32700,
            "",
            NOT_JSON,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping",}"#,
            -32700,
            "",
            NOT_JSON,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping" /* canary */}"#,
            -32700,
            "",
            NOT_JSON,
        ),
        (
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}",
            -32700,
            "",
            NOT_JSON,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"pi\ud800ng"}"#,
            -32700,
            "",
            NOT_JSON,
        ),
        (&deep, -32600, "", "The body is nested too deep"),
        ("7", -32600, "", "The body is no message"),
        ("null", -32600, "", "The body is no message"),
        ("\"canary\"", -32600, "", "The body is no message"),
        (
            r#"{"id":7,"method":"ping"}"#,
            -32600,
            "7",
            "The message is not JSON-RPC 2.0",
        ),
        (
            r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
            -32600,
            "7",
            "The message is not JSON-RPC 2.0",
        ),
        (
            r#"{"jsonrpc":2.0,"id":7,"method":"ping"}"#,
            -32600,
            "7",
            "The message is not JSON-RPC 2.0",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            -32600,
            "",
            NO_ID,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7.5,"method":"ping"}"#,
            -32600,
            "",
            NO_ID,
        ),
        (
            r#"{"jsonrpc":"2.0","id":{"canary":1},"method":"ping"}"#,
            -32600,
            "",
            NO_ID,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":7}"#,
            -32600,
            "7",
            "The method is no string",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"GET"}"#,
            -32600,
            "7",
            "There can be no such method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"response"}"#,
            -32600,
            "7",
            "There can be no such method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"stream_end"}"#,
            -32600,
            "7",
            "There can be no such method",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"metadata"}"#,
            -32600,
            "",
            "There can be no such method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7}"#,
            -32600,
            "7",
            "The message is neither a request nor a response",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#,
            -32600,
            "7",
            "The message is neither a request nor a response",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":1}"#,
            -32600,
            "7",
            "The message is a request and a response",
        ),
        // Two readers, two messages.
        (
            r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#,
            -32600,
            "",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}"#,
            -32600,
            "",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","\u006dethod":"tools/call"}"#,
            -32600,
            "",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","canary":1,"canary":2}"#,
            -32600,
            "",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","Method":"tools/call"}"#,
            -32600,
            "",
            TWIN,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","PARAMS":{}}"#,
            -32600,
            "",
            TWIN,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_a","name":"put_a"}}"#,
            -32600,
            "7",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_a","Name":"put_a"}}"#,
            -32600,
            "7",
            TWIN,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_a","_meta":{"a":1,"a":2}}}"#,
            -32600,
            "7",
            REPEATED,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"ta\u017fkId":"1"}}"#,
            -32600,
            "7",
            TWIN,
        ),
        // Parameters.
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["put_a"]}"#,
            -32602,
            "7",
            NO_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":null}"#,
            -32602,
            "7",
            NO_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#,
            -32602,
            "7",
            NO_NAME,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7}}"#,
            -32602,
            "7",
            NO_NAME,
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"prompts/get","params":{}}"#,
            -32602,
            "\"a\"",
            NO_NAME,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"name":"x"}}"#,
            -32602,
            "7",
            NO_NAME,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{}}"#,
            -32602,
            "",
            NO_NAME,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":[]}}"#,
            -32602,
            "7",
            "The metadata is no object",
        ),
        // Batches.
        ("[]", -32600, "", "The batch is empty"),
        ("[7]", -32600, "", "An element of the batch is no message"),
        (
            r#"[{"jsonrpc":"2.0","id":7,"method":"ping"},[]]"#,
            -32600,
            "",
            "An element of the batch is no message",
        ),
        (
            r#"[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{}}]"#,
            -32602,
            "",
            NO_NAME,
        ),
    ] {
        let expected = unread(code, id, message);
        house
            .refuses(body, post(&reader(), body.to_owned()), &expected)
            .await;
    }
    let many = format!(
        "[{}]",
        [r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#; 101].join(",")
    );
    let expected = unread(-32600, "", "The batch is too long");
    house
        .refuses("101 messages", post(&reader(), many), &expected)
        .await;
    let not_utf8 = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"x\":\"\xff\"}";
    let expected = unread(-32700, "", NOT_JSON);
    house
        .refuses("not UTF-8", post(&reader(), &not_utf8[..]), &expected)
        .await;
}

#[tokio::test]
async fn rule_04_mirrored_headers_agree_with_the_body_and_stand_once() {
    const VERSION: &str = "mcp-protocol-version";
    const METHOD: &str = "mcp-method";
    const NAME: &str = "mcp-name";
    let house = House::new();
    let old = call_body("7", "get_note");
    let new = old.replace(
        r#""params":{"#,
        r#""params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"#,
    );
    let with = |body: &str, headers: &[(&'static str, &str)]| {
        headers.iter().fold(
            post(&reader(), body.to_owned()),
            |request, (name, value)| request.and(name, value),
        )
    };
    let complete = [(VERSION, NEW), (METHOD, "tools/call"), (NAME, "get_note")];
    let differs = |header: &str| format!("The header {header} does not match the body");
    let missing = |header: &str| format!("The header {header} is missing");
    let malformed = |header: &str| format!("The header {header} is malformed");
    let repeated = "A header that may stand once was repeated".to_owned();
    let alias = "A header was sent under an alias".to_owned();
    for (body, headers, message) in [
        // Differ, whatever the revision.
        (&old, &[(METHOD, "tools/list")][..], differs("Mcp-Method")),
        (&old, &[(METHOD, "TOOLS/CALL")], differs("Mcp-Method")),
        (&old, &[(NAME, "canary")], differs("Mcp-Name")),
        (&old, &[(NAME, "=?base64?Y2FuYXJ5?=")], differs("Mcp-Name")),
        (
            &new,
            &[(VERSION, "2025-11-25"), complete[1], complete[2]],
            differs("MCP-Protocol-Version"),
        ),
        (
            &new,
            &[complete[0], (METHOD, "canary"), complete[2]],
            differs("Mcp-Method"),
        ),
        (
            &new,
            &[complete[0], complete[1], (NAME, "put_note")],
            differs("Mcp-Name"),
        ),
        // Missing, where the revision demands them.
        (&new, &complete[1..], missing("MCP-Protocol-Version")),
        (&new, &[complete[0], complete[2]], missing("Mcp-Method")),
        (&new, &complete[..2], missing("Mcp-Name")),
        (&old, &complete[..1], missing("Mcp-Method")),
        // An unknown one is held to the newest rules.
        (&old, &[(VERSION, "2099-01-01")], missing("Mcp-Method")),
        // Malformed.
        (
            &new,
            &[complete[0], complete[1], (NAME, "=?base64?canary!?=")],
            malformed("Mcp-Name"),
        ),
        (&old, &[(VERSION, "")], malformed("MCP-Protocol-Version")),
        (&old, &[(METHOD, " ")], malformed("Mcp-Method")),
        // Repeated, the same or not.
        (
            &old,
            &[(METHOD, "tools/call"), (METHOD, "tools/call")],
            repeated.clone(),
        ),
        (
            &new,
            &[complete[0], complete[1], complete[2], complete[2]],
            repeated.clone(),
        ),
        (
            &old,
            &[(VERSION, "2025-06-18"), (VERSION, NEW)],
            repeated.clone(),
        ),
        (
            &old,
            &[("mcp-session-id", "canary"), ("mcp-session-id", "b")],
            repeated.clone(),
        ),
        (
            &old,
            &[("mcp-param-region", "canary"), ("mcp-param-region", "b")],
            repeated.clone(),
        ),
        (&old, &[("mcp_name", "canary")], alias.clone()),
        (&old, &[("mcp-session_id", "canary")], alias.clone()),
    ] {
        let expected = unread(-32020, "7", &message);
        house
            .refuses(&format!("{headers:?}"), with(body, headers), &expected)
            .await;
    }
    // Of a body that nobody reads alike, no id is known.
    let request = with("{", &[("mcp_name", "canary")]);
    house
        .refuses("no body", request, &unread(-32020, "", &alias))
        .await;

    house.open_session(&reader()).await;
    for (body, headers) in [
        (&old, &[][..]),
        (&old, &[(METHOD, "tools/call"), (NAME, "get_note")]),
        (&old, &[(VERSION, "2025-03-26")]),
        (&old, &[(VERSION, "2025-06-18")]),
        (
            &old,
            &[(VERSION, "2025-11-25"), ("mcp-session-id", SESSION)],
        ),
        (&new, &complete),
        (
            &new,
            &[complete[0], complete[1], (NAME, "=?base64?Z2V0X25vdGU=?=")],
        ),
        // Members that `_meta` lacks are the server's to refuse.
        (&old, &complete),
        (&old, &[(VERSION, "2099-01-01"), complete[1], complete[2]]),
    ] {
        let (seen, _) = house
            .passes(&format!("{headers:?}"), with(body, headers))
            .await;
        assert_eq!(seen.body, body.as_bytes());
        for (name, value) in headers {
            assert_eq!(seen.headers[*name], **value);
        }
    }
}

#[tokio::test]
async fn rule_04_batches_are_judged_message_by_message_and_fail_as_a_whole() {
    let house = House::new();
    let batch = |parts: &[&str]| format!("[{}]", parts.join(","));
    let get = &*call_body("1", "get_note");
    let put = &*call_body("2", "put_note");
    let export = &*call_body("3", "export");
    let drop = &*call_body("4", "drop_all");
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":5,"method":"canary/x"}"#;
    let body = batch(&[get, note, put]);
    let (seen, event) = house.passes("a batch", post(&writer(), body.clone())).await;
    assert_eq!(seen.body, body);
    assert_eq!((event.action(), event.tool()), ("batch", None));
    let operations: Vec<_> = event
        .operations()
        .unwrap()
        .iter()
        .map(|one| (one.action(), one.tool()))
        .collect();
    assert_eq!(
        operations,
        [
            ("tools/call", Some("get_note")),
            ("notifications/initialized", None),
            ("tools/call", Some("put_note")),
        ]
    );
    assert_eq!(event.required_scopes().to_string(), "read:data write:data");

    let lacks = no(403, "insufficient_scope")
        .challenge(&format!(
            r#"Bearer error="insufficient_scope", scope="read:data write:data export:data", {}"#,
            METADATA
        ))
        .rpc(
            "",
            -31403,
            "The access token lacks a scope",
            r#"{"required":["read:data","write:data","export:data"]}"#,
        )
        .needs("read:data write:data export:data");
    let denied = no(403, "denied").rpc("", -31403, "This is not allowed", "");
    let no_method = no(404, "unknown_method").rpc("", -32601, "Method not found", "");
    for (what, parts, expected) in [
        ("all scopes of all", &[get, put, export][..], lacks),
        (
            "one that is never allowed",
            &[get, put, drop],
            denied.clone(),
        ),
        ("the same first", &[drop, put, unknown], denied),
        ("one that does not exist", &[get, put, unknown], no_method),
    ] {
        let request = post(&reader(), batch(parts));
        let expected = expected.by("alice").of("batch", "");
        house.refuses(what, request, &expected).await;
        let events = house.audit.events();
        let operations = events.last().unwrap().operations().unwrap();
        assert_eq!(operations.len(), parts.len(), "{what}");
    }
    // A batch of one is answered as that one.
    let expected = no(403, "denied")
        .rpc("4", -31403, "This is not allowed", "")
        .by("alice")
        .of("batch", "");
    house
        .refuses("one", post(&reader(), batch(&[drop])), &expected)
        .await;

    for version in ["2025-06-18", "2025-11-25", NEW] {
        let request = post(&reader(), batch(&[get])).and("mcp-protocol-version", version);
        let expected = unread(-32600, "", "Only 2025-03-26 has batches");
        house.refuses(version, request, &expected).await;
    }
}

#[tokio::test]
async fn rule_04_the_very_bytes_pass_and_nothing_is_lost_on_the_way() {
    let house = House::new();
    let body = "\r\n{ \"params\":{\"arguments\":{\"a\":1,\"a\":2,\"\u{e9}\":\"\\u00e9\"},\
                \"name\":\"get_note\"},\t\"method\":\"tools\\/call\",\"id\":-0,\
                \"jsonrpc\":\"2.0\"}\n";
    let request = post(&reader(), body)
        .to("/mcp/sub?x=1&y=%2F")
        .and("accept", "application/json")
        .and("accept", "text/event-stream")
        .and("x-own", "1");
    let (seen, event) = house.passes("to the byte", request).await;
    assert_eq!(seen.body, body);
    assert_eq!((&*seen.method, &*seen.uri), ("POST", "/mcp/sub?x=1&y=%2F"));
    let expected = [
        ("accept", "application/json"),
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
        ("host", "host-canary.example"),
        ("x-api-key", "internal-key-ro"),
        ("x-forwarded-host", "forwarded-canary.example"),
        ("x-own", "1"),
    ];
    let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(fields(&seen.headers), expected);
    assert_eq!(event.action(), "tools/call");
    assert_eq!(event.tool(), Some("get_note"));
    assert_eq!(event.client_id(), Some("client-1"));
    assert_eq!(event.key_name(), Some("ro"));
}
