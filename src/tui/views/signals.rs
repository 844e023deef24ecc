//! The signals beside the load line: swap, pressure, GPU, budget, server.
//! Each row says what its figure is, or why there is none.

use ratatui::layout::Rect;

use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::{MacPressure, Pressure, Sample, Swap};
use crate::domain::snapshot::{RuntimeState, RuntimeView, Snapshot};
use crate::domain::time::Span as TimeSpan;
use crate::tui::theme::Role;
use crate::tui::views::runtimes;
use crate::tui::widgets::canvas::{Canvas, Pen, span};
use crate::tui::widgets::figures::{UNKNOWN, grouped, rate, share, two_digits};
use crate::tui::widgets::meter;

/// Width of the names at the left.
const NAMES: u16 = 10;

/// Swap that changes slower than this stands still, as far as a person cares.
const STEADY: f64 = 256.0 * 1024.0;

/// Width of a small bar.
const BAR: u16 = 10;

/// Draws as many rows as there is room for, the telling ones first.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, snapshot: &Snapshot) {
    let Some(sample) = snapshot.sample.as_deref() else {
        canvas.text(area, "waiting for the first sample", Role::Dim);
        return;
    };
    let mut rows = Rows { canvas, area, end: area.x };
    swap_row(&mut rows, sample, snapshot);
    pressure_row(&mut rows, sample, snapshot);
    // Among the first three, all that eighty columns have room for, where it is
    // news; else what the machine has goes before what the server is.
    let is_news = snapshot.runtimes.iter().any(|runtime| runtime.state != RuntimeState::Up);
    let is_early = is_news || area.height > 3;
    if is_early {
        server_rows(&mut rows, snapshot);
    }
    gpu_rows(&mut rows, sample);
    if let Some(budget) = snapshot.model_budget {
        let held = snapshot.models_held();
        rows.next("budget", |pen| {
            pen.whole(&[
                span(format!("models {}", share(held, budget)), Role::Text),
                span(if held > budget { "  over" } else { "" }, Role::Bad),
            ]);
        });
        rows.bar(held, budget);
    }
    if !is_early {
        server_rows(&mut rows, snapshot);
    }
    limit_rows(&mut rows, sample);
    available_row(&mut rows, sample);
    faults_row(&mut rows, snapshot);
}

fn server_rows(rows: &mut Rows<'_, '_>, snapshot: &Snapshot) {
    for runtime in &snapshot.runtimes {
        rows.next(&runtime.kind, |pen| runtime_row(pen, runtime, snapshot));
    }
    if snapshot.runtimes.is_empty() {
        rows.next("ollama", |pen| {
            pen.put(UNKNOWN, Role::Dim);
        });
    }
}

/// What programs can still get, and how much of it is cache to be given back.
fn available_row(rows: &mut Rows<'_, '_>, sample: &Sample) {
    let Ok(memory) = &sample.memory else { return };
    rows.next("available", |pen| {
        pen.put(&memory.available.to_string(), Role::Text);
        let cache = memory.reclaimable();
        pen.whole(&[span(format!("  {cache} of it cache"), Role::Dim)]);
    });
}

/// Pages read back from disk: what thrashing is made of.
fn faults_row(rows: &mut Rows<'_, '_>, snapshot: &Snapshot) {
    let rates = &snapshot.rates;
    if rates.major_faults.is_none() && rates.refaults_file.is_none() {
        return;
    }
    rows.next("re-read", |pen| {
        for (index, (rate, word)) in
            [(rates.major_faults, "faults"), (rates.refaults_file, "refaults")].iter().enumerate()
        {
            let figure = rate.map_or_else(|| UNKNOWN.to_owned(), per_second);
            let gap = if index == 0 { "" } else { "  " };
            let role = if rate.is_some_and(|rate| rate >= 1.0) { Role::Text } else { Role::Dim };
            pen.whole(&[span(format!("{gap}{figure}"), role), span(format!(" {word}"), Role::Dim)]);
        }
    });
}

/// A rate in steps that a reader can tell apart: an idle row stands still.
fn per_second(rate: f64) -> String {
    match rate {
        rate if rate < 1.0 => "no".to_owned(),
        rate if rate < 10.0 => "<10/s".to_owned(),
        rate => format!("{}/s", grouped(two_digits(rate))),
    }
}

/// Rows from the top, as long as there is room.
struct Rows<'c, 'a> {
    canvas: &'c mut Canvas<'a>,
    area: Rect,
    /// Where the text of the last row ended.
    end: u16,
}

impl<'a> Rows<'_, 'a> {
    fn next(&mut self, name: &str, write: impl FnOnce(&mut Pen<'_, 'a>)) {
        if self.area.height == 0 {
            self.end = u16::MAX - 2;
            return;
        }
        let row = Rect { height: 1, ..self.area };
        self.canvas.text(Rect { width: NAMES - 1, ..row }, name, Role::Dim);
        let mut pen = self.canvas.pen(row);
        pen.skip_to(row.x + NAMES);
        write(&mut pen);
        self.end = pen.x;
        self.area.y += 1;
        self.area.height -= 1;
    }

    /// The right end of the row just written, if its words left room there.
    fn beside(&self) -> Option<Rect> {
        let x = self.area.right().checked_sub(BAR + 2)?;
        (x >= self.end + 2).then(|| Rect::new(x, self.area.y - 1, BAR, 1))
    }

    fn bar(&mut self, part: Bytes, whole: Bytes) {
        if let (Some(part), Some(area)) = (part.share_of(whole), self.beside()) {
            meter::draw_bar(self.canvas, area, part);
        }
    }

    fn fault(&mut self, name: &str, fault: &SensorFault) {
        self.next(name, |pen| {
            let text = match fault.kind {
                // `no swap` is the whole story.
                FaultKind::Absent if fault.detail == format!("no {name}") => "none".to_owned(),
                FaultKind::Absent => format!("none: {fault}"),
                _ => format!("unavailable: {fault}"),
            };
            pen.all(&[span(text, Role::Dim)]);
        });
    }
}

fn swap_row(rows: &mut Rows<'_, '_>, sample: &Sample, snapshot: &Snapshot) {
    let swap = match &sample.swap {
        Ok(swap) => swap,
        Err(fault) => return rows.fault("swap", fault),
    };
    if swap.total.is_zero() && swap.used.is_zero() {
        return rows.next("swap", |pen| {
            pen.put("none", Role::Dim);
        });
    }
    rows.next("swap", |pen| {
        pen.put(&share(swap.used, swap.total), Role::Text);
        let grows = snapshot.rates.swap_growth.is_some_and(|growth| growth >= STEADY);
        let role = if grows { Role::Text } else { Role::Dim };
        // That it grows is said even where there is no room for how fast.
        if !pen.whole(&[span("  ", role), span(growth(snapshot), role)]) && grows {
            pen.whole(&[span(" ↑ growing", role)]);
        }
    });
    rows.bar(swap.used, swap.total);
}

/// `growing 14 MiB/s`
fn growth(snapshot: &Snapshot) -> String {
    match snapshot.rates.swap_growth {
        None => format!("growth {UNKNOWN}"),
        Some(growth) if growth >= STEADY => format!("growing {}/s ↑", rate(growth)),
        Some(growth) if growth <= -STEADY => format!("shrinking {}/s ↓", rate(growth)),
        Some(_) => "steady".to_owned(),
    }
}

fn pressure_row(rows: &mut Rows<'_, '_>, sample: &Sample, snapshot: &Snapshot) {
    match &sample.pressure {
        Err(fault) => rows.fault("pressure", fault),
        Ok(Pressure::Mac { level }) => rows.next("pressure", |pen| {
            pen.put(level.word(), Role::Text);
            pen.put("  as the kernel says", Role::Dim);
        }),
        Ok(Pressure::Psi { some, full }) => {
            let full =
                full.map_or_else(|| UNKNOWN.to_owned(), |full| format!("{:.1} %", full.avg10));
            let text = [
                span("some ", Role::Dim),
                span(format!("{:.1} %", some.avg10), Role::Text),
                span("  full ", Role::Dim),
                span(full, Role::Text),
            ];
            rows.next("pressure", |pen| {
                pen.whole(&text);
            });
            if let Some(area) = rows.beside() {
                // 40 % is critical in every profile: the top of the sparkline.
                meter::draw_sparkline(rows.canvas, area, &stalled(snapshot), 40.0);
            }
        }
    }
}

/// The highest stall of each of the last ten half minutes, oldest first.
fn stalled(snapshot: &Snapshot) -> Vec<f64> {
    const SLOT: u64 = 30_000;
    let newest = snapshot.at.mono.millis() / SLOT;
    let mut slots = vec![0.0_f64; usize::from(BAR)];
    for point in snapshot.history.points().rev() {
        let back = newest.saturating_sub(point.at.mono.millis() / SLOT);
        let Some(index) =
            (slots.len() - 1).checked_sub(usize::try_from(back).unwrap_or(usize::MAX))
        else {
            break;
        };
        slots[index] = slots[index].max(point.stalled.unwrap_or_default());
    }
    slots
}

fn gpu_rows(rows: &mut Rows<'_, '_>, sample: &Sample) {
    let gpus = match &sample.gpus {
        Ok(gpus) => gpus,
        // A machine without one needs no line to say so.
        Err(fault) if fault.kind == FaultKind::Absent => return,
        Err(fault) => return rows.fault("gpu", fault),
    };
    for gpu in gpus {
        let figure = match (gpu.used, gpu.unified) {
            (Some(used), true) => format!("working set {}", share(used, gpu.total)),
            (Some(used), false) => share(used, gpu.total),
            (None, _) => format!("{UNKNOWN} of {}", gpu.total),
        };
        rows.next("gpu", |pen| {
            pen.put(&figure, Role::Text);
            pen.whole(&[span("  ", Role::Dim), span(gpu.name.as_str(), Role::Dim)]);
        });
    }
}

fn runtime_row(pen: &mut Pen<'_, '_>, runtime: &RuntimeView, snapshot: &Snapshot) {
    let span_of = TimeSpan(snapshot.at.since(runtime.since));
    let loaded = snapshot.models.len();
    let version = runtime.version.as_deref().unwrap_or(UNKNOWN);
    match &runtime.state {
        RuntimeState::Unknown => {
            pen.put("not asked yet", Role::Dim);
        }
        RuntimeState::Down { fault } => {
            pen.put(&format!("down since {span_of}"), Role::Bad);
            pen.all(&[span(format!(": {fault}"), Role::Dim)]);
        }
        state @ (RuntimeState::Up | RuntimeState::Slow) => {
            pen.put(version, Role::Text);
            pen.put(&format!(" · {} {span_of}", state.word()), Role::Dim);
            pen.put(&format!(" · {loaded} loaded"), Role::Dim);
            if let Some(word) = runtimes::place_word(runtime) {
                pen.put(&format!(" · {word}"), Role::Accent);
            }
        }
    }
}

/// What only some machines have, last.
fn limit_rows(rows: &mut Rows<'_, '_>, sample: &Sample) {
    if let Ok(limit) = &sample.limit {
        rows.next("limit", |pen| {
            pen.put(&share(limit.used, limit.limit), Role::Text);
            pen.whole(&[span("  ", Role::Dim), span(limit.source.as_str(), Role::Dim)]);
        });
    }
    if let Ok(zram) = &sample.zram {
        rows.next("zram", |pen| {
            pen.put(&format!("{} kept in {}", zram.stored, zram.taken), Role::Text);
        });
    }
}

/// Swap and pressure in a few words, for forty columns; what presses first.
pub fn shortly(snapshot: &Snapshot) -> Vec<String> {
    let Some(sample) = snapshot.sample.as_deref() else { return Vec::new() };
    let swap = match &sample.swap {
        Ok(Swap { total, .. }) if total.is_zero() => "no swap".to_owned(),
        Ok(swap) => match snapshot.rates.swap_growth {
            Some(growth) if growth >= STEADY => "swap ↑".to_owned(),
            _ => format!("swap {}", swap.used),
        },
        Err(fault) if fault.kind == FaultKind::Absent => "no swap".to_owned(),
        Err(_) => format!("swap {UNKNOWN}"),
    };
    let (pressure, presses) = match &sample.pressure {
        Ok(Pressure::Psi { some, .. }) => (format!("some {:.1} %", some.avg10), some.avg10 >= 1.0),
        Ok(Pressure::Mac { level }) => {
            (format!("pressure {}", level.word()), *level != MacPressure::Normal)
        }
        Err(_) => (format!("some {UNKNOWN}"), false),
    };
    if presses { vec![pressure, swap] } else { vec![swap, pressure] }
}
