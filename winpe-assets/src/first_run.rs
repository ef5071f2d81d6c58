//! What makes the agent go on inside the installed system: text only. Who
//! lays it on the target is the caller's affair.

/// Where the unit lies in the installed system.
pub const UNIT_PATH: &str = "etc/systemd/system/mimeo-agent.service";

/// The link that starts it at boot.
pub const WANTS_PATH: &str = "etc/systemd/system/multi-user.target.wants/mimeo-agent.service";

/// Where that link points.
pub const WANTS_TARGET: &str = "/etc/systemd/system/mimeo-agent.service";

/// Where the program lies in the installed system.
pub const AGENT_PATH: &str = "usr/lib/mimeo/mimeo-agent";

/// The state of the run; the unit does nothing once it is gone.
pub const RUN_PATH: &str = "var/lib/mimeo/run/run.json";

/// The unit. `RuntimeDirectory` and hardening are left out on purpose: the
/// steps of a sequence install software and restart the machine.
pub const UNIT: &str = "\
[Unit]
Description=Finish the deployment of this machine
Documentation=man:mimeo(1)
Wants=network-online.target
After=network-online.target
ConditionPathExists=/var/lib/mimeo/run/run.json
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/lib/mimeo/mimeo-agent installed
Restart=on-failure
RestartSec=5
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_the_same_places_as_the_constants() {
        assert!(UNIT.contains(&format!("ExecStart=/{AGENT_PATH} installed\n")));
        assert!(UNIT.contains(&format!("ConditionPathExists=/{RUN_PATH}\n")));
        assert_eq!(WANTS_TARGET, format!("/{UNIT_PATH}"));
    }

    #[test]
    fn the_link_hangs_at_the_target_that_wants_the_unit() {
        assert!(UNIT.contains("WantedBy=multi-user.target"));
        assert!(WANTS_PATH.contains("/multi-user.target.wants/"));
    }
}
