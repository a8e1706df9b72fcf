//! An issuer rotates its keys under load, and half of its answers are errors.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mcp_auth::{
    Algorithm, AuthStack, Decision, Jwks, JwtValidator, McpBody, ResourceMetadata, policy_fn,
    testing::TestIssuer,
};
use tower::{Layer, ServiceExt, service_fn};

const PER_SECOND: u32 = 200;
const SECONDS: u32 = 30;
/// After the last fetch, which is the first: the set is too young to be asked for again until 10 s.
const ROTATION: Duration = Duration::from_secs(11);
const HEALED_WITHIN: Duration = Duration::from_secs(12);
const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// When a token was handed in, when it was answered, and how.
#[derive(Clone, Copy, Debug)]
struct Sample {
    sent: Duration,
    answered: Duration,
    status: u16,
}

/// Hands fresh tokens to `validate`, and rotates the keys in the middle. Gives the samples in the
/// order in which they were sent, and when the new keys were in use.
async fn rotate_under_load<F, Fut>(issuer: Arc<TestIssuer>, validate: F) -> (Vec<Sample>, Duration)
where
    F: Fn(String) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = u16> + Send,
{
    let claims = issuer.claims().audience(AUDIENCE);
    let began = Instant::now();
    let rotation = tokio::spawn({
        let issuer = Arc::clone(&issuer);
        async move {
            tokio::time::sleep(ROTATION).await;
            let rotated = tokio::task::spawn_blocking(move || {
                issuer.fail_every_second(true);
                issuer.rotate();
            });
            rotated.await.unwrap();
            began.elapsed()
        }
    });
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut answers = Vec::new();
    for _ in 0..PER_SECOND * SECONDS {
        ticks.tick().await;
        let sent = began.elapsed();
        let token = issuer.token_signed_with(Algorithm::ES256, &claims);
        let validate = validate.clone();
        answers.push(tokio::spawn(async move {
            let status = validate(token).await;
            let answered = began.elapsed();
            Sample {
                sent,
                answered,
                status,
            }
        }));
    }
    let mut samples = Vec::new();
    for answer in answers {
        samples.push(answer.await.unwrap());
    }
    (samples, rotation.await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_valid_token_is_refused_and_all_is_well_within_seconds() {
    let issuer = Arc::new(TestIssuer::start().unwrap());
    let stack = AuthStack::new(
        JwtValidator::new(issuer.url(), AUDIENCE).unwrap(),
        Jwks::discover(issuer.url()).unwrap(),
        ResourceMetadata::new(AUDIENCE, [issuer.url()]).unwrap(),
        policy_fn(|_| Decision::allow()),
    );
    let service = stack.layer(service_fn(async |_: Request<McpBody>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let validate = move |token: String| {
        let request = Request::post(AUDIENCE)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#))
            .unwrap();
        let answer = service.clone().oneshot(request);
        async move { answer.await.unwrap().status().as_u16() }
    };
    let (samples, rotated) = rotate_under_load(Arc::clone(&issuer), validate).await;

    assert_eq!(samples.len(), 6000);
    let refused: Vec<_> = samples.iter().filter(|s| s.status == 401).collect();
    assert!(refused.is_empty(), "{refused:?}");
    // The old key was dropped while the last tokens of it were on their way; they are not valid.
    let before = samples.iter().filter(|s| s.sent < ROTATION);
    assert!(before.clone().count() > 2000 && before.clone().all(|s| s.status == 200));
    // Nothing but 503 until the first good answer, nothing but 200 after it.
    let healed = samples
        .iter()
        .filter(|s| s.sent > rotated && s.status == 200)
        .map(|s| s.answered)
        .min()
        .unwrap();
    assert!(healed < rotated + HEALED_WITHIN, "{healed:?}");
    let unavailable = samples.iter().filter(|s| s.status == 503);
    assert!(unavailable.clone().count() > 0);
    assert!(unavailable.clone().all(|s| s.sent <= healed));
    // The first set, one in vain, one that healed; no more.
    assert_eq!(issuer.fetches(), 3);
}
