//! A whole sample over a kernel that answers with bytes laid out as the real
//! one does.

use std::cell::RefCell;
use std::collections::HashMap;

use super::process_list::{self, ENTRY_SIZE, Listed};
use super::*;
use crate::domain::process::{
    Process, ProcessKey, ProcessMemory, ProcessTable, RunnerArguments, RunnerProgram,
};
use crate::domain::sample::{Memory, Paging};
use crate::domain::time::{Monotonic, Wall};

pub(super) const OWN: Identity = Identity { pid: 4321, parent: 4000, uid: 501 };

pub(super) fn listed(pid: u32, parent: u32, name: &str) -> Listed {
    let started = 1_760_000_000_000_000 + u64::from(pid);
    Listed {
        key: ProcessKey { pid, started },
        parent,
        uid: OWN.uid,
        name: name.to_owned(),
        is_zombie: false,
    }
}

/// `kinfo_proc` entries as the kernel lays them out, other fields filled.
pub(super) fn listing(processes: &[Listed]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for listed in processes {
        let mut entry = [0xa5_u8; ENTRY_SIZE];
        let mut put = |at: usize, value: &[u8]| {
            entry[at..at + value.len()].copy_from_slice(value);
        };
        put(process_list::STARTED_SECONDS, &(listed.key.started / 1_000_000).to_ne_bytes());
        let microseconds = u32::try_from(listed.key.started % 1_000_000).unwrap();
        put(process_list::STARTED_MICROSECONDS, &microseconds.to_ne_bytes());
        put(process_list::STATE, &[if listed.is_zombie { process_list::ZOMBIE } else { 2 }]);
        put(process_list::PID, &listed.key.pid.to_ne_bytes());
        let name = listed.name.as_bytes();
        put(process_list::NAME, &[0; 17]);
        put(process_list::NAME, &name[..name.len().min(17)]);
        put(process_list::UID, &listed.uid.to_ne_bytes());
        put(process_list::PARENT, &listed.parent.to_ne_bytes());
        bytes.extend_from_slice(&entry);
    }
    bytes
}

/// `procargs2` as the kernel lays it out: count, path, padding, strings.
pub(super) fn procargs(path: &str, arguments: &[&str], environment: &[&str]) -> Vec<u8> {
    let mut bytes = u32::try_from(arguments.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
    while bytes.len() % 8 != 0 {
        bytes.push(0);
    }
    for text in arguments.iter().chain(environment) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

const SERVER_VARIABLES: [&str; 3] = ["OLLAMA_HOST=:9", "A=secret", "OLLAMA_NUM_PARALLEL=2"];

/// A kernel that can be changed between two looks, and counts the dear call.
#[derive(Default)]
struct Fake {
    sysctls: HashMap<&'static str, Vec<u8>>,
    statistics: Option<VmStatistics>,
    processes: RefCell<Vec<Listed>>,
    arguments: HashMap<u32, Vec<u8>>,
    usages: HashMap<u32, Usage>,
    paths: HashMap<u32, &'static str>,
    lists: RefCell<u32>,
}

fn denied() -> SensorFault {
    SensorFault::new(FaultKind::Denied, "not ours")
}

impl Kernel for Fake {
    fn sysctl(&self, name: &str) -> Reading<Vec<u8>> {
        self.sysctls.get(name).cloned().ok_or_else(|| SensorFault::absent(format!("no {name}")))
    }

    fn vm_statistics(&self) -> Reading<VmStatistics> {
        self.statistics.ok_or_else(|| malformed("host_statistics64: 12 words"))
    }

    fn pids(&self) -> Reading<Vec<u32>> {
        Ok(self.processes.borrow().iter().map(|listed| listed.key.pid).collect())
    }

    fn process_list(&self) -> Reading<Vec<u8>> {
        *self.lists.borrow_mut() += 1;
        Ok(listing(&self.processes.borrow()))
    }

    fn arguments(&self, pid: u32) -> Reading<Vec<u8>> {
        self.arguments.get(&pid).cloned().ok_or_else(denied)
    }

    fn usage(&self, pid: u32) -> Reading<Usage> {
        self.usages.get(&pid).copied().ok_or_else(denied)
    }

    fn path(&self, pid: u32) -> Option<String> {
        self.paths.get(&pid).map(|path| (*path).to_owned())
    }

    fn timebase(&self) -> (u32, u32) {
        (125, 3)
    }

    fn own(&self) -> Identity {
        OWN
    }
}

fn runner() -> RunnerArguments {
    RunnerArguments {
        program: RunnerProgram::LlamaServer,
        blob: None,
        model: None,
        context: Some(4096),
        parallel: None,
        port: Some(50_123),
        flags: Vec::new(),
        in_ollama_folder: None,
    }
}

fn role(arguments: &[String]) -> ProcessRole {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ollama", "serve", ..] => {
            ProcessRole::Server { host: None, listens: None, environment: Vec::new() }
        }
        [program, "--model", ..] if program.ends_with("llama-server") => {
            ProcessRole::Runner(Box::new(runner()))
        }
        _ => ProcessRole::Other,
    }
}

const SERVER: u32 = 700;
const RUNNER: u32 = 701;
const BROWSER: u32 = 900;
const RUNNER_PATH: &str = "/Applications/Ollama.app/Contents/Resources/llama-server";

fn usage(mebibytes: u64, started_ticks: u64) -> Usage {
    Usage {
        resident: mebibytes << 20,
        physical_footprint: (mebibytes / 2) << 20,
        user_ticks: 24_000_000,
        system_ticks: 24_000_000,
        started_ticks,
    }
}

fn machine() -> Fake {
    let mut swap = Vec::new();
    for size in [3_u64 << 30, 1 << 30, 2 << 30] {
        swap.extend_from_slice(&size.to_ne_bytes());
    }
    swap.extend_from_slice(&16_384_u32.to_ne_bytes());
    swap.extend_from_slice(&1_u32.to_ne_bytes());
    let own = listed(OWN.pid, OWN.parent, "plimsoll");
    let mut root = listed(50, 1, "WindowServer");
    root.uid = 0;
    Fake {
        sysctls: HashMap::from([
            ("hw.memsize", (16_u64 << 30).to_ne_bytes().to_vec()),
            ("vm.swapusage", swap),
            (PRESSURE_LEVEL, 2_u32.to_ne_bytes().to_vec()),
            (WIRED_LIMIT, 12_288_u32.to_ne_bytes().to_vec()),
            (CHIP_NAME, b"Apple M2\0".to_vec()),
        ]),
        statistics: Some(VmStatistics {
            page_size: 16_384,
            wired: 1 << 16,
            internal: 1 << 18,
            swapins: 3,
            swapouts: 4,
            ..VmStatistics::default()
        }),
        processes: RefCell::new(vec![
            root,
            listed(SERVER, 1, "ollama"),
            listed(RUNNER, SERVER, "llama-server"),
            listed(BROWSER, 1, "Very Long Name H"),
            own,
        ]),
        arguments: HashMap::from([
            (SERVER, procargs("/usr/local/bin/ollama", &["ollama", "serve"], &SERVER_VARIABLES)),
            (RUNNER, procargs(RUNNER_PATH, &[RUNNER_PATH, "--model", "/x"], &[])),
        ]),
        usages: HashMap::from([
            (SERVER, usage(40, 1)),
            (RUNNER, usage(3000, 2)),
            (BROWSER, usage(500, 3)),
            (OWN.pid, usage(10, 4)),
        ]),
        paths: HashMap::from([(BROWSER, "/Applications/X.app/Very Long Name Helper (GPU)")]),
        lists: RefCell::default(),
    }
}

fn moment() -> Moment {
    Moment::new(Wall::UNIX_EPOCH, Monotonic::from_millis(0))
}

fn read(sensors: &mut MachSensors<Fake>, want: &Want) -> Sample {
    sensors.read(want, moment())
}

fn processes(sensors: &mut MachSensors<Fake>, want: &Want) -> ProcessTable {
    read(sensors, want).processes.unwrap()
}

fn pids(processes: &[Process]) -> Vec<u32> {
    processes.iter().map(|process| process.key.pid).collect()
}

#[test]
fn a_sample_holds_what_the_kernel_answered() {
    let mut sensors = MachSensors::new(machine(), role);
    let sample = read(&mut sensors, &Want::default());
    assert_eq!(sample.memory.map(|memory: Memory| memory.used()), Ok(Bytes::gib(5)));
    assert_eq!(sample.swap, Ok(Swap { total: Bytes::gib(3), used: Bytes::gib(2) }));
    assert_eq!(sample.pressure, Ok(Pressure::Mac { level: MacPressure::Warning }));
    assert_eq!(
        sample.paging,
        Ok(Paging {
            swapped_in: Some(Bytes::kib(48)),
            swapped_out: Some(Bytes::kib(64)),
            ..Paging::default()
        })
    );
    assert_eq!(
        sample.gpus,
        Ok(vec![Gpu {
            name: "Apple M2".to_owned(),
            total: Bytes::gib(12),
            used: None,
            unified: true
        }])
    );
    assert_eq!(sample.zram.unwrap_err().kind, FaultKind::Absent);
    assert_eq!(sample.limit.unwrap_err().kind, FaultKind::Absent);
}

#[test]
fn server_and_runner_are_known_by_their_arguments() {
    let mut sensors = MachSensors::new(machine(), role);
    let table = processes(&mut sensors, &Want::default());
    let server = listed(SERVER, 1, "ollama");
    let carrier = listed(RUNNER, SERVER, "llama-server");
    let two_seconds = Some(std::time::Duration::from_secs(2));
    let memory = |resident, footprint| ProcessMemory {
        resident: Some(Bytes::mib(resident)),
        physical_footprint: Some(Bytes::mib(footprint)),
        ..ProcessMemory::default()
    };
    assert_eq!(
        table,
        ProcessTable {
            servers: vec![Process {
                key: server.key,
                parent: 1,
                name: "ollama".to_owned(),
                role: ProcessRole::Server {
                    host: Some(":9".to_owned()),
                    listens: None,
                    environment: vec![("OLLAMA_NUM_PARALLEL".to_owned(), "2".to_owned())],
                },
                uid: Some(501),
                memory: memory(40, 20),
                cpu: two_seconds,
                is_zombie: false,
                matched: Vec::new(),
            }],
            runners: vec![Process {
                key: carrier.key,
                parent: SERVER,
                name: "llama-server".to_owned(),
                role: ProcessRole::Runner(Box::new(RunnerArguments {
                    in_ollama_folder: Some(true),
                    ..runner()
                })),
                uid: Some(501),
                memory: memory(3000, 1500),
                cpu: two_seconds,
                is_zombie: false,
                matched: Vec::new(),
            }],
            others: Vec::new(),
            rest: None,
            count: Some(5),
            reapers: vec![1],
            named: Vec::new(),
        }
    );
}

#[test]
fn a_quiet_machine_is_listed_twice_and_then_left_alone() {
    let mut sensors = MachSensors::new(machine(), role);
    for _ in 0..10 {
        processes(&mut sensors, &Want::default());
    }
    // The second time because a process may replace itself after its birth.
    assert_eq!(*sensors.kernel.lists.borrow(), 2);
    sensors.kernel.processes.borrow_mut().push(listed(950, 1, "new"));
    processes(&mut sensors, &Want::default());
    assert_eq!(*sensors.kernel.lists.borrow(), 3);
}

#[test]
fn a_process_that_replaces_itself_is_seen_on_the_next_tick() {
    let mut fake = machine();
    // Between fork and exec a runner looks like its server.
    let server_arguments = fake.arguments[&SERVER].clone();
    let runner_arguments = fake.arguments.insert(RUNNER, server_arguments).unwrap();
    fake.processes.borrow_mut()[2].name = "ollama".to_owned();
    let mut sensors = MachSensors::new(fake, role);
    assert_eq!(pids(&processes(&mut sensors, &Want::default()).servers), [SERVER, RUNNER]);

    sensors.kernel.arguments.insert(RUNNER, runner_arguments);
    sensors.kernel.processes.borrow_mut()[2].name = "llama-server".to_owned();
    let table = processes(&mut sensors, &Want::default());
    assert_eq!((pids(&table.servers), pids(&table.runners)), (vec![SERVER], vec![RUNNER]));
}

#[test]
fn a_runner_that_becomes_a_zombie_is_told_at_once() {
    let mut sensors = MachSensors::new(machine(), role);
    for _ in 0..3 {
        processes(&mut sensors, &Want::default());
    }
    sensors.kernel.processes.borrow_mut()[2].is_zombie = true;
    sensors.kernel.usages.remove(&RUNNER);
    // The kernel has no arguments of a zombie either.
    sensors.kernel.arguments.remove(&RUNNER);
    let table = processes(&mut sensors, &Want::default());
    assert_eq!(table.find_pid(RUNNER), None);
    let lists = *sensors.kernel.lists.borrow();
    processes(&mut sensors, &Want::default());
    assert_eq!(*sensors.kernel.lists.borrow(), lists, "nothing is lost a second time");
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut sensors = MachSensors::new(machine(), role);
    let before = processes(&mut sensors, &Want::default()).runners[0].key;
    processes(&mut sensors, &Want::default());
    sensors.kernel.processes.borrow_mut()[2].key.started += 5_000_000;
    sensors.kernel.usages.insert(RUNNER, usage(100, 99));
    let after = processes(&mut sensors, &Want::default()).runners[0].clone();
    assert_ne!(after.key, before);
    assert_eq!(after.memory.resident, Some(Bytes::mib(100)));
}

#[test]
fn the_largest_are_found_on_request_and_kept_while_they_live() {
    let want = Want { all_processes: true, largest: 1, ..Want::default() };
    let mut sensors = MachSensors::new(machine(), role);
    assert_eq!(processes(&mut sensors, &Want::default()).others, []);
    let table = processes(&mut sensors, &want);
    let names: Vec<&str> = table.others.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["Very Long Name Helper (GPU)"]);
    // The window server could not be looked at, so the rest is not known.
    assert_eq!(table.rest, None);
    assert_eq!(pids(&processes(&mut sensors, &Want::default()).others), [BROWSER]);

    sensors.kernel.processes.borrow_mut().remove(3);
    assert_eq!(processes(&mut sensors, &Want::default()).others, []);

    sensors.kernel.usages.insert(50, usage(70, 5));
    let table = processes(&mut sensors, &want);
    assert_eq!((pids(&table.others), table.rest), (vec![50], Some(Bytes::mib(10))));
}

#[test]
fn a_server_of_another_user_is_known_by_its_name_and_parent() {
    let mut fake = machine();
    fake.arguments.clear();
    fake.usages.clear();
    let mut sensors = MachSensors::new(fake, role);
    let table = processes(&mut sensors, &Want::default());
    assert_eq!((pids(&table.servers), pids(&table.runners)), (vec![SERVER], vec![]));
    assert_eq!(table.servers[0].memory, ProcessMemory::default());
    assert_eq!(table.servers[0].cpu, None);
}

#[test]
fn each_sensor_fails_alone_and_says_why() {
    let mut fake = machine();
    fake.sysctls.insert("vm.swapusage", vec![0; 40]);
    fake.sysctls.insert(PRESSURE_LEVEL, 3_u32.to_ne_bytes().to_vec());
    fake.sysctls.insert(WIRED_LIMIT, vec![0; 4]);
    fake.statistics = None;
    let mut sensors = MachSensors::new(fake, role);
    let sample = read(&mut sensors, &Want::default());
    let faults = [
        sample.memory.unwrap_err(),
        sample.swap.unwrap_err(),
        sample.pressure.unwrap_err(),
        sample.paging.unwrap_err(),
        sample.gpus.unwrap_err(),
    ]
    .map(|fault| (fault.kind, fault.detail));
    let expected = [
        (FaultKind::Malformed, "host_statistics64: 12 words"),
        (FaultKind::Malformed, "vm.swapusage: 40 bytes instead of 32"),
        (FaultKind::Malformed, "kern.memorystatus_vm_pressure_level: 3 is none of 1, 2 and 4"),
        (FaultKind::Malformed, "host_statistics64: 12 words"),
        (FaultKind::Absent, "the GPU's working set is only known to Metal"),
    ]
    .map(|(kind, detail)| (kind, detail.to_owned()));
    assert_eq!(faults, expected);
    assert!(sample.processes.is_ok());
}

#[test]
fn a_machine_without_a_sysctl_has_no_such_sensor() {
    let mut fake = machine();
    fake.sysctls.clear();
    let mut sensors = MachSensors::new(fake, role);
    let sample = read(&mut sensors, &Want::default());
    let kinds = [
        sample.memory.unwrap_err().kind,
        sample.swap.unwrap_err().kind,
        sample.pressure.unwrap_err().kind,
        sample.gpus.unwrap_err().kind,
    ];
    assert_eq!(kinds, [FaultKind::Absent; 4]);
}

#[test]
fn numbers_have_four_or_eight_bytes() {
    assert_eq!(number("x", &7_u32.to_ne_bytes()), Ok(7));
    assert_eq!(number("x", &(1_u64 << 40).to_ne_bytes()), Ok(1 << 40));
    for wrong in [0, 1, 3, 5, 12] {
        let fault = number("x", &vec![0; wrong]).unwrap_err();
        assert_eq!(fault.detail, format!("x: {wrong} bytes are not a number"));
    }
}

fn naming(patterns: &[&str]) -> Want {
    use crate::domain::rule::Named;
    Want {
        named: patterns.iter().filter_map(|text| Named::parse(text)).collect(),
        ..Want::default()
    }
}

#[test]
fn what_is_named_is_found_by_whole_name_or_arguments() {
    const PYTHON: u32 = 950;
    let mut kernel = machine();
    kernel.processes.borrow_mut().push(listed(PYTHON, 1, "Python"));
    let words = ["python3", "-m", "vllm.server", "--key", "hunter2"];
    kernel.arguments.insert(PYTHON, procargs("/usr/bin/python3", &words, &["A=vllm"]));
    kernel.usages.insert(PYTHON, usage(700, 9));
    let mut sensors = MachSensors::new(kernel, role);
    let want = naming(&["process:Very Long Name Helper*", "cmdline:*-m vllm*", "process:ollama"]);
    let sample = read(&mut sensors, &Want { all_processes: true, largest: 9, ..want.clone() });
    assert!(!serde_json::to_string(&sample).unwrap().contains("hunter2"));
    let table = sample.processes.unwrap();
    assert_eq!(pids(&table.named), [BROWSER, PYTHON]);
    assert_eq!((pids(&table.servers), pids(&table.others)), (vec![SERVER], vec![OWN.pid]));
    assert_eq!(table.named[0].matched, [""; 0]);
    assert_eq!(table.named[1].matched, ["*-m vllm*"]);
    assert_eq!(table.named[1].memory.resident, Some(Bytes::mib(700)));

    sensors.kernel.processes.borrow_mut().retain(|listed| listed.key.pid != BROWSER);
    sensors.kernel.usages.insert(PYTHON, usage(800, 9));
    let named = processes(&mut sensors, &want).named;
    assert_eq!((pids(&named), named[0].memory.resident), (vec![PYTHON], Some(Bytes::mib(800))));
    assert_eq!(processes(&mut sensors, &naming(&["cmdline:*nothing*"])).named, []);
    assert_eq!(processes(&mut sensors, &Want::default()).named, []);
}

#[test]
fn what_became_another_program_is_asked_about_once_more() {
    let mut sensors = MachSensors::new(machine(), role);
    let want = naming(&["process:jellyfin"]);
    processes(&mut sensors, &want);
    processes(&mut sensors, &want);
    sensors.kernel.processes.borrow_mut().push(listed(960, 1, "sh"));
    assert_eq!(processes(&mut sensors, &want).named, []);
    sensors.kernel.processes.borrow_mut()[5] = listed(960, 1, "jellyfin");
    assert_eq!(pids(&processes(&mut sensors, &want).named), [960]);
}
