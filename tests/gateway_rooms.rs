//! The rooms of the gateway that stand without the stack: headers, URLs and flags by their own
//! tests, the proxy and the server loop over real sockets.

#![allow(dead_code, unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../examples/gateway/args.rs"]
mod args;
#[path = "../examples/gateway/ending.rs"]
mod ending;
#[path = "../examples/gateway/headers.rs"]
mod headers;
#[path = "../examples/gateway/linger.rs"]
mod linger;
#[path = "../examples/gateway/mount.rs"]
mod mount;
#[path = "../examples/gateway/proxy.rs"]
mod proxy;
#[path = "../examples/gateway/router.rs"]
mod router;
#[path = "../examples/gateway/serve.rs"]
mod serve;
mod support;
#[path = "../examples/gateway/upstream.rs"]
mod upstream;
#[path = "../examples/gateway/wait.rs"]
mod wait;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};
use tower::{Service, ServiceExt};

use support::{
    eventually, soon,
    upstream::{Upstream, event_stream, json},
};

fn proxy_to(url: &str) -> proxy::Proxy {
    proxy::Proxy::new(upstream::Upstream::from_url(url).unwrap()).unwrap()
}

/// The proxy behind the server loop, in this process.
struct Served {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn serve(url: &str) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(serve::serve(listener, proxy_to(url), async {
        let _ = stopped.await;
    }));
    Served { addr, stop, ended }
}

/// A service that counts its copies, and is ready at the second look.
struct Slow {
    copies: Arc<AtomicUsize>,
    looks: usize,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        self.copies.fetch_add(1, Ordering::Relaxed);
        Self {
            copies: Arc::clone(&self.copies),
            looks: self.looks,
        }
    }
}

impl<R> Service<R> for Slow {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.looks += 1;
        if self.looks == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        assert!(self.looks > 1, "called before it was ready");
        ready(Ok(Response::default()))
    }
}

/// Sends bytes and reads until the other side closes.
async fn raw(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let response = proxy_to(&url)
        .oneshot(Request::new(Empty::<Bytes>::new()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"], "upstream_error");
}

#[tokio::test]
async fn an_upstream_with_a_broken_head_is_502() {
    for head in [
        "",
        "HTTP/1.1 2xx ?\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(head.as_bytes()).await.unwrap();
        });
        let answer = proxy_to(&url).oneshot(Request::new(Empty::<Bytes>::new()));
        let response = soon("a 502", answer).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{head:?}");
    }
}

#[tokio::test]
async fn an_upstream_without_a_head_is_504_after_30_seconds() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let mut proxy = proxy_to(&upstream.url());
    let asked = proxy.call(Request::new(Empty::<Bytes>::new()));
    let answer = tokio::spawn(asked);
    support::eventually("the request", || {
        (!upstream.seen().is_empty()).then_some(())
    })
    .await;

    tokio::time::pause();
    let start = Instant::now();
    let response = answer.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let waited = start.elapsed();
    assert!(waited <= Duration::from_secs(30), "{waited:?}");
    assert!(waited > Duration::from_secs(25), "{waited:?}");
}

#[tokio::test]
async fn the_upstream_sees_its_own_authority_and_nothing_of_the_connection() {
    let upstream = Upstream::start(|_| async {
        let mut response = json("{}");
        let headers = response.headers_mut();
        headers.insert("connection", "x-hop".parse().unwrap());
        headers.insert("x-hop", "1".parse().unwrap());
        headers.insert("keep-alive", "timeout=5".parse().unwrap());
        headers.insert("mcp-session-id", "s".parse().unwrap());
        response
    })
    .await;
    let served = serve(&format!("{}/base", upstream.url())).await;
    let answer = raw(
        served.addr,
        "POST /mcp?x=1 HTTP/1.1\r\nHost: gateway.example\r\nOrigin: http://o\r\n\
         Accept-Encoding: gzip\r\nConnection: close, x-private\r\nX-Private: 1\r\n\
         TE: trailers\r\nUpgrade: h2c\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n\
         Expect: 100-continue\r\nProxy-Authorization: Basic x\r\nX-Kept: yes\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )
    .await;

    assert!(answer.contains("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("mcp-session-id: s\r\n"), "{answer}");
    assert!(!answer.contains("x-hop"), "{answer}");
    assert!(!answer.contains("keep-alive"), "{answer}");
    let [seen] = <[_; 1]>::try_from(upstream.seen()).unwrap();
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.uri, "/base/mcp?x=1");
    assert_eq!(seen.body, "{}");
    let mut names: Vec<_> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "transfer-encoding", "via", "x-kept"]);
    assert_eq!(seen.all("host"), [upstream.addr.to_string()]);
}

#[tokio::test]
async fn a_path_that_climbs_and_connect_stay_here() {
    let upstream = Upstream::start(|_| async { json("{}") }).await;
    let served = serve(&format!("{}/base", upstream.url())).await;
    for line in [
        "GET /../admin HTTP/1.1",
        "GET /a/%2e%2E/x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT gateway.example:80 HTTP/1.1",
    ] {
        let answer = raw(
            served.addr,
            &format!("{line}\r\nHost: h\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{line}: {answer}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_head_beyond_the_bounds_is_431() {
    let upstream = Upstream::start(|_| async { json("{}") }).await;
    let served = serve(&upstream.url()).await;
    let long = format!("Authorization: Bearer {}\r\n", "a".repeat(256 * 1024));
    let many: String = (0..2000).map(|n| format!("x-{n}: 1\r\n")).collect();
    for fields in [long, many] {
        let answer = raw(
            served.addr,
            &format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn no_two_readers_see_a_body_end_in_two_places() {
    let upstream = Upstream::start(|_| async { json("{}") }).await;
    let served = serve(&upstream.url()).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let ask = async |fields: &str, body: &str| {
        let head = format!("POST /mcp HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        raw(served.addr, &format!("{head}{body}{hidden}")).await
    };
    for fields in [
        "Content-Length: 2\r\nContent-Length: 40\r\n",
        "Content-Length: 2, 40\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
    ] {
        let answer = ask(fields, "{}").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
    }
    assert_eq!(upstream.seen().len(), 0);
    // Where both stand, what is in chunks counts, and nothing behind it is a request.
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    ] {
        let answer = ask(fields, "2\r\n{}\r\n0\r\n\r\n").await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
        let seen = upstream.seen();
        assert_eq!(seen.last().unwrap().body, "{}", "{fields}");
        assert!(seen.iter().all(|it| it.uri == "/mcp"), "{fields}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn both_versions_of_http_on_one_port() {
    let upstream = Upstream::start(|_| async { json("{}") }).await;
    let served = serve(&upstream.url()).await;
    for (only_2, expected) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(only_2)
            .build_http::<Empty<Bytes>>();
        let url = format!("http://{}/mcp", served.addr).parse().unwrap();
        let response = client.get(url).await.unwrap();
        assert_eq!(response.version(), expected);
        assert_eq!(response.status(), 200);
    }
}

/// Each copy is one of the whole stack: a connection needs one, and one more where it must wait.
#[tokio::test]
async fn requests_of_a_connection_share_a_copy_of_the_service() {
    let copies = Arc::new(AtomicUsize::new(0));
    for (looks, expected) in [(1, 1), (0, 2)] {
        copies.store(0, Ordering::Relaxed);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let service = Slow {
            copies: Arc::clone(&copies),
            looks,
        };
        tokio::spawn(serve::serve(listener, service, std::future::pending()));
        let three = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2)
            + "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let answers = raw(addr, &three).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
        assert_eq!(copies.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn streams_end_in_good_order_when_the_process_is_told_to() {
    let (events, response) = event_stream();
    let response = std::sync::Mutex::new(Some(response));
    let upstream = Upstream::start(move |_| {
        let response = response.lock().unwrap().take().unwrap();
        async { response }
    })
    .await;
    let served = serve(&upstream.url()).await;
    let mut listening = reqwest::get(format!("http://{}/", served.addr))
        .await
        .unwrap();
    events.send("data: 1\n\n".to_owned()).await.unwrap();
    assert_eq!(listening.chunk().await.unwrap().unwrap(), "data: 1\n\n");

    served.stop.send(()).unwrap();
    // The end of a stream, not an error, and at once: nobody waits for one that only listens.
    let start = std::time::Instant::now();
    assert_eq!(soon("the end", listening.chunk()).await.unwrap(), None);
    soon("the end", served.ended).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    soon("the upstream's end", events.closed()).await;
    TcpStream::connect(served.addr).await.unwrap_err();
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_signal() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let upstream = Upstream::start(move |_| {
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            gone.await.unwrap();
            json("\"late\"")
        }
    })
    .await;
    let served = serve(&upstream.url()).await;
    let client = reqwest::Client::new();
    let asked = client.post(format!("http://{}/", served.addr)).body("{}");
    let answer = tokio::spawn(asked.send());
    support::eventually("the request", || {
        (!upstream.seen().is_empty()).then_some(())
    })
    .await;

    served.stop.send(()).unwrap();
    support::eventually("the listener's end", || {
        std::net::TcpStream::connect(served.addr).err()
    })
    .await;
    go.send(()).unwrap();
    let answer = soon("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "\"late\"");
    soon("the end", served.ended).await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_off_within_ten_seconds() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let served = serve(&upstream.url()).await;
    let client = reqwest::Client::new();
    let asked = client.post(format!("http://{}/", served.addr)).body("{}");
    let answer = tokio::spawn(asked.send());
    support::eventually("the request", || {
        (!upstream.seen().is_empty()).then_some(())
    })
    .await;

    let start = std::time::Instant::now();
    served.stop.send(()).unwrap();
    soon("the end", served.ended).await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
    answer.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let served = serve("http://127.0.0.1:1").await;
    for start in ["", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        // Let the server take the connection before its clock jumps.
        tokio::task::yield_now().await;
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(40), async {
            tokio::time::pause();
            let read = stream.read_to_end(&mut answer).await;
            tokio::time::resume();
            read
        });
        let _ = closed
            .await
            .unwrap_or_else(|_| panic!("{start:?} stays open"));
    }
}

#[tokio::test]
async fn a_body_passes_whole() {
    let upstream = Upstream::start(|asked| async move {
        let mut response = json("{}");
        *response.body_mut() = Full::new(asked.body).boxed();
        response
    })
    .await;
    let body = Bytes::from(vec![b'x'; 5 << 20]);
    let response = proxy_to(&upstream.url())
        .oneshot(Request::post("/").body(Full::new(body.clone())).unwrap())
        .await
        .unwrap();
    let back = response.into_body().collect().await.unwrap().to_bytes();
    assert!(back == body);
    assert_eq!(
        upstream.seen()[0].all("content-length"),
        [(5 << 20).to_string()]
    );
}

/// Refuses what it is asked without a look at the body.
#[derive(Clone)]
struct Refusing;

impl<R> Service<R> for Refusing {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        let mut response = Response::new(Full::from("no"));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        ready(Ok(response))
    }
}

/// Else one that has much to send, and does not look up before it is sent, sees a reset.
#[tokio::test]
async fn a_refusal_is_seen_by_one_who_is_still_sending() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(serve::serve(listener, Refusing, std::future::pending()));
    let body = vec![b'x'; 4 * 1024 * 1024];

    let mut stream = TcpStream::connect(addr).await.unwrap();
    for _ in 0..5 {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        soon("all is sent", stream.write_all(&body)).await.unwrap();
        let mut answer = [0; 12];
        soon("the answer", stream.read_exact(&mut answer))
            .await
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        // The rest of the answer: the connection is as good as before.
        let mut rest = Vec::new();
        while !rest.ends_with(b"no") {
            soon("the rest", stream.read_buf(&mut rest)).await.unwrap();
        }
    }

    let sent = Arc::new(AtomicUsize::new(0));
    let pieces: Vec<_> = body.chunks(64 * 1024).map(Bytes::copy_from_slice).collect();
    let counted = Arc::clone(&sent);
    let pieces = pieces.into_iter().map(move |piece| {
        counted.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(Frame::data(piece))
    });
    let pieces = StreamBody::new(stream::iter(pieces));
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::post(format!("http://{addr}/"))
        .body(pieces)
        .unwrap();
    let response = soon("an answer", client.request(request)).await.unwrap();
    assert_eq!(response.status(), 401);
    let is_sent = || (sent.load(Ordering::Relaxed) == body.len()).then_some(());
    eventually("all is sent", is_sent).await;
}

/// Who waits to be asked for a body is not asked for one that nobody reads.
#[tokio::test]
async fn who_waits_to_be_asked_is_answered_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(serve::serve(listener, Refusing, std::future::pending()));
    let since = Instant::now();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    let answer = raw(addr, head).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(since.elapsed() < Duration::from_secs(3));
}
