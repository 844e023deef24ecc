//! Recordings: made, played, and what stands in them.

use super::*;

#[test]
fn what_is_recorded_plays_back() {
    let home = Home::new();
    let live = home.run(&["status", "--demo"]);
    let said = home.run(&["record", "--for", "700ms", "--interval", "200ms", "r", "--demo"]);
    assert_eq!(said.code, 0, "{said:?}");
    let samples: u32 = said.out.split(' ').next().unwrap().parse().unwrap();
    assert!((2..=5).contains(&samples), "{said:?}");
    let mode = fs::metadata(home.path("r")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let played = home.run(&["status", "--replay", "r"]);
    assert_eq!(played.code, 0, "{played:?}");
    let first_words = |said: &Said| -> Vec<String> {
        said.out.lines().map(|l| l.split(',').next().unwrap().to_owned()).collect()
    };
    let (live, played) = (first_words(&live), first_words(&played));
    assert_eq!(live[6..], played[6..], "server and models as they were, at their own time");
}

#[test]
#[cfg(target_os = "linux")]
fn a_recording_holds_no_environment_and_no_argument_but_the_runners_own() {
    let home = Home::new();
    let program = home.path("llama-server");
    fs::copy("/bin/sh", &program).unwrap();
    let mut runner = std::process::Command::new(&program)
        .args(["-c", "read line", "--model", "/models/blobs/sha256-00", "--ctx-size", "4096"])
        .args(["--api-key", "hunter2", "--port", "43210", "hunter2"])
        .env("OLLAMA_API_KEY", "hunter2")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let said = home.run(&["record", "--for", "300ms", "--interval", "100ms", "r"]);
    assert_eq!(said.code, 0, "{said:?}");
    drop(runner.stdin.take());
    runner.wait().unwrap();
    let text = fs::read_to_string(home.path("r")).unwrap();
    assert!(text.contains("llama-server") && text.contains(&runner.id().to_string()), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let home = Home::new();
    home.write("kept", "mine");
    let said = home.run(&["record", "--for", "1s", "kept", "--demo"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("exists and was left as it is\nhint:"), "{said:?}");
    assert_eq!(fs::read_to_string(home.path("kept")).unwrap(), "mine");
    let said = home.run(&["record", "--for", "1s", "no/such/folder/r", "--demo"]);
    assert!(said.code == 1 && said.err.contains("no/such/folder/r"), "{said:?}");
}

#[test]
fn a_signal_ends_a_recording_cleanly() {
    let home = Home::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let name = format!("r{}", signal.as_raw());
        // A server that never answers must not keep it.
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", deaf.local_addr().unwrap());
        let arguments = ["record", &name, "--ollama", &url, "--interval", "100ms"];
        let child = home.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        while fs::metadata(home.path(&name)).map_or(0, |file| file.len()) < 100 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let begun = std::time::Instant::now();
        kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signal:?}");
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
        assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("samples in {name}")));
        assert!(fs::read(home.path(&name)).unwrap().ends_with(b"}\n"));
    }
}

#[test]
fn a_file_that_cannot_be_played_says_why_and_what_to_do() {
    let home = Home::new();
    let good = recording(&[bare_sample(0, 8)]);
    let header = good.lines().next().unwrap().to_owned();
    home.write("empty", "");
    home.write("garbage", "\u{0}\u{1b}[2J not a recording");
    home.write("header", &format!("{header}\n"));
    home.write("newer", &good.replacen("\"version\":1", "\"version\":9", 1));
    home.write("broken", &format!("{header}\n{{\"s\":nonsense}}\n{{}}\n"));
    home.write("huge", &format!("{header}\n{}\n", "x".repeat(3_000_000)));
    home.write("change-first", &format!("{header}\n{{\"d\":{{}},\"t\":1000}}\n"));
    home.write("deep", &format!("{header}\n{{\"s\":{}\n", "[".repeat(100_000)));
    fs::create_dir(home.path("folder")).unwrap();
    for (name, wanted) in [
        ("empty", "plimsoll record FILE"),
        ("garbage", "plimsoll record FILE"),
        ("header", "holds no sample"),
        ("newer", "format 9"),
        ("broken", "line 2"),
        ("huge", "line 2"),
        ("change-first", "line 2"),
        ("deep", "line 2"),
        ("folder", "directory"),
        ("nowhere", "No such file"),
    ] {
        for arguments in
            [&["status", "--replay", name][..], &["status", "--json", "--replay", name]]
        {
            let said = home.run(arguments);
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
            assert!(said.err.contains(wanted) && said.err.contains(name), "{said:?}");
            assert!(said.is_plain() && said.err.len() < 600, "{said:?}");
        }
    }
}

#[test]
fn a_recording_that_was_cut_off_plays_as_far_as_it_goes() {
    let home = Home::new();
    let whole = recording(&[bare_sample(0, 8), bare_sample(1000, 8)]);
    let first_two: usize = whole.lines().take(2).map(|line| line.len() + 1).sum();
    for cut in [first_two, first_two + 1, first_two + 100, whole.len() - 1] {
        home.write("r", &whole[..cut]);
        assert_eq!(home.run(&["status", "--replay", "r"]).code, 0, "cut at {cut}");
    }
}

#[test]
fn absurd_numbers_in_a_recording_are_survived() {
    let home = Home::new();
    let plain = bare_sample(0, 8).to_string();
    for absurd in ["0", "18446744073709551615", "9223372036854775807"] {
        for known in ["17179869184", "8589934592", "7000"] {
            let line = plain.replace(known, absurd);
            let first: Value = serde_json::from_str(&line).unwrap();
            home.write("r", &recording(&[first, bare_sample(1000, 8)]));
            let said = home.run(&["status", "--json", "--replay", "r"]);
            assert!([0, 1, 10, 11, 12].contains(&said.code), "{known} as {absurd}: {said:?}");
            assert!(!said.err.contains("panicked"), "{known} as {absurd}: {said:?}");
        }
    }
}

#[test]
fn while_a_recording_plays_nothing_can_be_changed() {
    let home = Home::new();
    let said = home.run(&["record", "--for", "700ms", "--interval", "200ms", "r", "--demo"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut dashboard = home.dashboard(&["--replay", "r"]);
    dashboard.wait_for_text("llama3.2");
    dashboard.press("2");
    dashboard.press("p");
    dashboard.wait_for_text("a recording is being played");
    dashboard.press("1");
    dashboard.wait_for_text("the recording ends here");
    dashboard.press("q");
    assert_eq!(dashboard.wait_for_end(), 0);
}

#[test]
fn a_theme_nobody_has_is_refused_with_those_there_are() {
    let home = Home::new();
    let mut dashboard = home.dashboard(&["--demo", "--theme", "nope"]);
    assert_eq!(dashboard.wait_for_end(), 2);
    let told = dashboard.contents();
    assert!(told.contains("`nope` is not a theme") && told.contains("light"), "{told}");
}

#[test]
fn a_dashboard_ended_by_a_signal_says_which() {
    let home = Home::new();
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let mut dashboard = home.dashboard(&["--demo"]);
        dashboard.wait_for_picture();
        dashboard.signal(signal);
        assert_eq!(dashboard.wait_for_end(), code, "{signal:?}");
    }
}
