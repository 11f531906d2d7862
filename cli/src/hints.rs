//! Advice of the library, worded with the flags of a verb.

use clap::Command;
use ganscope::Hint;

use crate::given::Given;

/// The program and the verb that was called.
#[derive(Debug)]
pub(crate) struct Verb {
    program: Command,
    path: Vec<String>,
}

impl Verb {
    /// The verb that was called.
    pub(crate) fn of(mut given: Given<'_>) -> Self {
        let program = given.verb().clone();
        let mut path = Vec::new();
        while let Some(below) = given.below() {
            path.push(below.verb().get_name().to_owned());
            given = below;
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
    let is_of = |id: &str| id.replace(['-', '.'], "_") == field;
    let arg =
        verb.get_arguments().find(|arg| is_of(arg.get_id().as_str()) && !arg.is_hide_set())?;
    let names = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = names.and_then(|names| names.first());
    match (arg.get_long(), value) {
        (Some(long), Some(value)) => Some(format!("--{long} {value}")),
        (Some(long), None) => Some(format!("--{long}")),
        (None, value) => value.map(ToString::to_string),
    }
}
