//! The only place that prints: data to standard output, everything else to standard error.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::Path;

use anstream::{eprintln, stdout};
use anstyle::{AnsiColor, Style};
use ganscope::{Error, Hint, Result, Step, Warning, Watch};

use crate::hints::Verb;
use crate::progress::Progress;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// A text whose control characters are shown, not obeyed: names in files could steer the terminal.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        c.is_control() && c != '\n' && c != '\t' || ('\u{202A}'..='\u{202E}').contains(&c)
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let show = |c: char| if obeyed(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(show).collect::<String>().into()
}

/// Standard output and standard error; the observer of every task.
#[derive(Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    verb: Verb,
    progress: Option<Progress>,
    warned: Vec<Warning>,
}

impl Terminal {
    pub(crate) fn new(quiet: bool, verb: Verb) -> Self {
        Self { quiet, verb, progress: None, warned: Vec::new() }
    }

    /// Prints data; a reader that went away is no error.
    #[expect(clippy::unused_self, reason = "data goes out whatever the terminal is like")]
    pub(crate) fn data(&self, text: &str) -> Result<()> {
        match stdout().write_all(shown(text).as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        }
    }

    /// Prints JSON, or writes it to a file that is whole or not there.
    pub(crate) fn json(&self, value: &impl serde::Serialize, to: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        match to {
            path if path == Path::new("-") => self.data(&text),
            path => ganscope::files::write_text(path, &text),
        }
    }

    /// Writes a result as JSON where that was asked for, and prints it as text unless the JSON went to
    /// standard output.
    pub(crate) fn result(
        &self,
        value: &impl serde::Serialize,
        json: Option<&Path>,
        text: &str,
    ) -> Result<()> {
        json.map_or(Ok(()), |path| self.json(value, path))?;
        if json == Some(Path::new("-")) { Ok(()) } else { self.data(text) }
    }

    /// Prints an error as one chain, and advice where the verb can follow it.
    pub(crate) fn error(&mut self, error: &Error) {
        self.finished();
        eprintln!("{ERROR}error:{ERROR:#} {}", shown(&error.report()));
        self.print_hint(error.hint().as_ref());
    }

    /// Prints advice that the verb can follow.
    fn print_hint(&self, hint: Option<&Hint>) {
        if let Some(hint) = hint.and_then(|hint| self.verb.word(hint)) {
            eprintln!("{HINT}hint:{HINT:#} {}", shown(&hint));
        }
    }

    fn print_warning(&self, warning: &Warning) {
        eprintln!("{WARNING}warning:{WARNING:#} {}", shown(&warning.text));
        self.print_hint(warning.hint.as_ref());
    }
}

impl Watch for Terminal {
    fn step(&mut self, step: Step<'_>) {
        if self.quiet {
            return;
        }
        if !self.progress.as_ref().is_some_and(|progress| progress.is_of(&step)) {
            self.finished();
            self.progress = Some(Progress::new(&step));
        }
        if let Some(progress) = &mut self.progress {
            progress.show(&step);
        }
    }

    fn finished(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }

    fn warn(&mut self, warning: &Warning) {
        if self.warned.contains(warning) {
            return;
        }
        match &self.progress {
            Some(progress) => progress.suspend(|| self.print_warning(warning)),
            None => self.print_warning(warning),
        }
        self.warned.push(warning.clone());
    }

    fn note(&mut self, note: &str) {
        let print = || eprintln!("{}", shown(note));
        match &self.progress {
            _ if self.quiet => {}
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }
}
