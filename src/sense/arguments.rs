//! Command lines of model servers and their runners, on any platform.
//!
//! Only what is listed here leaves this file: a path, a prompt or a key that
//! somebody put on a command line is neither shown nor recorded nor stored.

use std::path::Path;

use crate::domain::process::{BlobDigest, ProcessRole, RunnerArguments, RunnerProgram};
use crate::domain::text::clean_bytes;

/// A command line that this program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised {
    /// `ollama serve`.
    Server,
    Runner(Box<RunnerArguments>),
}

/// The arguments of a command line as the kernel keeps it: parted by NUL.
pub fn split(command_line: &[u8]) -> Vec<&[u8]> {
    let ended = command_line.strip_suffix(b"\0").unwrap_or(command_line);
    if ended.is_empty() { Vec::new() } else { ended.split(|byte| *byte == 0).collect() }
}

/// What a command line stands for; `None` for any other program.
pub fn recognise(arguments: &[&[u8]]) -> Option<Recognised> {
    let (program, rest) = arguments.split_first()?;
    let (program, rest) = match base_name(program) {
        b"ollama" => match split_at_word(rest)? {
            // `start` is the server's own second word for `serve`.
            (b"serve" | b"start", _) => return Some(Recognised::Server),
            (b"runner", after) => (RunnerProgram::OllamaRunner, after),
            _ => return None,
        },
        // The runner's name up to 0.3, and the same cut by the kernel.
        b"ollama_llama_server" | b"ollama_llama_se" => (RunnerProgram::OllamaRunner, rest),
        b"llama-server" => (RunnerProgram::LlamaServer, rest),
        b"llama" => match split_at_word(rest)? {
            (b"serve", after) => (RunnerProgram::LlamaServe, after),
            _ => return None,
        },
        _ => return None,
    };
    Some(Recognised::Runner(Box::new(runner(program, rest))))
}

/// The role that a command line gives its process.
pub fn role_of_command(arguments: &[String]) -> ProcessRole {
    let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
    match recognise(&arguments) {
        Some(Recognised::Server) => {
            ProcessRole::Server { host: None, listens: None, environment: Vec::new() }
        }
        Some(Recognised::Runner(arguments)) => ProcessRole::Runner(arguments),
        None => ProcessRole::Other,
    }
}

/// Whether a runner's executable is one that Ollama brings along.
pub fn is_in_ollama_folder(executable: &Path, program: RunnerProgram) -> bool {
    let path = executable.to_string_lossy();
    // The kernel marks a file that an update has replaced.
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let in_library =
        path.contains("/lib/ollama/") || path.contains("/Ollama.app/Contents/Resources/");
    let is_ollama = program == RunnerProgram::OllamaRunner && path.ends_with("/ollama");
    in_library || is_ollama
}

/// The part of a path behind its last slash.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The first argument that is no flag, and what follows it.
fn split_at_word<'a, 'b>(arguments: &'b [&'a [u8]]) -> Option<(&'a [u8], &'b [&'a [u8]])> {
    let at = arguments.iter().position(|argument| !argument.starts_with(b"-"))?;
    Some((arguments[at], &arguments[at + 1..]))
}

/// What follows a flag, and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Nothing follows.
    None,
    Number,
    /// A short word of letters and digits.
    Word,
    /// `on`, `off`, `auto` or nothing: older programs took no value here.
    Switch,
    /// Something follows that is nobody's business; that it is given counts.
    Hidden,
    /// The weights: kept as the digest, or as a model's name.
    Weights,
}

/// The flags that say something about memory or identity. All spellings,
/// without dashes; the first is the one that is kept.
const FLAGS: &[(&[&str], Value)] = &[
    (&["model", "m"], Value::Weights),
    (&["port"], Value::Number),
    (&["ctx-size", "c"], Value::Number),
    (&["parallel", "np"], Value::Number),
    (&["batch-size", "b"], Value::Number),
    (&["ubatch-size", "ub"], Value::Number),
    (&["gpu-layers", "ngl", "n-gpu-layers"], Value::Number),
    (&["threads", "t"], Value::Number),
    (&["threads-batch", "tb"], Value::Number),
    (&["main-gpu", "mg"], Value::Number),
    (&["n-cpu-moe", "ncmoe"], Value::Number),
    (&["cache-ram", "cram"], Value::Number),
    (&["ctx-checkpoints"], Value::Number),
    (&["keep"], Value::Number),
    (&["cache-type-k", "ctk"], Value::Word),
    (&["cache-type-v", "ctv"], Value::Word),
    (&["kv-cache-type"], Value::Word),
    (&["load-mode"], Value::Word),
    (&["split-mode", "sm"], Value::Word),
    (&["spec-type"], Value::Word),
    (&["pooling"], Value::Word),
    (&["flash-attn", "fa"], Value::Switch),
    (&["mmproj", "mm"], Value::Hidden),
    (&["lora"], Value::Hidden),
    (&["spec-draft-model", "model-draft", "md"], Value::Hidden),
    (&["embedding", "embeddings"], Value::None),
    (&["ollama-engine"], Value::None),
    (&["mlx-engine"], Value::None),
    (&["no-mmap"], Value::None),
    (&["mlock"], Value::None),
    (&["direct-io"], Value::None),
    (&["cpu-moe"], Value::None),
    (&["context-shift"], Value::None),
    (&["kv-unified", "kvu"], Value::None),
    (&["no-kv-offload", "nkvo"], Value::None),
    (&["swa-full"], Value::None),
    (&["multiuser-cache"], Value::None),
    (&["list-devices"], Value::None),
];

/// Longest value kept: words like `q8_0` and `ngram-simple`.
const LONGEST_WORD: usize = 24;

fn runner(program: RunnerProgram, arguments: &[&[u8]]) -> RunnerArguments {
    let mut found = RunnerArguments {
        program,
        blob: None,
        model: None,
        context: None,
        parallel: None,
        port: None,
        flags: Vec::new(),
        in_ollama_folder: None,
    };
    let mut weights: &[u8] = &[];
    let mut rest = arguments.iter().copied().peekable();
    while let Some(argument) = rest.next() {
        let Some((flag, kind, inline)) = known_flag(argument) else { continue };
        let value = match kind {
            Value::None => inline,
            _ if inline.is_some() => inline,
            Value::Switch => rest.next_if(|next| is_switch(next)),
            _ => rest.next_if(|next| !is_long_flag(next)),
        }
        .unwrap_or_default();
        if kind == Value::Weights {
            weights = value;
            continue;
        }
        let value = kept_value(kind, value);
        match flag {
            "port" => found.port = value.parse().ok(),
            "ctx-size" => found.context = value.parse().ok(),
            "parallel" => found.parallel = value.parse().ok(),
            _ => {}
        }
        found.flags.push((format!("--{flag}"), value));
    }
    name_weights(&mut found, weights);
    found
}

/// The flag under its first spelling, and a value behind `=`.
fn known_flag(argument: &[u8]) -> Option<(&'static str, Value, Option<&[u8]>)> {
    let bare = argument.strip_prefix(b"-")?;
    let bare = bare.strip_prefix(b"-").unwrap_or(bare);
    let (name, inline) = match bare.iter().position(|byte| *byte == b'=') {
        Some(at) => (&bare[..at], Some(&bare[at + 1..])),
        None => (bare, None),
    };
    let (spellings, kind) =
        FLAGS.iter().find(|(all, _)| all.iter().any(|spelling| spelling.as_bytes() == name))?;
    Some((spellings[0], *kind, inline))
}

/// Two dashes and a letter: a flag, whatever stood before it. `-1` is a value.
fn is_long_flag(argument: &[u8]) -> bool {
    argument.starts_with(b"--")
}

fn is_switch(argument: &[u8]) -> bool {
    matches!(
        argument,
        b"on" | b"off" | b"auto" | b"0" | b"1" | b"true" | b"false" | b"enabled" | b"disabled"
    )
}

fn kept_value(kind: Value, value: &[u8]) -> String {
    let is_kept = match kind {
        Value::Number => {
            let digits = value.strip_prefix(b"-").unwrap_or(value);
            !digits.is_empty() && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit)
        }
        Value::Word => {
            value.len() <= LONGEST_WORD
                && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-,.".contains(byte))
        }
        Value::Switch => is_switch(value),
        Value::None | Value::Hidden | Value::Weights => false,
    };
    if is_kept { String::from_utf8_lossy(value).into_owned() } else { String::new() }
}

/// Which weights: a blob's digest, or for MLX runners the model's name. Any
/// other path stays unsaid.
fn name_weights(found: &mut RunnerArguments, weights: &[u8]) {
    let Ok(text) = std::str::from_utf8(weights) else { return };
    found.blob = BlobDigest::from_blob_path(text);
    let is_mlx = found.flags.iter().any(|(flag, _)| flag == "--mlx-engine");
    let is_path = text.is_empty() || text.starts_with(['/', '.', '~']) || text.contains('\\');
    if is_mlx && !is_path {
        found.model = Some(clean_bytes(weights));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "1e98eaef884c0e3b8b7fc917b09c5c84ab36fd6199c3ea706769c4806742aeb0";

    fn recognised(line: &str) -> Option<Recognised> {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        recognise(&parts)
    }

    fn runner_of(line: &str) -> RunnerArguments {
        match recognised(line) {
            Some(Recognised::Runner(arguments)) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn flag(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_recorded_llama_server_is_read_whole() {
        let line = format!(
            "/usr/lib/ollama/llama-server --model /usr/share/ollama/.ollama/models/blobs/sha256-{DIGEST} \
             --port 46601 --host 127.0.0.1 --no-webui --offline -c 8192 -np 2 --log-verbosity 4 \
             --load-mode none --flash-attn auto -b 512 -ub 512 --context-shift --keep 4"
        );
        let expected = RunnerArguments {
            program: RunnerProgram::LlamaServer,
            blob: BlobDigest::from_hex(DIGEST),
            model: None,
            context: Some(8192),
            parallel: Some(2),
            port: Some(46601),
            flags: vec![
                flag("--port", "46601"),
                flag("--ctx-size", "8192"),
                flag("--parallel", "2"),
                flag("--load-mode", "none"),
                flag("--flash-attn", "auto"),
                flag("--batch-size", "512"),
                flag("--ubatch-size", "512"),
                flag("--context-shift", ""),
                flag("--keep", "4"),
            ],
            in_ollama_folder: None,
        };
        assert_eq!(runner_of(&line), expected);
    }

    #[test]
    fn runners_of_all_ages_are_known_by_name() {
        let old = format!(
            "/usr/bin/ollama runner --ollama-engine --model /m/blobs/sha256-{DIGEST} --port 1"
        );
        assert_eq!(runner_of(&old).program, RunnerProgram::OllamaRunner);
        assert_eq!(runner_of(&old).blob, BlobDigest::from_hex(DIGEST));
        let older =
            runner_of("/tmp/ollama1/runners/cpu/ollama_llama_server --flash-attn --parallel 4");
        assert_eq!(older.flags, [flag("--flash-attn", ""), flag("--parallel", "4")]);
        assert_eq!(runner_of("llama serve -m x.gguf").program, RunnerProgram::LlamaServe);
        let mlx = runner_of("ollama runner --mlx-engine --model qwen3:4b-mlx --port 40001");
        assert_eq!((mlx.blob, mlx.model.as_deref()), (None, Some("qwen3:4b-mlx")));
    }

    #[test]
    fn a_value_may_follow_an_equals_sign() {
        let found = runner_of("ollama runner -port=7 --ctx-size=4096 --kv-cache-type=q8_0");
        assert_eq!((found.port, found.context), (Some(7), Some(4096)));
        assert_eq!(found.flags.last(), Some(&flag("--kv-cache-type", "q8_0")));
    }

    #[test]
    fn servers_and_strangers() {
        assert_eq!(recognised("/usr/bin/ollama serve"), Some(Recognised::Server));
        assert_eq!(recognised("ollama start"), Some(Recognised::Server));
        for stranger in ["ollama run llama3", "ollama", "vim llama-server", "sh -c ollama"] {
            assert_eq!(recognised(stranger), None, "{stranger}");
        }
        assert_eq!(recognise(&[]), None);
    }

    #[test]
    fn a_list_of_devices_carries_no_model() {
        let found = runner_of("/usr/lib/ollama/llama-server --list-devices");
        assert_eq!((found.blob, found.model), (None, None));
        assert_eq!(found.flags, [flag("--list-devices", "")]);
    }

    #[test]
    fn paths_and_secrets_do_not_survive() {
        let found = runner_of(
            "llama-server -m /home/anna/secret.gguf --mmproj /home/anna/p.gguf --api-key hunter2 \
             --lora /home/anna/l --load-mode /home/anna --port hunter2 --threads",
        );
        let kept = format!("{found:?}");
        assert!(!kept.contains("anna") && !kept.contains("hunter2"), "{kept}");
        assert_eq!(found.port, None);
        assert!(found.flags.contains(&flag("--mmproj", "")));
    }

    #[test]
    fn an_executable_in_ollamas_folder_is_ollamas() {
        use RunnerProgram::{LlamaServer, OllamaRunner};
        let cases = [
            ("/usr/local/lib/ollama/llama-server", LlamaServer, true),
            ("/usr/lib/ollama/llama-server (deleted)", LlamaServer, true),
            ("/Applications/Ollama.app/Contents/Resources/llama-server", LlamaServer, true),
            ("/home/anna/llama.cpp/llama-server", LlamaServer, false),
            ("/usr/bin/ollama", OllamaRunner, true),
            ("/usr/bin/ollama", LlamaServer, false),
        ];
        for (path, program, expected) in cases {
            assert_eq!(is_in_ollama_folder(Path::new(path), program), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_command_line_panics(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut prefixed = b"llama-server\0-c\0".to_vec();
            prefixed.extend(&line);
            recognise(&split(&line));
            prop_assert!(recognise(&split(&prefixed)).is_some());
        }
    }
}
