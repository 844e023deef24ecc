//! The agent for launchd: a property list as text. Built and tested on every
//! platform, installed only where launchd is.

use std::path::Path;

use super::{MARK, Started};

/// A domain backwards, as these names are; `local` belongs to nobody.
pub(super) const LABEL: &str = "local.plimsoll.guard";

/// Seconds before it is started again, as the units say.
const AGAIN: u32 = 10;

/// `Interactive`: launchd slows other kinds down when the machine is busy,
/// which is when a guard is needed.
pub(super) fn agent(started: &Started, home: &Path) -> String {
    let log = home.join("Library/Logs/plimsoll.log");
    let word = |word: &str| format!("        <string>{}</string>\n", escaped(word));
    let words: String = std::iter::once(started.program())
        .chain(started.arguments.iter().map(String::as_str))
        .map(word)
        .collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- {MARK}. -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{words}    </array>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ThrottleInterval</key>
    <integer>{AGAIN}</integer>
    <key>ProcessType</key>
    <string>Interactive</string>
    <key>StandardErrorPath</key>
    <string>{log}</string>
</dict>
</plist>
"#,
        log = escaped(&log.to_string_lossy()),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the elements in order, or what is wrong: every element is
    /// closed by its own name, and nothing stands open at the end.
    fn elements(text: &str) -> Result<Vec<String>, String> {
        let (mut open, mut seen) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let entities = before.split('&').skip(1);
            for entity in entities {
                let known = ["amp;", "lt;", "gt;"].iter().any(|known| entity.starts_with(known));
                known.then_some(()).ok_or(format!("a bare & before {entity:?}"))?;
            }
            if before.contains('>') {
                return Err(format!("a bare > in {before:?}"));
            }
            let end = if after.starts_with("!--") { "-->" } else { ">" };
            let (tag, after) = after.split_once(end).ok_or("a tag without an end")?;
            rest = after;
            match tag.chars().next() {
                Some('?' | '!') => {}
                Some('/') if open.pop().as_deref() == Some(&tag[1..]) => {}
                Some('/') => return Err(format!("</{}> closes nothing", &tag[1..])),
                _ => {
                    let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
                    if !tag.ends_with('/') {
                        open.push(name.clone());
                    }
                    seen.push(name);
                }
            }
        }
        if open.is_empty() { Ok(seen) } else { Err(format!("{open:?} stand open")) }
    }

    fn started(program: &str, arguments: &[&str]) -> Started {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Started { program: program.into(), arguments }
    }

    #[test]
    fn an_agent_is_well_formed_whatever_its_paths() {
        for program in ["/usr/bin/plimsoll", "/Users/a & b/<x>/plim soll"] {
            let started = started(program, &["guard", "--ollama", "http://h:1/?a=1&b=2"]);
            let text = agent(&started, Path::new("/Users/a & b"));
            let elements = elements(&text).unwrap();
            let keys = elements.iter().filter(|name| *name == "key").count();
            assert_eq!((elements[0].as_str(), keys), ("plist", 8), "{elements:?}");
            assert_eq!(elements.iter().filter(|name| *name == "array").count(), 1);
        }
    }

    #[test]
    fn the_check_is_not_blind() {
        assert!(elements("<a><b></a></b>").is_err());
        assert!(elements("<a>").is_err());
        assert!(elements("<a>x & y</a>").is_err());
        assert!(elements("<a>x > y</a>").is_err());
        assert_eq!(elements("<a><b/></a>").unwrap(), ["a", "b"]);
    }

    #[test]
    fn the_words_are_those_of_the_command() {
        let text = agent(&started("/opt/a&b/plimsoll", &["guard"]), Path::new("/Users/x"));
        assert!(text.contains("<string>/opt/a&amp;b/plimsoll</string>\n        <string>guard<"));
        assert!(text.contains("<string>/Users/x/Library/Logs/plimsoll.log</string>"));
    }
}
