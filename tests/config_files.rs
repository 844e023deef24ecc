//! Files people write: each in `tests/configs/valid` loads; each in `invalid`
//! fails with the words in the text file beside it. A new case is a new file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use plimsoll::config::key;
use plimsoll::config::{Config, DEFAULT, Flags, Surroundings, load};
use plimsoll::domain::Level;

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("its files can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn flags(path: &Path) -> Flags {
    Flags { config: Some(path.to_owned()), ..Flags::default() }
}

#[test]
fn valid_files_load() {
    for path in files("valid") {
        if let Err(fault) = load(&flags(&path), &Surroundings::default()) {
            panic!("{fault}");
        }
    }
}

#[test]
fn invalid_files_fail_with_the_words_beside_them() {
    let mut missing = Vec::new();
    for path in files("invalid") {
        let Err(fault) = load(&flags(&path), &Surroundings::default()) else {
            panic!("{} loads", path.display());
        };
        let said = fault.to_string();
        let words = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert!(!words.trim().is_empty(), "{}", path.display());
        missing.extend(
            words
                .lines()
                .filter(|word| !said.contains(word))
                .map(|word| format!("{}: `{word}` is not in\n{said}", path.display())),
        );
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(!said.contains("token-a"), "what a command holds is said: {said}");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

#[test]
fn the_examples_of_the_readme_load() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a block ends").0)
        .collect();
    assert!(examples.len() >= 2, "{}", examples.len());
    for example in examples {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.toml");
        fs::write(&path, example).unwrap();
        if let Err(fault) = load(&flags(&path), &Surroundings::default()) {
            panic!("{fault}");
        }
    }
}

#[test]
fn the_commented_default_is_the_default() {
    let written: Config = toml::from_str(DEFAULT).unwrap();
    assert_eq!(written, Config::default());
}

#[test]
fn the_commented_default_names_every_setting_and_its_examples_load() {
    let set: String = DEFAULT
        .lines()
        .map(|line| {
            let is_setting = line
                .strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
            format!("{}\n", if is_setting { &line[1..] } else { line })
        })
        .collect();
    let table: toml::Table = toml::from_str(&set).unwrap();
    let mut named = BTreeSet::new();
    collect(&table, "", &mut named);
    let known: BTreeSet<String> = key::plain().map(|key| key.path.to_owned()).collect();
    assert_eq!(named, known);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.toml");
    fs::write(&path, set).unwrap();
    // Or its commands are left out.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let loaded = load(&flags(&path), &Surroundings::default()).unwrap();
    assert_eq!(loaded.config.components.len(), 3);
    assert_eq!(loaded.config.hooks.len(), 2);
    assert_eq!(loaded.key_bindings().len(), 2);
    assert_eq!(loaded.config.recommend.tags.len(), 1);
    let hints = loaded.hints();
    let [normal, critical] = [Level::Normal, Level::Critical].map(|level| hints.at(level));
    let (same, differs) = (["cache_mb", "quality"], normal["cache_mb"] != critical["cache_mb"]);
    assert!(differs && normal.keys().eq(same) && critical.keys().eq(same), "{hints:?}");
    let defaults = load(&Flags::default(), &Surroundings::default()).unwrap();
    assert_eq!(loaded.tastes(), defaults.tastes(), "the examples are the built-in ones");
}

fn collect(table: &toml::Table, prefix: &str, named: &mut BTreeSet<String>) {
    for (name, value) in table {
        match value {
            toml::Value::Table(inner)
                if !["keys", "tags"].contains(&name.as_str()) && prefix != "hints." =>
            {
                collect(inner, &format!("{prefix}{name}."), named);
            }
            toml::Value::Table(_) => {}
            toml::Value::Array(entries) if entries.iter().all(toml::Value::is_table) => {}
            _ => {
                named.insert(format!("{prefix}{name}"));
            }
        }
    }
}
