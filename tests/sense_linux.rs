//! The Linux sensors on recorded trees, on trees with faults, and on the
//! machine the tests run on.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a tree that cannot be built fails its test")]

#[path = "support/proc_tree.rs"]
mod proc_tree;

use std::fs;
use std::time::Duration;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::fault::{FaultKind, SensorFault};
use plimsoll::domain::process::{MeasuredSource, ProcessKey, ProcessRole, RunnerProgram};
use plimsoll::domain::sample::{AvailableSource, Gpu, MemoryLimit, Paging, Sample, Swap, Zram};
use plimsoll::sense::linux::LinuxSensors;
use plimsoll::sense::{Sensors, Want};

use proc_tree::{Tree, at, table};

const BIG: &str = "58960fa646a2a2b6b403f939e3791e09f0f6ee681219a6d79e2fda0570150a93";
const SMALL: &str = "1e98eaef884c0e3b8b7fc917b09c5c84ab36fd6199c3ea706769c4806742aeb0";

fn pids(sample: &Sample) -> Vec<u32> {
    let table = sample.processes.as_ref().unwrap();
    table.servers.iter().chain(&table.runners).map(|process| process.key.pid).collect()
}

#[test]
fn a_recorded_machine_with_llama_servers_is_read_whole() {
    let tree = Tree::recorded("0.33.0-rc2");
    let want = Want { server_port: Some(11434), ..Want::default() };
    let sample = tree.sensors().read(&want, at(0));
    let memory = sample.memory.clone().unwrap();
    assert_eq!(memory.total, Bytes::kib(24_684_092));
    assert_eq!(memory.available, Bytes::kib(22_203_928));
    assert_eq!(memory.available_source, AvailableSource::Kernel);
    assert_eq!(sample.swap, Err(SensorFault::absent("no swap")));
    assert_eq!(sample.zram, Err(SensorFault::absent("no zram")));
    assert_eq!(sample.gpus.as_ref().unwrap_err().kind, FaultKind::Absent);
    assert_eq!(sample.limit.as_ref().unwrap_err().kind, FaultKind::Absent);
    assert!(sample.pressure.is_ok());
    assert!(sample.paging.as_ref().is_ok_and(|paging| paging.oom_kills.is_some()));

    let table = table(sample);
    let [server] = &table.servers[..] else { panic!("{:?}", table.servers) };
    assert_eq!(server.key, ProcessKey { pid: 12972, started: 812_627 });
    let role = ProcessRole::Server {
        host: Some("127.0.0.1:11434".to_owned()),
        listens: Some(true),
        environment: vec![(
            "OLLAMA_MODELS".to_owned(),
            "/usr/share/ollama/.ollama/models".to_owned(),
        )],
    };
    assert_eq!(server.role, role);
    let [small, big] = &table.runners[..] else { panic!("{:?}", table.runners) };
    for (runner, blob, port) in [(small, SMALL, 46601), (big, BIG, 44137)] {
        let ProcessRole::Runner(found) = &runner.role else { panic!("{runner:?}") };
        assert_eq!(found.program, RunnerProgram::LlamaServer);
        assert_eq!(found.blob.as_ref().map(|blob| blob.as_str()), Some(blob));
        assert_eq!((found.port, found.context, found.parallel), (Some(port), Some(4096), Some(1)));
        assert_eq!(found.in_ollama_folder, Some(true));
        assert_eq!((runner.parent, runner.uid), (12972, Some(0)));
    }
    let measured = small.memory.measured();
    assert_eq!(measured, Some((Bytes::kib(373_396 + 14_328), MeasuredSource::Status)));
    assert_eq!(small.cpu, Some(Duration::from_millis(1600)));
    assert_eq!(table.count, Some(4));
}

#[test]
fn a_recorded_machine_with_ollama_runners_is_read() {
    let sample = Tree::recorded("0.24.0").sample();
    assert_eq!(pids(&sample), [13096, 13121, 13133]);
    let table = table(sample);
    let ProcessRole::Runner(found) = &table.runners[1].role else { panic!() };
    assert_eq!(found.program, RunnerProgram::OllamaRunner);
    assert_eq!(found.blob.as_ref().map(|blob| blob.as_str()), Some(BIG));
    assert_eq!((found.port, found.in_ollama_folder), (Some(36553), Some(true)));
    assert!(matches!(table.servers[0].role, ProcessRole::Server { listens: None, .. }));
}

#[test]
fn a_servers_settings_are_read_once_and_nothing_beside_them() {
    let tree = Tree::recorded("0.33.0-rc2");
    let environ = "proc/12972/environ";
    tree.write(
        environ,
        "HOME=/home/a\0OLLAMA_NUM_PARALLEL=4\0OLLAMA_API_KEY=hunter2\0LLAMA_ARG_CACHE_RAM=512\0",
    );
    let mut sensors = tree.sensors();
    let mut settings =
        |seconds| match &table(sensors.read(&Want::default(), at(seconds))).servers[0].role {
            ProcessRole::Server { environment, .. } => environment.clone(),
            other => panic!("{other:?}"),
        };
    let expected = [("OLLAMA_NUM_PARALLEL", "4"), ("LLAMA_ARG_CACHE_RAM", "512")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(settings(0), expected);
    tree.write(environ, "OLLAMA_NUM_PARALLEL=8\0");
    assert_eq!(settings(1), expected, "no process changes what it was started with");
}

#[test]
fn a_tunnel_that_holds_the_port_is_not_the_server() {
    let tree = Tree::recorded("0.33.0-rc2");
    let mut sensors = tree.sensors();
    let mut listens = |port, seconds| {
        let want = Want { server_port: port, ..Want::default() };
        match &table(sensors.read(&want, at(seconds))).servers[0].role {
            ProcessRole::Server { listens, .. } => *listens,
            other => panic!("{other:?}"),
        }
    };
    // A socket that listens there, and belongs to a runner.
    assert_eq!(listens(Some(46601), 0), Some(false));
    assert_eq!(listens(Some(11434), 1), Some(true));
    assert_eq!(listens(None, 2), None);
    fs::remove_dir_all(tree.path("proc/12972/fd")).unwrap();
    assert_eq!(listens(Some(11434), 3), None, "descriptors that cannot be read tell nothing");
}

#[test]
fn a_broken_meminfo_is_a_fault_and_the_rest_goes_on() {
    let tree = Tree::recorded("0.33.0-rc2");
    let whole = tree.text("proc/meminfo");
    let mut sensors = tree.sensors();
    let mut read = || sensors.read(&Want::default(), at(0));
    let good = read().memory.unwrap();
    for broken in ["", "MemTotal:       246", "MemTotal: -4 kB\nMemFree: 1 kB\n", "\0\u{1b}[2J"] {
        tree.write("proc/meminfo", broken);
        let sample = read();
        let fault = sample.memory.unwrap_err();
        assert!(fault.detail.starts_with("/proc/meminfo: "), "{fault}");
        assert_eq!(fault.kind, FaultKind::Malformed, "{broken:?}");
        assert!(sample.swap.is_err() && sample.pressure.is_ok() && sample.processes.is_ok());
    }
    let long = format!("{}{whole}", "Unknown_line:    7 kB\n".repeat(3_000));
    tree.write("proc/meminfo", long);
    assert_eq!(read().memory.unwrap(), good);
    fs::write(tree.path("proc/meminfo"), "").unwrap();
    fs::remove_file(tree.path("proc/meminfo")).unwrap();
    let gone = SensorFault::new(FaultKind::Failed, "/proc/meminfo: no such file");
    assert_eq!(read().memory, Err(gone));
    tree.write("proc/meminfo", whole);
    assert_eq!(read().memory.unwrap(), good);
}

#[test]
fn the_fallback_is_near_the_kernels_own_figure() {
    for version in ["0.33.0-rc2", "0.24.0"] {
        let tree = Tree::recorded(version);
        let kernel = tree.sample().memory.unwrap().available.get() as f64;
        tree.write("proc/meminfo", tree.text("proc/meminfo").replace("MemAvailable", "Mem"));
        let memory = tree.sample().memory.unwrap();
        assert_eq!(memory.available_source, AvailableSource::Fallback);
        assert!((memory.available.get() as f64 / kernel - 1.0).abs() < 0.05);
    }
}

#[test]
fn swap_and_zram_come_and_go() {
    let tree = Tree::recorded("0.33.0-rc2");
    let mut sensors = tree.sensors();
    let mut read = |seconds| sensors.read(&Want::default(), at(seconds));
    assert!(read(0).swap.is_err());
    let with_swap = tree
        .text("proc/meminfo")
        .replace("SwapTotal:             0", "SwapTotal:       1048576")
        .replace("SwapFree:              0", "SwapFree:        1000000");
    let without = tree.text("proc/meminfo");
    tree.write("proc/meminfo", with_swap);
    tree.write("sys/block/zram0/disksize", "1073741824\n");
    tree.write("sys/block/zram0/mm_stat", "1000 300 400 0 500 0 0 0 0\n");
    tree.write("sys/block/zram1/disksize", "0\n");
    tree.write("sys/block/zram1/mm_stat", "9 9 9 0 9 0 0 0 0\n");
    let sample = read(61);
    let swap = Swap { total: Bytes::gib(1), used: Bytes::kib(48_576) };
    assert_eq!(sample.swap, Ok(swap));
    assert_eq!(sample.zram, Ok(Zram { stored: Bytes::new(1000), taken: Bytes::new(400) }));
    tree.write("proc/meminfo", without);
    fs::remove_dir_all(tree.path("sys/block")).unwrap();
    let sample = read(122);
    assert!(sample.swap.is_err() && sample.zram.is_err());
}

#[test]
fn a_kernel_without_pressure_or_counters_says_so() {
    let tree = Tree::recorded("0.33.0-rc2");
    fs::remove_dir_all(tree.path("proc/pressure")).unwrap();
    tree.write("proc/vmstat", "nr_free_pages 1\npgmajfault 5\npswpin 3\n");
    let sample = tree.sample();
    let absent = SensorFault::absent("/proc/pressure/memory: no such file");
    assert_eq!(sample.pressure, Err(absent));
    let paging =
        Paging { major_faults: Some(5), swapped_in: Some(Bytes::kib(12)), ..Paging::default() };
    assert_eq!(sample.paging, Ok(paging));
    let mut large = LinuxSensors::with_page_size(tree.folder.path(), Bytes::kib(64));
    let paging = large.read(&Want::default(), at(0)).paging.unwrap();
    assert_eq!(paging.swapped_in, Some(Bytes::kib(192)));
}

/// A group below a mount with limit, use and inactive cache.
fn group(tree: &Tree, folder: &str, files: [&str; 3], limit: &str) {
    let [limit_file, current, inactive] = files;
    tree.write(&format!("{folder}/{limit_file}"), format!("{limit}\n"));
    tree.write(&format!("{folder}/{current}"), "3221225472\n");
    let stat = format!("anon 1000\ntotal_rss 1000\nfile 7\n{inactive} 1073741824\n");
    tree.write(&format!("{folder}/memory.stat"), stat);
}

const TWO: [&str; 3] = ["memory.max", "memory.current", "inactive_file"];
const ONE: [&str; 3] = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];

fn limit(gib: u64, source: &str) -> Result<MemoryLimit, SensorFault> {
    Ok(MemoryLimit { limit: Bytes::gib(gib), used: Bytes::gib(2), source: source.to_owned() })
}

#[test]
fn the_least_limit_of_all_ancestors_counts() {
    let tree = Tree::recorded("0.33.0-rc2");
    tree.write("proc/self/cgroup", "0::/a.slice/b.scope\n");
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    group(&tree, "sys/fs/cgroup/a.slice", TWO, "8589934592");
    group(&tree, "sys/fs/cgroup/a.slice/b.scope", TWO, "max");
    let mut sensors = tree.sensors();
    let mut read = |seconds| sensors.read(&Want::default(), at(seconds));
    let sample = read(0);
    assert_eq!(sample.limit, limit(8, "cgroup v2 /sys/fs/cgroup/a.slice"));
    let memory = sample.memory.unwrap();
    assert_eq!((memory.total, memory.available), (Bytes::gib(8), Bytes::gib(6)));
    assert_eq!(memory.free, Bytes::gib(5));
    assert_eq!(memory.available_source, AvailableSource::Cgroup);

    group(&tree, "sys/fs/cgroup/a.slice/b.scope", TWO, "4294967296");
    let memory = read(1).memory.unwrap();
    assert_eq!((memory.total, memory.used()), (Bytes::gib(4), Bytes::gib(2)), "edited: at once");

    for none in ["max", "1099511627776"] {
        group(&tree, "sys/fs/cgroup/a.slice", TWO, none);
        group(&tree, "sys/fs/cgroup/a.slice/b.scope", TWO, "max");
        let sample = read(2);
        assert_eq!(sample.limit, Err(SensorFault::absent("no memory limit")), "{none}");
        assert_eq!(sample.memory.unwrap().total, Bytes::kib(24_684_092));
    }
}

#[test]
fn a_container_with_its_own_namespace_reads_its_mount() {
    let tree = Tree::recorded("0.33.0-rc2");
    tree.write("proc/self/cgroup", "0::/\n");
    tree.write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    group(&tree, "sys/fs/cgroup", TWO, "8589934592");
    assert_eq!(tree.sample().limit, limit(8, "cgroup v2 /sys/fs/cgroup"));
    // With a /proc/meminfo made for the container, both agree.
    let inside = "MemTotal: 8388608 kB\nMemFree: 5242880 kB\nMemAvailable: 6291456 kB\n";
    tree.write("proc/meminfo", inside);
    let memory = tree.sample().memory.unwrap();
    assert_eq!((memory.total, memory.available), (Bytes::gib(8), Bytes::gib(6)));
}

#[test]
fn version_one_and_hybrids_are_read_where_their_memory_is() {
    let tree = Tree::recorded("0.33.0-rc2");
    tree.write("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/\n");
    tree.write("sys/fs/cgroup/unified/cgroup.controllers", "\n");
    // The mount begins at the container's own group.
    group(&tree, "sys/fs/cgroup/memory", ONE, "8589934592");
    assert_eq!(tree.sample().limit, limit(8, "cgroup v1 /sys/fs/cgroup/memory"));
    group(&tree, "sys/fs/cgroup/memory", ONE, "9223372036854771712");
    group(&tree, "sys/fs/cgroup/memory/docker/abc", ONE, "4294967296");
    assert_eq!(tree.sample().limit, limit(4, "cgroup v1 /sys/fs/cgroup/memory/docker/abc"));
}

#[test]
fn a_group_that_cannot_be_read_is_a_fault_of_the_limit_only() {
    let tree = Tree::recorded("0.33.0-rc2");
    tree.write("proc/self/cgroup", "0::/a\n");
    tree.write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    group(&tree, "sys/fs/cgroup/a", TWO, "8589934592");
    tree.write("sys/fs/cgroup/a/memory.current", "-1\n");
    let sample = tree.sample();
    assert_eq!(sample.limit.unwrap_err().kind, FaultKind::Malformed);
    assert!(sample.memory.is_ok());
}

#[test]
fn cards_of_amd_are_read_and_shared_memory_is_said() {
    let tree = Tree::recorded("0.33.0-rc2");
    let card = |name: &str, [own, own_used, system, system_used]: [u64; 4]| {
        let device = format!("sys/class/drm/{name}/device");
        tree.write(&format!("{device}/mem_info_vram_total"), format!("{own}\n"));
        tree.write(&format!("{device}/mem_info_vram_used"), format!("{own_used}\n"));
        tree.write(&format!("{device}/mem_info_gtt_total"), format!("{system}\n"));
        tree.write(&format!("{device}/mem_info_gtt_used"), format!("{system_used}\n"));
    };
    card("card0", [512 << 20, 100 << 20, 8 << 30, 3 << 30]);
    card("card1", [16 << 30, 5 << 30, 32 << 30, 1 << 30]);
    card("card2", [4 << 30, 1 << 30, 16 << 30, 0]);
    tree.write("sys/class/drm/card2/device/mem_info_vram_vendor", "hynix\n");
    tree.write("sys/class/drm/card2/device/product_name", "Small\u{1b}[31m Card\n");
    tree.write("sys/class/drm/card1/device/mem_info_vram_used", "rubbish\n");
    tree.write("sys/class/drm/card1-DP-1/status", "connected\n");
    tree.write("sys/class/drm/card3/device/vendor", "0x8086\n");
    let gpu =
        |name: &str, total, used, unified| Gpu { name: name.to_owned(), total, used, unified };
    let expected = vec![
        gpu("AMD card0", Bytes::mib(8704), Some(Bytes::mib(3172)), true),
        gpu("AMD card1", Bytes::gib(16), None, false),
        gpu("Small[31m Card", Bytes::gib(4), Some(Bytes::gib(1)), false),
    ];
    assert_eq!(tree.sample().gpus, Ok(expected));
}

#[test]
fn a_process_that_ends_leaves_at_once_and_a_pid_is_no_name() {
    let tree = Tree::recorded("0.33.0-rc2");
    let mut sensors = tree.sensors();
    let first = sensors.read(&Want::default(), at(0));
    assert_eq!(pids(&first), [12972, 13003, 13019]);
    let line = fs::read(tree.path("proc/13003/cmdline")).unwrap();
    tree.end(13003);
    assert_eq!(pids(&sensors.read(&Want::default(), at(1))), [12972, 13019]);
    // Its number is given to another one, and the counter has been round.
    tree.start(13003, [b"llama-server", &line], 10);
    tree.newest(13003);
    let again = sensors.read(&Want::default(), at(2));
    assert_eq!(pids(&again), [12972, 13003, 13019]);
    let key = again.processes.unwrap().find_pid(13003).unwrap().key;
    assert_eq!(key, ProcessKey { pid: 13003, started: 900_000 });
    assert_eq!(first.processes.unwrap().find(key), None);
}

#[test]
fn a_runner_is_seen_when_it_becomes_one() {
    let tree = Tree::recorded("0.33.0-rc2");
    let mut sensors = tree.sensors();
    sensors.read(&Want::default(), at(0));
    // Made by the server: it bears the server's command line at first.
    tree.start(13100, [b"ollama", b"/usr/bin/ollama\0serve\0"], 10);
    tree.newest(13100);
    assert_eq!(table(sensors.read(&Want::default(), at(1))).servers.len(), 2);
    tree.start(13100, [b"llama-server", b"/usr/lib/ollama/llama-server\0--port\x009\0"], 10);
    let table = table(sensors.read(&Want::default(), at(2)));
    assert_eq!((table.servers.len(), table.runners.len()), (1, 3));
    assert_eq!(table.find_pid(13100).unwrap().name, "llama-server");
    // No process was made, and so none is looked for; a sweep finds it late.
    tree.start(13200, [b"llama-server", b"llama-server\0"], 10);
    for seconds in 3..60 {
        assert_eq!(pids(&sensors.read(&Want::default(), at(seconds))).len(), 4);
    }
    assert_eq!(pids(&sensors.read(&Want::default(), at(61))).len(), 5);
}

#[test]
fn a_thread_under_its_own_number_is_no_server() {
    let tree = Tree::recorded("0.33.0-rc2");
    let mut sensors = tree.sensors();
    sensors.read(&Want::default(), at(0));
    tree.start(13100, [b"ollama", b"/usr/bin/ollama\0serve\0"], 10);
    let status = tree.text("proc/13100/status").replace("Tgid:\t13100", "Tgid:\t12972");
    tree.write("proc/13100/status", status);
    tree.newest(13100);
    assert_eq!(pids(&sensors.read(&Want::default(), at(1))), [12972, 13003, 13019]);
}

#[test]
fn a_zombie_holds_nothing_and_a_hostile_name_is_cleaned() {
    let tree = Tree::recorded("0.33.0-rc2");
    let name = b"x) Z 1 \n\x1b[2J\xff";
    tree.start(13003, [&name[..], b"llama-server\0--model\0/etc/secret\0"], 10);
    let stat = tree.text("proc/13019/stat").replace(") S ", ") Z ");
    tree.write("proc/13019/stat", stat);
    tree.write("proc/13019/status", "Name:\tllama-server\nTgid:\t13019\nUid:\t0\t0\t0\t0\n");
    let sample = tree.sample();
    let json = serde_json::to_string(&sample).unwrap();
    assert!(!json.contains("u001b") && !json.contains("secret"), "{json}");
    let table = table(sample);
    let odd = table.find_pid(13003).unwrap();
    assert_eq!((odd.name.as_str(), odd.is_zombie), ("x) Z 1 [2J\u{fffd}", false));
    let zombie = table.find_pid(13019).unwrap();
    assert!(zombie.is_zombie);
    assert_eq!(zombie.memory.measured().map(|(bytes, _)| bytes), Some(Bytes::ZERO));
}

#[test]
fn the_largest_others_are_kept_between_looks_at_all() {
    let tree = Tree::recorded("0.33.0-rc2");
    for (pid, pages) in [(201, 1000), (202, 3000), (203, 2000), (204, 10)] {
        tree.start(pid, [format!("other-{pid}").as_bytes(), b"other\0"], pages);
    }
    tree.start(205, [b"kthread", b""], 0);
    let mut sensors = tree.sensors();
    let all = Want { all_processes: true, largest: 2, ..Want::default() };
    let some = Want { all_processes: false, ..all.clone() };
    let shown = |sample: Sample| -> Vec<(String, u64)> {
        let size = |process: &plimsoll::domain::process::Process| {
            process.memory.resident.unwrap().get() / 4096
        };
        table(sample).others.iter().map(|one| (one.name.clone(), size(one))).collect()
    };
    let pair = |name: &str, pages| (name.to_owned(), pages);
    assert!(shown(sensors.read(&some, at(0))).is_empty());
    let sample = sensors.read(&all, at(1));
    let rest = sample.processes.as_ref().unwrap().rest;
    assert_eq!(shown(sample), [pair("other-202", 3000), pair("systemd", 2489)]);
    assert_eq!(rest, Some(Bytes::kib(4 * 3010)));
    tree.write("proc/202/statm", "9000 7000 0 0 0 0 0\n");
    assert_eq!(shown(sensors.read(&some, at(2)))[0], pair("other-202", 7000));
    tree.end(202);
    assert_eq!(shown(sensors.read(&some, at(3))), [pair("systemd", 2489)]);
    let again = shown(sensors.read(&all, at(4)));
    assert_eq!(again, [pair("systemd", 2489), pair("other-203", 2000)]);
}

#[test]
fn runners_of_one_mapped_file_get_their_proportional_size() {
    let tree = Tree::recorded("0.33.0-rc2");
    let line = fs::read(tree.path("proc/13003/cmdline")).unwrap();
    tree.write("proc/13019/cmdline", line);
    for pid in [13003, 13019] {
        let file = format!("proc/{pid}/status");
        let text = tree.text(&file);
        let mapped = text.lines().map(|line| match line.starts_with("RssFile") {
            true => "RssFile:\t  400000 kB\n".to_owned(),
            false => format!("{line}\n"),
        });
        let mapped: String = mapped.collect();
        tree.write(&file, mapped);
        tree.write(&format!("proc/{pid}/smaps_rollup"), "x [rollup]\nPss:   250000 kB\n");
    }
    let mut sensors = tree.sensors();
    let mut sources = |seconds| -> Vec<MeasuredSource> {
        let table = table(sensors.read(&Want::default(), at(seconds)));
        table.runners.iter().map(|one| one.memory.measured().unwrap().1).collect()
    };
    assert_eq!(sources(0), [MeasuredSource::Pss, MeasuredSource::Status], "one at a time");
    // A reading in a test costs far less than the second that this allows.
    assert_eq!(sources(5000), [MeasuredSource::Pss, MeasuredSource::Pss]);
    fs::remove_file(tree.path("proc/13003/smaps_rollup")).unwrap();
    assert_eq!(sources(10_000)[0], MeasuredSource::Status, "refused: by what is left");
}

#[test]
fn a_share_is_read_for_a_process_that_is_asked_for() {
    let tree = Tree::recorded("0.33.0-rc2");
    let key = ProcessKey { pid: 12972, started: 812_627 };
    let reused = ProcessKey { pid: 13003, started: 1 };
    let want = Want { proportional: vec![reused, key], ..Want::default() };
    let table = table(tree.sensors().read(&want, at(0)));
    assert!(table.find(key).unwrap().memory.proportional.is_some());
    assert_eq!(table.find_pid(13003).unwrap().memory.proportional, None);
}

#[test]
fn hidden_processes_are_no_proof_that_there_are_none() {
    let tree = Tree::recorded("0.33.0-rc2");
    for pid in [1, 12972, 13003, 13019] {
        fs::remove_dir_all(tree.path(&format!("proc/{pid}"))).unwrap();
    }
    tree.start(700, [b"bash", b"bash\0"], 10);
    assert!(tree.sample().processes.is_ok(), "an odd tree, and nothing hides");
    tree.write("proc/self/mounts", "proc /proc proc rw,nosuid,hidepid=invisible 0 0\n");
    assert_eq!(tree.sample().processes.unwrap_err().kind, FaultKind::Denied);
    tree.start(701, [b"ollama", b"ollama\0serve\0"], 10);
    assert_eq!(pids(&tree.sample()), [701], "one's own server shows all the same");
}

#[test]
fn an_empty_root_is_all_faults() {
    let folder = tempfile::tempdir().unwrap();
    let mut sensors = LinuxSensors::new(folder.path().to_owned());
    let sample = sensors.read(&Want { all_processes: true, ..Want::default() }, at(0));
    assert_eq!(sample.memory.unwrap_err().kind, FaultKind::Failed);
    assert_eq!(sample.processes.unwrap_err().kind, FaultKind::Failed);
    let others = [sample.swap.is_err(), sample.pressure.is_err(), sample.paging.is_err()];
    assert_eq!(others, [true; 3]);
    assert!(sample.zram.is_err() && sample.limit.is_err() && sample.gpus.is_err());
}

/// Needs a real Linux machine: a child under a runner's name is found when it
/// starts and is gone when it ends.
#[cfg(target_os = "linux")]
#[test]
fn this_machine_is_read() {
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;

    let mut sensors = LinuxSensors::new(PathBuf::from("/"));
    let want = Want { all_processes: true, largest: 5, ..Want::default() };
    let sample = sensors.read(&want, at(0));
    let memory = sample.memory.unwrap();
    assert!(memory.total >= memory.available && memory.available > Bytes::ZERO);
    assert!(sample.paging.is_ok());
    let before = sample.processes.unwrap();
    assert!(before.others.len() == 5 && before.count.is_some_and(|count| count > 5));
    assert!(!sensors.host().kernel.is_empty());

    let mut child =
        std::process::Command::new("sleep").arg0("llama-server").arg("60").spawn().unwrap();
    // The child may not have become `sleep` yet: it is looked at again.
    let found = (1..5).find_map(|seconds| {
        std::thread::sleep(Duration::from_millis(20));
        let table = table(sensors.read(&want, at(seconds)));
        table.runners.into_iter().find(|runner| runner.key.pid == child.id())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let found = found.unwrap();
    assert_eq!(found.parent, std::process::id());
    assert!(found.memory.measured().is_some_and(|(bytes, _)| bytes > Bytes::ZERO));
    assert_eq!(table(sensors.read(&want, at(6))).find(found.key), None);
}
