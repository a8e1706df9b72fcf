//! Events as JSON lines.

use std::{
    fmt,
    io::Write,
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    audit::{AuditEvent, AuditSink, lines::Lines, queue::Queue},
    error::ConfigError,
};

/// So many events wait at most.
const CAPACITY: usize = 8192;
/// So many are written at once.
const BATCH: usize = 1024;
/// So long an event waits for others to be written with.
const GATHER: Duration = Duration::from_millis(100);
/// So long a dropped sink waits for its last lines.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// Writes each event as a line of JSON. Clones share the writer.
///
/// A request only puts its event into a queue; a thread of its own writes, in batches, and flushes
/// within 200 ms. At most 8192 events wait. When the writer cannot keep up, requests go on: events
/// of allowed requests are dropped first, the oldest of them first, then new ones of any kind.
/// [`dropped`](Self::dropped) counts what is not in the log. That events begin to be dropped is
/// logged at once, also while the writer hangs, and again only after it has caught up. An error of
/// the writer is logged once, until writing works again, and the batch that met it is not written
/// again; a line that was torn by it ends before the next one begins.
///
/// When the last clone is dropped, it waits up to 5 seconds for what is left to be written, unless
/// a [`flush`](Self::flush) has waited for that in vain. Call it first where you want to know, or
/// where the thread must not wait.
///
/// ```
/// use std::{fs::File, time::Duration};
/// use mcp_auth::{AuditSink, JsonLinesSink};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("audit.jsonl");
/// let file = File::options().append(true).create(true).open(&path)?;
/// let sink = JsonLinesSink::new(file)?;
/// let for_the_layer: Box<dyn AuditSink> = Box::new(sink.clone());
/// // … and at shutdown:
/// assert!(sink.flush(Duration::from_secs(5)));
/// assert_eq!(sink.dropped(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JsonLinesSink {
    handle: Arc<Handle>,
}

impl JsonLinesSink {
    /// A sink that writes to a file, a pipe or whatever takes bytes. It needs no buffer in front.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the system gives no thread.
    pub fn new(writer: impl Write + Send + 'static) -> Result<Self, ConfigError> {
        let shared = Arc::new(Shared::default());
        let lines = Lines::new(writer);
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("mcp-auth-audit".to_owned())
            .spawn(move || {
                let _end = End(&thread);
                thread.write_all(lines);
            })
            .map_err(|error| ConfigError::new(format!("the audit log has no thread: {error}")))?;
        Ok(Self {
            handle: Arc::new(Handle(shared)),
        })
    }

    /// Waits until nothing that was recorded before waits any more, or `timeout` is over. Gives
    /// whether it was in time. What was lost does not wait: only where [`dropped`](Self::dropped) is
    /// zero as well is everything in the log. It blocks: in an async program call it from a thread
    /// that may.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.handle.0.flush(timeout)
    }

    /// How many events are not in the log: dropped because too many waited, or because the writer
    /// failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.handle.0.dropped.load(Ordering::Relaxed)
    }

    /// How many events wait to be written, those in the hands of the writer included.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let state = self.handle.0.state();
        (state.queue.len() + state.in_hand) as u64
    }
}

impl fmt::Debug for JsonLinesSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLinesSink")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl AuditSink for JsonLinesSink {
    fn record(&self, event: AuditEvent) {
        self.handle.0.record(event);
    }
}

/// What the clones of the sink hold, and the thread does not: when it goes, the thread ends.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        let may_wait = !state.waited_in_vain;
        drop(state);
        self.0.to_write.notify_all();
        if may_wait {
            self.0.flush(LAST_FLUSH);
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    to_write: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

struct State {
    queue: Queue,
    /// How many the writer is at.
    in_hand: usize,
    /// All events with a lower number are written or dropped.
    settled: u64,
    /// The queue is full, or was, and is not empty since.
    is_losing: bool,
    /// How many wait for a flush.
    flushing: usize,
    /// A flush had to give up, and what it waited for is not all written since.
    waited_in_vain: bool,
    closed: bool,
    ended: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            queue: Queue::new(CAPACITY),
            in_hand: 0,
            settled: 0,
            is_losing: false,
            flushing: 0,
            waited_in_vain: false,
            closed: false,
            ended: false,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: AuditEvent) {
        let mut state = self.state();
        let was_empty = state.queue.is_empty();
        let lost = state.queue.push(event);
        let begins_to_lose = lost.is_some() && !mem::replace(&mut state.is_losing, true);
        // The thread wakes for the first of a batch, and when a batch is full.
        let wake = was_empty || state.queue.len() == BATCH;
        drop(state);
        if wake {
            self.to_write.notify_one();
        }
        if lost.is_some() {
            // A lost event is freed here, when nobody waits for the lock.
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if begins_to_lose {
            warn_of_loss();
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        let mut state = self.state();
        let target = state.queue.next_number();
        state.flushing += 1;
        self.to_write.notify_all();
        let (mut state, _) = self
            .written
            .wait_timeout_while(state, timeout, |state| {
                state.settled < target && !state.ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.flushing -= 1;
        let is_settled = state.settled >= target;
        state.waited_in_vain = !is_settled;
        is_settled
    }

    /// The thread: until the sink is closed and everything is written.
    fn write_all<W: Write>(&self, mut lines: Lines<W>) {
        let mut warned_at = 1;
        while let Some(batch) = self.next_batch() {
            let lost = lines.write(&batch);
            let dropped = self.dropped.fetch_add(lost, Ordering::Relaxed) + lost;
            // Said at the first one, then each time that twice as many are lost.
            if dropped >= warned_at {
                tracing::error!(dropped, "audit events are lost");
                warned_at = dropped.saturating_mul(2);
            }
            let mut state = self.state();
            state.in_hand = 0;
            state.settled = state.queue.first_number();
            if state.queue.is_empty() {
                state.waited_in_vain = false;
                state.is_losing = false;
            }
            drop(state);
            self.written.notify_all();
        }
    }

    fn next_batch(&self) -> Option<Vec<AuditEvent>> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
        let state = self.to_write.wait_while(self.state(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.queue.is_empty() {
            return None;
        }
        let gathering =
            |state: &mut State| state.queue.len() < BATCH && state.flushing == 0 && !state.closed;
        let state = self.to_write.wait_timeout_while(state, GATHER, gathering);
        let (mut state, _) = state.unwrap_or_else(PoisonError::into_inner);
        let batch = state.queue.take(BATCH);
        state.in_hand = batch.len();
        Some(batch)
    }
}

/// Says so from a thread of its own: the one that writes may hang, and no request waits for a line
/// that may hang on the same pipe.
fn warn_of_loss() {
    let warn = || tracing::error!("the audit log does not keep up: events are lost");
    // Without a thread nothing is said; what is lost is counted all the same.
    let _ = thread::Builder::new()
        .name("mcp-auth-loss".to_owned())
        .spawn(warn);
}

/// Says that the thread is gone, also where the writer made it panic.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.written.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::{
        io,
        sync::mpsc::{Receiver, Sender, channel},
        time::Instant,
    };

    use super::*;
    use crate::audit::{AuditDecision, event::tests::event};

    const LONG: Duration = Duration::from_secs(20);

    /// Keeps what is written; may wait for a permit before each write, and fail as told.
    #[derive(Clone, Default)]
    struct Paper {
        text: Arc<Mutex<Vec<u8>>>,
        gate: Option<Arc<Mutex<Receiver<()>>>>,
        /// For each write to come: how many bytes it takes, or that it fails.
        script: Arc<Mutex<Vec<Option<usize>>>>,
    }

    impl Paper {
        fn gated() -> (Self, Sender<()>) {
            let (permit, gate) = channel();
            let paper = Self {
                gate: Some(Arc::new(Mutex::new(gate))),
                ..Self::default()
            };
            (paper, permit)
        }

        fn users(&self) -> Vec<String> {
            let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
            let user = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
                Ok(event) => event["user"].as_str().unwrap_or_default().to_owned(),
                Err(_) => "(torn)".to_owned(),
            };
            text.lines().map(user).collect()
        }
    }

    impl Write for Paper {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if let Some(gate) = &self.gate {
                let _ = gate.lock().unwrap().recv_timeout(LONG);
            }
            let mut script = self.script.lock().unwrap();
            let n = if script.is_empty() {
                text.len()
            } else {
                script.remove(0).ok_or(io::ErrorKind::StorageFull)?
            };
            self.text.lock().unwrap().extend_from_slice(&text[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn allow(sink: &JsonLinesSink, user: &str) {
        sink.record(event(AuditDecision::Allow, user));
    }

    #[test]
    fn lines_are_written_soon_and_in_their_order() {
        let paper = Paper::default();
        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        allow(&sink, "one");
        sink.record(event(AuditDecision::Deny, "two"));
        let since = Instant::now();
        allow(&sink, "three");
        while paper.users().len() < 3 && since.elapsed() < LONG {
            thread::yield_now();
        }
        assert!(since.elapsed() < Duration::from_millis(500));
        assert_eq!(paper.users(), ["one", "two", "three"]);
    }

    #[test]
    fn a_flush_does_not_wait_for_a_batch() {
        let paper = Paper::default();
        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        assert!(sink.flush(LONG));
        for i in 0..3000 {
            allow(&sink, &i.to_string());
        }
        assert!(sink.flush(LONG));
        assert_eq!(paper.users().len(), 3000);
    }

    #[test]
    fn the_last_clone_waits_for_what_is_left_to_be_written() {
        let (paper, permit) = Paper::gated();
        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        let clone = sink.clone();
        drop(sink);
        allow(&clone, "last");
        let slowly = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            permit.send(()).unwrap();
        });
        drop(clone);
        assert_eq!(paper.users(), ["last"]);
        slowly.join().unwrap();
    }

    #[test]
    fn a_writer_that_hangs_holds_up_nobody_and_denials_are_lost_last() {
        let (paper, permit) = Paper::gated();
        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        allow(&sink, "in the writer's hands");
        assert!(!sink.flush(Duration::from_millis(1)));
        while !sink.handle.0.state().queue.is_empty() {
            thread::yield_now();
        }
        for _ in 0..CAPACITY - 2 {
            sink.record(event(AuditDecision::Deny, "denied"));
        }
        for user in ["oldest", "older", "newest"] {
            allow(&sink, user);
        }
        assert_eq!(sink.dropped(), 1);
        sink.record(event(AuditDecision::Error, "failed"));
        assert_eq!(sink.dropped(), 2);
        assert_eq!(sink.waiting(), 1 + CAPACITY as u64);
        permit.send(()).unwrap();
        drop(permit);
        assert!(sink.flush(LONG));
        let users = paper.users();
        assert_eq!(users.len(), 1 + CAPACITY);
        assert_eq!(users[users.len() - 2..], ["newest", "failed"]);
        assert_eq!((sink.dropped(), sink.waiting()), (2, 0));
    }

    #[test]
    fn who_waited_in_vain_does_not_wait_again() {
        let (paper, permit) = Paper::gated();
        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        allow(&sink, "late");
        assert!(!sink.flush(Duration::from_millis(1)));
        let since = Instant::now();
        drop(sink.clone());
        drop(sink);
        assert!(since.elapsed() < Duration::from_secs(4));
        // The thread goes on where it is let.
        permit.send(()).unwrap();
        while paper.users().is_empty() && since.elapsed() < LONG {
            thread::yield_now();
        }
        assert_eq!(paper.users(), ["late"]);
    }

    #[test]
    fn a_writer_that_fails_loses_its_batch_and_no_later_one() {
        let paper = Paper::default();
        // A whole line and seven bytes of the next; then no space is left.
        let line = event(AuditDecision::Allow, "one").to_json().len() + 1;
        *paper.script.lock().unwrap() = vec![Some(line + 7), None];
        let mut lines = Lines::new(paper.clone());
        let batch = ["one", "two", "six"].map(|user| event(AuditDecision::Allow, user));
        assert_eq!(lines.write(&batch), 2);
        *paper.script.lock().unwrap() = vec![None];
        assert_eq!(lines.write(&batch[..1]), 1);
        assert_eq!(lines.write(&batch[2..]), 0);
        assert_eq!(paper.users(), ["one", "(torn)", "six"]);

        // All but the last newline: the next line begins with it, and nothing of the event is missing.
        *paper.script.lock().unwrap() = vec![Some(line - 1), None];
        assert_eq!(lines.write(&batch[..1]), 0);
        assert_eq!(lines.write(&batch[1..2]), 0);
        assert_eq!(paper.users()[3..], ["one", "two"]);

        let sink = JsonLinesSink::new(paper.clone()).unwrap();
        *paper.script.lock().unwrap() = vec![None];
        allow(&sink, "lost");
        assert!(sink.flush(LONG));
        assert_eq!(sink.dropped(), 1);
    }

    #[test]
    fn a_writer_that_panics_holds_up_nobody() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                std::panic::resume_unwind(Box::new("broken"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = JsonLinesSink::new(Broken).unwrap();
        allow(&sink, "lost");
        assert!(!sink.flush(LONG));
        allow(&sink, "lost too");
        let since = Instant::now();
        drop(sink);
        assert!(since.elapsed() < Duration::from_secs(4));
    }
}
