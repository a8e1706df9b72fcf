//! Standard error, for which nobody waits: it may be a pipe that nobody reads any more, and a thread
//! that serves requests or hears signals must not hang at a write.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Hands lines to a thread that writes them. When this is dropped, what waits is written, for a second
/// at the most.
pub(crate) struct Log {
    lines: NonBlocking,
    _written: WorkerGuard,
}

impl Log {
    /// Starts the thread, and lets it write what is traced, too.
    pub(crate) fn start() -> Self {
        let (lines, written) = tracing_appender::non_blocking(io::stderr());
        let traced = fmt::layer()
            .with_writer(lines.clone())
            .with_ansi(io::stderr().is_terminal());
        let filter = Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("mcp_auth", LevelFilter::INFO)
            // It warns of what clients do, who may do it as often as they like.
            .with_target("h2", LevelFilter::ERROR)
            // Of a cluster that lacks a node it warns with every request; what matters, we tell.
            .with_target("redis", LevelFilter::OFF);
        tracing_subscriber::registry()
            .with(traced)
            .with(filter)
            .init();
        Self {
            lines,
            _written: written,
        }
    }

    /// Writes a line.
    pub(crate) fn say(&self, line: impl Display) {
        // Where nobody reads, there is nobody to tell.
        let _ = (self.lines.clone()).write_all(format!("{line}\n").as_bytes());
    }
}
