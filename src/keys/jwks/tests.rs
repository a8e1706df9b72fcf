//! The whole store over a scripted fetch, with tokio's clock paused: what the tokens of a service
//! would meet with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt, future::join_all};
use tokio::time::{Instant, sleep};

use super::{
    fetch::{Fetch, FetchError, Fetched, Fetching},
    *,
};
use crate::{clock::UnixTime, keys::Algorithm};

const ISSUER: &str = "https://idp.example.com";
const TTL: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);
/// The public keys of RFC 8032 section 7.1, tests 1 and 2.
const ONE: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const TWO: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// An issuer that does as it is told.
#[derive(Debug)]
struct Script {
    answer: Mutex<Result<Fetched, FetchError>>,
    takes: Mutex<Duration>,
    fetches: AtomicUsize,
}

impl Script {
    fn serving(kids: &[&str]) -> Arc<Self> {
        let script = Arc::new(Self::failing());
        script.serve(kids);
        script
    }

    fn failing() -> Self {
        Self {
            answer: Mutex::new(Err(FetchError::new("status 500"))),
            takes: Mutex::new(Duration::from_millis(100)),
            fetches: AtomicUsize::new(0),
        }
    }

    fn serve(&self, kids: &[&str]) {
        self.serve_body(&set_of(
            &kids.iter().map(|kid| (*kid, ONE)).collect::<Vec<_>>(),
        ));
    }

    fn serve_body(&self, body: &str) {
        *self.answer.lock().unwrap() = Fetched::read(body.as_bytes(), TTL);
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = Err(FetchError::new("status 500"));
    }

    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Fetch for Script {
    fn fetch(&self) -> Fetching<'_> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let takes = *self.takes.lock().unwrap();
            sleep(takes).await;
            self.answer.lock().unwrap().clone()
        })
    }
}

fn set_of(keys: &[(&str, &str)]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|(kid, x)| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}))
        .collect();
    serde_json::json!({ "keys": keys }).to_string()
}

/// Shows the time that tokio shows.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(1_700_000_000).saturating_add(self.0.elapsed())
    }
}

fn store(script: &Arc<Script>) -> Jwks {
    store_of(ISSUER, script)
}

fn store_of(issuer: &str, script: &Arc<Script>) -> Jwks {
    let fetch: Arc<dyn Fetch> = Arc::clone(script) as _;
    Jwks::of(issuer.into(), fetch).with_clock(TokioClock(Instant::now()))
}

fn id(kid: &str) -> VerificationKeyId {
    VerificationKeyId::new(ISSUER.into(), Some(kid.into()), Algorithm::EdDSA)
}

/// What a token that names this key is answered with, its signature aside.
async fn status(store: &Jwks, kid: &str) -> u16 {
    match store.key(&id(kid)).await {
        Ok(Some(_)) => 200,
        Ok(None) => 401,
        Err(_) => 503,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_token_waits_for_the_first_set_and_the_next_for_nothing() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert!(!store.is_ready());
    assert_eq!(status(&store, "a").await, 200);
    assert!(store.is_ready());
    let at_once = store.key(&id("a")).now_or_never();
    assert!(matches!(at_once, Some(Ok(Some(_)))));
    assert_eq!(script.fetches(), 1);
}

#[test]
fn a_key_may_be_asked_for_before_the_runtime_runs() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let script = Script::serving(&["a"]);
    let store = {
        let _clock = runtime.enter();
        store(&script)
    };
    let asked = store.key(&id("a"));
    assert!(runtime.block_on(asked).unwrap().is_some());
    assert_eq!(script.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_unknown_kids_make_one_fetch() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    let flood = || async {
        let kids: Vec<String> = (0..200).map(|n| format!("unknown {n}")).collect();
        let answers = join_all(kids.iter().map(|kid| status(&store, kid))).await;
        let first = answers[0];
        assert!(answers.iter().all(|answer| *answer == first));
        (first, script.fetches())
    };
    // The very first set; a young one; an old one; one that cannot be had.
    assert_eq!(flood().await, (401, 1));
    assert_eq!(flood().await, (401, 1));
    sleep(31 * SECOND).await;
    assert_eq!(flood().await, (401, 2));
    sleep(31 * SECOND).await;
    script.fail();
    assert_eq!(flood().await, (503, 3));
    assert_eq!(flood().await, (503, 3));
    assert_eq!(status(&store, "a").await, 200);
}

#[tokio::test(start_paused = true)]
async fn no_flood_asks_more_often_than_once_in_ten_seconds() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    for n in 0..600 {
        assert_eq!(status(&store, &format!("unknown {n}")).await, 401, "{n}");
        sleep(SECOND / 10).await;
    }
    // 60 s and some: at 0, 10, 20, 30, 40, 50, 60.
    assert_eq!(script.fetches(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_a_fresh_set_lacked_is_not_asked_for_again_for_a_while() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    store.start();
    sleep(15 * SECOND).await;
    assert_eq!((status(&store, "b").await, script.fetches()), (401, 2));
    sleep(15 * SECOND).await;
    assert_eq!((status(&store, "b").await, script.fetches()), (401, 2));
    assert_eq!((status(&store, "c").await, script.fetches()), (401, 3));
    sleep(16 * SECOND).await;
    script.serve(&["a", "b"]);
    assert_eq!((status(&store, "b").await, script.fetches()), (200, 4));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_right_after_a_fetch_is_found_by_the_next() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert_eq!((status(&store, "a").await, script.fetches()), (200, 1));
    script.serve(&["a", "b"]);
    sleep(5 * SECOND).await;
    assert_eq!((status(&store, "b").await, script.fetches()), (401, 1));
    sleep(6 * SECOND).await;
    assert_eq!((status(&store, "b").await, script.fetches()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_fetch_lacked_that_began_before_is_not_remembered() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 200);
    sleep(11 * SECOND).await;
    script.takes(4 * SECOND);
    let joins = async {
        sleep(SECOND).await;
        status(&store, "c").await
    };
    assert_eq!(tokio::join!(status(&store, "b"), joins), (401, 401));
    assert_eq!(script.fetches(), 2);
    script.serve(&["a", "b", "c"]);
    sleep(7 * SECOND).await;
    // "b" began that fetch, which says that there is none; "c" may have come after it.
    assert_eq!((status(&store, "b").await, script.fetches()), (401, 2));
    assert_eq!((status(&store, "c").await, script.fetches()), (200, 3));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_asked_for_is_not_remembered() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 200);
    sleep(11 * SECOND).await;
    script.fail();
    assert_eq!(status(&store, "b").await, 503);
    script.serve(&["a", "b"]);
    // The unattended retry comes a second after the failure.
    sleep(2 * SECOND).await;
    assert_eq!(status(&store, "b").await, 200);
    assert_eq!(script.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_heals_by_itself() {
    let script = Arc::new(Script::failing());
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 503);
    assert_eq!(status(&store, "a").await, 503);
    assert_eq!(script.fetches(), 1);
    assert!(!store.is_ready());
    script.serve(&["a"]);
    sleep(2 * SECOND).await;
    assert!(store.is_ready());
    assert_eq!(status(&store, "a").await, 200);
    assert_eq!(script.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_failures_is_survived_and_recovered_from() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    let clock = TokioClock(Instant::now());
    let first = store.key(&id("a")).await.unwrap().unwrap();
    script.fail();
    for minute in 0..60 {
        assert_eq!(status(&store, "a").await, 200, "{minute}");
        // After the refresh that failed, nobody can tell.
        let expected = if minute == 0 { 401 } else { 503 };
        assert_eq!(status(&store, "b").await, expected, "{minute}");
        sleep(60 * SECOND).await;
    }
    // Requests asked every minute; retries were spaced up to a minute.
    let fetches = script.fetches();
    assert!((60..=240).contains(&fetches), "{fetches}");
    script.serve(&["a", "b"]);
    sleep(61 * SECOND).await;
    assert!(script.fetches() <= fetches + 2);
    assert_eq!(status(&store, "b").await, 200);
    assert_eq!(status(&store, "a").await, 200);
    // Still the key of the first set, and in force for longer than that set was.
    sleep(600 * SECOND).await;
    assert!(first.is_in_force(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn keys_too_old_serve_nobody_until_new_ones_come() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    let began = Instant::now();
    let key = store.key(&id("a")).await.unwrap().unwrap();
    script.fail();
    sleep(4199 * SECOND - began.elapsed()).await;
    assert_eq!(status(&store, "a").await, 200);
    assert!(key.is_in_force(TokioClock(began).now()));
    assert!(store.is_ready());
    sleep(SECOND).await;
    assert_eq!(status(&store, "a").await, 503);
    assert!(!key.is_in_force(TokioClock(began).now()));
    assert!(!store.is_ready());
    script.serve(&["a"]);
    sleep(10 * SECOND).await;
    assert_eq!(status(&store, "a").await, 200);
    assert!(key.is_in_force(TokioClock(began).now()));
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_zero_serves_no_stale_keys() {
    let script = Script::serving(&["a"]);
    let store = store(&script).with_max_stale(Duration::ZERO);
    let began = Instant::now();
    assert_eq!(status(&store, "a").await, 200);
    script.fail();
    sleep(TTL - SECOND - began.elapsed()).await;
    assert_eq!(status(&store, "a").await, 200);
    sleep(SECOND).await;
    assert_eq!(status(&store, "a").await, 503);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_new_set_lost_is_out_of_force_at_once() {
    let script = Script::serving(&["stays", "goes"]);
    let store = store(&script);
    let clock = TokioClock(Instant::now());
    let stays = store.key(&id("stays")).await.unwrap().unwrap();
    let goes = store.key(&id("goes")).await.unwrap().unwrap();
    // Twice confirmed before it goes, so that the object of the first set is meant.
    sleep(1200 * SECOND).await;
    assert!(script.fetches() >= 3);
    assert!(goes.is_in_force(clock.now()) && stays.is_in_force(clock.now()));
    script.serve(&["stays", "new"]);
    assert_eq!(status(&store, "new").await, 200);
    assert!(stays.is_in_force(clock.now()));
    assert!(!goes.is_in_force(clock.now()));
    sleep(11 * SECOND).await;
    assert_eq!(status(&store, "goes").await, 401);
    // Its comeback is another key.
    script.serve(&["stays", "goes"]);
    sleep(31 * SECOND).await;
    assert_eq!(status(&store, "goes").await, 200);
    assert!(!goes.is_in_force(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn a_kid_that_is_used_again_names_the_new_key() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    let clock = TokioClock(Instant::now());
    let old = store.key(&id("a")).await.unwrap().unwrap();
    script.serve_body(&set_of(&[("a", TWO)]));
    sleep(TTL).await;
    let new = store.key(&id("a")).await.unwrap().unwrap();
    assert!(!old.is_in_force(clock.now()));
    assert!(new.is_in_force(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn a_set_without_a_usable_key_is_a_failed_fetch() {
    for body in [
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","kid":"b","k":"AAAA"}]}"#,
        r#"{"keys":{}}"#,
        "{}",
        "[]",
        "<html>",
        "",
        "\u{feff}{\"keys\":[]}",
    ] {
        let script = Script::serving(&["a"]);
        let store = store(&script);
        assert_eq!(status(&store, "a").await, 200);
        script.serve_body(body);
        sleep(11 * SECOND).await;
        assert_eq!(status(&store, "b").await, 503, "{body}");
        assert_eq!(status(&store, "a").await, 200, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_key_among_good_ones_is_skipped() {
    let script = Script::serving(&[]);
    let good = set_of(&[("a", ONE)]);
    script.serve_body(&good.replace(
        "[",
        r#"[{},7,null,{"kty":"EC","crv":"P-256","kid":"b","x":"AA","y":"AA"},"#,
    ));
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 200);
    assert_eq!(status(&store, "b").await, 401);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_ends_after_five_seconds() {
    let script = Script::serving(&["a"]);
    script.takes(Duration::MAX / 4);
    let store = store(&script);
    let began = Instant::now();
    let answers = join_all((0..50).map(|_| status(&store, "a"))).await;
    assert_eq!(answers, [503; 50]);
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert_eq!(script.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn known_keys_do_not_wait_for_a_fetch_that_hangs() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 200);
    script.takes(Duration::MAX / 4);
    for _ in 0..4000 {
        assert!(store.key(&id("a")).now_or_never().is_some());
        sleep(SECOND).await;
    }
    assert!(script.fetches() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_does_not_take_the_fetch_along() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert!(store.key(&id("a")).now_or_never().is_none());
    sleep(SECOND).await;
    assert!(store.key(&id("a")).now_or_never().is_some());
    assert_eq!(script.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_store_refreshes_before_the_ttl_ends() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    store.start();
    sleep(3600 * SECOND).await;
    // Every 420 to 480 s, and one at the start.
    let fetches = script.fetches();
    assert!((8..=9).contains(&fetches), "{fetches}");
    assert!(store.key(&id("a")).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_clone() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    let clone = store.clone();
    assert_eq!(status(&store, "a").await, 200);
    let alive = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    drop(store);
    sleep(SECOND).await;
    assert_eq!(alive(), 1);
    drop(clone);
    sleep(SECOND).await;
    assert_eq!(alive(), 0);
    assert_eq!(Arc::strong_count(&script), 1);
}

#[test]
fn a_store_outlives_its_runtime() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let script = Script::serving(&["a"]);
    let fetch: Arc<dyn Fetch> = Arc::clone(&script) as _;
    let clock = crate::testing::TestClock::new(UnixTime::from_secs(1_700_000_000));
    let store = Jwks::of(ISSUER.into(), fetch).with_clock(clock.clone());

    // Outside of a runtime nothing can be fetched, and nothing breaks.
    assert!(!store.is_ready());
    let outside = store.key(&id("a")).now_or_never().unwrap();
    assert!(outside.is_err());

    assert_eq!(runtime().block_on(status(&store, "a")), 200);
    assert!(store.key(&id("a")).now_or_never().is_some());

    // A fetch is broken off together with its runtime.
    clock.advance(20 * SECOND);
    let broken_off = runtime();
    broken_off.block_on(async { assert!(store.key(&id("b")).now_or_never().is_none()) });
    drop(broken_off);

    clock.advance(20 * SECOND);
    script.serve(&["a", "b"]);
    assert_eq!(runtime().block_on(status(&store, "b")), 200);
    let before = script.fetches();
    runtime().block_on(async {
        store.start();
        sleep(TTL).await;
    });
    assert!(script.fetches() > before);
}

#[test]
fn a_fetch_under_way_elsewhere_is_not_waited_for_outside_of_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let script = Script::serving(&["a"]);
    script.takes(4 * SECOND);
    let fetch: Arc<dyn Fetch> = Arc::clone(&script) as _;
    let clock = crate::testing::TestClock::new(UnixTime::from_secs(1_700_000_000));
    let store = Jwks::of(ISSUER.into(), fetch).with_clock(clock);
    runtime.block_on(async {
        store.start();
        sleep(SECOND).await;
    });
    assert_eq!(script.fetches(), 1);
    let outside = store.key(&id("a")).now_or_never().unwrap().unwrap_err();
    assert_eq!(
        outside.to_string(),
        "keys are fetched inside a tokio runtime only"
    );
    // Those inside get their answer.
    assert_eq!(runtime.block_on(status(&store, "a")), 200);
    assert_eq!(script.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_issuers_may_use_one_kid_and_fail_apart() {
    let (one, two) = (Script::serving(&["a"]), Script::serving(&["a", "b"]));
    two.serve_body(&set_of(&[("a", TWO), ("b", TWO)]));
    let other = "https://other.example.com";
    let store = store(&one).and(store_of(other, &two)).unwrap();
    let at = |issuer: &str, kid: &str| {
        store.key(&VerificationKeyId::new(
            issuer.into(),
            Some(kid.into()),
            Algorithm::EdDSA,
        ))
    };
    let keys = [at(ISSUER, "a").await, at(other, "a").await];
    let shown: HashMap<_, _> = [ISSUER, other]
        .into_iter()
        .zip(keys.map(|key| key.unwrap().unwrap()))
        .collect();
    let sets = [(ISSUER, ONE), (other, TWO)];
    for (issuer, x) in sets {
        let expected = VerificationKey::from_jwk(
            format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}"#).as_bytes(),
        )
        .unwrap();
        let set = crate::keys::verification::KeySet::from_keys([expected]).unwrap();
        assert!(set.holds(&shown[issuer]), "{issuer}");
    }
    // The key of the one is not the other's, and an outage of the one is not the other's.
    one.fail();
    sleep(11 * SECOND).await;
    assert!(at(ISSUER, "b").await.is_err());
    assert!(matches!(at(other, "b").await, Ok(Some(_))));
    assert!(matches!(at(other, "c").await, Ok(None)));
    // Nobody's.
    let nobody = at("https://nobody.example.com", "a").now_or_never();
    assert!(matches!(nobody, Some(Ok(None))));
    // Twice.
    assert!(store.clone().and(store_of(other, &two)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_kid_longer_than_any_set_holds_is_not_fetched_for() {
    let script = Script::serving(&["a"]);
    let store = store(&script);
    assert_eq!(status(&store, "a").await, 200);
    sleep(60 * SECOND).await;
    assert_eq!(status(&store, &"x".repeat(513)).await, 401);
    assert_eq!(script.fetches(), 1);
    assert_eq!(status(&store, &"x".repeat(512)).await, 401);
    assert_eq!(script.fetches(), 2);
}

#[test]
fn debug_shows_the_issuers_alone() {
    let store = Jwks::new(ISSUER, "https://idp.example.com/k?secret=1").unwrap();
    assert_eq!(
        format!("{store:?}"),
        r#"Jwks { issuers: ["https://idp.example.com"], .. }"#
    );
}

/// Breaks off without an outcome.
#[derive(Debug, Default)]
struct Broken(AtomicUsize);

impl Fetch for Broken {
    fn fetch(&self) -> Fetching<'_> {
        let times = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if times > 100 {
                std::future::pending::<()>().await;
            }
            panic!("as the test wants it")
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_breaks_off_is_503_and_is_not_repeated_in_a_hurry() {
    let broken = Arc::new(Broken::default());
    let store =
        Jwks::of(ISSUER.into(), Arc::clone(&broken) as _).with_clock(TokioClock(Instant::now()));
    assert_eq!(status(&store, "a").await, 503);
    sleep(60 * SECOND).await;
    let times = broken.0.load(Ordering::SeqCst);
    assert!((3..=20).contains(&times), "{times}");
}

/// Breaks off the first time, right after somebody else got the word, and then brings sets: the
/// second takes 4 s, the others nothing.
#[derive(Debug, Default)]
struct Overtaken {
    fetches: AtomicUsize,
    breaks_off: tokio::sync::Notify,
}

impl Fetch for Overtaken {
    fn fetch(&self) -> Fetching<'_> {
        let times = self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let kids: &[_] = match times {
                0 => {
                    sleep(SECOND).await;
                    self.breaks_off.notify_one();
                    panic!("as the test wants it")
                }
                1 => {
                    sleep(4 * SECOND).await;
                    &[("a", ONE)]
                }
                _ => &[("a", ONE), ("b", TWO)],
            };
            Fetched::read(set_of(kids).as_bytes(), TTL)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_broke_off_does_not_hide_one_that_began_since() {
    let overtaken = Arc::new(Overtaken::default());
    let store =
        Jwks::of(ISSUER.into(), Arc::clone(&overtaken) as _).with_clock(TokioClock(Instant::now()));
    store.start();
    let asks = tokio::spawn({
        let (overtaken, store) = (Arc::clone(&overtaken), store.clone());
        async move {
            // It runs after the fetch broke off, and before the task that waits for it.
            overtaken.breaks_off.notified().await;
            status(&store, "a").await
        }
    });
    sleep(4 * SECOND).await;
    // The one under way is the only one, so that no older set can come after a newer.
    assert_eq!(overtaken.fetches.load(Ordering::SeqCst), 2);
    assert_eq!(asks.await.unwrap(), 200);
    assert_eq!(status(&store, "b").await, 401);
    sleep(10 * SECOND).await;
    assert_eq!(status(&store, "b").await, 200);
    assert_eq!(overtaken.fetches.load(Ordering::SeqCst), 3);
}
