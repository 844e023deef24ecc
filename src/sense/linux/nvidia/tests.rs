//! The reader over a library that a test scripts, and over real ones that a C
//! compiler makes here; the sampler's end over a fake tree.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::apart::Apart;
use super::library::{Amounts, Code, Library};
use super::power::Power;
use super::reader::{Answer, Ask, PACE, Reader};
use super::*;
use crate::domain::fault::FaultKind;

const GIB: u64 = 1 << 30;

/// A driver as the test says, and how often it was called.
#[derive(Default)]
struct Driver {
    begins_with: Option<Code>,
    cards: Vec<Told>,
    begun: u32,
    ended: u32,
}

#[derive(Clone)]
struct Told {
    name: Result<Vec<u8>, Code>,
    memory: Result<Amounts, Code>,
    plain: Result<Amounts, Code>,
}

fn card(name: &str, total: u64, free: u64) -> Told {
    let reserved = 300 << 20;
    let amounts = |used| Ok(Amounts { total, free, used });
    let taken = total.saturating_sub(free);
    let memory = amounts(taken.saturating_sub(reserved));
    Told { name: Ok(name.into()), memory, plain: amounts(taken) }
}

/// What a test holds, the library waits for: so a driver hangs.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Driver>>);

impl Scripted {
    fn with(cards: &[Told]) -> Self {
        let scripted = Scripted::default();
        scripted.say(|driver| driver.cards = cards.to_vec());
        scripted
    }

    fn say<T>(&self, change: impl FnOnce(&mut Driver) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn sessions(&self) -> (u32, u32) {
        self.say(|driver| (driver.begun, driver.ended))
    }

    fn card<T>(&self, index: u32, part: impl FnOnce(&Told) -> Result<T, Code>) -> Result<T, Code> {
        self.say(|driver| {
            assert!(driver.begun > driver.ended, "outside a session");
            driver.cards.get(index as usize).map_or(Err(Code::INVALID_ARGUMENT), part)
        })
    }

    fn reader(&self) -> Reader<Scripted, impl FnMut() -> Reading<Scripted> + use<>> {
        let library = self.clone();
        Reader::new(move || Ok(library.clone()))
    }
}

impl Library for Scripted {
    fn begin(&mut self) -> Result<(), Code> {
        self.say(|driver| {
            driver.begun += u32::from(driver.begins_with.is_none());
            driver.begins_with.map_or(Ok(()), Err)
        })
    }

    fn end(&mut self) {
        self.say(|driver| driver.ended += 1);
    }

    fn count(&self) -> Result<u32, Code> {
        Ok(self.say(|driver| u32::try_from(driver.cards.len()).unwrap()))
    }

    fn name(&self, index: u32) -> Result<Vec<u8>, Code> {
        self.card(index, |card| card.name.clone())
    }

    fn memory(&self, index: u32) -> Result<Amounts, Code> {
        self.card(index, |card| card.memory)
    }

    fn plain_memory(&self, index: u32) -> Result<Amounts, Code> {
        self.card(index, |card| card.plain)
    }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_millis(seconds * 1000)
}

fn ask(seconds: u64) -> Ask {
    Ask { now: at(seconds), may_sleep: false }
}

fn gpu(name: &str, total: u64, used: Option<u64>) -> Gpu {
    let used = used.map(Bytes::new);
    Gpu { name: name.to_owned(), total: Bytes::new(total), used, unified: false }
}

fn shown(answer: Answer) -> Reading<Vec<Gpu>> {
    told(answer.cards?, Some(Bytes::gib(120)))
}

#[test]
fn both_calls_tell_the_same_use() {
    let newer = card("NVIDIA A", 24 * GIB, 20 * GIB);
    let missing = [
        Code::FUNCTION_NOT_FOUND,
        Code::ARGUMENT_VERSION_MISMATCH,
        Code::INVALID_ARGUMENT,
        Code::NOT_SUPPORTED,
    ];
    let older = missing.map(|code| Told { memory: Err(code), ..newer.clone() });
    let cards: Vec<Told> = older.into_iter().chain([newer]).collect();
    let gpus = shown(Scripted::with(&cards).reader().read(ask(0))).unwrap();
    assert_eq!(gpus, vec![gpu("NVIDIA A", 24 * GIB, Some(4 * GIB)); 5]);
}

#[test]
fn a_lost_card_keeps_its_size_and_leaves_the_others_alone() {
    let well = card("NVIDIA A", 24 * GIB, 20 * GIB);
    let driver = Scripted::with(&[well.clone(), card("NVIDIA B", 8 * GIB, GIB)]);
    let mut reader = driver.reader();
    reader.read(ask(0));
    let lost = Err(Code::GPU_IS_LOST);
    driver.say(|driver| {
        driver.cards[1] = Told { name: Err(Code::GPU_IS_LOST), memory: lost, plain: lost }
    });
    let expected = vec![gpu("NVIDIA A", 24 * GIB, Some(4 * GIB)), gpu("NVIDIA B", 8 * GIB, None)];
    assert_eq!(shown(reader.read(ask(2))), Ok(expected.clone()));
    assert_eq!(shown(reader.read(ask(4))), Ok(expected));
    assert_eq!(driver.sessions(), (1, 0), "a session is not begun anew at every reading");
    reader.read(ask(60));
    assert_eq!(driver.sessions(), (1, 1), "but once a minute");
    driver.say(|driver| driver.cards.swap(0, 1));
    let swapped = shown(reader.read(ask(62)));
    // What another card had is not taken for this one's.
    assert_eq!(swapped, Ok(vec![gpu("NVIDIA A", 24 * GIB, Some(4 * GIB))]));
    drop(reader);
    assert_eq!(driver.sessions(), (2, 2));
}

#[test]
fn a_card_that_tells_nothing_is_unavailable_and_says_why() {
    let broken = |code| Told { memory: Err(code), ..card("NVIDIA A", GIB, 0) };
    let odd = |total, free| Told {
        memory: Ok(Amounts { total, free, used: 0 }),
        ..card("NVIDIA A", GIB, 0)
    };
    let cases = [
        (broken(Code::GPU_IS_LOST), "NVIDIA A is lost: it has fallen off the bus"),
        (broken(Code(4)), "NVIDIA A may not be asked for its memory"),
        (broken(Code(4711)), "NVIDIA A answers with error 4711"),
        (broken(Code(-1)), "NVIDIA A answers with error -1"),
        (odd(0, 0), "NVIDIA A: tells no size of its memory"),
        (odd(u64::MAX, u64::MAX), "NVIDIA A: tells no size of its memory"),
        (odd(GIB, u64::MAX), "NVIDIA A: more memory free than there is"),
    ];
    for (card, why) in cases {
        let fault = shown(Scripted::with(&[card]).reader().read(ask(0))).unwrap_err();
        assert_eq!(fault.detail, why);
        assert_ne!(fault.kind, FaultKind::Absent);
    }
    let none = shown(Scripted::default().reader().read(ask(0)));
    assert_eq!(none, Err(SensorFault::absent("no NVIDIA card")));
}

#[test]
fn a_card_without_memory_of_its_own_has_the_systems() {
    let not_supported = Err(Code::NOT_SUPPORTED);
    let jetson = Told { memory: not_supported, plain: not_supported, ..card("Orin (nvgpu)", 0, 0) };
    let driver = Scripted::with(&[jetson, card("NVIDIA GB10", 0, 0)]);
    let answer = driver.reader().read(ask(0));
    let unified = |name: &str| Gpu { unified: true, ..gpu(name, 120 * GIB, None) };
    assert_eq!(shown(answer.clone()), Ok(vec![unified("Orin (nvgpu)"), unified("NVIDIA GB10")]));
    let unknown = told(answer.cards.unwrap(), None);
    assert_eq!(unknown.unwrap_err().kind, FaultKind::Absent);
}

#[test]
fn names_are_cleaned_and_never_empty() {
    let driver = Scripted::with(&[
        card("A\u{1b}[31m\n\u{202e}B", GIB, GIB),
        Told { name: Ok(vec![0xff, 7]), ..card("", GIB, GIB) },
        card("", GIB, GIB),
        Told { name: Err(Code::UNKNOWN), ..card("", GIB, GIB) },
    ]);
    let gpus = shown(driver.reader().read(ask(0))).unwrap();
    let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    assert_eq!(names, ["A[31m B", "\u{fffd}", "NVIDIA card 2", "NVIDIA card 3"]);
}

#[test]
fn cards_come_and_go() {
    let one = card("NVIDIA A", 24 * GIB, 20 * GIB);
    let driver = Scripted::with(std::slice::from_ref(&one));
    let mut reader = driver.reader();
    for count in [1, 3, 2, 0, 1] {
        driver.say(|driver| driver.cards = vec![one.clone(); count]);
        assert_eq!(reader.read(ask(0)).cards.unwrap().len(), count);
    }
    // A driver knows no more; a count beyond that is rubbish.
    driver.say(|driver| driver.cards = vec![one; 1000]);
    assert_eq!(reader.read(ask(0)).cards.unwrap().len(), 64);
}

#[test]
fn a_driver_that_fails_as_a_whole_is_opened_anew_later() {
    let driver = Scripted::with(&[card("NVIDIA A", 24 * GIB, 20 * GIB)]);
    driver.say(|driver| driver.begins_with = Some(Code(18)));
    let library = driver.clone();
    let mut opened = 0;
    let mut reader = Reader::new(|| {
        opened += 1;
        Ok(library.clone())
    });
    let failed = reader.read(ask(0));
    let why = "NVIDIA's driver and its library differ: restart the machine";
    assert_eq!(failed.cards, Err(SensorFault::new(FaultKind::Failed, why)));
    assert_eq!(failed.next, Duration::from_secs(60));
    // As in a service that sees no devices: the kernel's sign is there.
    driver.say(|driver| driver.begins_with = Some(Code(9)));
    let kept = reader.read(ask(30)).cards.unwrap_err();
    assert_eq!(kept.kind, FaultKind::Failed);
    driver.say(|driver| driver.begins_with = None);
    assert!(reader.read(ask(60)).cards.is_ok());
    drop(reader);
    assert_eq!(opened, 3);
}

#[test]
fn an_idle_card_that_could_sleep_is_left_alone() {
    let idle = card("NVIDIA A", 8 * GIB, 8 * GIB - (310 << 20));
    let driver = Scripted::with(std::slice::from_ref(&idle));
    let mut reader = driver.reader();
    let may_sleep = |seconds| Ask { now: at(seconds), may_sleep: true };
    assert_eq!(reader.read(may_sleep(0)).next, Duration::from_secs(30));
    assert_eq!(driver.sessions(), (1, 1), "no session keeps it awake");
    driver.say(|driver| driver.cards = vec![card("NVIDIA A", 8 * GIB, 4 * GIB)]);
    assert_eq!(reader.read(may_sleep(30)).next, PACE);
    assert_eq!(driver.sessions(), (2, 1));
    driver.say(|driver| driver.cards = vec![idle]);
    assert_eq!(reader.read(ask(32)).next, PACE, "one that never sleeps is followed");
    assert_eq!(driver.sessions(), (2, 1));
}

fn apart(driver: &Scripted) -> Apart {
    let library = driver.clone();
    Apart::start(move || Ok(library.clone())).unwrap()
}

/// The thread may be late on a busy machine: asks until it has answered.
fn in_the_end(mut cards: impl FnMut() -> Reading<Vec<Card>>) -> Vec<Card> {
    let started = Instant::now();
    loop {
        match cards() {
            Ok(cards) => return cards,
            Err(fault) => assert!(started.elapsed() < Duration::from_secs(20), "{fault}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_hanging_driver_keeps_no_sample_waiting() {
    let driver = Scripted::with(&[card("NVIDIA A", 24 * GIB, 20 * GIB)]);
    let mut apart = apart(&driver);
    let before = in_the_end(|| apart.cards(at(0), Power::Awake));
    let held = driver.0.lock().unwrap();
    let started = Instant::now();
    let mut answers: Vec<_> = (2..=14).map(|s| apart.cards(at(s), Power::Awake)).collect();
    // One wait of 20 ms; the rest is for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let late = answers.split_off(9);
    assert_eq!(answers, vec![Ok(before.clone()); 9], "the last answer, for 10 s");
    let kinds: Vec<_> = late.into_iter().map(|answer| answer.unwrap_err().kind).collect();
    assert_eq!(kinds, [FaultKind::Hung; 4]);
    drop(held);
    assert_eq!(in_the_end(|| apart.cards(at(15), Power::Awake)), before);
}

#[test]
fn a_driver_that_hangs_from_the_start_is_waited_for_a_little() {
    let driver = Scripted::with(&[]);
    let mut apart = apart(&driver);
    let held = driver.0.lock().unwrap();
    let started = Instant::now();
    let first = apart.cards(at(0), Power::Awake).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(first.detail, "NVIDIA's driver has not answered yet");
    let started = Instant::now();
    let later = apart.cards(at(11), Power::Awake).unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
    assert_eq!(later.detail, "NVIDIA's driver has not answered for 10 s");
    drop(held);
}

#[test]
fn a_sleeping_card_is_not_asked_and_keeps_its_figures() {
    let driver = Scripted::with(&[card("NVIDIA A", 24 * GIB, 20 * GIB)]);
    let mut apart = apart(&driver);
    let fault = apart.cards(at(0), Power::Asleep).unwrap_err();
    assert_eq!(fault.detail, "NVIDIA's card sleeps, and reading it would wake it");
    assert_eq!(driver.sessions(), (0, 0));
    let cards = in_the_end(|| apart.cards(at(1), Power::MaySleep));
    driver.say(|driver| driver.cards.clear());
    assert_eq!(apart.cards(at(9999), Power::Asleep), Ok(cards));
    let woken = || apart.cards(at(10_000), Power::Awake);
    assert_eq!(in_the_end(woken), []);
}

#[test]
fn an_answer_is_asked_for_at_its_pace_only() {
    let driver = Scripted::with(&[card("NVIDIA A", 24 * GIB, 20 * GIB)]);
    let mut apart = apart(&driver);
    let first = in_the_end(|| apart.cards(at(0), Power::Awake));
    driver.say(|driver| driver.cards.clear());
    assert_eq!(apart.cards(at(1), Power::Awake), Ok(first));
    let mut seconds = 2;
    let emptied = || {
        seconds += 1;
        apart.cards(at(seconds), Power::Awake).and_then(|cards| match cards.is_empty() {
            true => Ok(cards),
            false => Err(SensorFault::absent("not yet")),
        })
    };
    assert_eq!(in_the_end(emptied), []);
}

#[test]
fn what_is_dropped_ends_its_session() {
    let driver = Scripted::with(&[card("NVIDIA A", 24 * GIB, 20 * GIB)]);
    let mut apart = apart(&driver);
    in_the_end(|| apart.cards(at(0), Power::Awake));
    assert_eq!(driver.sessions(), (1, 0));
    drop(apart);
    in_the_end(|| match driver.sessions() {
        (1, 1) => Ok(Vec::new()),
        _ => Err(SensorFault::absent("the session goes on")),
    });
}

fn write(root: &Path, below: &str, text: &str) {
    let path = root.join(below);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn files_tell_whether_cards_sleep() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let power = || Cards::find(root, &mut Vec::new()).power(&mut Vec::new());
    assert_eq!(power(), Power::Awake);
    let device = |name: &str, [vendor, class, control, status]: [&str; 4]| {
        let device = format!("sys/bus/pci/devices/{name}");
        for (file, text) in [
            ("vendor", vendor),
            ("class", class),
            ("power/control", control),
            ("power/runtime_status", status),
        ] {
            write(root, &format!("{device}/{file}"), &format!("{text}\n"));
        }
    };
    device("0000:00:02.0", ["0x8086", "0x030000", "auto", "suspended"]);
    device("0000:01:00.1", ["0x10de", "0x040300", "auto", "suspended"]);
    assert_eq!(power(), Power::Awake);
    let card = |control, status| device("0000:01:00.0", ["0x10de", "0x030000", control, status]);
    card("on", "active");
    assert_eq!(power(), Power::Awake);
    card("auto", "active");
    assert_eq!(power(), Power::MaySleep);
    for status in ["suspended", "suspending"] {
        card("auto", status);
        assert_eq!(power(), Power::Asleep);
    }
    device("0000:02:00.0", ["0x10de", "0x030200", "on", "active"]);
    assert_eq!(power(), Power::MaySleep, "another card is awake");
    let said = |status: &str| {
        let text = format!("Runtime D3 status:          {status}\nVideo Memory:  Active\n");
        write(root, "proc/driver/nvidia/gpus/0000:01:00.0/power", &text);
    };
    said("Enabled (fine-grained)");
    assert_eq!(power(), Power::MaySleep);
    for status in ["Disabled by default", "Not supported", "?"] {
        said(status);
        assert_eq!(power(), Power::Awake, "the driver keeps it awake");
    }
}

#[test]
fn without_a_sign_of_a_driver_nothing_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    // Opening this would be a fault that is not an absence.
    write(folder.path(), "library", "no library");
    let library = folder.path().join("library");
    let mut nvidia = Nvidia::with_libraries(folder.path(), &[library.to_str().unwrap()]);
    let mut read = |seconds| nvidia.gpus((at(seconds), None), &mut Vec::new()).unwrap_err();
    assert_eq!(read(0).kind, FaultKind::Absent);
    write(folder.path(), "dev/nvidiactl", "");
    assert_eq!(read(299).kind, FaultKind::Absent, "it is not looked for again so soon");
    let found = std::iter::repeat_with(|| read(300)).find(|fault| fault.kind != FaultKind::Hung);
    let found = found.unwrap();
    assert_eq!(found.kind, FaultKind::Failed);
    assert!(found.detail.starts_with("NVIDIA's library: "), "{found}");
}

#[test]
fn a_driver_without_its_library_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "proc/driver/nvidia/version", "");
    let missing = folder.path().join("missing.so.1");
    let mut nvidia = Nvidia::with_libraries(folder.path(), &[missing.to_str().unwrap()]);
    let read = || nvidia.gpus((at(0), None), &mut Vec::new()).unwrap_err();
    let found = std::iter::repeat_with(read).find(|fault| fault.kind != FaultKind::Hung);
    assert_eq!(found, Some(SensorFault::absent("NVIDIA's driver has no library here")));
}

/// A machine whose driver's library is made by the C compiler; `None`, and
/// said so, where there is none.
fn machine(folder: &Path, flags: &[&str]) -> Option<Nvidia> {
    write(folder, "driver.c", include_str!("driver.c"));
    write(folder, "proc/driver/nvidia/version", "NVRM version: a test\n");
    let library = folder.join("libnvidia-ml.so.1");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(folder.join("driver.c"));
    match compiler.args(flags).status() {
        Ok(status) => assert!(status.success(), "{compiler:?}"),
        Err(error) => {
            println!("not checked: a library made of C: cc: {error}");
            return None;
        }
    }
    let missing = folder.join("missing.so.1");
    let libraries = [missing.to_str().unwrap(), library.to_str().unwrap()];
    Some(Nvidia::with_libraries(folder, &libraries))
}

fn first(nvidia: &mut Nvidia) -> Reading<Vec<Gpu>> {
    let started = Instant::now();
    loop {
        let read = nvidia.gpus((at(0), Some(Bytes::gib(120))), &mut Vec::new());
        let is_waiting = read.as_ref().is_err_and(|fault| fault.kind == FaultKind::Hung);
        if !is_waiting || started.elapsed() > Duration::from_secs(20) {
            return read;
        }
    }
}

#[test]
fn a_real_library_is_opened_and_called() {
    for flags in [&[][..], &["-DOLD"]] {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut nvidia) = machine(folder.path(), flags) else { return };
        let expected = vec![
            gpu("NVIDIA Test 24G", 24 * GIB, Some(5 * GIB)),
            Gpu { unified: true, ..gpu("NVIDIA GB10", 120 * GIB, None) },
        ];
        assert_eq!(first(&mut nvidia), Ok(expected), "{flags:?}");
    }
}

#[test]
fn a_library_too_old_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut nvidia) = machine(folder.path(), &["-DANCIENT"]) else { return };
    let why = "NVIDIA's library has no nvmlInit_v2: too old";
    assert_eq!(first(&mut nvidia), Err(SensorFault::new(FaultKind::Failed, why)));
}

#[test]
fn a_real_library_that_hangs_keeps_nothing_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut nvidia) = machine(folder.path(), &["-DHANGS"]) else { return };
    let started = Instant::now();
    let faults: Vec<_> = (0..20)
        .map(|second| nvidia.gpus((at(second), None), &mut Vec::new()).unwrap_err().kind)
        .collect();
    // Two waits of 250 ms, in its first two seconds; it hangs for 5 s.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(faults, [FaultKind::Hung; 20]);
}
