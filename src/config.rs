//! Layers to one `Config`, and where every value came from.
//!
//! Built-in default, the user's `config.toml`, environment, flags: each layer
//! is checked alone, then merged, then read once, then checked across keys.
//! Nothing is repaired silently. Environment and folders are parameters: only
//! `Surroundings::from_process` looks at the process.

pub mod check;
pub mod difference;
pub mod error;
pub mod file;
pub mod key;
pub mod layers;
pub mod origin;
pub mod paths;
pub mod profiles;
pub mod rules;
pub mod schema;
pub mod trust;
pub mod value;
pub mod write_back;

pub use error::{ConfigError, KeyFault};
pub use layers::{Flags, KeyBinding, LoadedConfig, Surroundings, examine, load};
pub use origin::Origin;
pub use paths::Paths;
pub use profiles::Chosen;
pub use schema::{AsciiChoice, ColorChoice, Config, ProfileChoice};

/// The commented default: the lowest layer, and what `config init` is made of.
pub const DEFAULT: &str = include_str!("../config.toml");
