//! One page: what a command's help says, in the sections a reader of man pages
//! looks for, with the exit codes of the table, variables and files.

use clap::{Arg, ArgAction, Command};

use crate::cli::exit::TABLE;
use crate::cli::help::Parts;

use super::roff::Roff;

const NAME: &str = "plimsoll";

/// What the program reads from its environment.
const VARIABLES: [(&str, &str); 10] = [
    (
        "PLIMSOLL_KEY",
        "Any key of the config, in capitals and with _ for the dots, as PLIMSOLL_LEVELS_WARNING. It goes before the file, a flag goes before it.",
    ),
    ("PLIMSOLL_CONFIG", "The config file to read instead of your own."),
    ("OLLAMA_HOST", "Where Ollama answers, by Ollama's own rules."),
    ("OLLAMA_MODELS", "Where weights files lie, if not in Ollama's own folders."),
    ("XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_RUNTIME_DIR, HOME", "Where the folders below FILES are."),
    (
        "COLUMNS",
        "How wide a line may be; else as the terminal is, and what is piped is not broken.",
    ),
    ("NO_COLOR", "Set and not empty: the dashboard is drawn without colour."),
    ("TERM, COLORTERM, COLORFGBG, LANG, LC_ALL", "What the terminal can show."),
    ("DOCKER_HOST", "The socket of Docker or Podman, for containers that the config names."),
    ("NOTIFY_SOCKET, JOURNAL_STREAM", "Set by systemd for a guard that it starts."),
];

/// What lies where, on Linux; `plimsoll config path` tells of any system.
const FILES: [(&str, &str); 6] = [
    ("~/.config/plimsoll/config.toml", "Your config; `plimsoll config init` writes one."),
    ("~/.config/plimsoll/themes/", "Your own themes."),
    (
        "~/.local/share/plimsoll/history.db",
        "Events, pins, priorities, what loads took, and what memory was like, minute by minute.",
    ),
    (
        "$XDG_RUNTIME_DIR/plimsoll/",
        "The lock and the socket of the engine that acts, and hints.json, its values for other programs.",
    ),
    ("~/.config/systemd/user/plimsoll.service", "What `plimsoll service install` writes."),
    ("/etc/plimsoll/config.toml", "The config of a guard of the whole system."),
];

pub struct Page<'a> {
    pub command: &'a Command,
    /// Of the command, `plimsoll` first.
    words: Vec<&'a str>,
}

impl<'a> Page<'a> {
    pub fn of(whole: &'a Command) -> Page<'a> {
        Page { command: whole, words: vec![NAME] }
    }

    /// Of the command and of all below it.
    pub fn all(whole: &'a Command) -> Vec<Page<'a>> {
        let mut pages = vec![Page::of(whole)];
        let mut at = 0;
        while let Some(page) = pages.get(at) {
            let below: Vec<Page<'a>> = page.subcommands().collect();
            pages.extend(below);
            at += 1;
        }
        pages
    }

    pub fn below(&self, word: &str) -> Option<Page<'a>> {
        self.subcommands().find(|page| page.words.last() == Some(&word))
    }

    fn subcommands(&self) -> impl Iterator<Item = Page<'a>> {
        let words = self.words.clone();
        self.command.get_subcommands().map(move |command| {
            let words = [&words[..], &[command.get_name()]].concat();
            Page { command, words }
        })
    }

    /// As `man` asks for it: `plimsoll-config-show`.
    pub fn name(&self) -> String {
        self.words.join("-")
    }

    pub fn text(&self) -> String {
        let parts = Parts::of(self.command);
        let mut roff = Roff::new(&self.name(), &format!("{NAME} {}", env!("CARGO_PKG_VERSION")));
        let about = self.command.get_about().map(ToString::to_string).unwrap_or_default();
        roff.section("NAME");
        roff.text(&format!("{} - {}", self.name(), about.trim_end_matches('.')));
        roff.section("SYNOPSIS");
        roff.text(&self.synopsis());
        roff.section("DESCRIPTION");
        roff.text(&format!("{}.", about.trim_end_matches('.')));
        parts.notes.iter().for_each(|note| roff.paragraph(note));
        self.commands(&mut roff);
        self.options(&mut roff);
        examples(&parts, &mut roff);
        self.exit_status(&parts, &mut roff);
        terms("ENVIRONMENT", &VARIABLES, &mut roff);
        terms("FILES", &FILES, &mut roff);
        self.see_also(&mut roff);
        roff.into_text()
    }

    fn synopsis(&self) -> String {
        let usage = self.command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        // The command was built alone where it has no words before it.
        let rest = usage
            .strip_prefix(&self.words.join(" "))
            .or(usage.strip_prefix(self.words[self.words.len() - 1]));
        format!("{}{}", self.words.join(" "), rest.unwrap_or(usage))
    }

    fn commands(&self, roff: &mut Roff) {
        if !self.command.has_subcommands() {
            return;
        }
        roff.section("COMMANDS");
        for page in self.subcommands() {
            let about = page.command.get_about().map(ToString::to_string);
            let name = page.words[page.words.len() - 1];
            roff.term(name, &format!("{}. See {}(1).", about.unwrap_or_default(), page.name()));
        }
    }

    fn options(&self, roff: &mut Roff) {
        let is_shown = |argument: &&Arg| !argument.is_hide_set();
        let (settings, own): (Vec<&Arg>, Vec<&Arg>) = self
            .command
            .get_arguments()
            .filter(is_shown)
            .partition(|argument| argument.get_help_heading().is_some());
        for (title, arguments) in [("OPTIONS", own), ("SETTINGS", settings)] {
            if !arguments.is_empty() {
                roff.section(title);
            }
            for argument in arguments {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                roff.term(&signature(argument), &format!("{help}.{}", values(argument)));
            }
        }
    }

    /// The codes it says it ends with; where it says none, all there are.
    fn exit_status(&self, parts: &Parts, roff: &mut Roff) {
        roff.section("EXIT STATUS");
        if let Some(codes) = &parts.exit_codes {
            roff.text(codes);
        }
        let own = parts.numbers();
        let is_whole = self.words.len() == 1 || own.is_empty();
        for (_, number, meaning) in TABLE {
            if is_whole || own.contains(&number) {
                roff.term(&number.to_string(), &format!("{meaning}."));
            }
        }
    }

    fn see_also(&self, roff: &mut Roff) {
        let up = (1..self.words.len()).map(|count| self.words[..count].join("-"));
        let pages = up.chain(self.subcommands().map(|page| page.name()));
        let pages: Vec<String> = pages.map(|name| format!("{name}(1)")).collect();
        if !pages.is_empty() {
            roff.section("SEE ALSO");
            roff.text(&pages.join(", "));
        }
    }
}

fn examples(parts: &Parts, roff: &mut Roff) {
    if parts.examples.is_empty() {
        return;
    }
    roff.section("EXAMPLES");
    for example in &parts.examples {
        if let Some(remark) = &example.remark {
            roff.paragraph(&format!("{remark}:"));
        }
        roff.typed(std::iter::once(example.line.as_str()));
    }
}

fn terms(title: &str, terms: &[(&str, &str)], roff: &mut Roff) {
    roff.section(title);
    for (term, text) in terms {
        roff.term(term, text);
    }
}

/// `--ctx N`, `-h, --help`, `NAME...`
fn signature(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let values: Vec<&str> = values.iter().map(|name| name.as_str()).collect();
    let many = match argument.get_action() {
        ArgAction::Append => "...",
        _ => "",
    };
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    match (flags.is_empty(), argument.get_action().takes_values()) {
        (true, _) => format!("{}{many}", values.join(" ")),
        (false, true) => format!("{} {}{many}", flags.join(", "), values.join(" ")),
        (false, false) => flags.join(", "),
    }
}

/// What it accepts and what it is by default.
fn values(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return String::new();
    }
    let accepted = argument.get_possible_values();
    let accepted: Vec<&str> = accepted.iter().map(|value| value.get_name()).collect();
    let mut told = String::new();
    if !accepted.is_empty() && !argument.is_hide_possible_values_set() {
        told.push_str(&format!(" Accepted are {}.", accepted.join(", ")));
    }
    let default: Vec<_> =
        argument.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if !default.is_empty() {
        told.push_str(&format!(" Default: {}.", default.join(" ")));
    }
    told
}
