//! A machine and its Ollama that do not exist: the world of the demo.
//!
//! It is a function of time and commands. Time comes only from the moments it
//! is given and passes in fixed ticks, so how often it is looked at changes
//! nothing, and the same commands at the same moments give the same world.

mod chance;
mod machine;
mod models;
mod recipes;
mod shapes;
mod story;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::bytes::Bytes;
use crate::domain::fault::RuntimeFault;
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::plan::Keep;
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::{Moment, Monotonic, Wall};

use machine::Machine;
use models::Models;
use story::{Scene, Story};

/// One step of the world, short against everything that happens in it.
const TICK: Duration = Duration::from_millis(100);

/// A machine that slept longer than this wakes as if it had slept this long;
/// playing every tick of a week would take seconds.
const LONGEST_SLEEP: Duration = Duration::from_secs(6 * 3600);

/// The version the simulated Ollama says it has.
pub const OLLAMA_VERSION: &str = "0.33.0";

/// Where the simulated Ollama would listen.
pub const URL: &str = "http://127.0.0.1:11434";

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Four minutes, again and again: use climbs to warning, an hour's worth
    /// of trouble passes through critical, and it all calms down.
    Story,
    /// Nothing but what is commanded.
    Calm,
}

/// The simulated machine.
#[derive(Debug)]
pub struct World {
    start: Moment,
    /// Ticks since the start.
    ticks: u64,
    /// Time slept beyond [`LONGEST_SLEEP`], left out of the count.
    skipped: Duration,
    machine: Machine,
    models: Models,
    story: Option<Story>,
}

impl World {
    /// Two models loaded, the rest installed, a browser and an editor open.
    pub fn new(scenario: Scenario, start: Moment) -> World {
        let story = (scenario == Scenario::Story).then(Story::default);
        World {
            start,
            ticks: 0,
            skipped: Duration::ZERO,
            machine: Machine::new(),
            models: Models::new(start.wall),
            story,
        }
    }

    /// Lets time pass. A moment before the last one changes nothing.
    pub fn advance_to(&mut self, mono: Monotonic) {
        let elapsed = mono.since(self.start.mono).saturating_sub(self.skipped);
        let ahead = elapsed.saturating_sub(self.elapsed());
        let skipped = ahead.saturating_sub(LONGEST_SLEEP);
        self.skipped += skipped;
        for _ in 0..((ahead - skipped).as_millis() / TICK.as_millis()) {
            self.tick();
        }
    }

    /// What sensors see at `now`, after letting time pass up to it.
    pub fn sample(&mut self, now: Moment) -> Sample {
        self.advance_to(now.mono);
        self.machine.sample(&self.models, now)
    }

    pub fn host(&self) -> Host {
        Host {
            name: "demo".to_owned(),
            system: "Linux (simulated)".to_owned(),
            kernel: "6.12.0".to_owned(),
        }
    }

    /// As `/api/ps` lists them: what is left longest first.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.models.loaded()
    }

    pub fn installed(&self) -> Vec<InstalledModel> {
        self.models.installed()
    }

    pub fn details(&self, name: &ModelName) -> Result<ModelDetails, RuntimeFault> {
        self.models.details(name)
    }

    /// Asks; a busy one goes when it is through. One that is not loaded, or
    /// still loading, is left as it is.
    pub fn unload(&mut self, name: &ModelName) -> Result<(), RuntimeFault> {
        self.models.unload(name, self.wall())
    }

    /// Begins to load, or changes how long a loaded one stays. Room is made as
    /// a server makes it: idle ones go, those that would leave first.
    pub fn load(
        &mut self,
        name: &ModelName,
        keep: Keep,
        context: Option<u64>,
    ) -> Result<(), RuntimeFault> {
        let room = self.machine.room(&self.models);
        self.models.load(models::Wish { name, keep, context }, room, self.wall())
    }

    /// It is loaded, and nothing is left of an earlier load to wait for.
    pub fn is_loaded(&self, name: &ModelName) -> bool {
        self.models.is_loaded(name)
    }

    pub fn is_loading(&self, name: &ModelName) -> bool {
        self.models.is_loading(name)
    }

    /// Whoever asked for it has gone.
    pub fn cut_off_load(&mut self, name: &ModelName) {
        self.models.cut_off_load(name);
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let wall = self.wall();
        if let Some(story) = &mut self.story {
            let (machine, models) = (&mut self.machine, &mut self.models);
            story.tick(self.ticks, Scene { machine, models, now: wall });
        }
        self.models.tick(wall);
        self.machine.tick(self.models.held());
    }

    fn elapsed(&self) -> Duration {
        TICK.saturating_mul(u32::try_from(self.ticks).unwrap_or(u32::MAX))
    }

    fn wall(&self) -> Wall {
        let elapsed = self.elapsed() + self.skipped;
        self.start.wall.checked_add(elapsed).unwrap_or(Wall::MAX)
    }
}

/// One world behind the simulated sensors and the simulated runtime.
#[derive(Debug, Clone)]
pub struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    pub fn new(world: World) -> Self {
        SharedWorld(Arc::new(Mutex::new(world)))
    }

    /// Looks or changes, alone.
    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        // The world is whole between calls, and a panic inside one ends the demo.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes of a share of `size`, for ramps; `part` of `whole`.
fn ramp(size: Bytes, part: u32, whole: u32) -> Bytes {
    let grown = u128::from(size.get()) * u128::from(part.min(whole)) / u128::from(whole.max(1));
    Bytes::new(u64::try_from(grown).unwrap_or(u64::MAX))
}
