//! Files of measurements, whole, damaged and hostile.

use super::*;

fn measures(mib: u64) -> Measures {
    Measures {
        looks: 10,
        seen_seconds: 9.0,
        baseline_bytes: Bytes::mib(mib / 2),
        peak_bytes: Bytes::mib(mib),
        peak_at_seconds: 4.0,
        least_bytes: Bytes::mib(mib / 4),
        average_bytes: Bytes::mib(mib / 2),
        p95_bytes: Bytes::mib(mib),
        end_bytes: Bytes::mib(mib / 2),
        delta_bytes: Bytes::ZERO.since(Bytes::ZERO),
        rise_bytes: Bytes::mib(mib / 2),
        growth_bytes_per_minute: Some(Bytes::mib(1).since(Bytes::ZERO)),
    }
}

fn command() -> CommandMeasures {
    CommandMeasures {
        program: "make".to_owned(),
        seconds: 9.0,
        exit_code: Some(0),
        signal: None,
        goes_on: false,
        measures: Some(measures(500)),
        most_processes: 3,
        left_behind: 0,
        largest_process_bytes: Some(Bytes::mib(400)),
    }
}

/// With everything that can be in one.
pub fn measurement() -> Measurement {
    let component = |name: &str, mib| ComponentMeasures {
        id: format!("process:{name}"),
        name: name.to_owned(),
        component: "process".to_owned(),
        source: "measured".to_owned(),
        is_gone: false,
        measures: measures(mib),
    };
    Measurement {
        schema_version: SCHEMA_VERSION,
        kind: Measurement::kind(),
        plimsoll: "0.1.0".to_owned(),
        machine: Machine {
            name: "here".to_owned(),
            system: "Linux".to_owned(),
            kernel: "6.1".to_owned(),
            memory_bytes: Some(Bytes::gib(16)),
            swap_bytes: Some(Bytes::gib(1)),
            profile: "linux-15".to_owned(),
            mode: "live".to_owned(),
        },
        begun: Wall::UNIX_EPOCH,
        ended: Wall::UNIX_EPOCH,
        span_seconds: 9.0,
        ended_by: EndedBy::Command,
        looks: 10,
        interval_seconds: Some(1.0),
        system: System {
            used: Some(measures(4000)),
            available: Some(measures(9000)),
            swap: Some(measures(10)),
        },
        models: Some(measures(2000)),
        patterns: vec!["process:*".to_owned()],
        components: vec![component("a", 100), component("b", 200)],
        components_left_out: 0,
        levels: Some(Levels {
            normal_seconds: 9.0,
            warning_seconds: 0.0,
            critical_seconds: 0.0,
            emergency_seconds: 0.0,
            unseen_seconds: 0.0,
        }),
        stall: Some(Stalled {
            some_seconds: 0.5,
            full_seconds: Some(0.25),
            longest_seconds: Some(0.25),
        }),
        oom_kills: Some(0),
        command: Some(command()),
        targets: Vec::new(),
        result: None,
    }
}

#[test]
fn what_is_kept_is_read_back() {
    let text = serde_json::to_vec(&measurement()).unwrap();
    assert_eq!(parse(&text).unwrap(), measurement());
}

#[test]
fn what_is_no_measurement_is_refused_with_what_it_is() {
    let whole = serde_json::to_value(measurement()).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut changed = whole.clone();
        changed[key] = value;
        changed.to_string()
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let several = vec![whole["components"][0].clone(); MOST_COMPONENTS + 1];
    for (text, words) in [
        (String::new(), "not the JSON of a measurement"),
        ("[1]".to_owned(), "not the JSON of a measurement"),
        (deep, "not the JSON of a measurement"),
        ("{}".to_owned(), "JSON, and no measurement"),
        (with("kind", "something else".into()), "JSON, and no measurement"),
        (with("schema_version", 7.into()), "of version 7; this plimsoll reads version 1"),
        (with("looks", (-1).into()), "a measurement and damaged"),
        (with("components", several.into()), "more than 256 components"),
    ] {
        let said = format!("{:#}", parse(text.as_bytes()).unwrap_err());
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn texts_of_a_file_are_cleaned() {
    let mut hostile = measurement();
    hostile.machine.name = "a\u{1b}[2Jb".to_owned();
    hostile.components[0].id = "process:\u{202e}x\n".to_owned();
    hostile.span_seconds = -1e300;
    let found = parse(&serde_json::to_vec(&hostile).unwrap()).unwrap();
    assert_eq!(
        (found.machine.name.as_str(), found.components[0].id.as_str()),
        ("a[2Jb", "process:x")
    );
    assert_eq!(found.span(), Duration::ZERO);
    assert_eq!([1e300, f64::NAN].map(duration), [Duration::ZERO; 2]);
}
