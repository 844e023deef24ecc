//! The words that are written are the code's.

use std::collections::BTreeSet;

use plimsoll::domain::component::{ComponentKind, FootprintSource};
use plimsoll::domain::finding::{CHECKS, Severity as V};
use plimsoll::domain::fit::Complexity;
use plimsoll::domain::level::{Basis, SignalKind};
use plimsoll::domain::model::Activity;
use plimsoll::domain::plan::Keep;
use plimsoll::domain::process::MeasuredSource;
use plimsoll::domain::rule::{Deed, Target};
use plimsoll::domain::sample::MacPressure;
use plimsoll::domain::snapshot::Place;
use plimsoll::domain::{
    Action, EventKind, FitVerdict, KvType, Level, ModelName, Priority, ProcessKey, RuleMode,
    Strength,
};
use serde::Serialize;

use super::*;

/// As they stand in the schema, and as the code writes them.
#[track_caller]
fn same(definition: &str, written: &[impl Serialize]) {
    let schema = Schema::read();
    let words = |list: &[Value]| -> BTreeSet<String> {
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let described = words(schema.definition(definition)["enum"].as_array().unwrap());
    let written: Vec<Value> = written.iter().map(|word| json!(word)).collect();
    assert_eq!(described, words(&written), "{definition}");
}

#[test]
fn the_words_of_the_schema_are_the_codes() {
    use {ComponentKind as C, FootprintSource as F, MeasuredSource as M, SignalKind as S};
    same("level", &Level::ALL);
    same("event_kind", &EventKind::ALL);
    same("event_kind", &EventKind::ALL.map(EventKind::id));
    same("priority_word", &Priority::ALL);
    same("mode", &RuleMode::ALL);
    same("strength", &Strength::ALL);
    same("kv_type", &KvType::ALL);
    same("verdict", &FitVerdict::ALL);
    same("complexity", &Complexity::ALL);
    same("basis", &[Basis::OneShot, Basis::Attached]);
    same("activity", &[Activity::Busy, Activity::Idle, Activity::Unknown]);
    same("place", &[Place::Local, Place::Remote, Place::Unknown]);
    same("signal", &[S::Memory, S::Available, S::Pressure, S::Swap, S::Vram]);
    same("source", &[F::Measured, F::Learned, F::Reported, F::Estimated]);
    same("measured_source", &[M::Status, M::Pss, M::Rss, M::Footprint, M::Simulated]);
    let kinds = [C::Server, C::Model, C::Runner, C::Orphan, C::Foreign];
    same("component_kind", &[&kinds[..], &[C::Process, C::Container, C::Service]].concat());
    same("check", &CHECKS.map(|(check, ..)| check));
    same("severity", &[V::Skipped, V::Ok, V::Note, V::Warning, V::Error]);
    let schema = Schema::read();
    let pressure = &schema.definition("pressure")["properties"]["level"]["enum"];
    let mac = [MacPressure::Normal, MacPressure::Warning, MacPressure::Critical];
    assert_eq!(pressure, &json!([mac[0], mac[1], mac[2], null]));
}

#[test]
fn the_verbs_of_actions_are_those_of_the_schema() {
    let model = || ModelName::new("x:1b");
    let words = Vec::new;
    let process = ProcessKey { pid: 7, started: 7 };
    let deeds = [
        Deed::Command { words: words() },
        Deed::Pause,
        Deed::Resume,
        Deed::Limit { to: plimsoll::domain::Bytes::gib(1) },
        Deed::Unlimit { to: None },
        Deed::Restart,
        Deed::Stop,
        Deed::Term,
        Deed::Kill,
        Deed::Load { words: words() },
    ];
    let deeds = deeds.map(|deed| {
        let target = Target::Process { key: process };
        Action::Component { id: String::new(), name: String::new(), target, deed }
    });
    let plain = [
        Action::Unload { model: model() },
        Action::Load { model: model(), keep: Keep::Default, context: None },
        Action::Keep { model: model(), keep: Keep::Default },
        Action::EndRunner { process, name: String::new() },
        Action::Run { words: words() },
    ];
    let verbs: Vec<&str> = plain.iter().chain(&deeds).map(Action::verb).collect();
    same("action", &verbs);
}
