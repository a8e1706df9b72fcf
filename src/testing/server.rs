//! What the test issuer serves over HTTP.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Where the JWK Set is.
pub(super) const JWKS_PATH: &str = "/jwks.json";

/// What the server does, and what it saw.
#[derive(Debug, Default)]
pub(super) struct Server {
    behaviour: Mutex<Behaviour>,
    jwks_fetches: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Behaviour {
    pub(super) documents: HashMap<String, Bytes>,
    pub(super) cache_control: Option<String>,
    pub(super) redirect_to: Option<String>,
    pub(super) is_failing: bool,
    pub(super) is_hanging: bool,
    /// `Some(true)`: the next fetch of the JWK Set fails, the one after it does not.
    pub(super) fails_next: Option<bool>,
}

impl Server {
    pub(super) fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn jwks_fetches(&self) -> u64 {
        self.jwks_fetches.load(Ordering::SeqCst)
    }

    /// `None`: no answer, ever.
    fn answer(&self, path: &str) -> Option<Response<Full<Bytes>>> {
        let mut behaviour = self.behaviour();
        let mut fails = behaviour.is_failing;
        if path == JWKS_PATH {
            self.jwks_fetches.fetch_add(1, Ordering::SeqCst);
            if let Some(next) = &mut behaviour.fails_next {
                fails |= *next;
                *next = !*next;
            }
        }
        if behaviour.is_hanging {
            return None;
        }
        let mut response = Response::new(Full::default());
        if fails {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return Some(response);
        }
        if let Some(Ok(target)) = behaviour.redirect_to.as_ref().map(|url| url.parse()) {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(header::LOCATION, target);
            return Some(response);
        }
        let Some(document) = behaviour.documents.get(path) else {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Some(response);
        };
        *response.body_mut() = Full::new(document.clone());
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        if let Some(Ok(value)) = behaviour.cache_control.as_ref().map(|text| text.parse()) {
            headers.insert(header::CACHE_CONTROL, value);
        }
        Some(response)
    }
}

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, server: std::sync::Arc<Server>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // A connection that broke before it was taken.
            tokio::task::yield_now().await;
            continue;
        };
        let server = std::sync::Arc::clone(&server);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = server.answer(request.uri().path());
            async move {
                match answer {
                    Some(response) => Ok::<_, Infallible>(response),
                    None => std::future::pending().await,
                }
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
