//! What several layers of one kind, one behind the other, leave in the one event of a request.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{
    convert::Infallible, future::pending, num::NonZeroU32, panic::AssertUnwindSafe, sync::Arc,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use mcp_auth::{
    AuditLogLayer, AuditRateLimit, AuditRevocation, Claims, KeyMapLayer, MemoryRateLimitStore,
    PeerAddr, Quota, RateLimit, RateLimitLayer, RecordingSink, Revocation, RevocationLayer,
    StoreError, UpstreamKey, UpstreamKeyId, VerifiedToken, key_store_fn, revocation_store_fn,
};
use tower::{Layer, ServiceExt, service_fn};

async fn answer(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::default())
}

fn by_alice() -> Request<()> {
    let claims = r#"{"iss":"https://i","sub":"alice","exp":4000000000}"#;
    let token = VerifiedToken::assertion(Claims::from_json(claims).unwrap());
    let mut request = Request::new(());
    request.extensions_mut().insert(token);
    request
}

#[tokio::test]
async fn a_limit_inside_of_another_is_told_too() {
    let layer = |name, n| {
        let quota = Quota::per_hour(NonZeroU32::new(n).unwrap());
        RateLimitLayer::new(
            MemoryRateLimitStore::new(),
            RateLimit::of_peers(name, quota),
        )
    };
    let sink = Arc::new(RecordingSink::new());
    let counted = layer("many", 9).layer(layer("few", 1).layer(service_fn(answer)));
    let service = AuditLogLayer::new(Arc::clone(&sink)).layer(counted);
    for (status, told) in [(200, AuditRateLimit::Ok), (429, AuditRateLimit::Limited)] {
        let mut request = Request::new(());
        let peer = PeerAddr::new([127, 0, 0, 1].into());
        request.extensions_mut().insert(peer);
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let events = sink.events();
        assert_eq!(events.last().unwrap().rate_limit(), Some(told));
    }
}

#[tokio::test]
async fn a_store_of_revocations_inside_of_another_is_told_too() {
    let down = || StoreError::new("down");
    let active = Ok(Revocation::Active);
    for (outer, inner, told) in [
        (active.clone(), active.clone(), AuditRevocation::Active),
        (
            active.clone(),
            Ok(Revocation::Revoked),
            AuditRevocation::Revoked,
        ),
        (active.clone(), Err(down()), AuditRevocation::Unchecked),
        (Err(down()), active, AuditRevocation::Unchecked),
    ] {
        let layer = |answer: Result<Revocation, StoreError>| {
            let store = revocation_store_fn(move |_| {
                let answer = answer.clone();
                async move { answer }
            });
            RevocationLayer::new(store).dangerous_fail_open()
        };
        let sink = Arc::new(RecordingSink::new());
        let service = layer(outer).layer(layer(inner).layer(service_fn(answer)));
        let service = AuditLogLayer::new(Arc::clone(&sink)).layer(service);
        service.oneshot(by_alice()).await.unwrap();
        let events = sink.events();
        assert_eq!(events.last().unwrap().revocation(), Some(told));
    }
}

#[tokio::test]
async fn a_service_behind_that_was_asked_took_its_time_even_without_an_answer() {
    for (has_key, panics, was_asked) in [
        (true, false, true),
        (true, true, true),
        (false, false, false),
    ] {
        let keys = key_store_fn(move |_: UpstreamKeyId| async move {
            if has_key {
                Ok(Some(UpstreamKey::new("ro", "key").unwrap()))
            } else {
                pending().await
            }
        });
        let behind = service_fn(move |_| async move {
            assert!(!panics, "behind");
            pending::<Result<Response<Full<Bytes>>, Infallible>>().await
        });
        let sink = Arc::new(RecordingSink::new());
        let service =
            AuditLogLayer::new(Arc::clone(&sink)).layer(KeyMapLayer::new(keys).layer(behind));
        // Kept for a while after a panic, as a layer outside that catches it keeps it.
        let mut answer = Box::pin(AssertUnwindSafe(service.oneshot(by_alice())).catch_unwind());
        let _ = (&mut answer).now_or_never();
        drop(answer);
        let [event] = &*sink.events() else {
            panic!("one event")
        };
        assert_eq!(event.upstream().is_some(), was_asked, "{has_key} {panics}");
    }
}
