//! A warm user's requests while somebody floods the same stack from another thread: what one costs,
//! beside the time that the flood itself takes, and what the flood leaves in memory.

use std::{
    convert::Infallible,
    fs,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use mcp_auth::{Algorithm, Jwks, McpBody};
use serde_json::json;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    harness::{is_quick, median, thread_time},
    ours::{self, Beside},
    peers,
    report::Report,
    world::{self, CALL, ISSUER, World, headers},
};

/// How long the warm user is watched without the flood, then with it, again and again.
const WATCH: Duration = Duration::from_millis(100);

/// One kind of flood: what each of its tokens is, and how each is answered.
struct Flood<'a> {
    case: &'static str,
    token: Box<dyn Fn(u64) -> String + Sync + 'a>,
    answer: StatusCode,
}

/// Every kind of flood, each against a stack of its own with the bounds that it has by itself.
pub fn run(report: &mut Report, runtime: &Runtime) {
    let requests = if is_quick() { 100_000 } else { 1_000_000 };
    let world = World::new(Algorithm::RS256);
    world.issuer.set_jwks_body(world.issuer.jwks());
    let _inside = runtime.enter();
    let bare =
        service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(peers::empty_result::<Body>()) });
    let nothing = cost(&bare, &headers(&world.token), WATCH * 5).cpu;
    for flood in floods(&world) {
        let jwks = Jwks::new(ISSUER, &world.issuer.jwks_uri()).expect("keys");
        jwks.start();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !jwks.is_ready() {
            assert!(Instant::now() < deadline, "no keys came");
            std::thread::sleep(Duration::from_millis(5));
        }
        let inner = service_fn(|_: Request<McpBody>| async {
            Ok::<_, Infallible>(peers::empty_result::<Body>())
        });
        let service = ours::stack_of(jwks, &Beside::default()).layer(inner);
        watch(
            report,
            runtime,
            &world,
            service,
            &flood,
            0..requests,
            nothing,
        );
    }
}

fn floods(world: &World) -> [Flood<'_>; 4] {
    let kid = world.issuer.kid(Algorithm::RS256);
    let signature = world.token.rsplit('.').next().expect("three parts");
    // The claims of `subject` under this key id, with a signature that is another token's.
    let unsigned = move |kid: &str, subject: &str| {
        let header = format!(r#"{{"typ":"at+jwt","alg":"RS256","kid":"{kid}"}}"#);
        let claims = world::claims(subject).to_json();
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.{signature}")
    };
    [
        Flood {
            case: "flood_unknown_kid",
            token: Box::new(move |n| unsigned(&format!("nobody-{n}"), "mallory")),
            answer: StatusCode::UNAUTHORIZED,
        },
        Flood {
            case: "flood_garbage",
            token: Box::new(garbage),
            answer: StatusCode::UNAUTHORIZED,
        },
        Flood {
            case: "flood_bad_signature",
            token: Box::new(move |n| unsigned(&kid, &format!("mallory-{n}"))),
            answer: StatusCode::UNAUTHORIZED,
        },
        Flood {
            case: "flood_subjects",
            token: Box::new(|n| {
                let claims = world::claims(&format!("user-{n}"));
                world.issuer.token_signed_with(Algorithm::EdDSA, &claims)
            }),
            // They are known, and have no upstream key.
            answer: StatusCode::FORBIDDEN,
        },
    ]
}

/// No token at all, in one of several ways, and of many lengths.
fn garbage(n: u64) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise: String = (0..n % 1500)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + (state % 26) as u8)
        })
        .collect();
    let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
    match n % 5 {
        0 => noise,
        1 => format!("{noise}.{n}.{noise}"),
        2 => format!(
            "{}.{noise}.{noise}",
            text(&format!(r#"{{"alg":"none","n":{n}}}"#))
        ),
        3 => format!("{}.{noise}.{noise}", text(&"[".repeat(n as usize % 3000))),
        _ => format!("{}.{}.AA", text(r#"{"alg":"RS256","kid":1}"#), text(&noise)),
    }
}

/// Nanoseconds of one request.
#[derive(Clone, Copy)]
struct Cost {
    /// Of the thread's time: what others do beside it does not count.
    cpu: f64,
    /// Of the clock's: waiting for a lock counts, and so does whatever else the machine does.
    wall: f64,
}

/// What a request costs that is sent again and again for a while.
fn cost<S, B, R>(service: &S, headers: &HeaderMap, takes: Duration) -> Cost
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    B: From<Bytes>,
{
    let (begun, start) = (Instant::now(), thread_time());
    let mut done = 0;
    while begun.elapsed() < takes {
        for _ in 0..64 {
            let request = world::request(headers, Bytes::from_static(CALL.as_bytes()).into());
            assert_eq!(peers::send(service, request), StatusCode::OK);
        }
        done += 64;
    }
    let (cpu, wall) = (thread_time() - start, begun.elapsed());
    Cost {
        cpu: cpu.as_nanos() as f64 / f64::from(done),
        wall: wall.as_nanos() as f64 / f64::from(done),
    }
}

/// Floods, and reports what a warm user's request cost without and with it.
fn watch<S>(
    report: &mut Report,
    runtime: &Runtime,
    world: &World,
    service: S,
    flood: &Flood<'_>,
    tokens: Range<u64>,
    nothing: f64,
) where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send,
    S: Service<Request<Body>, Response = Response<mcp_auth::AuthBody<Body>>>,
    S::Future: Send,
{
    let good = headers(&world.token);
    cost(&service, &good, WATCH);
    let (floods, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (n, half) = (tokens.end, tokens.end / 2);
    let before = resident_mb();
    let (mut alone, mut beside, mut at_half) = (Vec::new(), Vec::new(), 0.0);
    std::thread::scope(|scope| {
        let (floods, sent, flooded) = (&floods, &sent, service.clone());
        let Flood { token, answer, .. } = flood;
        let flooding = scope.spawn(move || {
            for n in tokens {
                while !floods.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let request = world::request(&headers(&token(n)), Body::from(CALL));
                let answered = runtime.block_on(flooded.clone().oneshot(request));
                assert_eq!(answered.expect("an answer").status(), *answer, "token {n}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        while !flooding.is_finished() {
            floods.store(false, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
            alone.push(cost(&service, &good, WATCH / 2));
            floods.store(true, Ordering::Relaxed);
            beside.push(cost(&service, &good, WATCH));
            if at_half == 0.0 && sent.load(Ordering::Relaxed) >= half {
                at_half = resident_mb();
            }
        }
    });
    let after = resident_mb();
    // In the last one the flood ended; a short flood may see no other.
    if beside.len() > 1 {
        beside.pop();
    }
    let of = |costs: &[Cost], which: fn(&Cost) -> f64| median(costs.iter().map(which).collect());
    let [alone_ns, beside_ns] = [&alone, &beside].map(|costs| of(costs, |cost| cost.cpu) - nothing);
    let wall = of(&beside, |cost| cost.wall) / of(&alone, |cost| cost.wall);
    report.line(
        flood.case,
        "mcp-auth",
        json!({
            "n": n,
            "net_ns": beside_ns.round(),
            "alone_net_ns": alone_ns.round(),
            "times_alone": (beside_ns / alone_ns * 100.0).round() / 100.0,
            "times_alone_by_the_clock": (wall * 100.0).round() / 100.0,
            "rss_mb_before": before.round(),
            "rss_mb_half": at_half.round(),
            "rss_mb_after": after.round(),
        }),
    );
}

/// The memory of this process that is in RAM.
fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next());
    kb.and_then(|kb| kb.parse::<f64>().ok()).expect("a number") / 1024.0
}
