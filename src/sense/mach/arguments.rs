//! The bytes of `kern.procargs2`: a count, the executable's path, the
//! arguments, the environment.
//!
//! Of the environment only a server's settings are looked for; the rest is not
//! kept.

use crate::domain::sample::Reading;

use super::{malformed, u32_at};
use crate::sense::environment::{ServerEnvironment, of_server};

/// What a process was started with, as far as we look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessArguments {
    pub executable: String,
    pub arguments: Vec<String>,
    pub environment: ServerEnvironment,
}

/// More arguments than any runner has: a count beyond is rubbish.
const MOST_ARGUMENTS: u32 = 4096;

impl ProcessArguments {
    pub fn parse(bytes: &[u8]) -> Reading<Self> {
        let count = u32_at(bytes, 0).ok_or_else(|| malformed("procargs2: no count"))?;
        if count > MOST_ARGUMENTS {
            return Err(malformed(format!("procargs2: {count} arguments")));
        }
        let mut rest = &bytes[4..];
        let executable = next(&mut rest).ok_or_else(|| malformed("procargs2: no path"))?;
        // The path is filled up with NULs, to an alignment that differs by release.
        let padding = rest.iter().take_while(|byte| **byte == 0).count();
        rest = &rest[padding..];
        let mut arguments = Vec::with_capacity(count as usize);
        for at in 0..count {
            let argument = next(&mut rest)
                .ok_or_else(|| malformed(format!("procargs2: {at} of {count} arguments")))?;
            arguments.push(argument);
        }
        Ok(ProcessArguments { executable, arguments, environment: environment(rest) })
    }

    /// Whether the executable lies where Ollama keeps its programs: in its app,
    /// in a `lib/ollama`, or in Homebrew's folder of it.
    pub fn is_in_ollama_folder(&self) -> bool {
        let folders: Vec<&str> = self.executable.split('/').rev().skip(1).collect();
        folders.contains(&"Ollama.app")
            || folders
                .windows(2)
                .any(|pair| matches!(pair, ["ollama", "lib"] | ["ollama", "Cellar" | "opt"]))
    }
}

/// The environment ends at an empty string; what follows is the loader's. A
/// string that was cut off is none.
fn environment(rest: &[u8]) -> ServerEnvironment {
    let whole = rest.iter().rposition(|byte| *byte == 0).map_or(&[][..], |end| &rest[..end]);
    of_server(whole.split(|byte| *byte == 0).take_while(|variable| !variable.is_empty()))
}

/// Takes one NUL-terminated string off the front.
fn next(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sense::mach::tests::procargs;

    const RUNNER: &str = "/Applications/Ollama.app/Contents/Resources/llama-server";

    #[test]
    fn path_arguments_and_host_are_found() {
        let bytes = procargs(
            RUNNER,
            &["llama-server", "--model", "/Users/a b/x", "", "-c"],
            &["HOME=/Users/a", "OLLAMA_HOST=0.0.0.0:11434", "SECRET=1", "OLLAMA_KEEP_ALIVE=2m"],
        );
        assert_eq!(
            ProcessArguments::parse(&bytes),
            Ok(ProcessArguments {
                executable: RUNNER.to_owned(),
                arguments: ["llama-server", "--model", "/Users/a b/x", "", "-c"]
                    .map(str::to_owned)
                    .to_vec(),
                environment: ServerEnvironment {
                    host: Some("0.0.0.0:11434".to_owned()),
                    settings: vec![("OLLAMA_KEEP_ALIVE".to_owned(), "2m".to_owned())],
                },
            })
        );
    }

    #[test]
    fn a_host_among_the_arguments_is_not_the_environment() {
        let bytes = procargs("/bin/x", &["x", "OLLAMA_HOST=evil"], &["HOME=/"]);
        assert_eq!(ProcessArguments::parse(&bytes).map(|found| found.environment.host), Ok(None));
        // Nor is what follows the environment.
        let mut bytes = procargs("/bin/x", &["x"], &["HOME=/"]);
        bytes.extend_from_slice(b"\0OLLAMA_HOST=evil\0");
        assert_eq!(ProcessArguments::parse(&bytes).map(|found| found.environment.host), Ok(None));
    }

    #[test]
    fn what_was_cut_off_or_is_rubbish_is_a_fault() {
        let whole = procargs("/bin/x", &["x", "--long-argument"], &[]);
        let argument_end = whole.len() - 2;
        for cut in [0, 3, 4, 8, argument_end] {
            assert!(ProcessArguments::parse(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(ProcessArguments::parse(&u32::MAX.to_ne_bytes()).is_err());
    }

    #[test]
    fn ollama_folders_are_known_by_whole_names() {
        let is = |path: &str| {
            ProcessArguments { executable: path.to_owned(), ..ProcessArguments::default() }
                .is_in_ollama_folder()
        };
        assert!(is(RUNNER));
        assert!(is("/usr/local/lib/ollama/llama-server"));
        assert!(is("/opt/homebrew/Cellar/ollama/0.31.0/bin/ollama"));
        assert!(!is("/Users/a/llama.cpp/build/bin/llama-server"));
        assert!(!is("/Users/a/not-ollama/lib/llama-server"));
        assert!(!is("/tmp/lib/ollama"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ProcessArguments::parse(&bytes);
            let mut small = 3_u32.to_ne_bytes().to_vec();
            small.extend(bytes);
            let _ = ProcessArguments::parse(&small);
        }
    }
}
