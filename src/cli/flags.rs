//! The flags that can also be configured, as clap reads them.

use std::path::PathBuf;

use crate::config::Flags;

/// To be flattened into the command line; they count for every subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingFlags {
    /// Where Ollama answers [default: by OLLAMA_HOST]
    #[arg(long, global = true, value_name = "URL")]
    pub ollama: Option<String>,
    /// The config file to read [default: your own]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where history is kept [default: your data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The theme by name [default: by the terminal]
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Draw without colour
    #[arg(long, global = true)]
    pub no_color: bool,
    /// How often to look, 100ms to 1h [default: the profile's]
    #[arg(long, global = true, value_name = "SPAN")]
    pub interval: Option<String>,
}

impl From<SettingFlags> for Flags {
    fn from(typed: SettingFlags) -> Flags {
        // A folder typed here is meant from where one stands; a config knows no such place.
        let data_dir = typed.data_dir.map(|folder| std::path::absolute(&folder).unwrap_or(folder));
        Flags {
            config: typed.config,
            ollama: typed.ollama,
            data_dir,
            theme: typed.theme,
            ascii: typed.ascii,
            no_color: typed.no_color,
            interval: typed.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: SettingFlags,
    }

    #[test]
    fn what_was_typed_arrives() {
        let typed = [
            "plimsoll",
            "--ollama",
            "host:1",
            "--config",
            "c.toml",
            "--data-dir",
            "/d",
            "--theme",
            "light",
            "--ascii",
            "--no-color",
            "--interval",
            "2s",
        ];
        let flags = Flags::from(Line::parse_from(typed).flags);
        let expected = Flags {
            config: Some("c.toml".into()),
            ollama: Some("host:1".to_owned()),
            data_dir: Some("/d".into()),
            theme: Some("light".to_owned()),
            ascii: true,
            no_color: true,
            interval: Some("2s".to_owned()),
        };
        assert_eq!(flags, expected);
        assert_eq!(Flags::from(Line::parse_from(["plimsoll"]).flags), Flags::default());
    }

    #[test]
    fn a_folder_is_meant_from_where_one_stands() {
        let flags = Flags::from(Line::parse_from(["plimsoll", "--data-dir", "here"]).flags);
        assert!(flags.data_dir.is_some_and(|folder| folder.is_absolute()));
    }
}
