//! What a caller may not use it does not see either.

use http::Response;
use http_body_util::{BodyExt, Full};

use crate::{
    answers::denied,
    house::{House, RequestExt, answering, call, fields, no, post, reader, writer},
};

const ALL: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[ {"name":"put_note","inputSchema":{}}, {"name":"get_note" ,"x":1.50},{"name":"drop_all"}],"nextCursor":"c\u0031","ttlMs":1000,"cacheScope":"public"}}"#;
const READERS: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[ {"name":"get_note" ,"x":1.50}],"nextCursor":"c\u0031","ttlMs":1000,"cacheScope":"private"}}"#;
const WRITERS: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[ {"name":"put_note","inputSchema":{}}, {"name":"get_note" ,"x":1.50}],"nextCursor":"c\u0031","ttlMs":1000,"cacheScope":"private"}}"#;
const CHANGED: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";

/// A house whose service answers everything with this.
fn saying(media_type: &'static str, encoding: &'static str, body: String) -> House {
    House::with(|plan| {
        plan.upstream = answering(move |_| {
            let mut response = Response::builder()
                .header("content-type", media_type)
                .header("content-length", body.len());
            if !encoding.is_empty() {
                response = response.header("content-encoding", encoding);
            }
            response.body(Full::from(body.clone()).boxed()).unwrap()
        });
    })
}

fn lists(token: &str) -> http::Request<crate::house::Body> {
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"c0"}}"#;
    post(token, list)
}

#[tokio::test]
async fn trap_23_a_list_shows_more_than_may_be_used() {
    for (token, expected) in [(reader(), READERS), (writer(), WRITERS)] {
        let house = saying("application/json", "", ALL.to_owned());
        let request = lists(&token).and("accept-encoding", "gzip");
        let answer = house.send("JSON", request).await;
        assert_eq!((answer.status, &*answer.body), (200, expected.as_bytes()));
        let length = expected.len().to_string();
        let headers = [
            ("content-length", &*length),
            ("content-type", "application/json"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&answer.headers), headers);
        // So that the answer can be read.
        assert!(!house.seen()[0].headers.contains_key("accept-encoding"));

        let events = |list: &str| format!("{CHANGED}id: 1\r\ndata: {list}\r\n\r\n");
        let house = saying("text/event-stream", "", events(ALL));
        let answer = house.send("events", lists(&token)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, events(expected));
        let headers = [("content-type".to_owned(), "text/event-stream".to_owned())];
        assert_eq!(fields(&answer.headers), headers);
    }

    // What cannot be read is not shown.
    let expected = no(502, "upstream_error")
        .rpc("7", -31502, "The upstream failed", "")
        .error()
        .by("alice")
        .of("tools/list", "")
        .needs("read:data");
    for (media_type, encoding, body) in [
        ("application/json", "gzip", ALL.to_owned()),
        ("text/event-stream", "br", format!("data: {ALL}\n\n")),
        ("application/json-seq", "", ALL.to_owned()),
        (
            "application/json",
            "",
            ALL.replace("\"ttlMs\"", "\"tools\""),
        ),
    ] {
        let house = saying(media_type, encoding, body);
        let answer = house.send(media_type, lists(&reader())).await;
        expected.assert(media_type, &answer);
    }

    // Nor do refusals tell which of the hidden tools there are.
    let house = saying("application/json", "", ALL.to_owned());
    for tool in ["drop_all", "never_was"] {
        let expected = denied("7").of("tools/call", tool);
        house.refuses(tool, call(&writer(), tool), &expected).await;
    }
}
