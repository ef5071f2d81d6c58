//! Whole rooms: real firmware, real kernels, real networks of their own.
//! Needs root; `cargo xtask test` builds the programs and installs the packages.
//!
//! Machines are slow under emulation: as many rooms are open as tests run at
//! once, and the one with three machines has the processors to itself. Which
//! fault meets which firmware is chosen so that every path is met once.

use std::fs;
use std::path::PathBuf;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use lab::base::{self, Base, IMAGE};
use lab::disk::{MIB, blank, fingerprint};
use lab::room::{Dhcp, Room};
use lab::vm::{Bus, Firmware, Machine};
use lab::{demo, programs, setup};

static BASE: OnceLock<Base> = OnceLock::new();
static ROOMS: RwLock<()> = RwLock::new(());

/// The base, and the right to open a room of one machine.
fn base() -> (&'static Base, RwLockReadGuard<'static, ()>) {
    let turn = ROOMS.read().unwrap_or_else(PoisonError::into_inner);
    (prepared(), turn)
}

fn prepared() -> &'static Base {
    BASE.get_or_init(|| {
        setup::prepare().unwrap();
        let programs = programs::find().unwrap();
        let folder = programs.target.join("lab/test/base");
        base::prepare(&programs, &folder, &mut |text| println!("{text}")).unwrap()
    })
}

fn folder(base: &Base, name: &str) -> PathBuf {
    base.programs.target.join("lab/test").join(name)
}

fn machine(name: &str, number: u8, firmware: Firmware, bus: Bus, disk: PathBuf) -> Machine {
    Machine {
        name: name.to_owned(),
        firmware,
        mac: format!("52:54:00:77:01:{number:02x}"),
        uuid: format!("77777777-0000-4000-8000-0000000001{number:02x}"),
        memory: 768,
        disk,
        bus,
    }
}

/// Switched on to the agent's first screen, with other machines about.
const TO_AGENT: Duration = Duration::from_secs(240);
/// A whole deployment.
const WHOLE: Duration = Duration::from_secs(900);

#[test]
fn three_bare_machines_become_proven_copies_of_the_reference() {
    let _alone = ROOMS.write().unwrap_or_else(PoisonError::into_inner);
    let base = prepared();
    let (proven, memory) =
        demo::run(base, &folder(base, "main"), &mut |text| println!("{text}")).unwrap();
    println!("{}", demo::report(&proven));
    assert_eq!(proven.len(), 3);
    for one in &proven {
        assert!(one.verdict.contains("the receipt holds"), "{}", one.verdict);
        let system = one.run.system.as_deref().unwrap_or_default();
        assert!(system.starts_with("Debian GNU/Linux 12"), "{system}");
    }
    assert!(memory <= 100_000_000, "the server took {memory} bytes");
}

/// Beside another DHCP server, Secure Boot on: the server dies for a minute in
/// the middle of the apply, then the machine loses power; it still finishes,
/// and what lay there already is not fetched again.
#[test]
fn an_apply_outlives_a_dead_server_and_a_power_cut() {
    let (base, _turn) = base();
    let folder = folder(base, "outlives");
    let mut room = Room::open(base, &folder, Dhcp::Proxy).unwrap();
    let disk = blank(&folder.join("laptop.img"), 3072 * MIB).unwrap();
    let laptop = machine("laptop", 1, Firmware::SecureBoot, Bus::Virtio, disk);
    let expect = ["machine", "add", "--name", "laptop", "--mac", &laptop.mac];
    room.mimeo(&[&expect[..], &["--image", IMAGE, "--unattended"]].concat())
        .unwrap();
    let running = room.switch_on(&laptop).unwrap();
    let at = running.serial.wait_for(0, "blocks ", TO_AGENT).unwrap();
    room.kill_server().unwrap();
    let at = running
        .serial
        .wait_for(at, "waiting", Duration::from_secs(120))
        .unwrap();
    std::thread::sleep(Duration::from_secs(60));
    room.start_server().unwrap();
    running
        .serial
        .wait_for(at, "blocks ", Duration::from_secs(120))
        .unwrap();
    std::thread::sleep(Duration::from_secs(15));
    let before = demo::fetched(&detail(&room, "laptop"));
    running.cut_power().unwrap();

    let running = room.switch_on(&laptop).unwrap();
    let run = room.wait_for_run("laptop", "succeeded", WHOLE).unwrap();
    assert!(run.receipt);
    assert!(before > 0, "the power was cut before anything was fetched");
    let screen = running.serial.screen();
    assert!(
        screen.contains("taken up again"),
        "the second apply did not resume"
    );

    // From now on the network sends it to its disk, Secure Boot on.
    running.cut_power().unwrap();
    let running = room.switch_on(&laptop).unwrap();
    let at = running
        .serial
        .wait_for(screen.len(), "Fetching Netboot Image", TO_AGENT)
        .unwrap();
    running.serial.wait_for(at, "laptop login:", WHOLE).unwrap();
}

/// The newest run of a machine with its events.
fn detail(room: &Room, name: &str) -> api::messages::operator::RunDetail {
    let run = room.run_of(name).unwrap().expect("a run");
    room.run_detail(&run.run).unwrap()
}

/// A bit flips in the share: the deployment fails by name, and the disk starts
/// nothing.
#[test]
fn a_damaged_block_ends_in_a_failure_that_names_it() {
    let (base, _turn) = base();
    let folder = folder(base, "damaged");
    let damaged = base
        .with_own_share(&base.share.with_file_name("share-damaged"))
        .unwrap();
    flip_a_bit(&damaged.share.join("packs"));

    let room = Room::open(&damaged, &folder, Dhcp::Server).unwrap();
    let disk = blank(&folder.join("desk.img"), 3072 * MIB).unwrap();
    let desk = machine("desk", 2, Firmware::Bios, Bus::Sata, disk.clone());
    let expect = ["machine", "add", "--name", "desk", "--uuid", &desk.uuid];
    room.mimeo(&[&expect[..], &["--image", IMAGE, "--unattended"]].concat())
        .unwrap();
    let running = room.switch_on(&desk).unwrap();
    let run = room.wait_for_run("desk", "failed", WHOLE).unwrap();
    assert!(run.state.contains("block"), "{}", run.state);
    assert!(!run.receipt);
    let from = running
        .serial
        .wait_for(0, "THIS MACHINE HAS FAILED", Duration::from_secs(60))
        .unwrap();
    assert!(from > 0);
    running.cut_power().unwrap();
    assert!(starts_nothing(&disk), "a half image could be started");
}

/// Flips one bit in the middle of the largest pack.
fn flip_a_bit(packs: &std::path::Path) {
    let mut files = Vec::new();
    for folder in fs::read_dir(packs).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            files.push((fs::metadata(&path).unwrap().len(), path));
        }
    }
    let (length, path) = files.into_iter().max().unwrap();
    use std::os::unix::fs::{FileExt, PermissionsExt};
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, length / 2).unwrap();
    file.write_all_at(&[byte[0] ^ 1], length / 2).unwrap();
}

/// Whether no firmware finds anything to start: no boot signature, no table.
fn starts_nothing(disk: &std::path::Path) -> bool {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(disk).unwrap();
    let size = file.metadata().unwrap().len();
    let mut start = vec![0; 34 * 512];
    file.read_exact_at(&mut start, 0).unwrap();
    let mut end = vec![0; 33 * 512];
    file.read_exact_at(&mut end, size - 33 * 512).unwrap();
    start[510..512] != [0x55, 0xaa]
        && !start.windows(8).any(|window| window == b"EFI PART")
        && !end.windows(8).any(|window| window == b"EFI PART")
}

/// A machine nobody knows waits and touches nothing; approved, it shows that
/// its disk holds another system, and still touches nothing until told to.
#[test]
fn a_stranger_and_a_disk_with_a_system_are_not_touched_without_a_word() {
    let (base, _turn) = base();
    let folder = folder(base, "stranger");
    let room = Room::open(base, &folder, Dhcp::Server).unwrap();
    let disk = base.copy_of_reference(&folder.join("old.img")).unwrap();
    let before = fingerprint(&disk).unwrap();
    let old = machine("old", 3, Firmware::Uefi, Bus::Nvme, disk.clone());
    let mut running = room.switch_on(&old).unwrap();
    let (shown, at) = demo::shown_code(&running, TO_AGENT).unwrap();
    let waiting = room.machines().unwrap().machines;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].code.as_deref(), Some(shown.as_str()));
    assert!(room.mimeo(&["machine", "approve", "0000-0000"]).is_err());
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(fingerprint(&disk).unwrap(), before, "touched while waiting");

    room.mimeo(&[
        "machine", "approve", &shown, "--name", "old", "--image", IMAGE,
    ])
    .unwrap();
    let at = running
        .serial
        .wait_for(at, "ERASE", Duration::from_secs(120))
        .unwrap();
    assert!(running.serial.screen().contains("Debian GNU/Linux 12"));
    running.serial.type_text("no\r").unwrap();
    running
        .serial
        .wait_for(at, "ERASE", Duration::from_secs(60))
        .unwrap();
    assert_eq!(fingerprint(&disk).unwrap(), before, "touched unasked");
    running.serial.type_text("ERASE\r").unwrap();
    let run = room.wait_for_run("old", "succeeded", WHOLE).unwrap();
    assert!(run.receipt);
}

/// The reference machine is captured where it stands: the image is the one its
/// disk gave as a file, the disk is bit for bit what it was, and then the
/// machine starts its own system.
#[test]
fn a_machine_captured_in_its_room_is_the_image_of_its_disk_and_is_not_changed() {
    let (base, _turn) = base();
    let folder = folder(base, "captured");
    let base = base
        .with_own_share(&base.share.with_file_name("share-captured"))
        .unwrap();
    let room = Room::open(&base, &folder, Dhcp::Server).unwrap();
    let disk = base.copy_of_reference(&folder.join("golden.img")).unwrap();
    let before = fingerprint(&disk).unwrap();
    let golden = machine("golden", 4, Firmware::Bios, Bus::Virtio, disk.clone());
    room.mimeo(&["machine", "add", "--name", "golden", "--mac", &golden.mac])
        .unwrap();
    let order = ["machine", "capture", "GOLDEN", "--name", CAPTURED];
    room.mimeo(&[&order[..], &["--unattended"]].concat())
        .unwrap();
    let running = room.switch_on(&golden).unwrap();
    running
        .serial
        .wait_for(0, "is read and captured as", TO_AGENT)
        .unwrap();
    let run = room.wait_for_run("golden", "succeeded", WHOLE).unwrap();
    assert!(run.captures && run.image == CAPTURED, "{run:?}");
    let end = running
        .serial
        .wait_for(0, "restarts into its disk", Duration::from_secs(60))
        .unwrap();
    // Before its own system is loaded, which writes.
    running.cut_power().unwrap();
    assert_eq!(fingerprint(&disk).unwrap(), before, "the disk was written");
    println!("{}", room.mimeo(&["run", "show", &run.run]).unwrap());

    assert_eq!(
        base.image_id(CAPTURED).unwrap(),
        base.image_id(IMAGE).unwrap()
    );
    let differences = base.image(&["diff", IMAGE, CAPTURED, "--json"]).unwrap();
    assert_eq!(differences.trim(), "[]");
    let list = room.mimeo(&["run", "list"]).unwrap();
    assert!(list.contains("captures from-the-machine"), "{list}");

    let running = room.switch_on(&golden).unwrap();
    running
        .serial
        .wait_for(end, "reference login:", WHOLE)
        .unwrap();
}

const CAPTURED: &str = "from-the-machine";
