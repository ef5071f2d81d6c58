//! A network of its own: a bridge in one namespace, hosts in others.
//!
//! Nothing in it has a route to the outside, so nothing sent in it leaves.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::command::{run, sh};

/// A switch with machines and hosts on it; everything goes when it is dropped.
pub struct Network {
    id: String,
    namespaces: Vec<String>,
    taps: AtomicU32,
}

/// A host on the network, in a namespace of its own.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    /// The name of its one network interface.
    pub interface: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Network {
    /// Makes the bridge.
    ///
    /// # Errors
    /// When namespaces or bridges cannot be made here.
    pub fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("m{}x{number}", std::process::id());
        let room = format!("{id}-room");
        sh(&["ip", "netns", "add", &room])?;
        let network = Self {
            id,
            namespaces: vec![room.clone()],
            taps: AtomicU32::new(0),
        };
        let inside = ["-n", &room];
        let ip = |words: &[&str]| sh(&[&["ip"], &inside[..], words].concat());
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", "br0", "type", "bridge", "forward_delay", "0"])?;
        ip(&["link", "set", "br0", "up"])?;
        Ok(network)
    }

    /// Adds a host with this address (`10.77.0.1/24`).
    ///
    /// # Errors
    /// When the namespace or its cable cannot be made.
    pub fn host(&mut self, name: &str, address: &str) -> Result<Host> {
        let namespace = format!("{}-{name}", self.id);
        let cable = format!("v{}", self.namespaces.len());
        sh(&["ip", "netns", "add", &namespace])?;
        self.namespaces.push(namespace.clone());
        let room = self.room().to_owned();
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &namespace];
        sh(&[&["ip", "-n", &room, "link", "add", &cable], &peer[..]].concat())?;
        sh(&[
            "ip", "-n", &room, "link", "set", &cable, "master", "br0", "up",
        ])?;
        sh(&["ip", "-n", &namespace, "link", "set", "lo", "up"])?;
        sh(&[
            "ip", "-n", &namespace, "address", "add", address, "dev", "eth0",
        ])?;
        sh(&["ip", "-n", &namespace, "link", "set", "eth0", "up"])?;
        Ok(Host {
            namespace,
            interface: "eth0".to_owned(),
        })
    }

    /// Adds a socket for a machine; returns the tap's name.
    ///
    /// # Errors
    /// When the tap cannot be made.
    pub fn tap(&self) -> Result<String> {
        let name = format!("tap{}", self.taps.fetch_add(1, Ordering::Relaxed));
        sh(&[
            "ip",
            "-n",
            self.room(),
            "tuntap",
            "add",
            "dev",
            &name,
            "mode",
            "tap",
        ])?;
        sh(&[
            "ip",
            "-n",
            self.room(),
            "link",
            "set",
            &name,
            "master",
            "br0",
            "up",
        ])?;
        Ok(name)
    }

    /// A command that runs where the taps are.
    pub fn in_room(&self, program: &str) -> Command {
        in_namespace(self.room(), program)
    }

    fn room(&self) -> &str {
        &self.namespaces[0]
    }
}

impl Host {
    /// A command that runs on this host.
    pub fn command(&self, program: &str) -> Command {
        in_namespace(&self.namespace, program)
    }

    /// Pulls the network cable, or plugs it in again.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn plugged(&self, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        sh(&["ip", "-n", &self.namespace, "link", "set", "eth0", state])?;
        Ok(())
    }
}

fn in_namespace(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace, program])
        .stdin(std::process::Stdio::null());
    command
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.namespaces.iter().rev() {
            let mut delete = Command::new("ip");
            // Nobody is left to tell: what cannot be deleted is listed by `ip netns`.
            let _ = run(delete.args(["netns", "delete", namespace]));
        }
    }
}
