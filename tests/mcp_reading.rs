//! What a body is read as: the messages that everyone behind us will read, or a refusal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mcp_auth::{
    Access, Claims, Decision, McpRequest, MessageError, MessageKind, Operation, Policy,
    ProtocolVersion, ScopePolicy, Target, UnixTime, VerifiedToken,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use serde_json::Value;

fn refusal(json: &str) -> MessageError {
    McpRequest::from_json(json.as_bytes()).expect_err(json)
}

/// The only operation of a message that is read.
fn operation(json: &str) -> Operation {
    let request =
        McpRequest::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    request.messages()[0].operation().clone()
}

/// A request with the id 1.
fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

fn tool(name: &str) -> Target {
    Target::Tool(name.into())
}

fn prompt(name: &str) -> Target {
    Target::Prompt(name.into())
}

fn resource(uri: &str) -> Target {
    Target::Resource(uri.into())
}

fn task(id: &str) -> Target {
    Target::Task(id.into())
}

#[test]
fn every_method_names_what_it_is_about() {
    for (method, params, expected) in [
        ("tools/call", r#"{"name":"a","uri":"u"}"#, vec![tool("a")]),
        ("tools/call", r#"{"name":""}"#, vec![tool("")]),
        ("prompts/get", r#"{"name":"a"}"#, vec![prompt("a")]),
        (
            "resources/read",
            r#"{"uri":"u","name":"a"}"#,
            vec![resource("u")],
        ),
        ("resources/subscribe", r#"{"uri":"u"}"#, vec![resource("u")]),
        (
            "resources/unsubscribe",
            r#"{"uri":"u"}"#,
            vec![resource("u")],
        ),
        ("resources/subscribe", r#"{"uri":1}"#, vec![]),
        (
            "resources/directory/read",
            r#"{"uri":"u"}"#,
            vec![resource("u")],
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"a"}}"#,
            vec![prompt("a")],
        ),
        (
            "completion/complete",
            r#"{"ref":{"name":"a","type":"ref/resource","uri":"u"}}"#,
            vec![resource("u")],
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","uri":"u"}}"#,
            vec![],
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/tool","name":"a"}}"#,
            vec![],
        ),
        (
            "completion/complete",
            r#"{"ref":["ref/prompt","a"]}"#,
            vec![],
        ),
        ("completion/complete", "{}", vec![]),
        (
            "subscriptions/listen",
            r#"{"notifications":{"toolsListChanged":true}}"#,
            vec![],
        ),
        ("subscriptions/listen", "{}", vec![]),
        (
            "subscriptions/listen",
            r#"{"notifications":{"taskIds":["t"],"resourceSubscriptions":["u","v"]}}"#,
            vec![resource("u"), resource("v"), task("t")],
        ),
        ("tasks/get", r#"{"taskId":"t"}"#, vec![task("t")]),
        ("tasks/cancel", r#"{"taskId":"t"}"#, vec![task("t")]),
        ("tasks/result", r#"{"taskId":"t"}"#, vec![task("t")]),
        ("tasks/update", r#"{"taskId":"t"}"#, vec![task("t")]),
        ("tasks/list", "{}", vec![]),
        ("tools/list", r#"{"name":"a"}"#, vec![]),
        ("acme/do", r#"{"name":"a"}"#, vec![]),
    ] {
        let json = request(method, params);
        assert_eq!(
            operation(&json),
            Operation::new(method.to_owned(), expected),
            "{json}"
        );
    }
}

#[test]
fn three_kinds_of_messages() {
    for (json, kind, id) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            MessageKind::Request,
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":-7,"method":"ping"}"#,
            MessageKind::Request,
            Some("-7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id": "a\u0062" ,"method":"ping"}"#,
            MessageKind::Request,
            Some(r#""a\u0062""#),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#,
            MessageKind::Request,
            Some(r#""""#),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            MessageKind::Notification,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
            MessageKind::Notification,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            MessageKind::Response,
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            MessageKind::Response,
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#,
            MessageKind::Response,
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#,
            MessageKind::Response,
            None,
        ),
    ] {
        let request = McpRequest::from_json(json.as_bytes()).expect(json);
        let [message] = request.messages() else {
            panic!("{json}")
        };
        assert_eq!(message.kind(), kind, "{json}");
        assert_eq!(message.id().map(|id| id.as_json()), id, "{json}");
        // The id of a response is not ours to answer with.
        let is_request = kind == MessageKind::Request;
        assert_eq!(request.id(), message.id().filter(|_| is_request));
        assert_eq!(
            kind == MessageKind::Response,
            message.operation().method() == "response"
        );
        assert!(!request.is_batch() && !request.has_session());
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let long = "x".repeat(9_000);
    let call = r#""jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}"#;
    for (code, json) in [
        // No JSON.
        (-32700, String::new()),
        (-32700, String::from("{")),
        (-32700, format!("{{{call}}} {{{call}}}")),
        (-32700, format!("{{{call}}}\n{{{call}}}")),
        (-32700, format!("{{{call}}},")),
        (-32700, format!("\u{feff}{{{call}}}")),
        (-32700, format!("{{{call},}}")),
        (-32700, format!("{{{call}/**/}}")),
        (
            -32700,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":NaN}}"#),
        ),
        (-32700, request("tools/call", r#"{"name":"\ud800"}"#)),
        (-32700, request("tools/call", r#"{"name":"a","\ud800":1}"#)),
        (-32700, request("tools/call", "{\"name\":\"a\nb\"}")),
        // No message.
        (-32600, String::from("null")),
        (-32600, String::from("1")),
        (-32600, String::from("\"tools/call\"")),
        (-32600, String::from("{}")),
        (
            -32600,
            String::from(r#"["2.0",1,"tools/call",{"name":"a"}]"#),
        ),
        (-32600, String::from(r#"{"id":1,"method":"ping"}"#)),
        (
            -32600,
            String::from(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#),
        ),
        (
            -32600,
            String::from(r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#),
        ),
        (-32600, String::from(r#"{"jsonrpc":"2.0","id":1}"#)),
        (
            -32600,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":1}"#),
        ),
        (
            -32600,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":null,"result":1}"#),
        ),
        (
            -32600,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":1}"#),
        ),
        (
            -32600,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":null}"#),
        ),
        (
            -32600,
            String::from(r#"{"jsonrpc":"2.0","id":1,"result":1,"error":1}"#),
        ),
        (-32600, String::from(r#"{"jsonrpc":"2.0","result":1}"#)),
        (
            -32600,
            String::from(
                r#"{"$serde_json::private::RawValue":"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}"}"#,
            ),
        ),
        // Names that stand for what is no message.
        (-32600, request("GET", "{}")),
        (-32600, request("DELETE", "{}")),
        (-32600, request("response", "{}")),
        (-32600, request(&long, "{}")),
        // Parameters.
        (-32602, request("tools/call", "{}")),
        (-32602, request("tools/call", r#"{"name":1}"#)),
        (-32602, request("tools/call", r#"{"name":null}"#)),
        (-32602, request("tools/call", r#"{"name":["a"]}"#)),
        (
            -32602,
            request(
                "tools/call",
                r#"{"name":{"$serde_json::private::RawValue":"\"a\""}}"#,
            ),
        ),
        (-32602, request("tools/call", r#"{"uri":"a"}"#)),
        (
            -32602,
            String::from(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#),
        ),
        (
            -32602,
            String::from(r#"{"jsonrpc":"2.0","method":"tools/call","params":{}}"#),
        ),
        (-32602, request("prompts/get", r#"{"uri":"a"}"#)),
        (-32602, request("resources/read", r#"{"name":"a"}"#)),
        (-32602, request("tools/call", r#"["a"]"#)),
        (-32602, request("tools/list", "[]")),
        (-32602, request("tools/list", "null")),
        (-32602, request("tools/list", "\"a\"")),
        (-32602, request("tools/list", r#"{"_meta":[]}"#)),
        (-32602, request("tools/list", r#"{"_meta":null}"#)),
        (
            -32602,
            request("tools/call", &format!(r#"{{"name":"{long}"}}"#)),
        ),
        (
            -32602,
            request("subscriptions/listen", r#"{"notifications":[]}"#),
        ),
        (
            -32602,
            request(
                "subscriptions/listen",
                r#"{"notifications":{"resourceSubscriptions":"u"}}"#,
            ),
        ),
        (
            -32602,
            request(
                "subscriptions/listen",
                r#"{"notifications":{"resourceSubscriptions":["u",1]}}"#,
            ),
        ),
        (
            -32602,
            request(
                "subscriptions/listen",
                r#"{"notifications":{"resourceSubscriptions":null}}"#,
            ),
        ),
        (
            -32602,
            request(
                "subscriptions/listen",
                &format!(
                    r#"{{"notifications":{{"resourceSubscriptions":[{}]}}}}"#,
                    vec!["\"u\""; 1001].join(",")
                ),
            ),
        ),
        (-32602, subscription(257, 1000)),
    ] {
        let error = refusal(&json);
        let shown = json.get(..200).unwrap_or(&json);
        assert_eq!(error.code(), code, "{shown}: {error}");
        assert_eq!(error.reason().as_str(), "malformed_message");
        if code == -32602 && json.contains("\"id\"") {
            assert_eq!(error.id().expect(shown).as_json(), "1");
        }
    }
}

/// A request for as many resources, each with a URI of as many bytes.
fn subscription(length: usize, uris: usize) -> String {
    let uris = vec![format!("\"{}\"", "u".repeat(length)); uris].join(",");
    request(
        "subscriptions/listen",
        &format!(r#"{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}"#),
    )
}

#[test]
fn a_subscription_names_as_much_as_can_be_judged_at_once() {
    let asked = McpRequest::from_json(subscription(256, 1000).as_bytes()).expect("readable");
    assert_eq!(asked.messages()[0].operation().targets().len(), 1000);
}

#[test]
fn an_id_is_a_string_or_an_integer() {
    let with_id = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    for id in [
        "null",
        "true",
        "{}",
        "[1]",
        "1.0",
        "1e3",
        "-0.5",
        r#"{"a":1}"#,
        r#""\ud800""#,
    ] {
        let error = refusal(&with_id(id));
        assert_eq!((error.code(), error.id()), (-32600, None), "{id}");
    }
    let longest = format!("\"{}\"", "x".repeat(254));
    assert_eq!(operation(&with_id(&longest)).method(), "ping");
    assert_eq!(
        refusal(&with_id(&format!("\"{}\"", "x".repeat(255)))).code(),
        -32600
    );
    assert_eq!(refusal(&with_id(&"9".repeat(257))).code(), -32600);
}

#[test]
fn members_that_parsers_could_read_differently_are_refused() {
    let in_params = |params: &str| request("tools/call", params);
    let in_meta = |meta: &str| request("tools/call", &format!(r#"{{"name":"a","_meta":{meta}}}"#));
    let in_ref =
        |reference: &str| request("completion/complete", &format!(r#"{{"ref":{reference}}}"#));
    let in_filter = |filter: &str| {
        request(
            "subscriptions/listen",
            &format!(r#"{{"notifications":{filter}}}"#),
        )
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    for json in [
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"ping"}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"PARAMS":{}}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{}}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Id":2}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Result":2}"#),
        String::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"x":2}"#),
        in_params(r#"{"name":"a","name":"b"}"#),
        in_params(r#"{"name":"a","name":"a"}"#),
        in_params(r#"{"name":"a","n\u0061me":"b"}"#),
        in_params(r#"{"name":"a","Name":"b"}"#),
        in_params(r#"{"name":"a","NAME":"b"}"#),
        in_params(r#"{"name":"a","ur\u0131":"b"}"#),
        in_params("{\"name\":\"a\",\"argument\u{17f}\":{}}"),
        in_params("{\"name\":\"a\",\"tas\u{212a}Id\":\"b\"}"),
        in_params(r#"{"name":"a","arguments":{},"arguments":{}}"#),
        in_params(r#"{"name":"a","_meta":{},"_META":{}}"#),
        in_params(r#"{"name":"a","x":1,"x":1}"#),
        in_params(r#"{"name":"a","$serde_json::private::RawValue":"{}"}"#),
        in_meta(r#"{"x":1,"x":2}"#),
        in_meta(&format!(
            r#"{{"{version}":"2025-11-25","{version}":"2025-11-25"}}"#
        )),
        in_meta(&format!(r#"{{"{}":"2025-11-25"}}"#, version.to_uppercase())),
        in_meta(r#"{"io.modelcontextprotocol/clientinfo":{}}"#),
        in_meta(r#"{"$serde_json::private::Number":"1"}"#),
        in_ref(r#"{"type":"ref/prompt","name":"a","name":"b"}"#),
        in_ref(r#"{"type":"ref/prompt","type":"ref/resource","name":"a","uri":"u"}"#),
        in_ref(r#"{"type":"ref/prompt","Type":"ref/resource","name":"a","uri":"u"}"#),
        in_filter(r#"{"resourceSubscriptions":["u"],"resourceSubscriptions":["v"]}"#),
        in_filter(r#"{"ResourceSubscriptions":["v"]}"#),
        in_filter(r#"{"$serde_json::private::RawValue":"{\"resourceSubscriptions\":[\"v\"]}"}"#),
        request(
            "subscriptions/listen",
            r#"{"$serde_json::private::RawValue":"{\"notifications\":{}}"}"#,
        ),
    ] {
        assert_eq!(refusal(&json).code(), -32600, "{json}");
    }
    // Deeper down a name means nothing here, and a reserved name of another level is any name.
    for params in [
        r#"{"name":"a","arguments":{"name":"b","name":"c","Name":"d"}}"#,
        r#"{"name":"a","method":"x","Method":"y"}"#,
        r#"{"name":"a","_meta":{"x":{"y":1,"y":2},"name":"b","Name":"c"}}"#,
    ] {
        assert_eq!(operation(&in_params(params)), Operation::tool("a"));
    }
}

#[test]
fn the_same_message_in_other_letters_is_the_same() {
    for json in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"put_note"}}"#,
        r#" { "params" : { "name" : "put_note" } , "method" : "tools/call" , "id" : 1 , "jsonrpc" : "2.0" } "#,
        r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools\/c\u0061ll","par\u0061ms":{"n\u0061me":"put\u005fnote"}}"#,
        "\t{\r\n\"jsonrpc\":\"2.0\",\"id\":1,\"extra\":[{}],\"method\":\"tools/call\",\"params\":{\"arguments\":{\"name\":\"x\"},\"name\":\"put_note\"}}",
    ] {
        assert_eq!(operation(json), Operation::tool("put_note"), "{json}");
    }
    // Nothing is normalised, trimmed or folded.
    for name in [
        "Put_note",
        "put_note ",
        "put_note\\u0000",
        "pu\\u0301t_note",
    ] {
        let json = request("tools/call", &format!(r#"{{"name":"{name}"}}"#));
        assert_ne!(operation(&json), Operation::tool("put_note"), "{name}");
    }
}

#[test]
fn nothing_is_too_deep_or_too_wide_to_answer() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    // The message and its parameters are two of the levels.
    let with = |depth| {
        request(
            "tools/call",
            &format!(r#"{{"name":"a","x":{}}}"#, nested(depth)),
        )
    };
    assert_eq!(operation(&with(126)), Operation::tool("a"));
    assert_eq!(refusal(&with(127)).code(), -32600);
    let arguments = |depth| {
        request(
            "tools/call",
            &format!(r#"{{"name":"a","arguments":{}}}"#, nested(depth)),
        )
    };
    assert_eq!(operation(&arguments(126)), Operation::tool("a"));
    assert_eq!(refusal(&arguments(127)).code(), -32600);
    for hostile in ["[".repeat(50_000), nested(50_000), "{\"a\":".repeat(20_000)] {
        assert_eq!(refusal(&hostile).code(), -32600);
    }
    let wide = format!(
        r#"{{"name":"a","arguments":[{}]}}"#,
        vec!["{}"; 100_000].join(",")
    );
    assert_eq!(
        operation(&request("tools/call", &wide)),
        Operation::tool("a")
    );
    let members = (0..200)
        .map(|n| format!("\"m{n}\":0"))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(
        refusal(&request(
            "tools/call",
            &format!(r#"{{"name":"a",{members}}}"#)
        ))
        .code(),
        -32600
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    for bytes in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xff\"}"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":\"\xc0\xaf\"}}",
        b"\xff\xfe{\x00}\x00",
        b"{\0\"\0",
    ] {
        assert_eq!(McpRequest::from_json(bytes).unwrap_err().code(), -32700);
    }
}

#[test]
fn the_revision_and_the_arguments_are_those_of_the_message() {
    let json = request(
        "tools/call",
        r#"{"name":"a","arguments": {"x" : [1, "\u0061"]} ,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
    );
    let read = McpRequest::from_json(json.as_bytes()).unwrap();
    assert_eq!(read.version(), ProtocolVersion::V2026_07_28);
    let arguments = read.arguments(&read.messages()[0]).unwrap();
    assert_eq!(arguments, br#"{"x" : [1, "\u0061"]}"#);

    let batch = format!(
        "[{},{}]",
        request("tools/call", r#"{"name":"a","arguments":1}"#),
        request("tools/call", r#"{"name":"b","arguments":null}"#)
    );
    let read = McpRequest::from_json(batch.as_bytes()).unwrap();
    assert_eq!(read.version(), ProtocolVersion::V2025_03_26);
    let arguments: Vec<_> = read
        .messages()
        .iter()
        .map(|it| read.arguments(it))
        .collect();
    assert_eq!(arguments, [Some(&b"1"[..]), Some(b"null")]);
    let none = McpRequest::from_json(request("tools/call", r#"{"name":"a"}"#).as_bytes()).unwrap();
    assert_eq!(none.arguments(&none.messages()[0]), None);
}

#[test]
fn a_client_may_claim_what_it_likes() {
    let meta = |info: &str| {
        let params = format!(r#"{{"_meta":{{"io.modelcontextprotocol/clientInfo":{info}}}}}"#);
        request("tools/list", &params)
    };
    let long = format!(
        r#"{{"name":"{}","version":"{}"}}"#,
        "\u{e9}".repeat(90),
        "1".repeat(90)
    );
    let kept = format!("{}/{}", "\u{e9}".repeat(32), "1".repeat(64));
    for (json, expected) in [
        (
            request("initialize", r#"{"clientInfo":{"name":"a","version":"1"}}"#),
            Some("a/1"),
        ),
        (meta(r#"{"version":"1","name":"a","x":[]}"#), Some("a/1")),
        (meta(r#"{"name":"a"}"#), Some("a")),
        (
            meta(r#"{"name":"\u001b[31m\r\na\u0085","version":"\n"}"#),
            Some("[31ma"),
        ),
        (meta(&long), Some(&*kept)),
        (meta(r#"{"version":"1"}"#), None),
        (meta(r#"{"name":7}"#), None),
        (meta("\"a/1\""), None),
        (meta("null"), None),
        // Only `initialize` has it in its parameters.
        (
            request("tools/list", r#"{"clientInfo":{"name":"a","version":"1"}}"#),
            None,
        ),
    ] {
        let read = McpRequest::from_json(json.as_bytes()).expect(&json);
        assert_eq!(read.client_claimed(), expected, "{json}");
    }
}

#[test]
fn each_revision_has_its_methods() {
    use ProtocolVersion::{Unknown, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};
    for (method, expected) in [
        ("tools/call", [true, true, true, true]),
        ("resources/templates/list", [true, true, true, true]),
        ("completion/complete", [true, true, true, true]),
        ("notifications/cancelled", [true, true, true, true]),
        ("initialize", [true, true, true, false]),
        ("ping", [true, true, true, false]),
        ("logging/setLevel", [true, true, true, false]),
        ("resources/subscribe", [true, true, true, false]),
        ("resources/unsubscribe", [true, true, true, false]),
        (
            "notifications/roots/list_changed",
            [true, true, true, false],
        ),
        ("tasks/get", [false, false, true, true]),
        ("tasks/cancel", [false, false, true, true]),
        ("tasks/result", [false, false, true, false]),
        ("tasks/list", [false, false, true, false]),
        ("tasks/update", [false, false, false, true]),
        ("server/discover", [false, false, false, true]),
        ("subscriptions/listen", [false, false, false, true]),
        // The server's own, and what is no method.
        ("sampling/createMessage", [false; 4]),
        ("roots/list", [false; 4]),
        ("GET", [false; 4]),
        ("response", [false; 4]),
        ("tools/Call", [false; 4]),
        ("", [false; 4]),
    ] {
        let got = [V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28].map(|it| it.defines(method));
        assert_eq!(got, expected, "{method}");
        assert_eq!(Unknown.defines(method), V2026_07_28.defines(method));
    }
}

/// Any JSON value, of moderate size.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// Writes a value in one of the many ways in which JSON can say the same.
fn write_otherwise(value: &Value, rng: &mut TestRng, out: &mut String) {
    let space = |rng: &mut TestRng, out: &mut String| {
        for _ in 0..rng.random_range(0..3) {
            out.push([' ', '\t', '\n', '\r'][rng.random_range(0..4)]);
        }
    };
    space(rng, out);
    match value {
        Value::String(text) => write_text(text, rng, out),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_otherwise(item, rng, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for last in (1..members.len()).rev() {
                members.swap(last, rng.random_range(0..=last));
            }
            out.push('{');
            for (position, (name, value)) in members.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                space(rng, out);
                write_text(name, rng, out);
                space(rng, out);
                out.push(':');
                write_otherwise(value, rng, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    space(rng, out);
}

fn write_text(text: &str, rng: &mut TestRng, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        if rng.random_range(0..4) == 0 || matches!(char, '"' | '\\' | '\0'..='\u{1f}') {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(char);
        }
    }
    out.push('"');
}

fn decide(request: &McpRequest) -> Vec<Decision> {
    let policy = ScopePolicy::from_json(
        r#"{"base":["b"],"tools":{"a":["x"],"b*":["y"]},"prompts":{"*":[]},"resources":{"u:*":["z"]}}"#,
    )
    .unwrap();
    let claims = r#"{"iss":"https://i","sub":"s","exp":2000000000,"scope":"b x"}"#;
    let token = VerifiedToken::assertion(Claims::from_json(claims).unwrap());
    let decide = |operation| {
        policy.decide(
            &Access::new(&token, operation, UnixTime::EPOCH).with_version(request.version()),
        )
    };
    request
        .messages()
        .iter()
        .map(|it| decide(it.operation()))
        .collect()
}

proptest! {
    /// The decision does not depend on the order of members, on white space or on escapes.
    #[test]
    fn the_letters_do_not_matter(
        method in prop::sample::select(vec![
            "tools/call", "prompts/get", "resources/read", "resources/subscribe", "tools/list",
            "completion/complete", "ping", "acme/do", "notifications/x",
        ]),
        name in prop::sample::select(vec!["a", "b", "bb", "c", "u:1", "u:\u{1F600}", ""]),
        extra in proptest::collection::btree_map("[x-z]{1,3}", any_value(), 0..3),
        arguments in any_value(),
        seed in any::<[u8; 32]>(),
    ) {
        let mut params: serde_json::Map<String, Value> = extra.into_iter().collect();
        params.insert("name".into(), name.into());
        params.insert("uri".into(), name.into());
        params.insert("ref".into(), serde_json::json!({"type": "ref/prompt", "name": name}));
        params.insert("arguments".into(), arguments);
        let value = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": method, "params": params,
        });
        let plain = McpRequest::from_json(value.to_string().as_bytes()).unwrap();
        let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut text = String::new();
        write_otherwise(&value, &mut rng, &mut text);
        let other = McpRequest::from_json(text.as_bytes()).unwrap();
        prop_assert_eq!(plain.messages()[0].operation(), other.messages()[0].operation());
        prop_assert_eq!(decide(&plain), decide(&other));
        let of = |it: &McpRequest| -> Value {
            serde_json::from_slice(it.arguments(&it.messages()[0]).unwrap()).unwrap()
        };
        prop_assert_eq!(of(&plain), of(&other));
    }

    /// Whatever is read means the same to a parser that keeps the last of repeated members.
    #[test]
    fn what_is_read_is_what_others_read(text in json_like()) {
        if let Ok(request) = McpRequest::from_json(text.as_bytes()) {
            let value: Value = serde_json::from_str(&text).unwrap();
            let elements = match &value {
                Value::Array(elements) => elements.as_slice(),
                other => std::slice::from_ref(other),
            };
            prop_assert_eq!(elements.len(), request.messages().len());
            for (element, message) in elements.iter().zip(request.messages()) {
                let operation = message.operation();
                let params = &element["params"];
                match element.get("method") {
                    Some(method) => prop_assert_eq!(method.as_str().unwrap(), operation.method()),
                    None => prop_assert_eq!(operation.method(), "response"),
                }
                if let Some(target) = operation.target() {
                    let named = match target {
                        Target::Resource(_) => &params["uri"],
                        Target::Task(_) => &params["taskId"],
                        _ => &params["name"],
                    };
                    prop_assert_eq!(named.as_str().unwrap(), target.name());
                }
                let id = message.id().map(|id| serde_json::from_str::<Value>(id.as_json()).unwrap());
                prop_assert_eq!(id.as_ref(), element.get("id"));
                let arguments = request.arguments(message).map(|it| serde_json::from_slice::<Value>(it).unwrap());
                prop_assert_eq!(arguments.as_ref(), params.get("arguments"));
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = McpRequest::from_json(&bytes);
    }
}

/// Texts that are messages more often than not, with every mistake that the pieces allow.
fn json_like() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "\"a\"",
        "\"put_note\"",
        "\"\\u0061\"",
        "\"2.0\"",
        "1",
        "null",
        "[]",
        "{}",
        "true",
        "\"\"",
    ]);
    let params = proptest::collection::vec(
        (
            prop::sample::select(vec![
                "name",
                "uri",
                "taskId",
                "arguments",
                "n\\u0061me",
                "x",
                "Name",
                "_meta",
            ]),
            text.clone(),
        ),
        0..4,
    );
    let object = |members: Vec<(&'static str, String)>| {
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let message = (
        prop::sample::select(vec![
            "\"tools/call\"",
            "\"prompts/get\"",
            "\"resources/read\"",
            "\"tasks/get\"",
            "\"p\\u0069ng\"",
            "1",
        ]),
        params,
        proptest::collection::vec(
            (
                prop::sample::select(vec!["id", "result", "x", "method", "ID"]),
                text,
            ),
            0..3,
        ),
        any::<bool>(),
    )
        .prop_map(move |(method, params, extra, has_method)| {
            let params = params
                .into_iter()
                .map(|(name, value)| (name, value.to_owned()))
                .collect();
            let mut members = vec![("jsonrpc", String::from("\"2.0\""))];
            if has_method {
                members.push(("method", method.to_owned()));
                members.push(("params", object(params)));
            }
            members.extend(
                extra
                    .into_iter()
                    .map(|(name, value)| (name, value.to_owned())),
            );
            object(members)
        });
    prop_oneof![
        4 => message.clone(),
        1 => proptest::collection::vec(message, 0..3).prop_map(|it| format!("[{}]", it.join(","))),
    ]
}
