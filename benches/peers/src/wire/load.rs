//! The load: wrk, with one request again and again.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::process::on_core;
use crate::world::{CALL, headers};

/// What one run did.
pub struct Done {
    pub requests: u64,
    pub seconds: f64,
}

/// Asks once with this token, and gives the head and the body of the answer.
pub fn ask(url: &str, token: &str) -> String {
    let mut request = String::from("POST /mcp HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in &headers(token) {
        let value = value.to_str().expect("text");
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("\r\n{CALL}"));
    let mut answer = String::new();
    let addr = url.trim_start_matches("http://");
    TcpStream::connect(addr)
        .and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        })
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    answer
}

/// Each asks again at once. At full speed the slower of two servers pays for a little more than its own
/// work: it finds the client asleep and wakes it, the quicker one keeps it awake. At one rate for all,
/// below what they can do, the quicker one pays for its own sleep instead, and looks dearer than it is.
const CONNECTIONS: usize = 32;

/// The request, as a script of wrk.
pub struct Load {
    url: String,
    script: PathBuf,
}

impl Load {
    pub fn new(url: &str, token: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut script = format!("wrk.method = \"POST\"\nwrk.body = [==[{CALL}]==]\n");
        for (name, value) in &headers(token) {
            // These two wrk writes by itself where it does not find them under the names it knows.
            let name = match name.as_str() {
                "host" => "Host",
                "content-length" => continue,
                other => other,
            };
            let value = value.to_str().expect("text");
            script.push_str(&format!("wrk.headers[\"{name}\"] = [==[{value}]==]\n"));
        }
        let name = format!(
            "mcp-auth-load-{}-{}.lua",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::write(&path, script).expect("a script");
        Self {
            url: format!("{url}/mcp"),
            script: path,
        }
    }

    /// Loads the server for so long. Every answer must be a good one.
    pub fn run(&self, takes: Duration, core: usize) -> Done {
        let output = on_core(core, Command::new("wrk"))
            .arg("--threads=1")
            .arg(format!("--connections={CONNECTIONS}"))
            .arg(format!("--duration={}s", takes.as_secs()))
            .arg(format!("--script={}", self.script.display()))
            .arg(&self.url)
            .output()
            .expect("wrk runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let is_well =
            output.status.success() && !said.contains("Non-2xx") && !said.contains("Socket errors");
        assert!(is_well, "{}: {said}", self.url);
        // "  352104 requests in 3.10s, 50.03MB read"
        let line = said
            .lines()
            .find(|line| line.contains(" requests in "))
            .expect("the sum");
        let words: Vec<_> = line.split_whitespace().collect();
        Done {
            requests: words[0].parse().expect("a number"),
            seconds: words[3]
                .trim_end_matches("s,")
                .parse()
                .expect("seconds below a minute"),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.script);
    }
}
