//! Advice of the library, worded with the flags of a verb.

use clap::{Arg, ArgMatches, Command};
use ganscope::Hint;

/// The program and the verb that was called.
#[derive(Debug)]
pub(crate) struct Verb {
    program: Command,
    path: Vec<String>,
}

impl Verb {
    /// The verb that `matches` are of.
    pub(crate) fn of(program: Command, mut matches: &ArgMatches) -> Self {
        let mut path = Vec::new();
        while let Some((name, below)) = matches.subcommand() {
            path.push(name.to_owned());
            matches = below;
        }
        Self { program, path }
    }

    fn command(&self) -> &Command {
        self.path
            .iter()
            .fold(&self.program, |verb, name| verb.find_subcommand(name).unwrap_or(verb))
    }

    /// A hint in words, unless it refers to something that the verb does not have.
    pub(crate) fn word(&self, hint: &Hint) -> Option<String> {
        hint.words(&mut |task, field| match (task, field) {
            (None, field) => flag(self.command(), field?).map(|flag| format!("`{flag}`")),
            (Some(task), field) => {
                let verb = self.program.find_subcommand(task.replace('_', "-"))?;
                let flag = field.map(|field| flag(verb, field)).map(|flag| flag.ok_or(()));
                let flag = flag.transpose().ok()?;
                let flag = flag.map(|flag| format!(" {flag}")).unwrap_or_default();
                Some(format!("`ganscope {}{flag}`", verb.get_name()))
            }
        })
    }
}

/// How the argument for a field of a request is written.
fn flag(verb: &Command, field: &str) -> Option<String> {
    let arg = verb.get_arguments().find(|arg| arg.get_id() == field && !arg.is_hide_set())?;
    let value = || {
        let name = arg.get_value_names()?.first()?;
        arg.get_action().takes_values().then(|| name.to_string())
    };
    match (arg.get_long(), value()) {
        (Some(long), Some(value)) => Some(format!("--{long} {value}")),
        (Some(long), None) => Some(format!("--{long}")),
        (None, value) => value.or_else(|| Some(Arg::get_id(arg).as_str().to_uppercase())),
    }
}
