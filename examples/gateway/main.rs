//! A streaming reverse proxy that puts OAuth 2.1 authentication in front of any MCP server.
//!
//! Without arguments it is a demonstration: `cargo run --example gateway`. `--help` tells the rest.

mod args;
mod demo;
mod ending;
mod headers;
mod linger;
mod log;
mod mount;
mod notes;
mod proxy;
mod revoke;
mod router;
mod serve;
mod setup;
mod stacks;
mod stores;
mod upstream;
mod wait;

use std::{
    env,
    io::{self, Write},
    iter,
    process::ExitCode,
    time::Duration,
};

use args::{Args, Fault, Refusal};
use log::Log;
use mcp_auth::JsonLinesSink;
use tokio::runtime::Runtime;

/// How long tasks may take to be dropped at the end.
const LAST: Duration = Duration::from_millis(500);
/// How long the audit log may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let log = Log::start();
    match Runtime::new() {
        Ok(runtime) => run_in(runtime, &log),
        Err(error) => {
            log.say(format_args!("no runtime: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run_in(runtime: Runtime, log: &Log) -> ExitCode {
    let outcome = runtime.block_on(run(log));
    // What is dropped here may be audited. Nobody waits for a name that is being looked up: that
    // cannot be broken off, and takes as long as the name servers are silent.
    runtime.shutdown_timeout(LAST);
    match outcome {
        Ok(audit) => {
            if let Some(audit) = audit {
                flush(&audit, log);
            }
            ExitCode::SUCCESS
        }
        Err(Refusal::Help(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Refusal::Fault(fault)) => {
            log.say(fault);
            ExitCode::from(2)
        }
    }
}

/// Gives the audit log, which is to be flushed once nothing can be audited any more.
async fn run(log: &Log) -> Result<Option<JsonLinesSink>, Refusal> {
    let mut args = env::args_os();
    if args.nth(1).is_some_and(|first| first == "revoke") {
        revoke::run(iter::once("gateway revoke".into()).chain(args)).await?;
        return Ok(None);
    }
    let is_bare = env::args_os().len() <= 1 && !env::vars_os().any(|(name, _)| is_ours(&name));
    // The demonstration's issuer lives as long as the demonstration.
    let (gateway, _issuer) = if is_bare {
        let (gateway, issuer) = demo::open().await?;
        (gateway, Some(issuer))
    } else {
        let args = Args::read(env::args_os(), env::var_os(args::KEY_MAP).is_some())?;
        (setup::open(args).await?, None)
    };
    // Only now: to open a file may take for ever, as a pipe does that nobody writes to, and until then
    // a signal ends the process by itself.
    let stop = serve::signalled().map_err(|error| Fault::new("signals", error))?;
    for notice in gateway.notices {
        log.say(notice);
    }
    if let Ok(addr) = gateway.listener.local_addr() {
        log.say(format_args!("listening on http://{addr}"));
    }
    serve::serve(gateway.listener, gateway.service, stop).await;
    Ok(gateway.audit)
}

/// Ends the audit log, and says what it lacks.
fn flush(audit: &JsonLinesSink, log: &Log) {
    let is_in_time = audit.flush(FLUSH);
    let (lost, waiting) = (audit.dropped(), audit.waiting());
    if !is_in_time {
        log.say(format_args!(
            "the audit log could not be written to its end; events that are not in it: up to {}",
            lost + waiting
        ));
    } else if lost > 0 {
        log.say(format_args!("events that are not in the audit log: {lost}"));
    }
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"MCP_PROXY_")
}
