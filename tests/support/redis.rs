//! Redis servers, each a process of its own on loopback, with a folder of its own.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::PATIENCE;

/// A port that nobody listens on, below those that a cluster's bus would not reach.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server that runs, and is killed with the test.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    dir: TempDir,
    program: &'static str,
    settings: Vec<String>,
    /// How `redis-cli` reaches it, beside the port.
    login: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// A master without any setting.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with settings: `&["--appendonly", "yes"]`.
    pub fn with(settings: &[&str]) -> Self {
        Self::prepared("redis-server", free_port(), &[], settings, &[])
    }

    /// A server whose files and login are prepared by the test. `%` in a setting is its folder.
    pub fn prepared(
        program: &'static str,
        port: u16,
        files: &[(&str, &str)],
        settings: &[&str],
        login: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let in_dir = |text: &&str| text.replace('%', dir.path().to_str().unwrap());
        let mut server = Self {
            port,
            program,
            settings: settings.iter().map(in_dir).collect(),
            login: login.iter().map(in_dir).collect(),
            dir,
            process: None,
        };
        server.run();
        server
    }

    /// Starts it, on the port and with the files it had.
    pub fn run(&mut self) {
        self.spawn();
        self.wait_until_it_answers();
    }

    /// Starts it, and does not wait until it answers.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new(self.program);
        if self.program == "redis-sentinel" {
            command.args(&self.settings);
        } else {
            command
                .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--loglevel", "warning", "--dir"])
                .arg(self.dir.path())
                .args(&self.settings);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap_or_else(|error| panic!("{}: {error}", self.program)));
    }

    pub fn wait_until_it_answers(&self) {
        let start = Instant::now();
        while self.try_cli(["PING"]) != "PONG" {
            assert!(start.elapsed() < PATIENCE, "{} is not up", self.program);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What `redis-cli` prints, in one line.
    pub fn cli<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let answer = self.try_cli(words);
        assert!(
            !answer.contains("ERR") && !answer.contains("refused"),
            "{answer}"
        );
        answer
    }

    fn try_cli<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let words: Vec<S> = words.into_iter().collect();
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(&self.login)
            .args(words.iter().map(AsRef::as_ref))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("it does not run").id();
        let status = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Ends it. Its files stay.
    pub fn end(&mut self, signal: &str) {
        self.signal(signal);
        self.process.take().unwrap().wait().unwrap();
    }

    /// The URL of the server, without a login.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port where the nodes of its cluster reach it.
    pub fn bus(&self) -> String {
        let mut settings = self
            .settings
            .iter()
            .skip_while(|it| *it != "--cluster-port");
        settings.nth(1).unwrap().clone()
    }

    /// The folder of its files.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
