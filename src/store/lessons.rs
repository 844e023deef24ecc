//! What later runs can use, in its tables: loads as they were seen, what
//! became of forecasts, and metadata by digest.
//!
//! All of it can be learned again: a row that cannot be read is passed over,
//! and what is too much goes, oldest first.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Transaction, params};

use super::schema::{number, read_body, stored};
use super::{Lesson, Restored, figures};
use crate::domain::forecast::{ForecastRecord, LoadObserved};
use crate::domain::model::ModelDetails;
use crate::domain::text::cleaned;
use crate::domain::time::Wall;

/// `seq` grows with each writing, so that the newest details can be told
/// although they carry no time.
pub(super) const TABLES: &str = "
    CREATE TABLE loads (
        digest TEXT NOT NULL,
        context INTEGER NOT NULL,
        parallel INTEGER NOT NULL,
        kv_type TEXT NOT NULL,
        placement TEXT NOT NULL,
        version TEXT NOT NULL,
        loaded_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (digest, context, parallel, kv_type, placement, version, loaded_ms)
    );
    CREATE INDEX loads_by_time ON loads (loaded_ms);
    CREATE TABLE forecasts (
        made_ms INTEGER NOT NULL,
        level TEXT NOT NULL,
        signal TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (made_ms, level, signal)
    );
    CREATE TABLE details (
        seq INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL
    );
";

/// The version of the file that has these tables first.
const SINCE: u32 = 3;

/// Longest row, in bytes of JSON. The details of a model with a list for each
/// of some hundred layers are a tenth of it.
const LONGEST: usize = 256 * 1024;

/// Longest name of a model's contents or of a server's version; a digest has
/// 64 letters.
const LONGEST_KEY: usize = 256;

/// Most that one table may put into memory at start, in bytes of JSON.
const MOST_READ: usize = 16 * 1024 * 1024;

/// How much of a table is restored and how much is kept.
struct Table {
    name: &'static str,
    /// The order in which rows came.
    age: &'static str,
    restored: u32,
    kept: u32,
}

const LOADS: Table = Table { name: "loads", age: "loaded_ms", restored: 2_000, kept: 5_000 };
const FORECASTS: Table = Table { name: "forecasts", age: "made_ms", restored: 5_000, kept: 5_000 };
const DETAILS: Table = Table { name: "details", age: "seq", restored: 1_000, kept: 1_000 };

/// Loads are rare and stay true for as long as the model and its server do.
const LOADS_KEPT_DAYS: u32 = 365;

/// Of the history's size, what one table may take at most: all three leave
/// more than half to events.
const SHARE: u64 = 8;

/// Writes one down; what is longer than what is read again is left out.
pub(super) fn write(transaction: &Transaction<'_>, lesson: &Lesson) -> rusqlite::Result<()> {
    match lesson {
        Lesson::Load(load) => write_load(transaction, load),
        Lesson::Forecast(record) => write_forecast(transaction, record),
        Lesson::Details { digest, details } => write_details(transaction, digest, details),
        Lesson::Minutes(minutes) => figures::write_minutes(transaction, minutes),
        Lesson::Count(count) => figures::write_count(transaction, count),
    }
}

fn write_load(transaction: &Transaction<'_>, load: &LoadObserved) -> rusqlite::Result<()> {
    let key = &load.key;
    let is_short = key.digest.len() <= LONGEST_KEY && key.version.len() <= LONGEST_KEY;
    let Some(body) = body(load)?.filter(|_| is_short) else { return Ok(()) };
    transaction
        .prepare(
            "INSERT OR REPLACE INTO loads
                 (digest, context, parallel, kv_type, placement, version, loaded_ms, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            key.digest,
            stored(key.context),
            key.parallel,
            key.kv_type.word(),
            key.placement.word(),
            key.version,
            load.loaded.as_millisecond(),
            body
        ])?;
    Ok(())
}

fn write_forecast(transaction: &Transaction<'_>, record: &ForecastRecord) -> rusqlite::Result<()> {
    let Some(body) = body(record)? else { return Ok(()) };
    let (level, signal) = (record.to.word(), record.signal.word());
    transaction
        .prepare(
            "INSERT OR REPLACE INTO forecasts (made_ms, level, signal, body)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![record.made.as_millisecond(), level, signal, body])?;
    Ok(())
}

fn write_details(
    transaction: &Transaction<'_>,
    digest: &str,
    details: &ModelDetails,
) -> rusqlite::Result<()> {
    let is_short = digest.len() <= LONGEST_KEY;
    let Some(body) = body(details)?.filter(|_| is_short) else { return Ok(()) };
    transaction
        .prepare("INSERT OR REPLACE INTO details (digest, body) VALUES (?1, ?2)")?
        .execute(params![digest, body])?;
    Ok(())
}

fn body(value: &impl serde::Serialize) -> rusqlite::Result<Option<String>> {
    let text = super::writer::json(value)?;
    Ok(Some(text).filter(|text| text.len() <= LONGEST))
}

/// Whether two say something of the same: then only the later counts.
pub(super) fn is_of_the_same(one: &Lesson, other: &Lesson) -> bool {
    match (one, other) {
        (Lesson::Load(one), Lesson::Load(other)) => {
            one.loaded == other.loaded && one.key == other.key
        }
        (Lesson::Forecast(one), Lesson::Forecast(other)) => {
            (one.made, one.to, one.signal) == (other.made, other.to, other.signal)
        }
        (Lesson::Details { digest: one, .. }, Lesson::Details { digest: other, .. }) => {
            one == other
        }
        _ => false,
    }
}

/// Fills in what was learned.
pub(super) fn restore(connection: &Connection, restored: &mut Restored) -> rusqlite::Result<()> {
    // A look may find a history of an earlier version.
    if super::schema::version(connection)? < SINCE {
        return Ok(());
    }
    restored.loads = newest(connection, &LOADS, "''", |_, body| read_body(body.as_bytes()).ok())?;
    restored.forecasts =
        newest(connection, &FORECASTS, "''", |_, body| read_body(body.as_bytes()).ok())?;
    restored.details = newest(connection, &DETAILS, "digest", |digest, body| {
        Some((cleaned(digest.to_owned()), read_body(body.as_bytes()).ok()?))
    })?;
    Ok(())
}

/// The newest rows, oldest first; those that cannot be read are left out.
fn newest<T>(
    connection: &Connection,
    table: &Table,
    name: &str,
    read: impl Fn(&str, &str) -> Option<T>,
) -> rusqlite::Result<Vec<T>> {
    let Table { name: from, age, restored, .. } = table;
    let mut statement = connection.prepare(&format!(
        "SELECT {name}, body FROM {from} WHERE octet_length(body) <= {LONGEST}
         ORDER BY {age} DESC LIMIT {restored}"
    ))?;
    let mut rows = statement.query([])?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        let (Some(name), Some(body)) = (text(row, 0)?, text(row, 1)?) else { continue };
        bytes = bytes.saturating_add(body.len());
        if bytes > MOST_READ {
            break;
        }
        found.extend(read(name, body));
    }
    found.reverse();
    Ok(found)
}

/// `None`: it is no text, or none that can be read.
fn text<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<Option<&'row str>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    })
}

/// What is too old or too many goes, and of each table what is more than its
/// share of the history.
pub(super) fn sweep(
    transaction: &Transaction<'_>,
    retention: super::Retention,
    now: Wall,
) -> rusqlite::Result<()> {
    let days = [(&FORECASTS, retention.days), (&LOADS, retention.days.max(LOADS_KEPT_DAYS))];
    for (Table { name, age, .. }, days) in days {
        let Ok(oldest) = now.checked_sub(crate::domain::time::DAY.saturating_mul(days)) else {
            continue;
        };
        let sql = format!("DELETE FROM {name} WHERE {age} < ?1");
        transaction.execute(&sql, params![oldest.as_millisecond()])?;
    }
    let share = retention.bytes.get() / SHARE;
    for table in [&LOADS, &FORECASTS, &DETAILS] {
        let Table { name, age, kept, .. } = table;
        let newest = format!("SELECT rowid FROM {name} ORDER BY {age} DESC LIMIT {kept}");
        let sql = format!("DELETE FROM {name} WHERE rowid NOT IN ({newest})");
        transaction.execute(&sql, [])?;
        while body_bytes(transaction, name)? > share {
            let tenth = format!("SELECT (count(*) + 9) / 10 FROM {name}");
            let oldest = format!("SELECT rowid FROM {name} ORDER BY {age} LIMIT ({tenth})");
            transaction.execute(&format!("DELETE FROM {name} WHERE rowid IN ({oldest})"), [])?;
        }
    }
    Ok(())
}

fn body_bytes(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<u64> {
    let sql = format!("SELECT coalesce(sum(octet_length(body)), 0) FROM {table}");
    transaction.query_row(&sql, [], |row| number(row, 0))
}
