//! A stream lives no longer than the token that opened it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mcp_auth::AuthBody;
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::house::{
    Body, House, ISSUER, NOW, RequestExt, UpstreamBody, call, post, reader, request,
};

type Events = mpsc::UnboundedSender<Frame<Bytes>>;

/// A house whose service answers with streams that the test feeds.
fn streaming() -> (House, mpsc::UnboundedReceiver<Events>) {
    let (streams, opened) = mpsc::unbounded_channel();
    let house = House::with(|plan| {
        plan.upstream = Arc::new(move |_| {
            let (events, receiver) = mpsc::unbounded_channel();
            streams.send(events).unwrap();
            let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
                let frame = receiver.recv().await?;
                Some((Ok(frame), receiver))
            });
            let response = Response::builder()
                .header("content-type", "text/event-stream")
                .body(BodyExt::boxed(StreamBody::new(frames)))
                .unwrap();
            std::future::ready(Ok(response)).boxed()
        });
    });
    (house, opened)
}

fn feed(events: &Events, text: &'static str) {
    events
        .send(Frame::data(Bytes::from_static(text.as_bytes())))
        .unwrap();
}

/// What comes of a stream until it ends, and after how many seconds that is; at most 1000.
async fn rest(house: &House, body: &mut AuthBody<UpstreamBody>) -> (String, Option<u64>) {
    let mut text = String::new();
    for seconds in 0..=1000 {
        while let Some(frame) = body.frame().now_or_never() {
            let Some(frame) = frame else {
                return (text, Some(seconds));
            };
            let data = frame.unwrap().into_data().unwrap();
            text.push_str(str::from_utf8(&data).unwrap());
        }
        let second = Duration::from_secs(1);
        house.clock.advance(second);
        tokio::time::advance(second).await;
    }
    (text, None)
}

async fn open(house: &House, request: Request<Body>) -> AuthBody<UpstreamBody> {
    let response = house.service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// Action and reason of each event.
fn told(house: &House) -> Vec<(String, String)> {
    let events = house.audit.events();
    let told = events
        .iter()
        .map(|event| (event.action().to_owned(), event.reason().to_string()));
    told.collect()
}

fn listen() -> Request<Body> {
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    post(&reader(), body)
        .and("mcp-protocol-version", "2026-07-28")
        .and("mcp-method", "subscriptions/listen")
}

const LAST: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":7}}}\n\n";

#[tokio::test(start_paused = true)]
async fn trap_11_a_stream_outlives_its_token() {
    let revoke = |house: &House| {
        let until = NOW.saturating_add(Duration::from_secs(330));
        house.revocations.revoke_token(ISSUER.url(), "t-1", until);
    };
    let get = || request("GET", &reader(), "").and("accept", "text/event-stream");
    type Opens = fn() -> Request<Body>;
    let streams: [(&str, Opens, &str); 2] = [
        ("GET", || request("GET", &reader(), ""), ""),
        ("subscriptions/listen", listen, LAST),
    ];
    for (action, ask, last) in streams {
        // The token is good for 300 s, and 30 s of leeway.
        let (house, mut opened) = streaming();
        let mut body = open(&house, ask()).await;
        let events = opened.recv().await.unwrap();
        feed(&events, "data: 1\n\n");
        let (text, ended) = rest(&house, &mut body).await;
        assert_eq!(
            (text, ended),
            (format!("data: 1\n\n{last}"), Some(330)),
            "{action}"
        );
        assert!(events.is_closed(), "{action}: the work behind goes on");
        let expected = [(action, "ok"), ("stream_end", "expired")];
        let expected = expected.map(|(action, reason)| (action.to_owned(), reason.to_owned()));
        assert_eq!(told(&house), expected);

        let (house, mut opened) = streaming();
        let mut body = open(&house, ask()).await;
        let events = opened.recv().await.unwrap();
        assert!(body.frame().now_or_never().is_none());
        revoke(&house);
        let (text, ended) = rest(&house, &mut body).await;
        assert_eq!((&*text, ended), (last, Some(3)), "{action}");
        assert!(events.is_closed(), "{action}: the work behind goes on");
        let expected = [(action, "ok"), ("stream_end", "revoked")];
        let expected = expected.map(|(action, reason)| (action.to_owned(), reason.to_owned()));
        assert_eq!(told(&house), expected);
    }

    // Work that was begun is not cut off from its answer.
    let (house, mut opened) = streaming();
    let mut body = open(&house, call(&reader(), "get_note")).await;
    let events = opened.recv().await.unwrap();
    revoke(&house);
    assert_eq!(rest(&house, &mut body).await, (String::new(), None));
    feed(&events, "data: done\n\n");
    drop(events);
    assert_eq!(
        rest(&house, &mut body).await,
        ("data: done\n\n".to_owned(), Some(0))
    );
    assert_eq!(told(&house), [("tools/call".to_owned(), "ok".to_owned())]);

    // A client that leaves takes the work behind along.
    let (house, mut opened) = streaming();
    let body = open(&house, get()).await;
    let events = opened.recv().await.unwrap();
    assert!(!events.is_closed());
    drop(body);
    assert!(events.is_closed());
}

#[tokio::test(start_paused = true)]
async fn trap_11_a_stream_that_the_server_spoils_is_the_servers_fault() {
    let (house, mut opened) = streaming();
    let mut body = open(&house, request("GET", &reader(), "")).await;
    let events = opened.recv().await.unwrap();
    feed(
        &events,
        "data: 1\n\ndata: {\"result\":{\"tools\":[]},\"result\":1}\n\n",
    );
    let (text, ended) = rest(&house, &mut body).await;
    assert_eq!((&*text, ended), ("data: 1\n\n", Some(0)));
    let events = house.audit.events();
    let end = events.last().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(end.action(), "stream_end");
    assert_eq!(
        (end.decision().as_str(), end.reason().as_str()),
        ("error", "upstream_error")
    );
    assert!(!end.is_cancelled());
}
