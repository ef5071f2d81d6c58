//! DHCP leases, so that a restart gives nobody's address away.

use pxe::dhcp::lease::Lease;
use sqlx::SqlitePool;

use super::DbError;
use super::row::{failed, number, parsed, signed};

/// Every lease written down.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Lease>, DbError> {
    let rows = sqlx::query("SELECT address, mac, expires FROM leases")
        .fetch_all(pool)
        .await
        .map_err(failed("reading leases"))?;
    rows.iter()
        .map(|row| {
            Ok(Lease {
                address: parsed(row, "address")?,
                mac: parsed(row, "mac")?,
                expires: number(row, "expires")?,
            })
        })
        .collect()
}

/// Writes one down.
pub(super) async fn save(pool: &SqlitePool, lease: Lease) -> Result<(), DbError> {
    sqlx::query("INSERT OR REPLACE INTO leases (address, mac, expires) VALUES (?, ?, ?)")
        .bind(lease.address.to_string())
        .bind(lease.mac.to_string())
        .bind(signed("leases.expires", lease.expires)?)
        .execute(pool)
        .await
        .map_err(failed("writing a lease down"))?;
    Ok(())
}
