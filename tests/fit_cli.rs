//! `fit`, `load` and `recommend` as a script meets them: exit codes, JSON,
//! what stands on which stream. Verdicts are those of a recorded machine, so
//! that they are the same everywhere; loads go to a server of ours.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "support/judged_machine.rs"]
mod judged_machine;
#[path = "fit_cli/loads.rs"]
mod loads;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "fit_cli/recommendations.rs"]
mod recommendations;
#[path = "support/shell.rs"]
mod shell;

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::fake_child::{FakeChild, wait_until};
use self::json_shape::shape;
use self::ollama::{Conduct, Fake, FakeModel, Script, Spec};
use self::shell::{Home, Said};

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

// ------------------------------------------------------- a recorded machine

struct Recorded(Home);

impl Recorded {
    fn new() -> Recorded {
        let home = Home::new();
        judged_machine::record(&home);
        Recorded(home)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.0.run(&[arguments, &["--replay", "machine"]].concat())
    }

    fn in_columns(&self, columns: &str, arguments: &[&str]) -> Said {
        let mut command = self.0.command(&[arguments, &["--replay", "machine"]].concat());
        command.env("COLUMNS", columns);
        shell::said(command)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }
}

#[track_caller]
fn has(said: &Said, words: &[&str]) {
    assert!(words.iter().all(|word| said.out.contains(word)), "{words:?}: {said:?}");
}

// ------------------------------------------------------------------ verdicts

#[test]
fn what_fits_ends_with_20() {
    let said = Recorded::new().run(&["fit", "tiny:1b"]);
    assert_eq!((said.code, said.err.as_str()), (20, ""), "{said:?}");
    assert!(said.out.starts_with("verdict   tiny:1b fits now, "), "{said:?}");
    has(&said, &["MemAvailable", "reserve 6.4 GiB", "estimated", "kv 450 MiB", "margin    +"]);
}

#[test]
fn what_fits_after_an_unload_ends_with_21_and_names_it() {
    let machine = Recorded::new();
    let said = machine.run(&["fit", "mid:14b"]);
    assert_eq!(said.code, 21, "{said:?}");
    has(&said, &["fits after unloading old:7b (11.0 GiB)", "unload    old:7b", "margin    -"]);
    let fit = machine.json(&["fit", "mid:14b"]);
    let old = json!([{ "name": "old:7b", "bytes": 11_u64 << 30 }]);
    assert_eq!((&fit["verdict"], &fit["unload"]), (&json!("fits_after_unload"), &old));
    assert!(fit["budget"]["margin_bytes"].as_i64().unwrap() < 0);
}

#[test]
fn what_fits_with_less_context_ends_with_22_and_says_which() {
    let machine = Recorded::new();
    let said = machine.run(&["fit", "tiny:1b", "--ctx", "262144"]);
    assert_eq!(said.code, 22, "{said:?}");
    let fit = machine.json(&["fit", "tiny:1b", "--ctx", "262144"]);
    assert_eq!((&fit["verdict"], &fit["context"]), (&json!("fits_smaller"), &json!(262_144)));
    let smaller = fit["smaller"]["context"].as_u64().unwrap();
    assert!((4096..131_072).contains(&smaller), "{fit}");
    has(&said, &["q8_0", &format!("smaller   context {smaller}")]);
    // What is said to fit does.
    let again = machine.run(&["fit", "tiny:1b", "--ctx", &smaller.to_string()]);
    assert_eq!(again.code, 20, "{again:?}");
}

#[test]
fn what_fits_if_others_give_memory_back_ends_with_23_and_names_the_biggest() {
    let said = Recorded::new().run(&["fit", "big:32b"]);
    assert_eq!(said.code, 23, "{said:?}");
    has(&said, &["fits if other programs give back", "programs  firefox (7.0 GiB)"]);
}

#[test]
fn what_never_fits_ends_with_24() {
    let said = Recorded::new().run(&["fit", "giant:70b"]);
    assert_eq!(said.code, 24, "{said:?}");
    has(&said, &["does not fit this machine"]);
}

#[test]
fn what_is_loaded_fits_and_takes_nothing_more() {
    let said = Recorded::new().run(&["fit", "old:7b"]);
    assert_eq!(said.code, 20, "{said:?}");
    has(&said, &["old:7b is loaded with these settings"]);
}

#[test]
fn a_loaded_one_asked_about_otherwise_gives_back_what_it_holds_first() {
    let machine = Recorded::new();
    let other = machine.json(&["fit", "mid:14b"]);
    let again = machine.json(&["fit", "old:7b", "--ctx", "8192"]);
    // In its stead about as much is taken.
    assert_eq!((&other["enters"], &again["enters"]), (&json!("emergency"), &json!(null)));
    let available = |fit: &Value| fit["budget"]["available_bytes"].as_u64().unwrap();
    assert_eq!(available(&again) - available(&other), 11 << 30);
}

#[test]
fn the_json_of_a_verdict_keeps_its_shape() {
    let machine = Recorded::new();
    let fit = machine.json(&["fit", "tiny:1b", "--kv", "q8_0", "--parallel", "2"]);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let promised = ["model", "context", "parallel", "kv_type", "verdict", "need", "budget"];
    let rest = ["max_context", "unload"];
    let all = names(&fit);
    assert!(promised.iter().chain(&rest).all(|key| all.contains(&(*key).to_owned())), "{all:?}");
    let need = [
        "weights_bytes",
        "kv_bytes",
        "state_bytes",
        "compute_bytes",
        "vision_bytes",
        "overhead_bytes",
        "reported_bytes",
        "measured_bytes",
        "source",
    ];
    assert!(need.iter().all(|key| names(&fit["need"]).contains(&(*key).to_owned())), "{fit}");
    let budget = ["available_bytes", "reserve_bytes", "margin_bytes", "source"];
    assert!(budget.iter().all(|key| names(&fit["budget"]).contains(&(*key).to_owned())), "{fit}");
    assert_eq!(
        (&fit["model"], &fit["context"], &fit["parallel"], &fit["kv_type"], &fit["verdict"]),
        (&json!("tiny:1b"), &json!(4096), &json!(2), &json!("q8_0"), &json!("fits"))
    );
    // 28 layers × 8 heads × 128 × 2 × 34/32 bytes × 4096 tokens × 2 slots
    assert_eq!(fit["need"]["kv_bytes"], json!(28_u64 * 8 * 128 * 2 * 34 / 32 * 4096 * 2));
    assert_eq!(fit["need"]["source"], json!("estimated"));
    insta::assert_snapshot!("fit_json_shape", shape(&fit, 0));
}

#[test]
fn the_first_of_several_that_fits_is_answered() {
    let machine = Recorded::new();
    let arguments =
        ["fit", "giant:70b", "--or", "mid:14b", "--or", "mini-coder:3b", "--or", "tiny:1b"];
    let said = machine.run(&arguments);
    assert_eq!(said.code, 20, "{said:?}");
    has(
        &said,
        &["judged    giant:70b: does not", "judged    mid:14b: fits after", "verdict   mini-"],
    );
    assert!(!said.out.contains("tiny:1b"), "it is not asked about any more: {said:?}");
    assert_eq!(machine.json(&arguments)["model"], json!("mini-coder:3b"));
}

#[test]
fn where_none_of_several_fits_the_best_is_answered() {
    let machine = Recorded::new();
    let arguments = ["fit", "giant:70b", "--or", "big:32b", "--or", "mid:14b"];
    let said = machine.run(&arguments);
    assert_eq!(said.code, 21, "{said:?}");
    assert_eq!(said.out.lines().filter(|line| line.starts_with("judged")).count(), 3);
    assert_eq!(machine.json(&arguments)["model"], json!("mid:14b"));
}

#[test]
fn a_name_that_is_unknown_among_several_is_said_and_left_out() {
    let said = Recorded::new().run(&["fit", "none:1b", "--or", "tiny:1b"]);
    assert_eq!(said.code, 20, "{said:?}");
    assert!(said.err.contains("note: none:1b is not installed"), "{said:?}");
}

#[test]
fn the_largest_context_is_a_number_alone() {
    let machine = Recorded::new();
    let said = machine.run(&["fit", "tiny:1b", "--max-ctx"]);
    assert_eq!((said.code, said.err.as_str()), (20, ""), "{said:?}");
    let largest: u64 = said.out.trim_end_matches('\n').parse().unwrap();
    let at = |context: u64| machine.run(&["fit", "tiny:1b", "--ctx", &context.to_string()]).code;
    assert_eq!((at(largest), at(largest + 256)), (20, 21), "{largest}");
    let said = machine.run(&["fit", "giant:70b", "--max-ctx"]);
    assert_eq!((said.code, said.out.as_str()), (24, ""), "{said:?}");
    assert!(said.err.contains("fits with no context now"), "{said:?}");
}

#[test]
fn all_models_are_ranked_the_best_first() {
    let machine = Recorded::new();
    let said = machine.run(&["fit"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let names: Vec<&str> = said.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let expected =
        ["model", "old:7b", "mini-coder:3b", "tiny:1b", "mid:14b", "big:32b", "giant:70b"];
    assert_eq!(names, expected);
    let ranked = machine.json(&["fit"]);
    let models = ranked["models"].as_array().unwrap();
    let verdicts: Vec<&str> = models.iter().map(|one| one["verdict"].as_str().unwrap()).collect();
    let fits = "fits";
    let expected = [fits, fits, fits, "fits_after_unload", "fits_after_freeing", "never"];
    assert_eq!((verdicts.as_slice(), &ranked["unknown"]), (&expected[..], &json!([])));
}

#[test]
fn what_is_said_is_as_wide_as_the_terminal_and_plain() {
    let machine = Recorded::new();
    for columns in [40, 80] {
        for arguments in [
            &["fit"][..],
            &["fit", "big:32b"],
            &["fit", "mid:14b", "--or", "giant:70b"],
            &["recommend"],
        ] {
            let said = machine.in_columns(&columns.to_string(), arguments);
            let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest} of {columns} in {arguments:?}:\n{}", said.out);
            let lines = said.out.lines().count();
            assert!(lines <= 24 || columns < 80, "more than a screen:\n{}", said.out);
            assert!(said.is_plain(), "{said:?}");
        }
    }
    // What is piped is a fact a line.
    let said = machine.run(&["fit", "big:32b"]);
    assert!(said.is_plain() && said.out.lines().all(|line| !line.starts_with(' ')), "{said:?}");
}

#[test]
fn a_model_that_is_not_installed_ends_with_1_and_the_nearest_name() {
    let machine = Recorded::new();
    for (name, hint) in [
        ("tiny:1", "did you mean tiny:1b?"),
        ("mini-codr:3b", "did you mean mini-coder:3b?"),
        ("giant", "did you mean giant:70b?"),
        ("elephant", "`plimsoll fit` lists what is"),
        ("\u{1b}[31mred", "[31mred is not installed"),
    ] {
        let said = machine.run(&["fit", name]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains(hint) && said.is_plain(), "{name}: {said:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let machine = Recorded::new();
    for (arguments, hint) in [
        (&["fit", "tiny:1b", "--kv", "q8"][..], "q8_0"),
        (&["fit", "tiny:1b", "--ctx", "0"], "1.."),
        (&["fit", "--or", "tiny:1b"], "<NAME>"),
        (&["fit", "--max-ctx"], "<NAME>"),
        (&["fit", "tiny:1b", "--max-ctx", "--ctx", "4096"], "cannot be used with"),
        (&["recommend", "--complexity", "huge"], "low, medium, high"),
        (&["load"], "<NAME>"),
        (&["load", "tiny:1b", "--keep", "0s"], "forever"),
        (&["load", "tiny:1b", "--force", "--make-room"], "cannot be used with"),
        (&["load", "tiny:1b"], "a recording is looked at"),
    ] {
        let said = machine.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(hint), "{arguments:?}: {said:?}");
    }
}

#[test]
fn help_fits_a_terminal() {
    let home = Home::new();
    for command in ["fit", "load", "recommend"] {
        let said = home.run(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{}", said.out);
    }
}

#[test]
fn a_server_that_is_down_is_named_with_the_way_out() {
    let home = Home::new();
    for arguments in [&["fit"][..], &["fit", "tiny:1b"], &["load", "tiny:1b"], &["recommend"]] {
        let said = home.run(&[arguments, &["--ollama", NOBODY]].concat());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        let way_out = said.err.contains("127.0.0.1:1 does not answer")
            && said.err.matches("`ollama serve`").count() == 1;
        assert!(way_out, "{arguments:?}: {said:?}");
    }
}
