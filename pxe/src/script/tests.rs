use super::*;
use crate::mac::Mac;

const SERVER: BootServer = BootServer {
    address: Ipv4Addr::new(10, 77, 0, 1),
    http_port: 80,
};
const FROM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 147);

fn image(command_line: &str) -> Answer {
    Answer::Boot(BootImage {
        title: "Deploying $room; 'x'".to_owned(),
        kernel: "/boot/vmlinuz".to_owned(),
        initrd: vec!["/boot/initrd.img".to_owned()],
        command_line: command_line.to_owned(),
    })
}

fn ipxe(answer: &Answer, architecture: Architecture) -> Result<String, ScriptError> {
    ipxe::script(answer, architecture, SERVER, &Loaders::default())
}

fn scripts(policy: impl BootPolicy + 'static) -> Scripts {
    Scripts {
        policy: Arc::new(policy),
        heard: Arc::new(Heard::default()),
        server: SERVER,
        loaders: Loaders::default(),
    }
}

#[test]
fn ipxe_names_the_initrd_on_the_kernel_line() {
    let script = ipxe(&image("quiet  console=ttyS0"), Architecture::Bios).unwrap();
    assert_eq!(
        script,
        "#!ipxe\necho Deploying  room   x \n\
         kernel http://10.77.0.1/boot/vmlinuz initrd=initrd.img quiet console=ttyS0 || goto failed\n\
         initrd --name initrd.img http://10.77.0.1/boot/initrd.img || goto failed\n\
         boot || goto failed\n:failed\n\
         echo the boot files could not be loaded; starting again in 60 s\nsleep 60\nreboot\n"
    );
}

#[test]
fn an_ipxe_that_firmware_does_not_trust_hands_over_to_the_firmware() {
    let script = ipxe(&image("quiet"), Architecture::X64Efi).unwrap();
    assert!(
        script.ends_with("the firmware goes on\nexit 1\n"),
        "{script}"
    );
}

#[test]
fn grub_loads_over_http_and_names_only_an_unusual_port() {
    let usual = grub::config(&image("a=b"), Architecture::X64Efi, SERVER).unwrap();
    assert!(usual.contains("if linux '(http,10.77.0.1)/boot/vmlinuz' 'a=b'; then"));
    assert!(usual.contains("if initrd '(http,10.77.0.1)/boot/initrd.img'; then"));
    assert!(!usual.contains("insmod"));
    let server = BootServer {
        http_port: 8080,
        ..SERVER
    };
    let unusual = grub::config(&image(""), Architecture::X64Efi, server).unwrap();
    assert!(unusual.contains("(http,10.77.0.1:8080)/boot/vmlinuz"));
}

#[test]
fn the_disk_is_reached_by_exit_on_bios_and_never_on_uefi() {
    for answer in [Answer::LocalDisk, Answer::Ignore] {
        let bios = ipxe(&answer, Architecture::Bios).unwrap();
        assert!(bios.contains("\nexit 1\n"));
        let uefi = ipxe(&answer, Architecture::X64Efi).unwrap();
        assert!(uefi.contains("chain --autofree tftp://10.77.0.1/grubx64.efi"));
        let grub = grub::config(&answer, Architecture::X64Efi, SERVER).unwrap();
        for script in [uefi, grub] {
            assert!(!script.contains("exit"), "{script}");
        }
    }
}

#[test]
fn grub_tries_windows_then_the_removable_media_path_and_sets_root() {
    let config = grub::config(&Answer::LocalDisk, Architecture::X64Efi, SERVER).unwrap();
    let windows = config.find("chainloader /EFI/Microsoft/Boot/bootmgfw.efi");
    let fallback = config.find("chainloader /EFI/BOOT/BOOTX64.EFI");
    assert!(windows.unwrap() < fallback.unwrap());
    assert_eq!(config.matches("set root=$esp").count(), 2);
    assert!(config.ends_with("sleep 60\nreboot\n"));
}

#[test]
fn what_a_loader_would_expand_or_split_is_refused() {
    for bad in [
        "a=$x", "a='b", "a=\"b\"", "a\\", "a\nb", "a\tb", "&&", "x || y", "#a", "\u{e4}", "`a`",
    ] {
        let answer = image(bad);
        assert!(ipxe(&answer, Architecture::Bios).is_err(), "{bad:?}");
        let grub = grub::config(&answer, Architecture::X64Efi, SERVER);
        assert!(grub.is_err(), "{bad:?}");
    }
    for bad in ["boot/vmlinuz", "/a b", "/a\nreboot", "/${x}", "/a;b", ""] {
        assert!(plain_path(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_query_says_who_runs_ipxe() {
    let scripts = scripts(|client: &BootClient| {
        assert_eq!(client.address, Some(FROM));
        assert_eq!(client.stage, Stage::Ipxe);
        let ours = client.mac == Mac([2, 0, 0, 0, 0, 1]);
        if ours { image("") } else { Answer::LocalDisk }
    });
    let open = |target: &str| scripts.open(FROM, target).unwrap().unwrap();
    assert!(open("/boot/ipxe?mac=02-00-00-00-00-01&arch=0").contains("kernel"));
    assert!(open("/boot/ipxe?mac=02-00-00-00-00-02&arch=0").contains("exit 1"));
    assert!(open("/boot/ipxe?mac=02-00-00-00-00-02&arch=7").contains("chain"));
    assert!(open("/boot/ipxe").contains("exit 1"));
}

#[test]
fn grub_gets_its_machines_answer_by_address_or_asks_by_card() {
    let scripts = scripts(|client: &BootClient| {
        assert_eq!(client.stage, Stage::Grub);
        if client.mac.0[5] == 1 {
            image("")
        } else {
            Answer::LocalDisk
        }
    });
    let open = |target: &str| scripts.open(FROM, target).unwrap().unwrap();
    assert!(open("/grub/grub.cfg").contains("source $prefix/hosts/$net_default_mac"));
    assert!(open("//grub/hosts/02:00:00:00:00:01").contains("vmlinuz"));
    assert!(open("/grub/hosts/02:00:00:00:00:02").contains("BOOTX64"));
    scripts.heard.remember(&BootClient {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        uuid: Some([1; 16]),
        architecture: Architecture::X64Efi,
        stage: Stage::Pxe,
        address: Some(FROM),
    });
    assert!(open("/grub/grub.cfg").contains("vmlinuz"));
    assert!(open("grub/grub.cfg").contains("vmlinuz"));
}

#[test]
fn other_paths_are_not_scripts() {
    let scripts = scripts(|_: &BootClient| Answer::LocalDisk);
    for path in [
        "/shimx64.efi",
        "/grub/hosts/",
        "/grub/hosts/x",
        "/../boot/ipxe",
        "",
    ] {
        assert_eq!(scripts.open(FROM, path), Ok(None), "{path}");
    }
}
