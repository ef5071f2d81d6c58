//! The tree of a deployment: groups, and steps at its leaves.

use serde::{Deserialize, Serialize};

/// Where a step can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// In the boot environment, with the target's disk free to write.
    BootEnvironment,
    /// In the installed system.
    Installed,
}

/// What a step does. Data only: doing it is the agent's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Choose the disk, plan, apply the assigned image, read it back.
    ApplyImage,
    /// Choose the disk and capture it into the share; it is only read.
    CaptureImage,
    /// Make the firmware start the disk next.
    BootEntry,
    /// Restart into the installed system.
    Restart,
    /// Tell the server which operating system runs here now, from which disk.
    ReportSystem,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name, unique in its sequence; events refer to it.
    pub name: String,
    /// Where it runs.
    pub phase: Phase,
    /// What it does.
    pub action: Action,
}

/// A group or a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// Steps and groups under one name, in order.
    Group {
        /// For people.
        name: String,
        /// What it holds.
        children: Vec<Node>,
    },
    /// A leaf.
    Step(Step),
}

/// A whole task sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its name in the share.
    pub name: String,
    /// Counts up with every change.
    pub version: u32,
    /// Top level, in order.
    pub nodes: Vec<Node>,
}

impl Sequence {
    /// The sequence for a machine that gets an image and nothing else.
    pub fn image_only() -> Self {
        Self {
            name: "image-only".to_owned(),
            version: 1,
            nodes: vec![
                group(
                    "Install",
                    vec![
                        step("apply-image", Phase::BootEnvironment, Action::ApplyImage),
                        step("boot-entry", Phase::BootEnvironment, Action::BootEntry),
                        step("restart", Phase::BootEnvironment, Action::Restart),
                    ],
                ),
                group(
                    "Verify",
                    vec![step(
                        "report-system",
                        Phase::Installed,
                        Action::ReportSystem,
                    )],
                ),
            ],
        }
    }

    /// The sequence for a machine whose disk is captured. No step of it writes
    /// to a disk or to the firmware's memory.
    pub fn capture_only() -> Self {
        let here = Phase::BootEnvironment;
        Self {
            name: "capture-only".to_owned(),
            version: 1,
            nodes: vec![group(
                "Capture",
                vec![
                    step("capture-image", here, Action::CaptureImage),
                    step("restart", here, Action::Restart),
                ],
            )],
        }
    }

    /// Every step in the order it runs.
    pub fn steps(&self) -> Vec<&Step> {
        fn collect<'a>(nodes: &'a [Node], steps: &mut Vec<&'a Step>) {
            for node in nodes {
                match node {
                    Node::Group { children, .. } => collect(children, steps),
                    Node::Step(step) => steps.push(step),
                }
            }
        }
        let mut steps = Vec::new();
        collect(&self.nodes, &mut steps);
        steps
    }
}

fn step(name: &str, phase: Phase, action: Action) -> Node {
    Node::Step(Step {
        name: name.to_owned(),
        phase,
        action,
    })
}

fn group(name: &str, children: Vec<Node>) -> Node {
    Node::Group {
        name: name.to_owned(),
        children,
    }
}
