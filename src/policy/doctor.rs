//! What is wrong with a machine that runs local models, or could be better: a
//! survey and a snapshot to findings. Pure; every check says something, if
//! only that it does not apply here.

mod machine;
mod mending;
mod models;
mod rights;
mod sensors;
mod server;
mod setup;

use crate::domain::fit::ServerEra;
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView};
use crate::domain::{Bytes, Finding, Fits, Sample, Severity, Snapshot, Survey};

pub use mending::setting_line;

/// All that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub survey: &'a Survey,
    pub snapshot: &'a Snapshot,
    /// Verdicts on the installed models, as the server would load them.
    pub fits: &'a Fits,
}

/// Every finding, in the order of the table of checks.
pub fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    server::look(scene, &mut found);
    models::look(scene, &mut found);
    machine::look(scene, &mut found);
    rights::look(scene, &mut found);
    sensors::look(scene, &mut found);
    setup::look(scene, &mut found);
    found
}

/// The worst there is; of nothing, all is well.
pub fn worst(findings: &[Finding]) -> Severity {
    let worst = findings.iter().map(|finding| finding.severity).max();
    worst.unwrap_or(Severity::Ok).max(Severity::Ok)
}

/// Why nothing can be said of a server's process.
const ELSEWHERE: &str = "the server is on another machine";
const SIMULATED: &str = "this is no live machine";

impl<'a> Scene<'a> {
    fn server(&self) -> Option<&'a RuntimeView> {
        self.snapshot.runtimes.first()
    }

    fn is_remote(&self) -> bool {
        self.server().is_some_and(|server| server.place == Place::Remote)
    }

    fn is_up(&self) -> bool {
        let state = self.server().map(|server| &server.state);
        matches!(state, Some(RuntimeState::Up | RuntimeState::Slow))
    }

    fn era(&self) -> ServerEra {
        let version = self.server().and_then(|server| server.version.as_deref());
        version.map_or(ServerEra::LlamaServer, ServerEra::of_version)
    }

    fn sample(&self) -> Option<&'a Sample> {
        self.snapshot.sample.as_deref()
    }

    fn total(&self) -> Option<Bytes> {
        Some(self.sample()?.memory.as_ref().ok()?.total)
    }

    /// Why what concerns the server's process is left out, if it is.
    fn no_process(&self) -> Option<&'static str> {
        match (self.is_remote(), self.survey.is_simulated) {
            (true, _) => Some(ELSEWHERE),
            (false, true) => Some(SIMULATED),
            (false, false) => None,
        }
    }

    /// A setting of the server's, or why it is not known.
    fn setting(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.no_process() {
            Some(why) => Err(why.to_owned()),
            None => self.survey.setting(name),
        }
    }
}
