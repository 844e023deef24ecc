//! The JSON of `doctor`. More may be added; nothing is renamed. What is
//! unknown is null.

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::process::{Process, RunnerProgram};
use crate::domain::snapshot::{Place, RuntimeView};
use crate::domain::survey::{Housing, ServerSurvey};
use crate::domain::{Finding, ProcessRole, Severity, Snapshot, Wall};
use crate::policy::doctor::worst;

use super::Examined;

#[derive(Debug, Serialize)]
pub struct Doctor<'a> {
    schema_version: u32,
    time: Wall,
    worst: Severity,
    server: Option<ServerJson<'a>>,
    runners: Vec<RunnerJson<'a>>,
    findings: &'a [Finding],
}

#[derive(Debug, Serialize)]
struct ServerJson<'a> {
    kind: &'a str,
    url: &'a str,
    state: &'static str,
    version: Option<&'a str>,
    place: Place,
    pid: Option<u32>,
    uid: Option<u32>,
    unit: Option<&'a str>,
    container: Option<&'a str>,
    /// Null where it cannot be read; secrets are masked.
    environment: Option<Vec<VariableJson<'a>>>,
}

#[derive(Debug, Serialize)]
struct VariableJson<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Debug, Serialize)]
struct RunnerJson<'a> {
    pid: u32,
    program: RunnerProgram,
    /// Of all slots together.
    context: Option<u64>,
    parallel: Option<u32>,
    flags: Vec<VariableJson<'a>>,
}

impl<'a> Doctor<'a> {
    pub fn of(examined: &'a Examined) -> Self {
        let Examined { snapshot, survey, findings } = examined;
        let process = survey.server();
        Doctor {
            schema_version: Document::Doctor.version(),
            time: snapshot.at.wall,
            worst: worst(findings),
            server: snapshot.runtimes.first().map(|view| server(view, process)),
            runners: runners(snapshot),
            findings,
        }
    }
}

fn server<'a>(view: &'a RuntimeView, process: Option<&'a ServerSurvey>) -> ServerJson<'a> {
    let process = process.filter(|_| view.place != Place::Remote);
    let housing = process.and_then(|process| process.housing.as_ref().ok());
    let (unit, container) = match housing {
        Some(Housing::Unit { name, .. }) => (Some(name.as_str()), None),
        Some(Housing::Container { name, .. }) => (None, Some(name.as_str())),
        Some(Housing::Plain) | None => (None, None),
    };
    let environment = process.and_then(|process| process.environment.as_ref().ok());
    ServerJson {
        kind: &view.kind,
        url: &view.url,
        state: view.state.word(),
        version: view.version.as_deref(),
        place: view.place,
        pid: process.map(|process| process.key.pid),
        uid: process.and_then(|process| process.uid),
        unit,
        container,
        environment: environment.map(|pairs| pairs.iter().map(variable).collect()),
    }
}

fn variable((name, value): &(String, String)) -> VariableJson<'_> {
    VariableJson { name, value }
}

fn runners(snapshot: &Snapshot) -> Vec<RunnerJson<'_>> {
    let sample = snapshot.sample.as_deref();
    let table = sample.and_then(|sample| sample.processes.as_ref().ok());
    table.iter().flat_map(|table| &table.runners).filter_map(runner).collect()
}

fn runner(process: &Process) -> Option<RunnerJson<'_>> {
    let ProcessRole::Runner(arguments) = &process.role else { return None };
    Some(RunnerJson {
        pid: process.key.pid,
        program: arguments.program,
        context: arguments.context,
        parallel: arguments.parallel,
        flags: arguments.flags.iter().map(variable).collect(),
    })
}
