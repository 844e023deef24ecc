//! Recommendations, and what of them the config says.

use super::*;

#[test]
fn the_best_of_each_kind_is_named_a_line_each() {
    let machine = Recorded::new();
    let said = machine.run(&["recommend"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    has(&said, &["coding     any     mini-coder:3b would fit, ", "embedding  any     none suits"]);
    // One that is loaded is there, and larger than what would fit.
    has(&said, &["general    medium  old:7b is loaded, ", "general    high    old:7b is loaded, "]);
    has(&said, &["; mid:14b lacks ", "general    low     tiny:1b would fit, "]);
    let only = machine.run(&["recommend", "--task", "coding", "--complexity", "low"]);
    assert!(only.out.starts_with("coding  low  mini-coder:3b would fit, "), "{only:?}");
    assert_eq!(only.out.lines().count(), 1);
    let unknown = machine.run(&["recommend", "--task", "codng"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""), "{unknown:?}");
    assert!(unknown.err.contains("no tag here\nhint: did you mean coding?"), "{unknown:?}");
    // Servers know it, though no model here can do it.
    assert_eq!(machine.run(&["recommend", "--task", "vision"]).code, 0);
}

#[test]
fn a_recommendation_is_there_for_programs_and_follows_the_config() {
    let machine = Recorded::new();
    machine
        .0
        .config(b"[recommend]\nlow = \"2B\"\n[recommend.tags]\nprose = [\"old:*\", \"big:*\"]\n");
    let said = machine.json(&["recommend", "--task", "prose"]);
    let rows = said["recommendations"].as_array().unwrap();
    let row = |how: &str| rows.iter().find(|row| row["complexity"] == json!(how)).unwrap();
    assert_eq!(row("low")["model"], Value::Null);
    assert_eq!(row("low")["text"], json!("none suits"));
    assert_eq!(
        (&row("medium")["model"], &row("medium")["loaded"]),
        (&json!("old:7b"), &json!(true))
    );
    let next = &row("high")["next"];
    assert_eq!(next["model"], json!("big:32b"));
    assert!(next["lacks_bytes"].as_u64().unwrap() > 20 << 30, "{next}");
}

#[test]
fn the_config_says_what_the_server_does_not() {
    let machine = Recorded::new();
    machine.0.config(b"[fit]\ncontext = 16384\nkv_type = \"q8_0\"\nparallel = 3\n");
    let fit = machine.json(&["fit", "tiny:1b"]);
    let found = (&fit["context"], &fit["kv_type"], &fit["parallel"]);
    assert_eq!(found, (&json!(16_384), &json!("q8_0"), &json!(3)));
    let asked = machine.json(&["fit", "tiny:1b", "--ctx", "8192", "--kv", "f16"]);
    assert_eq!((&asked["context"], &asked["kv_type"]), (&json!(8192), &json!("f16")));
    let said = machine.run(&["fit", "tiny:1b"]);
    has(&said, &["context 16384 × 3 slots, kv q8_0"]);
}
