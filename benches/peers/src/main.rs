//! Runs the comparison: `mcp-auth-peers in-process OUT`, then `flood OUT` and `wire OUT GATEWAY`; or one
//! case again and again, for a profiler: `mcp-auth-peers repeat CASE TIMES`.

mod flood;
mod hand;
mod harness;
mod in_process;
mod ours;
mod peers;
mod report;
mod wire;
mod world;

use std::path::PathBuf;

use mcp_auth::Algorithm;

use crate::report::Report;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let job = arguments.next().unwrap_or_default();
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "/dev/null".into()));
    let only: Vec<String> = arguments.collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|it| it == name);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match job.as_str() {
        "in-process" => {
            let report = &mut Report::append(&out);
            if wanted("bodies") {
                in_process::bodies(report);
            }
            for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
                if wanted(&format!("{algorithm:?}")) {
                    in_process::tokens(report, &runtime, algorithm);
                }
            }
            if wanted("junk") {
                in_process::junk(report, &runtime);
            }
            if wanted("growth") {
                in_process::growth(report);
            }
            if wanted("threads") {
                in_process::threads(report);
            }
        }
        "flood" => flood::run(&mut Report::append(&out), &runtime),
        "wire" => {
            let gateway = only.first().expect("the gateway's binary");
            wire::run(&mut Report::append(&out), gateway.as_ref());
        }
        // A server of the job before.
        "serve" => {
            let job = out.to_string_lossy();
            runtime.block_on(wire::serve(&job, only.first().map(String::as_str)));
        }
        "repeat" => {
            let case = out.to_string_lossy();
            let times = only.first().and_then(|it| it.parse().ok()).unwrap_or(1);
            in_process::repeat(&case, times);
        }
        other => panic!("there is no job {other:?}"),
    }
}
