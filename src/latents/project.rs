//! Projection: the style inputs whose pictures are nearest to given ones.

mod files;
mod run;

use candle_core::Tensor;
use ganscope_images::{Image, Limits, Preprocess, Resize};
use ganscope_latent::Seeds;
use ganscope_latent::projector::{Optimizer, Projector};
use serde::{Deserialize, Serialize};

use super::DrawingRequest;
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::models::loss::PIXELS;
use crate::models::shipped::shipped;
use crate::text;

pub use files::{ProjectFiles, write_projections};
pub use run::project;

/// Presets of the number of steps.
const PRESETS: [(&str, usize); 3] = [("quick", 200), ("standard", 1000), ("best", 3000)];

/// Which latents are sought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProjectionSpace {
    /// One `w` for all style inputs.
    #[default]
    W,
    /// A `w` for each style input.
    WPlus,
}

impl std::fmt::Display for ProjectionSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(if *self == Self::W { "w" } else { "w+" })
    }
}

impl std::str::FromStr for ProjectionSpace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "w" => Ok(Self::W),
            "w+" => Ok(Self::WPlus),
            _ => Err(Error::request(format!("`{text}`: expected w or w+"))),
        }
    }
}

/// Number of steps: `quick`, `standard`, `best`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps(pub usize);

impl std::fmt::Display for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match PRESETS.iter().find(|(_, steps)| *steps == self.0) {
            Some((name, _)) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl std::str::FromStr for Steps {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let preset = PRESETS.iter().find(|(name, _)| *name == text).map(|(_, steps)| *steps);
        let steps = preset.or_else(|| text.parse().ok());
        let steps = steps.ok_or_else(|| {
            Error::request(format!("`{text}`: expected quick, standard, best or a number"))
        })?;
        Ok(Self(steps))
    }
}

/// Which images are projected, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectRequest {
    /// The generator and its options. Latents at the start are drawn under its truncation, by default
    /// none; of a conditional generator without a class, of all classes.
    pub drawing: DrawingRequest,
    /// Images, or folders or archives of images.
    pub images: Vec<String>,
    /// Which latents are sought.
    #[serde(with = "text")]
    pub space: ProjectionSpace,
    /// How the latents move.
    #[serde(with = "text")]
    pub optimizer: Optimizer,
    /// Steps; learning rate and noise of Adam fall in the course of them.
    #[serde(with = "text")]
    pub steps: Steps,
    /// Name of the loss: a distance of the catalog, or `pixels`. If missing, LPIPS; for a shipped
    /// generator, whose images are small, pixels.
    pub loss: Option<String>,
    /// Weights of the loss, instead of the known ones.
    pub weights: Option<String>,
    /// Largest learning rate of Adam.
    pub rate: f64,
    /// Starts from the nearest picture of these seeds instead of the mean of 10,000 latents.
    #[serde(with = "text::option")]
    pub start_seeds: Option<Seeds>,
    /// Whether noise maps are moved, too (StyleGAN 1 and 2). They take up details that the latent then
    /// lacks: pictures of the result have the noise of the checkpoint.
    pub noise_maps: bool,
    /// Seed of the noise.
    pub seed: u32,
    /// What an image that is read may cost.
    pub limits: Limits,
}

impl Default for ProjectRequest {
    /// A thousand steps in W from the mean, with the published rate.
    fn default() -> Self {
        let Projector { rate, seed, .. } = Projector::PUBLISHED;
        Self {
            drawing: DrawingRequest::default(),
            images: Vec::new(),
            space: ProjectionSpace::W,
            optimizer: Optimizer::Adam,
            steps: Steps(Projector::PUBLISHED.steps),
            loss: None,
            weights: None,
            rate,
            start_seeds: None,
            noise_maps: false,
            seed,
            limits: Limits::default(),
        }
    }
}

/// Images and their projections.
#[derive(Debug, Clone, Serialize)]
pub struct Projections {
    /// Version of this library.
    pub ganscope: &'static str,
    /// The request.
    pub request: ProjectRequest,
    /// What the distances are measured in.
    pub loss: String,
    /// Root mean squared distance of `w` from its mean.
    pub spread: f64,
    /// One for each image.
    pub images: Vec<Projected>,
}

/// An image and its projection.
#[derive(Debug, Clone, Serialize)]
pub struct Projected {
    /// Name of the image in its set.
    pub name: String,
    /// The seed that it started from; none from the mean.
    pub seed: Option<u32>,
    /// Distance of the picture at the start from the image.
    pub start: f64,
    /// Distance of the picture of the result.
    pub distance: f64,
    /// Root mean squared difference of the pixels of the start, on 0..255.
    pub start_rmse: f64,
    /// Root mean squared difference of the pixels of the result, on 0..255.
    pub rmse: f64,
    /// Distance at each step, with the noise of that step.
    pub steps: Vec<f64>,
    /// A name for files that no other image has.
    #[serde(skip)]
    pub stem: String,
    /// The image as it is compared: its middle square in the size of the generator.
    #[serde(skip)]
    pub target: Image,
    /// Pictures on the way with the steps taken before, from the start to the result.
    #[serde(skip)]
    pub way: Vec<(usize, Image)>,
    /// The result, (1, `num_ws`, `w_dim`).
    #[serde(skip)]
    pub ws: Tensor,
}

impl Projected {
    /// The picture of the result.
    pub fn picture(&self) -> &Image {
        self.way.last().map_or(&self.target, |(_, picture)| picture)
    }
}

impl ProjectRequest {
    /// The name of the loss.
    fn loss(&self) -> &str {
        let small = shipped(&self.drawing.model).is_some();
        self.loss.as_deref().unwrap_or(if small { PIXELS } else { "lpips" })
    }

    /// The settings of the algorithm.
    fn settings(&self) -> Projector {
        let Self { optimizer, rate, seed, .. } = *self;
        Projector { optimizer, steps: self.steps.0, rate, seed, ..Projector::PUBLISHED }
    }

    /// Fails if a number is out of range.
    fn check(&self) -> Result<()> {
        within("steps", self.steps.0, 1..=1_000_000)?;
        if !(self.rate > 0.0 && self.rate <= 100.0) {
            let expected = "expected above 0 and at most 100";
            return Err(Error::request(format!("`rate` is {}, {expected}", self.rate)));
        }
        if self.noise_maps && self.optimizer == Optimizer::Lbfgs {
            return Err(Error::request("L-BFGS does not move noise maps")
                .with_hint(Hint::of("leave {noise_maps} or {optimizer} out")));
        }
        if let Some(seeds) = &self.start_seeds {
            within("start_seeds", seeds.len(), 1..=1_000_000)?;
        }
        crate::checks::limits(self.limits)
    }
}

/// The middle square of an image, resized to `height` pixels as the published projector does it. Images
/// for a generator that is not square are taken as they are.
fn target(image: &Image, [height, width]: [usize; 2]) -> Result<Image> {
    if [image.height, image.width] == [height, width] {
        return Ok(image.clone());
    }
    if height != width {
        let found = format!("an image of {} x {} pixels", image.width, image.height);
        return Err(Error::request(format!("{found} for a generator of {width} x {height}"))
            .with_hint(format!("resize it to {width} x {height}")));
    }
    let side = height;
    let [rows, columns] = image.middle_square();
    let square = image.cropped(rows, columns);
    if square.width == side {
        return Ok(square);
    }
    let preprocess = Preprocess { resize: Resize::PillowLanczos, size: side };
    let mut values = vec![0.0; preprocess.values()];
    preprocess.apply(&square, &mut values);
    Ok(Image::rounded(side, side, &values))
}

/// Root mean squared difference of two pictures of one size, on 0..255.
fn rmse(a: &Image, b: &Image) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| (f64::from(a) - f64::from(b)).powi(2);
    let sum: f64 = a.pixels.iter().zip(&b.pixels).map(square).sum();
    (sum / a.pixels.len() as f64).sqrt()
}

/// A distance or a ratio with three digits that matter.
pub fn digits(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value) {
        let places = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0);
        return format!("{value:.0$}", places as usize);
    }
    format!("{value:.2e}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ganscope_images::save_png;

    use super::*;
    use crate::latents::Drawing;
    use crate::watch::{Step, Watch};

    fn request(model: &str, images: &Path) -> ProjectRequest {
        ProjectRequest {
            drawing: DrawingRequest::of(model),
            images: vec![images.display().to_string()],
            steps: Steps(60),
            ..ProjectRequest::default()
        }
    }

    /// A folder with the pictures of seeds.
    fn drawn(drawing: &DrawingRequest, seeds: &[u32]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let drawing = Drawing::open(drawing, &mut ()).unwrap();
        let pictures = drawing.pictures(seeds.to_vec());
        for (seed, picture) in seeds.iter().zip(pictures.flat_map(Result::unwrap)) {
            save_png(&folder.path().join(format!("{seed}.png")), &picture).unwrap();
        }
        folder
    }

    #[test]
    fn requests_survive_json() {
        let request = ProjectRequest {
            space: ProjectionSpace::WPlus,
            optimizer: Optimizer::Lbfgs,
            steps: Steps(70),
            start_seeds: Some("0-9".parse().unwrap()),
            ..ProjectRequest::default()
        };
        for request in [ProjectRequest::default(), request] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<ProjectRequest>(&json).unwrap(), request);
        }
        assert_eq!("best".parse::<Steps>().unwrap(), Steps(3000));
        assert_eq!(Steps(1000).to_string(), "standard");
        assert!("fast".parse::<Steps>().is_err() && "W".parse::<ProjectionSpace>().is_err());
    }

    #[test]
    fn a_target_is_the_middle_square_in_the_size_of_the_generator() {
        let mut image = Image::filled(30, 20, [9; 3]);
        image.paste(&Image::filled(20, 20, [200; 3]), [5, 0]);
        let square = Image::filled(20, 20, [200; 3]);
        assert_eq!(target(&image, [20, 20]).unwrap(), square);
        assert_eq!(target(&image, [32, 32]).unwrap(), Image::filled(32, 32, [200; 3]));
        assert_eq!(target(&image, [20, 30]).unwrap(), image);
        assert!(target(&image, [32, 16]).unwrap_err().to_string().contains("16 x 32"));
        assert_eq!(rmse(&square, &Image::filled(20, 20, [197; 3])), 3.0);
    }

    #[test]
    fn pictures_of_the_generator_are_found_again() {
        let model = "fashion-stylegan2";
        let folder = drawn(&DrawingRequest::of(model), &[112]);
        let mut request = request(model, folder.path());
        request.steps = Steps(200);
        request.start_seeds = Some((0..=20).into());
        let found = project(&request, &mut ()).unwrap();
        let found = &found.images[0];
        assert!(found.distance < found.start / 20.0, "{} {}", found.start, found.distance);
        assert!(found.rmse < found.start_rmse / 4.0 && found.steps.len() == 200);
        let by_adam = found.distance;
        request.optimizer = Optimizer::Lbfgs;
        let found = project(&request, &mut ()).unwrap();
        assert!(found.images[0].distance < by_adam / 4.0, "{by_adam}");
        // A seed among them starts at its own picture.
        request.start_seeds = Some((110..=114).into());
        request.steps = Steps(1);
        let found = project(&request, &mut ()).unwrap();
        assert_eq!((found.images[0].seed, found.images[0].start_rmse), (Some(112), 0.0));
    }

    /// Stops after so many steps.
    struct After(u64, u64);

    impl Watch for After {
        fn step(&mut self, step: Step<'_>) {
            if step.what == "steps" {
                self.1 = step.done;
            }
        }

        fn stop(&self) -> bool {
            self.1 >= self.0
        }
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_to_the_same_latents() {
        let model = "fashion-stylegan2";
        let folder = drawn(&DrawingRequest::of(model), &[3, 8]);
        let adam = ProjectRequest {
            space: ProjectionSpace::WPlus,
            noise_maps: true,
            ..request(model, folder.path())
        };
        let lbfgs =
            ProjectRequest { optimizer: Optimizer::Lbfgs, noise_maps: false, ..adam.clone() };
        for request in [lbfgs, adam] {
            resumes(&request);
        }
    }

    fn resumes(request: &ProjectRequest) {
        let out = tempfile::tempdir().unwrap();
        let files = |name: &str| ProjectFiles { outdir: out.path().join(name), zoom: None };
        let stopped = write_projections(request, &files("a"), &mut After(70, 0));
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert!(!out.path().join("a/projected_w.npz").exists());
        let mut seen = After(u64::MAX, 0);
        let resumed = write_projections(request, &files("a"), &mut seen).unwrap();
        let whole = write_projections(request, &files("b"), &mut ()).unwrap();
        for (a, b) in resumed.images.iter().zip(&whole.images) {
            assert_eq!((a.distance, &a.steps, &a.way), (b.distance, &b.steps, &b.way));
        }
        let read = |name: &str| std::fs::read(out.path().join(name)).unwrap();
        assert_eq!(read("a/projected_w.npz"), read("b/projected_w.npz"));
        let names = std::fs::read_dir(out.path().join("a")).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let expected = [
            "3-loss.png",
            "3-proj.png",
            "3-target.png",
            "8-loss.png",
            "8-proj.png",
            "8-target.png",
            "project.json",
            "projected_w.npz",
            "steps.png",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_family_can_be_projected_into() {
        let out = tempfile::tempdir().unwrap();
        let golden = |name: &str, configs: &str, network: &str| {
            let path = ganscope_golden::data().join(name).display().to_string();
            let config = out.path().join(format!("{network}.json"));
            let text = ganscope_golden::json(configs)[network].to_string();
            std::fs::write(&config, text).unwrap();
            DrawingRequest { config: Some(config), ..DrawingRequest::of(path) }
        };
        let class =
            |class: &str, of: DrawingRequest| DrawingRequest { class: Some(class.into()), ..of };
        let cond = "stylegan-s2-resnet-cond.safetensors";
        for drawing in [
            golden("stylegan-s1-64.pth", "stylegan1-configs.json", "s1-64"),
            golden("stylegan-s3-t.safetensors", "stylegan-configs.json", "s3-t"),
            class("3", golden(cond, "stylegan-configs.json", "s2-resnet-cond")),
            class("bag", DrawingRequest::of("fashion-biggan")),
        ] {
            let folder = drawn(&drawing, &[1]);
            let request = ProjectRequest {
                drawing: drawing.clone(),
                loss: Some("pixels".into()),
                steps: Steps(40),
                ..request("", folder.path())
            };
            let found = project(&request, &mut ()).unwrap();
            let found = &found.images[0];
            let [start, end] = [found.start, found.distance];
            assert!(end < 0.5 * start, "{}: {start} {end}", drawing.model);
        }
    }

    #[test]
    fn what_cannot_be_projected_is_an_error() {
        let class = Some("1".into());
        let drawing = DrawingRequest { class, ..DrawingRequest::of("fashion-biggan") };
        let folder = drawn(&drawing, &[1]);
        let good = request("fashion-biggan", folder.path());
        let error = |request: ProjectRequest| project(&request, &mut ()).unwrap_err().report();
        let maps = ProjectRequest { noise_maps: true, ..good.clone() };
        assert!(error(maps.clone()).contains("have no noise maps"));
        let lbfgs = ProjectRequest { optimizer: Optimizer::Lbfgs, ..maps };
        assert!(error(lbfgs).contains("L-BFGS does not move noise maps"));
        let rate = ProjectRequest { rate: f64::NAN, ..good.clone() };
        assert!(error(rate).contains("`rate` is NaN"));
        let none = ProjectRequest { images: Vec::new(), ..good.clone() };
        assert!(error(none).contains("no images"));
        let loss = ProjectRequest { loss: Some("nothing".into()), ..good };
        assert!(error(loss).contains("nothing"));
    }
}
