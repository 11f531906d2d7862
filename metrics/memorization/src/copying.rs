//! The data-copying test of three samples.

use ganscope_neighbors::{Frame, Packed, Rows, check, nearest_of};
use ganscope_stats::linalg::{symmetric_eigen, tr_mul};
use ganscope_stats::{
    Error, FeatureSet, FeatureStats, Features, LeastImages, Metric, Needs, Result, Score, Side,
    check_parameter,
};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::means::{Clusters, cluster};

/// Settings of [`data_copying`]; the default is that of dgm-eval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataCopying {
    /// Principal components of the training images that features are reduced to, if they are more.
    pub components: usize,
    /// Cells into which the training images are clustered.
    pub cells: usize,
    /// Clusterings, of which the best is taken.
    pub starts: usize,
    /// Generated images that a cell must have more of to count.
    pub fewest: usize,
    /// Seed of the clusterings.
    pub seed: u32,
}

impl DataCopying {
    /// dgm-eval: 64 components, three cells, the best of ten clusterings, more than 20 generated images.
    pub const DGM_EVAL: Self = Self { components: 64, cells: 3, starts: 10, fewest: 20, seed: 0 };
}

impl Default for DataCopying {
    fn default() -> Self {
        Self::DGM_EVAL
    }
}

/// One cell of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Mann-Whitney statistic in standard deviations: far below zero where generated images are
    /// nearer to training images than held-out ones are; zero in a cell without any of a kind.
    pub z: f64,
    /// Its training, held-out and generated images.
    pub images: [usize; 3],
}

/// The score of the data-copying test with its cells: generated images that are nearer to the
/// training images than held-out images are make it negative, below -3 or so by more than chance.
///
/// The training images are clustered into cells. In each cell, the distances of generated images to
/// the nearest training image of the cell are compared with those of held-out images by the statistic
/// `U` of Mann and Whitney, `z = (U - (n m / 2 - 1/2)) / sqrt(n m (n + m + 1) / 12)`. The score is the
/// mean of `z` over the cells with enough generated images, weighted by their held-out images.
///
/// Meehan et al., "A Non-Parametric Test to Detect Data-Copying in Generative Models", 2020,
/// <https://arxiv.org/abs/2004.05675>. As in dgm-eval.
///
/// # Errors
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width, [`NotFinite`](ganscope_stats::Error::NotFinite) for features that are not
/// finite, [`TooFewImages`](ganscope_stats::Error::TooFewImages) for fewer training images than cells, [`Parameter`](ganscope_stats::Error::Parameter) for
/// options out of their range.
pub fn data_copying(
    generated: &Features,
    training: &Features,
    held_out: &Features,
    options: &DataCopying,
) -> Result<(Option<f64>, Vec<Cell>)> {
    let DataCopying { components, cells, starts, fewest, seed } = *options;
    options.check()?;
    check(generated, training)?;
    check(held_out, training)?;
    LeastImages::always(cells).check("data copying", Side::Reference, training.len())?;
    let reduced = reduce([training, held_out, generated], components)?;
    let sets = match &reduced {
        Some(reduced) => reduced.each_ref(),
        None => [training, held_out, generated],
    };
    let clusters = cluster(sets[0], cells, starts, seed)?;
    let labels = sets.map(|set| clusters.labels(set));
    let found = cells_of(cells, sets, labels.each_ref().map(Vec::as_slice))?;
    let score = copying_score(&found, fewest);
    Ok((score, found))
}

impl DataCopying {
    fn check(&self) -> Result<()> {
        let at_least_one = |name, value| check_parameter(name, value, "at least 1", value >= 1);
        at_least_one("the number of components", self.components)?;
        at_least_one("the number of cells", self.cells)?;
        at_least_one("the number of clusterings", self.starts)
    }
}

/// The sets in principal components of the first; `None` if they have no more features than that.
fn reduce(sets: [&Features; 3], components: usize) -> Result<Option<[Features; 3]>> {
    let dim = sets[0].dim();
    if dim <= components {
        return Ok(None);
    }
    let stats = FeatureStats::from_features(sets[0]);
    let (_, vectors) = symmetric_eigen(&stats.cov()?)?;
    let basis = vectors.columns(dim - components, components).into_owned();
    let project = |set: &Features| {
        let mut data = Vec::with_capacity(set.len() * components);
        for rows in set.as_slice().chunks(ROWS_AT_ONCE * dim) {
            let centered =
                rows.iter().enumerate().map(|(i, &x)| f64::from(x) - stats.mean()[i % dim]);
            let centered = DMatrix::from_iterator(dim, rows.len() / dim, centered);
            data.extend(tr_mul(&basis, &centered).iter().map(|&x| x as f32));
        }
        Features::from_vec(data, components)
    };
    let [training, held_out, generated] = sets.map(project);
    Ok(Some([training?, held_out?, generated?]))
}

/// Rows that are projected at once.
const ROWS_AT_ONCE: usize = 256;

impl Clusters {
    /// The cell of each row: that of the nearest center.
    pub fn labels(&self, set: &Features) -> Vec<usize> {
        set.rows().map(|row| self.nearest(row).0).collect()
    }
}

/// The cells of sets whose images are labeled: training, held-out and generated.
fn cells_of(cells: usize, sets: [&Features; 3], labels: [&[usize]; 3]) -> Result<Vec<Cell>> {
    let cell = |cell: usize| -> Result<Cell> {
        let part = |(set, labels): (&Features, &[usize])| {
            let rows: Vec<usize> = (0..set.len()).filter(|&i| labels[i] == cell).collect();
            set.select(&rows)
        };
        let [training, held_out, generated] = [0, 1, 2].map(|i| part((sets[i], labels[i])));
        let images = [training.len(), held_out.len(), generated.len()];
        if images.contains(&0) {
            return Ok(Cell { z: 0.0, images });
        }
        let frame = Frame::around(&[&training, &held_out, &generated]);
        let training = Rows::new(&training, &frame);
        let distances = |set: &Features| -> Vec<f64> {
            let rows = Rows::new(set, &frame);
            let nearest = nearest_of(&Packed::new(&rows), &training, 1);
            nearest.into_iter().map(|list| list[0].squared).collect()
        };
        Ok(Cell { z: mann_whitney(&distances(&generated), &mut distances(&held_out)), images })
    };
    (0..cells).map(cell).collect()
}

/// The mean of `z` over the cells with more than `fewest` generated images, weighted by their held-out
/// images; `None` if there is no such cell.
pub fn copying_score(cells: &[Cell], fewest: usize) -> Option<f64> {
    let counted = || cells.iter().filter(|cell| cell.images[2] > fewest);
    let weight: usize = counted().map(|cell| cell.images[1]).sum();
    let sum: f64 = counted().map(|cell| cell.z * cell.images[1] as f64).sum();
    (weight > 0).then(|| sum / weight as f64)
}

/// The standardized number of pairs in which a value of `x` is greater than one of `y`, equal ones
/// counted as half.
fn mann_whitney(x: &[f64], y: &mut [f64]) -> f64 {
    y.sort_by(f64::total_cmp);
    let greater = |&x: &f64| {
        let (below, upto) = (y.partition_point(|&y| y < x), y.partition_point(|&y| y <= x));
        f64::midpoint(below as f64, upto as f64)
    };
    let u: f64 = x.iter().map(greater).sum();
    let (n, m) = (x.len() as f64, y.len() as f64);
    (u - (n * m / 2.0 - 0.5)) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// [`data_copying`] as a metric, which takes a third set: held-out images, which are as real as the
/// training images and were not trained on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CopyingTest {
    /// The options.
    pub options: DataCopying,
    /// Features of the held-out images.
    pub held_out: Option<Features>,
}

impl Metric for CopyingTest {
    fn name(&self) -> &'static str {
        "ct"
    }

    fn title(&self) -> &'static str {
        "C_T"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, side: Side) -> LeastImages {
        LeastImages::always(match side {
            Side::Generated => self.options.fewest.saturating_add(1),
            Side::Reference => self.options.cells.max(2),
        })
    }

    fn needs_held_out(&self) -> bool {
        true
    }

    fn with_held_out(&self, features: Features) -> Option<Box<dyn Metric>> {
        Some(Box::new(Self { held_out: Some(features), ..self.clone() }))
    }

    fn validate(&self) -> Result<()> {
        self.options.check()
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let held_out = self.held_out.as_ref().ok_or(Error::NoHeldOut { metric: title })?;
        let reference = FeatureSet::reference_for(reference, title)?;
        let generated = generated.features_for(title, Side::Generated)?;
        let reference = reference.features_for(title, Side::Reference)?;
        let (score, found) = data_copying(generated, reference, held_out, &self.options)?;
        let Some(score) = score else {
            let DataCopying { cells, fewest, .. } = self.options;
            if found.iter().all(|cell| cell.images[2] <= fewest) {
                // So many images that some cell has enough.
                let enough = LeastImages::always(cells * fewest + 1);
                enough.check(title, Side::Generated, generated.len())?;
            }
            let (what, got) = ("C_T in the cells of generated images", held_out.len());
            return Err(Error::TooFewSamples { what, needed: got + 1, got });
        };
        Ok(vec![Score::new(self.name(), title, score, true)])
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::{arrays, json, sets};
    use serde_json::Value;

    use super::*;

    /// Ranks of float64 distances.
    const RANKS: f64 = 1e-9;

    fn rows(case: &str) -> [Features; 3] {
        ["train", "test", "generated"].map(|name| {
            let sets::Rows { data, dim } = sets::rows(case, name);
            Features::from_vec(data, dim).unwrap()
        })
    }

    fn check_cells(found: &[Cell], expected: &Value) {
        for (cell, z) in found.iter().zip(expected["z_per_cell"].as_array().unwrap()) {
            assert!((cell.z - z.as_f64().unwrap()).abs() < RANKS, "{cell:?} {z}");
        }
        let score = copying_score(found, 20).unwrap();
        assert!((score - expected["c_t"].as_f64().unwrap()).abs() < RANKS, "{score}");
    }

    #[test]
    fn cells_with_given_labels_are_those_of_the_authors() {
        let (metrics, arrays) = (json("metrics2.json"), arrays("metrics2.safetensors"));
        let [train, test, generated] = rows("clusters");
        let sets = [&train, &test, &generated];
        let labels = ["train", "test", "generated"].map(|name| -> Vec<usize> {
            let labels = &arrays[&format!("ct/clusters/kmeans0/{name}")].data;
            labels.iter().map(|&label| label as usize).collect()
        });
        let found = cells_of(3, sets, labels.each_ref().map(Vec::as_slice)).unwrap();
        check_cells(&found, &metrics["ct"]["clusters"]["kmeans_random_state_0"]);

        for case in ["clusters", "wide"] {
            let [train, test, generated] = rows(case);
            let sets = [&train, &test, &generated];
            let expected = &metrics["ct"][case];
            let one = sets.map(|set| vec![0; set.len()]);
            let found = cells_of(1, sets, one.each_ref().map(Vec::as_slice)).unwrap();
            let z = expected["z_of_everything_as_one_cell"].as_f64().unwrap();
            assert!((found[0].z - z).abs() < RANKS, "{found:?} {z}");
            let labels = [
                (0..train.len()).map(|i| i % 3).collect::<Vec<_>>(),
                (0..test.len()).map(|i| i % 3).collect(),
                (0..generated.len()).map(|i| if i % 20 == 0 { 2 } else { 0 }).collect(),
            ];
            let found = cells_of(3, sets, labels.each_ref().map(Vec::as_slice)).unwrap();
            check_cells(&found, &expected["a_cell_below_tau_and_an_empty_cell"]);
        }
    }

    #[test]
    fn the_best_clustering_gives_the_score_of_the_authors() {
        let metrics = json("metrics2.json");
        let [train, test, generated] = rows("clusters");
        let expected = &metrics["ct"]["clusters"]["kmeans_random_state_0"];
        let clusters = cluster(&train, 3, 10, 0).unwrap();
        let inertia = expected["inertia"].as_f64().unwrap();
        assert!((clusters.inertia / inertia - 1.0).abs() < 1e-6, "{}", clusters.inertia);
        let found = data_copying(&generated, &train, &test, &DataCopying::DGM_EVAL).unwrap();
        let score = found.0.unwrap();
        assert!((score - expected["c_t"].as_f64().unwrap()).abs() < RANKS, "{score}");
    }

    #[test]
    fn principal_components_are_those_of_the_authors() {
        let metrics = json("metrics2.json");
        let expected = &metrics["ct"]["wide"];
        let [train, test, generated] = rows("wide");
        let reduced = reduce([&train, &test, &generated], 64).unwrap().unwrap();
        let sets = reduced.each_ref();
        let one = sets.map(|set| vec![0; set.len()]);
        let found = cells_of(1, sets, one.each_ref().map(Vec::as_slice)).unwrap();
        let z = expected["pca64_full_svd"]["z_of_everything_as_one_cell"].as_f64().unwrap();
        assert!((found[0].z - z).abs() < RANKS, "{found:?} {z}");

        let best = &expected["kmeans_random_state_0"];
        let clusters = cluster(sets[0], 3, 10, 0).unwrap();
        let inertia = best["inertia"].as_f64().unwrap();
        assert!((clusters.inertia / inertia - 1.0).abs() < 1e-6, "{}", clusters.inertia);
        let set =
            |rows: &Features| FeatureSet { features: Some(rows.clone()), ..FeatureSet::default() };
        let metric = CopyingTest::default();
        let (x, y) = (set(&generated), set(&train));
        assert!(matches!(metric.score(&x, Some(&y)), Err(Error::NoHeldOut { metric: "C_T" })));
        let metric = metric.with_held_out(test).unwrap();
        let score = metric.score(&x, Some(&y)).unwrap()[0].value;
        assert!((score - best["c_t"].as_f64().unwrap()).abs() < RANKS, "{score}");
    }

    #[test]
    fn ties_count_as_half() {
        // U = 1 + 1/2 + 0 of 2 x 2 pairs with values 2, 1 over 1, 3
        let z = mann_whitney(&[2.0, 1.0], &mut [3.0, 1.0]);
        assert!((z - (1.5 - 1.5) / (4.0f64 * 5.0 / 12.0).sqrt()).abs() < 1e-15);
        assert_eq!(copying_score(&[Cell { z: 1.0, images: [9, 9, 20] }], 20), None);
    }

    #[test]
    fn bad_sets_are_refused() {
        let [train, test, generated] = rows("clusters");
        let [wide, ..] = rows("wide");
        let options = DataCopying::DGM_EVAL;
        assert!(matches!(
            data_copying(&wide, &train, &test, &options),
            Err(Error::Dimension { .. })
        ));
        let few = train.select(&[0, 1]);
        assert!(data_copying(&generated, &few, &test, &options).is_err());
        let none = DataCopying { cells: 0, ..options };
        assert!(data_copying(&generated, &train, &test, &none).is_err());
    }
}
