//! The config as a file: made, shown, checked, refused.

use super::*;

#[test]
fn a_config_is_made_shown_checked_and_found() {
    let home = Home::new();
    let said = home.run(&["config", "path"]);
    assert!(said.code == 0 && said.out.contains("config.toml (not there yet)"), "{said:?}");
    assert_eq!(home.run(&["config", "check"]).out, "ok: defaults only, there is no config file\n");
    assert_eq!(home.run(&["config", "init"]).code, 0);
    let again = home.run(&["config", "init"]);
    assert!(again.code == 1 && again.err.contains("left as it is"), "{again:?}");
    assert!(home.run(&["config", "check"]).out.ends_with("config.toml\n"));
    let mode = fs::metadata(home.path("config/plimsoll/config.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = home.run(&["config", "show", "--origin", "--theme", "light"]);
    assert!(shown.out.contains("theme = \"light\"                  # flag --theme"), "{shown:?}");
}

#[test]
fn a_config_that_cannot_stand_is_refused_with_file_and_line() {
    let home = Home::new();
    for (text, wanted) in [
        ("[levels]\nwarning = 90\ncritical = 80\n", &["line 2", "`levels.critical`", "line 3"][..]),
        ("\ntheem = \"x\"\n", &["line 2", "`theem`"]),
        ("interval = 3\n", &["line 1", "100ms to 1h"]),
        ("interval = \"0s\"\n", &["line 1", "100ms to 1h"]),
        ("theme = \"dark\"\nbad = \n", &["line 2", "not TOML"]),
        ("theme = \"dark\"\ntheme = \"dark\"\n", &["line 2"]),
    ] {
        home.config(text.as_bytes());
        for arguments in [&["status"][..], &["config", "check"], &["config", "show"]] {
            let said = home.run(arguments);
            assert_eq!(said.code, 2, "{text:?} {said:?}");
            let told = format!("{}{}", said.out, said.err);
            assert!(told.contains("config.toml"), "{told}");
            assert!(wanted.iter().all(|word| told.contains(word)), "{text:?}: {told}");
        }
    }
    home.config(b"theme = \"dark\"\n\xff\xfe = 1\n");
    let said = home.run(&["status"]);
    assert!(said.code == 2 && said.err.contains("line 2, column 1"), "{said:?}");
}

#[test]
fn keys_and_themes_are_checked_with_the_line_that_is_wrong() {
    let home = Home::new();
    let clash = "[keys]\nhelp = \"f1\"\npin = \"x\"\nunload = \"x\"\nquit = \"Q\"\n";
    home.config(clash.as_bytes());
    let said = home.run(&["config", "check"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.out.contains("line 4: `keys.unload`"), "{said:?}");
    assert!(said.out.contains("`x` would mean both"), "{said:?}");
    // Against a key nobody rebound there is only one line to name.
    home.config(b"[keys]\nhelp = \"f1\"\npin = \"u\"\n");
    let said = home.run(&["config", "check"]);
    assert!(said.code == 2 && said.out.contains("line 3: `keys.pin`"), "{said:?}");
    home.config(b"[keys]\nhelp = \"f1\"\npin = \"pp\"\n");
    assert!(home.run(&["config", "check"]).out.contains("line 3: `keys.pin`"));
    home.config(b"\ntheme = \"nope\"\n");
    let said = home.run(&["config", "check"]);
    assert!(
        said.code == 2 && said.out.contains("line 2") && said.out.contains("dark, "),
        "{said:?}"
    );
}

#[test]
fn a_config_that_cannot_be_read_is_named() {
    let home = Home::new();
    fs::create_dir_all(home.path("config/plimsoll/config.toml")).unwrap();
    let said = home.run(&["status"]);
    assert!(said.code == 2 && said.err.contains("config.toml"), "{said:?}");
    let said = home.run(&["status", "--config", "nowhere.toml"]);
    assert!(said.code == 2 && said.err.contains("(named by --config)"), "{said:?}");
    let said = home.run(&["config", "path"]);
    assert!(said.out.starts_with("config "), "{said:?}");
}

#[test]
fn a_home_that_is_no_absolute_path_is_none() {
    let home = Home::new();
    let mut command = home.command(&["config", "path"]);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME").env("HOME", "here");
    let said = shell::said(command);
    assert!(said.code == 0 && !said.out.contains("here/"), "{said:?}");
    let mut command = home.command(&["status", "--ollama", NOBODY]);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME").env_remove("HOME");
    assert_eq!(shell::said(command).code, 0);
}
