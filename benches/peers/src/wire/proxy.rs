//! A bare reverse proxy: what hyper costs by itself, with the gateway's client and its settings. It
//! does what RFC 9110 asks of every proxy (sections 7.6.1 and 7.6.3), by the gateway's own means, and
//! nothing else.

use std::{convert::Infallible, time::Duration};

use http::{
    HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{HOST, VIA},
    uri::Authority,
};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::net::TcpListener;

#[allow(dead_code)]
#[path = "../../../../examples/gateway/headers.rs"]
mod headers;

use self::headers::strip_hop_by_hop;

type Body = UnsyncBoxBody<bytes::Bytes, hyper::Error>;

/// Passes every request on to one upstream.
pub async fn serve(listener: TcpListener, upstream: &str) {
    let upstream: Uri = upstream.parse().expect("a URL");
    let authority = upstream.authority().expect("an origin").clone();
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(3))
        .build::<_, Incoming>(connector);
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let (client, authority) = (client.clone(), authority.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = pass(client.clone(), authority.clone(), request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    authority: Authority,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let path = request.uri().path_and_query().cloned();
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(path.expect("a path"))
        .build();
    *request.uri_mut() = uri.expect("a URL");
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    headers.remove(HOST);
    headers.append(VIA, HeaderValue::from_static("1.1 bare"));
    match client.request(request).await {
        Ok(mut response) => {
            strip_hop_by_hop(response.headers_mut());
            response.map(BodyExt::boxed_unsync)
        }
        Err(_) => {
            let nothing = Empty::new().map_err(|never| match never {});
            let mut response = Response::new(nothing.boxed_unsync());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
