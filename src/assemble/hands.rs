//! `act`, as the engine holds it: orders to those who carry them out, and
//! their faults as one line each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::act::Order;
use crate::act::deeds::{self, Deeds};
use crate::act::hooks::Teller;
use crate::act::signals;
use crate::domain::snapshot::Mode;
use crate::domain::{Event, InForce};
use crate::engine::executor::Hands;
use crate::engine::input::{Answered, Hook};

use super::chain;

/// What an ended runner gets between TERM and KILL: it saves nothing.
const GRACE: Duration = Duration::from_secs(3);

/// Hands on this machine, or idle ones: a demo and a recording are no machine,
/// and whoever plays one wants nobody told and nothing run.
pub fn of(mode: Mode) -> Arc<dyn Hands> {
    match mode {
        Mode::Live => Arc::new(RealHands::of_this_machine()),
        Mode::Demo => Arc::new(IdleHands("this is a demo: nothing is done to this machine")),
        Mode::Replay => Arc::new(IdleHands("this is a recording: nothing is done")),
    }
}

/// The hands on this machine.
pub struct RealHands {
    deeds: Arc<Deeds>,
    teller: Teller,
}

impl RealHands {
    pub fn new(deeds: Deeds) -> Self {
        RealHands { deeds: Arc::new(deeds), teller: Teller::default() }
    }

    pub fn of_this_machine() -> Self {
        RealHands::new(Deeds::of_this_machine())
    }
}

impl Hands for RealHands {
    fn carry_out(&self, order: Order) -> BoxFuture<'static, Result<Answered, String>> {
        let deeds = Arc::clone(&self.deeds);
        async move {
            match order {
                Order::EndProcess(process) => {
                    let ended = signals::end_process(process, GRACE).await;
                    ended.map(|_| None).map_err(chain)
                }
                Order::Deed { component, target, deed } => {
                    deeds.carry_out(&component, &target, &deed).await.map_err(chain)
                }
                Order::Run { words, level } => {
                    deeds::run_for_level(words, level).await.map_err(chain)
                }
            }
        }
        .boxed()
    }

    fn tell(
        &self,
        hook: Hook,
        event: Event,
        now: InForce,
    ) -> BoxFuture<'static, Result<String, String>> {
        let teller = self.teller.clone();
        async move { teller.tell(hook, event, now).await.map_err(chain) }.boxed()
    }
}

/// Refuses everything, and says why.
struct IdleHands(&'static str);

impl Hands for IdleHands {
    fn carry_out(&self, _: Order) -> BoxFuture<'static, Result<Answered, String>> {
        let why = self.0;
        async move { Err(why.to_owned()) }.boxed()
    }

    fn tell(&self, _: Hook, _: Event, _: InForce) -> BoxFuture<'static, Result<String, String>> {
        let why = self.0;
        async move { Err(why.to_owned()) }.boxed()
    }
}
