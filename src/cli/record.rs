//! `plimsoll record FILE`: samples and what the model server says, as they come.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use tokio::signal::unix::Signal;

use crate::assemble::{self, Source};
use crate::domain::{ModelName, Moment, Named, ProcessKey};
use crate::engine::executor::ask;
use crate::engine::input::{Poll, PollAnswer};
use crate::recording::{Report, ReportBody, Writer};
use crate::sense::Want;

use super::Context;
use super::document::Document;
use super::exit::{ExitCode, WrongUsage};
use super::facts::write_json;
use super::signals::{Endings, hang_up};
use super::when::some_span;

/// The largest processes beside the models' own that a recording follows.
const LARGEST: usize = 8;

/// Every process is looked at this often, to find the largest.
const SCAN_EVERY: Duration = Duration::from_secs(10);

/// Installed models and the version change seldom.
const SLOW_POLLS_EVERY: u32 = 30;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Lines of JSON, for `--replay` and `plimsoll simulate`; the first says which
format it is.

  plimsoll record night.ndjson               until Ctrl-C
  plimsoll record short.ndjson --for 30s     for half a minute

Exit codes: 0 done, also by Ctrl-C; 1 failed, as where the file exists; 2 usage
or config.")]
pub struct Args {
    /// Where to write; an existing file is not overwritten
    file: PathBuf,
    /// Stop after so long, as in 30s or 10m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "SPAN", value_parser = some_span)]
    span: Option<Duration>,
    /// For programs: one JSON object, once it is over
    #[arg(long)]
    json: bool,
}

/// More may be added; nothing is renamed.
#[derive(Serialize)]
struct Json {
    schema_version: u32,
    file: String,
    samples: u32,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if matches!(context.source, Source::Replay(_)) {
        return Err(WrongUsage("a recording is played or made, not both").into());
    }
    let config = context.config()?;
    let mut edges = assemble::edges(&context.source, &config)?;
    let settings = assemble::settings(&config, &mut edges)?;
    let interval = settings.interval.unwrap_or(Duration::from_secs(1));
    let file = create(&args.file)?;
    let mut recorder = Recorder {
        writer: Writer::new(BufWriter::new(file), &settings.host)?,
        edges,
        port: settings.endpoint.port,
        named: settings.named(),
        known: Vec::new(),
        scanned: None,
        round: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let samples = runtime.block_on(recorder.record(interval, args.span))?;
    let file = args.file.display();
    match args.json {
        true => {
            let (schema_version, file) = (Document::Record.version(), file.to_string());
            write_json(out, &Json { schema_version, file, samples })?;
        }
        false => writeln!(out, "{samples} samples in {file}")?,
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn create(path: &Path) -> Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|fault| match fault.kind() {
        io::ErrorKind::AlreadyExists => {
            anyhow!(
                "{} exists and was left as it is\nhint: name a file that is not there",
                path.display()
            )
        }
        _ => anyhow::Error::from(fault).context(format!("create {}", path.display())),
    })
}

/// What ends a recording from outside; each is a wish, not a fault.
struct End {
    endings: Endings,
    hang_up: Signal,
}

impl End {
    fn listen() -> Result<End> {
        Ok(End { endings: Endings::listen()?, hang_up: hang_up()? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.endings.next() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

struct Recorder {
    writer: Writer<BufWriter<File>>,
    edges: assemble::Edges,
    port: u16,
    named: Arc<[Named]>,
    /// Models whose details are in the file.
    known: Vec<ModelName>,
    scanned: Option<Instant>,
    round: u32,
}

impl Recorder {
    async fn record(&mut self, interval: Duration, span: Option<Duration>) -> Result<u32> {
        let started = Instant::now();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut end = End::listen()?;
        loop {
            tokio::select! {
                () = end.told() => break,
                _ = ticks.tick() => {}
            }
            if span.is_some_and(|span| started.elapsed() >= span) {
                break;
            }
            // A line is written whole or not at all, so a round can be left
            // where it waits for a server.
            tokio::select! {
                () = end.told() => break,
                done = self.one_round() => done.context("write the recording")?,
            }
            self.round += 1;
        }
        self.writer.flush()?;
        Ok(self.round)
    }

    async fn one_round(&mut self) -> io::Result<()> {
        let now = self.edges.clock.now();
        let want = self.want();
        let sample = self.edges.sensors.read(&want, now);
        self.writer.write_sample(&sample)?;
        let is_slow_turn = self.round.is_multiple_of(SLOW_POLLS_EVERY);
        self.poll(Poll::Loaded, now).await?;
        if is_slow_turn {
            self.poll(Poll::Version, now).await?;
            self.poll(Poll::Installed, now).await?;
        }
        self.writer.flush()
    }

    fn want(&mut self) -> Want {
        let all_processes = self.scanned.is_none_or(|at| at.elapsed() >= SCAN_EVERY);
        if all_processes {
            self.scanned = Some(Instant::now());
        }
        Want {
            all_processes,
            largest: LARGEST,
            proportional: Vec::<ProcessKey>::new(),
            server_port: Some(self.port),
            named: Arc::clone(&self.named),
        }
    }

    async fn poll(&mut self, poll: Poll, now: Moment) -> io::Result<()> {
        let answer = ask(self.edges.runtime.as_ref(), poll).await;
        let mut wanted = Vec::new();
        let what = match answer {
            PollAnswer::Loaded(answer) => {
                if let Ok(loaded) = &answer {
                    let names = loaded.iter().filter(|model| !model.is_cloud).map(|m| &m.name);
                    wanted.extend(names.filter(|name| !self.known.contains(name)).cloned());
                }
                ReportBody::Loaded(answer)
            }
            PollAnswer::Installed(answer) => ReportBody::Installed(answer),
            PollAnswer::Version(answer) => ReportBody::Version(answer),
            PollAnswer::Details(_, Err(_)) => return Ok(()),
            PollAnswer::Details(model, Ok(details)) => ReportBody::Details { model, details },
        };
        self.write(what, now)?;
        for model in wanted {
            let answer = self.edges.runtime.details(&model).await;
            if let Ok(details) = answer {
                self.known.push(model.clone());
                self.write(ReportBody::Details { model, details }, now)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, what: ReportBody, at: Moment) -> io::Result<()> {
        let url = self.edges.runtime.endpoint().shown_url.clone();
        self.writer.write_report(&Report { at, url, what })?;
        Ok(())
    }
}
