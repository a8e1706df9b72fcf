//! The cases over loopback: each server a process of its own on one core, the load on another, and
//! what is counted is the time that the server was at work.

mod load;
mod process;
mod proxy;
mod servers;

use std::{collections::BTreeMap, path::Path, time::Duration};

use mcp_auth::Algorithm;
use serde_json::json;

use self::{load::Load, process::Server};
use crate::{
    harness::{is_quick, median},
    report::Report,
    world::{self, World},
};

pub use self::servers::serve;

/// The core of the servers that are measured, and that of everything else.
const MEASURED: usize = 0;
const OTHERS: usize = 1;

/// One server under load: its case, its name, what it has cost in each round.
struct Mode {
    case: &'static str,
    by: &'static str,
    server: Server,
    load: Load,
    cpu_ns: Vec<f64>,
    per_second: Vec<f64>,
}

impl Mode {
    /// A server that takes this token and, if it is one that looks, refuses the same with another
    /// signature.
    fn new(case: &'static str, by: &'static str, server: Server, token: &str) -> Self {
        let answers = |token: &str, status: &str| {
            let answer = load::ask(&server.url, token);
            let is_so = answer.starts_with(&format!("HTTP/1.1 {status}"));
            assert!(is_so, "{case} {by}: not {status}: {answer}");
        };
        answers(token, "200");
        if by != "none" {
            answers(&world::tampered(token), "401");
        }
        Self {
            case,
            by,
            load: Load::new(&server.url, token),
            server,
            cpu_ns: Vec::new(),
            per_second: Vec::new(),
        }
    }

    fn round(&mut self, takes: Duration) {
        let before = self.server.cpu_time();
        let done = self.load.run(takes, OTHERS);
        let spent = self.server.cpu_time() - before;
        self.cpu_ns
            .push(spent.as_nanos() as f64 / done.requests as f64);
        self.per_second.push(done.requests as f64 / done.seconds);
    }
}

/// All servers, in turn, round by round; `gateway` is the binary of the one that stands before
/// another server.
pub fn run(report: &mut Report, gateway: &Path) {
    let (rounds, takes) = if is_quick() { (1, 1) } else { (7, 3) };
    let mut modes: Vec<Mode> = [
        ("wire_plain", "none", "plain"),
        ("wire_plain_07", "none", "plain-0.7"),
        ("wire_stack", "mcp-auth", "stack"),
        ("wire_jwt_peer", "jwt-authorizer", "jwt-authorizer"),
        (
            "wire_jwt_peer",
            "tower-oauth2-resource-server",
            "tower-oauth2-resource-server",
        ),
        ("wire_jwt_peer", "axum-jwt-auth", "axum-jwt-auth"),
        (
            "wire_jwt_peer",
            "oauth-resource-server",
            "oauth-resource-server",
        ),
    ]
    .into_iter()
    .map(|(case, by, job)| {
        let (server, token) = Server::of_job(job, &[], MEASURED);
        Mode::new(case, by, server, &token)
    })
    .collect();

    let world = World::new(Algorithm::RS256);
    let proxied = |case, by, server| Mode::new(case, by, server, &world.token);
    let (upstream, _) = Server::of_job("plain", &[], OTHERS);
    let (proxy, _) = Server::of_job("proxy", &[&upstream.url], MEASURED);
    modes.push(proxied("wire_bare_proxy", "none", proxy));
    for (case, with_log) in [("wire_gateway", false), ("wire_gateway_audited", true)] {
        let gateway = Server::gateway(gateway, &world, &upstream.url, with_log, MEASURED);
        modes.push(proxied(case, "mcp-auth", gateway));
    }

    for mode in &mut modes {
        mode.load.run(Duration::from_secs(1), OTHERS);
    }
    for _ in 0..rounds {
        for mode in &mut modes {
            mode.round(Duration::from_secs(takes));
        }
    }
    // The bare service, by the version of axum that a mode stands on.
    let bare: BTreeMap<_, _> = modes
        .iter()
        .filter(|mode| mode.by == "none")
        .map(|mode| (mode.case, median(mode.cpu_ns.clone())))
        .collect();
    for mode in &modes {
        let cpu_ns = median(mode.cpu_ns.clone());
        let mut line = json!({
            "cpu_ns": cpu_ns.round(),
            "requests_per_cpu_second": (1e9 / cpu_ns).round(),
            "requests_per_second": median(mode.per_second.clone()).round(),
        });
        let base = match mode.case {
            "wire_stack" => Some("wire_plain"),
            "wire_jwt_peer" if mode.by == "jwt-authorizer" => Some("wire_plain_07"),
            "wire_jwt_peer" => Some("wire_plain"),
            "wire_gateway" | "wire_gateway_audited" => Some("wire_bare_proxy"),
            _ => None,
        };
        if let Some(base) = base.and_then(|base| bare.get(base)) {
            line["times_bare"] = ((cpu_ns / base * 1000.0).round() / 1000.0).into();
        }
        report.line(mode.case, mode.by, line);
    }
}
