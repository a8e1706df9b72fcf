//! Reads a file while it grows.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, SystemTime},
};

use crate::{
    clock::Clock,
    error::ConfigError,
    revocation::{entries::Entries, line},
};

const EVERY: Duration = Duration::from_millis(250);
const MAX_LINE: usize = 16 * 1024;
/// How much of what was read last is compared, to see that a file still is what it was.
const MAX_TAIL: usize = 64;
/// So many wrong lines are told of one by one, each time that the file is read.
const TOLD: u64 = 20;

/// Keeps the thread alive: it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    _alive: Sender<()>,
}

/// Reads what the file holds, then follows it from a thread.
pub(super) fn start(
    path: &Path,
    issuers: Vec<Arc<str>>,
    entries: Arc<Entries>,
    clock: Arc<dyn Clock>,
) -> Result<Follower, ConfigError> {
    let error = |what: &str| ConfigError::new(format!("the revocation file {path:?} {what}"));
    if issuers.is_empty() {
        return Err(error("is followed for no issuer"));
    }
    let open = open_or_create(path)
        .map_err(|cause| error(&format!("can be neither read nor created: {cause}")))?;
    let mut tail = Tail::new(path.to_owned(), open);
    let apply =
        move |number: u64, line: Option<&[u8]>, entries: &Entries, wrong: &mut Wrong<'_>| {
            let outcome = match line {
                Some(line) => line::apply(line, &issuers, clock.now(), entries),
                None => Err("longer than 16 KiB"),
            };
            if let Err(what) = outcome {
                wrong.tell(number, what);
            }
        };
    let mut wrong = Wrong { path, all: 0 };
    tail.read(|number, line| apply(number, line, &entries, &mut wrong))
        .map_err(|cause| error(&format!("cannot be read: {cause}")))?;
    drop(wrong);

    let (alive, ended) = mpsc::channel();
    let entries: Weak<Entries> = Arc::downgrade(&entries);
    let follow = move || {
        let mut failing = false;
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            let Some(entries) = entries.upgrade() else {
                return;
            };
            let path = tail.path.clone();
            let mut wrong = Wrong {
                path: &path,
                all: 0,
            };
            match tail.poll(|number, line| apply(number, line, &entries, &mut wrong)) {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!(file = ?path, "the revocation file is read again");
                }
                Ok(()) => {}
                Err(_) if failing => {}
                Err(cause) => {
                    failing = true;
                    tracing::error!(
                        file = ?path, %cause,
                        "the revocation file cannot be read; what was read from it stays in force"
                    );
                }
            }
        }
    };
    thread::Builder::new()
        .name("mcp-auth-revoked".to_owned())
        .spawn(follow)
        .map_err(|cause| error(&format!("cannot be followed: {cause}")))?;
    Ok(Follower { _alive: alive })
}

/// The lines of one reading that are no revocations.
struct Wrong<'a> {
    path: &'a Path,
    all: u64,
}

impl Wrong<'_> {
    fn tell(&mut self, line: u64, what: &str) {
        self.all = self.all.saturating_add(1);
        if self.all <= TOLD {
            let file = self.path;
            tracing::error!(?file, line, "a revocation is not in force: {what}");
        }
    }
}

impl Drop for Wrong<'_> {
    fn drop(&mut self) {
        if self.all > TOLD {
            let (file, lines) = (self.path, self.all);
            let what = "revocations are not in force; the first of them are above";
            tracing::error!(?file, lines, "{what}");
        }
    }
}

fn open_or_create(path: &Path) -> io::Result<File> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().append(true).create(true).open(path)?;
            open(path)
        }
        opened => opened,
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Asked first: to open a pipe would wait for its writer.
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// A file, how far it was read, and the line whose newline has not come.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    offset: u64,
    number: u64,
    line: Vec<u8>,
    /// How much of the line was handed over, where that was before its newline.
    handed: Option<usize>,
    /// The line is too long: what is left of it is passed over.
    is_long: bool,
    /// The last bytes before `offset`.
    last: Vec<u8>,
    /// When the file was written to, as it was before its end was found.
    modified: Option<SystemTime>,
}

impl Tail {
    const fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file,
            offset: 0,
            number: 0,
            line: Vec::new(),
            handed: None,
            is_long: false,
            last: Vec::new(),
            modified: None,
        }
    }

    /// Reads on, and notices that the file was cut, rewritten or replaced. Each whole line is handed
    /// over with its number, counted from 1; `None` for one that is too long. A last line that is an
    /// object is whole: its newline may never come.
    fn poll(&mut self, mut each: impl FnMut(u64, Option<&[u8]>)) -> io::Result<()> {
        if !self.is_what_it_was()? {
            self.file.rewind()?;
            let file = self.file.try_clone()?;
            *self = Self::new(std::mem::take(&mut self.path), file);
        }
        // First to the end of the old file: it may have grown before it was replaced.
        self.read(&mut each)?;
        let there = fs::metadata(&self.path)?;
        if !is_same(&there, &self.file.metadata()?) {
            let file = open(&self.path)?;
            *self = Self::new(std::mem::take(&mut self.path), file);
            self.read(&mut each)?;
        }
        Ok(())
    }

    fn is_what_it_was(&mut self) -> io::Result<bool> {
        let length = self.last.len();
        let there = self.file.metadata()?;
        let is_written = there.modified().ok() != self.modified;
        // Written to, and yet no longer: then it was rewritten, whatever its end says.
        if there.len() < self.offset || (there.len() == self.offset && is_written) {
            return Ok(false);
        }
        let start = self.offset.saturating_sub(length as u64);
        self.file.seek(SeekFrom::Start(start))?;
        let mut now = Vec::with_capacity(length);
        (&self.file).take(length as u64).read_to_end(&mut now)?;
        Ok(now == self.last)
    }

    fn read(&mut self, mut each: impl FnMut(u64, Option<&[u8]>)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut buffer = [0; 8 * 1024];
        loop {
            // As it was before the end was found: what is appended meanwhile is read and is no
            // rewriting, and what is written after it shows.
            let modified = self.file.metadata()?.modified().ok();
            let read = match self.file.read(&mut buffer) {
                Ok(0) => {
                    self.modified = modified;
                    break;
                }
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.offset = self.offset.saturating_add(read.len() as u64);
            self.last.extend_from_slice(read);
            self.last.drain(..self.last.len().saturating_sub(MAX_TAIL));
            for piece in read.split_inclusive(|&byte| byte == b'\n') {
                self.add(piece, &mut each);
            }
        }
        let text = self.line.trim_ascii_end();
        if self.handed != Some(text.len()) && line::is_object(text) {
            each(self.number.saturating_add(1), Some(text));
            self.handed = Some(text.len());
        }
        Ok(())
    }

    fn add(&mut self, piece: &[u8], each: &mut impl FnMut(u64, Option<&[u8]>)) {
        let (text, is_whole) = match piece {
            [text @ .., b'\n'] => (text, true),
            text => (text, false),
        };
        if self.line.len() + text.len() > MAX_LINE {
            self.is_long = true;
            self.line.clear();
        }
        if !self.is_long {
            self.line.extend_from_slice(text);
        }
        if is_whole {
            self.number = self.number.saturating_add(1);
            let text = self.line.trim_ascii_end();
            // What is in force without its newline gains nothing by it. Read again, a subject would
            // be revoked up to a later instant.
            if self.is_long {
                each(self.number, None);
            } else if self.handed != Some(text.len()) {
                each(self.number, Some(text));
            }
            self.line.clear();
            self.handed = None;
            self.is_long = false;
        }
    }
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere a file has no number: one of another length or time of creation is another.
#[cfg(not(unix))]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.len() == other.len() && one.created().ok() == other.created().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        tail: Tail,
    }

    impl Bench {
        fn new(text: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("revoked.jsonl");
            fs::write(&path, text).unwrap();
            let file = open(&path).unwrap();
            Self {
                dir,
                tail: Tail::new(path, file),
            }
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).open(&self.tail.path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn poll(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            self.tail
                .poll(|number, line| {
                    let line = line.map_or("(long)", |line| std::str::from_utf8(line).unwrap());
                    lines.push(format!("{number} {line}"));
                })
                .unwrap();
            lines
        }
    }

    #[test]
    fn a_line_waits_for_its_newline() {
        let mut bench = Bench::new("one\ntw");
        assert_eq!(bench.poll(), ["1 one"]);
        assert!(bench.poll().is_empty());
        bench.append("o");
        assert!(bench.poll().is_empty());
        bench.append("\n\nfour\n");
        assert_eq!(bench.poll(), ["2 two", "3 ", "4 four"]);
    }

    #[test]
    fn an_object_needs_no_newline_and_is_read_once() {
        let mut bench = Bench::new("one\n{\"jti\":\"x\"");
        assert_eq!(bench.poll(), ["1 one"]);
        bench.append("}");
        assert_eq!(bench.poll(), ["2 {\"jti\":\"x\"}"]);
        assert!(bench.poll().is_empty());
        bench.append("\r");
        assert!(bench.poll().is_empty());
        bench.append("\n{\"jti\":\"y\"}\n{}");
        assert_eq!(bench.poll(), ["3 {\"jti\":\"y\"}", "4 {}"]);
        // It went on, and is another line by now.
        bench.append(" {}");
        assert!(bench.poll().is_empty());
        bench.append("\n");
        assert_eq!(bench.poll(), ["4 {} {}"]);
    }

    #[test]
    fn a_long_line_is_passed_over_and_the_next_holds() {
        let fits = "x".repeat(MAX_LINE);
        let mut bench = Bench::new(&format!("{fits}\n{fits}x\nnext\n{fits}"));
        assert_eq!(
            bench.poll(),
            [format!("1 {fits}"), "2 (long)".into(), "3 next".into()]
        );
        bench.append(&fits);
        bench.append("\nlast\n");
        assert_eq!(bench.poll(), ["4 (long)", "5 last"]);
    }

    #[test]
    fn a_file_that_was_cut_is_read_anew() {
        let mut bench = Bench::new("one\ntwo\nhal");
        bench.poll();
        fs::write(&bench.tail.path, "new\n").unwrap();
        assert_eq!(bench.poll(), ["1 new"]);
    }

    #[test]
    fn a_file_that_was_rewritten_at_greater_length_is_read_anew() {
        let mut bench = Bench::new("one\n");
        bench.poll();
        fs::write(&bench.tail.path, "two\nthree\n").unwrap();
        assert_eq!(bench.poll(), ["1 two", "2 three"]);
        // The same text and more of it is growth.
        fs::write(&bench.tail.path, "two\nthree\nfour\n").unwrap();
        assert_eq!(bench.poll(), ["3 four"]);
    }

    #[test]
    fn a_file_that_was_rewritten_at_the_same_length_is_read_anew() {
        let lines = |first: &str| format!("{first}\n{}\n", "x".repeat(2 * MAX_TAIL));
        let mut bench = Bench::new(&lines("one"));
        bench.poll();
        let read = bench.tail.file.metadata().unwrap().modified().unwrap();
        fs::write(&bench.tail.path, lines("two")).unwrap();
        // Not every clock of a file system has moved on by now.
        let file = File::options().append(true).open(&bench.tail.path).unwrap();
        file.set_modified(read + Duration::from_secs(1)).unwrap();
        assert_eq!(bench.poll().first().unwrap(), "1 two");
        assert!(bench.poll().is_empty());
    }

    #[test]
    fn what_is_appended_while_the_file_is_read_is_read_once() {
        let mut bench = Bench::new("");
        bench.poll();
        bench.append("one\n");
        let path = bench.tail.path.clone();
        let mut lines = Vec::new();
        let append = |_, line: Option<&[u8]>| {
            lines.push(line.map(<[u8]>::to_vec).unwrap());
            if lines.len() == 1 {
                let mut file = File::options().append(true).open(&path).unwrap();
                file.write_all(b"two\n").unwrap();
                // Not every clock of a file system has moved on by now.
                let read = file.metadata().unwrap().modified().unwrap();
                file.set_modified(read + Duration::from_secs(1)).unwrap();
            }
        };
        bench.tail.poll(append).unwrap();
        assert_eq!(lines, [b"one", b"two"]);
        assert!(bench.poll().is_empty());
        bench.append("three\n");
        assert_eq!(bench.poll(), ["3 three"]);
    }

    #[test]
    fn a_file_that_was_replaced_is_read_to_its_end_and_then_the_new_one() {
        let mut bench = Bench::new("one\n");
        bench.poll();
        bench.append("late\n");
        fs::rename(&bench.tail.path, bench.dir.path().join("old")).unwrap();
        fs::write(&bench.tail.path, "one\nnew\n").unwrap();
        assert_eq!(bench.poll(), ["2 late", "1 one", "2 new"]);
        bench.append("more\n");
        assert_eq!(bench.poll(), ["3 more"]);
        // What is written last before a file is left may have no newline.
        bench.append("{}");
        fs::rename(&bench.tail.path, bench.dir.path().join("old")).unwrap();
        fs::write(&bench.tail.path, "").unwrap();
        assert_eq!(bench.poll(), ["4 {}"]);
    }

    #[test]
    fn a_file_that_is_gone_is_an_error_until_it_is_back() {
        let mut bench = Bench::new("one\n");
        bench.poll();
        fs::remove_file(&bench.tail.path).unwrap();
        assert!(bench.tail.poll(|_, _| ()).is_err());
        fs::write(&bench.tail.path, "back\n").unwrap();
        assert_eq!(bench.poll(), ["1 back"]);
    }

    #[test]
    fn the_thread_ends_with_the_follower() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
        let follower = start(
            &dir.path().join("revoked.jsonl"),
            vec!["https://i".into()],
            Arc::new(Entries::new()),
            Arc::clone(&clock),
        )
        .unwrap();
        // The thread holds the other one.
        assert_eq!(Arc::strong_count(&clock), 2);
        drop(follower);
        let start = std::time::Instant::now();
        while Arc::strong_count(&clock) > 1 && start.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert_eq!(Arc::strong_count(&clock), 1);
    }
}
