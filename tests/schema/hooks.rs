//! What hooks are told.

use std::time::Duration;

use plimsoll::act::hooks::{Hook, HookTo, Teller};
use plimsoll::domain::{Bytes, Event, EventBody, Level, Wall};

use super::*;

async fn told(body: EventBody) -> Value {
    let time: Wall = "2026-01-15T14:02:11Z".parse().unwrap();
    let words = ["printenv", "PLIMSOLL_JSON"].map(str::to_owned).into();
    let to = HookTo::Command(words);
    // Far more than a command of one line needs.
    let hook = Hook { on_level: true, on_action: true, to, timeout: Duration::from_secs(60) };
    let event = Event { seq: 42, time, body };
    let said = Teller::default().tell(hook, event, Level::Critical).await.unwrap();
    serde_json::from_str(&said).unwrap()
}

#[tokio::test]
async fn a_hook_is_told_what_the_schema_says() {
    let schema = Schema::read();
    let bodies = [
        EventBody::Note { text: "a".into() },
        EventBody::OomKill { count: 2 },
        EventBody::LevelChanged {
            from: Level::Normal,
            to: Level::Critical,
            cause: None,
            lasted_ms: 7,
        },
        EventBody::LoadRefused { model: "x".into(), need: Bytes::gib(2), lacks: Bytes::gib(1) },
    ];
    for body in bodies {
        let told = told(body).await;
        schema.accepts("hook", &told);
    }
}
