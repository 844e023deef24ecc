//! Figures as they stand on screen: aligned at the point, unit apart, unknown
//! as a dash.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::bytes::{Bytes, BytesDelta};
use crate::domain::component::Priority;
use crate::domain::forecast::Course;
use crate::domain::model::{Activity, Expiry, ModelState, ModelView};
use crate::domain::time::{Moment, Span, Wall};

/// What is not known.
pub const UNKNOWN: &str = "—";

/// A size for a column: figure and unit, both of fixed width, so that points
/// and units stand below each other.
pub fn aligned(bytes: Option<Bytes>) -> (String, &'static str) {
    let Some(bytes) = bytes else { return (format!("{UNKNOWN}  "), "    ") };
    let (figure, unit) = match bytes {
        // From a tenth of a GiB on all are GiB: a column of one unit reads best.
        tenths if tenths >= Bytes::mib(103) && tenths < Bytes::gib(1) => (tenths.in_gib(), "GiB"),
        other => other.figure_and_unit(),
    };
    let figure = if figure.contains('.') { figure } else { format!("{figure}  ") };
    (figure, padded_unit(unit))
}

/// As [`aligned`], with its sign.
pub fn aligned_delta(delta: Option<BytesDelta>) -> (String, &'static str) {
    let Some(delta) = delta else { return (format!("{UNKNOWN}  "), "    ") };
    let (figure, unit) = aligned(Some(delta.magnitude()));
    (format!("{}{figure}", if delta.is_negative() { '-' } else { '+' }), unit)
}

fn padded_unit(unit: &'static str) -> &'static str {
    match unit {
        "TiB" => " TiB",
        "GiB" => " GiB",
        "MiB" => " MiB",
        "KiB" => " KiB",
        _ => " B  ",
    }
}

/// A size in running text.
pub fn or_unknown(bytes: Option<Bytes>) -> String {
    bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| bytes.to_string())
}

/// `12.2 of 15.6 GiB`: the unit once where both share it.
pub fn share(part: Bytes, whole: Bytes) -> String {
    let (figure, unit) = part.figure_and_unit();
    match whole.figure_and_unit() {
        (whole, same) if same == unit || part.is_zero() => format!("{figure} of {whole} {same}"),
        (whole, other) => format!("{figure} {unit} of {whole} {other}"),
    }
}

/// A rate rounded to its two leading digits.
pub fn two_digits(rate: f64) -> u64 {
    let step = 10_f64.powf((rate.max(1.0).log10().floor() - 1.0).max(0.0));
    ((rate / step).round() * step) as u64
}

/// `131,072`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// When a model leaves by itself: `in 50 s`, `never`.
pub fn leaves(model: &ModelView, now: Wall) -> String {
    match model.expires {
        None => UNKNOWN.to_owned(),
        Some(Expiry::Never) => "never".to_owned(),
        Some(Expiry::At(at)) => match Duration::try_from(at.duration_since(now)) {
            Ok(left) if !left.is_zero() => format!("in {}", Span(left)),
            _ => "now".to_owned(),
        },
    }
}

/// What a model is doing, in words: `busy`, `idle ≥ 4 min`, `remote, stuck 20 s`.
pub fn doing(model: &ModelView, now: Moment) -> String {
    let here = doing_here(model, now);
    if model.is_remote { format!("remote, {here}") } else { here }
}

fn doing_here(model: &ModelView, now: Moment) -> String {
    let since = |since: Moment| Span(now.since(since));
    match (&model.state, model.activity) {
        (ModelState::Ready, Activity::Busy) => "busy".to_owned(),
        (ModelState::Ready, Activity::Unknown) => match idle(model, now) {
            Some(idle) => format!("idle {idle}"),
            None => "ready".to_owned(),
        },
        (ModelState::Ready, Activity::Idle) => match idle(model, now) {
            Some(idle) => format!("idle {idle}"),
            None => "idle".to_owned(),
        },
        (ModelState::Loading { since: at }, _) => format!("loading {}", since(*at)),
        (ModelState::Unloading { still_generating: true, .. }, _) => "asked, still busy".to_owned(),
        (ModelState::Unloading { since: at, .. }, _) => format!("unloading {}", since(*at)),
        (ModelState::Stuck { since: at }, _) => format!("stuck {}", since(*at)),
        (ModelState::Unconfirmed { .. }, _) => "unconfirmed".to_owned(),
        (ModelState::Gone { since: at }, _) => format!("runner died {} ago", since(*at)),
    }
}

fn idle(model: &ModelView, now: Moment) -> Option<String> {
    let idle = model.idle?;
    let since = now.since(idle.since);
    // At least less than something says nothing.
    if idle.at_least && since.as_secs() < 10 {
        return None;
    }
    let span = Span(since);
    Some(if idle.at_least { format!("≥ {span}") } else { span.to_string() })
}

/// The one word there is room for at forty columns.
pub fn doing_shortly(model: &ModelView, now: Moment) -> String {
    match (&model.state, model.activity, model.expires) {
        (ModelState::Ready, Activity::Busy, _) => "busy".to_owned(),
        (ModelState::Ready, _, Some(Expiry::At(_))) => leaves(model, now.wall),
        (ModelState::Ready, ..) => "stays".to_owned(),
        (ModelState::Gone { .. }, ..) => "died".to_owned(),
        (ModelState::Unconfirmed { .. }, ..) => "unsure".to_owned(),
        (state, ..) => state.word().to_owned(),
    }
}

/// What it runs on: `GPU`, `CPU`, `62 % GPU`, `cloud`.
pub fn place(model: &ModelView) -> String {
    if model.is_cloud {
        return "cloud".to_owned();
    }
    match model.gpu_share() {
        None => UNKNOWN.to_owned(),
        Some(share) if share.get() >= 99.5 => "GPU".to_owned(),
        Some(share) if share.get() < 0.5 => "CPU".to_owned(),
        Some(share) => format!("{:.0} % GPU", share.get()),
    }
}

/// `grows 12 MiB/min`, `plateau`
pub fn course(course: Course) -> String {
    match course {
        Course::Grows { rate: growth } => format!("grows {}/min", rate(growth * 60.0)),
        Course::Plateau => "plateau".to_owned(),
    }
}

/// A priority and whether a pin is over it.
pub fn priority(priority: Priority, pinned: bool) -> String {
    if pinned { format!("{priority} ◈ pin") } else { priority.to_string() }
}

/// Local time of day; the day instead where it is another one.
pub fn time_of_day(at: Wall, now: Wall, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if at.date() == now.date() { "%H:%M:%S" } else { "%e %b  " };
    at.strftime(format).to_string()
}

/// Local hour and minute; the day instead where it is another one.
pub fn hour_and_minute(at: Wall, now: Wall, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if at.date() == now.date() { "%H:%M" } else { "%-d %b" };
    at.strftime(format).to_string()
}

/// Local day and time.
pub fn day_and_time(at: Wall, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Bytes a second, as a size.
pub fn rate(bytes_per_second: f64) -> Bytes {
    Bytes::new(bytes_per_second.abs().min(u64::MAX as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_units_stand_below_each_other() {
        let column: Vec<String> = [
            Some(Bytes::mib(3174)),
            Some(Bytes::mib(270)),
            Some(Bytes::gib(120)),
            Some(Bytes::new(12)),
            None,
        ]
        .into_iter()
        .map(|bytes| {
            let (figure, unit) = aligned(bytes);
            format!("{:>9}", format!("{figure}{unit}"))
        })
        .collect();
        assert_eq!(column, ["  3.1 GiB", "  0.3 GiB", "120   GiB", " 12   B  ", "  —      "]);
    }

    #[test]
    fn a_share_names_the_unit_once() {
        assert_eq!(share(Bytes::mib(1229), Bytes::gib(4)), "1.2 of 4.0 GiB");
        assert_eq!(share(Bytes::mib(12), Bytes::gib(4)), "12 MiB of 4.0 GiB");
        assert_eq!(share(Bytes::ZERO, Bytes::gib(4)), "0 of 4.0 GiB");
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(
            [7, 4096, 131_072, 1_000_000].map(grouped),
            ["7", "4,096", "131,072", "1,000,000"]
        );
    }
}
