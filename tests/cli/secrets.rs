//! What is never said, and hostile words from outside.

use super::*;

#[test]
fn a_password_in_an_address_is_never_said() {
    let addresses = [
        "http://me:hunter2@127.0.0.1:1/?token=hunter2",
        "me:hunter2@127.0.0.1:1",
        "http://me:hunter2@127.0.0.1:99999",
        "ftp://me:hunter2@127.0.0.1:1",
        "http://me:hunter2/hunter2@127.0.0.1:1/",
        "http://me:hunter2?hunter2@127.0.0.1:1/",
        "http://me:hunter2#hunter2@127.0.0.1:1/",
        "http://me:p@hunter2@127.0.0.1:1",
        "http:///me:hunter2@127.0.0.1",
        "http:/me:hunter2@127.0.0.1:1",
        "//me:hunter2@127.0.0.1",
        "http://me:hunter2@no such host:1",
        "http://me:hunter2@[::1]:port",
        "http://127.0.0.1:1/?token=me@hunter2",
    ];
    std::thread::scope(|scope| {
        for address in addresses {
            scope.spawn(move || never_says_the_password(address));
        }
    });
}

#[test]
fn an_address_that_is_not_what_it_seems_is_noted() {
    let home = Home::new();
    for (address, wanted) in [
        ("127.0.0.1:66000", "11434 is used"),
        ("ftp://127.0.0.1:1", "neither http nor https"),
        ("http://me:a/b@127.0.0.1:1", "%2F"),
    ] {
        let said = home.run(&["status", "--json", "--ollama", address]);
        assert!(said.err.contains("flag --ollama") && said.err.contains(wanted), "{said:?}");
        assert!(serde_json::from_str::<Value>(&said.out).is_ok());
        let said = home.run(&["config", "check", "--ollama", address]);
        assert!(said.code == 0 && said.out.contains(wanted), "{said:?}");
        let mut dashboard = home.dashboard(&["--ollama", address]);
        dashboard.wait_for_text("flag --ollama");
        dashboard.press("q");
        assert_eq!(dashboard.wait_for_end(), 0);
    }
}

fn never_says_the_password(address: &str) {
    let home = Home::new();
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["config", "show", "--origin"],
        &["config", "check"],
        &["record", "--for", "100ms", "r"],
    ] {
        let said = home.run(&[arguments, &["--ollama", address]].concat());
        assert!(!format!("{said:?}").contains("hunter2"), "{address}: {said:?}");
        assert!([0, 10, 11, 12].contains(&said.code), "{address}: {said:?}");
    }
    assert!(!fs::read_to_string(home.path("r")).unwrap().contains("hunter2"));
    let mut command = home.command(&["status"]);
    command.env("OLLAMA_HOST", address);
    let said = shell::said(command);
    assert!(!format!("{said:?}").contains("hunter2"), "{address}: {said:?}");
}

#[test]
fn a_server_with_hostile_names_changes_no_terminal() {
    let home = Home::new();
    let name = "evil\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\nnext\rline\u{200b}";
    let long = "x".repeat(5000);
    let server = Canned::start(move |path| match path {
        "/api/version" => json!({"version": name}).to_string(),
        "/api/ps" => json!({"models": [
            {"name": name, "model": name, "size": 5, "size_vram": 0, "digest": name,
             "expires_at": "2318-01-01T00:00:00Z", "details": {"family": name}},
            {"name": long, "model": long, "size": 5, "size_vram": 0, "digest": "d"},
        ]})
        .to_string(),
        "/api/tags" => json!({"models": [{"name": name, "model": name, "size": 5}]}).to_string(),
        _ => json!({"error": name}).to_string(),
    });
    let text = home.run(&["status", "--ollama", server.url()]);
    assert!(text.is_plain() && text.out.contains("evil"), "{text:?}");
    assert!(text.out.lines().all(|line| line.len() < 200), "{text:?}");
    assert!(!text.out.lines().any(|line| line.starts_with("next") || line.starts_with("line")));
    let said = home.run(&["status", "--json", "--ollama", server.url()]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(status["models"].as_array().unwrap().len(), 2);
    assert!(said.is_plain() && !said.out.contains("\\u001b") && !said.out.contains("\\n"));
    let mut dashboard = home.dashboard(&["--ollama", server.url()]);
    dashboard.wait_for_text("evil");
    let painted = String::from_utf8_lossy(&dashboard.bytes()).into_owned();
    // Its letters may be shown; the sequence around them may not.
    assert!(!painted.contains("\u{1b}]0;"));
    assert!(!painted.contains(['\u{202e}', '\u{9b}', '\u{7}', '\u{200b}']));
    dashboard.press("q");
    assert_eq!(dashboard.wait_for_end(), 0);
}

#[test]
fn a_server_that_answers_with_an_error_says_so_without_its_page() {
    let home = Home::new();
    let server = Canned::start(|_| "<html>\u{1b}[2J<b>oh no</b></html>".to_owned());
    let said = home.run(&["status", "--ollama", server.url()]);
    assert!(said.code == 0 && said.is_plain(), "{said:?}");
    assert!(said.out.contains("down"), "{said:?}");
}
