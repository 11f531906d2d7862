//! Counts of pairs, and the errors of the shares that they make.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use ganscope_neighbors::Neighbor;
use ganscope_stats::{Result, Uncertainty};

use crate::Manifolds;

/// The uncertainty of each of the numbers of [`Manifolds`].
///
/// Precision is the share of independent images in a given manifold, and density a mean over them.
/// The others are changed by an image through more than itself, so their errors come from the
/// jackknife: what the number would be without each of the generated images, in closed form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertainties {
    /// Of the precision: Wilson's interval.
    pub precision: Uncertainty,
    /// Of the recall.
    pub recall: Uncertainty,
    /// Of the density.
    pub density: Uncertainty,
    /// Of the coverage.
    pub coverage: Uncertainty,
    /// Of the harmonic mean of precision and recall.
    pub f_score: Uncertainty,
}

/// Findings about each image; threads only ever add to them.
pub(crate) struct Counts {
    /// For each generated image the reference balls around it.
    balls: Vec<AtomicU32>,
    /// For each reference image the generated images in its ball.
    covering: Vec<Members>,
    /// For each reference image the generated balls around it.
    recalling: Vec<Members>,
    /// Reference images beyond a generated ball, but within it if it lost one of its neighbors.
    shell: Mutex<Vec<(usize, usize)>>,
}

/// A number of generated images, and which one if there is one only.
#[derive(Default)]
struct Members {
    count: AtomicU32,
    /// The exclusive or of their indices.
    indices: AtomicU64,
}

impl Members {
    fn add(&self, index: usize) {
        self.count.fetch_add(1, Relaxed);
        self.indices.fetch_xor(index as u64, Relaxed);
    }

    fn any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    fn only(&self) -> Option<usize> {
        (self.count.load(Relaxed) == 1).then(|| self.indices.load(Relaxed) as usize)
    }
}

impl Counts {
    pub(crate) fn new(generated: usize, reference: usize) -> Self {
        let members = || (0..reference).map(|_| Members::default()).collect();
        let balls = (0..generated).map(|_| AtomicU32::new(0)).collect();
        let (covering, recalling, shell) = (members(), members(), Mutex::default());
        Self { balls, covering, recalling, shell }
    }

    pub(crate) fn in_reference_ball(&self, reference: usize, generated: usize) {
        self.balls[generated].fetch_add(1, Relaxed);
        self.covering[reference].add(generated);
    }

    pub(crate) fn in_generated_ball(&self, reference: usize, generated: usize) {
        self.recalling[reference].add(generated);
    }

    pub(crate) fn near_generated_ball(&self, reference: usize, generated: usize) {
        // With more than one ball around it, no single image decides.
        if self.recalling[reference].count.load(Relaxed) < 2 {
            let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
            shell.push((reference, generated));
        }
    }

    pub(crate) fn manifolds(&self, nearest_k: usize) -> Manifolds {
        let share = |members: &[Members]| {
            members.iter().filter(|m| m.any()).count() as f64 / members.len() as f64
        };
        let n = self.balls.len() as f64;
        let balls = self.balls.iter().map(|balls| u64::from(balls.load(Relaxed)));
        Manifolds {
            precision: balls.clone().filter(|&balls| balls > 0).count() as f64 / n,
            recall: share(&self.recalling),
            density: balls.sum::<u64>() as f64 / (nearest_k as f64 * n),
            coverage: share(&self.covering),
        }
    }

    /// The errors, with the nearest neighbors of each generated image, of which `k` make the ball.
    pub(crate) fn errors(
        self,
        found: Manifolds,
        neighbors: &[Vec<Neighbor>],
        k: usize,
    ) -> Result<Uncertainties> {
        let n = self.balls.len();
        let reference = self.covering.len() as f64;
        let balls: Vec<f64> = self.balls.iter().map(|b| f64::from(b.load(Relaxed))).collect();
        let mut covered = vec![0.0; n];
        for members in &self.covering {
            if let Some(image) = members.only() {
                covered[image] -= 1.0 / reference;
            }
        }
        let recalled = self.recall_without_each(neighbors, k, reference);
        let precise: Vec<f64> = balls.iter().map(|&b| f64::from(u8::from(b > 0.0))).collect();
        let without = (0..n).map(|i| {
            let precision = (found.precision * n as f64 - precise[i]) / (n as f64 - 1.0);
            Manifolds { precision, recall: found.recall + recalled[i], ..found }.f_score()
        });
        let f_scores: Vec<f64> = without.collect();
        let density: Vec<f64> = balls.iter().map(|b| b / k as f64).collect();
        Ok(Uncertainties {
            precision: Uncertainty::share(found.precision, n),
            recall: jackknife(found.recall, &recalled),
            density: Uncertainty::of_mean(&density)?,
            coverage: jackknife(found.coverage, &covered),
            f_score: jackknife(found.f_score(), &f_scores),
        })
    }

    /// By how much the recall is larger without each generated image. Its ball is gone, and the
    /// balls of which it is one of the nearest neighbors reach to the next.
    fn recall_without_each(
        self,
        neighbors: &[Vec<Neighbor>],
        k: usize,
        reference: f64,
    ) -> Vec<f64> {
        let mut change = vec![0.0; neighbors.len()];
        let near = |ball: usize| neighbors[ball].iter().take(k).map(|n| n.row);
        let (mut gained, mut kept) = (HashSet::new(), HashSet::new());
        for (image, ball) in self.shell.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match self.recalling[image].only() {
                Some(only) if near(ball).any(|neighbor| neighbor == only) => {
                    kept.insert(image);
                }
                None if !self.recalling[image].any() => {
                    gained.extend(near(ball).map(|neighbor| (image, neighbor)));
                }
                _ => {}
            }
        }
        for (_, generated) in gained {
            change[generated] += 1.0 / reference;
        }
        for (image, members) in self.recalling.iter().enumerate() {
            if let Some(only) = members.only().filter(|_| !kept.contains(&image)) {
                change[only] -= 1.0 / reference;
            }
        }
        change
    }
}

/// The uncertainty of a share, from its values without each image or what they add to a constant.
pub(crate) fn jackknife(value: f64, without: &[f64]) -> Uncertainty {
    let n = without.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    let squares: f64 = without.iter().map(|v| (v - mean).powi(2)).sum();
    let mut known = Uncertainty::normal(value, (squares * (n - 1.0) / n).sqrt());
    known.interval = known.interval.map(|end| end.clamp(0.0, 1.0));
    known
}
