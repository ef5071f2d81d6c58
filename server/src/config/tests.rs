use super::*;

const LEAST: &str = "[server]\naddress = \"10.77.0.1\"\nshare = \"share\"\nboot = \"/srv/boot\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/mimeo/mimeo.toml"), text)
}

fn complaint(text: &str) -> String {
    let error = parse(text).unwrap_err();
    let source = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or_default();
    format!("{error}: {source}")
}

#[test]
fn three_keys_are_enough_and_relative_paths_start_at_the_file() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.server.share, Path::new("/etc/mimeo/share"));
    assert_eq!(config.server.boot, Path::new("/srv/boot"));
    assert_eq!(config.server.state, Path::new("/var/lib/mimeo"));
    assert_eq!(
        (config.server.https_port, config.server.http_port),
        (8443, 80)
    );
    assert_eq!(config.dhcp.mode, DhcpMode::Off);
    assert_eq!(config.address_range(), None);
}

#[test]
fn a_key_nobody_knows_is_named_with_its_line() {
    let text = complaint(&format!("{LEAST}sahre = \"x\"\n"));
    assert!(text.contains("/etc/mimeo/mimeo.toml"), "{text}");
    assert!(text.contains("line 5") && text.contains("sahre"), "{text}");
}

#[test]
fn a_dhcp_server_needs_its_range() {
    let server = format!("{LEAST}[dhcp]\ninterface = \"br0\"\nmode = \"server\"\n");
    assert!(complaint(&server).contains("dhcp.first"));
    let range = "first = \"10.77.0.100\"\nlast = \"10.77.0.200\"\n";
    assert!(complaint(&format!("{server}{range}")).contains("dhcp.netmask"));
    let mask = "netmask = \"255.255.255.0\"\n";
    let config = parse(&format!("{server}{range}{mask}")).unwrap();
    assert_eq!(config.address_range().unwrap().lease_seconds, 3600);
    let holes = complaint(&format!("{server}{range}netmask = \"255.0.255.0\"\n"));
    assert!(holes.contains("dhcp.netmask"), "{holes}");
    let wide = complaint(&format!(
        "{server}first = \"10.77.0.9\"\nlast = \"10.78.0.1\"\n{mask}"
    ));
    assert!(wide.contains("dhcp.last"), "{wide}");
}

#[test]
fn services_on_the_wire_need_an_interface() {
    assert!(complaint(&format!("{LEAST}[dhcp]\nmode = \"proxy\"\n")).contains("dhcp.interface"));
}

#[test]
fn a_command_line_that_a_script_would_expand_is_refused() {
    for bad in ["a$b", "a'b", "a\\\\b", "a\\u00e4"] {
        let text = format!("{LEAST}[boot]\ncommand_line = \"{bad}\"\n");
        assert!(complaint(&text).contains("boot.command_line"), "{bad}");
    }
    assert!(parse(&format!("{LEAST}[boot]\ncommand_line = \"quiet x=1\"\n")).is_ok());
}
