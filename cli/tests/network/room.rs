//! A server with TLS on loopback and nothing else, and a builder's machine.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use image_format::DirStore;

use crate::wire::Wire;

/// Longer than anything here takes, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(300);

/// The server may be killed and started again; both ports stay.
pub(crate) struct Room {
    folder: tempfile::TempDir,
    process: Option<Child>,
    pub(crate) wire: Wire,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits for something; says what when it does not come.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Room {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (https, http) = (free_port(), free_port());
        let config = format!(
            "[server]\naddress = \"127.0.0.1\"\nhttps_port = {https}\nhttp_port = {http}\n\
             state = \"state\"\nshare = \"share\"\nboot = \"boot\"\n"
        );
        fs::write(folder.path().join("mimeo.toml"), config).unwrap();
        DirStore::init(&folder.path().join("share")).unwrap();
        let mut room = Self {
            folder,
            process: None,
            wire: Wire::to(https),
        };
        room.start();
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The share as this builder names it.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/main", self.wire.port())
    }

    pub(crate) fn start(&mut self) {
        let mut log = File::options();
        let log = log.create(true).append(true);
        let log = log.open(self.path("server.log")).unwrap();
        let mut serve = self.command(&["serve", "--config"]);
        serve.arg(self.path("mimeo.toml")).stdin(Stdio::null());
        serve.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(serve.spawn().unwrap());
        let config = self.path("mimeo.toml");
        wait_for("the server's answer", || {
            let mut list = self.command(&["share", "token", "list", "--config"]);
            list.arg(&config).output().unwrap().status.success()
        });
    }

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo"));
        command.args(words);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command.env_remove("MIMEO_SERVER_KEY");
        command.env_remove("MIMEO_TOKEN_FILE");
        command
    }

    /// A command with the share of the server.
    pub(crate) fn remote(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.arg("--share").arg(self.url());
        command
    }

    pub(crate) fn says(&self, words: &[&str]) -> String {
        text(words, self.remote(words).output().unwrap())
    }

    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let text = self.says(&[words, &["--json"]].concat());
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(&text)
            .or_else(|_| serde_json::from_str(last))
            .unwrap()
    }

    pub(crate) fn refuses(&self, words: &[&str]) -> String {
        let output = self.remote(words).output().unwrap();
        assert!(!output.status.success(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Makes a token, and logs this builder in with it.
    pub(crate) fn log_in(&self, label: &str, names: &str) {
        let words = ["share", "token", "new", label, "--names", names, "--config"];
        let mut make = self.command(&words);
        let token = text(&words, make.arg(self.path("mimeo.toml")).output().unwrap());
        fs::write(self.path("token"), token).unwrap();
        let config = server::Config::load(&self.path("mimeo.toml")).unwrap();
        let key = server::public_key(&config).unwrap().to_string();
        let url = self.url();
        let words = ["share", "login", &url, "--key", &key, "--token"];
        let mut log_in = self.command(&words);
        text(&words, log_in.arg(self.path("token")).output().unwrap());
    }

    /// Bytes of all packs on the server.
    pub(crate) fn packed(&self) -> u64 {
        files(&self.path("share/packs"))
            .iter()
            .map(|path| fs::metadata(path).map_or(0, |file| file.len()))
            .sum()
    }

    pub(crate) fn index_segments(&self) -> usize {
        files(&self.path("share/index")).len()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What a command said, which must have succeeded.
pub(crate) fn text(words: &[&str], output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

/// Writes a file that does not compress.
pub(crate) fn noise(path: &Path, seed: u64, length: usize) {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
