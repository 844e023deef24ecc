//! The estimate against what two generations of a server really took: every
//! recorded row, what was reported and what the process held.
//!
//! `cargo test --test footprints -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read has failed the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::fit::{FlashAttention, LoadSettings, Need, Placement, ServerEra};
use plimsoll::domain::shape::{PerLayer, Shape, TensorPart, TensorSum};
use plimsoll::forecast::footprint::estimate;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/footprints")
}

/// A row of the recording with what was predicted of it.
struct Row {
    label: String,
    is_new: bool,
    is_mapped: bool,
    reported: f64,
    measured: f64,
    need: Need,
}

impl Row {
    fn reported_error(&self) -> f64 {
        error(self.need.reported, self.reported)
    }

    fn measured_error(&self) -> f64 {
        error(self.need.measured, self.measured)
    }
}

/// In per cent; positive: predicted too much.
fn error(predicted: Bytes, real: f64) -> f64 {
    (predicted.get() as f64 / real - 1.0) * 100.0
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(folder().join("footprint.tsv")).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    lines.map(|cells| row(&names.iter().copied().zip(cells).collect())).collect()
}

fn row(cells: &BTreeMap<&str, &str>) -> Row {
    let number = |name: &str| cells[name].parse::<u64>().unwrap();
    let settings = LoadSettings {
        context: number("num_ctx"),
        parallel: u32::try_from(number("num_parallel")).unwrap(),
        kv_type: cells["kv_type"].parse().unwrap(),
        flash_attention: asked(cells),
        mapped: cells["load_mode"] == "mmap",
        server: ServerEra::of_version(cells["server_version"]),
        placement: Placement::Cpu,
    };
    let need = estimate(&shape(cells["model"]), &settings);
    Row {
        label: format!(
            "{:<6} {:<16} {:>6} ×{} {:<4} {:<8} {:<4}",
            &cells["server_version"][..4],
            cells["model"],
            cells["num_ctx"],
            cells["num_parallel"],
            cells["kv_type"],
            cells["flash_attn"],
            cells["load_mode"],
        ),
        is_new: settings.server == ServerEra::LlamaServer,
        is_mapped: settings.mapped,
        reported: number("api_size") as f64,
        measured: number("rss_kb") as f64 * 1024.0,
        need,
    }
}

/// What was asked for. Ollama's own engine decides for itself and says what it
/// decided, which is not what was asked.
fn asked(cells: &BTreeMap<&str, &str>) -> FlashAttention {
    let is_own_engine =
        cells["server_version"] == "0.24.0" && matches!(cells["arch"], "bert" | "gemma3");
    match cells["flash_attn"] {
        _ if is_own_engine => FlashAttention::Auto,
        "on" | "Enabled" => FlashAttention::On,
        "off" | "Disabled" => FlashAttention::Off,
        _ => FlashAttention::Auto,
    }
}

fn shape(model: &str) -> Shape {
    let text = fs::read_to_string(folder().join(format!("{model}.json"))).unwrap();
    let show = serde_json::from_str::<Value>(&text).unwrap()["show"].take();
    let info = &show["model_info"];
    let architecture = info["general.architecture"].as_str().unwrap().to_owned();
    let number = |key: &str| info[format!("{architecture}.{key}")].as_u64();
    let heads = number("attention.head_count").unwrap();
    let mut shape = Shape {
        layers: number("block_count").unwrap(),
        embedding: number("embedding_length").unwrap(),
        feed_forward: PerLayer::Same(number("feed_forward_length").unwrap()),
        vocabulary: number("vocab_size").unwrap(),
        max_context: number("context_length"),
        heads: PerLayer::Same(heads),
        heads_kv: PerLayer::Same(number("attention.head_count_kv").unwrap_or(heads)),
        key_length: number("attention.key_length"),
        value_length: number("attention.value_length"),
        window: number("attention.sliding_window"),
        is_embedding: show["capabilities"].as_array().unwrap().contains(&"embedding".into()),
        architecture,
        ..Shape::default()
    };
    for tensor in show["tensors"].as_array().unwrap() {
        shape.weights.tensors.push(sum_of(tensor));
    }
    shape
}

fn sum_of(tensor: &Value) -> TensorSum {
    let name = tensor["name"].as_str().unwrap();
    let kind = tensor["type"].as_str().unwrap();
    let lengths: Vec<u64> =
        tensor["shape"].as_array().unwrap().iter().map(|length| length.as_u64().unwrap()).collect();
    let elements = lengths.iter().product();
    let (bytes, block) = match kind {
        "F32" => (4, 1),
        "F16" => (2, 1),
        "Q8_0" => (34, 32),
        "Q4_0" => (18, 32),
        "Q4_K" => (144, 256),
        "Q6_K" => (210, 256),
        other => panic!("{other} is not among the recorded types"),
    };
    let part = match name {
        _ if lengths.len() == 1 => TensorPart::Vector,
        "token_embd.weight" => TensorPart::TokenEmbedding,
        "output.weight" => TensorPart::Output,
        layer if layer.starts_with("blk.") => TensorPart::Layer,
        _ => TensorPart::Other,
    };
    let bytes = Bytes::new(elements / block * bytes);
    TensorSum { part, kind: kind.to_owned(), count: 1, elements, bytes }
}

/// Median and worst of errors, without their signs.
fn spread(errors: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut errors: Vec<f64> = errors.map(f64::abs).collect();
    errors.sort_by(f64::total_cmp);
    let half = errors.len() / 2;
    let median = match errors.len() % 2 {
        0 => f64::midpoint(errors[half - 1], errors[half]),
        _ => errors[half],
    };
    (median, errors[errors.len() - 1])
}

fn table(rows: &[Row]) -> String {
    let mib = |bytes: f64| bytes / 1_048_576.0;
    let mut text = String::from(
        "row, then in MiB reported, predicted, error; held, predicted, error; parts\n",
    );
    for row in rows {
        let need = &row.need;
        writeln!(
            text,
            "{} {:>9.2} {:>9.2} {:>+7.3} %  {:>8.1} {:>8.1} {:>+6.2} %  {:>8.1}",
            row.label,
            mib(row.reported),
            mib(need.reported.get() as f64),
            row.reported_error(),
            mib(row.measured),
            mib(need.measured.get() as f64),
            row.measured_error(),
            mib(need.parts().get() as f64),
        )
        .unwrap();
    }
    text
}

#[test]
fn estimates_meet_what_two_servers_reported_and_held() {
    let rows = rows();
    println!("{}", table(&rows));
    let of = |is_new: bool, is_mapped: bool| {
        rows.iter().filter(move |row| (row.is_new, row.is_mapped) == (is_new, is_mapped))
    };
    let check = |what: &str, found: (f64, f64), most: (f64, f64)| {
        println!("{what}: median {:.3} %, worst {:.3} %", found.0, found.1);
        assert!(found.0 <= most.0 && found.1 <= most.1, "{what}: {found:?} is over {most:?}");
    };
    assert_eq!(
        (of(true, false).count(), of(false, false).count(), of(true, true).count()),
        (24, 18, 3)
    );
    let reported = |is_new, is_mapped| spread(of(is_new, is_mapped).map(Row::reported_error));
    let measured = |is_new, is_mapped| spread(of(is_new, is_mapped).map(Row::measured_error));
    check("newer, reported", reported(true, false), (0.1, 0.3));
    check("older, reported", reported(false, false), (0.1, 0.3));
    check("newer, measured", measured(true, false), (1.0, 5.0));
    check("older, measured", measured(false, false), (1.0, 5.0));
    // Which stretch of the file is mapped depends on the order of tensors in
    // it, which their sums do not tell: the whole is taken.
    check("mapped, reported", reported(true, true), (1.0, 4.0));
    check("mapped, measured", measured(true, true), (1.0, 4.0));
}

#[test]
fn the_parts_are_never_less_than_what_was_held() {
    for row in rows() {
        let parts = row.need.parts();
        assert!(parts >= row.need.measured, "{}: the parts are less than measured", row.label);
        assert!(parts.get() as f64 >= row.measured, "{}: less than was held", row.label);
    }
}
