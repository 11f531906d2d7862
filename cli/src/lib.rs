//! The program `ganscope`: arguments become requests of the library, results become tables and files.

mod given;
mod hints;
mod page;
mod progress;
mod table;
mod terminal;
mod verbs;

use std::process::ExitCode;

use ganscope::{Error, Result};

use given::Given;
use terminal::Terminal;

/// The grammar of the command line.
pub fn command() -> clap::Command {
    verbs::program()
}

/// Why the program does not understand its arguments; nothing if it does.
pub fn refusal(arguments: &[String]) -> Option<clap::Error> {
    let mut program = command();
    match program.try_get_matches_from_mut(arguments) {
        Ok(matches) => verbs::check(Given::new(&program, &matches)).err(),
        Err(error) => Some(error),
    }
}

/// Runs the program. Exits with 0 on success, 1 on failure, 2 on a usage error.
pub fn main() -> ExitCode {
    ganscope::keep_memory();
    let mut program = command();
    let matches = program.get_matches_mut();
    let given = Given::new(&program, &matches);
    if let Err(error) = verbs::check(given) {
        error.exit();
    }
    let mut terminal = Terminal::new(given.flag("quiet"), hints::Verb::of(given));
    match start_threads(given).and_then(|()| verbs::run(given, &mut terminal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start_threads(given: Given<'_>) -> Result<()> {
    let threads = match given.text("threads") {
        None => 0,
        Some(threads) => {
            let threads = threads.parse().ok().filter(|threads| (1..=1024).contains(threads));
            threads.ok_or_else(|| Error::request("expected 1 to 1024 threads"))?
        }
    };
    ganscope::pool(threads).build_global().map_err(|error| Error::request(error.to_string()))
}
