//! Pages of help, which are the grammar of the verbs.
//!
//! A page says what a verb does, lists its arguments below headings, and ends with examples. An
//! argument is a line `-o, --output, --outdir FILE` (further long names are aliases, no value makes a
//! flag) or `IMAGE...` (at a place, here several), then its help, indented. After two blanks follow
//! its properties: `id=NAME` is the field of the request that it fills, instead of its first long name;
//! `else=VALUE` is its value where none is given;
//! `rare` leaves it out of the short help; `list` has commas between its values. `@features` includes
//! the arguments of a page that verbs share.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use ganscope::catalog::{DISTANCES, EXTRACTORS, preset_names};

const EXAMPLES: &str = "# Examples\n";

/// The verb of a page.
pub(crate) fn command(name: &'static str, page: &'static str) -> Command {
    let (text, examples) = page.split_once(EXAMPLES).unwrap_or((page, ""));
    let (about, arguments) = text.split_at(text.find("# ").unwrap_or(text.len()));
    let verb = with_arguments(Command::new(name).about(short(about)), arguments, None);
    let verb =
        if about.trim().contains("\n\n") { verb.long_about(paragraphs(about)) } else { verb };
    match examples.trim_end() {
        "" => verb,
        examples => verb.after_help(format!("Examples:\n{examples}")),
    }
}

/// The first paragraph.
fn short(text: &str) -> String {
    paragraphs(text.split("\n\n").next().unwrap_or_default())
}

/// Paragraphs without the breaks of their lines.
fn paragraphs(text: &str) -> String {
    let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim().split("\n\n").map(words).collect::<Vec<_>>().join("\n\n")
}

fn with_arguments(mut verb: Command, text: &'static str, heading: Option<&'static str>) -> Command {
    let mut heading = heading;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("# ") {
            heading = Some(name).filter(|&name| name != "Arguments");
        } else if let Some(page) = line.strip_prefix('@') {
            verb = with_arguments(verb, shared(page), heading);
        } else if !line.is_empty() {
            let mut help = String::new();
            while let Some(line) = lines.next_if(|l| l.is_empty() || l.starts_with(' ')) {
                help.extend([line.trim(), "\n"]);
            }
            let mut argument = argument(line).help(short(&help)).help_heading(heading);
            if help.trim().contains("\n\n") {
                argument = argument.long_help(paragraphs(&help));
            }
            // What a verb says of an argument itself counts.
            if verb.get_arguments().all(|other| other.get_id() != argument.get_id()) {
                verb = verb.arg(argument);
            }
        }
    }
    verb
}

/// A page of arguments that verbs share.
fn shared(page: &str) -> &'static str {
    match page {
        "classifier" => include_str!("../help/shared/classifier.txt"),
        "drawing" => include_str!("../help/shared/drawing.txt"),
        "features" => include_str!("../help/shared/features.txt"),
        "generator" => include_str!("../help/shared/generator.txt"),
        "limits" => include_str!("../help/shared/limits.txt"),
        "metrics" => include_str!("../help/shared/metrics.txt"),
        "model" => include_str!("../help/shared/model.txt"),
        "target" => include_str!("../help/shared/target.txt"),
        other => unreachable!("no page `{other}`"),
    }
}

/// The argument of a line.
fn argument(line: &'static str) -> Arg {
    let (names, properties) = line.split_once("  ").unwrap_or((line, ""));
    let mut arg = Arg::new("").action(ArgAction::SetTrue);
    for word in names.split(' ').map(|word| word.trim_end_matches(',')) {
        arg = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) if arg.get_long().is_none() => arg.id(long).long(long),
            (Some(alias), _) => arg.visible_alias(alias),
            (None, Some(short)) => arg.short(short.chars().next()),
            (None, None) => value(arg, word),
        };
    }
    properties.split_whitespace().fold(arg, property)
}

/// The same argument with a value; without a name before it, at a place.
fn value(arg: Arg, word: &'static str) -> Arg {
    let name = word.trim_end_matches("...");
    let is_placed = arg.get_long().is_none();
    let arg = arg.value_name(name).action(ArgAction::Set).allow_negative_numbers(!is_placed);
    let arg = if is_placed { arg.id(name.to_lowercase()).required(true) } else { arg };
    if name == word { arg } else { arg.num_args(1..).action(ArgAction::Append) }
}

/// The same argument with a property.
fn property(arg: Arg, property: &'static str) -> Arg {
    let (name, value) = property.split_once('=').unwrap_or((property, ""));
    match name {
        "id" => arg.id(value),
        "required" => arg.required(true),
        "optional" => arg.required(false),
        "unless" => arg.required(false).required_unless_present(value),
        "requires" => arg.requires(value),
        "conflicts" => arg.conflicts_with(value),
        "else" => arg.num_args(0..=1).default_missing_value(value),
        "many" => arg.action(ArgAction::Append),
        "list" if arg.is_positional() => arg.value_delimiter(','),
        "list" => arg.action(ArgAction::Append).value_delimiter(','),
        "among" => arg.value_parser(among(value)),
        "signed" => arg.allow_hyphen_values(true),
        "rare" => arg.hide_short_help(true),
        "hidden" => arg.hide(true),
        "global" => arg.global(true),
        other => unreachable!("no property `{other}`"),
    }
}

/// Names that an argument may have.
fn among(kind: &str) -> PossibleValuesParser {
    match kind {
        "distances" => DISTANCES.iter().map(|entry| entry.name).collect::<Vec<_>>(),
        "extractors" => EXTRACTORS.iter().map(|entry| entry.name).collect(),
        "presets" => preset_names(),
        "shells" => vec!["bash", "elvish", "fish", "powershell", "zsh"],
        other => unreachable!("no names of {other}"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pages_are_a_grammar() {
        crate::command().debug_assert();
    }
}
