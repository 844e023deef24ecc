//! A recorded machine on which models get every verdict there is: the file
//! `machine` of a home.

use std::fs;
use std::time::Duration;

use plimsoll::domain::fault::SensorFault;
use plimsoll::domain::model::{Expiry, InstalledModel, LoadedModel, ModelDetails};
use plimsoll::domain::process::{ProcessMemory, ProcessTable, RunnerProgram};
use plimsoll::domain::sample::{AvailableSource, Memory, MemoryParts, no_groups};
use plimsoll::domain::shape::{PerLayer, Shape, TensorPart, TensorSum, Weights};
use plimsoll::domain::snapshot::Host;
use plimsoll::domain::{
    BlobDigest, Bytes, ModelName, Moment, Monotonic, Process, ProcessKey, ProcessRole,
    RunnerArguments, Sample, Wall,
};
use plimsoll::recording::{Report, ReportBody, Writer};

use super::shell::Home;

/// Of 64 GiB, with 10 GiB available, of which 5.1 GiB are kept for the system.
/// `old:7b` is loaded, idle and holds 11 GiB.
pub fn record(home: &Home) {
    let mut writer = Writer::new(Vec::new(), &Host::default()).unwrap();
    let shelf = [
        ("tiny:1b", "1.2B", 1, "llama"),
        ("old:7b", "7.6B", 10, "llama"),
        ("mid:14b", "14.8B", 13, "llama"),
        ("big:32b", "32.8B", 30, "llama"),
        ("giant:70b", "70.6B", 100, "llama"),
        ("mini-coder:3b", "3.1B", 2, "llama"),
    ];
    let installed = shelf.iter().map(|&(name, parameters, gib, family)| InstalledModel {
        name: ModelName::new(name),
        digest: digest(name),
        disk: Some(Bytes::gib(gib)),
        parameters: Some(parameters.into()),
        quantization: Some("Q4_K_M".into()),
        family: Some(family.into()),
        max_context: Some(262_144),
        capabilities: vec!["completion".into()],
        modified: None,
        is_cloud: false,
    });
    let loaded = LoadedModel {
        name: ModelName::new("old:7b"),
        digest: digest("old:7b"),
        reported: Some(Bytes::gib(11)),
        vram: Some(Bytes::ZERO),
        context: Some(4096),
        expires: Some(Expiry::At(moment(600_000).wall)),
        parameters: Some("7.6B".into()),
        quantization: Some("Q4_K_M".into()),
        family: Some("llama".into()),
        is_cloud: false,
    };
    let mut reports = vec![
        ReportBody::Version(Ok("0.33.0".into())),
        ReportBody::Installed(Ok(installed.collect())),
        ReportBody::Loaded(Ok(vec![loaded])),
    ];
    reports.extend(shelf.iter().map(|&(name, _, gib, _)| ReportBody::Details {
        model: ModelName::new(name),
        details: details(name, gib),
    }));
    for what in reports {
        let report = Report { at: moment(0), url: "http://127.0.0.1:11434".into(), what };
        writer.write_report(&report).unwrap();
    }
    for ms in [0, 1000, 2000] {
        writer.write_sample(&sample(ms)).unwrap();
    }
    fs::write(home.path("machine"), writer.into_inner()).unwrap();
}

fn digest(name: &str) -> String {
    let byte = name.bytes().fold(0_u8, u8::wrapping_add);
    format!("{byte:02x}").repeat(32)
}

fn moment(ms: u64) -> Moment {
    let start: Wall = "2026-01-15T14:02:11Z".parse().unwrap();
    Moment::new(start + Duration::from_millis(ms), Monotonic::from_millis(ms))
}

/// 28 layers of 8 heads of 128: 112 KiB a token in f16.
fn details(name: &str, gib: u64) -> ModelDetails {
    let sum = |part, count, bytes: Bytes| TensorSum {
        part,
        kind: "Q4_K".into(),
        count,
        elements: bytes.get() * 256 / 144,
        bytes,
    };
    let shape = Shape {
        architecture: "llama".into(),
        layers: 28,
        embedding: 3072,
        feed_forward: PerLayer::Same(8192),
        vocabulary: 32_000,
        max_context: Some(262_144),
        heads: PerLayer::Same(24),
        heads_kv: PerLayer::Same(8),
        key_length: Some(128),
        value_length: Some(128),
        weights: Weights {
            tensors: vec![
                sum(TensorPart::TokenEmbedding, 1, Bytes::mib(53)),
                sum(TensorPart::Layer, 196, Bytes::gib(gib)),
            ],
            file: Some(Bytes::gib(gib)),
            projector: None,
        },
        ..Shape::default()
    };
    ModelDetails {
        blob: BlobDigest::from_hex(&digest(name)),
        architecture: Some("llama".into()),
        capabilities: vec!["completion".into()],
        max_context: Some(262_144),
        shape: Some(Box::new(shape)),
        ..ModelDetails::default()
    }
}

fn sample(ms: u64) -> Sample {
    let absent = || SensorFault::absent("not on this machine");
    let process = |pid, name: &str, role, gib| Process {
        key: ProcessKey { pid, started: 70 },
        parent: 41_000,
        name: name.into(),
        role,
        uid: Some(1000),
        memory: ProcessMemory {
            resident: Some(Bytes::gib(gib)),
            anonymous: Some(Bytes::gib(gib)),
            file: Some(Bytes::ZERO),
            shared: Some(Bytes::ZERO),
            swapped: Some(Bytes::ZERO),
            ..ProcessMemory::default()
        },
        cpu: Some(Duration::from_secs(9)),
        is_zombie: false,
        matched: Vec::new(),
    };
    let server = ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() };
    let runner = ProcessRole::Runner(Box::new(RunnerArguments {
        program: RunnerProgram::LlamaServer,
        blob: BlobDigest::from_hex(&digest("old:7b")),
        model: None,
        context: Some(4096),
        parallel: Some(1),
        port: Some(46_601),
        flags: Vec::new(),
        in_ollama_folder: Some(true),
    }));
    Sample {
        at: moment(ms),
        memory: Ok(Memory {
            total: Bytes::gib(64),
            available: Bytes::gib(10),
            free: Bytes::gib(8),
            available_source: AvailableSource::Kernel,
            parts: MemoryParts::Linux {
                anonymous: None,
                cached: None,
                shared: None,
                slab_unreclaimable: None,
            },
        }),
        swap: Err(absent()),
        pressure: Err(absent()),
        paging: Err(absent()),
        zram: Err(absent()),
        limit: Err(absent()),
        gpus: Ok(Vec::new()),
        processes: Ok(ProcessTable {
            servers: vec![process(41_000, "ollama", server, 0)],
            runners: vec![process(41_013, "llama-server", runner, 11)],
            others: vec![process(42_000, "firefox", ProcessRole::Other, 7)],
            count: Some(3),
            ..ProcessTable::default()
        }),
        groups: no_groups(),
    }
}
