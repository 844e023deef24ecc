//! The binary: parse, run, say what went wrong, end with the right code.

use std::process::ExitCode;

fn main() -> ExitCode {
    plimsoll::cli::main()
}
