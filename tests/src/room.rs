//! A room: a network, a server that feeds it, and machines on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::messages::operator::{MachineList, RunDetail, RunList, RunSummary};

use crate::base::{Base, SERVER};
use crate::command::run;
use crate::network::{Host, Network};
use crate::vm::{Machine, Running};

/// Who gives out addresses in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dhcp {
    /// The server itself.
    Server,
    /// Another server that knows nothing of booting (dnsmasq on 10.77.0.2);
    /// ours stands beside it.
    Proxy,
}

/// A room with its server.
pub struct Room {
    base: Base,
    folder: PathBuf,
    server: Host,
    process: Option<Child>,
    other: Option<Child>,
    network: Network,
}

const SERVER_MODE: &str = "[dhcp]\ninterface = \"eth0\"\nmode = \"server\"\nfirst = \"10.77.0.100\"\nlast = \"10.77.0.199\"\nnetmask = \"255.255.255.0\"\nlease_seconds = 3600\n";
const PROXY_MODE: &str = "[dhcp]\ninterface = \"eth0\"\nmode = \"proxy\"\n";

impl Room {
    /// Opens a room in `folder` and starts its server.
    ///
    /// # Errors
    /// The step that failed.
    pub fn open(base: &Base, folder: &Path, dhcp: Dhcp) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        fs::create_dir_all(folder)?;
        let state = folder.join("state");
        fs::create_dir_all(&state)?;
        for file in fs::read_dir(&base.state)? {
            let file = file?;
            fs::copy(file.path(), state.join(file.file_name()))?;
        }
        let mode = if dhcp == Dhcp::Proxy {
            PROXY_MODE
        } else {
            SERVER_MODE
        };
        fs::write(folder.join("mimeo.toml"), base.config(&state, mode))?;
        let mut network = Network::new()?;
        let server = network.host("srv", &format!("{SERVER}/24"))?;
        let mut room = Self {
            base: base.clone(),
            folder: folder.to_owned(),
            server,
            process: None,
            other: None,
            network,
        };
        if dhcp != Dhcp::Server {
            room.other = Some(room.dnsmasq()?);
        }
        room.start_server()?;
        Ok(room)
    }

    fn dnsmasq(&mut self) -> Result<Child> {
        let host = self.network.host("dhcp", "10.77.0.2/24")?;
        let mut dnsmasq = host.command("dnsmasq");
        dnsmasq.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--no-ping",
        ]);
        dnsmasq.args([
            "--interface=eth0",
            "--dhcp-range=10.77.0.10,10.77.0.90,255.255.255.0,1h",
        ]);
        dnsmasq
            .arg("--dhcp-authoritative")
            .arg("--leasefile-ro")
            .arg("--user=root");
        dnsmasq
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.join("dnsmasq.log"))?);
        dnsmasq.spawn().context("starting the other DHCP server")
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When it does not within half a minute.
    pub fn start_server(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))?;
        let mut serve = self
            .server
            .command(&self.base.programs.mimeo.to_string_lossy());
        serve.arg("serve").arg("--config").arg(self.config());
        serve.stdout(log.try_clone()?).stderr(log);
        self.process = Some(serve.spawn().context("starting the server")?);
        let begun = Instant::now();
        while let Err(error) = self.mimeo(&["machine", "list"]) {
            if begun.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                return Err(error.context(format!("the server does not answer; its log:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Ends the server at once, as a crash would.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill_server(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().context("ending the server")?;
            process.wait().context("waiting for the server's end")?;
        }
        Ok(())
    }

    /// Peak resident memory of the server in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn server_memory(&self) -> Result<u64> {
        let id = self
            .process
            .as_ref()
            .context("the server does not run")?
            .id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.context("no peak memory in the process's status")? * 1024)
    }

    /// Runs the operator's program on the server; adds where the server is.
    ///
    /// # Errors
    /// What it said when it failed.
    pub fn mimeo(&self, words: &[&str]) -> Result<String> {
        run(self.command(words).arg("--config").arg(self.config()))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self
            .server
            .command(&self.base.programs.mimeo.to_string_lossy());
        command.args(words);
        command
    }

    fn config(&self) -> PathBuf {
        self.folder.join("mimeo.toml")
    }

    /// Switches a machine on.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn switch_on(&self, machine: &Machine) -> Result<Running> {
        machine.start(&self.network, &self.folder)
    }

    /// Machines the server knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn machines(&self) -> Result<MachineList> {
        Ok(serde_json::from_str(
            &self.mimeo(&["machine", "list", "--json"])?,
        )?)
    }

    /// The latest run of the machine named `name`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn run_of(&self, name: &str) -> Result<Option<RunSummary>> {
        let list: RunList = serde_json::from_str(&self.mimeo(&["run", "list", "--json"])?)?;
        Ok(list.runs.into_iter().rev().find(|run| run.name == name))
    }

    /// A run with its events.
    ///
    /// # Errors
    /// When the server does not answer or does not know it.
    pub fn run_detail(&self, run: &str) -> Result<RunDetail> {
        Ok(serde_json::from_str(
            &self.mimeo(&["run", "show", run, "--json"])?,
        )?)
    }

    /// Waits until the machine's run has the wanted state (`succeeded`,
    /// `failed`, or the prefix of one).
    ///
    /// # Errors
    /// After `limit`, or when the run ended otherwise.
    pub fn wait_for_run(&self, name: &str, wanted: &str, limit: Duration) -> Result<RunSummary> {
        let begun = Instant::now();
        loop {
            let run = self.run_of(name)?;
            match run {
                Some(run) if run.state.starts_with(wanted) => return Ok(run),
                Some(run) if run.state != "running" => bail!("{name}'s run ended: {}", run.state),
                _ if begun.elapsed() > limit => {
                    bail!("{name}'s run is not {wanted} after {limit:?}: {run:?}")
                }
                _ => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    /// The folder with the room's logs, screens and disks.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has said so far.
    pub fn server_log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for process in [self.process.take(), self.other.take()]
            .iter_mut()
            .flatten()
        {
            // They may have ended by themselves; either way they are gone afterwards.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
