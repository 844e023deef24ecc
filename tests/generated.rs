//! The tables of the README come from the code. `UPDATE=1 cargo test --test
//! generated` writes them anew; without it a difference is a failure.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use plimsoll::cli::exit;
use plimsoll::domain::Bytes;
use plimsoll::domain::finding::CHECKS;
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::Rules;
use plimsoll::tui::keymap::Keymap;

/// Tests run side by side, and each may write the whole file.
static WRITING: Mutex<()> = Mutex::new(());

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn begin(name: &str) -> String {
    format!("<!-- {name}: written by the tests -->\n")
}

fn end(name: &str) -> String {
    format!("<!-- end of {name} -->\n")
}

/// The text with what stands between the markers of `name` replaced.
fn replaced(text: &str, name: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(&begin(name))?;
    let (_, after) = rest.split_once(&end(name))?;
    Some([before, &begin(name), "\n", table, "\n", &end(name), after].concat())
}

#[track_caller]
fn check(name: &str, table: &str) {
    let _alone = WRITING.lock().expect("a failed test leaves the file whole");
    let text = std::fs::read_to_string(readme()).expect("the README is in the repository");
    let expected = replaced(&text, name, table)
        .unwrap_or_else(|| panic!("the README has no place for {name}"));
    if text == expected {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(readme(), expected).expect("the README can be written");
        return;
    }
    panic!("the README's {name} are not the code's: UPDATE=1 cargo test --test generated");
}

/// What a profile does by itself where it is named, in words.
fn own_rules(profile: Profile) -> String {
    let rules = Rules::of(profile, true);
    let idle = |idle: Option<Duration>| idle.map(|idle| idle.as_secs());
    let mut words = Vec::new();
    words.extend(rules.one_model.then(|| "one model".to_owned()));
    words.extend(rules.largest_model.map(|size| format!("models ≤ {size}")));
    words.extend(rules.most_parameters.map(|most| format!("≤ {} B parameters", most as f64 / 1e9)));
    match rules.levels.each_ref().map(|rule| idle(rule.idle)) {
        [None, None, None, None] => {}
        [Some(all), second, third, fourth] if [second, third, fourth] == [Some(all); 3] => {
            words.push(format!("idle {all} s at most"));
        }
        each => {
            let each = each.map(|idle| idle.map_or("—".to_owned(), |idle| idle.to_string()));
            words.push(format!("idle {} s by level", each.join(" / ")));
        }
    }
    if words.is_empty() { "—".to_owned() } else { words.join(", ") }
}

/// What differs between profiles; the rest is the same in all and stands in
/// the README's words.
fn profile_table() -> String {
    let mut table = String::from(
        "| profile | warning | critical | emergency | reserve | model budget | looks every | own rules |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for profile in Profile::ALL {
        let limits = profile.limits();
        let shares = match limits.used {
            Some(used) => [used.warning, used.critical, used.emergency].map(|s| s.to_string()),
            None => ["—"; 3].map(str::to_owned),
        };
        let size = |size: Option<Bytes>| size.map_or("—".to_owned(), |size| size.to_string());
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} s | {} |\n",
            profile.name(),
            shares[0],
            shares[1],
            shares[2],
            size(limits.system_reserve),
            size(limits.model_budget),
            limits.interval.as_secs_f64(),
            own_rules(profile),
        ));
    }
    table
}

#[test]
fn the_key_table_is_the_keymaps() {
    check("keys", &Keymap::defaults().markdown_table());
}

#[test]
fn the_exit_codes_are_the_programs() {
    check("exit codes", &exit::table());
}

#[test]
fn the_profiles_are_the_policys() {
    check("profiles", &profile_table());
}

#[test]
fn the_checks_are_the_doctors() {
    let mut table = "| id | what is well |\n| --- | --- |\n".to_owned();
    for (_, id, about) in CHECKS {
        table.push_str(&format!("| `{id}` | {about} |\n"));
    }
    check("checks", &table);
}

#[test]
fn only_what_stands_between_the_markers_changes() {
    let text = format!("a\n{}old\n{}b\n", begin("keys"), end("keys"));
    let expected = format!("a\n{}\nnew\n\n{}b\n", begin("keys"), end("keys"));
    assert_eq!(replaced(&text, "keys", "new\n"), Some(expected));
    assert_eq!(replaced(&text, "profiles", "new\n"), None);
}
