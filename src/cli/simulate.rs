//! `plimsoll simulate RECORDING`: what the rules would have done over it, for
//! one config or two side by side, as text or JSON.

mod pass;
mod text;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::assemble::{self, Source};
use crate::config::LoadedConfig;
use crate::domain::snapshot::Host;
use crate::domain::{Bytes, BytesDelta, Level};
use crate::engine::simulate::findings::Findings;
use crate::engine::simulate::{Said, Simulation, acting};
use crate::policy::limits::Profile;
use crate::recording::{Entry, Reader, Report, ReportBody};

use super::Context;
use super::document::Document;
use super::exit::{ExitCode, WrongUsage};
use super::facts::{columns, write_json};
use super::fitted::Fitted;
use super::names::one_of;
use pass::Pass;

/// Steps looked at for the usual one.
const STEPS: usize = 64;

/// A recording of one sample has no step; as one that looks each second.
const ASSUMED_STEP: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recording cannot answer back: what a simulated unload gives back is modelled,
and whatever rests on that is marked so.

  plimsoll simulate night.ndjson                         by your own config
  plimsoll simulate night.ndjson --profile careful       by another profile
  plimsoll simulate night.ndjson --against other.toml    by two, side by side

Exit codes: 0 done, 1 failed, 2 usage or config.")]
pub struct Args {
    /// What `plimsoll record` wrote
    recording: PathBuf,
    /// The profile to judge by, instead of the config's
    #[arg(long, value_name = "NAME", value_parser = one_of(&Profile::ALL, Profile::name))]
    profile: Option<Profile>,
    /// A second config file, side by side with the first
    #[arg(long, value_name = "FILE", conflicts_with = "against_profile")]
    against: Option<PathBuf>,
    /// A second profile over the same config, side by side
    #[arg(long, value_name = "NAME", value_parser = one_of(&Profile::ALL, Profile::name))]
    against_profile: Option<Profile>,
    /// Rules that observe or ask: let them act, or leave them as configured
    #[arg(long, value_enum, default_value_t = Rules::Act)]
    rules: Rules,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
    /// Say how fast it went, which differs from run to run
    #[arg(long)]
    timing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rules {
    Act,
    Configured,
}

/// Everything said of a recording.
#[derive(Debug, Serialize)]
struct Simulated {
    schema_version: u32,
    recording: String,
    host: String,
    rules: Rules,
    /// The usual time from one sample to the next.
    step_ms: u64,
    sides: Vec<Side>,
    /// The second side less the first, where there are two.
    difference: Option<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
}

/// One config over the recording.
#[derive(Debug, Serialize)]
struct Side {
    /// The file or profile that makes the difference.
    config: String,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Debug, Serialize)]
struct Difference {
    /// Normal first.
    levels: Vec<LevelDifference>,
    level_changes: i64,
    level_oscillations: i64,
    model_oscillations: i64,
    actions: i64,
    freed_bytes: BytesDelta,
    largest_shortfall_bytes: BytesDelta,
}

#[derive(Debug, Serialize)]
struct LevelDifference {
    level: Level,
    time_ms: i64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Timing {
    samples_per_second: u64,
    parsing_samples_per_second: u64,
    /// Time of the simulation, parsing included, in times of parsing alone.
    times_parsing: f64,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if context.source != Source::Live {
        return Err(
            WrongUsage("a simulation takes its recording without --replay or --demo").into()
        );
    }
    let simulated = simulate(args, context)
        .with_context(|| format!("simulate over {}", args.recording.display()))?;
    if args.json {
        write_json(out, &simulated)?;
    } else {
        text::write(&simulated, &mut Fitted::new(out, columns(context)))?;
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn simulate(args: &Args, context: &Context) -> Result<Simulated> {
    let look = Look::at(&args.recording)?;
    let configs = configs(args, context)?;
    let mut names = Vec::new();
    let mut simulations = Vec::new();
    for (name, config) in configs {
        let mut settings = assemble::simulated(&config, &args.recording)?;
        if args.rules == Rules::Act {
            settings.regime_for = acting(settings.regime_for);
        }
        names.push(name);
        simulations.push(Simulation::new(settings, look.step));
    }
    let parsing = if args.timing { Some(time_parsing(&args.recording)?) } else { None };
    let started = Instant::now();
    feed(&args.recording, &mut simulations)?;
    let took = started.elapsed();
    let findings = simulations.into_iter().map(Simulation::finish);
    let side = |(config, findings)| Side { config, findings };
    let sides: Vec<Side> = names.into_iter().zip(findings).map(side).collect();
    let samples = sides.first().map_or(0, |side| side.findings.span.samples);
    Ok(Simulated {
        schema_version: Document::Simulate.version(),
        recording: args.recording.display().to_string(),
        host: look.host.name,
        rules: args.rules,
        step_ms: u64::try_from(look.step.as_millis()).unwrap_or(u64::MAX),
        difference: match &sides[..] {
            [first, second] => Some(Difference::of(&first.findings, &second.findings)),
            _ => None,
        },
        timing: parsing.map(|parsing| Timing::of(samples, took, parsing)),
        sides,
    })
}

/// The configs to try, with the name of each.
fn configs(args: &Args, context: &Context) -> Result<Vec<(String, LoadedConfig)>> {
    let chosen = |config: LoadedConfig, profile: Option<Profile>, flag| match profile {
        Some(profile) => config.with_profile(profile, flag),
        None => config,
    };
    let config = context.config()?;
    let name = match (args.profile, &context.flags.config) {
        (Some(profile), _) => profile.name().to_owned(),
        (None, Some(file)) => file.display().to_string(),
        (None, None) => "your config".to_owned(),
    };
    let mut configs = vec![(name, chosen(config.clone(), args.profile, "--profile"))];
    if let Some(profile) = args.against_profile {
        let config = chosen(config, Some(profile), "--against-profile");
        configs.push((profile.name().to_owned(), config));
    } else if let Some(file) = &args.against {
        let flags = crate::config::Flags { config: Some(file.clone()), ..context.flags.clone() };
        let config = crate::config::load(&flags, &context.surroundings)?;
        configs.push((file.display().to_string(), chosen(config, args.profile, "--profile")));
    }
    Ok(configs)
}

/// What is known of a recording before it is played.
struct Look {
    host: Host,
    step: Duration,
}

impl Look {
    fn at(path: &Path) -> Result<Look> {
        let file = File::open(path).map_err(crate::recording::RecordingError::Open)?;
        let reader = Reader::new(BufReader::new(file))?;
        let host = reader.host().clone();
        let mut steps = Vec::new();
        let mut before = None;
        for entry in reader {
            let Entry::Sample(sample) = entry? else { continue };
            if let Some(before) = before.replace(sample.at) {
                steps.push(sample.at.since(before));
            }
            if steps.len() >= STEPS {
                break;
            }
        }
        if before.is_none() {
            return Err(crate::recording::RecordingError::Empty.into());
        }
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(ASSUMED_STEP);
        Ok(Look { host, step })
    }
}

/// Every simulation takes the same pass over the file.
fn feed(path: &Path, simulations: &mut [Simulation]) -> Result<()> {
    let mut url: Option<String> = None;
    for entry in Pass::over(path, "simulating")? {
        match entry? {
            Entry::Sample(sample) => {
                let Some((last, others)) = simulations.split_last_mut() else { return Ok(()) };
                others.iter_mut().for_each(|other| other.take_sample(sample.clone()));
                last.take_sample(sample);
            }
            Entry::Report(report) => {
                // One server, as in a replay: the first.
                if *url.get_or_insert_with(|| report.url.clone()) == report.url {
                    tell(*report, simulations);
                }
            }
        }
    }
    Ok(())
}

fn tell(report: Report, simulations: &mut [Simulation]) {
    let said = match report.what {
        ReportBody::Loaded(loaded) => Said::Loaded(loaded),
        ReportBody::Installed(installed) => Said::Installed(installed),
        ReportBody::Version(version) => Said::Version(version),
        ReportBody::Details { model, details } => Said::Details(model, details),
    };
    for simulation in simulations {
        simulation.take_said(report.at, said.clone());
    }
}

fn time_parsing(path: &Path) -> Result<Duration> {
    let started = Instant::now();
    for entry in Pass::over(path, "parsing")? {
        entry?;
    }
    Ok(started.elapsed())
}

impl Timing {
    fn of(samples: u64, took: Duration, parsing: Duration) -> Timing {
        let rate = |span: Duration| (samples as f64 / span.as_secs_f64().max(1e-9)) as u64;
        let times = took.as_secs_f64() / parsing.as_secs_f64().max(1e-9);
        Timing {
            samples_per_second: rate(took),
            parsing_samples_per_second: rate(parsing),
            times_parsing: (times * 100.0).round() / 100.0,
        }
    }
}

impl Difference {
    fn of(first: &Findings, second: &Findings) -> Difference {
        let counts = |pick: fn(&Findings) -> usize| less(pick(second) as u64, pick(first) as u64);
        let shortfall = |findings: &Findings| {
            findings.largest_shortfall.map_or(Bytes::ZERO, |shortfall| shortfall.bytes)
        };
        let levels = first.levels.iter().zip(&second.levels);
        Difference {
            levels: levels
                .map(|(first, second)| LevelDifference {
                    level: first.level,
                    time_ms: less(second.ms, first.ms),
                })
                .collect(),
            level_changes: counts(|findings| findings.level_changes.len()),
            level_oscillations: counts(|findings| findings.oscillations.levels.len()),
            model_oscillations: counts(|findings| findings.oscillations.models.len()),
            actions: counts(|findings| findings.actions.len()),
            freed_bytes: second.freed_bytes.since(first.freed_bytes),
            largest_shortfall_bytes: shortfall(second).since(shortfall(first)),
        }
    }
}

fn less(from: u64, what: u64) -> i64 {
    i64::try_from(i128::from(from) - i128::from(what)).unwrap_or(i64::MAX)
}
