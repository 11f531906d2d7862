//! The section of modes: kinds of images that are over-represented or missing.

use ganscope_stats::{Features, Side};
use ganscope_vendi::{Kernel, Modes};
use serde::Serialize;

use super::causes::{Cause, percent};
use super::sets::{Kind, Labels, Member, Shown};
use crate::error::Result;

/// Images of each mode.
const IMAGES: usize = 25;
/// Cosines and sines of the Gaussian kernel.
const FREQUENCIES: usize = 256;
/// Modes this many times as large as the largest one by chance are no chance. That is known from one
/// drawing, and others have some that are twice as large.
const BEYOND: f64 = 2.5;
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
    /// The largest excess by chance: of the pooled images, drawn anew into two sets of the same sizes.
    pub by_chance: f64,
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

/// The kernels of the report, and the excess of their first modes by chance.
pub(super) struct Compared {
    kernel: Kernel,
    by_chance: f64,
}

impl Compared {
    /// The kernels for two sets, with what they find in `mixed` sets, which differ by chance alone.
    pub(super) fn all(
        reference: &Features,
        mixed: &[Features; 2],
        eta: f64,
        seed: u32,
    ) -> Result<Vec<Self>> {
        let kernels = [Kernel::Linear, Kernel::gaussian(reference, FREQUENCIES, seed)?];
        let compared = |kernel| {
            let modes = Modes::new(&mixed[0], &mixed[1], kernel, eta)?;
            let first = |side| modes.eigenvalues(side).first().copied().unwrap_or(0.0);
            let by_chance = first(Side::Generated).max(first(Side::Reference)).max(0.0);
            Ok(Self { kernel, by_chance })
        };
        kernels.into_iter().map(compared).collect()
    }
}

/// The excess up to which a mode may be chance.
fn beyond(by_chance: f64) -> f64 {
    (BEYOND * by_chance).max(LEAST)
}

impl ModeReport {
    /// The excess up to which a mode may be chance.
    pub fn beyond(&self) -> f64 {
        beyond(self.by_chance)
    }

    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        compared: &Compared,
        (eta, count): (f64, usize),
        labels: &Labels,
    ) -> Result<Self> {
        let Compared { kernel, by_chance } = *compared;
        let modes = Modes::new(generated.need_rows()?, reference.need_rows()?, kernel, eta)?;
        let of = |member: &Member, side: Side| -> Vec<ModeFound> {
            let found = modes.of(side, count, IMAGES).into_iter();
            let describe = |mode: ganscope_vendi::Mode| ModeFound {
                excess: mode.excess,
                beyond_chance: mode.excess > beyond(by_chance),
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
            by_chance,
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
                    class: kind.map(|kind| kind.class),
                }
            })
        })
    }
}
