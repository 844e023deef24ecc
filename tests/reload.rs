//! The config while an engine runs: read again when its file changes, told with
//! its line when it is wrong, and written by the dashboard's door.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll::assemble::reload::Reread;
use plimsoll::assemble::{ConfigDoor, Running, Source, start};
use plimsoll::config::{Flags, LoadedConfig, Surroundings, load};
use plimsoll::domain::{Bytes, DiffLine, EventBody, SettingChange, Snapshot};

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A user's folder with a config in it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn with(text: &str) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        home.write(text);
        home
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// As an editor does it: a new file in the place of the old one.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    fn load(&self) -> LoadedConfig {
        self.load_with(&[])
    }

    fn load_with(&self, env: &[(&str, &str)]) -> LoadedConfig {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let surroundings = Surroundings {
            env: env.iter().map(owned).collect(),
            config_dir: Some(self.folder.path().to_owned()),
            data_dir: None,
            session_dir: None,
        };
        load(&Flags::default(), &surroundings).unwrap()
    }

    async fn demo(&self) -> Running {
        start(&self.load(), &Source::Demo).await.unwrap()
    }
}

/// Waits until the engine shows what is waited for.
async fn until(running: &Running, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
    let mut snapshots = running.link.snapshots();
    let waited = tokio::time::timeout(PATIENCE, snapshots.wait_for(|s| is_so(s))).await;
    assert!(matches!(waited, Ok(Ok(_))), "{what} does not come");
}

fn notice<'a>(snapshot: &'a Snapshot, about: &str) -> Option<&'a str> {
    let mut notices = snapshot.notices.iter();
    notices.find(|notice| notice.about == about).map(|notice| notice.text.as_str())
}

fn has_noted(snapshot: &Snapshot, text: &str) -> bool {
    let is_it = |body: &EventBody| matches!(body, EventBody::Note { text: said } if said == text);
    snapshot.events.value.iter().any(|event| is_it(&event.body))
}

fn warning_limit(snapshot: &Snapshot) -> Option<Bytes> {
    snapshot.marks.first().map(|mark| mark.used)
}

/// The next outcome that is other than the last one seen.
async fn next(outcomes: &mut tokio::sync::watch::Receiver<Option<Reread>>) -> Reread {
    tokio::time::timeout(PATIENCE, outcomes.changed()).await.expect("it is read").unwrap();
    outcomes.borrow_and_update().clone().unwrap()
}

#[tokio::test]
async fn right_wrong_and_right_again() {
    let home = Home::with("[levels]\nwarning = 70\n");
    let running = home.demo().await;
    let mut outcomes = running.reloading().unwrap().outcomes();
    until(&running, "a sample", |snapshot| warning_limit(snapshot).is_some()).await;
    let at_start = warning_limit(&running.link.snapshots().borrow());

    home.write("[levels]\nwarning = 60\n\n[rules]\nmode = \"act\"\n");
    let note = "config read again: 2 changes".to_owned();
    assert_eq!(next(&mut outcomes).await, Reread::Taken { changes: 2, note: note.clone() });
    until(&running, "the note", |snapshot| has_noted(snapshot, &note)).await;
    until(&running, "the limit", |snapshot| warning_limit(snapshot) < at_start).await;
    let taken = warning_limit(&running.link.snapshots().borrow());

    home.write("[levels]\nwarning = 60\n\n[rules]\nmode = \"on\"\n");
    let Reread::Refused { fault } = next(&mut outcomes).await else { panic!("it was taken") };
    let place = format!("config file {}, line 5: `rules.mode` is \"on\"", home.file().display());
    assert!(fault.starts_with(&place), "{fault}");
    assert!(fault.ends_with("the settings before stay") && !fault.contains('\n'), "{fault}");
    until(&running, "the fault", |s| notice(s, "config") == Some(&fault)).await;
    assert_eq!(warning_limit(&running.link.snapshots().borrow()), taken);

    home.write("[levels]\nwarning = 60\n");
    let Reread::Taken { changes, .. } = next(&mut outcomes).await else { panic!("refused") };
    assert_eq!(changes, 1);
    until(&running, "its withdrawal", |snapshot| notice(snapshot, "config").is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn the_file_that_was_right_before_takes_the_fault_back() {
    let home = Home::with("theme = \"light\"\n");
    let running = home.demo().await;
    let mut outcomes = running.reloading().unwrap().outcomes();
    // Deeper than any parser should follow.
    home.write(&format!("theme = {}\n", "[".repeat(100_000)));
    assert!(matches!(next(&mut outcomes).await, Reread::Refused { .. }));
    home.write("theme = \"light\"\n");
    let note = "config read again: nothing changed".to_owned();
    assert_eq!(next(&mut outcomes).await, Reread::Taken { changes: 0, note });
    until(&running, "its withdrawal", |snapshot| notice(snapshot, "config").is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn limits_that_cross_the_profile_are_refused_and_later_keys_are_named() {
    let home = Home::with("profile = \"careful\"\n");
    let running = home.demo().await;
    let mut outcomes = running.reloading().unwrap().outcomes();
    home.write("profile = \"careful\"\nlevels.warning = 85\n");
    let Reread::Refused { fault } = next(&mut outcomes).await else { panic!("taken") };
    assert!(fault.contains("line 2: `levels.warning` is 85"), "{fault}");
    home.write("profile = \"careful\"\ntheme = \"light\"\nlevels.warning = 72\n");
    let note = "config read again: 2 changes; `theme` counts from the next start".to_owned();
    assert_eq!(next(&mut outcomes).await, Reread::Taken { changes: 2, note });
    running.stop().await;
}

#[tokio::test]
async fn who_asks_is_answered_by_what_stands_in_the_file() {
    let home = Home::with("theme = \"dark\"\n");
    let running = home.demo().await;
    let reloading = running.reloading().unwrap();
    home.write("profile = \"carefull\"\n");
    let Some(Reread::Refused { fault }) = reloading.reload_now().await else { panic!("taken") };
    assert!(fault.contains("line 1: `profile`") && fault.contains("\"careful\"?"), "{fault}");
    home.write("theme = \"dark\"\n");
    let note = "config read again: nothing changed".to_owned();
    assert_eq!(reloading.reload_now().await, Some(Reread::Taken { changes: 0, note }));
    running.stop().await;
}

#[tokio::test]
async fn who_may_write_the_file_is_followed() {
    let home = Home::with("[rules]\non_warning = [[\"sync\"]]\n");
    let running = home.demo().await;
    let mut outcomes = running.reloading().unwrap().outcomes();
    let note = "config read again: 1 change".to_owned();
    let one = Reread::Taken { changes: 1, note };
    fs::set_permissions(home.file(), Permissions::from_mode(0o620)).unwrap();
    assert_eq!(next(&mut outcomes).await, one);
    let says = |snapshot: &Snapshot| {
        notice(snapshot, "settings")
            .is_some_and(|text| text.contains("writable by its group") && text.contains("left out"))
    };
    until(&running, "the note", says).await;
    fs::set_permissions(home.file(), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(next(&mut outcomes).await, one);
    until(&running, "its withdrawal", |snapshot| notice(snapshot, "settings").is_none()).await;
    running.stop().await;
}

fn change(key: &str, value: &str) -> SettingChange {
    SettingChange { key: key.to_owned(), value: value.to_owned() }
}

const WRITTEN: &str = "# mine\ntheme = \"light\" # for the day\n\n[rules] # careful\n# not yet\nmode = \"observe\" # soon\n\n[[components]]\nmatch = \"model:a*\"\npinned = true\n";

#[tokio::test]
async fn a_toggle_is_shown_then_written_then_in_force() {
    let home = Home::with(WRITTEN);
    let running = home.demo().await;
    let mut outcomes = running.reloading().unwrap().outcomes();
    assert!(running.door.is_none(), "a demo changes nobody's config");
    let poke = running.reloading().unwrap().poke();
    let door = ConfigDoor::of(&home.load(), Bytes::gib(16), Some(poke)).unwrap();
    let shown = door.propose(&change("rules.mode", "\"act\"")).unwrap();
    assert_eq!(shown.file, home.file().display().to_string());
    let changed: Vec<&DiffLine> =
        shown.lines.iter().filter(|line| !matches!(line, DiffLine::Same(_))).collect();
    let old = DiffLine::Old("mode = \"observe\" # soon".to_owned());
    let new = DiffLine::New("mode = \"act\" # soon".to_owned());
    assert_eq!(changed, [&old, &new]);
    assert_eq!(home.text(), WRITTEN);

    door.write(shown.token).unwrap();
    assert_eq!(home.text(), WRITTEN.replace("\"observe\"", "\"act\""));
    let note = "config read again: 1 change".to_owned();
    assert_eq!(next(&mut outcomes).await, Reread::Taken { changes: 1, note });
    // Once is once.
    assert!(door.write(shown.token).is_err());
    running.stop().await;
}

#[test]
fn what_was_not_shown_is_not_written() {
    let home = Home::with(WRITTEN);
    let door = ConfigDoor::of(&home.load(), Bytes::gib(16), None).unwrap();
    let first = door.propose(&change("rules.mode", "\"act\"")).unwrap();
    let second = door.propose(&change("rules.one_model", "true")).unwrap();
    assert!(door.write(first.token).unwrap_err().contains("another change"));
    home.write("# other\n");
    assert!(door.write(second.token).unwrap_err().contains("has changed since"));
    assert_eq!(home.text(), "# other\n");
}

#[test]
fn what_would_not_stand_is_refused_with_its_reason() {
    let home = Home::with("profile = \"careful\"\n");
    let door = ConfigDoor::of(&home.load(), Bytes::gib(16), None).unwrap();
    let refused = |key, value| door.propose(&change(key, value)).unwrap_err();
    for (key, value, said) in [
        ("rules.mode", "\"on\"", "`rules.mode` is \"on\""),
        ("rules.mode", "act", "`act` is no value as TOML writes it"),
        ("rules.moode", "\"act\"", "is no setting that can be written"),
        ("levels.warning", "85", "before `levels.critical` of profile `careful`"),
        ("rules.kill_switch.used", "80", "above `levels.emergency` of profile `careful`"),
        ("rules.on_warning", "\"sync --all\"", "no shell takes it apart"),
    ] {
        let found = refused(key, value);
        assert!(found.contains(said) && !found.contains('\n'), "{key}: {found}");
    }
    assert_eq!(home.text(), "profile = \"careful\"\n");

    fs::set_permissions(home.file(), Permissions::from_mode(0o660)).unwrap();
    let found = refused("rules.on_warning", "[[\"sync\"]]");
    assert!(found.contains("is writable by its group"), "{found}");

    let door =
        ConfigDoor::of(&home.load_with(&[("PLIMSOLL_RULES_MODE", "off")]), Bytes::gib(16), None);
    let found = door.unwrap().propose(&change("rules.mode", "\"act\"")).unwrap_err();
    assert!(found.contains("environment PLIMSOLL_RULES_MODE, which stands over"), "{found}");
}

#[test]
fn a_file_that_is_not_there_is_made_with_that_setting_alone() {
    let home = Home::with("");
    fs::remove_file(home.file()).unwrap();
    let door = ConfigDoor::of(&home.load(), Bytes::gib(16), None).unwrap();
    let shown = door.propose(&change("rules.warning.mode", "\"act\"")).unwrap();
    let lines = ["[rules.warning]", "mode = \"act\""].map(|line| DiffLine::New(line.to_owned()));
    assert_eq!(shown.lines, lines);
    door.write(shown.token).unwrap();
    assert_eq!(home.text(), "[rules.warning]\nmode = \"act\"\n");
    assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
}
