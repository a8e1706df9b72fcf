//! Standard error, for which nobody waits: it may be a pipe that nobody reads any more.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How many lines may wait to be written. One that finds no place is lost, and counted.
const WAITING: usize = 1024;
/// How long the last line may take to be written.
const LAST: Duration = Duration::from_millis(500);

/// Hands lines to a thread that writes them: a thread that serves requests or hears signals must not
/// hang at a write.
#[derive(Clone)]
pub(crate) struct Log {
    parts: SyncSender<Part>,
    lost: Arc<AtomicU64>,
}

enum Part {
    Line(Vec<u8>),
    /// All before it is written.
    End(Sender<()>),
}

impl Log {
    /// Starts the thread, and lets it write what is traced, too.
    pub(crate) fn start() -> Self {
        let (parts, to_write) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let losses = Arc::clone(&lost);
        let write = move || {
            // Where nobody reads, there is nobody to tell.
            for part in to_write {
                match part {
                    Part::Line(line) => drop(io::stderr().write_all(&line)),
                    Part::End(written) => drop(written.send(())),
                }
                let lost = losses.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(io::stderr(), "lines that are not in this log: {lost}");
                }
            }
        };
        // Without a thread nothing is said.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(write);
        let log = Self { parts, lost };
        let writer = log.clone();
        let lines = fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(io::stderr().is_terminal());
        let filter = Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("mcp_auth", LevelFilter::INFO);
        tracing_subscriber::registry()
            .with(lines)
            .with(filter)
            .init();
        log
    }

    /// Writes a line.
    pub(crate) fn say(&self, line: impl Display) {
        self.take(format!("{line}\n").into());
    }

    fn take(&self, line: Vec<u8>) {
        if self.parts.try_send(Part::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written, and not for long.
    pub(crate) fn end(&self) {
        let (written, all) = channel();
        if self.parts.try_send(Part::End(written)).is_ok() {
            let _ = all.recv_timeout(LAST);
        }
    }
}

/// Takes one line at a time, as the tracing layer writes them.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
