//! The words of the program as types. Everything else speaks in these.
//!
//! Nothing here does I/O, reads a clock or knows a platform: the same types
//! describe a live machine, a recording and a demo, and cross process borders.

pub mod bytes;
pub mod component;
pub mod event;
pub mod fault;
pub mod finding;
pub mod fit;
pub mod forecast;
pub mod group;
pub mod guard;
pub mod hints;
pub mod history;
pub mod level;
pub mod model;
pub mod parameters;
pub mod past;
pub mod pattern;
pub mod plan;
pub mod process;
pub mod rule;
pub mod sample;
pub mod setting;
pub mod shape;
pub mod shell;
pub mod snapshot;
pub mod survey;
pub mod target;
pub mod tensors;
pub mod text;
pub mod time;

pub use bytes::{Bytes, BytesDelta, Percent};
pub use component::{Component, ComponentKind, Footprint, FootprintSource, Priority};
pub use event::{Event, EventBody, EventKind};
pub use fault::{FaultKind, RuntimeFault, RuntimeFaultKind, SensorFault};
pub use finding::{Check, Finding, Severity};
pub use fit::{Budget, Fit, FitQuestion, FitVerdict, Fits, LoadSettings, Need};
pub use forecast::{Course, Forecast, ForecastOutcome, ForecastRecord, LoadKey, LoadObserved};
pub use group::{Group, GroupKind};
pub use guard::{PolicyView, Proposal, Why};
pub use hints::{HintValue, HintValues, Hints, InForce};
pub use level::{Cause, Level, LevelState, SignalKind};
pub use model::{
    Activity, Expiry, InstalledModel, LoadedModel, ModelDetails, ModelName, ModelState, ModelView,
};
pub use plan::{Action, ActionId, Outcome, Plan, Step, Strength};
pub use process::{BlobDigest, MAPPED_WEIGHTS, Process, ProcessKey, ProcessRole, RunnerArguments};
pub use rule::{Debt, Deed, Measure, Named, NamedBy, RuleMode, Target};
pub use sample::{Reading, Sample};
pub use setting::{DiffLine, SettingChange, SettingDifference, SettingDoor};
pub use shape::{KvType, Shape};
pub use snapshot::Snapshot;
pub use survey::Survey;
pub use target::{Amount, TargetKind, TargetOutcome, TargetView};
pub use time::{Moment, Monotonic, Wall};
