//! What was given to a verb, and the requests of the library that it fills.

use std::collections::BTreeSet;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ganscope::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request of the library that the arguments of a verb fill.
#[derive(Clone, Copy)]
pub(crate) struct Fills {
    /// The request without arguments.
    pub(crate) defaults: fn() -> Value,
    /// Fails if an argument is nothing for its field.
    pub(crate) check: fn(Given<'_>) -> Result<(), clap::Error>,
}

pub(crate) const fn fills<R: Request>() -> Fills {
    Fills { defaults: defaults::<R>, check: |given| given.filled::<R>().map(drop) }
}

/// Requests: plain data with defaults.
pub(crate) trait Request: Default + Serialize + DeserializeOwned {}

impl<R: Default + Serialize + DeserializeOwned> Request for R {}

fn defaults<R: Request>() -> Value {
    serde_json::to_value(R::default()).expect("requests are plain data")
}

/// The fields of a request that arguments fill, as JSON pointers, and the arguments.
///
/// The argument `batch` fills the outermost fields of that name; `drawing.batch` that one alone.
fn fields(verb: &Command, request: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), request, BTreeSet::new())];
    let has = |id: &String| verb.get_arguments().any(|arg| field_of(arg) == id);
    while let Some((path, request, outer)) = open.pop() {
        let Value::Object(below) = request else { continue };
        let names: BTreeSet<&String> = outer.iter().copied().chain(below.keys()).collect();
        for (name, field) in below {
            let path = format!("{path}/{name}");
            let id = name.replace('_', "-");
            let of_path = path[1..].replace('_', "-").replace('/', ".");
            if field.is_object() {
                open.push((path, field, names.clone()));
            } else if has(&of_path) {
                found.push((path, of_path));
            } else if !outer.contains(name) && has(&id) {
                found.push((path, id));
            }
        }
    }
    found
}

/// The verb with the defaults of a request in its help.
pub(crate) fn with_defaults(verb: Command, request: &Value) -> Command {
    let fields = fields(&verb, request);
    verb.mut_args(|arg| {
        let path = fields.iter().find(|(_, id)| arg.get_id() == id);
        let text = match path.and_then(|(path, _)| request.pointer(path)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string().trim_end_matches(".0").to_owned(),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            _ => return arg,
        };
        let is_open = !text.is_empty() && !arg.is_required_set();
        if is_open { arg.default_value(text) } else { arg }
    })
}

/// What was given to a verb.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    verb: &'a Command,
    matches: &'a ArgMatches,
}

impl<'a> Given<'a> {
    pub(crate) fn new(verb: &'a Command, matches: &'a ArgMatches) -> Self {
        Self { verb, matches }
    }

    /// The grammar of the verb.
    pub(crate) fn verb(&self) -> &'a Command {
        self.verb
    }

    /// What was given to the verb below this one, if there is one.
    pub(crate) fn below(&self) -> Option<Self> {
        let (name, matches) = self.matches.subcommand()?;
        Some(Self { verb: self.verb.find_subcommand(name)?, matches })
    }

    /// The request of these arguments.
    pub(crate) fn request<R: Request>(&self) -> Result<R> {
        self.filled().map_err(|error| Error::request(error.to_string()))
    }

    fn filled<R: Request>(&self) -> Result<R, clap::Error> {
        let mut request = defaults::<R>();
        for (path, id) in fields(self.verb, &request) {
            let Some(arg) = self.given(&id) else { continue };
            let tried = self.values(arg).into_iter().map(|value| {
                let mut filled = request.clone();
                *filled.pointer_mut(&path).expect("the field is there") = value;
                serde_json::from_value::<R>(filled.clone()).map(|_| filled)
            });
            let (mut fitting, mut problems) = (None, Vec::new());
            for outcome in tried {
                match outcome {
                    Ok(filled) if fitting.is_none() => fitting = Some(filled),
                    Ok(_) => {}
                    Err(error) => problems.push(error.to_string()),
                }
            }
            request = fitting.ok_or_else(|| self.refusal(arg, &problems))?;
        }
        serde_json::from_value(request).map_err(|error| clap_error(&error.to_string()))
    }

    /// The argument that was given for a field: `model`, or `model'` as another way to say it.
    fn given(&self, id: &str) -> Option<&'a Arg> {
        self.verb.get_arguments().find(|arg| {
            let source = self.matches.value_source(arg.get_id().as_str());
            field_of(arg) == id && source == Some(ValueSource::CommandLine)
        })
    }

    /// What an argument may mean: numbers before texts; a flag with a prime says no.
    fn values(&self, arg: &Arg) -> Vec<Value> {
        let id = arg.get_id().as_str();
        if let ArgAction::SetTrue = arg.get_action() {
            return vec![(!id.ends_with('\'')).into()];
        }
        let texts = self.texts(id).into_iter().map(Value::from);
        let numbers: Option<Vec<Value>> = self.texts(id).into_iter().map(number).collect();
        let several = matches!(arg.get_action(), ArgAction::Append);
        if several || arg.get_value_delimiter().is_some() {
            return numbers.map(Value::from).into_iter().chain([texts.collect()]).collect();
        }
        numbers.into_iter().flatten().chain(texts).collect()
    }

    /// Why the value of an argument is nothing for its field.
    fn refusal(&self, arg: &Arg, problems: &[String]) -> clap::Error {
        // The wrong kind of value says less than what is wrong with a value of the right one.
        let wrong_kind = |problem: &&String| problem.starts_with("invalid type");
        let problem = problems.iter().find(|p| !wrong_kind(p)).unwrap_or(&problems[0]);
        let problem = match problem.split_once(", expected ") {
            Some((start, "usize" | "u64")) if start.starts_with("invalid") => {
                "expected a whole number"
            }
            Some((start, "u32")) if start.starts_with("invalid") => {
                "expected a whole number below 2^32"
            }
            Some((start, "f32" | "f64")) if start.starts_with("invalid") => "expected a number",
            Some((_, "an array of length 2")) => "expected two numbers with a comma between them",
            _ => problem,
        };
        let given = self.texts(arg.get_id().as_str()).join(",");
        clap_error(&format!("invalid value '{given}' for '{arg}': {problem}"))
    }

    /// The text of an argument.
    pub(crate) fn text(&self, id: &str) -> Option<&'a str> {
        self.matches.get_one::<String>(id).map(String::as_str)
    }

    /// The texts of an argument.
    pub(crate) fn texts(&self, id: &str) -> Vec<&'a str> {
        self.matches.get_many::<String>(id).into_iter().flatten().map(String::as_str).collect()
    }

    /// The path in an argument that is required.
    pub(crate) fn path(&self, id: &str) -> std::path::PathBuf {
        self.text(id).unwrap_or_default().into()
    }

    /// Where the result goes as JSON: a file that can be written, or `-`.
    pub(crate) fn json(&self) -> Result<Option<&'a std::path::Path>> {
        let json = self.text("json").map(std::path::Path::new);
        let to_file = json.filter(|&path| path != std::path::Path::new("-"));
        to_file.map_or(Ok(()), ganscope::files::check_writable).map(|()| json)
    }

    /// Whether a flag was given.
    pub(crate) fn flag(&self, id: &str) -> bool {
        self.matches.get_flag(id)
    }
}

/// A usage error.
fn clap_error(text: &str) -> clap::Error {
    let text = format!("{text}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(ErrorKind::ValueValidation, text)
}

/// The field of an argument: its id without a prime.
fn field_of(arg: &Arg) -> &str {
    let id = arg.get_id().as_str();
    id.strip_suffix('\'').unwrap_or(id)
}

/// A text as a finite number.
fn number(text: &str) -> Option<Value> {
    let whole =
        text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from));
    whole.ok().or_else(|| Some(text.parse().ok().filter(|number: &f64| number.is_finite())?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;

    #[test]
    fn an_argument_fills_the_outermost_fields_of_its_name() {
        let verb =
            page::command("v", "V\n\n# Arguments\n--batch N\n    B\n--other N  id=b.num\n    O");
        let request =
            serde_json::json!({ "b": { "batch": 1, "num": 2 }, "c": { "batch": 3, "num": 4 } });
        let filled = |request: &Value| {
            let mut fields = fields(&verb, request);
            fields.sort();
            fields.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        assert_eq!(filled(&request), ["/b/batch", "/b/num", "/c/batch"]);
        let mut outer = request;
        outer["batch"] = 5.into();
        assert_eq!(filled(&outer), ["/b/num", "/batch"]);
    }
}
