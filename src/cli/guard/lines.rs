//! How a line of the log reads: for people, for a journal that knows the time
//! itself, or as JSON.

use serde::Serialize;

use crate::cli::document::Document;
use crate::cli::status::json::EventStatus;
use crate::domain::plan::Verdict;
use crate::domain::{Event, EventBody, EventKind, Level, Wall};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// How much a line matters, as syslog counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Emergency = 2,
    Critical = 3,
    Warning = 4,
    Notice = 5,
    Plain = 6,
}

impl Weight {
    pub fn of(body: &EventBody) -> Weight {
        match body {
            EventBody::LevelChanged { to, .. } => Weight::of_level(*to),
            EventBody::OomKill { .. } => Weight::Critical,
            EventBody::RuntimeDown { .. } | EventBody::HookRan { result: Err(_), .. } => {
                Weight::Warning
            }
            EventBody::ActionEnded { outcome, .. } => match outcome.result {
                Verdict::Failed { .. } | Verdict::Stuck => Weight::Warning,
                _ => Weight::Notice,
            },
            EventBody::ActionStarted { .. } | EventBody::Proposed { .. } => Weight::Notice,
            _ => Weight::Plain,
        }
    }

    fn of_level(level: Level) -> Weight {
        match level {
            Level::Normal => Weight::Notice,
            Level::Warning => Weight::Warning,
            Level::Critical => Weight::Critical,
            Level::Emergency => Weight::Emergency,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// With the time, in UTC.
    Text,
    /// The journal has a time and a place for the weight.
    Journal,
    Json,
}

/// An event, or a line that is none in the shape of one: that is in no history
/// and has no number.
#[derive(Serialize)]
struct LineJson<'a> {
    schema_version: u32,
    seq: Option<u64>,
    time: Option<Wall>,
    kind: EventKind,
    text: &'a str,
}

impl<'a> LineJson<'a> {
    fn own(time: Option<Wall>, text: &'a str) -> Self {
        let schema_version = Document::GuardLine.version();
        LineJson { schema_version, seq: None, time, kind: EventKind::Note, text }
    }
}

impl Lines {
    pub fn event(self, event: &Event) -> String {
        match self {
            Lines::Json => {
                let EventStatus { seq, time, kind, text, .. } = EventStatus::of(event);
                let (seq, time) = (Some(seq), Some(time));
                json(&LineJson { seq, kind, ..LineJson::own(time, &text) })
            }
            Lines::Text | Lines::Journal => {
                let text = format!("{} {}", event.body.title(), event.body.text());
                self.told(Weight::of(&event.body), event.time, &text)
            }
        }
    }

    /// What the guard says of itself.
    pub fn own(self, weight: Weight, time: Wall, text: &str) -> String {
        match self {
            Lines::Json => json(&LineJson::own(Some(time), text)),
            Lines::Text | Lines::Journal => self.told(weight, time, text),
        }
    }

    fn told(self, weight: Weight, time: Wall, text: &str) -> String {
        // One event is one line, whatever a command has said.
        let text = text.replace(char::is_control, " ");
        match self {
            Lines::Journal => format!("<{}>{text}", weight as u8),
            _ => format!("{} {text}", time.strftime("%Y-%m-%dT%H:%M:%SZ")),
        }
    }

    /// Makes the line that stands for so many that were lost.
    pub fn gap(self) -> fn(u64) -> String {
        match self {
            Lines::Json => |lines| {
                let text = gap(lines);
                json(&LineJson::own(None, &text))
            },
            Lines::Journal => |lines| format!("<4>{}", gap(lines)),
            Lines::Text => gap,
        }
    }
}

fn gap(lines: u64) -> String {
    match lines {
        1 => "1 line is missing here".to_owned(),
        _ => format!("{lines} lines are missing here"),
    }
}

/// Numbers, times and texts only: nothing in it can fail.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::level::{Cause, SignalKind};

    fn warning() -> Event {
        let cause = Cause { signal: SignalKind::Memory, text: "memory 81 %".into() };
        Event {
            seq: 7,
            time: "2026-11-20T23:45:01.734Z".parse().unwrap(),
            body: EventBody::LevelChanged {
                from: Level::Normal,
                to: Level::Warning,
                cause: Some(cause),
                lasted_ms: 180_000,
            },
        }
    }

    #[test]
    fn an_event_is_one_line_in_each_form() {
        let event = warning();
        assert_eq!(
            Lines::Text.event(&event),
            "2026-11-20T23:45:01Z warning memory 81 % (was normal for 3 min)"
        );
        assert_eq!(Lines::Journal.event(&event), "<4>warning memory 81 % (was normal for 3 min)");
        let json: serde_json::Value = serde_json::from_str(&Lines::Json.event(&event)).unwrap();
        let wanted = serde_json::json!({"schema_version": 1, "seq": 7, "time": "2026-11-20T23:45:01.734Z",
            "kind": "level", "text": "warning: memory 81 % (was normal for 3 min)"});
        assert_eq!(json, wanted);
    }

    #[test]
    fn a_text_with_line_ends_stays_one_line() {
        let note = EventBody::Note { text: "a\nb\u{1b}[31mc".into() };
        let event = Event { body: note, ..warning() };
        for lines in [Lines::Text, Lines::Journal, Lines::Json] {
            let line = lines.event(&event);
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn a_gap_is_told_in_the_form_of_the_log() {
        assert_eq!(Lines::Text.gap()(2), "2 lines are missing here");
        assert_eq!(Lines::Journal.gap()(1), "<4>1 line is missing here");
        let json: serde_json::Value = serde_json::from_str(&Lines::Json.gap()(3)).unwrap();
        assert_eq!(json["text"], "3 lines are missing here");
    }

    #[test]
    fn a_level_has_the_weight_of_its_name() {
        let weight = |to| match warning().body {
            EventBody::LevelChanged { from, cause, lasted_ms, .. } => {
                Weight::of(&EventBody::LevelChanged { from, to, cause, lasted_ms }) as u8
            }
            _ => 0,
        };
        assert_eq!(Level::ALL.map(weight), [5, 4, 3, 2]);
    }
}
