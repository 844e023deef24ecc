//! A time as it is typed: so long ago, or a date; and a span of time. Read here
//! and nowhere else.

use std::time::Duration;

use crate::config::value::span_from_text;
use crate::domain::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Ago(Duration),
    At(Wall),
}

impl When {
    pub fn time(self, now: Wall) -> Wall {
        match self {
            When::At(time) => time,
            When::Ago(span) => now.checked_sub(span).unwrap_or(Wall::MIN),
        }
    }
}

/// For flags.
pub fn when(text: &str) -> Result<When, &'static str> {
    let time = || {
        // Without a zone it is meant as times are printed: in UTC.
        let plain = || text.parse::<jiff::civil::DateTime>().ok();
        let utc = || plain()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        text.parse().ok().or_else(|| utc().map(|time| time.timestamp()))
    };
    span_from_text(text)
        .map(When::Ago)
        .or_else(|| time().map(When::At))
        .ok_or("neither a span nor a time; accepted are 30m, 2d, 2026-01-15, 2026-01-15T14:00Z")
}

/// For flags: a span that may be nothing.
pub fn span(text: &str) -> Result<Duration, &'static str> {
    span_from_text(text).ok_or("not a span of time; accepted are 500ms, 30s, 10m")
}

/// For flags: a span in which something can happen.
pub fn some_span(text: &str) -> Result<Duration, &'static str> {
    let some = span(text).ok().filter(|span| !span.is_zero());
    some.ok_or("not a span of time; accepted are 30s, 10m, 2h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_span_a_date_or_a_moment() {
        let at = |text: &str| Ok(When::At(text.parse().unwrap()));
        assert_eq!(when("90s"), Ok(When::Ago(Duration::from_secs(90))));
        assert_eq!(when("2026-01-15"), at("2026-01-15T00:00:00Z"));
        assert_eq!(when("2026-01-15T14:02"), at("2026-01-15T14:02:00Z"));
        assert_eq!(when("2026-01-15T14:02:11+01:00"), at("2026-01-15T13:02:11Z"));
        assert!(when("yesterday").is_err() && when("").is_err());
    }
}
