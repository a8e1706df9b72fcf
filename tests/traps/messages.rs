//! What is judged is what the server behind will read.

use std::sync::Arc;

use mcp_auth::ScopePolicy;

use crate::{
    answers::{denied, lacks, unread},
    house::{House, METADATA, RequestExt, call, call_body, no, post, reader, request, writer},
};

const VERSIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

#[tokio::test]
async fn trap_01_headers_tell_of_another_call_than_the_body() {
    let house = House::new();
    let asks = |token: &str, version: Option<&str>, method: &str, name: &str| {
        let request = call(token, "put_note")
            .and("mcp-method", method)
            .and("mcp-name", name);
        match version {
            Some(version) => request.and("mcp-protocol-version", version),
            None => request,
        }
    };
    for version in VERSIONS.map(Some).into_iter().chain([None]) {
        // The caller may do both: it is the difference that is refused.
        for (method, name, header) in [
            ("tools/list", "put_note", "Mcp-Method"),
            ("tools/call", "get_note", "Mcp-Name"),
        ] {
            let message = format!("The header {header} does not match the body");
            let expected = unread(-32020, "7", &message);
            let request = asks(&writer(), version, method, name);
            house
                .refuses(&format!("{version:?} {header}"), request, &expected)
                .await;
        }
        // And it is the body that is judged.
        let expected = lacks("7", "read:data write:data").of("tools/call", "put_note");
        let request = asks(&reader(), version, "tools/call", "put_note");
        house
            .refuses(&format!("{version:?}"), request, &expected)
            .await;
    }
    let expected = lacks("7", "read:data write:data").of("tools/call", "put_note");
    house
        .refuses("no headers", call(&reader(), "put_note"), &expected)
        .await;
}

#[tokio::test]
async fn trap_02_a_header_comes_twice_and_each_reader_takes_another() {
    let house = House::new();
    for (header, right, wrong) in [
        ("mcp-method", "tools/call", "tools/list"),
        ("mcp-name", "put_note", "get_note"),
        ("mcp-protocol-version", "2025-03-26", "2025-11-25"),
        ("mcp-session-id", "one", "two"),
        ("dpop", "one", "two"),
        ("mcp-param-region", "one", "two"),
    ] {
        let expected = unread(-32020, "7", "A header that may stand once was repeated");
        for (first, second) in [(right, right), (right, wrong), (wrong, right)] {
            let request = call(&writer(), "put_note")
                .and(header, first)
                .and(header, second);
            house
                .refuses(&format!("{header}: {first}, {second}"), request, &expected)
                .await;
        }
    }
    let why = "Several Authorization fields were sent";
    let expected = no(400, "malformed_request")
        .challenge(&format!(
            r#"Bearer error="invalid_request", {METADATA}, error_description="{why}""#
        ))
        .oauth("invalid_request", why);
    for (first, second) in [
        (reader(), writer()),
        (writer(), reader()),
        (writer(), writer()),
    ] {
        let request = call(&first, "put_note").and("authorization", &format!("Bearer {second}"));
        house.refuses("authorization", request, &expected).await;
    }
}

#[tokio::test]
async fn trap_03_a_member_comes_twice_and_each_reader_takes_another() {
    const REPEATED: &str = "A member is repeated";
    let house = House::new();
    for (body, id) in [
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call","params":{"name":"put_note"}}"#,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note"},"params":{"name":"put_note"}}"#,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/call","params":{"name":"get_note"}}"#,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note","name":"put_note"}}"#,
            "7",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"put_note","name":"get_note"}}"#,
            "7",
        ),
        // One name, spelt in two ways.
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note","n\u0061me":"put_note"}}"#,
            "7",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note","_meta":{"progressToken":1,"progressToken":2}}}"#,
            "7",
        ),
    ] {
        let expected = unread(-32600, id, REPEATED);
        house.refuses(body, post(&writer(), body), &expected).await;
    }
    // Some readers take these for the same name.
    let twin = "A member name differs from a reserved one only in case";
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note","Name":"put_note"}}"#;
    house
        .refuses(body, post(&writer(), body), &unread(-32600, "7", twin))
        .await;
}

#[tokio::test]
async fn trap_04_the_call_is_spelt_in_another_way() {
    let house = House::new();
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\u0070ut_note"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"\u0074ools\/call","params":{"name":"put\u005Fnote"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"meth\u006fd":"tools/call","p\u0061rams":{"n\u0061me":"put_note"}}"#,
        "{\"params\" :\r\n{\t\"name\":\"put_note\" } ,\"method\": \"tools/call\",\n\"id\":7,\"jsonrpc\":\"2.0\"}",
    ] {
        let expected = lacks("7", "read:data write:data").of("tools/call", "put_note");
        house.refuses(body, post(&reader(), body), &expected).await;
        let (seen, event) = house.passes(body, post(&writer(), body)).await;
        assert_eq!(seen.body, body);
        assert_eq!(event.tool(), Some("put_note"), "{body}");
    }
    // Nothing more than the spelling of JSON is undone.
    let unknown = no(404, "unknown_method")
        .rpc("7", -32601, "Method not found", "")
        .by("alice");
    for method in ["TOOLS/CALL", "tools%2Fcall", "tools/call\\u0000"] {
        let body = call_body("7", "put_note").replace("tools/call", method);
        let name = method.replace("\\u0000", "\u{0}");
        let expected = unknown.clone().of(&name, "");
        house
            .refuses(method, post(&writer(), body), &expected)
            .await;
    }
    let house = House::with(|plan| {
        let policy = "{\"base\":[\"read:data\"],\"tools\":{\"caf\u{e9}\":[]}}";
        plan.policy = Arc::new(ScopePolicy::from_json(policy).unwrap());
    });
    for tool in ["cafe\u{301}", "CAF\u{c9}", "Caf\u{e9}", "caf\u{e9} "] {
        let expected = denied("7").of("tools/call", tool);
        house.refuses(tool, call(&reader(), tool), &expected).await;
    }
    for tool in ["caf\u{e9}", "caf\\u00e9"] {
        house.passes(tool, call(&reader(), tool)).await;
    }
}

#[tokio::test]
async fn trap_13_the_body_is_of_a_type_that_only_the_server_reads() {
    let house = House::new();
    let expected = no(415, "unsupported_media")
        .oauth("unsupported_media", "A message is plain JSON in UTF-8")
        .by("alice");
    for types in [
        &[][..],
        &["application/json-seq"],
        &["application/jsonl"],
        &["application/json-rpc"],
        &["application/json; charset=utf-16"],
        &["application/json, text/plain"],
        &["application/json", "text/plain"],
        &["text/json"],
        &["text/plain"],
    ] {
        let bare = request("POST", &writer(), call_body("7", "put_note"));
        let typed = types
            .iter()
            .fold(bare, |request, one| request.and("content-type", one));
        house.refuses(&format!("{types:?}"), typed, &expected).await;
    }
    let encoded = call(&writer(), "put_note").and("content-encoding", "gzip");
    house.refuses("encoded", encoded, &expected).await;

    let text = call_body("7", "put_note");
    let utf_16 = |bytes_of: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let marked = format!("\u{feff}{text}");
        marked.encode_utf16().flat_map(bytes_of).collect()
    };
    let expected = unread(-32700, "", "The body is not JSON");
    for (what, body) in [
        ("UTF-16, low byte first", utf_16(u16::to_le_bytes)),
        ("UTF-16, high byte first", utf_16(u16::to_be_bytes)),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("a record", format!("\u{1e}{text}\n").into_bytes()),
        ("lines", format!("{text}\n{text}").into_bytes()),
    ] {
        house.refuses(what, post(&writer(), body), &expected).await;
    }
}
