//! The past as figures, in its tables: a row a minute, and what components
//! held at each count.
//!
//! A row that cannot be read, or cannot be true, is passed over. Of what is kept for the history
//! figures may take all that events leave, and give way first beyond a share.

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::schema::{number, stored, version};
use super::{Lesson, Retention};
use crate::domain::past::{Count, Counted, Figures, MINUTE, Minute, Spent, Stretch};
use crate::domain::process::ProcessKey;
use crate::domain::text::cleaned;
use crate::domain::time::Wall;
use crate::domain::{Bytes, ComponentKind, Level};

/// A component is named once, since it is counted for days. One whose pid is
/// known is another where that is: then its bytes say nothing of the first's.
pub(super) const TABLES: &str = "
    CREATE TABLE minutes (
        -- Since 1970.
        minute INTEGER PRIMARY KEY,
        level TEXT NOT NULL,
        normal_ms INTEGER NOT NULL,
        warning_ms INTEGER NOT NULL,
        critical_ms INTEGER NOT NULL,
        emergency_ms INTEGER NOT NULL,
        available INTEGER,
        used INTEGER,
        total INTEGER,
        swap_used INTEGER,
        stalled REAL,
        models INTEGER
    );
    CREATE TABLE counts (
        -- Ten minutes each, since 1970.
        slot INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL
    );
    CREATE TABLE components (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        UNIQUE (id, name, kind)
    );
    CREATE TABLE held (
        slot INTEGER NOT NULL,
        component INTEGER NOT NULL,
        pid INTEGER,
        started INTEGER,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (slot, component)
    ) WITHOUT ROWID;
";

/// The version of the file that has these tables first.
const SINCE: u32 = 4;

/// Longest id and name; a model's name with registry and owner is a third.
const LONGEST: usize = 300;

/// A clock that was set back, or two that look, see a minute more than once;
/// this often none does.
const LONGEST_SEEN: Duration = Duration::from_secs(3_600);

/// More memory than any machine has, by far; sums of it stay within a `u64`.
const MOST_BYTES: u64 = 1 << 56;

/// About what a minute takes in the file, and a row of a count: measured over
/// a month of them, and rounded up.
const MINUTE_BYTES: u64 = 64;
const COUNTED_BYTES: u64 = 32;

/// Of the history's size, what figures keep even where events want more.
const SHARE: u64 = 4;

/// It needs no proof of being on the disk: a power cut may take the newest.
pub(super) const fn is_figures(lesson: &Lesson) -> bool {
    matches!(lesson, Lesson::Minutes(_) | Lesson::Count(_))
}

/// When the newest of it was.
pub(super) fn time(lesson: &Lesson) -> Option<Wall> {
    match lesson {
        Lesson::Minutes(minutes) => minutes.last().map(Minute::start),
        Lesson::Count(count) => Some(count.at),
        Lesson::Load(_) | Lesson::Forecast(_) | Lesson::Details { .. } => None,
    }
}

/// A minute that is there already is the same one seen further: another
/// engine began in it, a part of it was written before, or the clock was set
/// back.
pub(super) fn write_minutes(
    transaction: &Transaction<'_>,
    minutes: &[Minute],
) -> rusqlite::Result<()> {
    let mut find =
        transaction.prepare(&format!("SELECT {COLUMNS} FROM minutes WHERE minute = ?1"))?;
    let mut put = transaction.prepare(&format!(
        "INSERT OR REPLACE INTO minutes ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    ))?;
    for Minute { number, was } in minutes {
        let before = find.query_row([number], |row| Ok(minute(row))).optional()?.flatten();
        let mut whole = before.map_or_else(Stretch::default, |before| before.was);
        whole.take_in(was);
        let spent = Level::ALL.map(|level| millis(whole.spent.at(level)));
        let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| stored(bytes.get()));
        put.execute(params![
            number,
            whole.level.word(),
            spent[0],
            spent[1],
            spent[2],
            spent[3],
            bytes(whole.available),
            bytes(whole.used),
            bytes(whole.total),
            bytes(whole.swap_used),
            whole.stalled,
            bytes(whole.models),
        ])?;
    }
    Ok(())
}

const COLUMNS: &str = "minute, level, normal_ms, warning_ms, critical_ms, emergency_ms, \
                       available, used, total, swap_used, stalled, models";

/// The last count of its ten minutes is the one that stays.
pub(super) fn write_count(transaction: &Transaction<'_>, count: &Count) -> rusqlite::Result<()> {
    let slot = Count::slot_at(count.at);
    transaction.execute("DELETE FROM held WHERE slot = ?1", [slot])?;
    let time = count.at.as_millisecond();
    transaction.execute(
        "INSERT OR REPLACE INTO counts (slot, time_ms) VALUES (?1, ?2)",
        params![slot, time],
    )?;
    let mut name = transaction
        .prepare("INSERT OR IGNORE INTO components (id, name, kind) VALUES (?1, ?2, ?3)")?;
    let mut put = transaction.prepare(
        "INSERT OR REPLACE INTO held (slot, component, pid, started, bytes)
         SELECT ?1, number, ?5, ?6, ?7 FROM components WHERE id = ?2 AND name = ?3 AND kind = ?4",
    )?;
    for row in &count.rows {
        if row.id.len() > LONGEST || row.name.len() > LONGEST {
            continue;
        }
        let kind = row.kind.word();
        name.execute(params![row.id, row.name, kind])?;
        let (pid, started) = row.process.map(|process| (process.pid, process.started)).unzip();
        let (started, bytes) = (started.map(stored), stored(row.bytes.get()));
        put.execute(params![slot, row.id, row.name, kind, pid, started, bytes])?;
    }
    Ok(())
}

/// What is kept from one time up to another, that one left out. Nothing in a
/// history of an earlier version.
pub(super) fn read(
    connection: &Connection,
    (from, until): (Wall, Wall),
) -> rusqlite::Result<Figures> {
    if version(connection)? < SINCE {
        return Ok(Figures::default());
    }
    let minutes =
        format!("SELECT {COLUMNS} FROM minutes WHERE minute >= ?1 AND minute < ?2 ORDER BY minute");
    let mut minutes = connection.prepare(&minutes)?;
    // The minute in which it begins is part of it, and so is the last one.
    let last = Minute::number_at(until)
        .saturating_add(i64::from(Minute::start_of(Minute::number_at(until)) < until));
    let minutes = minutes
        .query_map([Minute::number_at(from), last], |row| Ok(minute(row)))?
        .filter_map(Result::transpose)
        .collect::<rusqlite::Result<_>>()?;
    Ok(Figures { minutes, counts: counts(connection, (from, until))? })
}

fn counts(connection: &Connection, (from, until): (Wall, Wall)) -> rusqlite::Result<Vec<Count>> {
    let mut rows = connection.prepare(
        "SELECT counts.time_ms, id, name, kind, pid, started, bytes FROM counts
         LEFT JOIN held ON held.slot = counts.slot
         LEFT JOIN components ON components.number = held.component
         WHERE counts.time_ms >= ?1 AND counts.time_ms < ?2
         ORDER BY counts.slot, bytes DESC, id",
    )?;
    let mut counts: Vec<Count> = Vec::new();
    let mut rows = rows.query([from.as_millisecond(), until.as_millisecond()])?;
    while let Some(row) = rows.next()? {
        let at = row.get(0).ok().and_then(|millis| Wall::from_millisecond(millis).ok());
        let Some(at) = at else { continue };
        if counts.last().is_none_or(|last| last.at != at) {
            counts.push(Count { at, rows: Vec::new() });
        }
        if let (Some(last), Some(counted)) = (counts.last_mut(), counted(row)) {
            last.rows.push(counted);
        }
    }
    Ok(counts)
}

fn counted(row: &Row<'_>) -> Option<Counted> {
    let kind: String = row.get(3).ok()?;
    let pid: Option<u32> = row.get(4).ok()?;
    let started = row.get::<_, Option<i64>>(5).ok()?.map(i64::cast_unsigned);
    Some(Counted {
        id: cleaned(row.get(1).ok()?),
        name: cleaned(row.get(2).ok()?),
        kind: ComponentKind::ALL.into_iter().find(|known| known.word() == kind)?,
        process: pid.zip(started).map(|(pid, started)| ProcessKey { pid, started }),
        bytes: possible(number(row, 6).ok()?)?,
    })
}

/// `None`: it is none that can be read, or none that can have been.
fn minute(row: &Row<'_>) -> Option<Minute> {
    let word: String = row.get(1).ok()?;
    let mut spent = Spent::default();
    for (column, level) in (2..).zip(Level::ALL) {
        spent.add(level, Duration::from_millis(number(row, column).ok()?));
    }
    let spent = (spent.total() <= LONGEST_SEEN).then(|| spent.within(MINUTE))?;
    let stalled: Option<f64> = row.get(10).ok()?;
    if stalled.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return None;
    }
    for column in [6, 7, 8, 9, 11] {
        if let Ok(ValueRef::Integer(bytes)) = row.get_ref(column) {
            possible(u64::try_from(bytes).unwrap_or_default())?;
        }
    }
    let bytes = |column| match row.get_ref(column) {
        Ok(ValueRef::Integer(bytes)) => u64::try_from(bytes).ok().map(Bytes::new),
        _ => None,
    };
    Some(Minute {
        number: row.get(0).ok()?,
        was: Stretch {
            available: bytes(6),
            used: bytes(7),
            total: bytes(8),
            swap_used: bytes(9),
            stalled,
            models: bytes(11),
            level: Level::ALL.into_iter().find(|level| level.word() == word)?,
            spent,
        },
    })
}

/// What a machine can have.
fn possible(bytes: u64) -> Option<Bytes> {
    (bytes <= MOST_BYTES).then(|| Bytes::new(bytes))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// What is too old goes.
pub(super) fn sweep(
    transaction: &Transaction<'_>,
    retention: Retention,
    now: Wall,
) -> rusqlite::Result<()> {
    let age = crate::domain::time::DAY.saturating_mul(retention.days);
    let Ok(oldest) = now.checked_sub(age) else { return Ok(()) };
    let minutes = "DELETE FROM minutes WHERE minute < ?1";
    transaction.execute(minutes, [Minute::number_at(oldest)])?;
    drop_counts(transaction, Count::slot_at(oldest))
}

/// Those before a slot, and the components that are in no other.
fn drop_counts(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM counts WHERE slot < ?1", [before])?;
    if transaction.execute("DELETE FROM held WHERE slot < ?1", [before])? > 0 {
        let unused = "DELETE FROM components WHERE number NOT IN (SELECT component FROM held)";
        transaction.execute(unused, [])?;
    }
    Ok(())
}

/// The oldest tenth goes, if figures are beyond their share. False: they are
/// within it, and something else has to give way.
pub(super) fn give_way(
    transaction: &Transaction<'_>,
    retention: Retention,
) -> rusqlite::Result<bool> {
    let rows = |table| {
        let sql = format!("SELECT count(*) FROM {table}");
        transaction.query_row(&sql, [], |row| number(row, 0))
    };
    let minutes = rows("minutes")?.saturating_mul(MINUTE_BYTES);
    let held = rows("held")?.saturating_mul(COUNTED_BYTES);
    if minutes.saturating_add(held) <= retention.bytes.get() / SHARE {
        return Ok(false);
    }
    transaction.execute(
        "DELETE FROM minutes WHERE minute IN
             (SELECT minute FROM minutes ORDER BY minute LIMIT
                 (SELECT (count(*) + 9) / 10 FROM minutes))",
        [],
    )?;
    let tenth = "SELECT slot FROM counts ORDER BY slot LIMIT 1 OFFSET
                     (SELECT (count(*) + 9) / 10 FROM counts)";
    let before = transaction.query_row(tenth, [], |row| row.get(0)).optional()?;
    drop_counts(transaction, before.unwrap_or(i64::MAX))?;
    Ok(true)
}
