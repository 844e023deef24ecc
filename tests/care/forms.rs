//! `plimsoll advise` as a script meets it, and its forms as what reads them
//! does: a shell runs its lines, systemd checks its drop-in where it is there.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::fake_child::FakeChild;
use super::json_shape::shape;
use super::ollama::{Fake, FakeModel, Spec};
use super::shell::{Home, Said, said};

const NOBODY: &str = "http://127.0.0.1:1";

fn with(home: &Home, url: &str, arguments: &[&str]) -> Said {
    let mut command = home.command(arguments);
    command.env("OLLAMA_HOST", url).env("NO_PROXY", "*");
    said(command)
}

fn demo(home: &Home, target: &str) -> String {
    let said = home.run(&["advise", "--demo", "--for", target]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.is_plain(), "{said:?}");
    said.out
}

fn setting<'a>(advised: &'a Value, name: &str) -> &'a Value {
    let all = advised["settings"].as_array().unwrap();
    all.iter().find(|one| one["setting"] == json!(name)).unwrap()
}

#[test]
fn its_json_keeps_its_shape() {
    let home = Home::new();
    let said = home.run(&["advise", "--demo", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let advised: Value = serde_json::from_str(&said.out).unwrap();
    insta::assert_snapshot!("advise_shape", shape(&advised, 0));
    let cache = setting(&advised, "OLLAMA_KV_CACHE_TYPE");
    assert_eq!(cache["advised"], json!("q8_0"));
    // The figures of `fit`.
    let model = advised["model"].as_str().unwrap();
    let parts = |kv_type: &str| -> u64 {
        let fit = home.run(&["fit", model, "--kv", kv_type, "--demo", "--json"]);
        let fit: Value = serde_json::from_str(&fit.out).unwrap();
        let parts = ["weights", "kv", "state", "compute", "vision", "overhead"];
        let bytes = |part| fit["need"][format!("{part}_bytes")].as_u64().unwrap();
        parts.into_iter().map(bytes).sum()
    };
    assert_eq!(cache["saves_bytes"].as_u64(), Some(parts("f16") - parts("q8_0")));
}

#[test]
fn as_text_it_is_as_wide_as_the_terminal_and_piped_a_setting_is_a_line() {
    let home = Home::new();
    for columns in [40, 80] {
        let mut command = home.command(&["advise", "--demo"]);
        command.env("COLUMNS", columns.to_string());
        let said = said(command);
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(said.code == 0 && widest <= columns, "{widest} of {columns}:\n{}", said.out);
        assert!(said.is_plain(), "{said:?}");
    }
    let piped = home.run(&["advise", "--demo"]);
    let settings = piped.out.lines().skip(1);
    assert!(settings.clone().count() > 6, "{piped:?}");
    assert!(settings.clone().all(|line| !line.starts_with(' ')), "{piped:?}");
}

#[test]
fn a_shell_takes_the_exports_for_what_they_are() {
    let home = Home::new();
    let file = demo(&home, "shell");
    let script =
        format!("{file}\nprintf '%s %s' \"$OLLAMA_KV_CACHE_TYPE\" \"$LLAMA_ARG_CACHE_RAM\"");
    let ran = Command::new("sh").args(["-euc", &script]).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "q8_0 512");
}

#[test]
fn launchctl_is_given_two_words() {
    let home = Home::new();
    let file = demo(&home, "launchd");
    // Whatever it is called with is told.
    let script = format!("launchctl() {{ echo \"$# $1 $2=$3\"; }}\nsudo() {{ :; }}\n{file}");
    let ran = Command::new("sh").args(["-euc", &script]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.lines().count() > 3, "{ran:?}");
    assert!(told.lines().all(|line| line.starts_with("3 setenv ")), "{told}");
    assert!(told.contains("setenv OLLAMA_KV_CACHE_TYPE=q8_0\n"), "{told}");
}

#[test]
fn a_compose_file_has_texts_below_environment() {
    let home = Home::new();
    let file = demo(&home, "compose");
    let lines: Vec<&str> =
        file.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert_eq!(lines[..3], ["services:", "  ollama:", "    environment:"]);
    assert!(lines.contains(&"      OLLAMA_KV_CACHE_TYPE: \"q8_0\""), "{file}");
    let is_pair = |line: &&str| {
        let pair = line.strip_prefix("      ").and_then(|line| line.split_once(": \""));
        pair.is_some_and(|(name, value)| {
            name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && value.ends_with('"')
        })
    };
    assert!(lines[3..].len() > 3 && lines[3..].iter().all(is_pair), "{file}");
}

#[test]
fn a_drop_in_names_its_place_and_systemd_accepts_it() {
    let home = Home::new();
    let file = demo(&home, "systemd");
    let first = file.lines().next().unwrap();
    assert_eq!(first, "# /etc/systemd/system/ollama.service.d/memory.conf");
    assert!(file.contains("#   sudo systemctl daemon-reload\n"), "{file}");
    let mut settings = file.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(settings.next(), Some("[Service]"));
    let mut count = 0;
    for line in settings {
        let pair = line.strip_prefix("Environment=\"").and_then(|rest| rest.strip_suffix('"'));
        let (name, value) = pair.and_then(|pair| pair.split_once('=')).unwrap();
        assert!(name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{line}");
        assert!(!value.contains(['"', '\\', '%']), "{line}");
        count += 1;
    }
    assert!(count > 3, "{file}");
    // Only where it is installed; the lines above are looked at everywhere.
    home.write("units/ollama.service", "[Service]\nExecStart=/bin/true\n");
    home.write("units/ollama.service.d/memory.conf", &file);
    let unit = home.path("units/ollama.service");
    if let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(!said.contains("memory.conf"), "{said}");
    }
}

#[test]
fn without_a_server_it_says_what_it_cannot_know() {
    let home = Home::new();
    let said = with(&home, NOBODY, &["advise", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let advised: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(advised["model"], Value::Null);
    for one in advised["settings"].as_array().unwrap() {
        assert_eq!(one["saves_bytes"], Value::Null, "{one}");
    }
    let mut command = home.command(&["advise"]);
    command.env("OLLAMA_HOST", NOBODY).env("COLUMNS", "100");
    let text = super::shell::said(command).out;
    assert!(text.contains("no model is known here"), "{text}");
}

/// A server inside this process, which ends with it.
fn served_by_nobody() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fake = Fake::start(Spec::default()).await;
            tell.send(fake.url()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

#[test]
fn a_server_elsewhere_is_advised_there() {
    // Whoever holds its socket is this test, and no server.
    let url = served_by_nobody();
    let home = Home::new();
    let said = with(&home, &url, &["advise"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.contains("on another machine") && said.err.contains("hint: "), "{said:?}");
    let doctor = with(&home, &url, &["doctor", "--json"]);
    let doctor: Value = serde_json::from_str(&doctor.out).unwrap();
    assert_eq!(doctor["server"]["place"], json!("remote"));
    let process = doctor["findings"].as_array().unwrap().iter();
    let process = process.into_iter().find(|one| one["id"] == json!("server-process")).unwrap();
    assert_eq!(process["severity"], json!("skipped"));
}

#[test]
fn what_a_server_has_set_is_seen_and_hostile_text_is_in_no_form() {
    let home = Home::new();
    let hostile = "2\"; touch pwned #";
    let models = vec![FakeModel::new("evil`touch pwned`$(x)\u{202e}\u{1b}[31m\":1b", 16 << 20)];
    let fake = FakeChild::spawn_with(
        Spec { models, ..Spec::default() },
        &[
            ("LLAMA_ARG_CACHE_RAM", "128"),
            ("OLLAMA_MAX_LOADED_MODELS", hostile),
            ("OLLAMA_NUM_PARALLEL", hostile),
            ("OLLAMA_KEEP_ALIVE", hostile),
        ],
    );
    let said = with(&home, &fake.url, &["advise", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let advised: Value = serde_json::from_str(&said.out).unwrap();
    let cache = setting(&advised, "LLAMA_ARG_CACHE_RAM");
    assert_eq!((&cache["now"], &cache["is_so"]), (&json!("128"), &json!(true)));
    for target in ["systemd", "launchd", "compose", "shell"] {
        let said = with(&home, &fake.url, &["advise", "--for", target]);
        assert!(said.code == 0 && said.is_plain(), "{said:?}");
        let code = said.out.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(!code.collect::<String>().contains("pwned"), "{said:?}");
        assert!(said.out.contains("128"), "{target}: the file is whole: {said:?}");
        if matches!(target, "launchd" | "shell") {
            let script = format!("launchctl() {{ :; }}\n{}", said.out);
            let folder = home.path("");
            let ran = Command::new("sh").args(["-c", &script]).current_dir(&folder).status();
            assert!(ran.unwrap().success(), "{said:?}");
            assert!(fs::metadata(folder.join("pwned")).is_err());
        }
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = Home::new();
    for arguments in [&["advise", "--for", "cron"][..], &["advise", "--for", "shell", "--json"]] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    }
}
