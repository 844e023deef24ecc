//! Rules on the source that the compiler does not know: who may import whom,
//! what may stand where, how long a file may be.
//!
//! Each rule is a function over one file; all violations come in one message.
//! Each has a test that feeds it a bad snippet, so that none passes by being
//! blind.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::fs;
use std::path::Path;

/// A module and what it may import beside itself. `engine::link` is the one
/// part of a module that is allowed where the rest is not.
const LAYERS: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("policy", &["domain"]),
    ("forecast", &["domain"]),
    ("config", &["domain", "policy"]),
    ("recording", &["domain"]),
    ("simulation", &["domain"]),
    ("sense", &["domain", "recording", "simulation"]),
    ("runtime", &["domain", "recording", "simulation"]),
    ("act", &["domain"]),
    ("store", &["domain"]),
    ("engine", &["domain", "policy", "forecast", "sense", "runtime", "act", "store"]),
    ("tui", &["domain", "engine::link"]),
    (
        "assemble",
        &[
            "domain",
            "policy",
            "forecast",
            "recording",
            "simulation",
            "config",
            "sense",
            "runtime",
            "act",
            "store",
            "engine",
            "tui",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "policy",
            "forecast",
            "recording",
            "config",
            "sense",
            "runtime",
            "act",
            "store",
            "engine",
            "tui",
            "assemble",
        ],
    ),
    ("main", &["cli"]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 10] = [
    "app",
    "common",
    "constants",
    "helper",
    "helpers",
    "manager",
    "misc",
    "types",
    "util",
    "utils",
];

/// Pure parts: no clock, no files, nothing awaited.
const PURE: [&str; 6] = [
    "src/domain",
    "src/policy",
    "src/forecast",
    "src/engine/state",
    "src/tui/update",
    "src/tui/views",
];

/// Lines of a file without its tests, and with them.
const LONGEST_CODE: usize = 600;
const LONGEST_FILE: usize = 700;

struct File {
    /// From the repository's root, with slashes.
    path: String,
    text: String,
    /// The text with comments, strings and characters blanked out, so that
    /// only code is found in it. Lines stay where they are.
    code: String,
    /// The first line of the tests, or one past the end.
    tests_from: usize,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let is_tests = |at: usize| {
            let declares = |line: &&str| line.trim_start().starts_with("mod ");
            lines[at].trim() == "#[cfg(test)]" && lines.get(at + 1).is_some_and(declares)
        };
        let is_test_file = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tests_from = if is_test_file {
            0
        } else {
            (0..lines.len()).find(|at| is_tests(*at)).unwrap_or(lines.len())
        };
        File {
            path: path.to_owned(),
            text: text.to_owned(),
            code: only_code(text),
            tests_from: tests_from + 1,
        }
    }

    /// `src/tui/theme.rs` is within `src/tui/theme`, as is `src/tui/theme/x.rs`.
    fn is_within(&self, place: &str) -> bool {
        let rest = self.path.strip_prefix(place);
        rest.is_some_and(|rest| rest.starts_with('/') || rest.starts_with('.'))
    }

    /// The module path, `["engine", "state"]` for `src/engine/state.rs`.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').collect()
    }

    /// Each identifier of the code with its line and what follows it.
    fn words(&self) -> Vec<Word<'_>> {
        let mut words = Vec::new();
        let mut line = 1;
        let mut start = None;
        for (at, c) in self.code.char_indices().chain([(self.code.len(), ' ')]) {
            let is_part = c.is_alphanumeric() || c == '_';
            match (start, is_part) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    words.push(Word { line, text: &self.code[from..at], rest: &self.code[at..] });
                    start = None;
                }
                _ => {}
            }
            line += usize::from(c == '\n');
        }
        words
    }

    /// As [`File::words`], without the tests.
    fn words_outside_tests(&self) -> impl Iterator<Item = Word<'_>> {
        self.words().into_iter().filter(|word| word.line < self.tests_from)
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

#[derive(Clone, Copy)]
struct Word<'a> {
    line: usize,
    text: &'a str,
    rest: &'a str,
}

type Rule = fn(&File) -> Vec<String>;

const RULES: [Rule; 12] = [
    imports_go_down,
    opens_with_its_purpose,
    has_a_telling_name,
    is_short_enough,
    unsafe_is_in_sense,
    unsafe_says_why_it_is_safe,
    platforms_are_at_the_edges,
    pure_parts_stay_pure,
    only_the_theme_names_colours,
    nothing_prints,
    lints_are_expected_not_allowed,
    unfinished_work_is_not_kept,
];

fn imports_go_down(file: &File) -> Vec<String> {
    let module = file.module();
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module[0]) else {
        return match module[..] {
            ["lib"] => Vec::new(),
            _ => vec![file.at(1, format!("`{}` has no place in the layers", module[0]))],
        };
    };
    let mut wrong = Vec::new();
    for (line, path) in imports(file) {
        let target = path[0].as_str();
        let second = path.get(1).map_or("", String::as_str);
        let is_module = LAYERS.iter().any(|(name, _)| *name == target);
        let is_allowed = target == module[0]
            || allowed.contains(&target)
            || allowed.contains(&format!("{target}::{second}").as_str());
        // `cli` may start the dashboard, and not reach into it.
        let is_inside =
            module[0] == "cli" && target == "tui" && path.len() > 2 && !is_type_name(second);
        if is_module && (!is_allowed || is_inside) {
            let found = path.join("::");
            wrong.push(file.at(line, format!("`{}` may not import `{found}`", module[0])));
        }
    }
    wrong
}

fn is_type_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_uppercase())
}

/// What a file takes from the crate: the path from its root, and the line.
fn imports(file: &File) -> Vec<(usize, Vec<String>)> {
    let depth = file.module().len();
    let mut found = Vec::new();
    for word in file.words() {
        let rest = match word.text {
            "crate" | "plimsoll" => word.rest.strip_prefix("::"),
            // Out of the top of the module by going up; inside the tests there
            // is one more step, and `crate` is what one writes there.
            "super" if word.line < file.tests_from => from_the_root(word.rest, depth),
            _ => None,
        };
        let mut paths = Vec::new();
        if let Some(mut rest) = rest {
            expand(&mut rest, Vec::new(), &mut paths);
        }
        found.extend(
            paths.into_iter().filter(|path| !path.is_empty()).map(|path| (word.line, path)),
        );
    }
    found
}

/// What follows `super` if it and those after it lead to the crate's root.
fn from_the_root(after_super: &str, depth: usize) -> Option<&str> {
    let mut rest = after_super.strip_prefix("::")?;
    for _ in 1..depth {
        rest = rest.strip_prefix("super::")?;
    }
    Some(rest)
}

/// The paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(rest: &mut &str, prefix: Vec<String>, paths: &mut Vec<Vec<String>>) {
    *rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        *rest = group;
        while !rest.is_empty() && !rest.starts_with('}') {
            expand(rest, prefix.clone(), paths);
            let end = rest.find([',', '}', ';']).unwrap_or(rest.len());
            *rest = rest[end..].trim_start_matches([',', ';']).trim_start();
        }
        *rest = rest.strip_prefix('}').unwrap_or(rest);
        return;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let mut path = prefix;
    if end > 0 {
        path.push(rest[..end].to_owned());
    }
    *rest = &rest[end..];
    match rest.strip_prefix("::") {
        Some(deeper) if end > 0 => {
            *rest = deeper;
            expand(rest, path, paths);
        }
        _ => paths.push(path),
    }
}

fn opens_with_its_purpose(file: &File) -> Vec<String> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![file.at(1, "does not open with `//!` and what it owns")]
}

fn has_a_telling_name(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in file.module() {
        if name == "mod" {
            wrong.push(file.at(1, "`mod.rs`: write `foo.rs` beside `foo/`"));
        }
        if EMPTY_NAMES.contains(&name) {
            wrong.push(file.at(1, format!("`{name}` names nothing")));
        }
    }
    wrong
}

fn is_short_enough(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let code = file.tests_from - 1;
    if code > LONGEST_CODE {
        return vec![file.at(code, format!("{code} lines without tests, {LONGEST_CODE} allowed"))];
    }
    if lines > LONGEST_FILE {
        return vec![file.at(lines, format!("{lines} lines, {LONGEST_FILE} allowed"))];
    }
    Vec::new()
}

fn unsafe_is_in_sense(file: &File) -> Vec<String> {
    let is_wrong = |word: &Word| word.text == "unsafe" && !file.is_within("src/sense");
    file.words().into_iter().filter(is_wrong).map(|word| file.at(word.line, "`unsafe`")).collect()
}

/// The comment stands right above, or above the line the statement begins on.
fn unsafe_says_why_it_is_safe(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().map(str::trim_start).collect();
    let is_told = |line: usize| {
        let above = lines[..line - 1].iter().rev();
        let begins_above = above.clone().next().is_some_and(|line| !line.starts_with("//"));
        above
            .skip(usize::from(begins_above))
            .take_while(|line| line.starts_with("//"))
            .any(|line| line.starts_with("// SAFETY:"))
    };
    file.words()
        .into_iter()
        .filter(|word| word.text == "unsafe" && !is_told(word.line))
        .map(|word| file.at(word.line, "`unsafe` without a `// SAFETY:` line"))
        .collect()
}

fn platforms_are_at_the_edges(file: &File) -> Vec<String> {
    if file.is_within("src/sense") || file.is_within("src/act") {
        return Vec::new();
    }
    file.words()
        .into_iter()
        .filter(|word| matches!(word.text, "target_os" | "target_family" | "target_vendor"))
        .map(|word| file.at(word.line, format!("`{}` outside sense and act", word.text)))
        .collect()
}

fn pure_parts_stay_pure(file: &File) -> Vec<String> {
    if !PURE.iter().any(|place| file.is_within(place)) {
        return Vec::new();
    }
    let is_impure = |word: &Word| match word.text {
        "Instant" | "SystemTime" | "async" | "await" => true,
        "Timestamp" | "Zoned" => word.rest.starts_with("::now"),
        "std" => ["::fs", "::net", "::env", "::process"]
            .iter()
            .any(|module| word.rest.starts_with(module)),
        _ => false,
    };
    file.words_outside_tests()
        .filter(is_impure)
        .map(|word| file.at(word.line, format!("`{}` in a pure part", word.text)))
        .collect()
}

fn only_the_theme_names_colours(file: &File) -> Vec<String> {
    if file.is_within("src/tui/theme") {
        return Vec::new();
    }
    file.words_outside_tests()
        .filter(|word| word.text == "Color" && word.rest.starts_with("::"))
        .map(|word| file.at(word.line, "a colour by name: ask the theme for a role"))
        .collect()
}

fn nothing_prints(file: &File) -> Vec<String> {
    let prints = |word: &Word| {
        let is_last_word = file.path == "src/main.rs" && word.text == "eprintln";
        matches!(word.text, "print" | "println" | "eprint" | "eprintln")
            && word.rest.starts_with('!')
            && !is_last_word
    };
    file.words_outside_tests()
        .filter(prints)
        .map(|word| file.at(word.line, format!("`{}!`: write to `out`", word.text)))
        .collect()
}

fn lints_are_expected_not_allowed(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, line) in file.code.lines().enumerate() {
        let attribute = line.trim_start().trim_start_matches('#').trim_start_matches('!');
        if attribute.starts_with("[allow(") {
            wrong.push(file.at(at + 1, "`allow`: use `expect` with a reason"));
        }
    }
    wrong
}

/// A mark with a number is an open issue, and may stay.
fn unfinished_work_is_not_kept(file: &File) -> Vec<String> {
    let is_mark = |line: &str| {
        ["TODO", "FIXME", "XXX"].iter().any(|mark| {
            line.split("//").skip(1).any(|comment| comment.trim_start().starts_with(mark))
        }) && !line.contains('#')
    };
    let marked = file.text.lines().enumerate().filter(|(_, line)| is_mark(line));
    marked.map(|(at, _)| file.at(at + 1, "a mark of unfinished work")).collect()
}

/// Blanks out comments, strings and characters, and keeps the lines.
fn only_code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let blank = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !is_in_word => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if blank == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..blank].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    code
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Raw strings and those with a prefix; 0 where none begins here.
fn raw_string(rest: &str) -> usize {
    let marks = rest.trim_start_matches(['b', 'c']);
    let Some(marks) = marks.strip_prefix('r') else { return 0 };
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    if !marks[hashes..].starts_with('"') {
        return 0;
    }
    let opening = rest.len() - marks.len() + hashes + 1;
    let closing = format!("\"{}", "#".repeat(hashes));
    rest[opening..].find(&closing).map_or(rest.len(), |at| opening + at + closing.len())
}

/// A character, as opposed to a lifetime; 0 for the latter.
fn character(rest: &str) -> usize {
    let mut inside = rest.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), Some(escaped)) => {
            let from = 2 + escaped.len_utf8();
            rest[from..].find('\'').map_or(0, |at| from + at + 1)
        }
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

fn files_in(folder: &Path, root: &Path, found: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_in(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(File::new(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_source_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    files_in(&root.join("src"), root, &mut files);
    assert!(files.len() > 20, "only {} files found", files.len());
    let mut wrong: Vec<String> =
        files.iter().flat_map(|file| RULES.iter().flat_map(|rule| rule(file))).collect();
    let mut tests = Vec::new();
    for folder in ["tests", "benches"].map(|name| root.join(name)) {
        if folder.is_dir() {
            files_in(&folder, root, &mut tests);
        }
    }
    wrong.extend(tests.iter().flat_map(opens_with_its_purpose));
    wrong.extend(tests.iter().flat_map(unfinished_work_is_not_kept));
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}

#[cfg(test)]
mod self_tests {
    use super::*;

    /// What one rule says of a snippet, without the path.
    fn said(rule: Rule, path: &str, text: &str) -> Vec<String> {
        let prefix = format!("{path}:");
        let strip = |line: String| line.strip_prefix(&prefix).unwrap().to_owned();
        rule(&File::new(path, text)).into_iter().map(strip).collect()
    }

    #[test]
    fn an_import_upwards_is_found() {
        let down = |path, text| said(imports_go_down, path, text);
        assert_eq!(
            down("src/domain/level.rs", "use crate::policy::limits::Limits;\n"),
            ["1: `domain` may not import `policy::limits::Limits`"]
        );
        assert_eq!(
            down("src/engine/state.rs", "\nuse crate::{\n  domain::Level,\n  config::Config};"),
            ["2: `engine` may not import `config::Config`"]
        );
        assert_eq!(
            down("src/sense/linux.rs", "fn f() { crate::store::open() }"),
            ["1: `sense` may not import `store::open`"]
        );
        assert_eq!(
            down("src/sense/linux.rs", "use super::super::runtime::Runtime;"),
            ["1: `sense` may not import `runtime::Runtime`"]
        );
        assert_eq!(
            down("src/tui/views.rs", "use crate::engine::{link::Link, state::State};"),
            ["1: `tui` may not import `engine::state::State`"]
        );
        assert_eq!(
            down("src/cli/run.rs", "use crate::tui::{Dashboard, views::overview::draw};"),
            ["1: `cli` may not import `tui::views::overview::draw`"]
        );
        assert_eq!(
            down("src/main.rs", "use plimsoll::engine::start;"),
            ["1: `main` may not import `engine::start`"]
        );
        assert_eq!(down("src/forgotten.rs", ""), ["1: `forgotten` has no place in the layers"]);
    }

    #[test]
    fn an_import_downwards_is_not() {
        let down = |path, text| said(imports_go_down, path, text);
        assert_eq!(down("src/engine/poller.rs", "use crate::runtime::Runtime;"), [""; 0]);
        assert_eq!(down("src/tui/views.rs", "use crate::engine::link::{Command, Link};"), [""; 0]);
        assert_eq!(down("src/domain/level.rs", "// crate::tui is far away\n"), [""; 0]);
        assert_eq!(down("src/domain/level.rs", "use super::super::domain::x;"), [""; 0]);
        assert_eq!(down("src/cli/run.rs", "crate::tui::Dashboard::new()"), [""; 0]);
        assert_eq!(down("src/sense/a.rs", "pub(crate) fn f() { super::x() }"), [""; 0]);
    }

    #[test]
    fn a_file_without_purpose_or_with_an_empty_name_is_found() {
        let purpose = said(opens_with_its_purpose, "src/act.rs", "use std::io;\n");
        assert_eq!(purpose, ["1: does not open with `//!` and what it owns"]);
        for name in EMPTY_NAMES {
            let path = format!("src/tui/{name}.rs");
            assert_eq!(said(has_a_telling_name, &path, "").len(), 1, "{path}");
        }
        assert_eq!(said(has_a_telling_name, "src/utils/bytes.rs", "").len(), 1);
        assert_eq!(said(has_a_telling_name, "src/tui/mod.rs", "").len(), 1);
        assert_eq!(said(has_a_telling_name, "src/tui/keymap.rs", "").len(), 0);
    }

    #[test]
    fn a_long_file_is_found() {
        let long = |path, code: usize, tests: usize| {
            let text = format!(
                "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
                "a\n".repeat(code),
                "b\n".repeat(tests)
            );
            said(is_short_enough, path, &text)
        };
        assert_eq!(long("src/x.rs", 601, 0), ["601: 601 lines without tests, 600 allowed"]);
        assert_eq!(long("src/x.rs", 600, 98), ["701: 701 lines, 700 allowed"]);
        assert_eq!(long("src/x.rs", 600, 97), [""; 0]);
        assert_eq!(long("src/x/tests.rs", 650, 0), [""; 0]);
    }

    #[test]
    fn unsafe_is_found_where_it_may_not_be_or_says_nothing() {
        let text = "#![expect(unsafe_code)]\nfn f() { unsafe { g() } }";
        assert_eq!(said(unsafe_is_in_sense, "src/act/signals.rs", text), ["2: `unsafe`"]);
        assert_eq!(said(unsafe_is_in_sense, "src/sense/mac.rs", text), [""; 0]);
        assert_eq!(
            said(unsafe_says_why_it_is_safe, "src/sense/mac.rs", text),
            ["2: `unsafe` without a `// SAFETY:` line"]
        );
        let told = "// SAFETY: it is\n// so.\nlet x =\n    unsafe { g() };";
        assert_eq!(said(unsafe_says_why_it_is_safe, "src/sense/mac.rs", told), [""; 0]);
    }

    #[test]
    fn a_platform_in_the_middle_is_found() {
        let text = "//! x\n#[cfg(target_os = \"macos\")]\nmod x;";
        assert_eq!(
            said(platforms_are_at_the_edges, "src/engine.rs", text),
            ["2: `target_os` outside sense and act"]
        );
        assert_eq!(said(platforms_are_at_the_edges, "src/sense.rs", text), [""; 0]);
        assert_eq!(said(platforms_are_at_the_edges, "src/act/lock.rs", text), [""; 0]);
        assert_eq!(said(platforms_are_at_the_edges, "src/action.rs", text).len(), 1);
    }

    #[test]
    fn a_clock_in_a_pure_part_is_found() {
        let pure = |path, text| said(pure_parts_stay_pure, path, text);
        let clock = "use std::time::Instant;";
        assert_eq!(pure("src/domain/time.rs", clock), ["1: `Instant` in a pure part"]);
        assert_eq!(pure("src/engine/sampler.rs", clock), [""; 0]);
        assert_eq!(pure("src/engine/state/level.rs", "jiff::Timestamp::now()").len(), 1);
        assert_eq!(pure("src/policy/plan.rs", "std::fs::read(x)").len(), 1);
        assert_eq!(pure("src/tui/update.rs", "async fn f() {}").len(), 1);
        assert_eq!(pure("src/policy/plan.rs", "fn f(t: Timestamp) {}"), [""; 0]);
    }

    #[test]
    fn colours_prints_allows_and_marks_are_found() {
        let colour = "let x = Color::Red;";
        assert_eq!(said(only_the_theme_names_colours, "src/tui/views/a.rs", colour).len(), 1);
        assert_eq!(said(only_the_theme_names_colours, "src/tui/theme/role.rs", colour).len(), 0);
        for print in ["print!(\"\")", "println!()", "eprint!(\"\")", "eprintln!()"] {
            assert_eq!(said(nothing_prints, "src/cli.rs", print).len(), 1, "{print}");
        }
        assert_eq!(said(nothing_prints, "src/main.rs", "eprintln!()").len(), 0);
        assert_eq!(said(nothing_prints, "src/cli.rs", "// println!()\n\"print!()\"").len(), 0);
        let tests = "#[cfg(test)]\nmod tests {\n    fn f() { println!() }\n}";
        assert_eq!(said(nothing_prints, "src/cli.rs", tests).len(), 0);
        for allow in ["#[allow(dead_code)]", "    #![allow(unused)]"] {
            assert_eq!(said(lints_are_expected_not_allowed, "src/a.rs", allow).len(), 1);
        }
        let expect = "#[expect(dead_code, reason = \"x\")]";
        assert_eq!(said(lints_are_expected_not_allowed, "src/a.rs", expect).len(), 0);
        let mark = concat!("let x = 1; // TO", "DO: more");
        assert_eq!(said(unfinished_work_is_not_kept, "src/a.rs", mark).len(), 1);
        assert_eq!(said(unfinished_work_is_not_kept, "src/a.rs", "let todo = 1;").len(), 0);
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        let text = r##"a "b\"b" 'c' '\'' '\u{1}' r#"d"d"# br"e" /* f /* g */ */ 'h: i // j
k "l
m" n"##;
        let code = only_code(text);
        let left: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(left, ["a", "'h:", "i", "k", "n"]);
        assert_eq!(code.lines().count(), text.lines().count());
    }
}
