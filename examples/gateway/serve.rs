//! The life of the process: connections in, and an orderly end.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{Either, FutureExt};
use http::{Method, Request, Response, header::EXPECT};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tower::{ServiceExt, util::Oneshot};
use tower_service::Service;

use crate::{
    ending::{Ending, Phase},
    headers::strip_hop_by_hop,
    linger::Lingering,
    proxy::BoxError,
};

/// How long a connection may be silent before its first request, and how long a head may take.
const HEAD: Duration = Duration::from_secs(30);
/// How large a head may be: a token of 16 KiB, which gets an answer, and room beside it.
const HEAD_BYTES: u32 = 64 * 1024;
/// How long requests in flight may go on after the signal, streams that answer one included.
const DRAIN: Duration = Duration::from_secs(5);
/// How long what was told to end may take before it is cut off.
const CLOSE: Duration = Duration::from_secs(1);

/// How long it is not said again that no connection can be accepted.
const AGAIN: Duration = Duration::from_secs(10);

/// Completes at the first SIGTERM or SIGINT after the call.
pub(crate) fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves HTTP/1.1 and HTTP/2 until `stop` completes; then takes no new connections, lets requests
/// in flight end, closes streams, and returns within six seconds.
pub(crate) async fn serve<S, B>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Lingering>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (phase, phases) = watch::channel(Phase::Serving);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    let mut said = None::<Instant>;
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, service.clone(), phases.clone(), &graceful);
                    connections.spawn(connection);
                }
                Err(error) => {
                    // Out of descriptors, most likely: the next try would fail at once as well.
                    if said.is_none_or(|said| said.elapsed() >= AGAIN) {
                        tracing::warn!(%error, "no connection could be accepted; more are tried");
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);

    let _ = phase.send(Phase::Draining);
    let mut drained = Box::pin(graceful.shutdown());
    if tokio::time::timeout(DRAIN, &mut drained).await.is_err() {
        let _ = phase.send(Phase::Closing);
        let _ = tokio::time::timeout(CLOSE, drained).await;
    }
    connections.shutdown().await;
}

fn connection<S, B>(
    stream: TcpStream,
    service: S,
    phases: watch::Receiver<Phase>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static
where
    S: Service<Request<Lingering>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let _ = stream.set_nodelay(true);
    let front = Arc::new(Front {
        service: Mutex::new(service),
        phases,
        has_asked: AtomicBool::new(false),
    });
    let asked = Arc::clone(&front);
    let service = service_fn(move |mut request: Request<Incoming>| {
        front.has_asked.store(true, Ordering::Relaxed);
        strip_hop_by_hop(request.headers_mut());
        // A stream that answers a request is in flight; one that only listens is not.
        let until = if request.method() == Method::GET {
            Phase::Draining
        } else {
            Phase::Closing
        };
        let is_head = request.method() == Method::HEAD;
        let waits = request.headers().contains_key(EXPECT);
        let request = request.map(|body| Lingering::new(body, waits));
        let front = Arc::clone(&front);
        async move {
            // Here, and not before: by now hyper has read a small body, and nobody waits for it.
            let answer = call(&front.service, request).await?;
            Ok::<_, Infallible>(if is_head {
                Ending::head(answer)
            } else {
                Ending::stream(answer, &front.phases, until)
            })
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES as usize)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES)
        .max_concurrent_streams(128)
        .keep_alive_interval(HEAD);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let connection = graceful.watch(connection);
    async move {
        tokio::pin!(connection);
        let silence = tokio::time::sleep(HEAD);
        tokio::pin!(silence);
        poll_fn(|cx| {
            // An error here is the client's: it broke off, or did not speak HTTP.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if asked.has_asked.load(Ordering::Relaxed) {
                Poll::Pending
            } else {
                silence.as_mut().poll(cx)
            }
        })
        .await;
    }
}

/// What the requests of one connection share.
struct Front<S> {
    service: Mutex<S>,
    phases: watch::Receiver<Phase>,
    has_asked: AtomicBool,
}

/// Calls the service of a connection where it is ready, else a copy as soon as that is: a copy for
/// each request is a copy of all that stands inside.
fn call<S, R>(service: &Mutex<S>, request: R) -> Either<S::Future, Oneshot<S, R>>
where
    S: Service<R, Error = Infallible> + Clone,
{
    let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
    match service.ready().now_or_never() {
        Some(Ok(ready)) => Either::Left(ready.call(request)),
        None => Either::Right(service.clone().oneshot(request)),
    }
}
