//! What the config names, as the Linux sensors find it: processes, containers
//! and services, on recorded and built trees and on the machine itself.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a tree that cannot be built fails its test")]

#[path = "support/proc_tree.rs"]
#[expect(dead_code, reason = "shared with the tests of the sensors, which use all of it")]
mod proc_tree;

#[path = "support/machine.rs"]
mod machine;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::fault::FaultKind;
use plimsoll::domain::group::{Group, GroupKind};
use plimsoll::domain::process::{Process, ProcessKey, ProcessTable};
use plimsoll::domain::rule::Named;
use plimsoll::domain::sample::no_groups;
use plimsoll::sense::linux::LinuxSensors;
use plimsoll::sense::naming::MOST_NAMED;
use plimsoll::sense::{Sensors, Want};

use proc_tree::{Tree, at, copy, table};

/// The container of the recorded tree.
const ID: &str = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";

fn naming(patterns: &[&str]) -> Want {
    let named: Arc<[Named]> = patterns.iter().filter_map(|text| Named::parse(text)).collect();
    assert_eq!(named.len(), patterns.len());
    Want { named, largest: 5, ..Want::default() }
}

fn pids(processes: &[Process]) -> Vec<u32> {
    processes.iter().map(|process| process.key.pid).collect()
}

fn matched(table: &ProcessTable, pid: u32) -> Vec<String> {
    table.find_pid(pid).unwrap().matched.clone()
}

/// A recorded machine with other programs beside its model server.
fn busy() -> Tree {
    let tree = Tree::recorded("0.33.0-rc2");
    tree.start(201, [b"jellyfin", b"/usr/bin/jellyfin\0--datadir=/srv\0"], 1000);
    tree.start(202, [b"python3", b"python3\0-m\0vllm.server\0--key\0hunter2\0"], 2000);
    tree.start(203, [b"python3", b"python3\0-m\0http.server\0"], 3000);
    tree.start(204, [b"a-very-long-pro", b"/opt/a-very-long-program\0"], 10);
    tree
}

#[test]
fn what_is_named_is_found_split_and_in_no_other_list() {
    let tree = busy();
    let want = Want {
        all_processes: true,
        ..naming(&["process:jelly*", "cmdline:*-m vllm*", "process:a-very-long-program"])
    };
    let sample = tree.sensors().read(&want, at(0));
    assert!(!serde_json::to_string(&sample).unwrap().contains("hunter2"));
    let table = table(sample);
    assert_eq!(pids(&table.named), [201, 202, 204]);
    assert!(pids(&table.others).contains(&203));
    let elsewhere = [&table.others, &table.servers, &table.runners];
    assert!(elsewhere.iter().all(|list| !pids(list).iter().any(|pid| [201, 202].contains(pid))));
    assert_eq!(matched(&table, 201), [""; 0]);
    assert_eq!(matched(&table, 202), ["*-m vllm*"]);
    let python = table.find_pid(202).unwrap();
    assert_eq!(python.memory.anonymous, Some(Bytes::kib(8000)));
    assert!(python.cpu.is_some() && python.name == "python3");
    assert_eq!(table.find_pid(204).unwrap().name, "a-very-long-program");
}

#[test]
fn what_is_named_is_read_anew_and_goes_when_it_ends() {
    let tree = busy();
    let want = naming(&["process:jellyfin"]);
    let mut sensors = tree.sensors();
    let mut read = |seconds| table(sensors.read(&want, at(seconds))).named;
    assert_eq!(read(0)[0].memory.anonymous, Some(Bytes::kib(4000)));
    tree.start(201, [b"jellyfin", b"jellyfin\0"], 7000);
    assert_eq!(read(1)[0].memory.anonymous, Some(Bytes::kib(28_000)));
    tree.end(201);
    assert_eq!(read(2), []);
    // Its number is given to a stranger, and then to another one of its name.
    tree.start(201, [b"cat", b"cat\0"], 7000);
    tree.newest(201);
    assert_eq!(read(3), []);
    tree.end(201);
    tree.newest(200);
    assert_eq!(read(4), []);
    tree.start(201, [b"jellyfin", b"jellyfin\0"], 10);
    tree.newest(201);
    assert_eq!(read(5)[0].key, ProcessKey { pid: 201, started: 900_000 });
}

#[test]
fn one_that_becomes_another_program_is_let_go_of_at_once() {
    let tree = busy();
    let want = naming(&["process:jelly*"]);
    let mut sensors = tree.sensors();
    let mut read = |seconds| table(sensors.read(&want, at(seconds))).named;
    assert_eq!(pids(&read(0)), [201]);
    assert_eq!(pids(&read(20)), [201]);
    // No longer young, and no look at everything is due.
    tree.start(201, [b"jellybean", b"jellybean\0"], 1000);
    assert_eq!(read(21)[0].name, "jellybean");
    tree.start(201, [b"editor", b"editor\0"], 1000);
    assert_eq!(read(22), []);
}

#[test]
fn a_new_one_is_found_without_a_look_at_everything() {
    let tree = busy();
    tree.newest(13050);
    let want = naming(&["cmdline:*jellyfin*"]);
    let mut sensors = tree.sensors();
    let mut read = |seconds| pids(&table(sensors.read(&want, at(seconds))).named);
    assert_eq!(read(0), [201]);
    tree.start(13060, [b"sh", b"sh\0-c\0exec jellyfin-web\0"], 10);
    tree.newest(13060);
    assert_eq!(read(1), [201, 13060]);
    // It becomes something else; it is young, and looked at again.
    tree.start(13060, [b"cat", b"cat\0"], 10);
    assert_eq!(read(2), [201]);
}

#[test]
fn a_look_at_everything_sees_what_became_another_program() {
    let tree = busy();
    let want = naming(&["process:jellyfin"]);
    let all = Want { all_processes: true, ..want.clone() };
    let mut sensors = tree.sensors();
    let mut read = |want: &Want, seconds| pids(&table(sensors.read(want, at(seconds))).named);
    assert_eq!(read(&all, 0), [201]);
    tree.start(201, [b"cat", b"cat\0"], 1000);
    tree.start(203, [b"jellyfin", b"jellyfin\0"], 3000);
    assert_eq!(read(&want, 20), [0; 0], "nothing new was made");
    assert_eq!(read(&all, 21), [203]);
}

#[test]
fn another_config_is_another_look() {
    let tree = busy();
    let mut sensors = tree.sensors();
    let mut read = |patterns: &[&str], seconds| {
        pids(&table(sensors.read(&naming(patterns), at(seconds))).named)
    };
    assert_eq!(read(&[], 0), [0; 0]);
    assert_eq!(read(&["process:python3"], 1), [202, 203]);
    assert_eq!(read(&["process:jellyfin", "cmdline:*http.server*"], 2), [201, 203]);
    assert_eq!(read(&["unit:x"], 3), [0; 0]);
}

#[test]
fn a_runner_stays_one_and_knows_the_patterns_it_matches() {
    let tree = busy();
    let want = naming(&["process:llama-server", "cmdline:*--port 46601*"]);
    let mut sensors = tree.sensors();
    let found = table(sensors.read(&want, at(0)));
    assert_eq!((pids(&found.runners), found.named.len()), (vec![13003, 13019], 0));
    assert_eq!(matched(&found, 13003), ["*--port 46601*"]);
    let found = table(sensors.read(&naming(&["cmdline:*44137*"]), at(1)));
    assert_eq!(matched(&found, 13003), [""; 0]);
    assert_eq!(matched(&found, 13019), ["*44137*"]);
}

#[test]
fn a_pattern_that_names_everything_is_bounded() {
    let tree = busy();
    for pid in 300..300 + 2 * MOST_NAMED as u32 {
        tree.start(pid, [b"sh", b"sh\0"], 10);
    }
    // A thread under its own number is none.
    tree.start(299, [b"sh", b"sh\0"], 10);
    let status = tree.text("proc/299/status").replace("Tgid:\t299", "Tgid:\t300");
    tree.write("proc/299/status", status);
    let named = table(tree.sensors().read(&naming(&["process:sh"]), at(0))).named;
    assert_eq!(named.len(), MOST_NAMED);
    assert!(!pids(&named).contains(&299));
}

/// Where samples come ten times a second, what is new is followed as long as
/// where they come once.
#[test]
fn a_late_start_is_seen_in_fast_samples_too() {
    use plimsoll::domain::time::{Moment, Monotonic, Wall};
    let tree = busy();
    tree.newest(13050);
    let want = naming(&["process:jellyfin"]);
    let mut sensors = tree.sensors();
    let mut read = |millis| {
        let now = Moment::new(Wall::default(), Monotonic::from_millis(millis));
        pids(&table(sensors.read(&want, now)).named)
    };
    assert_eq!(read(0), [201]);
    tree.start(13060, [b"sh", b"sh\0start.sh\0"], 10);
    tree.newest(13060);
    for tenth in 1..20 {
        assert_eq!(read(tenth * 100), [201]);
    }
    tree.start(13060, [b"jellyfin", b"jellyfin\0"], 10);
    assert!((20..40).any(|tenth| read(tenth * 100) == [201, 13060]));
}

const CGROUP: &str = "sys/fs/cgroup";

/// The groups of a container on a host with version 1, as recorded beside a
/// Docker of its own.
fn recorded_container() -> Tree {
    let tree = busy();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/proc/docker-cgroup-v1");
    copy(&source, &tree.path(CGROUP));
    tree
}

fn groups(sensors: &mut LinuxSensors, patterns: &[&str], seconds: u64) -> Vec<Group> {
    sensors.read(&naming(patterns), at(seconds)).groups.unwrap()
}

fn names(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(|group| group.name.as_str()).collect()
}

#[test]
fn a_recorded_container_is_read_and_named_by_its_engine() {
    let tree = recorded_container();
    let socket = tree.path("var/run/docker.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let answer = tree.text(&format!("{CGROUP}/containers.http"));
    let engine = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 512];
        let length = stream.read(&mut question).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&question[..length]).into_owned()
    });
    let mut sensors = tree.sensors();
    let found = groups(&mut sensors, &["container:sense-*"], 0);
    let mut expected = Group {
        kind: GroupKind::Container { id: ID.to_owned() },
        name: "sense-probe".to_owned(),
        used: Some(Bytes::new(35_151_872 - 733_184)),
        swapped: Some(Bytes::ZERO),
        limit: Some(Bytes::mib(128)),
        oom_kills: Some(0),
        stalled: Some(0.0),
        is_paused: false,
    };
    let usage: u64 = tree.text(&file("memory.usage_in_bytes")).trim().parse().unwrap();
    let stat = tree.text(&file("memory.stat"));
    let inactive = stat.lines().find_map(|line| line.strip_prefix("total_inactive_file "));
    let used = Bytes::new(usage - inactive.unwrap().parse::<u64>().unwrap());
    expected.used = Some(used);
    assert_eq!(found, [expected.clone()]);
    assert!(engine.join().unwrap().starts_with("GET /containers/json HTTP/1.1\r\n"));

    tree.write(&format!("{CGROUP}/freezer/docker/{ID}/freezer.state"), "FROZEN\n");
    tree.write(&file("memory.limit_in_bytes"), "9223372036854771712\n");
    tree.write(&file("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    tree.write(&file("memory.stat"), "swap 1\ntotal_swap 4096\n");
    let pressure = "some avg10=12.50 avg60=0.00 avg300=0.00 total=9\n";
    tree.write(&format!("{CGROUP}/unified/docker/{ID}/memory.pressure"), pressure);
    let expected = Group {
        used: Some(Bytes::new(usage)),
        swapped: Some(Bytes::kib(4)),
        limit: None,
        oom_kills: Some(3),
        stalled: Some(12.5),
        is_paused: true,
        ..expected
    };
    assert_eq!(groups(&mut sensors, &["container:sense-*"], 1), [expected]);
}

fn file(name: &str) -> String {
    format!("{CGROUP}/memory/docker/{ID}/{name}")
}

#[test]
fn without_an_engine_a_container_goes_by_its_id() {
    let tree = recorded_container();
    let mut sensors = tree.sensors();
    for (seconds, pattern) in ["d5213675ecc0", ID, "d52136*"].into_iter().enumerate() {
        let pattern = format!("container:{pattern}");
        let found = groups(&mut sensors, &[&pattern], seconds as u64);
        assert_eq!(names(&found), ["d5213675ecc0"]);
    }
    assert!(groups(&mut sensors, &["container:sense-*", "unit:*"], 9).is_empty());
}

#[test]
fn a_group_that_ends_leaves_and_is_found_again() {
    let tree = recorded_container();
    let mut sensors = tree.sensors();
    let mut read = |seconds| groups(&mut sensors, &["container:d52*"], seconds).len();
    assert_eq!(read(0), 1);
    let folder = format!("{CGROUP}/memory/docker/{ID}");
    fs::write(tree.path(&file("memory.usage_in_bytes")), "").unwrap();
    fs::remove_dir_all(tree.path(&folder)).unwrap();
    assert_eq!(read(1), 0);
    let fixture = "tests/fixtures/proc/docker-cgroup-v1/memory";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    copy(&source, &tree.path(&format!("{CGROUP}/memory")));
    assert_eq!(read(2), 1, "what has gone is soon looked for");
}

/// A group of version 2.
fn unified(tree: &Tree, folder: &str, current: u64) {
    let write = |name: &str, text: &str| tree.write(&format!("{CGROUP}/{folder}/{name}"), text);
    write("memory.current", &format!("{current}\n"));
    write("memory.stat", "anon 1\nfile 4096\ninactive_file 4096\n");
    write("memory.max", "max\n");
    write("memory.swap.current", "8192\n");
    write("memory.events", "low 0\nhigh 0\nmax 0\noom 1\noom_kill 2\noom_group_kill 0\n");
    write("cgroup.freeze", "0\n");
}

#[test]
fn services_and_pods_of_version_two_are_read() {
    let tree = busy();
    let uid = rustix::process::getuid().as_raw();
    tree.write(&format!("{CGROUP}/cgroup.controllers"), "cpu io memory pids\n");
    let other = if uid == 7 { 8 } else { 7 };
    let pod = format!("kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope");
    let podman = ID.replace("d52", "abc");
    let rootless = format!("user.slice/user-{uid}.slice/user@{uid}.service/user.slice");
    unified(&tree, "system.slice/jellyfin.service", 5000);
    unified(
        &tree,
        &format!("user.slice/user-{uid}.slice/user@{uid}.service/app.slice/jelly.scope"),
        9,
    );
    unified(&tree, &format!("user.slice/user-{other}.slice/user@{other}.service/jelly.scope"), 9);
    unified(&tree, &pod, 1 << 30);
    let payload = format!("{rootless}/libpod-{podman}.scope");
    unified(&tree, &payload, 1 << 20);
    tree.write(&format!("{CGROUP}/{payload}/container/cgroup.freeze"), "1\n");
    let mut sensors = tree.sensors();
    let found = groups(&mut sensors, &["unit:jelly*", "container:*"], 0);
    assert_eq!(names(&found), ["abc13675ecc0", "d5213675ecc0", "jelly.scope", "jellyfin.service"]);
    let service = Group {
        kind: GroupKind::Unit { is_user: false },
        name: "jellyfin.service".to_owned(),
        used: Some(Bytes::new(904)),
        swapped: Some(Bytes::kib(8)),
        limit: None,
        oom_kills: Some(2),
        stalled: None,
        is_paused: false,
    };
    assert_eq!(found[3], service);
    assert_eq!(found[2].kind, GroupKind::Unit { is_user: true });
    assert_eq!(found[2].used, Some(Bytes::ZERO), "cache beyond what is used at all");
    assert!(found[0].is_paused && !found[1].is_paused);
    assert_eq!(found[1].kind, GroupKind::Container { id: ID.to_owned() });
}

#[test]
fn groups_are_looked_at_only_where_some_are_named() {
    let tree = busy();
    let mut sensors = tree.sensors();
    let mut read = |patterns: &[&str]| sensors.read(&naming(patterns), at(0)).groups;
    assert_eq!(read(&["process:x", "cmdline:y"]), no_groups());
    let fault = read(&["unit:x"]).unwrap_err();
    assert_eq!(
        (fault.kind, fault.detail.as_str()),
        (FaultKind::Absent, "no control groups with memory")
    );
    assert_eq!(read(&[]), no_groups());
}

#[test]
fn the_engine_asks_for_what_its_config_names() {
    use plimsoll::engine::input::{ComponentRule, Effect, Past, Settings};
    use plimsoll::engine::state::State;
    use plimsoll::policy::limits::Profile;

    let asked = |patterns: &[&str]| {
        let rule = |pattern: &&str| ComponentRule {
            pattern: (*pattern).to_owned(),
            ..ComponentRule::default()
        };
        let components = patterns.iter().map(rule).collect();
        let settings = Settings { components, ..machine::settings(Profile::Linux15) };
        let (_, effects) = State::new(settings, Past::default(), at(0));
        let pace = effects.into_iter().find_map(|effect| match effect {
            Effect::Pace(pace) => Some(pace),
            _ => None,
        });
        pace.unwrap().want.named
    };
    assert_eq!(asked(&["model:*"]), Arc::default());
    let patterns = ["process:chrome*", "model:x", "container:web"];
    assert_eq!(asked(&patterns), naming(&["process:chrome*", "container:web"]).named);
}

/// Patterns that match nothing make a sample no dearer than no patterns.
#[cfg(target_os = "linux")]
#[test]
fn what_is_not_there_costs_no_system_call() {
    let tree = recorded_container();
    let reads = |patterns: &[&str]| -> u64 {
        let mut sensors = tree.sensors();
        let want = naming(patterns);
        let counted = || -> u64 {
            let text = fs::read_to_string("/proc/thread-self/io").unwrap();
            let count = text.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap();
            count.parse().unwrap()
        };
        // What is young is looked at in the first seconds.
        (0..6).for_each(|seconds| drop(sensors.read(&want, at(seconds))));
        let before = counted();
        sensors.read(&want, at(7));
        counted() - before
    };
    let nothing = reads(&[]);
    assert!(nothing > 0);
    assert_eq!(reads(&["process:none", "cmdline:none"]), nothing);
    assert_eq!(reads(&["container:none", "unit:none"]), nothing);
    assert_eq!(reads(&["process:jellyfin"]), nothing + 2, "its stat and its status");
    assert_eq!(reads(&["container:*"]), nothing + 7);
}
