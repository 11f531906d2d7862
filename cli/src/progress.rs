//! Progress of long tasks: a bar in a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use anstream::eprintln;
use ganscope::{Step, Unit};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::shown;

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(20);
/// Width of the name of a part.
const NAME: usize = 22;

/// The progress of one part of a task.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    began: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show a part.
    pub(crate) fn new(step: &Step<'_>) -> Self {
        let now = Instant::now();
        let bar = stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(5);
            let bar = ProgressBar::with_draw_target(step.total, target);
            let template = format!("{{prefix:<{NAME}!}} {{wide_bar:.cyan/dim}} {{msg}}");
            let style = ProgressStyle::with_template(&template).expect("the template is valid");
            bar.set_style(style.progress_chars("━━─"));
            bar.set_prefix(shown(step.what).into_owned());
            bar
        });
        Self { what: step.what.to_owned(), began: now, told: now, bar }
    }

    /// Whether it shows the part of `step`.
    pub(crate) fn is_of(&self, step: &Step<'_>) -> bool {
        self.what == step.what
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, step: &Step<'_>) {
        let text = text(step, self.began.elapsed());
        match &self.bar {
            Some(bar) => {
                bar.set_position(step.done);
                bar.set_message(text);
            }
            None if self.told.elapsed() >= PAUSE => {
                eprintln!("{}: {text}", shown(&self.what));
                self.told = Instant::now();
            }
            None => {}
        }
    }

    /// Runs `print` without the bar in its way.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `120/1200, 43.1/s, 25 s left`; what an earlier run did does not count as speed.
fn text(step: &Step<'_>, elapsed: Duration) -> String {
    let amount = |n: u64| match step.unit {
        Unit::Items => n.to_string(),
        Unit::Bytes => HumanBytes(n).to_string(),
    };
    let total = step.total.map(|total| format!("/{}", amount(total))).unwrap_or_default();
    let now = step.done.saturating_sub(step.resumed) as f64;
    let rate = now / elapsed.as_secs_f64().max(1e-9);
    if now == 0.0 || elapsed < Duration::from_millis(200) {
        return format!("{}{total}", amount(step.done));
    }
    let speed = match step.unit {
        Unit::Bytes => HumanBytes(rate as u64).to_string(),
        Unit::Items if rate >= 100.0 => format!("{rate:.0}"),
        Unit::Items if rate >= 10.0 => format!("{rate:.1}"),
        Unit::Items => format!("{rate:.2}"),
    };
    let left = step.total.map(|total| total.saturating_sub(step.done) as f64 / rate);
    let left = left.map(|left| format!(", {} left", duration(left))).unwrap_or_default();
    format!("{}{total}, {speed}/s{left}", amount(step.done))
}

/// `45 s`, `3 min`, `2.5 h`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: u64, resumed: u64) -> Step<'static> {
        Step { what: "x", done, resumed, total: Some(160), unit: Unit::Items }
    }

    #[test]
    fn rates_are_short_and_leave_out_what_was_there_before() {
        let text = |step| text(&step, Duration::from_secs(3));
        assert_eq!(text(step(32, 0)), "32/160, 10.7/s, 12 s left");
        assert_eq!(text(step(132, 100)), "132/160, 10.7/s, 3 s left");
        assert_eq!(text(step(100, 100)), "100/160");
        let bytes = Step { unit: Unit::Bytes, total: None, ..step(3 << 20, 0) };
        assert_eq!(text(bytes), "3.00 MiB, 1.00 MiB/s");
    }

    #[test]
    fn a_line_fits_in_eighty_columns() {
        let far = Step { total: Some(10_000_000), ..step(9_999_999, 0) };
        let line = text(&far, Duration::from_secs(70_000));
        assert!(NAME + 1 + 10 + 1 + line.len() < 80, "{line}");
    }
}
