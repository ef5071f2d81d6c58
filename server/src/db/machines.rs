//! Machines and the names they are recognised by.

use std::collections::HashMap;

use inventory::{HardwareAddr, Identity, MachineId};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::audit::{self, Act};
use super::row::{failed, flag, from_json, maybe, parsed, text, to_json};
use super::{DbError, KnownMachine};

/// All of them, in the order they became known.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<KnownMachine>, DbError> {
    let rows = sqlx::query("SELECT * FROM machines ORDER BY seq")
        .fetch_all(pool)
        .await
        .map_err(failed("reading machines"))?;
    let links = sqlx::query("SELECT machine, address FROM addresses ORDER BY machine, place")
        .fetch_all(pool)
        .await
        .map_err(failed("reading addresses"))?;
    let mut addresses: HashMap<String, Vec<HardwareAddr>> = HashMap::new();
    for link in &links {
        addresses
            .entry(text(link, "machine")?)
            .or_default()
            .push(parsed(link, "address")?);
    }
    let mut machines = Vec::with_capacity(rows.len());
    for row in &rows {
        let addresses = addresses.remove(&text(row, "id")?).unwrap_or_default();
        machines.push(from_row(row, addresses)?);
    }
    Ok(machines)
}

/// The one with this id.
pub(super) async fn one(pool: &SqlitePool, id: MachineId) -> Result<Option<KnownMachine>, DbError> {
    let row = sqlx::query("SELECT * FROM machines WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a machine"))?;
    let Some(row) = row else { return Ok(None) };
    let links = sqlx::query("SELECT address FROM addresses WHERE machine = ? ORDER BY place")
        .bind(id.to_string())
        .fetch_all(pool)
        .await
        .map_err(failed("reading addresses"))?;
    let addresses = links
        .iter()
        .map(|link| parsed(link, "address"))
        .collect::<Result<_, _>>()?;
    from_row(&row, addresses).map(Some)
}

fn from_row(row: &SqliteRow, addresses: Vec<HardwareAddr>) -> Result<KnownMachine, DbError> {
    let facts = maybe(row, "facts")?
        .map(|facts| from_json("machines.facts", &facts))
        .transpose()?;
    let capture = maybe(row, "capture")?
        .map(|capture| from_json("machines.capture", &capture))
        .transpose()?;
    Ok(KnownMachine {
        id: parsed(row, "id")?,
        name: maybe(row, "name")?,
        identity: Identity {
            uuid: maybe(row, "uuid")?,
            serial: maybe(row, "serial")?,
            addresses,
        },
        facts,
        image: maybe(row, "image")?,
        capture,
        disk: maybe(row, "disk")?,
        replace: flag(row, "may_replace")?,
        unattended: flag(row, "unattended")?,
        ordered: flag(row, "ordered")?,
    })
}

/// Keeps one, with its addresses and who ordered it, in one transaction.
pub(super) async fn save(
    pool: &SqlitePool,
    machine: KnownMachine,
    act: Act,
) -> Result<(), DbError> {
    let mut change = pool.begin().await.map_err(failed("beginning a change"))?;
    upsert(&mut change, &machine).await?;
    sqlx::query("DELETE FROM addresses WHERE machine = ?")
        .bind(machine.id.to_string())
        .execute(&mut *change)
        .await
        .map_err(failed("replacing addresses"))?;
    for (place, address) in (0_i64..).zip(&machine.identity.addresses) {
        sqlx::query("INSERT INTO addresses (machine, place, address) VALUES (?, ?, ?)")
            .bind(machine.id.to_string())
            .bind(place)
            .bind(address.to_string())
            .execute(&mut *change)
            .await
            .map_err(failed("keeping an address"))?;
    }
    audit::append(&mut change, &act).await?;
    change.commit().await.map_err(failed("keeping a machine"))
}

async fn upsert(change: &mut SqliteConnection, machine: &KnownMachine) -> Result<(), DbError> {
    let facts = machine
        .facts
        .as_ref()
        .map(|f| to_json("machines.facts", f))
        .transpose()?;
    let capture = machine
        .capture
        .as_ref()
        .map(|c| to_json("machines.capture", c))
        .transpose()?;
    let done = sqlx::query(
        "INSERT INTO machines
           (id, name, uuid, serial, facts, image, capture, disk, may_replace, unattended, ordered)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
           name = excluded.name, uuid = excluded.uuid, serial = excluded.serial,
           facts = excluded.facts, image = excluded.image, capture = excluded.capture,
           disk = excluded.disk,
           may_replace = excluded.may_replace, unattended = excluded.unattended,
           ordered = excluded.ordered",
    )
    .bind(machine.id.to_string())
    .bind(&machine.name)
    .bind(&machine.identity.uuid)
    .bind(&machine.identity.serial)
    .bind(facts)
    .bind(&machine.image)
    .bind(capture)
    .bind(&machine.disk)
    .bind(machine.replace)
    .bind(machine.unattended)
    .bind(machine.ordered)
    .execute(change)
    .await;
    match done {
        Ok(_) => Ok(()),
        // The id's own conflict is handled above: only the name is left.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(DbError::NameTaken {
                name: machine.name.clone().unwrap_or_default(),
            })
        }
        Err(source) => Err(DbError::Sql {
            doing: "keeping a machine",
            source,
        }),
    }
}
