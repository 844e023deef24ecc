//! Carries effects to the edges. Every call is a task of its own: an unload
//! never waits behind a load, and no answer holds up the loop.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::act::Order;
use crate::domain::{ActionId, Event, InForce};
use crate::runtime::{Answer, Runtime};

use super::Worked;
use super::input::{Answered, Effect, Hook, Input, Poll, PollAnswer, Report};

/// What is done to the machine itself, by `act`.
pub trait Hands: Send + Sync {
    /// Answers when it is done, or why it is not; with what a command said.
    fn carry_out(&self, order: Order) -> BoxFuture<'static, Result<Answered, String>>;

    /// Tells a hook; answers with what it said.
    fn tell(
        &self,
        hook: Hook,
        event: Event,
        now: InForce,
    ) -> BoxFuture<'static, Result<String, String>>;
}

impl Worked {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Pace(pace) => self.sampler.set_pace(pace),
            Effect::Poll(poll) => self.poll(poll),
            Effect::Journal { action, event } => {
                let (confirm, confirmed) = oneshot::channel();
                self.journal.record_action(event, confirm);
                self.tasks.spawn(confirm_journal(action, confirmed, self.inbox.clone()));
            }
            Effect::Record(event) => self.journal.record(event),
            Effect::Choose(choice) => self.journal.choose(choice),
            Effect::Unload { action, model } => {
                let answer = self.runtime.unload(&model);
                self.tasks.spawn(report(action, answer, self.inbox.clone()));
            }
            Effect::Load { action, model, options } => {
                let answer = self.runtime.load(&model, options);
                self.tasks.spawn(report(action, answer, self.inbox.clone()));
            }
            Effect::Act { action, order } => {
                let (doing, inbox) = (self.hands.carry_out(order), self.inbox.clone());
                self.tasks.spawn(async move {
                    let result = doing.await;
                    drop(inbox.send(Input::Performed { action, result }).await);
                });
            }
            Effect::Hook { hook, event, now } => self.tell_hook(hook, event, now),
            Effect::Owe(debt) => self.journal.owe(debt),
            Effect::Settle(debt) => self.journal.settle(debt),
            Effect::Learn(lesson) => self.journal.learn(lesson),
            Effect::FetchOlder { number, before, limit } => {
                let (answer, answered) = oneshot::channel();
                self.journal.older(before, limit, answer);
                let inbox = self.inbox.clone();
                self.tasks.spawn(async move {
                    let ended = || Err("the history has ended".to_owned());
                    let events = answered.await.unwrap_or_else(|_| ended());
                    drop(inbox.send(Input::OlderEvents { number, events }).await);
                });
            }
            // Performed by the engine, which owns the watch and the replies.
            Effect::Publish | Effect::Reply { .. } => {}
        }
    }

    fn tell_hook(&mut self, hook: Hook, event: Event, now: InForce) {
        let (of, name, inbox) = (event.seq, hook.name(), self.inbox.clone());
        let telling = self.hands.tell(hook, event, now);
        self.tasks.spawn(async move {
            let result = telling.await;
            drop(inbox.send(Input::Hooked { of, hook: name, result }).await);
        });
    }

    fn poll(&mut self, poll: Poll) {
        let asked = ask(self.runtime.as_ref(), poll);
        let inbox = self.inbox.clone();
        self.tasks.spawn(async move {
            let started = Instant::now();
            let answer = asked.await;
            let report = Report { took: started.elapsed(), answer };
            drop(inbox.send(Input::Reported(report)).await);
        });
    }
}

/// Puts one question; the future owns all it needs.
pub fn ask(runtime: &dyn Runtime, poll: Poll) -> BoxFuture<'static, PollAnswer> {
    match poll {
        Poll::Loaded => runtime.loaded().map(PollAnswer::Loaded).boxed(),
        Poll::Installed => runtime.installed().map(PollAnswer::Installed).boxed(),
        Poll::Version => runtime.version().map(PollAnswer::Version).boxed(),
        Poll::Details(model) => {
            let answer = runtime.details(&model);
            answer.map(|details| PollAnswer::Details(model, details)).boxed()
        }
    }
}

async fn report(action: ActionId, answer: Answer<()>, inbox: mpsc::Sender<Input>) {
    let result = answer.await.map(|()| None).map_err(|fault| fault.detail);
    drop(inbox.send(Input::Performed { action, result }).await);
}

async fn confirm_journal(
    action: ActionId,
    confirmed: oneshot::Receiver<Result<(), String>>,
    inbox: mpsc::Sender<Input>,
) {
    let result = confirmed.await.unwrap_or_else(|_| Err("the store has ended".into()));
    drop(inbox.send(Input::Journalled { action, result }).await);
}
