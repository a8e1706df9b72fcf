//! The gateway as a process.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::SystemTime,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use super::soon;

/// The built example. Cargo puts it beside the tests, and builds it with them, save where only
/// some of them are asked for.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/gateway")
        .with_extension(std::env::consts::EXE_EXTENSION);
    let built = written(&path);
    assert!(
        built.is_some() && sources(&path).iter().all(|source| written(source) <= built),
        "{} is not up to date: run `cargo build --example gateway` first",
        path.display()
    );
    path
}

/// What the binary was built from: cargo says so beside it, in the words of a makefile.
fn sources(binary: &Path) -> Vec<PathBuf> {
    let rule = fs::read_to_string(binary.with_extension("d")).unwrap();
    let (_, sources) = rule.split_once(": ").unwrap();
    // A space inside a name has a backslash before it.
    let sources = sources.trim().replace("\\ ", "\0");
    sources
        .split(' ')
        .map(|source| source.replace('\0', " ").into())
        .collect()
}

/// When a file was last written; `None` where it is not there.
fn written(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|file| file.modified()).ok()
}

/// A command that starts the gateway, with nothing in the environment that it would read.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MCP_PROXY_") {
            command.env_remove(name);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the gateway to its end.
pub async fn run(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command();
    command.args(flags).envs(variables.iter().copied());
    soon(&format!("the end of {flags:?}"), command.output())
        .await
        .unwrap()
}

/// Asserts that the gateway refuses to start, in one line that names the flag.
pub async fn refused(flag: &str, flags: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(flags, variables).await;
    let said = String::from_utf8(output.stderr).unwrap();
    let case = format!("{flags:?} {variables:?}: {said}");
    assert_eq!(output.status.code(), Some(2), "{case}");
    assert_eq!(said.matches('\n').count(), 1, "{case}");
    assert!(said.ends_with('\n'), "{case}");
    assert!(said.contains(flag), "{flag} is not named: {case}");
    assert!(output.stdout.is_empty(), "{case}");
    said
}

/// A gateway that runs, and is killed with the test.
#[derive(Debug)]
pub struct Gateway {
    pub addr: SocketAddr,
    process: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Gateway {
    /// Starts it and waits until it serves. `--listen` is a free port.
    pub async fn start<'a>(
        flags: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut command = command();
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .envs(variables);
        Self::run(command).await
    }

    /// Starts a command and waits until it serves.
    pub async fn run(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let stdout = Lines::of(process.stdout.take().unwrap());
        let stderr = Lines::of(process.stderr.take().unwrap());
        let line = stderr.wait_for("listening on http://").await;
        let addr = line.trim_start_matches("listening on http://").parse();
        Self {
            addr: addr.unwrap_or_else(|_| panic!("no address: {line}")),
            process,
            stdout,
            stderr,
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Which process it is.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("the gateway has ended")
    }

    pub const fn stdout(&self) -> &Lines {
        &self.stdout
    }

    pub const fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Sends a signal, by its name without SIG.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid();
        let status = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status()
            .await;
        assert!(status.unwrap().success());
    }

    /// Waits until it ends.
    pub async fn ended(&mut self) -> ExitStatus {
        soon("the end of the gateway", self.process.wait())
            .await
            .unwrap()
    }
}

/// The lines that a process writes, as they come.
#[derive(Clone, Debug)]
pub struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    fn of(output: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (sender, receiver) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|lines: &mut Vec<String>| lines.push(line));
            }
        });
        Self(receiver)
    }

    /// The first line that starts like this.
    pub async fn wait_for(&self, start: &str) -> String {
        let mut lines = self.0.clone();
        let found = soon(
            start,
            lines.wait_for(|lines| lines.iter().any(|line| line.starts_with(start))),
        )
        .await
        .map(|lines| lines.clone());
        let lines = found.unwrap_or_else(|_| panic!("no {start}: {:?}", self.all()));
        lines
            .into_iter()
            .find(|line| line.starts_with(start))
            .unwrap()
    }

    /// All lines that came up to now.
    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}
