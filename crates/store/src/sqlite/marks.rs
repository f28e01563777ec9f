//! Marks of what was used.

use std::time::Duration;

use super::db::Tx;
use super::fault::Fault;

/// Gives whether the digest was not marked. One whose time is over is as good as none.
pub(super) fn mark(tx: &Tx<'_, '_>, digest: [u8; 32], keep: Duration) -> Result<bool, Fault> {
    let sql = "INSERT INTO marks (digest, until) VALUES (?1, ?2)
        ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE until <= ?3";
    Ok(tx.run(sql, (digest, tx.now.after(keep), tx.now))? == 1)
}
