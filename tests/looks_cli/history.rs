//! `history`: minutes from the disk and from an engine that runs.

use std::time::Duration;

use plimsoll::domain::past::{Minute, Stretch};
use plimsoll::domain::{Bytes, Level, Wall};
use plimsoll::store::{Lesson, Retention, Store};

use super::*;

/// Writes minutes as a guard would have.
pub fn remember(home: &Home, lessons: Vec<Lesson>) {
    let retention = Retention { days: 30, bytes: Bytes::mib(64) };
    let health = tokio::sync::mpsc::channel(4).0;
    let folder = home.path("data/plimsoll");
    let (store, _) = Store::open(&folder, retention, Wall::now(), health).unwrap();
    for lesson in lessons {
        while store.learn(lesson.clone()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(store.close(Duration::from_secs(20)));
}

pub fn minute(number: i64, available: u64, level: Level) -> Minute {
    let mut was = Stretch {
        available: Some(Bytes::gib(available)),
        used: Some(Bytes::gib(16 - available)),
        total: Some(Bytes::gib(16)),
        swap_used: Some(Bytes::ZERO),
        stalled: Some(0.5),
        models: None,
        level,
        ..Stretch::default()
    };
    was.spent.add(level, Duration::from_secs(60));
    Minute { number, was }
}

/// Two hours that end an hour ago, the first of them critical at its end; of
/// the second one only the last half hour is known.
fn two_hours(home: &Home) -> i64 {
    // On a full hour, so that rows of an hour are known.
    let end = (Minute::number_at(Wall::now()) - 60).div_euclid(60) * 60;
    let level = |n| if n < 55 { Level::Normal } else { Level::Critical };
    let first = (0..60).map(|n| minute(end - 120 + n, 8, level(n)));
    let second = (30..60).map(|n| minute(end - 60 + n, 12, Level::Normal));
    remember(home, vec![Lesson::Minutes(first.chain(second).collect())]);
    end
}

fn rows(history: &Value) -> &Vec<Value> {
    history["rows"].as_array().unwrap()
}

fn time(number: i64) -> String {
    Minute::start_of(number).to_string()
}

#[test]
fn minutes_are_told_with_what_is_missing_between_them() {
    let home = Home::new();
    let end = two_hours(&home);
    let (since, until) = (time(end - 120), time(end));
    let history = object(&home.run(&["history", "--json", "--since", &since, "--until", &until]));
    crate::schema::Schema::read().accepts("history", &history);
    insta::assert_snapshot!("history_shape", shape(&history, 0));
    assert_eq!((rows(&history).len(), &history["every_seconds"]), (90, &json!(60)));
    let gap = json!([{"from": time(end - 60), "until": time(end - 30)}]);
    assert_eq!(history["gaps"], gap);
    let first = &rows(&history)[0];
    assert_eq!((&first["time"], &first["level"]), (&json!(time(end - 120)), &json!("normal")));
    let gib = |gib: u64| json!(gib << 30);
    assert_eq!((&first["available_bytes"], &first["used_bytes"]), (&gib(8), &gib(8)));
    assert_eq!((&first["models_bytes"], &first["swap_used_bytes"]), (&Value::Null, &json!(0)));
}

#[test]
fn longer_rows_tell_the_worst_and_how_long_it_was() {
    let home = Home::new();
    let end = two_hours(&home);
    let history = home.run(&["history", "--json", "--since", &time(end - 120), "--every", "1h"]);
    let history = object(&history);
    let levels: Vec<_> = rows(&history).iter().map(|row| row["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["critical", "normal"]);
    let row = &rows(&history)[0];
    assert_eq!((&row["normal_seconds"], &row["critical_seconds"]), (&json!(3300.0), &json!(300.0)));
    assert_eq!(rows(&history)[1]["normal_seconds"], json!(1800.0));
}

#[test]
fn csv_has_a_head_and_whole_bytes_and_nothing_for_what_is_unknown() {
    let home = Home::new();
    let end = two_hours(&home);
    let said = home.run(&["history", "--csv", "--since", &time(end - 10), "--until", &time(end)]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, lines.len()), (0, 11), "{said:?}");
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let head = cells(lines[0]);
    let at = |name: &str| head.iter().position(|cell| cell == name).unwrap();
    let row = cells(lines[1]);
    assert_eq!(row.len(), head.len());
    assert_eq!((&row[at("time")], row[at("level")].as_str()), (&time(end - 10), "normal"));
    assert_eq!(row[at("used_bytes")], (4_u64 << 30).to_string());
    assert_eq!((row[at("models_bytes")].as_str(), row[at("swap_used_bytes")].as_str()), ("", "0"));
}

#[test]
fn text_is_a_row_a_minute_when_piped_and_a_page_on_a_terminal() {
    let home = Home::new();
    let end = two_hours(&home);
    let since = time(end - 120);
    let arguments = ["history", "--since", &since, "--until", &time(end)];
    let piped = home.run(&arguments);
    // A head, ninety minutes and the gap between them.
    assert_eq!((piped.code, piped.out.lines().count()), (0, 92), "{piped:?}");
    assert!(piped.out.lines().nth(1).unwrap().starts_with(&since), "{piped:?}");
    assert!(piped.out.contains("no record  (30 min)") && piped.is_plain(), "{piped:?}");
    for (columns, locale, cell) in [(80, "en_US.UTF-8", '█'), (80, "C", '#'), (40, "C", 'x')] {
        let mut command = home.command(&arguments);
        command.env("COLUMNS", columns.to_string()).env("LC_ALL", locale);
        let said = said(command);
        let lines = said.out.lines().count();
        assert!((10..40).contains(&lines), "{lines} lines:\n{}", said.out);
        let widest = said.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns), "{widest:?} of {columns}:\n{}", said.out);
        assert_eq!(said.out.contains(cell), columns == 80, "{}", said.out);
        assert!(said.out.contains("critical") && said.is_plain(), "{}", said.out);
    }
}

#[test]
fn what_is_to_come_is_no_gap() {
    let home = Home::new();
    let end = two_hours(&home);
    let since = time(end - 120);
    let history = home.run(&["history", "--json", "--since", &since, "--until", "2999-01-01"]);
    let history = object(&history);
    let now = plimsoll::domain::Wall::now();
    let of = |time: &Value| time.as_str().unwrap().parse::<plimsoll::domain::Wall>().unwrap();
    assert!(of(&history["until"]) <= now, "{history}");
    let gaps = history["gaps"].as_array().unwrap();
    assert!(gaps.iter().all(|gap| of(&gap["until"]) <= now), "{history}");
    let said = home.run(&["history", "--since", "2998-01-01", "--until", "2999-01-01"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
}

#[test]
fn a_row_is_told_as_long_as_it_is() {
    let home = Home::new();
    two_hours(&home);
    let mut command = home.command(&["history", "--since", "7d", "--every", "36h"]);
    command.env("COLUMNS", "80");
    let said = said(command);
    assert!(said.out.starts_with("1 d 12 h a row, "), "{}", said.out);
}

#[test]
fn no_history_is_said_in_words_and_a_damaged_one_is_an_error() {
    let home = Home::new();
    let said = home.run(&["history"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("nothing is recorded"), "{said:?}");
    assert_eq!(object(&home.run(&["history", "--json"]))["rows"], json!([]));
    assert_eq!(home.run(&["history", "--csv"]).out.lines().count(), 1);
    assert!(!home.path("data/plimsoll").exists(), "a look makes nothing");
    home.write("data/plimsoll/history.db", "garbage, and long enough to be taken for a header.");
    let said = home.run(&["history"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("damaged"), "{said:?}");
}

#[test]
fn a_guard_is_asked_for_the_newest_minute_and_leaves_it_on_the_disk() {
    let home = Home::new();
    let begun = Instant::now();
    let guard = Guard::start(&home);
    let seen = |row: &Value| {
        ["normal", "warning", "critical", "emergency"]
            .iter()
            .map(|level| row[format!("{level}_seconds")].as_f64().unwrap())
            .sum::<f64>()
    };
    let all = || -> Vec<Value> {
        rows(&object(&alone(&home, &["history", "--json", "--since", "1h"]))).clone()
    };
    let live = loop {
        let live = all();
        if live.iter().map(seen).sum::<f64>() > 0.0 {
            break live;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "nothing was seen: {live:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(live[0]["used_bytes"].as_u64() > Some(0), "{live:?}");
    drop(guard);
    let left = all();
    assert_eq!(left[0]["time"], live[0]["time"]);
    let sum = |rows: &[Value]| rows.iter().map(seen).sum::<f64>();
    // What the guard saw to its end is there, and no more than that.
    assert!(sum(&left) >= sum(&live) && sum(&left) <= begun.elapsed().as_secs_f64());
}
