//! `fit` for people: the verdict first, then the sum, then what would help.

use std::io::{self, Write};

use crate::cli::facts::{fact, table};
use crate::domain::fit::{Need, Words, kv_warning, listed};
use crate::domain::text::clean;
use crate::domain::{Bytes, Fit, FitQuestion, FitVerdict, ModelName};

/// The verdict and all it rests on, a fact a line.
pub fn whole(
    fit: &Fit,
    (asked, columns): (&FitQuestion, Option<usize>),
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut facts = vec![("verdict", format!("{} {}", fit.model, words(fit).verdict()))];
    facts.extend(need(&fit.need));
    facts.extend(budget(fit));
    facts.extend(settings(fit, asked));
    facts.extend(help(fit));
    for (name, text) in &facts {
        fact(out, (name, text), columns)?;
    }
    Ok(())
}

/// Each of several that were judged, in a line.
pub fn judged(judged: &[Fit], columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    for fit in judged {
        fact(out, ("judged", &format!("{}: {}", fit.model, words(fit).verdict())), columns)?;
    }
    Ok(())
}

/// All, the best first.
pub fn ranked(
    fits: &[Fit],
    unknown: &[(ModelName, String)],
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let row = |fit: &Fit| {
        let word = match fit.crosses.filter(|_| fit.verdict == FitVerdict::Fits) {
            _ if fit.is_loaded => "loaded".to_owned(),
            Some(level) => format!("fits → {level}"),
            None => fit.verdict.word().to_owned(),
        };
        let largest = fit.max_context.map_or("-".to_owned(), |context| context.to_string());
        // Of a loaded one nothing more is taken.
        let margin = if fit.is_loaded { "-".to_owned() } else { fit.margin().to_string() };
        vec![
            fit.model.short().to_owned(),
            word,
            fit.need.bytes().to_string(),
            margin,
            fit.settings.context.to_string(),
            largest,
            fit.need.source_text(),
        ]
    };
    let rows: Vec<Vec<String>> = fits.iter().map(row).collect();
    let heads = ["model", "verdict", "need", "margin", "context", "largest", "source"];
    if !rows.is_empty() {
        table(out, (&heads, &rows), columns)?;
    }
    for (model, reason) in unknown {
        fact(out, ("unknown", &format!("{model}: {}", clean(reason))), columns)?;
    }
    Ok(())
}

/// Tokens as `--ctx` takes them.
fn words(fit: &Fit) -> Words<'_> {
    Words { fit, number: |tokens| tokens.to_string() }
}

type Facts = Vec<(&'static str, String)>;

fn need(need: &Need) -> Facts {
    let parts = need.by_name().into_iter();
    let sum: Vec<String> = parts.map(|(name, bytes)| format!("{name} {bytes}")).collect();
    let mut facts = vec![
        ("need", format!("{}, {}", need.bytes(), need.source_text())),
        ("parts", format!("{} = {}", sum.join(" + "), need.parts())),
    ];
    let expected = format!("{} by the server, {} by its process", need.reported, need.measured);
    facts.push(("expected", expected));
    facts.extend(need.learned.as_ref().map(|learned| ("learned", learned.text())));
    facts
}

fn budget(fit: &Fit) -> Facts {
    let budget = &fit.budget;
    let in_flight = match budget.in_flight {
        Bytes::ZERO => String::new(),
        promised => format!(" - in flight {promised}"),
    };
    let sum = format!(
        "available {} - reserve {}{in_flight} = {} ({})",
        budget.available,
        budget.reserve,
        budget.free(),
        clean(&budget.source)
    );
    let mut facts = vec![("budget", sum)];
    if !fit.is_loaded {
        facts.push(("margin", fit.margin().to_string()));
    }
    facts.extend(words(fit).crossing().map(|text| ("level", text)));
    facts
}

fn settings(fit: &Fit, asked: &FitQuestion) -> Facts {
    let mut text = words(fit).settings_and_source();
    if let Some(more) = beyond(fit, asked.context) {
        text.push_str(&format!("; {more}"));
    }
    if let Some(kind) = asked.kv_type {
        text.push_str(&format!("; {}", kv_warning(kind)));
    }
    vec![("settings", text), ("largest", words(fit).largest())]
}

/// What is asked for and cannot be had.
pub fn beyond(fit: &Fit, asked: Option<u64>) -> Option<String> {
    let more = asked.filter(|context| *context > fit.settings.context)?;
    Some(format!("{more} is more than it was trained for"))
}

fn help(fit: &Fit) -> Facts {
    let mut facts = Vec::new();
    if !fit.unload.is_empty() {
        facts.push(("unload", listed(&fit.unload, usize::MAX)));
    }
    if let Some(smaller) = &fit.smaller {
        facts.push(("smaller", words(fit).smaller(smaller)));
    }
    if let Some(saves) = fit.q8_0_saves {
        facts.push(("q8_0", format!("would save {saves}, where the server is set to it")));
    }
    if !fit.programs.is_empty() {
        facts.push(("programs", listed(&fit.programs, usize::MAX)));
    }
    facts
}
