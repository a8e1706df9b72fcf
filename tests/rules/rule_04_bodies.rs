//! Rule 4, the request around the message: its method and type, its body's size and time.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;

use crate::house::{
    Body, House, ISSUER, METADATA, RequestExt, SESSION, SESSION_LOGGED, alice, call_body, fields,
    no, post, reader, request,
};

fn streamed(
    pieces: impl futures_util::Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static,
) -> Request<Body> {
    let mut request = post(&reader(), "");
    *request.body_mut() = BodyExt::boxed_unsync(StreamBody::new(pieces));
    request
}

fn pieces(of: Vec<&'static [u8]>) -> Request<Body> {
    let frames = of
        .into_iter()
        .map(|piece| Ok(Frame::data(Bytes::from_static(piece))));
    streamed(stream::iter(frames.collect::<Vec<_>>()))
}

#[tokio::test]
async fn rule_04_other_methods_are_405_and_other_types_415() {
    let house = House::new();
    let token = reader();
    let expected = no(405, "method_not_allowed")
        .allow("GET, POST, DELETE")
        .oauth("method_not_allowed", "The method is not one of MCP's")
        .by("alice");
    for (method, action) in [
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("OPTIONS", "OPTIONS"),
        ("TRACE", "TRACE"),
        ("CONNECT", "CONNECT"),
        ("PROPFIND", "PROPFIND"),
        // What the log says of something else is not to be had by a method of that name.
        ("post", "other"),
        ("stream_end", "other"),
        ("initialize", "other"),
    ] {
        let expected = expected.clone().of(action, "");
        house
            .refuses(
                method,
                request(method, &token, call_body("7", "get_note")),
                &expected,
            )
            .await;
    }
    let expected = no(415, "unsupported_media")
        .oauth("unsupported_media", "A message is plain JSON in UTF-8")
        .by("alice");
    let body = call_body("7", "get_note");
    let typed = |types: &[&str]| {
        types
            .iter()
            .fold(request("POST", &token, body.clone()), |request, one| {
                request.and("content-type", one)
            })
    };
    for types in [
        &[][..],
        &[""],
        &["text/plain"],
        &["text/json"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=x"],
        &["application/json-rpc"],
        &["application/jsonl"],
        &["application/json; charset=utf-16"],
        &["application/json; charset=utf-7"],
        &["application/json, text/plain"],
        &["application/json", "application/json"],
    ] {
        house
            .refuses(&format!("{types:?}"), typed(types), &expected)
            .await;
    }
    for coding in ["gzip", "br", "deflate", "identity, gzip"] {
        let request = typed(&["application/json"]).and("content-encoding", coding);
        house.refuses(coding, request, &expected).await;
    }
    for types in ["application/json", "APPLICATION/JSON ; charset=\"UTF-8\""] {
        house.passes(types, typed(&[types])).await;
    }
}

#[tokio::test]
async fn rule_04_a_body_is_bounded_in_size() {
    const MOST: usize = 4 * 1024 * 1024;
    let house = House::new();
    let expected = no(413, "too_large")
        .oauth("too_large", "The body is too large")
        .by("alice");
    let sized = |size: usize| {
        let start = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":""#;
        let end = r#""}}"#;
        let padding = "a".repeat(size - start.len() - end.len());
        Bytes::from(format!("{start}{padding}{end}"))
    };
    let body = sized(MOST);
    let (seen, _) = house
        .passes("as large as may be", post(&reader(), body.clone()))
        .await;
    assert!(seen.body == body, "other bytes");
    house
        .refuses("one byte more", post(&reader(), sized(MOST + 1)), &expected)
        .await;
    // Nobody says how long it is.
    let large = sized(MOST + 1);
    let parts = vec![large.slice(..MOST), large.slice(MOST..)];
    let frames = stream::iter(parts.into_iter().map(|part| Ok(Frame::data(part))));
    house
        .refuses("in pieces", streamed(frames), &expected)
        .await;
    let endless = stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 65_536]))));
    house.refuses("endless", streamed(endless), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn rule_04_a_body_is_bounded_in_time() {
    let house = House::new();
    let expected = no(408, "timeout")
        .oauth("timeout", "The body took too long")
        .by("alice");
    let start = Instant::now();
    house
        .refuses("stalled", streamed(stream::pending()), &expected)
        .await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));

    let start = Instant::now();
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"{")))]);
    let stalled = streamed(first.chain(stream::pending()));
    house.refuses("stalled later", stalled, &expected).await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));

    let start = Instant::now();
    let trickle = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    house
        .refuses("trickling", streamed(trickle), &expected)
        .await;
    assert_eq!(start.elapsed(), Duration::from_secs(60));

    let start = Instant::now();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}     "#.as_bytes();
    let slow = stream::iter(body.chunks(9)).then(|piece| async move {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(Frame::data(Bytes::from_static(piece)))
    });
    house.passes("slow, but in time", streamed(slow)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(45));
}

#[tokio::test]
async fn rule_04_a_body_in_pieces_passes_whole_and_without_trailers() {
    let house = House::new();
    let whole = pieces(vec![
        b"",
        b" {\"jsonrpc\":",
        b"\"2.0\",\t\"id\":1,",
        b"\"method\":\"pi",
        b"ng\"}\r\n ",
    ]);
    let (seen, event) = house.passes("in pieces", whole).await;
    assert_eq!(
        seen.body,
        " {\"jsonrpc\":\"2.0\",\t\"id\":1,\"method\":\"ping\"}\r\n "
    );
    assert_eq!(event.action(), "ping");

    let mut trailers = HeaderMap::new();
    trailers.insert("x-canary", "1".parse().unwrap());
    let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    let frames = [Ok(Frame::data(body.clone())), Ok(Frame::trailers(trailers))];
    let (seen, _) = house
        .passes("trailers", streamed(stream::iter(frames)))
        .await;
    assert_eq!(seen.body, body);

    let broken = [Ok(Frame::data(body)), Err(io::Error::other("canary"))];
    let expected = no(400, "malformed_message")
        .oauth("invalid_request", "The body broke off")
        .by("alice");
    house
        .refuses("broken off", streamed(stream::iter(broken)), &expected)
        .await;
}

#[tokio::test]
async fn rule_04_get_head_and_delete_pass_without_a_body() {
    let house = House::new();
    house.open_session(&reader()).await;
    for (method, action) in [("GET", "GET"), ("HEAD", "GET"), ("DELETE", "DELETE")] {
        let request = request(method, &reader(), "canary")
            .and("content-type", "text/plain")
            .and("content-length", "6")
            .and("transfer-encoding", "chunked")
            .and("accept", "text/event-stream")
            .and("last-event-id", "9")
            .and("mcp-session-id", SESSION);
        let (seen, event) = house.passes(method, request).await;
        assert_eq!((&*seen.method, &seen.body[..]), (method, &b""[..]));
        let expected = [
            ("accept", "text/event-stream"),
            ("host", "host-canary.example"),
            ("last-event-id", "9"),
            ("mcp-session-id", SESSION),
            ("x-api-key", "internal-key-ro"),
            ("x-forwarded-host", "forwarded-canary.example"),
        ];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(fields(&seen.headers), expected, "{method}");
        assert_eq!((event.action(), event.tool()), (action, None));
        assert_eq!(event.session(), Some(SESSION_LOGGED));
    }
    let expected = |action: &str| {
        no(403, "insufficient_scope")
            .challenge(&format!(
                r#"Bearer error="insufficient_scope", scope="read:data", {}"#,
                METADATA
            ))
            .oauth("insufficient_scope", "The access token lacks a scope")
            .by("alice")
            .of(action, "")
            .needs("read:data")
    };
    let token = ISSUER.token(&alice("other"));
    for (method, action) in [("GET", "GET"), ("HEAD", "GET"), ("DELETE", "DELETE")] {
        house
            .refuses(method, request(method, &token, ""), &expected(action))
            .await;
    }
    for header in ["mcp-session-id", "last-event-id"] {
        let twice = request("GET", &reader(), "")
            .and(header, "a")
            .and(header, "b");
        let expected = no(400, "header_mismatch")
            .oauth(
                "invalid_request",
                "A header that may stand once was repeated",
            )
            .by("alice")
            .of("GET", "");
        house.refuses(header, twice, &expected).await;
    }
}
