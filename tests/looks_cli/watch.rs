//! `watch`: a line for each change or at each interval, and an end.

use std::fmt::Write as _;

use super::*;

/// A machine of 16 GiB that tells nothing but its memory, a sample each 200 ms.
fn recording(home: &Home, available_gib: &[u64]) {
    let gib = 1024 * 1024 * 1024;
    let absent = json!({"Err": {"detail": "not here", "kind": "absent"}});
    let host = json!({"name": "there", "system": "Linux", "kernel": "6.1"});
    let head = json!({"format": "plimsoll recording", "version": 1, "host": host});
    let mut text = format!("{head}\n");
    for (number, available) in available_gib.iter().enumerate() {
        let ms = number * 200;
        let wall = format!("2026-03-01T10:00:{:02}.{:03}Z", ms / 1000, ms % 1000);
        let sample = json!({
            "at": {"mono_ms": 7000 + ms, "wall": wall},
            "memory": {"Ok": {
                "total": 16 * gib, "available": available * gib, "available_source": "kernel",
                "free": available * gib / 2,
                "parts": {"system": "linux", "anonymous": null, "cached": null, "shared": null,
                          "slab_unreclaimable": null},
            }},
            "swap": absent, "pressure": absent, "paging": absent, "zram": absent,
            "limit": absent, "gpus": absent, "processes": absent,
        });
        writeln!(text, "{}", json!({ "s": sample })).unwrap();
    }
    home.write("r", &text);
}

#[test]
fn each_line_is_what_status_prints() {
    let home = Home::new();
    let mut going = Going::start(&home, &["watch", "--json", "--interval", "100ms", "--demo"]);
    let (first, second) = (going.object(), going.object());
    let status = object(&home.run(&["status", "--json", "--demo"]));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&first), keys(&second)), (keys(&status), keys(&status)));
    assert_eq!(first["basis"], json!("attached"), "a running engine: its levels last");
    // A line at its time, whether or not a sample has come since.
    let mut last = second["time"].clone();
    for _ in 0..50 {
        last = going.object()["time"].clone();
        if last != first["time"] {
            break;
        }
    }
    assert!(first["time"].as_str() < last.as_str(), "{first} {last}");
    let newest = first["events"][0]["seq"].as_u64().unwrap();
    let again = second["events"].as_array().unwrap().iter();
    assert!(again.clone().all(|event| event["seq"].as_u64().unwrap() > newest), "{second}");
    assert_eq!(end(&mut going.0, Signal::INT), Some(130));
}

#[test]
fn a_level_that_is_reached_ends_it_with_its_code() {
    let home = Home::new();
    let calm = [12; 5];
    for (then, until, code, level) in [
        (3, "warning", 10, "warning"),
        (1, "warning", 11, "critical"),
        (0, "critical", 12, "emergency"),
    ] {
        recording(&home, &[&calm[..], &[then; 60]].concat());
        let said = home.run(&["watch", "--until", until, "--replay", "r"]);
        assert_eq!((said.code, said.err.as_str()), (code, ""), "{said:?}");
        let levels: Vec<_> =
            said.out.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!((levels[0], levels[levels.len() - 1]), ("normal", level), "{said:?}");
    }
}

#[test]
fn a_machine_that_is_calm_ends_a_wait_for_it() {
    let home = Home::new();
    let said = home.run(&["watch", "--until", "normal", "--demo"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    // One that is critical from the start is not taken for calm before its
    // level is known.
    recording(&home, &[1; 40]);
    let said = home.run(&["watch", "--until", "normal", "--json", "--replay", "r"]);
    let last: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], json!("critical"), "the recording ends first: {said:?}");
}

#[test]
fn what_does_not_change_is_told_once() {
    let home = Home::new();
    recording(&home, &[12; 15]);
    let said = home.run(&["watch", "--replay", "r"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "it ends with the recording: {said:?}");
    assert!(said.out.lines().count() <= 2, "once, and that no server answers: {said:?}");
    assert!(said.is_plain());
    recording(&home, &[&[12; 8][..], &[10; 8]].concat());
    let moved = home.run(&["watch", "--replay", "r"]);
    assert!(moved.out.contains("available 12.0 GiB") && moved.out.contains("available 10.0 GiB"));
}

#[test]
fn only_matching_components_are_told() {
    let home = Home::new();
    let arguments = ["watch", "--json", "--component", "model:*", "--demo"];
    let mut going = Going::start(&home, &[&arguments[..], &["--interval", "100ms"]].concat());
    let mut found = Value::Null;
    for _ in 0..100 {
        found = going.object()["components"].clone();
        if found.as_array().is_some_and(|list| !list.is_empty()) {
            break;
        }
    }
    let list = found.as_array().unwrap();
    assert!(!list.is_empty() && list.iter().all(|one| one["kind"] == json!("model")), "{found}");
}

#[test]
fn beside_a_guard_it_is_the_guard_that_is_watched() {
    let home = Home::new();
    let guard = Guard::start(&home);
    let mut going = Going::start(&home, &["watch", "--json"]);
    assert_eq!(going.object()["basis"], json!("attached"));
    drop(guard);
    let mut rest = String::new();
    going.1.read_to_string(&mut rest).unwrap();
    assert_eq!(going.0.wait().unwrap().code(), Some(1), "{rest}");
}
