//! Servers as processes, each on a core of its own choice, and the time that they were at work.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::world::{ISSUER, RESOURCE, World};

/// A server that ends when this is dropped.
pub struct Server {
    pub url: String,
    child: Child,
    files: Vec<PathBuf>,
}

/// The command, on one core.
pub fn on_core(core: usize, command: Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned
        .arg("--cpu-list")
        .arg(core.to_string())
        .arg(command.get_program())
        .args(command.get_args());
    pinned
}

impl Server {
    /// One of this program's own servers, and a token that it takes.
    pub fn of_job(job: &str, more: &[&str], core: usize) -> (Self, String) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["serve", job]).args(more);
        let mut child = on_core(core, command)
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it is");
        let (addr, token) = line
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| panic!("{job}: {line:?}"));
        let server = Self {
            url: format!("http://{addr}"),
            child,
            files: Vec::new(),
        };
        (server, token.to_owned())
    }

    /// The gateway before an upstream: policy, key map and a limit, as one runs it.
    pub fn gateway(
        binary: &Path,
        world: &World,
        upstream: &str,
        with_log: bool,
        core: usize,
    ) -> Self {
        let name = format!("mcp-auth-bench-{}-{with_log}", std::process::id());
        let at = |end: &str| std::env::temp_dir().join(format!("{name}.{end}"));
        let (policy, log) = (at("policy"), at("log"));
        let rules =
            r#"{"base":["read:data"],"tools":{"get_*":["read:data"],"put_*":["write:data"]}}"#;
        fs::write(&policy, rules).expect("a file");
        let mut command = Command::new(binary);
        command
            .args(["--listen", "127.0.0.1:0", "--upstream", upstream])
            .args(["--issuer", ISSUER, "--audience", RESOURCE])
            .args(["--jwks-uri", &world.issuer.jwks_uri()])
            .args(["--rate-limit", "1000000000/s"])
            .arg("--policy")
            .arg(&policy);
        if with_log {
            command.arg("--audit-log").arg(&log);
        }
        let mut child = on_core(core, command)
            .env(
                "MCP_PROXY_KEY_MAP",
                r#"{"alice": {"key": "internal-key-1", "scopes": ["read:data"]}}"#,
            )
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway was built");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        let url = loop {
            let start = said.len();
            let read = lines.read_line(&mut said).expect("it says where it is");
            assert!(read > 0, "the gateway did not start: {said}");
            if let Some(url) = said[start..].trim().strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // What else it says is nothing that somebody waits for.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self {
            url,
            child,
            files: vec![policy, log],
        }
    }

    /// How long its threads were on a core.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let spent = tasks.map(|task| {
            let mut line = String::new();
            let path = task.expect("a thread").path().join("schedstat");
            File::open(path)
                .and_then(|mut file| file.read_to_string(&mut line))
                .expect("the kernel counts");
            let first = line.split(' ').next().unwrap_or_default();
            first.parse::<u64>().expect("nanoseconds")
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}
