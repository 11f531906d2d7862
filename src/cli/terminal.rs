//! The only place that prints: data to standard output, all else to standard error.

use std::io::Write as _;
use std::time::Duration;

use anstream::{eprintln, stdout};
use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::hint::Hint;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Standard output and standard error, with or without notices.
#[derive(Debug)]
pub(crate) struct Terminal {
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Prints data; a reader that went away is no error.
    #[expect(clippy::unused_self, reason = "data goes out whatever the terminal is like")]
    pub(crate) fn data(&self, text: &str) -> Result<()> {
        match stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("write to standard output"),
        }
    }

    /// Tells what is going on.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Tells what makes a number doubtful.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            eprintln!("{WARNING}warning:{WARNING:#} {text}");
        }
    }

    /// Prints an error as one chain, and the way out where one is known.
    #[expect(clippy::unused_self, reason = "errors are told even when it is quiet")]
    pub(crate) fn error(&self, error: &Error) {
        eprintln!("{ERROR}error:{ERROR:#} {error:#}");
        if let Some(hint) = error.hint() {
            eprintln!("{HINT}hint:{HINT:#} {hint}");
        }
    }

    /// A bar over `len` things that `what` names, with rate and time left.
    pub(crate) fn bar(&self, len: usize, what: &str) -> ProgressBar {
        self.progress(len as u64, what, "{pos:>6}/{len} {per_sec:>12} {eta:>5} left")
    }

    /// A bar over the bytes of a download.
    pub(crate) fn bytes(&self, len: u64, what: &str) -> ProgressBar {
        self.progress(len, what, "{bytes}/{total_bytes} {bytes_per_sec} {eta:>5} left")
    }

    fn progress(&self, len: u64, what: &str, counts: &str) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(5)
        };
        let template = format!("{{prefix:<24!}} {{bar:30.cyan/dim}} {counts}");
        let style = ProgressStyle::with_template(&template).expect("the template is valid");
        let bar = ProgressBar::with_draw_target(Some(len), target);
        bar.set_style(style.progress_chars("━━─"));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar.with_prefix(what.to_owned())
    }
}
