//! Ways out: advice that goes with an error.

use std::fmt;

/// An error together with the way out of it.
#[derive(Debug)]
struct Advised {
    message: String,
    advice: String,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Advised {}

/// An error with a `hint:` line.
pub fn advised(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Advised { message: message.into(), advice: hint.into() }.into()
}

/// The way out of an error, where one is known.
pub trait Hint {
    /// Advice for the person at the terminal.
    fn hint(&self) -> Option<String>;
}

impl Hint for anyhow::Error {
    fn hint(&self) -> Option<String> {
        self.chain().find_map(|cause| {
            let advised = cause.downcast_ref::<Advised>().map(|a| a.advice.clone());
            advised
                .or_else(|| cause.downcast_ref::<ganscope_stats::Error>().and_then(of_stats))
                .or_else(|| cause.downcast_ref::<ganscope_explain::Error>().and_then(of_explain))
                .or_else(|| cause.downcast_ref::<ganscope_weights::Error>()?.hint())
                .or_else(|| of_generator(cause.downcast_ref()?))
        })
    }
}

fn of_generator(error: &ganscope_stylegan::Error) -> Option<String> {
    use ganscope_stylegan::Error;
    match error {
        Error::NotAGenerator { .. } => Some(
            "give a generator: BigGAN-deep, or StyleGAN 1, 2 or 3 as NVIDIA snapshot, state dict or \
             safetensors; `ganscope inspect FILE` shows what a file holds"
                .into(),
        ),
        Error::Undetermined { example, .. } => Some(format!(
            "give a JSON file with `--config FILE`; for the published networks it is `{example}`"
        )),
        _ => error.hint(),
    }
}

fn of_explain(error: &ganscope_explain::Error) -> Option<String> {
    use ganscope_explain::Error;
    match error {
        Error::Unsuited { method: "CAM", .. } => {
            Some("`grad-cam` shows the same for any network".into())
        }
        _ => None,
    }
}

fn of_stats(error: &ganscope_stats::Error) -> Option<String> {
    use ganscope_stats::Error;
    match error {
        Error::TooFewSamples { what, .. } if what.contains("subset") => Some(
            "take smaller subsets with `--kid-subset-size N`, or name other `--metrics`".into(),
        ),
        Error::Missing { .. } => {
            Some("give images, or statistics that hold it (`ganscope stats --rows`)".into())
        }
        _ => None,
    }
}
