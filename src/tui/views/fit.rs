//! Verdicts in words: whether a model fits, the sum behind it, what would
//! help. Read by the models page and by the dialogs of a load.

use crate::domain::bytes::Bytes;
use crate::domain::component::FootprintSource;
use crate::domain::fit::{Fit, FitVerdict, Words, kv_warning, listed};
use crate::domain::model::{ModelName, ModelView};
use crate::domain::shape::KvType;
use crate::domain::text::clean;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::views::help::told;
use crate::tui::widgets::canvas::{Span, cells, span, wrap};
use crate::tui::widgets::dialog::Line;
use crate::tui::widgets::figures::grouped;

/// Programs named where some must give memory back.
const PROGRAMS: usize = 3;

/// Width of the names in the whole verdict.
const NAMES: u16 = 13;
const SHORT_NAMES: u16 = 10;

/// Below this width words stand below their figure.
const NARROW: usize = 50;

/// `~1.4 GiB`: a figure with the mark of how it is known.
pub fn marked(bytes: Bytes, source: FootprintSource) -> String {
    format!("{}{bytes}", mark(source))
}

pub const fn mark(source: FootprintSource) -> &'static str {
    match source {
        FootprintSource::Estimated => "~",
        FootprintSource::Learned => "≈",
        FootprintSource::Measured | FootprintSource::Reported => "",
    }
}

/// The verdict in words, its numbers as on all pages.
pub fn words(fit: &Fit) -> Words<'_> {
    Words { fit, number: grouped }
}

/// Whether it is good news.
pub const fn role(verdict: FitVerdict) -> Role {
    match verdict {
        FitVerdict::Fits => Role::Good,
        FitVerdict::FitsAfterUnload | FitVerdict::FitsSmaller | FitVerdict::FitsAfterFreeing => {
            Role::Text
        }
        FitVerdict::Never => Role::Bad,
    }
}

/// The sum in one line: `weights 0.8 + kv 0.1 = ~1.4 GiB`.
fn sum_text(fit: &Fit) -> String {
    let parts: Vec<String> = fit
        .need
        .by_name()
        .into_iter()
        .map(|(name, bytes)| format!("{name} {}", short(bytes)))
        .collect();
    let rough = match fit.need.is_rough {
        true => format!(", {}", fit.need.source_text()),
        false => String::new(),
    };
    let sum = parts.join(" + ");
    let need = &fit.need;
    match &need.learned {
        Some(_) => format!(
            "{} {}; estimated {sum} = {}",
            marked(need.bytes(), need.source()),
            need.source_text(),
            need.parts()
        ),
        None if need.bytes() > need.parts() => {
            format!(
                "{sum} = {}, expected to hold {}",
                need.parts(),
                marked(need.bytes(), need.source())
            )
        }
        None => format!("{sum} = {}{rough}", marked(need.bytes(), need.source())),
    }
}

/// The figure, with its unit only where that is not GiB.
fn short(bytes: Bytes) -> String {
    match bytes {
        gibs if gibs >= Bytes::mib(103) => gibs.in_gib(),
        small => small.to_string(),
    }
}

/// What there is to give against what it takes.
fn budget_text(fit: &Fit, width: usize) -> String {
    let source = clean(&fit.budget.source);
    let margin = match fit.margin() {
        lacks if lacks.is_negative() => format!("lacks {}", lacks.magnitude()),
        spare => format!("{} to spare", spare.magnitude()),
    };
    let text = format!("of {} ({source}): {margin}", fit.budget.free());
    match usize::from(cells(&text)) <= width {
        true => text,
        // The whole verdict says where it comes from.
        false => format!("of {} that may be given: {margin}", fit.budget.free()),
    }
}

/// The verdict on a model in a few lines, the telling ones first.
pub fn summary(scene: &Scene<'_>, model: &ModelName, width: usize) -> Vec<Line> {
    let Some(fit) = scene.snapshot.fits.value.of(model) else {
        return in_lines(&why_unknown(scene, model), width, Role::Dim);
    };
    let mut lines = verdict_lines(fit, width);
    if !fit.is_loaded {
        lines.extend(in_lines(&sum_text(fit), width, Role::Text));
        lines.extend(in_lines(&budget_text(fit, width), width, Role::Dim));
    }
    let words = words(fit);
    let largest = if fit.is_loaded { String::new() } else { format!("; {}", words.largest()) };
    let settings = format!("{}{largest}", words.settings_and_source());
    lines.extend(in_lines(&settings, width, Role::Dim));
    if let Some(kind) = dialled_kv(scene, model) {
        lines.extend(in_lines(&kv_warning(kind), width, Role::Text));
    }
    lines
}

/// The verdict with what it would cross.
fn verdict_lines(fit: &Fit, width: usize) -> Vec<Line> {
    let words = words(fit);
    let crossing = words.crossing().map(|text| format!("; {text}")).unwrap_or_default();
    in_lines(&format!("{}{crossing}", words.verdict()), width, role(fit.verdict))
}

fn dialled_kv(scene: &Scene<'_>, model: &ModelName) -> Option<KvType> {
    scene.ui.dial.as_ref().filter(|dial| dial.model == *model)?.kv_type
}

/// Why there is no verdict.
fn why_unknown(scene: &Scene<'_>, model: &ModelName) -> String {
    let unknown = &scene.snapshot.fits.value.unknown;
    match unknown.iter().find(|(name, _)| name == model) {
        Some((_, reason)) if !reason.is_empty() => {
            format!("whether it fits is not known: {}", clean(reason))
        }
        Some(_) => "whether it fits is not known: its server has not told of it yet".to_owned(),
        None => "whether it fits is not known yet".to_owned(),
    }
}

fn in_lines(text: &str, width: usize, role: Role) -> Vec<Line> {
    wrap(text, width).into_iter().map(|line| vec![span(line, role)]).collect()
}

/// What a load's dialog says of room.
pub fn at_load(scene: &Scene<'_>, model: &ModelName, width: usize) -> Vec<Line> {
    let Some(fit) = scene.snapshot.fits.value.of(model) else {
        return in_lines(&why_unknown(scene, model), width, Role::Dim);
    };
    let mut lines = verdict_lines(fit, width);
    let need = marked(fit.need.bytes(), fit.need.source());
    let text = format!("{need} {}, {}", fit.need.source_text(), words(fit).settings());
    lines.extend(in_lines(&text, width, Role::Dim));
    if let Some(kind) = dialled_kv(scene, model) {
        lines.extend(in_lines(&kv_warning(kind), width, Role::Text));
    }
    lines
}

/// That it does not fit now, where that is known: said before all else.
pub fn refusal(scene: &Scene<'_>, model: &ModelName, width: usize) -> Vec<Line> {
    let fit = scene.snapshot.fits.value.of(model);
    let fit = fit.filter(|fit| fit.verdict != FitVerdict::Fits && !fit.is_loaded);
    fit.map_or_else(Vec::new, |fit| lacking(fit, width))
}

/// What is needed, what there is, what lacks.
pub fn lacking(fit: &Fit, width: usize) -> Vec<Line> {
    let text = format!(
        "does not fit now: needs {}, may have {}, lacks {}",
        marked(fit.need.bytes(), fit.need.source()),
        fit.budget.free(),
        fit.lacks()
    );
    in_lines(&text, width, Role::Bad)
}

/// The whole verdict, line by line.
pub fn whole(scene: &Scene<'_>, model: &ModelName, width: usize) -> Vec<Line> {
    let Some(fit) = scene.snapshot.fits.value.of(model) else {
        return in_lines(&why_unknown(scene, model), width, Role::Dim);
    };
    let names = if width < NARROW { SHORT_NAMES } else { NAMES };
    let mut whole = Whole { lines: verdict_lines(fit, width), width, names };
    whole.lines.push(Vec::new());
    whole.add("asked", &words(fit).settings_and_source());
    if let Some(kind) = dialled_kv(scene, model) {
        whole.add("", &kv_warning(kind));
    }
    whole.need(fit);
    match scene.snapshot.model(model).filter(|_| fit.is_loaded) {
        Some(view) => whole.held(view),
        None => {
            whole.budget(fit);
            whole.help(fit);
        }
    }
    whole.lines
}

struct Whole {
    lines: Vec<Line>,
    width: usize,
    /// Width of the names.
    names: u16,
}

impl Whole {
    fn add(&mut self, name: &str, value: &str) {
        let width = u16::try_from(self.width).unwrap_or(u16::MAX);
        for mut line in told(name, value, (self.names, width)) {
            line[0].1 = Role::Dim;
            self.lines.push(line);
        }
    }

    /// A line of a sum: name, figure at the point, words; below it where there
    /// is no room beside.
    fn figure(&mut self, (name, sign, bytes): (&str, char, Bytes), words: &str) {
        let gib = bytes.get() as f64 / (1_u64 << 30) as f64;
        let names = usize::from(self.names);
        let mut line: Vec<Span<'static>> = vec![
            span(format!("{name:<names$}"), Role::Dim),
            span(format!("{sign}{gib:>6.2}"), Role::Text),
            span(" GiB", Role::Dim),
        ];
        let used = if self.width < NARROW { 2 } else { names + 13 };
        let mut words = wrap(words, self.width.saturating_sub(used)).into_iter();
        if self.width >= NARROW {
            line.extend(words.next().map(|words| span(format!("  {words}"), Role::Dim)));
        }
        self.lines.push(line);
        for words in words {
            self.lines.push(vec![span(format!("{:used$}{words}", ""), Role::Dim)]);
        }
    }

    fn need(&mut self, fit: &Fit) {
        let need = &fit.need;
        self.heading("it needs");
        let weights = match (fit.settings.mapped, need.is_rough) {
            (_, true) => "from its labels only: rough",
            (true, false) => "mapped from their file",
            (false, false) => "read into memory",
        };
        let cache = format!("{}, of all slots", fit.settings.kv_type);
        for (name, bytes) in need.by_name() {
            let words = match name {
                "weights" => weights,
                "kv" => &cache,
                "state" => "of its recurrent layers",
                "compute" => "buffers of the work itself",
                "vision" => "projector and its buffers",
                _ => "its program, libraries and heap",
            };
            self.figure((name, ' ', bytes), words);
        }
        self.figure(("sum", '~', need.parts()), "estimated from its metadata");
        if !need.reported.is_zero() {
            self.figure(("reported", '~', need.reported), "what its server is expected to report");
        }
        if !need.measured.is_zero() {
            self.figure(("measured", '~', need.measured), "what its process is expected to hold");
        }
        if let Some(learned) = &need.learned {
            let words = format!("{}: {}", need.source_text(), learned.text());
            self.figure(("learned", '≈', need.bytes()), &words);
        }
    }

    fn held(&mut self, model: &ModelView) {
        self.heading("it holds");
        if let Some((bytes, source)) = model.measured {
            self.figure(("measured", ' ', bytes), &format!("{source} of its runner"));
        }
        if let Some(bytes) = model.reported {
            self.figure(("reported", ' ', bytes), "by its server");
        }
    }

    fn budget(&mut self, fit: &Fit) {
        let budget = &fit.budget;
        self.heading("it may have");
        self.figure(("available", ' ', budget.available), "to be had now");
        self.figure(("reserve", '-', budget.reserve), &clean(&budget.source));
        if !budget.in_flight.is_zero() {
            self.figure(("in flight", '-', budget.in_flight), "promised to loads under way");
        }
        self.figure(("counted", '-', fit.need.bytes()), "what it needs, by the best figure");
        let margin = fit.margin();
        let (sign, words) = if margin.is_negative() { ('-', "lacking") } else { ('+', "to spare") };
        self.figure(("margin", sign, margin.magnitude()), words);
        if !budget.vram.is_zero() {
            self.add("on cards", &format!("{} of what may be given lies there", budget.vram));
        }
    }

    fn help(&mut self, fit: &Fit) {
        self.heading("what would help");
        let before = self.lines.len();
        if !fit.unload.is_empty() {
            self.add("unload", &listed(&fit.unload, usize::MAX));
        }
        if let Some(smaller) = fit.smaller {
            self.add("or smaller", &words(fit).smaller(&smaller));
        }
        if let Some(saved) = fit.q8_0_saves {
            self.add("kv q8_0", &format!("would save {saved}, where the server is set to it"));
        }
        if !fit.programs.is_empty() {
            self.add("programs", &listed(&fit.programs, PROGRAMS));
        }
        if self.lines.len() == before {
            let text = match fit.verdict {
                FitVerdict::Fits => "nothing has to go",
                _ => "nothing that plimsoll knows of",
            };
            self.add("", text);
        }
        self.add("context", &words(fit).largest());
    }

    fn heading(&mut self, text: &'static str) {
        self.lines.push(Vec::new());
        self.lines.push(vec![span(text, Role::Header)]);
    }
}
