//! Names under which features are kept between runs.

use ganscope_images::Facts;
use ganscope_stats::Needs;
use ganscope_stats::files::Convention;
use serde::Serialize;

use crate::error::Result;

/// Version of everything that turns an image into a row. Raise it when the rows of an image change.
const ROWS: u32 = 2;

/// Everything that the rows of a set depend on. Its JSON is hashed, so a field that is added here
/// changes every name.
#[derive(Debug, Serialize)]
pub(crate) struct Key<'a> {
    version: u32,
    convention: &'a Convention,
    parts: Vec<&'static str>,
    images: Images<'a>,
}

/// Which images.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Images<'a> {
    /// BLAKE3 digests in order; `None` for an unreadable image.
    Read(Vec<Option<String>>),
    /// Digest of the generator, and everything that draws from it.
    Generated { generator: String, drawn: &'a serde_json::Value, seeds: [u32; 2] },
}

/// The parts of a row, by name.
fn parts(needs: Needs) -> Vec<&'static str> {
    let all = [
        (Needs::STATS, "stats"),
        (Needs::FEATURES, "features"),
        (Needs::LOGITS, "logits"),
        (Needs::SPATIAL, "spatial"),
    ];
    all.into_iter().filter(|(part, _)| needs.contains(*part)).map(|(_, name)| name).collect()
}

impl<'a> Key<'a> {
    /// The rows of images that are read, `None` for an unreadable one.
    pub(crate) fn read(convention: &'a Convention, needs: Needs, facts: &[Option<Facts>]) -> Self {
        let digest = |facts: &Option<Facts>| facts.map(|f| f.digest.to_hex().to_string());
        let images = Images::Read(facts.iter().map(digest).collect());
        Self { version: ROWS, convention, parts: parts(needs), images }
    }

    /// The rows of images that a generator draws for the seeds from the first to before the last.
    pub(crate) fn generated(
        convention: &'a Convention,
        needs: Needs,
        generator: blake3::Hash,
        drawn: &'a serde_json::Value,
        seeds: &std::ops::Range<u32>,
    ) -> Self {
        let generator = generator.to_hex().to_string();
        let images = Images::Generated { generator, drawn, seeds: [seeds.start, seeds.end] };
        Self { version: ROWS, convention, parts: parts(needs), images }
    }

    /// The name: 64 hexadecimal digits.
    ///
    /// # Errors
    /// Only if the key cannot be serialized.
    pub(crate) fn digest(&self) -> Result<String> {
        Ok(blake3::hash(&serde_json::to_vec(self)?).to_hex().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_changes_rows_changes_the_name() {
        let convention = |resize: &str| Convention {
            extractor: "inception".into(),
            weights_sha256: "0".into(),
            layer: "2048".into(),
            resize: resize.into(),
            scaling: "s".into(),
        };
        let (a, b) = (convention("tf-bilinear"), convention("pillow-bicubic"));
        let facts =
            |pixel: u8| Some(Facts::pixels(&ganscope_images::Image::filled(1, 1, [pixel; 3])));
        let (psi, other) = (serde_json::json!({ "psi": 0.5 }), serde_json::json!({ "psi": 0.6 }));
        let hash = blake3::hash(b"g");
        let keys = [
            Key::read(&a, Needs::STATS, &[facts(0)]),
            Key::read(&b, Needs::STATS, &[facts(0)]),
            Key::read(&a, Needs::FEATURES, &[facts(0)]),
            Key::read(&a, Needs::STATS, &[facts(1)]),
            Key::read(&a, Needs::STATS, &[facts(0), None]),
            Key::generated(&a, Needs::STATS, hash, &psi, &(0..9)),
            Key::generated(&a, Needs::STATS, hash, &other, &(0..9)),
            Key::generated(&a, Needs::STATS, hash, &psi, &(0..8)),
        ];
        let names: std::collections::HashSet<String> =
            keys.iter().map(|key| key.digest().unwrap()).collect();
        assert_eq!(names.len(), keys.len());
    }
}
