//! The instructions of a request through the default stack, for `instructions.py` to count: those of
//! [`counted`], without the signature check, which is another on every CPU.
#![allow(missing_docs)]

mod scene;

use mcp_auth::Algorithm;

/// How many requests are counted.
const REQUESTS: usize = 200;

fn main() {
    // From Cargo there are arguments of its own.
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    for (case, cache) in [("warm", 1000), ("cold", 0)] {
        if wanted.is_empty() || wanted.iter().any(|it| it == case) {
            let scene = scene::scene(Algorithm::RS256, cache);
            for _ in 0..10 {
                scene.send();
            }
            counted(&|| scene.send());
        }
    }
}

/// What is counted.
#[inline(never)]
fn counted(send: &dyn Fn()) {
    for _ in 0..REQUESTS {
        send();
    }
}
