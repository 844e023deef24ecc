//! Recordings: what is written is read back exactly, small at rest, and what
//! cannot be read is said with its line. Played back, it is what was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use plimsoll::domain::fault::{FaultKind, RuntimeFault, RuntimeFaultKind, SensorFault};
use plimsoll::domain::model::{Expiry, LoadedModel};
use plimsoll::domain::plan::Keep;
use plimsoll::domain::process::{ProcessMemory, ProcessTable, RunnerProgram};
use plimsoll::domain::sample::{
    AvailableSource, Gpu, Memory, MemoryLimit, MemoryParts, Paging, Pressure, Stall, Swap, Zram,
    no_groups,
};
use plimsoll::domain::snapshot::Host;
use plimsoll::domain::{
    BlobDigest, Bytes, Group, GroupKind, ModelName, Moment, Monotonic, Process, ProcessKey,
    ProcessRole, Reading, RunnerArguments, Sample, Wall,
};
use plimsoll::recording::{
    Entry, Playback, Reader, RecordingError, Report, ReportBody, VERSION, Writer,
};
use plimsoll::runtime::replay::ReplayRuntime;
use plimsoll::runtime::{LoadOptions, Runtime};
use plimsoll::sense::replay::ReplaySensors;
use plimsoll::sense::{Sensors, Want};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn host() -> Host {
    Host { name: "box".into(), system: "Linux".into(), kernel: "6.18".into() }
}

fn moment(ms: u64) -> Moment {
    let start: Wall = "2026-01-15T14:02:11.000123Z".parse().unwrap();
    // Wall time runs a little unevenly, as it does.
    let wall = start + Duration::from_nanos(ms * 1_000_000 + ms % 7 * 1_013);
    Moment::new(wall, Monotonic::from_millis(ms))
}

fn in_parts(resident: Bytes, anonymous: Bytes, file: Bytes) -> ProcessMemory {
    ProcessMemory {
        resident: Some(resident),
        anonymous: Some(anonymous),
        file: Some(file),
        shared: Some(Bytes::ZERO),
        swapped: Some(Bytes::ZERO),
        ..ProcessMemory::default()
    }
}

/// A quiet machine with twelve processes: counters and a few sizes move.
fn at_rest(tick: u64) -> Sample {
    let wobble = |size: u64, every: u64| Bytes::kib(size * 1024 + tick / every % 5 * 36);
    let process = |number: u64| Process {
        key: ProcessKey { pid: 41_000 + number as u32 * 13, started: 1_234_567 + number },
        parent: 1,
        name: format!("program-{number}"),
        role: match number {
            0 => ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() },
            1 => ProcessRole::Runner(Box::new(runner_arguments())),
            _ => ProcessRole::Other,
        },
        uid: Some(1000),
        memory: in_parts(
            wobble(300 + number, 1 + number),
            wobble(250 + number, 1 + number),
            Bytes::mib(50),
        ),
        cpu: Some(Duration::from_millis(1_000 * number + tick / (1 + number) * 10)),
        is_zombie: false,
        matched: Vec::new(),
    };
    Sample {
        at: moment(tick * 1_000 + tick % 3),
        memory: Ok(Memory {
            total: Bytes::kib(16_355_000),
            available: wobble(9_000, 1),
            free: wobble(4_000, 1),
            available_source: AvailableSource::Kernel,
            parts: MemoryParts::Linux {
                anonymous: Some(wobble(5_000, 1)),
                cached: Some(wobble(5_000, 2)),
                shared: Some(Bytes::mib(180)),
                slab_unreclaimable: Some(wobble(400, 3)),
            },
        }),
        swap: Ok(Swap { total: Bytes::gib(4), used: Bytes::mib(12) }),
        pressure: Ok(Pressure::Psi { some: stall(tick / 20), full: Some(stall(tick / 40)) }),
        paging: Ok(Paging {
            swapped_in: Some(Bytes::mib(3)),
            swapped_out: Some(Bytes::mib(15)),
            major_faults: Some(48_000 + tick / 4),
            refaults_file: Some(1_000),
            refaults_anon: Some(0),
            oom_kills: Some(0),
        }),
        zram: Err(SensorFault::absent("no zram")),
        limit: Err(SensorFault::absent("not in a container")),
        gpus: Ok(vec![]),
        processes: Ok(ProcessTable {
            servers: vec![process(0)],
            runners: vec![process(1)],
            others: (2..12).map(process).collect(),
            rest: Some(wobble(800, 2)),
            count: Some(160 + (tick / 10 % 2) as u32),
            ..ProcessTable::default()
        }),
        groups: no_groups(),
    }
}

fn stall(tick: u64) -> Stall {
    Stall { avg10: 0.0, avg60: 0.01, avg300: 0.12, total_us: 123_456 + tick * 40 }
}

fn runner_arguments() -> RunnerArguments {
    RunnerArguments {
        program: RunnerProgram::LlamaServer,
        blob: BlobDigest::from_hex(&"ab".repeat(32)),
        model: None,
        context: Some(8192),
        parallel: Some(1),
        port: Some(46_601),
        flags: vec![("-c".into(), "8192".into()), ("--no-webui".into(), String::new())],
        in_ollama_folder: Some(true),
    }
}

fn loaded(ms: u64, name: &str) -> Report {
    let model = LoadedModel {
        name: ModelName::new(name),
        digest: "cd".repeat(32),
        reported: Some(Bytes::gib(3)),
        vram: Some(Bytes::ZERO),
        context: Some(8192),
        expires: Some(Expiry::At(moment(ms + 300_000).wall)),
        parameters: Some("3.2B".into()),
        quantization: Some("Q4_K_M".into()),
        family: Some("llama".into()),
        is_cloud: false,
    };
    report(ms, ReportBody::Loaded(Ok(vec![model])))
}

fn report(ms: u64, what: ReportBody) -> Report {
    Report { at: moment(ms), url: "http://127.0.0.1:11434".into(), what }
}

fn written(samples: &[Sample]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &host()).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(sample).unwrap());
    file
}

fn read(file: &[u8]) -> Result<Vec<Entry>, RecordingError> {
    Reader::new(file)?.collect()
}

fn samples(entries: Vec<Entry>) -> Vec<Sample> {
    let sample = |entry| match entry {
        Entry::Sample(sample) => Some(*sample),
        Entry::Report(_) => None,
    };
    entries.into_iter().filter_map(sample).collect()
}

#[test]
fn a_sample_at_rest_takes_less_than_400_bytes() {
    let sequence: Vec<Sample> = (0..600).map(at_rest).collect();
    let file = written(&sequence);
    let changes: Vec<usize> = String::from_utf8(file.clone())
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("{\"d\""))
        .map(str::len)
        .collect();
    assert_eq!(changes.len(), 598);
    let mean = changes.iter().sum::<usize>() / changes.len();
    assert!(mean < 300, "a change takes {mean} bytes");
    let with_whole_ones = file.len() / sequence.len();
    assert!(with_whole_ones < 400, "a sample takes {with_whole_ones} bytes");
    assert_eq!(samples(read(&file).unwrap()), sequence);
}

#[test]
fn reports_are_written_when_they_say_something_new() {
    let fault = RuntimeFault::new(RuntimeFaultKind::Refused, "connection refused");
    let down = |ms| report(ms, ReportBody::Loaded(Err(fault.clone())));
    let version = |ms| report(ms, ReportBody::Version(Ok("0.33.0".into())));
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &host()).unwrap();
    let said = [version(1), loaded(2, "tiny"), version(3), down(4), down(5), loaded(6, "tiny")];
    let is_new: Vec<bool> =
        said.iter().map(|report| writer.write_report(report).unwrap()).collect();
    assert_eq!(is_new, [true, true, false, true, false, true]);
    let expected: Vec<Entry> = [version(1), loaded(2, "tiny"), down(4), loaded(6, "tiny")]
        .into_iter()
        .map(|report| Entry::Report(Box::new(report)))
        .collect();
    assert_eq!(read(&file).unwrap(), expected);
}

#[test]
fn a_file_can_be_cut_where_a_whole_sample_stands() {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &host()).unwrap();
    writer.write_report(&loaded(0, "tiny")).unwrap();
    let sequence: Vec<Sample> = (0..400).map(at_rest).collect();
    sequence.iter().for_each(|sample| writer.write_sample(sample).unwrap());
    let text = String::from_utf8(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let second = lines.iter().rposition(|line| line.starts_with("{\"s\"")).unwrap();
    let cut = [&lines[..1], &lines[second..]].concat().join("\n");
    let entries = read(cut.as_bytes()).unwrap();
    assert_eq!(entries[1], Entry::Report(Box::new(loaded(0, "tiny"))));
    assert_eq!(samples(entries), sequence[300..]);
}

#[test]
fn a_last_line_that_was_cut_off_ends_it_quietly() {
    let sequence: Vec<Sample> = (0..5).map(at_rest).collect();
    let file = written(&sequence);
    let cut = &file[..file.len() - 20];
    assert_eq!(samples(read(cut).unwrap()), sequence[..4]);
}

#[test]
fn a_bad_line_is_an_error_that_names_it() {
    let file = String::from_utf8(written(&[at_rest(0), at_rest(1), at_rest(2)])).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    for bad in ["rubbish", "{}", "{\"d\":{\"m\":{\"O\":3}},\"t\":1}", "{\"s\":{}}", "{\"x\":1}"] {
        let broken = [lines[0], lines[1], bad, lines[3], ""].join("\n");
        let mut reader = Reader::new(broken.as_bytes()).unwrap();
        assert!(reader.next().unwrap().is_ok());
        let fault = reader.next().unwrap().unwrap_err();
        assert!(matches!(fault, RecordingError::Malformed { line: 3, .. }), "{bad}: {fault:?}");
        assert!(reader.next().is_none());
    }
    let headless = [lines[0], lines[2], ""].join("\n");
    assert!(matches!(read(headless.as_bytes()), Err(RecordingError::Malformed { line: 2, .. })));
}

#[test]
fn another_format_or_version_is_refused() {
    assert!(matches!(read(&[]), Err(RecordingError::NoLine)));
    for other in ["rubbish\n", "{\"format\":\"something else\",\"version\":1}\n"] {
        assert!(matches!(read(other.as_bytes()), Err(RecordingError::NotARecording)), "{other}");
    }
    let newer = "{\"format\":\"plimsoll recording\",\"version\":9,\"new\":{}}\n";
    let fault = read(newer.as_bytes()).unwrap_err();
    assert!(matches!(fault, RecordingError::Version { found: 9 }));
    let told = fault.to_string();
    assert!(told.contains("format 9") && told.contains(&format!("reads {VERSION}")), "{told}");
}

#[test]
fn hostile_text_does_not_get_in() {
    let mut sample = at_rest(0);
    let table = sample.processes.as_mut().unwrap();
    table.others[0].name = "a\u{1b}[31mb\u{202e}c".into();
    let first = at_rest(0);
    let entries = samples(read(&written(&[first, sample])).unwrap());
    assert_eq!(entries[1].processes.as_ref().unwrap().others[0].name, "a[31mbc");
}

fn playback(speed: f64) -> Playback {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &host()).unwrap();
    writer.write_sample(&at_rest(0)).unwrap();
    writer.write_report(&report(10, ReportBody::Version(Ok("0.33.0".into())))).unwrap();
    writer.write_report(&loaded(10, "tiny")).unwrap();
    writer.write_sample(&at_rest(1)).unwrap();
    writer.write_sample(&at_rest(2)).unwrap();
    writer.write_report(&loaded(2_500, "large")).unwrap();
    writer.write_sample(&at_rest(3)).unwrap();
    Playback::new(Reader::new(std::io::Cursor::new(file)).unwrap(), speed).unwrap()
}

fn told_at(ms: u64, tick: u64) -> Sample {
    let sample = at_rest(tick);
    Sample { at: Moment::new(sample.at.wall, Monotonic::from_millis(ms)), ..sample }
}

#[tokio::test]
async fn sensors_and_runtime_play_the_same_moment() {
    let playback = playback(1.0);
    let mut sensors = ReplaySensors::new(playback.clone());
    let runtime = ReplayRuntime::new(playback.clone());
    let mut at = |ms| sensors.read(&Want::default(), moment(ms));
    let model = |name: &str| vec![ModelName::new(name)];
    let names = async || {
        let loaded = runtime.loaded().await.unwrap();
        loaded.into_iter().map(|model| model.name).collect::<Vec<_>>()
    };
    assert_eq!(at(70_000), told_at(70_000, 0));
    assert!(runtime.version().await.is_err());
    assert_eq!(at(71_500), told_at(71_500, 1));
    assert_eq!(runtime.version().await, Ok("0.33.0".into()));
    assert_eq!(names().await, model("tiny"));
    assert_eq!(at(72_900), told_at(72_900, 2));
    assert_eq!(names().await, model("large"));
    assert!(!playback.has_ended());
    assert_eq!(at(99_000), told_at(99_000, 3));
    assert!(playback.has_ended());
    assert_eq!(at(100_000), told_at(100_000, 3));
    assert_eq!((playback.fault(), sensors.host()), (None, host()));
    assert!(runtime.endpoint().is_loopback);
}

#[test]
fn it_can_be_played_faster() {
    let mut sensors = ReplaySensors::new(playback(10.0));
    sensors.read(&Want::default(), moment(0));
    assert_eq!(sensors.read(&Want::default(), moment(210)), told_at(210, 2));
}

#[tokio::test]
async fn a_recording_cannot_be_changed() {
    let runtime = ReplayRuntime::new(playback(1.0));
    let options = LoadOptions { keep: Keep::Default, context: None, embeds: false };
    let refused = RuntimeFault::new(RuntimeFaultKind::NotAllowed, "a recording cannot be changed");
    assert_eq!(runtime.unload(&ModelName::new("tiny")).await, Err(refused.clone()));
    assert_eq!(runtime.load(&ModelName::new("tiny"), options).await, Err(refused));
}

#[test]
fn a_recording_without_a_sample_is_no_playback() {
    let file = written(&[]);
    let reader = Reader::new(std::io::Cursor::new(file)).unwrap();
    assert!(matches!(Playback::new(reader, 1.0), Err(RecordingError::Empty)));
}

#[test]
fn a_damaged_recording_plays_up_to_the_damage_and_says_so() {
    let mut file = written(&(0..200).map(at_rest).collect::<Vec<_>>());
    file.extend(b"rubbish\n");
    let reader = Reader::new(std::io::Cursor::new(file)).unwrap();
    let playback = Playback::new(reader, 1.0).unwrap();
    playback.sample_at(Monotonic::from_millis(0));
    let last = playback.sample_at(Monotonic::from_millis(900_000));
    assert_eq!(last, at_rest(199));
    assert!(playback.fault().unwrap().starts_with("line 202 of the recording"));
}

// Arbitrary samples. Stalls are hundredths, as the kernel prints them.

fn reading<T: std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Reading<T>> {
    let fault = prop_oneof![Just(FaultKind::Absent), Just(FaultKind::Failed)]
        .prop_flat_map(|kind| "[a-z]{1,8}".prop_map(move |text| SensorFault::new(kind, text)));
    prop_oneof![4 => value.prop_map(Ok), 1 => fault.prop_map(Err)].boxed()
}

fn size() -> BoxedStrategy<Bytes> {
    prop_oneof![0..4_u64, any::<u64>()].prop_map(Bytes::new).boxed()
}

fn any_stall() -> impl Strategy<Value = Stall> {
    (0..10_000_u32, 0..10_000_u32, 0..10_000_u32, any::<u64>()).prop_map(|(a, b, c, total_us)| {
        let share = |hundredths: u32| f64::from(hundredths) / 100.0;
        Stall { avg10: share(a), avg60: share(b), avg300: share(c), total_us }
    })
}

fn any_memory() -> impl Strategy<Value = Memory> {
    let linux = (of(size()), of(size()), of(size()), of(size())).prop_map(
        |(anonymous, cached, shared, slab_unreclaimable)| MemoryParts::Linux {
            anonymous,
            cached,
            shared,
            slab_unreclaimable,
        },
    );
    let mac = (size(), size(), size(), size()).prop_map(|(app, wired, compressed, cached)| {
        MemoryParts::Mac { app, wired, compressed, cached }
    });
    let source = prop_oneof![Just(AvailableSource::Kernel), Just(AvailableSource::Cgroup)];
    (size(), size(), size(), source, prop_oneof![linux, mac]).prop_map(
        |(total, available, free, available_source, parts)| Memory {
            total,
            available,
            free,
            available_source,
            parts,
        },
    )
}

fn any_process(pid: u32) -> impl Strategy<Value = Process> {
    let role = prop_oneof![
        (of("[a-z0-9.:]{1,9}"), of(any::<bool>())).prop_map(|(host, listens)| {
            ProcessRole::Server { host, listens, environment: Vec::new() }
        }),
        Just(ProcessRole::Runner(Box::new(runner_arguments()))),
        Just(ProcessRole::Other),
    ];
    let memory = (of(size()), of(size()), of(size()), of(size())).prop_map(
        |(resident, anonymous, swapped, proportional)| ProcessMemory {
            resident,
            anonymous,
            swapped,
            proportional,
            ..ProcessMemory::default()
        },
    );
    let cpu = of((0..9_u64, 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)));
    (0..3_u64, "[a-z]{1,5}", role, memory, cpu, (any::<bool>(), vec("[a-z]{1,3}", 0..3))).prop_map(
        move |(started, name, role, memory, cpu, (is_zombie, matched))| Process {
            key: ProcessKey { pid, started },
            parent: 1,
            name,
            role,
            uid: Some(1000),
            memory,
            cpu,
            is_zombie,
            matched,
        },
    )
}

/// Few pids, so that they come, go, stay, change their place and are reused.
fn any_processes() -> impl Strategy<Value = Vec<Process>> {
    vec(7..14_u32, 0..6).prop_flat_map(|pids| {
        let mut seen = BTreeSet::new();
        let once: Vec<u32> = pids.into_iter().filter(|pid| seen.insert(*pid)).collect();
        once.into_iter().map(|pid| any_process(pid).boxed()).collect::<Vec<_>>()
    })
}

fn any_table() -> impl Strategy<Value = ProcessTable> {
    let numbers = (of(size()), of(any::<u32>()));
    (any_processes(), any_processes(), any_processes(), any_processes(), numbers).prop_map(
        |(servers, runners, others, named, (rest, count))| ProcessTable {
            servers,
            runners,
            others,
            rest,
            count,
            reapers: vec![1],
            named,
        },
    )
}

fn any_group() -> impl Strategy<Value = Group> {
    let sizes = (of(size()), of(size()), of(size()));
    let rest = (of(any::<u64>()), of(0..100_u32), any::<bool>());
    ("[a-z]{1,5}", any::<bool>(), sizes, rest).prop_map(
        |(name, is_user, (used, swapped, limit), (oom_kills, stalled, is_paused))| Group {
            kind: GroupKind::Unit { is_user },
            name,
            used,
            swapped,
            limit,
            oom_kills,
            stalled: stalled.map(f64::from),
            is_paused,
        },
    )
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let wall =
        (-1_000_000_000_000_i64..4_000_000_000_000, 0..1_000_000_i64).prop_map(|(ms, ns)| {
            Wall::from_nanosecond(i128::from(ms) * 1_000_000 + i128::from(ns)).unwrap()
        });
    let at = (wall, any::<u64>())
        .prop_map(|(wall, mono)| Moment::new(wall, Monotonic::from_millis(mono)));
    let swap = (size(), size()).prop_map(|(total, used)| Swap { total, used });
    let pressure =
        (any_stall(), of(any_stall())).prop_map(|(some, full)| Pressure::Psi { some, full });
    let paging = (of(size()), of(any::<u64>())).prop_map(|(swapped_in, major_faults)| Paging {
        swapped_in,
        major_faults,
        ..Paging::default()
    });
    let zram = (size(), size()).prop_map(|(stored, taken)| Zram { stored, taken });
    let limit = (size(), size(), "[a-z]{1,5}").prop_map(|(limit, used, source)| MemoryLimit {
        limit,
        used,
        source,
    });
    let gpu = ("[a-z]{1,5}", size(), of(size()), any::<bool>())
        .prop_map(|(name, total, used, unified)| Gpu { name, total, used, unified });
    let first = (at, reading(any_memory()), reading(swap), reading(pressure), reading(paging));
    let third = (reading(any_table()), reading(vec(any_group(), 0..3)));
    let second = (reading(zram), reading(limit), reading(vec(gpu, 0..3)), third);
    (first, second).prop_map(
        |((at, memory, swap, pressure, paging), (zram, limit, gpus, (processes, groups)))| Sample {
            at,
            memory,
            swap,
            pressure,
            paging,
            zram,
            limit,
            gpus,
            processes,
            groups,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_exactly(mut sequence in vec(any_sample(), 0..7)) {
        // In order, as samples are; a clock set back in between is a case too.
        if sequence.len() % 2 == 0 {
            sequence.sort_by_key(|sample| sample.at.mono);
        }
        prop_assert_eq!(samples(read(&written(&sequence)).unwrap()), sequence);
    }

    #[test]
    fn no_rubbish_makes_it_panic(lines in vec("[\\[\\]{}:,a-zO\"0-9-]{0,40}", 0..6)) {
        let mut file = String::from_utf8(written(&[at_rest(0)])).unwrap();
        file.push_str(&lines.join("\n"));
        let _ = read(file.as_bytes());
    }
}
