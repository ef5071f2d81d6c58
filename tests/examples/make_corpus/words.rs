//! What machines and servers say, and what systems say of themselves.

use anyhow::Result;
use api::messages::machine::{Hello, ImageChoice, Questions, Standing};
use api::messages::run::{Assignment, CaptureOrder, CaptureWish, EventList, Work};
use api::receipt::ProvenDisk;
use api::trust::Nonce;
use api::{PublicKey, Receipt, Signed, SigningKey, Statement};
use image_format::{ImageRecord, MemoryStore, OverlayEntry, Profile, Proof, VolumeProof};
use inventory::{DiskFacts, Firmware, HardwareAddr, Identity, MachineFacts, MachineId, OsFacts};
use task_sequences::{Event, EventKind, Sequence};

use crate::Corpus;

pub(crate) fn make(corpus: &Corpus) -> Result<()> {
    corpus.put("smbios", "qemu", &smbios())?;
    let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
                VERSION_ID='12'\nID=debian\n# a note\nODD\nBUG=\"a\\\"b\"\n";
    corpus.put("os_release", "debian", text.as_bytes())?;
    let sequence = Sequence::image_only();
    corpus.put(
        "sequence",
        "image-only",
        &serde_json::to_vec_pretty(&sequence)?,
    )?;
    corpus.put(
        "events",
        "whole-run",
        &serde_json::to_vec(&whole_run(&sequence))?,
    )?;
    corpus.put(
        "events",
        "capture-run",
        &serde_json::to_vec(&whole_run(&Sequence::capture_only()))?,
    )?;
    let facts = facts();
    let record = crate::image::commit(&MemoryStore::new())?;
    let hello = Hello {
        agent: "0.1.0".to_owned(),
        facts: facts.clone(),
        key: PublicKey::new([1; 32]),
        commitment: Nonce::new([2; 32]),
    };
    corpus.put("hello", "machine", &serde_json::to_vec(&hello)?)?;
    let (server, _) = SigningKey::generate()?;
    standings(corpus, &record, &server)?;
    receipts(corpus, &record, &facts, &server)
}

fn smbios() -> Vec<u8> {
    let mut table = vec![0, 4, 0, 0, b'x', 0, 0];
    table.extend([1, 27, 1, 0, 1, 2, 0, 3]);
    table.extend([0x77; 16]);
    table.extend([6, 0, 0]);
    table.extend(b"QEMU\0Standard PC\0SN-1\0\0");
    table.extend([127, 4, 0, 0, 0, 0]);
    table
}

fn whole_run(sequence: &Sequence) -> EventList {
    let place = "boot environment, UEFI".to_owned();
    let mut kinds = vec![EventKind::Attached { place }];
    for step in sequence.steps() {
        let step = step.name.clone();
        kinds.push(EventKind::StepStarted { step: step.clone() });
        let (stage, done, total) = ("fetch".to_owned(), 1, 2);
        let name = step.clone();
        kinds.push(EventKind::Progress {
            step: name,
            stage,
            done,
            total,
        });
        kinds.push(EventKind::StepFinished { step });
    }
    kinds.insert(3, EventKind::ReceiptStored);
    kinds.insert(
        4,
        EventKind::ImageCaptured {
            image: "ab".repeat(32),
            name: "office".to_owned(),
            sequence: 4,
        },
    );
    kinds.push(EventKind::SystemReported {
        system: OsFacts::default(),
        hostname: "pc1".to_owned(),
        disk: "vda".to_owned(),
    });
    let event = |(number, kind)| Event {
        number,
        time: 1_700_000_000,
        kind,
    };
    EventList {
        events: (0..).zip(kinds).map(event).collect(),
    }
}

fn facts() -> MachineFacts {
    MachineFacts {
        uuid: Some("77777777-0000-4000-8000-000000000001".to_owned()),
        serial: Some("SN-1".to_owned()),
        vendor: Some("QEMU".to_owned()),
        product: None,
        addresses: vec![HardwareAddr::new([0x52, 0x54, 0, 0x77, 1, 0])],
        firmware: Firmware::UefiSecureBoot,
        memory: 1 << 30,
        disks: vec![DiskFacts {
            device: "/dev/vda".to_owned(),
            serial: Some("disk-1".to_owned()),
            size: 8 << 30,
            sector_size: 512,
            ..DiskFacts::default()
        }],
    }
}

fn standings(corpus: &Corpus, record: &ImageRecord, server: &SigningKey) -> Result<()> {
    let assignment = Assignment {
        run: "run-1".to_owned(),
        machine: MachineId::new([3; 16]),
        name: "pc1".to_owned(),
        work: Work::Apply {
            image: record.image,
            record: Box::new(record.clone()),
            replace: true,
        },
        sequence: Sequence::image_only(),
        disk: None,
    };
    corpus.put("standing", "assignment", &serde_json::to_vec(&assignment)?)?;
    let capture = Assignment {
        work: Work::Capture {
            capture: CaptureOrder {
                wish: CaptureWish {
                    name: record.name.clone(),
                    profile: Profile::Balanced,
                    paranoid: false,
                },
                parent: Some(record.image),
                after: 3,
                began: 1_700_000_000,
            },
        },
        sequence: Sequence::capture_only(),
        ..assignment.clone()
    };
    corpus.put("standing", "capture", &serde_json::to_vec(&capture)?)?;
    let choice = ImageChoice {
        name: record.name.clone(),
        description: "debian 12".to_owned(),
    };
    let questions = Questions {
        images: vec![choice],
        suggested_name: "pc1".to_owned(),
    };
    let assigned = Standing::Assigned {
        token: "secret".to_owned(),
        assignment: Signed::new("assignment", &assignment, server)?,
    };
    for (file, standing) in [
        ("waiting", Standing::Waiting { retry: 3 }),
        ("ask", Standing::Ask(questions)),
        ("assigned", assigned),
    ] {
        corpus.put("standing", file, &serde_json::to_vec(&standing)?)?;
    }
    Ok(())
}

fn receipts(
    corpus: &Corpus,
    record: &ImageRecord,
    facts: &MachineFacts,
    server: &SigningKey,
) -> Result<()> {
    let proof = Proof {
        image: record.image,
        plan: [4; 32],
        volumes: vec![VolumeProof {
            partition: 0,
            root: [5; 32],
            entries: 9,
            bytes: 100,
        }],
        overlay: vec![OverlayEntry {
            partition: 0,
            path: b"etc/host\xffname".to_vec(),
            digest: [6; 32],
        }],
        boot_root: [7; 32],
    };
    let statement = Statement {
        run: "run-1".to_owned(),
        machine: MachineId::new([3; 16]),
        name: "pc1".to_owned(),
        identity: Identity::of(facts),
        disk: ProvenDisk {
            model: None,
            serial: Some("disk-1".to_owned()),
            wwid: None,
            size: 8 << 30,
        },
        proof,
        steps: vec!["apply-image".to_owned()],
        started: 1_700_000_000,
        finished: 1_700_000_600,
    };
    let (machine, _) = SigningKey::generate()?;
    let claim = Receipt::claim(statement, &machine)?;
    corpus.put("receipt", "claim", &serde_json::to_vec(&claim)?)?;
    let confirmed = claim.confirm(server, 1_700_000_700)?;
    corpus.put(
        "receipt",
        "confirmed",
        &serde_json::to_vec_pretty(&confirmed)?,
    )
}
