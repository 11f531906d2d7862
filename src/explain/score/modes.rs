//! The section of modes: kinds of images that are over-represented or missing.

use ganscope_stats::{Features, Side};
use ganscope_vendi::{Kernel, Modes};
use serde::Serialize;

use super::ExplainScoreRequest;
use super::causes::{Cause, percent};
use super::chance::{ByChance, DRAWS, LEADING, LEVEL};
use super::sets::{Kind, Labels, Member, Shown};
use crate::error::Result;

/// Images of each mode.
const IMAGES: usize = 25;
/// Cosines and sines of the Gaussian kernel.
const FREQUENCIES: usize = 256;
/// Share of images below which a mode is no cause, whatever chance would give.
const LEAST: f64 = 0.01;

/// What two sets differ in by one kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeReport {
    /// Name of the kernel: `cosine` or `Gaussian`.
    pub kernel: &'static str,
    /// Width of the Gaussian kernel.
    pub sigma: Option<f64>,
    /// The factor that a kind must be more frequent by.
    pub eta: f64,
    /// What chance does to the largest excess.
    pub chance: ByChance,
    /// Kinds that generated images have too many of.
    pub over_represented: Vec<ModeFound>,
    /// Kinds that generated images have too few of, shown by reference images.
    pub missing: Vec<ModeFound>,
}

/// A kind of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeFound {
    /// By which share of the images it is more frequent in one set, at least.
    pub excess: f64,
    /// Whether that is more than by chance.
    pub beyond_chance: bool,
    /// The class of most of its images.
    pub kind: Option<Kind>,
    /// The images that show it most clearly.
    pub images: Vec<Shown>,
}

/// The kernels of the report, by what they find in the reference.
pub(super) fn kernels(reference: &Features, seed: u32) -> Result<[Kernel; 2]> {
    Ok([Kernel::Linear, Kernel::gaussian(reference, FREQUENCIES, seed)?])
}

impl ModeReport {
    /// The excess up to which a mode may be chance, or is too rare to be called a cause.
    pub fn limit(&self) -> f64 {
        self.chance.limit.max(LEAST)
    }

    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        kernel: Kernel,
        request: &ExplainScoreRequest,
        labels: &Labels,
    ) -> Result<Self> {
        let ExplainScoreRequest { eta, modes: count, seed, .. } = *request;
        let modes = Modes::new(generated.need_rows()?, reference.need_rows()?, kernel, eta)?;
        let chance = modes.chance(LEADING, DRAWS, seed)?;
        let of = |member: &Member, side: Side| -> Vec<ModeFound> {
            let found = modes.of(side, count, IMAGES).into_iter();
            let describe = |mode: ganscope_vendi::Mode| ModeFound {
                excess: mode.excess,
                beyond_chance: mode.excess > LEAST && chance.is_exceeded(mode.excess, LEVEL),
                kind: member.kind(&mode.images, labels),
                images: member.shown(&mode.images),
            };
            found.map(describe).collect()
        };
        let (kernel, sigma) = match kernel {
            Kernel::Linear => ("cosine", None),
            Kernel::Gaussian { sigma, .. } => ("Gaussian", Some(sigma)),
        };
        Ok(Self {
            kernel,
            sigma,
            eta,
            chance: ByChance::of(&chance),
            over_represented: of(generated, Side::Generated),
            missing: of(reference, Side::Reference),
        })
    }

    /// The modes that are no chance.
    pub(super) fn causes(&self) -> impl Iterator<Item = Cause> + '_ {
        let both = [(&self.missing, "are missing"), (&self.over_represented, "are too many")];
        both.into_iter().flat_map(|(modes, what)| {
            let beyond = modes.iter().filter(|mode| mode.beyond_chance);
            beyond.map(move |mode| {
                let kind = mode.kind.as_ref();
                let like = kind.map_or("of one kind".to_owned(), |kind| {
                    format!("like those of {}", kind.title)
                });
                Cause {
                    text: format!(
                        "Pictures {like} {what}: at least {} of all.",
                        percent(mode.excess)
                    ),
                    section: "modes",
                    share: mode.excess,
                    part: None,
                    class: kind.map(|kind| kind.class),
                }
            })
        })
    }
}
