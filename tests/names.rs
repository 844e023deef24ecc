//! A word or a name that is none of those there are: the nearest is named, for
//! everything that takes one.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/shell.rs"]
mod shell;

use self::shell::Home;

#[track_caller]
fn meant(arguments: &[&str], (code, words): (i32, &str)) {
    let home = Home::new();
    home.write("r", "");
    let said = home.run(arguments);
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{arguments:?}: {said:?}");
    assert!(said.err.contains(words), "{arguments:?}: {said:?}");
}

#[test]
fn a_wrong_command_or_flag() {
    meant(&["statsu"], (2, "'status'"));
    meant(&["service", "instal"], (2, "'install'"));
    meant(&["config", "chekc"], (2, "'check'"));
    meant(&["status", "--josn"], (2, "'--json'"));
    meant(&["load", "x", "--make-rom"], (2, "'--make-room'"));
}

#[test]
fn a_wrong_model() {
    for command in
        [&["fit", "qwen2.5:7"][..], &["load", "qwen2.5:7"], &["unload", "qwen2.5:7", "--yes"]]
    {
        meant(&[command, &["--demo"]].concat(), (1, "hint: did you mean qwen2.5:7b?"));
    }
    meant(&["keep", "llama3.2", "1h", "--demo"], (1, "hint: did you mean llama3.2:3b?"));
    meant(&["fit", "elephant", "--demo"], (1, "`plimsoll fit` lists what is"));
}

#[test]
fn a_wrong_component() {
    meant(&["pin", "process:firefx", "--demo"], (1, "hint: did you mean process:firefox?"));
    meant(&["priority", "lama3.2:3b", "low", "--demo"], (1, "hint: did you mean llama3.2:3b?"));
    meant(&["pin", "elephant", "--demo"], (1, "`plimsoll components` lists them"));
}

#[test]
fn a_wrong_word_of_a_list() {
    for (arguments, nearest) in [
        (&["events", "--level", "critcal"][..], "critical"),
        (&["events", "--kind", "acton"], "action"),
        (&["watch", "--until", "warnin"], "warning"),
        (&["cleanup", "--to", "norml"], "normal"),
        (&["cleanup", "--strength", "agressive"], "aggressive"),
        (&["priority", "x", "hihg"], "high"),
        (&["recommend", "--complexity", "mediun"], "medium"),
        (&["fit", "x", "--kv", "q80"], "q8_0"),
        (&["simulate", "r", "--profile", "carefull"], "careful"),
        (&["simulate", "r", "--against-profile", "presure"], "pressure"),
        (&["simulate", "r", "--rules", "configurd"], "configured"),
        (&["guard", "--log-format", "jsno"], "json"),
        (&["completions", "bahs"], "bash"),
    ] {
        meant(arguments, (2, &format!("a similar value exists: '{nearest}'")));
    }
}

#[test]
fn a_wrong_theme_or_key_of_the_config() {
    let home = Home::new();
    for (config, words) in [
        ("theme = \"drak\"\n", "did you mean \"dark\"?"),
        ("profile = \"carefull\"\n", "did you mean \"careful\"?"),
        ("[levels]\nwarnig = 70\n", "did you mean `levels.warning`?"),
        ("[rules]\nmode = \"atc\"\n", "did you mean \"act\"?"),
    ] {
        home.config(config.as_bytes());
        let said = home.run(&["config", "check"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.out.contains(words), "{config}: {said:?}");
    }
    home.config(b"");
    let said = home.run(&["config", "check", "--theme", "ligth"]);
    assert!(said.code == 2 && said.out.contains("did you mean \"light\"?"), "{said:?}");
}
