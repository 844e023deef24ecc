//! What is too old or too much goes: by age first, then by size, oldest first.
//! What was learned has a share of its own, so that neither it nor events
//! drive out the other. Figures give way before events do, down to theirs.

use jiff::SignedDuration;
use rusqlite::{Connection, params};

use super::schema::number;
use super::{Retention, figures, lessons};
use crate::domain::time::{DAY, Wall};

/// Between two looks while events are written.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Whether it is time to look again. A clock set back counts too.
pub(super) fn is_due(last: Wall, now: Wall) -> bool {
    now.duration_since(last).abs() >= PERIOD
}

pub(super) fn sweep(
    connection: &mut Connection,
    retention: Retention,
    now: Wall,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let age = DAY.saturating_mul(retention.days);
    if let Ok(oldest) = now.checked_sub(age) {
        let swept = params![oldest.as_millisecond()];
        transaction.execute("DELETE FROM events WHERE time_ms < ?1", swept)?;
    }
    lessons::sweep(&transaction, retention, now)?;
    figures::sweep(&transaction, retention, now)?;
    while used_bytes(&transaction)? > retention.bytes.get() {
        if figures::give_way(&transaction, retention)? {
            continue;
        }
        // A tenth at a time: a few rounds, and never far below the limit.
        let gone = transaction.execute(
            "DELETE FROM events WHERE seq IN
                 (SELECT seq FROM events ORDER BY seq LIMIT
                     (SELECT (count(*) + 9) / 10 FROM events))",
            [],
        )?;
        if gone == 0 {
            break;
        }
    }
    transaction.commit()?;
    // It answers a row for each page it moves, and stops where reading stops.
    connection.pragma_query(None, "incremental_vacuum", |_| Ok(()))
}

/// Bytes in pages that hold something.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| number(row, 0));
    let held = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(held.saturating_mul(number("page_size")?))
}
