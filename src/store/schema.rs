//! The database file: its permissions, its tables and their migrations, and
//! what is read from it at start.
//!
//! A file that is damaged, newer or not ours is refused and left untouched.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Choice, FILE, Restored, StoreError, figures, lessons};
use crate::domain::component::Priority;
use crate::domain::event::{Event, EventBody};
use crate::domain::plan::ActionId;
use crate::domain::rule::Debt;
use crate::domain::snapshot::EVENTS_KEPT;
use crate::domain::text::{clean, cleaned};
use crate::domain::time::Wall;

/// Each entry takes the database from its index to the next version.
const MIGRATIONS: [&str; 4] = [
    EVENTS,
    // What is to be taken back: one of a kind for each component and target,
    // since a name may come to mean another process.
    "CREATE TABLE debts (
        component TEXT NOT NULL,
        undo TEXT NOT NULL,
        target TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (component, undo, target)
    ) WITHOUT ROWID;",
    lessons::TABLES,
    figures::TABLES,
];

const EVENTS: &str = "
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        -- The number of the action that this starts or ends.
        action INTEGER,
        body TEXT NOT NULL
    );
    CREATE INDEX events_by_time ON events (time_ms);
    CREATE INDEX events_by_action ON events (action) WHERE action IS NOT NULL;
    CREATE TABLE choices (
        component TEXT PRIMARY KEY,
        pinned INTEGER,
        priority TEXT
    ) WITHOUT ROWID;
    -- The highest numbers ever given, so that they outlive what is swept.
    CREATE TABLE highest (seq INTEGER NOT NULL, action INTEGER NOT NULL);
    INSERT INTO highest VALUES (0, 0);
";

/// The tables that each version brought.
const TABLES: [&[&str]; MIGRATIONS.len()] = [
    &["events", "choices", "highest"],
    &["debts"],
    &["loads", "forecasts", "details"],
    &["minutes", "counts", "components", "held"],
];

const VERSION: u32 = MIGRATIONS.len() as u32;

/// Another plimsoll holds the file for a transaction, never longer.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Makes the folder (0700) and the file (0600); SQLite gives its side files
/// the permissions of the main one.
pub(super) fn prepare_files(folder: &Path) -> Result<PathBuf, StoreError> {
    let path = folder.join(FILE);
    refuse_what_is_no_file(&path)?;
    let prepare = || -> io::Result<()> {
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    prepare().map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
    Ok(path)
}

/// Opening a pipe waits for its other end. It is only looked at: to close a file
/// of a database lets go of all locks that this process has on it.
pub(super) fn refuse_what_is_no_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => Err(StoreError::NoFile { path: path.to_owned() }),
        // What is not there, or not to be reached, is said when it is opened.
        _ => Ok(()),
    }
}

/// Opens the file, checks whose it is and brings it to this version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let explained = |source| explain(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(explained)?;
    connection.busy_timeout(BUSY_WAIT).map_err(explained)?;
    whose(&known(&connection).map_err(explained)?, path)?;
    configure(&connection).map_err(explained)?;
    migrate(&mut connection).map_err(explained)?;
    count_anew(&connection).map_err(explained)?;
    Ok(connection)
}

/// What a database says of itself.
pub(super) struct Known {
    version: u32,
    tables: Vec<String>,
}

/// As of one moment: another plimsoll may just be making it.
pub(super) fn known(connection: &Connection) -> rusqlite::Result<Known> {
    let moment = connection.unchecked_transaction()?;
    let version = version(&moment)?;
    let mut names = moment.prepare("SELECT CAST(name AS TEXT) FROM sqlite_schema")?;
    let tables = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Known { version, tables })
}

/// The version of a history of ours; 0: there is nothing in it yet.
pub(super) fn whose(known: &Known, path: &Path) -> Result<u32, StoreError> {
    let path = path.to_owned();
    let has = |table: &&str| known.tables.iter().any(|name| name == table);
    match known.version {
        found if found > VERSION => Err(StoreError::Newer { path, found, known: VERSION }),
        0 if known.tables.is_empty() => Ok(0),
        0 => Err(StoreError::Foreign { path }),
        // Older ones hold the same tables, less some.
        found => {
            let wanted = || TABLES.iter().take(found as usize).copied().flatten().copied();
            match wanted().find(|table| !has(table)) {
                None => Ok(found),
                Some(_) if !wanted().any(|table| has(&table)) => Err(StoreError::Foreign { path }),
                Some(table) => Err(StoreError::Incomplete { path, table }),
            }
        }
    }
}

/// The error in our words: a damaged file apart from one that cannot be opened.
pub(super) fn explain(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    use rusqlite::Error as Fault;
    // A statement that does not go with the tables, or a value that no column
    // of ours holds: they are not as they were made.
    let is_other = matches!(
        source,
        Fault::SqlInputError { .. }
            | Fault::FromSqlConversionFailure(..)
            | Fault::IntegralValueOutOfRange(..)
            | Fault::InvalidColumnType(..)
            | Fault::QueryReturnedNoRows
    );
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
            StoreError::Damaged { path, source }
        }
        None if is_other => StoreError::Damaged { path, source },
        _ => StoreError::Open { path, source },
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Incremental, so that swept pages leave the file; it must come before the
    // first table. 256 KiB of cache and no map keep the process small; a
    // checkpoint every 64 pages keeps the log as small. FULL: an action is on
    // the disk when its commit returns.
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -256;
         PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 64;
         PRAGMA journal_size_limit = 262144;",
    )
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated it while we waited for the lock.
    let from = version(&transaction)?;
    for step in MIGRATIONS.iter().skip(from as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// The highest numbers, where they were lost: those that events still have.
fn count_anew(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.query_row("SELECT EXISTS (SELECT 1 FROM highest)", [], |row| row.get(0))? {
        let (seq, action) = highest(connection)?;
        connection.execute("INSERT INTO highest VALUES (?1, ?2)", params![seq, action])?;
    }
    Ok(())
}

/// The highest number of an event and of an action.
fn highest(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row(
        "SELECT max(coalesce((SELECT max(seq) FROM highest), 0),
                    coalesce((SELECT max(seq) FROM events), 0)),
                max(coalesce((SELECT max(action) FROM highest), 0),
                    coalesce((SELECT max(action) FROM events WHERE action IS NOT NULL), 0))",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// 0 where it is less: then it is none of ours.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| {
        row.get(0).map(|version: i64| u32::try_from(version).unwrap_or_default())
    })
}

pub(super) fn restore(connection: &Connection) -> rusqlite::Result<Restored> {
    let (seq, action) = highest(connection)?;
    let positive = |number: i64| u64::try_from(number).unwrap_or_default();
    let (seq, action) = (positive(seq), positive(action));
    let mut events = older(connection, seq.saturating_add(1), EVENTS_KEPT)?;
    events.reverse();
    let mut restored = Restored {
        events,
        next_seq: seq.saturating_add(1),
        next_action: action.saturating_add(1),
        choices: choices(connection)?,
        unfinished: unfinished(connection)?,
        debts: debts(connection)?,
        loads: Vec::new(),
        forecasts: Vec::new(),
        details: Vec::new(),
    };
    lessons::restore(connection, &mut restored)?;
    Ok(restored)
}

/// Events below `before`, newest first.
pub(super) fn older(
    connection: &Connection,
    before: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let mut statement = connection.prepare(
        "SELECT seq, time_ms, body FROM events WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(params![stored(before), limit], event)?.collect()
}

/// Events from that time on, oldest first.
pub(super) fn since(connection: &Connection, from: Wall) -> rusqlite::Result<Vec<Event>> {
    let mut statement = connection
        .prepare("SELECT seq, time_ms, body FROM events WHERE time_ms >= ?1 ORDER BY seq")?;
    statement.query_map(params![from.as_millisecond()], event)?.collect()
}

fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<(ActionId, Event)>> {
    let mut statement = connection.prepare(
        "SELECT seq, time_ms, body FROM events WHERE action IN
             (SELECT action FROM events WHERE action IS NOT NULL GROUP BY action HAVING count(*) = 1)
         ORDER BY seq",
    )?;
    let mut left = Vec::new();
    for event in statement.query_map([], event)? {
        let event = event?;
        if let EventBody::ActionStarted { id, .. } = event.body {
            left.push((id, event));
        }
    }
    Ok(left)
}

fn choices(connection: &Connection) -> rusqlite::Result<Vec<Choice>> {
    let mut statement =
        connection.prepare("SELECT component, pinned, priority FROM choices ORDER BY component")?;
    let rows = statement.query_map([], |row| {
        let priority: Option<String> = row.get(2)?;
        Ok(Choice {
            component: cleaned(row.get(0)?),
            pinned: row.get(1)?,
            priority: priority.and_then(|word| word.parse::<Priority>().ok()),
        })
    })?;
    rows.collect()
}

/// One that this version cannot read stays where it is, for one that can.
fn debts(connection: &Connection) -> rusqlite::Result<Vec<Debt>> {
    // A look may find a history that is still of the first version.
    if version(connection)? < 2 {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT body FROM debts ORDER BY component, undo, target")?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
    let read = |body: rusqlite::Result<String>| {
        let read = |body: String| serde_json::from_slice::<Debt>(body.as_bytes()).ok();
        // By its component it is settled, so that is not cleaned.
        let is_ours = |debt: &Debt| cleaned(debt.component.clone()) == debt.component;
        let shown = |debt: Debt| Debt { name: cleaned(debt.name), ..debt };
        body.map(|body| read(body).filter(is_ours).map(shown)).transpose()
    };
    bodies.filter_map(read).collect()
}

/// SQLite's integers have a sign and our numbers do not; neither end is ever
/// reached.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(|number: i64| u64::try_from(number).unwrap_or_default())
}

/// A row as an event. One that this version cannot read stays a line that
/// says so, instead of hiding all the others.
fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let seq = number(row, 0)?;
    let body = row.get_ref(2)?.as_bytes().unwrap_or_default();
    Ok(match read_body::<Event>(body) {
        Ok(event) => Event { seq, ..event },
        Err(fault) => Event {
            seq,
            time: row
                .get(1)
                .ok()
                .and_then(|millis| Wall::from_millisecond(millis).ok())
                .unwrap_or(Wall::UNIX_EPOCH),
            body: EventBody::Note {
                text: format!("an entry that cannot be read: {}", clean(&fault.to_string())),
            },
        },
    })
}

/// What a row holds as JSON. Anybody may have written into the file: its texts
/// are cleaned as others from outside are.
pub(super) fn read_body<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    // Most have nothing in them that could be anything but plain text.
    if body.iter().all(|byte| byte.is_ascii() && *byte != b'\\') {
        return serde_json::from_slice(body);
    }
    let mut value = serde_json::from_slice(body)?;
    clean_texts(&mut value);
    serde_json::from_value(value)
}

fn clean_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = cleaned(std::mem::take(text)),
        Value::Array(list) => list.iter_mut().for_each(clean_texts),
        Value::Object(map) => map.values_mut().for_each(clean_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
