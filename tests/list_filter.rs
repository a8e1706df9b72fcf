//! What a caller sees of a list: exactly what the policy grants, byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use mcp_auth::{
    AuthStack, JwtValidator, ListFilterLayer, McpBody, McpRequestLayer, Rejection,
    ResourceMetadata, ScopePolicy, StaticJwks, VerifiedToken,
    layers::list_filter::ListFilterBody,
    testing::{ClaimsBuilder, TestIssuer},
};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

const POLICY: &str = r#"{
    "base": ["read:data"],
    "tools": {"get_*": [], "put_*": ["write:data"]},
    "prompts": {"greet": []},
    "resources": {"file:///public/*": [], "file:///secret/*": ["write:data"]}
}"#;

type Answer = Response<BoxBody<Bytes, Infallible>>;

fn policy() -> ScopePolicy {
    ScopePolicy::from_json(POLICY).unwrap()
}

fn alice() -> VerifiedToken {
    let claims = ClaimsBuilder::new().subject("alice").scope("read:data");
    claims.to_verified().unwrap()
}

fn post(body: &str) -> Request<Full<Bytes>> {
    Request::post("/mcp")
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .body(Full::from(body.to_owned()))
        .unwrap()
}

fn list(method: &str) -> Request<Full<Bytes>> {
    post(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#
    ))
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/mcp")
        .header("accept-encoding", "gzip")
        .body(Full::default())
        .unwrap()
}

fn answer(headers: &[(&'static str, &str)], body: BoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        answer
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    answer
}

fn text(media_type: &str, body: &str) -> Answer {
    let length = body.len().to_string();
    answer(
        &[("content-type", media_type), ("content-length", &length)],
        Full::from(body.to_owned()).boxed(),
    )
}

fn json(body: &str) -> Answer {
    text("application/json", body)
}

/// A stream that the test feeds.
fn stream(media_type: &str) -> (mpsc::UnboundedSender<Frame<Bytes>>, Answer) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let frame: Frame<Bytes> = receiver.recv().await?;
        Some((Ok(frame), receiver))
    });
    let body = BodyExt::boxed(StreamBody::new(frames));
    (sender, answer(&[("content-type", media_type)], body))
}

fn data(text: &str) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(text.as_bytes()))
}

/// The answer through the layer, and the headers that the service inside saw.
async fn through(
    request: Request<Full<Bytes>>,
    answer: Answer,
) -> (
    Response<ListFilterBody<BoxBody<Bytes, Infallible>>>,
    HeaderMap,
) {
    let answer = Arc::new(Mutex::new(Some(answer)));
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let saw = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<McpBody>| {
        *saw.lock().unwrap() = request.headers().clone();
        let answer = answer.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(answer) }
    });
    let service = McpRequestLayer::new().layer(ListFilterLayer::new(policy()).layer(inner));
    let mut request = request;
    request.extensions_mut().insert(alice());
    let answer = service.oneshot(request).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (answer, seen)
}

async fn body_of<B: Body<Data = Bytes>>(response: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn refused(request: Request<Full<Bytes>>, answer: Answer, why: &str) {
    let (response, _) = through(request, answer).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{why}");
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason().as_str(), "upstream_error", "{why}");
    assert_eq!(
        body_of(response).await,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-31502,"message":"The upstream failed"}}"#,
        "{why}"
    );
}

const TOOLS: &str = r#"{"jsonrpc": "2.0","id":1,"result":{"tools":[ {"name":"put_note","inputSchema":{}}, {"name":"get_note" ,"x":1.50},{"name":"drop_all"}],"nextCursor":"c","ttlMs":1000,"cacheScope":"public"}}"#;
const SHOWN: &str = r#"{"jsonrpc": "2.0","id":1,"result":{"tools":[ {"name":"get_note" ,"x":1.50}],"nextCursor":"c","ttlMs":1000,"cacheScope":"private"}}"#;

#[tokio::test]
async fn a_list_in_json_shows_what_is_granted_and_its_length_is_right() {
    let (response, seen) = through(list("tools/list"), json(TOOLS)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-length"],
        SHOWN.len().to_string()
    );
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(body_of(response).await, SHOWN);
    assert!(!seen.contains_key("accept-encoding"));
}

#[tokio::test]
async fn every_kind_of_list_is_filtered() {
    for (method, before, after) in [
        (
            "prompts/list",
            r#"{"prompts":[{"name":"greet"},{"name":"get_note"}]}"#,
            r#"{"prompts":[{"name":"greet"}]}"#,
        ),
        (
            "resources/list",
            r#"{"resources":[{"uri":"file:///secret/a","name":"greet"},{"uri":"file:///public/a","name":"a"}]}"#,
            r#"{"resources":[{"uri":"file:///public/a","name":"a"}]}"#,
        ),
        (
            "resources/templates/list",
            r#"{"resourceTemplates":[{"uriTemplate":"file:///public/{name}"},{"uriTemplate":"file:///{name}"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"file:///public/{name}"}]}"#,
        ),
    ] {
        let whole = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let (response, _) = through(list(method), json(&whole(before))).await;
        assert_eq!(body_of(response).await, whole(after), "{method}");
    }
}

#[tokio::test]
async fn a_list_in_an_event_stream_shows_what_is_granted() {
    let progress = "id: 0\ndata:\n\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n";
    let (events, answer) = stream("Text/Event-Stream; charset=utf-8");
    let (mut response, seen) = through(list("tools/list"), answer).await;
    assert!(!seen.contains_key("accept-encoding"));
    assert_eq!(response.status(), 200);
    let mut next = async || {
        let frame = tokio::time::timeout(Duration::from_secs(20), response.body_mut().frame());
        let frame = frame.await.expect("waited in vain")?;
        let data = frame.unwrap().into_data().unwrap();
        Some(String::from_utf8(data.to_vec()).unwrap())
    };
    // Each event passes as soon as it is complete.
    events.send(data(progress)).unwrap();
    assert_eq!(next().await.unwrap(), progress);
    let (head, tail) = TOOLS.split_at(40);
    events.send(data(": hi\n\nid: 1\ndata: ")).unwrap();
    assert_eq!(next().await.unwrap(), ": hi\n\n");
    events.send(data(head)).unwrap();
    events.send(data(tail)).unwrap();
    events.send(data("\n\n: by")).unwrap();
    assert_eq!(next().await.unwrap(), format!("id: 1\ndata: {SHOWN}\n\n"));
    // What never ended passes as it is, for some clients read it, and is filtered all the same.
    events.send(data(&format!("e\ndata:{TOOLS}"))).unwrap();
    drop(events);
    assert_eq!(next().await.unwrap(), format!(": bye\ndata:{SHOWN}"));
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn trailers_pass() {
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("x-sum"),
        HeaderValue::from_static("1"),
    )]);
    for media_type in ["application/json", "text/event-stream"] {
        let (frames, answer) = stream(media_type);
        frames.send(data(r#"{"id":1,"error":{}}"#)).unwrap();
        frames.send(Frame::trailers(trailers.clone())).unwrap();
        drop(frames);
        let (response, _) = through(list("tools/list"), answer).await;
        // Over HTTP/1.1 none follow a body whose length was said before.
        assert_eq!(response.body().size_hint().exact(), None, "{media_type}");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers(), Some(&trailers), "{media_type}");
        assert_eq!(body.to_bytes(), r#"{"id":1,"error":{}}"#, "{media_type}");
    }
}

#[tokio::test]
async fn a_batch_is_filtered_answer_by_answer() {
    let request = post(
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_note"}}]"#,
    );
    let call = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"put_note"}]}}"#;
    let (response, _) = through(request, json(&format!("[{call},{TOOLS}]"))).await;
    assert_eq!(body_of(response).await, format!("[{call},{SHOWN}]"));
}

#[tokio::test]
async fn the_stream_of_a_get_may_carry_a_list() {
    let body = format!("id: 1\ndata: {TOOLS}\n\nevent: endpoint\ndata: /messages?id=1\n\n");
    let (response, seen) = through(get(), text("text/event-stream", &body)).await;
    assert!(!seen.contains_key("accept-encoding"));
    assert!(!response.headers().contains_key("content-length"));
    assert_eq!(
        body_of(response).await,
        format!("id: 1\ndata: {SHOWN}\n\nevent: endpoint\ndata: /messages?id=1\n\n")
    );
    // What is no stream is no business of ours.
    let (response, _) = through(get(), json(TOOLS)).await;
    assert_eq!(body_of(response).await, TOOLS);
}

#[tokio::test]
async fn other_answers_pass_untouched_and_unbuffered() {
    let call =
        || post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_note"}}"#);
    for media_type in ["application/json", "text/event-stream"] {
        let (frames, answer) = stream(media_type);
        let (mut response, seen) = through(call(), answer).await;
        assert_eq!(seen["accept-encoding"], "gzip", "{media_type}");
        for part in [
            "data: {\"id\":1,\"result\":{\"to",
            "ols\":[{\"name\":\"put_note\"}]}}",
        ] {
            frames.send(data(part)).unwrap();
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), part, "{media_type}");
        }
    }
}

#[tokio::test]
async fn what_is_no_list_passes() {
    let accepted = answer(&[], Full::default().boxed());
    let (response, _) = through(list("tools/list"), accepted).await;
    assert_eq!(body_of(response).await, "");
    // A server of 2024-11-05 takes the question in, and answers it in the stream of the GET.
    for headers in [&[][..], &[("content-type", "text/plain")]] {
        let mut accepted = answer(headers, Full::from("Accepted").boxed());
        *accepted.status_mut() = StatusCode::ACCEPTED;
        let (response, _) = through(list("tools/list"), accepted).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(body_of(response).await, "Accepted");
    }
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}"#;
    let (response, _) = through(list("tools/list"), json(error)).await;
    assert_eq!(body_of(response).await, error);
    let mut page = text("text/html", "<h1>Not found</h1>");
    *page.status_mut() = StatusCode::NOT_FOUND;
    let (response, _) = through(list("tools/list"), page).await;
    assert_eq!(response.status(), 404);
    assert_eq!(body_of(response).await, "<h1>Not found</h1>");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_502() {
    // Whoever reads it without looking at the encoding, or after it, sees another list than we.
    let encoded = |media_type| {
        let headers = [("content-type", media_type), ("content-encoding", "gzip")];
        answer(&headers, Full::from(SHOWN).boxed())
    };
    refused(list("tools/list"), encoded("application/json"), "encoded").await;
    refused(list("tools/list"), encoded("text/event-stream"), "encoded").await;
    for broken in [
        "{",
        "[{}",
        r#"{"id":1,"result":{"tools":[],"tools":[{"name":"put_note"}]}}"#,
        r#"{"id":1,"result":{"tools":[]},"result":{"tools":[]}}"#,
        r#"{"id":1,"result":{"tools":[{"name":"get_a","name":"put_a"}]}}"#,
        r#"{"id":1,"result":{"Tools":[{"name":"put_a"}]}}"#,
    ] {
        refused(list("tools/list"), json(broken), broken).await;
    }
    let other = text("application/json-seq", TOOLS);
    refused(list("tools/list"), other, "another type").await;
    let mut accepted = text("text/plain", &format!(" {TOOLS}"));
    *accepted.status_mut() = StatusCode::ACCEPTED;
    refused(list("tools/list"), accepted, "a list taken in").await;
    let mut error = json(r#"{"id":1,"result":{"tools":[],"tools":[]}}"#);
    *error.status_mut() = StatusCode::BAD_REQUEST;
    refused(list("tools/list"), error, "an error with a list").await;
}

/// A list of so many bytes.
fn of_length(length: usize) -> String {
    let (head, tail) = (r#"{"id":1,"result":{"tools":[],"x":""#, r#""}}"#);
    format!(
        "{head}{}{tail}",
        "x".repeat(length - head.len() - tail.len())
    )
}

#[tokio::test]
async fn a_list_is_at_most_4_mib_long() {
    const MAX: usize = 4 * 1024 * 1024;
    let longest = of_length(MAX);
    let (response, _) = through(list("tools/list"), json(&longest)).await;
    assert!(body_of(response).await == longest);
    refused(list("tools/list"), json(&of_length(MAX + 1)), "too long").await;

    // In a stream the length is the event's.
    let event = |length| format!("data: {}\n\n", of_length(length - 8));
    let longest = event(MAX);
    let (response, _) = through(list("tools/list"), text("text/event-stream", &longest)).await;
    assert!(body_of(response).await == longest);
    let longer = text("text/event-stream", &event(MAX + 1));
    let (response, _) = through(list("tools/list"), longer).await;
    assert_eq!(body_of(response).await, LAST);
}

const LAST: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-31502,\"message\":\"The upstream failed\"}}\n\n";

#[tokio::test]
async fn a_stream_that_cannot_be_read_ends_with_an_error() {
    let broken = "data: {\"id\":1,\"result\":{\"tools\":[],\"tools\":[{\"name\":\"put_a\"}]}}\n\n";
    let (events, answer) = stream("text/event-stream");
    let (mut response, _) = through(list("tools/list"), answer).await;
    events
        .send(data(&format!(": 1\n\n{broken}: 2\n\n")))
        .unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), format!(": 1\n\n{LAST}"));
    assert!(response.body_mut().frame().await.is_none());
    // The service inside sees a client that left.
    assert!(events.is_closed());

    // A stream of its own answers nothing that could fail.
    let (response, _) = through(
        get(),
        text("text/event-stream", &format!(": 1\n\n{broken}")),
    )
    .await;
    assert_eq!(body_of(response).await, ": 1\n\n");
}

#[tokio::test]
async fn without_the_layers_that_it_needs_nothing_is_passed_on() {
    let inner = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(json(TOOLS)) });
    let service = ListFilterLayer::new(policy()).layer(inner);
    for has_token in [false, true] {
        let mut request = list("tools/list");
        if has_token {
            request.extensions_mut().insert(alice());
        }
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[tokio::test]
async fn the_stack_filters_unless_all_is_to_be_shown() {
    const RESOURCE: &str = "https://mcp.example/mcp";
    let issuer = TestIssuer::start().unwrap();
    let stack = AuthStack::new(
        JwtValidator::new(issuer.url(), RESOURCE).unwrap(),
        StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes()).unwrap(),
        ResourceMetadata::new(RESOURCE, [issuer.url()]).unwrap(),
        policy(),
    );
    let claims = issuer.claims().audience(RESOURCE).scope("read:data");
    let bearer = format!("Bearer {}", issuer.token(&claims));
    for (stack, expected) in [(stack.clone(), SHOWN), (stack.show_all(), TOOLS)] {
        let inner = service_fn(|_: Request<McpBody>| async { Ok::<_, Infallible>(json(TOOLS)) });
        let mut request = list("tools/list");
        let value = HeaderValue::from_str(&bearer).unwrap();
        request.headers_mut().insert("authorization", value);
        let host = HeaderValue::from_static("mcp.example");
        request.headers_mut().insert("host", host);
        let response = stack.layer(inner).oneshot(request).await.unwrap();
        assert_eq!(
            response.headers()["content-length"],
            expected.len().to_string()
        );
        assert_eq!(body_of(response).await, expected);
    }
}
