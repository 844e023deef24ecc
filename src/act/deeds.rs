//! What may be done to a component that is no model: to a process by signals,
//! to a container by its engine, to a service by its manager, and to each by
//! the owner's own command.

use std::time::Duration;

use super::command::{self, CommandFault, Errand};
use super::containers::{ContainerFault, Containers};
use super::signals::{self, ActFault};
use super::units::{UnitFault, Units};
use crate::domain::{Deed, Level, ProcessKey, Target};

/// What a process gets to save its work between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// An owner's command that takes longer hangs: memory does not wait.
const COMMAND_LIMIT: Duration = Duration::from_secs(15);

/// Starting something again may read much from a disk, and is no hurry.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum DeedFault {
    #[error(transparent)]
    Process(#[from] ActFault),
    #[error(transparent)]
    Container(#[from] ContainerFault),
    #[error(transparent)]
    Unit(#[from] UnitFault),
    #[error(transparent)]
    Command(#[from] CommandFault),
    #[error("a process cannot be told to {0}")]
    NotForProcesses(&'static str),
}

impl DeedFault {
    /// There is nobody any more to do it to.
    fn is_gone(&self) -> bool {
        matches!(
            self,
            DeedFault::Process(ActFault::Gone { .. } | ActFault::NotTheSame { .. })
                | DeedFault::Container(ContainerFault::Gone)
        )
    }
}

/// What is worth saying beside "done".
pub type Said = Option<String>;

/// Carries deeds out.
#[derive(Debug, Clone)]
pub struct Deeds {
    pub containers: Containers,
    pub units: Units,
}

impl Deeds {
    pub fn of_this_machine() -> Self {
        Deeds { containers: Containers::of_this_machine(), units: Units::of_this_machine() }
    }

    /// Answers when it is done, or why it is not.
    pub async fn carry_out(
        &self,
        component: &str,
        target: &Target,
        deed: &Deed,
    ) -> Result<Said, DeedFault> {
        let (why, words, limit) = match deed {
            Deed::Command { words } => ("command", words, COMMAND_LIMIT),
            Deed::Load { words } => ("load", words, LOAD_LIMIT),
            _ => return self.carry_out_on(target, deed).await,
        };
        let mut variables = about(target);
        variables.push(("PLIMSOLL_EVENT", why.to_owned()));
        variables.push(("PLIMSOLL_COMPONENT", component.to_owned()));
        Ok(run(Errand { words: words.clone(), variables, limit }).await?)
    }

    /// Whom nothing can be taken back from, since it is gone, owes nothing.
    async fn carry_out_on(&self, target: &Target, deed: &Deed) -> Result<Said, DeedFault> {
        let is_undo = matches!(deed, Deed::Resume | Deed::Unlimit { .. });
        match self.try_on(target, deed).await {
            Err(fault) if is_undo && fault.is_gone() => Ok(Some(fault.to_string())),
            other => other,
        }
    }

    async fn try_on(&self, target: &Target, deed: &Deed) -> Result<Said, DeedFault> {
        match target {
            Target::Process { key } => signal(*key, deed).await,
            Target::Container { id, .. } => Ok(self.containers.carry_out(id, deed).await?),
            Target::Unit { name, is_user } => {
                Ok(self.units.carry_out(name, *is_user, deed).await?)
            }
        }
    }
}

/// A command of a level: run once when it is entered.
pub async fn run_for_level(words: Vec<String>, level: Level) -> Result<Said, CommandFault> {
    let variables =
        vec![("PLIMSOLL_EVENT", "level".to_owned()), ("PLIMSOLL_LEVEL", level.word().to_owned())];
    run(Errand { words, variables, limit: COMMAND_LIMIT }).await
}

async fn run(errand: Errand) -> Result<Said, CommandFault> {
    let said = command::run(errand).await?;
    Ok(Some(said).filter(|said| !said.is_empty()))
}

async fn signal(key: ProcessKey, deed: &Deed) -> Result<Said, DeedFault> {
    match deed {
        Deed::Pause => signals::pause(key)?,
        Deed::Resume => signals::resume(key)?,
        Deed::Kill => {
            signals::end_process(key, GRACE).await?;
        }
        // A process has no manager: to stop it is to ask it to end.
        Deed::Term | Deed::Stop => {
            if !signals::term(key, GRACE).await? {
                let waited = format!("it has not ended within {} s", GRACE.as_secs());
                return Ok(Some(waited));
            }
        }
        _ => return Err(DeedFault::NotForProcesses(deed.verb())),
    }
    Ok(None)
}

/// Whom a command is about.
fn about(target: &Target) -> Vec<(&'static str, String)> {
    match target {
        Target::Process { key } => vec![("PLIMSOLL_PID", key.pid.to_string())],
        Target::Container { id, name } => {
            vec![("PLIMSOLL_CONTAINER", id.clone()), ("PLIMSOLL_CONTAINER_NAME", name.clone())]
        }
        Target::Unit { name, is_user } => {
            let manager = if *is_user { "user" } else { "system" };
            vec![("PLIMSOLL_UNIT", name.clone()), ("PLIMSOLL_UNIT_MANAGER", manager.to_owned())]
        }
    }
}
