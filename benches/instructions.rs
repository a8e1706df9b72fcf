//! The instructions of a request through the default stack, for `instructions.py` to count: those of
//! [`counted`].
#![allow(missing_docs, clippy::expect_used)]

mod scene;

use futures_util::FutureExt;
use mcp_auth::{Algorithm, Clock, KeyStore, SystemClock, testing::TestIssuer};

/// How often each case is counted.
const TIMES: usize = 200;

fn main() {
    // From Cargo there are arguments of its own.
    let wanted = std::env::args().skip(1).find(|it| !it.starts_with("--"));
    let is_wanted = |case| wanted.as_deref().is_none_or(|wanted| wanted == case);
    for (case, cache) in [("warm", 1000), ("cold", 0)] {
        if is_wanted(case) {
            let scene = scene::scene(Algorithm::RS256, cache);
            counted(&|| scene.send());
        }
    }
    if is_wanted("signature") {
        let issuer = TestIssuer::start().expect("an issuer");
        let token = issuer.token(&scene::claims(issuer.url(), "alice"));
        let inspected = scene::validator(&issuer).inspect(token, SystemClock.now());
        let inspected = inspected.expect("a good one");
        let key = scene::keys(&issuer).key(inspected.key_id()).now_or_never();
        let key = key.and_then(Result::ok).flatten().expect("its key");
        counted(&|| {
            inspected.verify(&key).expect("a good one");
        });
    }
}

/// What is counted.
#[inline(never)]
fn counted(once: &dyn Fn()) {
    for _ in 0..TIMES {
        once();
    }
}
