//! `doctor` and `advise`: what follows from a made machine, and the commands
//! as a script meets them, over a server of ours with real processes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "care/advice.rs"]
mod advice;
#[path = "care/commands.rs"]
mod commands;
#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "care/findings.rs"]
mod findings;
#[path = "care/forms.rs"]
mod forms;
#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "care/scenery.rs"]
mod scenery;
#[path = "support/shell.rs"]
mod shell;
#[allow(dead_code, reason = "the screens use more of them")]
#[path = "support/snapshots.rs"]
mod snapshots;
#[path = "care/surveyor.rs"]
mod surveyor;
