//! The survey of trees that look like machines, and of this one.

use std::fs;
use std::path::Path;

use plimsoll::domain::process::ProcessKey;
use plimsoll::domain::survey::{Housing, SwapKind};
use plimsoll::domain::{Bytes, FaultKind};
use plimsoll::sense::survey::{Surveyor, disk, engine_listens, may_signal};

const ID: &str = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Surveyor) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let surveyor = Surveyor::new(folder.path().to_owned());
    (folder, surveyor)
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, started: 1 }
}

#[test]
fn a_container_is_told_with_the_least_limit_above_it() {
    let groups = format!("0::/system.slice/docker-{ID}.scope\n");
    let below = format!("sys/fs/cgroup/system.slice/docker-{ID}.scope/memory.max");
    let files = [
        ("proc/7/cgroup", groups.as_str()),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
        (below.as_str(), "max\n"),
        ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
    ];
    let (folder, surveyor) = tree(&files);
    let housed =
        |limit| Housing::Container { id: ID.into(), name: "d5213675ecc0".into(), limit: Ok(limit) };
    assert_eq!(surveyor.housing(key(7)), Ok(housed(None)));
    fs::write(folder.path().join("sys/fs/cgroup/system.slice/memory.max"), "2147483648\n").unwrap();
    assert_eq!(surveyor.housing(key(7)), Ok(housed(Some(Bytes::gib(2)))));
    fs::write(folder.path().join(below), "1073741824\n").unwrap();
    assert_eq!(surveyor.housing(key(7)), Ok(housed(Some(Bytes::gib(1)))));
    assert_eq!(surveyor.housing(key(8)).unwrap_err().kind, FaultKind::Absent);
}

#[test]
fn an_environment_is_shown_without_secrets() {
    let environ = "PATH=/bin\0OLLAMA_HOST=http://me:hunter2@0.0.0.0\0OLLAMA_API_KEY=hunter2\0\
        LLAMA_ARG_CACHE_RAM=512\0";
    let (_folder, surveyor) = tree(&[("proc/7/environ", environ)]);
    let shown = surveyor.environment(key(7)).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        shown,
        [
            pair("LLAMA_ARG_CACHE_RAM", "512"),
            pair("OLLAMA_API_KEY", "(hidden)"),
            pair("OLLAMA_HOST", "http://0.0.0.0"),
        ]
    );
}

#[test]
fn watchers_parameters_and_swaps_are_read() {
    let (_folder, surveyor) = tree(&[
        ("proc/41/comm", "earlyoom\n"),
        ("proc/42/comm", "systemd-oomd\n"),
        ("proc/43/comm", "low-memory-moni\n"),
        ("proc/44/comm", "bash\n"),
        ("proc/self/comm", "nohang\n"),
        ("proc/sys/vm/swappiness", "10\n"),
        ("proc/sys/vm/overcommit_memory", "x\n"),
        (
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/zram0 partition 4194304 0 100\n\
             /no/such/file file 1024 0 -2\nrubbish\n",
        ),
        ("proc/self/mounts", "proc /proc proc rw,relatime,hidepid=invisible 0 0\n"),
    ]);
    let names = ["earlyoom", "low-memory-monitor", "systemd-oomd"].map(str::to_owned);
    assert_eq!(surveyor.watchers(), Ok(names.to_vec()));
    assert_eq!(surveyor.parameter("vm/swappiness"), Ok(10));
    let fault = surveyor.parameter("vm/overcommit_memory").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed);
    let swaps = surveyor.swaps().unwrap();
    assert_eq!(
        swaps.iter().map(|area| area.kind).collect::<Vec<_>>(),
        [SwapKind::Zram, SwapKind::Unknown]
    );
    assert_eq!((swaps[0].name.as_str(), swaps[0].size), ("/dev/zram0", Bytes::gib(4)));
    // Root sees them all the same.
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(surveyor.hides_processes(), Ok(!is_root));
    assert_eq!(surveyor.services().unwrap_err().kind, FaultKind::Absent);
}

#[test]
fn an_empty_tree_gives_reasons_and_no_values() {
    let (_folder, surveyor) = tree(&[]);
    assert!(surveyor.watchers().is_err() && surveyor.swaps().is_err());
    assert!(surveyor.parameter("vm/swappiness").is_err() && surveyor.hides_processes().is_err());
    assert!(surveyor.environment(key(1)).is_err() && surveyor.measures(key(1)).is_err());
}

#[test]
fn room_is_that_of_the_nearest_folder_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("a/b/c");
    let (there, nearest) = (disk(&missing).unwrap(), disk(folder.path()).unwrap());
    assert!(!nearest.free.is_zero());
    assert_eq!(there.folder, missing.display().to_string());
    assert!(!folder.path().join("a").exists());
}

#[test]
fn a_process_of_ours_may_be_signalled_and_one_that_has_gone_is_no_matter() {
    assert_eq!(may_signal(key(std::process::id())), Some(true));
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    for gone in [child.id(), u32::MAX, 0] {
        assert_eq!(may_signal(key(gone)), None, "{gone}");
    }
}

#[test]
fn an_engine_listens_or_the_reason_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    assert_eq!(engine_listens(&socket).unwrap_err().kind, FaultKind::Absent);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(engine_listens(&socket), Ok(()));
    drop(listener);
    assert_eq!(engine_listens(&socket).unwrap_err().kind, FaultKind::Failed);
    assert!(engine_listens(Path::new(&"x".repeat(300))).is_err());
}

#[test]
fn a_port_that_others_reach_is_seen_by_its_sockets() {
    let line = |at: u32, address: &str, state: &str| {
        format!("   {at}: {address}:2CAA 00000000:0000 {state} 00000000:00000000 00:00000000\n")
    };
    let four = format!(
        "  sl  local_address rem_address   st\n{}{}{}{}",
        line(0, "0100007F", "0A"),
        line(1, "0700A8C0", "0A"),
        line(2, "00000000", "01"),
        "   3: 00000000:0050 00000000:0000 0A\n",
    );
    let six = [
        line(0, "00000000000000000000000001000000", "0A"),
        line(1, "0000000000000000FFFF00000100007F", "0A"),
        line(2, "00000000000000000000000000000000", "0A"),
        line(3, "0000", "0A"),
    ];
    let (_folder, surveyor) = tree(&[("proc/net/tcp", &four), ("proc/net/tcp6", &six.concat())]);
    let open = |port| surveyor.open_to(port).unwrap();
    assert_eq!(open(11_434), ["192.168.0.7", "::"]);
    assert_eq!(open(80), ["0.0.0.0"]);
    assert_eq!(open(81), [""; 0]);
    let (_folder, empty) = tree(&[]);
    assert!(empty.open_to(80).is_err());
}
