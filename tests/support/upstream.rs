//! Servers to stand behind the gateway.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Frame, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle};

pub type UpstreamBody = BoxBody<Bytes, Infallible>;
type Answer = Pin<Box<dyn Future<Output = Response<UpstreamBody>> + Send>>;

/// One request as it reached the upstream.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    /// The values of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }
}

/// A server that keeps what it was asked, and answers as it is told.
#[derive(Debug)]
pub struct Upstream {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Recorded>>>,
    task: AbortHandle,
}

impl Upstream {
    /// A server that answers by a function of the request.
    pub async fn start<F, Fut>(answer: F) -> Self
    where
        F: Fn(Recorded) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<UpstreamBody>> + Send + 'static,
    {
        let answer = move |request: Request<Bytes>| -> Answer {
            let (head, body) = request.into_parts();
            Box::pin(answer(Recorded {
                method: head.method,
                uri: head.uri,
                headers: head.headers,
                body,
            }))
        };
        Self::serve(Arc::new(answer)).await
    }

    /// A server that hands requests to a tower service.
    pub async fn of_service<S>(service: S) -> Self
    where
        S: tower::Service<Request<Full<Bytes>>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: Into<Response<UpstreamBody>>,
        S::Future: Send,
    {
        let answer = move |request: Request<Bytes>| -> Answer {
            let mut service = service.clone();
            Box::pin(async move {
                std::future::poll_fn(|cx| service.poll_ready(cx))
                    .await
                    .unwrap();
                service.call(request.map(Full::new)).await.unwrap().into()
            })
        };
        Self::serve(Arc::new(answer)).await
    }

    async fn serve(answer: Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let records = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (answer, records) = (Arc::clone(&answer), Arc::clone(&records));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, records) = (Arc::clone(&answer), Arc::clone(&records));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        records.lock().unwrap().push(Recorded {
                            method: head.method.clone(),
                            uri: head.uri.clone(),
                            headers: head.headers.clone(),
                            body: body.clone(),
                        });
                        Ok::<_, hyper::Error>(answer(Request::from_parts(head, body)).await)
                    }
                });
                connections.spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            addr,
            seen,
            task: task.abort_handle(),
        }
    }

    /// The server's origin.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it was asked up to now.
    pub fn seen(&self) -> Vec<Recorded> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer of JSON.
pub fn json(text: &str) -> Response<UpstreamBody> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(text.to_owned()).boxed())
        .unwrap()
}

/// An event stream whose events are sent by the test. Sending fails once the reader has left.
pub fn event_stream() -> (mpsc::Sender<String>, Response<UpstreamBody>) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let event: String = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from(event))), receiver))
    });
    let response = Response::builder()
        .header("content-type", "text/event-stream")
        .body(StreamBody::new(frames).boxed())
        .unwrap();
    (sender, response)
}
