//! The program `ganscope`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ganscope_cli::main()
}
