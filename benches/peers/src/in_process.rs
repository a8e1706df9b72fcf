//! The cases that need no network: one process, one thread, contestants interleaved.

use std::{
    convert::Infallible,
    hint::black_box,
    num::NonZeroUsize,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mcp_auth::{
    Algorithm, Clock, McpBody, McpRequest, MemoryRateLimitStore, MemoryRevocationStore, RateKey,
    RateLimitStore, SystemClock, UnixTime, VerifiedToken,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer, service_fn};

use crate::{
    hand,
    harness::{Contestant, Measured, median, race, thread_time},
    ours::{self, Beside},
    peers::{self, Send},
    report::Report,
    world::{self, CALL, ISSUER, World, call_of, headers},
};

fn body() -> Bytes {
    Bytes::from_static(CALL.as_bytes())
}

/// Sends the same request again and again, which must be answered so.
fn again<'a>(
    name: &'static str,
    send: &'a Send,
    headers: HeaderMap,
    expected: StatusCode,
) -> Contestant<'a> {
    let body = body();
    Contestant::new(name, move || {
        assert_eq!(black_box(send(&headers, body.clone())), expected, "{name}");
    })
}

/// Sends one request after the other, each of which must be let through.
fn one_by_one<'a>(name: &'static str, send: &'a Send, ring: &'a [HeaderMap]) -> Contestant<'a> {
    let op = move |headers: &HeaderMap| {
        assert_eq!(black_box(send(headers, body())), StatusCode::OK, "{name}");
    };
    Contestant::new(name, each(ring, op))
}

/// Does it to one after the other.
fn each<'a, T>(ring: &'a [T], op: impl Fn(&T) + 'a) -> impl FnMut() + 'a {
    let mut ring = ring.iter().cycle();
    move || ring.next().into_iter().for_each(&op)
}

/// Whether it does more than to verify tokens. It knows one caller only.
fn is_stack(name: &str) -> bool {
    matches!(name, "hand-assembled" | "oauth-resource-server+tools")
}

fn of<'a>(measured: &'a [Measured], name: &str) -> &'a Measured {
    let mut all = measured.iter();
    all.find(|it| it.name == name).expect("it was measured")
}

/// Which contestant, doing nothing, one is to be compared with.
fn base_of(name: &str) -> &'static str {
    match name {
        "jwt-authorizer" => "nothing 0.7",
        "axum-jwt-auth" => "nothing in middleware",
        _ => "nothing",
    }
}

fn net<'a>(measured: &'a [Measured], name: &str) -> (f64, u64, &'a Measured) {
    let (it, base) = (of(measured, name), of(measured, base_of(name)));
    (it.above(base), it.allocs.saturating_sub(base.allocs), it)
}

/// Tokens seen before, and new ones, for one algorithm.
pub fn tokens(report: &mut Report, runtime: &tokio::runtime::Runtime, algorithm: Algorithm) {
    let world = World::new(algorithm);
    let suffix = format!("{algorithm:?}").to_lowercase();
    let nothing = peers::nothing();
    let nothing_07 = peers::nothing_07();
    let nothing_in_middleware = peers::nothing_in_middleware();
    let all: Vec<(&'static str, Send)> = runtime.block_on(async {
        vec![
            ("jwt-authorizer", peers::jwt_authorizer(&world).await),
            ("tower-oauth2-resource-server", peers::tors(&world).await),
            ("axum-jwt-auth", peers::axum_jwt_auth(&world).await),
            (
                "oauth-resource-server",
                peers::oauth_resource_server(&world).await,
            ),
            (
                "oauth-resource-server+tools",
                peers::oauth_resource_server_with_tools(&world).await,
            ),
            ("hand-assembled", hand::assembled(&world).await),
        ]
    });
    let all: Vec<_> = all
        .into_iter()
        .filter(|(name, send)| peers::does_the_job(name, &world, send))
        .collect();
    let (warm, stack) = (
        ours::jwt_alone(&world, 10_000),
        ours::whole_stack(&world, &Beside::default()),
    );
    assert!(peers::does_the_job("mcp-auth", &world, &warm));
    assert!(peers::does_the_job("mcp-auth stack", &world, &stack));

    // A ring of tokens that is far longer than the cache: whichever comes next was forgotten. All
    // who verify go through it, for a processor learns the way of a signature that it sees again
    // and again: with ES256 that spares a tenth, which no new token does.
    let tokens: Vec<String> = (0..512)
        .map(|n| world.token_of(&format!("user-{n}")))
        .collect();
    let ring: Vec<HeaderMap> = tokens.iter().map(|token| headers(token)).collect();
    let signed: Vec<_> = tokens.iter().map(|it| world::signed_parts(it)).collect();
    let cold = ours::jwt_alone(&world, 8);
    let key = parsed_key(&world);
    let peek = body();

    let good = headers(&world.token);
    let mut contestants = vec![
        again("nothing", &nothing, good.clone(), StatusCode::OK),
        again("nothing 0.7", &nothing_07, good.clone(), StatusCode::OK),
        again(
            "nothing in middleware",
            &nothing_in_middleware,
            good.clone(),
            StatusCode::OK,
        ),
        again("warm", &warm, good.clone(), StatusCode::OK),
        again("stack", &stack, good.clone(), StatusCode::OK),
        one_by_one("cold", &cold, &ring),
        Contestant::new(
            "bare verify",
            each(&signed, |(message, signature)| {
                assert!(
                    key.verify_sig(black_box(message), black_box(signature))
                        .is_ok()
                );
            }),
        ),
        Contestant::new("peek", || {
            black_box(McpRequest::from_bytes(peek.clone()).expect("a message"));
        }),
    ];
    for (name, send) in &all {
        contestants.push(if is_stack(name) {
            again(name, send, good.clone(), StatusCode::OK)
        } else {
            one_by_one(name, send, &ring)
        });
    }
    let measured = race(contestants);

    let bare = of(&measured, "bare verify");
    report.bare(&format!("bare_verify_{suffix}"), bare.median(), bare.allocs);
    let (ns, allocs, _) = net(&measured, "cold");
    report.net(
        &format!("cold_jwt_{suffix}"),
        "mcp-auth",
        ns,
        allocs,
        json!({}),
    );
    let is_warm_case = algorithm != Algorithm::EdDSA;
    if is_warm_case {
        let (ns, allocs, _) = net(&measured, "warm");
        report.net(
            &format!("warm_jwt_{suffix}"),
            "mcp-auth",
            ns,
            allocs,
            json!({}),
        );
        let (ns, allocs, _) = net(&measured, "stack");
        let peek = of(&measured, "peek").median();
        let more = json!({ "peek_264_ns": peek.round() });
        report.net(
            &format!("warm_stack_{suffix}"),
            "mcp-auth",
            ns,
            allocs,
            more,
        );
    }
    for (name, _) in &all {
        let (ns, allocs, _) = net(&measured, name);
        // No peer remembers a token: for them a token seen before is a new one.
        let case = if is_stack(name) {
            "warm_stack"
        } else {
            report.net(&format!("cold_jwt_{suffix}"), name, ns, allocs, json!({}));
            "warm_jwt"
        };
        if is_warm_case {
            report.net(&format!("{case}_{suffix}"), name, ns, allocs, json!({}));
        }
    }
}

/// The key as the crypto library parses it once.
fn parsed_key(world: &World) -> ParsedPublicKey {
    let set: Value = serde_json::from_str(&world.jwks).expect("a set");
    let part = |name: &str| {
        let text = set["keys"][0][name].as_str().unwrap_or_default();
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    match world.algorithm {
        Algorithm::RS256 => aws_lc_rs::rsa::PublicKeyComponents {
            n: part("n"),
            e: part("e"),
        }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::ES256 => {
            let point = [vec![4], part("x"), part("y")].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        }
        _ => ParsedPublicKey::new(&ED25519, part("x")),
    }
    .expect("a key")
}

/// What can be refused without a look at the signature.
pub fn junk(report: &mut Report, runtime: &tokio::runtime::Runtime) {
    let world = World::new(Algorithm::RS256);
    let nothing = peers::nothing();
    let _inside = runtime.enter();
    let (jwks, send) = ours::jwt_remote(&world);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !jwks.is_ready() {
        assert!(Instant::now() < deadline, "no keys came");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sign = |claims| world.issuer.token_signed_with(Algorithm::RS256, claims);
    let claims = world::claims("alice");
    let header = r#"{"typ":"at+jwt","alg":"RS256","kid":"nobody-s"}"#;
    let unknown_kid = world
        .issuer
        .sign_raw(Algorithm::RS256, header, &claims.to_json());
    let wrong_issuer = sign(&claims.clone().issuer("https://other.example.com"));
    let junk = [
        ("wrong_issuer", wrong_issuer),
        ("wrong_audience", world.wrong_audience.clone()),
        ("expired", world.expired.clone()),
        ("unknown_kid", unknown_kid),
    ];
    let (message, signature) = world::signed_parts(&world.token);
    let key = parsed_key(&world);
    let mut contestants = vec![
        again("nothing", &nothing, headers(&world.token), StatusCode::OK),
        Contestant::new("bare verify", || {
            assert!(
                key.verify_sig(black_box(&message), black_box(&signature))
                    .is_ok()
            );
        }),
    ];
    for (what, token) in &junk {
        contestants.push(again(what, &send, headers(token), StatusCode::UNAUTHORIZED));
    }
    let measured = race(contestants);
    let verify = of(&measured, "bare verify").median().round();
    for (what, _) in &junk {
        let (ns, allocs, _) = net(&measured, what);
        let more = json!({ "what": what, "bare_verify_ns": verify });
        report.net("junk_refused", "mcp-auth", ns, allocs, more);
    }
}

#[derive(Deserialize)]
struct Skim<'a> {
    method: &'a str,
    #[serde(borrow)]
    params: SkimParams<'a>,
}

#[derive(Deserialize)]
struct SkimParams<'a> {
    name: &'a str,
}

/// Reading a message, beside a skim of the same bytes.
pub fn bodies(report: &mut Report) {
    for (size, bytes) in [
        ("264", 264),
        ("4k", 4 << 10),
        ("256k", 256 << 10),
        ("4m", 4 << 20),
    ] {
        let body = call_of(bytes);
        let measured = race(vec![
            Contestant::new("skim", || {
                let skim: Skim<'_> = serde_json::from_slice(black_box(&body)).expect("a message");
                black_box((skim.method, skim.params.name));
            }),
            Contestant::new("peek", || {
                black_box(McpRequest::from_bytes(black_box(body.clone())).expect("a message"));
            }),
        ]);
        let (skim, peek) = (of(&measured, "skim"), of(&measured, "peek"));
        report.bare(&format!("skim_{size}"), skim.median(), skim.allocs);
        report.net(
            &format!("peek_{size}"),
            "mcp-auth",
            peek.median(),
            peek.allocs,
            json!({}),
        );
    }
}

/// One warm token, with few and with many others beside it.
pub fn growth(report: &mut Report) {
    const MANY: u64 = 1_000_000;
    let world = World::new(Algorithm::ES256);
    let sized = |n: u64| NonZeroUsize::new(n as usize + 1000).expect("not zero");

    // Each token is shown once, and stays.
    let fill = |cache: usize, n: u64| {
        let beside = Beside {
            cache,
            ..Beside::default()
        };
        let send = ours::whole_stack(&world, &beside);
        for other in 0..n {
            let token = world.token_of(&format!("user-{other}"));
            let status = send(&headers(&token), body());
            assert_eq!(status, StatusCode::FORBIDDEN, "it is known, and has no key");
        }
        send
    };
    let many_tokens = if std::env::var_os("BENCH_QUICK").is_some() {
        20_000
    } else {
        MANY
    };
    race_of_two(report, &world, "growth_tokens", [10, many_tokens], |n| {
        fill(n as usize + 1000, n)
    });

    race_of_two(report, &world, "growth_revocations", [10, MANY], |n| {
        let revocations = MemoryRevocationStore::new();
        for other in 0..n {
            let id = format!("5f2c6a0e-0c6d-4a57-9f0e-r{other:0>11}");
            revocations.revoke_token(ISSUER, &id, UnixTime::MAX);
            revocations.revoke_session(ISSUER, &id, UnixTime::MAX);
        }
        ours::whole_stack(
            &world,
            &Beside {
                revocations,
                ..Beside::default()
            },
        )
    });

    race_of_two(report, &world, "growth_limits", [10, MANY], |n| {
        let limits = MemoryRateLimitStore::with_capacity(sized(n));
        let slow = mcp_auth::Quota::per_hour(std::num::NonZeroU32::new(10).expect("not zero"));
        let now = SystemClock.now();
        for other in 0..n {
            let claims = world::claims(&format!("user-{other}"))
                .to_claims()
                .expect("claims");
            let token = VerifiedToken::assertion(claims);
            let key = RateKey::new("calls").with_principal(token.principal().clone());
            let verdict = limits.take(&key, &slow, std::num::NonZeroU32::MIN, now);
            assert!(verdict.into_inner().is_ok());
        }
        ours::whole_stack(
            &world,
            &Beside {
                limits,
                ..Beside::default()
            },
        )
    });

    race_of_two(report, &world, "growth_rules", [10, 10_000], |n| {
        ours::whole_stack(
            &world,
            &Beside {
                rules: n as usize,
                ..Beside::default()
            },
        )
    });
}

fn race_of_two(
    report: &mut Report,
    world: &World,
    case: &str,
    sizes: [u64; 2],
    with: impl Fn(u64) -> Send,
) {
    let nothing = peers::nothing();
    let sends = sizes.map(&with);
    let [few, many] = &sends;
    let good = headers(&world.token);
    let measured = race(vec![
        again("nothing", &nothing, good.clone(), StatusCode::OK),
        again("few", few, good.clone(), StatusCode::OK),
        again("many", many, good.clone(), StatusCode::OK),
    ]);
    for (name, n) in ["few", "many"].into_iter().zip(sizes) {
        let (ns, allocs, _) = net(&measured, name);
        report.net(case, "mcp-auth", ns, allocs, json!({ "n": n }));
    }
}

/// One hot token, on one thread and on two: how much more work is done.
pub fn threads(report: &mut Report) {
    let world = World::new(Algorithm::ES256);
    let inner = service_fn(|_: http::Request<McpBody>| async {
        Ok::<_, Infallible>(peers::empty_result::<Body>())
    });
    let service = ours::stack(&world, &Beside::default()).layer(inner);
    // Nanoseconds of a request, in the time of the thread that does it.
    let cost = |threads: usize| -> f64 {
        let (barrier, at_work) = (Barrier::new(threads), AtomicU64::new(threads as u64));
        let one = || {
            let service = service.clone();
            let headers = headers(&world.token);
            let (mut done, mut took) = (0, Duration::ZERO);
            barrier.wait();
            // What is done while the other has ended already does not count.
            while took < Duration::from_millis(100)
                && at_work.load(Ordering::Relaxed) == threads as u64
            {
                let start = thread_time();
                for _ in 0..256 {
                    let request = world::request(&headers, Body::from(body()));
                    assert_eq!(peers::send(&service, request), StatusCode::OK);
                }
                took += thread_time() - start;
                done += 256;
            }
            at_work.fetch_sub(1, Ordering::Relaxed);
            took.as_nanos() as f64 / done as f64
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            let costs = all.into_iter().map(|it| it.join().expect("it ended"));
            costs.sum::<f64>() / threads as f64
        })
    };
    let ratios = (0..9).map(|_| 2.0 * cost(1) / cost(2)).collect();
    let ratio = (median(ratios) * 100.0).round() / 100.0;
    report.line(
        "threads_2",
        "mcp-auth",
        json!({ "times_the_work_of_one": ratio }),
    );
}

/// One case again and again, for a profiler.
pub fn repeat(case: &str, times: u64) {
    let world = World::new(Algorithm::RS256);
    let send = match case {
        "nothing" => peers::nothing(),
        "warm" | "expired" => ours::jwt_alone(&world, 10_000),
        "cold" => ours::jwt_alone(&world, 0),
        "stack" => ours::whole_stack(&world, &Beside::default()),
        "peek" => Box::new(|_: &HeaderMap, body: Bytes| {
            black_box(McpRequest::from_bytes(body).expect("a message"));
            StatusCode::OK
        }),
        other => panic!("there is no case {other:?}"),
    };
    let token = if case == "expired" {
        &world.expired
    } else {
        &world.token
    };
    let headers = headers(token);
    for _ in 0..times {
        black_box(send(&headers, body()));
    }
}
