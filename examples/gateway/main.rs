//! A streaming reverse proxy that puts OAuth 2.1 authentication in front of any MCP server.
//!
//! Without arguments it is a demonstration: `cargo run --example gateway`. `--help` tells the rest.

mod args;
mod demo;
mod ending;
mod headers;
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
    fmt::Display,
    io::{self, IsTerminal, Write},
    iter,
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use args::{Args, Fault, Refusal};
use mcp_auth::JsonLinesSink;
use tokio::runtime::Runtime;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How long tasks may take to be dropped at the end, and the last line to be written.
const LAST: Duration = Duration::from_millis(500);
/// How long the audit log may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    log_to_stderr();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("no runtime: {error}"));
            return ExitCode::from(2);
        }
    };
    let outcome = runtime.block_on(run());
    // What is dropped here may be audited. Nobody waits for a name that is being looked up: that
    // cannot be broken off, and takes as long as the name servers are silent.
    runtime.shutdown_timeout(LAST);
    match outcome {
        Ok(audit) => {
            if let Some(audit) = audit {
                flush(&audit);
            }
            ExitCode::SUCCESS
        }
        Err(Refusal::Help(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Refusal::Fault(fault)) => {
            say(fault);
            ExitCode::from(2)
        }
    }
}

/// Gives the audit log, which is to be flushed once nothing can be audited any more.
async fn run() -> Result<Option<JsonLinesSink>, Refusal> {
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
        say(notice);
    }
    if let Ok(addr) = gateway.listener.local_addr() {
        say(format_args!("listening on http://{addr}"));
    }
    serve::serve(gateway.listener, gateway.service, stop).await;
    Ok(gateway.audit)
}

/// Ends the audit log, and says what it lacks.
fn flush(audit: &JsonLinesSink) {
    let is_in_time = audit.flush(FLUSH);
    let (lost, waiting) = (audit.dropped(), audit.waiting());
    let last = if !is_in_time {
        format!(
            "the audit log could not be written to its end; events that are not in it: up to {}",
            lost + waiting
        )
    } else if lost > 0 {
        format!("events that are not in the audit log: {lost}")
    } else {
        return;
    };
    // Standard error may hang as the log does, and on the same pipe: nobody waits long for it.
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        say(last);
        let _ = said.send(());
    });
    let _ = heard.recv_timeout(LAST);
}

/// Writes a line to standard error. Where nobody reads that, there is nobody to tell.
fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"MCP_PROXY_")
}

fn log_to_stderr() {
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("mcp_auth", LevelFilter::INFO);
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
}
