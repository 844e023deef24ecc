//! A name that nobody knows: what was meant, or how to find out. One form for
//! models, components, commands, tags and themes; and words of a fixed list,
//! which the shell completes and a slip of which names the nearest.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::config::key::closest;
use crate::domain::text::clean;

/// `NAME is no component here`, with the nearest of those there are, else with
/// what lists them.
pub fn unknown<'a>(
    name: &str,
    what: &str,
    known: impl Iterator<Item = &'a str>,
    lists: &str,
) -> String {
    let shown = clean(name);
    match nearest(name, known) {
        Some(meant) => format!("{shown} is {what}\nhint: did you mean {}?", clean(&meant)),
        None => format!("{shown} is {what}\nhint: {lists}"),
    }
}

/// By a slip, by how it begins, or without its tag.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.collect();
    let family = |name: &str| name.split(':').next().unwrap_or_default().to_lowercase();
    let own = family(name);
    let is_near =
        |known: &&&str| !own.is_empty() && (family(known) == own || known.starts_with(name));
    closest(name, known.iter().copied())
        .or_else(|| known.iter().find(is_near).map(|near| (*near).to_owned()))
}

/// One of these words, for a flag.
pub fn one_of<T>(all: &'static [T], word: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let words: Vec<&'static str> = all.iter().map(|one| word(*one)).collect();
    PossibleValuesParser::new(words).try_map(move |typed| {
        let found = all.iter().copied().find(|one| word(*one) == typed);
        found.ok_or("it is none of them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_named_or_what_lists_it() {
        let known = ["qwen2.5:7b", "llama3.2:3b", "process:firefox"];
        let told = |name| unknown(name, "not here", known.into_iter(), "`x` lists them");
        assert_eq!(told("qwen2.5:7"), "qwen2.5:7 is not here\nhint: did you mean qwen2.5:7b?");
        assert_eq!(told("llama3.2"), "llama3.2 is not here\nhint: did you mean llama3.2:3b?");
        assert_eq!(told("LLAMA3.2:1b"), "LLAMA3.2:1b is not here\nhint: did you mean llama3.2:3b?");
        assert_eq!(told("elephant"), "elephant is not here\nhint: `x` lists them");
        assert_eq!(told("\u{1b}[2J"), "[2J is not here\nhint: `x` lists them");
    }
}
