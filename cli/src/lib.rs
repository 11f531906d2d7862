//! The program `ganscope`: arguments become requests of the library, results become tables and files.

mod arguments;
mod hints;
mod progress;
mod table;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use terminal::Terminal;
use verbs::Cli;

/// The grammar of the command line.
pub fn command() -> Command {
    Cli::command()
}

/// Runs the program. Exits with 0 on success, 1 on failure, 2 on a usage error.
pub fn main() -> ExitCode {
    let mut command = command();
    let matches = command.get_matches_mut();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.format(&mut command).exit(),
    };
    let mut terminal = Terminal::new(cli.is_quiet(), hints::Verb::of(command, &matches));
    match cli.run(&mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error);
            ExitCode::FAILURE
        }
    }
}
