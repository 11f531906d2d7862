//! Real pictures: a set is nearer to its other half than to an altered one.

use std::fs;
use std::path::Path;

use ganscope::images::{Image, decode, save_png};
use serde_json::Value;
use twemoji_assets::png::PngTwemojiAsset;

use crate::setup::{ganscope, inception};

/// A Frechet distance of a set to itself is round-off.
const NOTHING: f64 = 1e-6;

/// The emoji of one code point, in two halves, `a` and `b`, and `b` blurred and recolored.
fn sets(folder: &Path) {
    for set in ["a", "b", "blurred", "recolored"] {
        fs::create_dir(folder.join(set)).unwrap();
    }
    let emoji = ('\u{1F300}'..='\u{1FAFF}')
        .filter_map(|c| PngTwemojiAsset::from_emoji(c.encode_utf8(&mut [0; 4])));
    let mut count = 0;
    for (i, asset) in emoji.enumerate() {
        let path = |set: &str| folder.join(set).join(format!("{i:04}.png"));
        count += 1;
        if i % 2 == 0 {
            fs::write(path("a"), asset.data.0).unwrap();
            continue;
        }
        fs::write(path("b"), asset.data.0).unwrap();
        let image = decode(asset.data.0, "emoji").unwrap().image;
        save_png(&path("blurred"), &blurred(&image)).unwrap();
        // Other hues, and darker ones: the classifier of garments sees no hue.
        let pixels = image.pixels.as_chunks().0.iter().flat_map(|&[r, g, b]| [b, r / 2, g / 2]);
        let recolored = Image { pixels: pixels.collect(), ..image };
        save_png(&path("recolored"), &recolored).unwrap();
    }
    assert!(count > 1000, "{count} emoji");
}

/// Each pixel the mean of the 9x9 around it, as far as there are any.
fn blurred(image: &Image) -> Image {
    let around = |i: usize, end: usize| i.saturating_sub(4)..(i + 5).min(end);
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for y in 0..image.height {
        for x in 0..image.width {
            for c in 0..3 {
                let near = around(y, image.height)
                    .flat_map(|y| around(x, image.width).map(move |x| (y, x)))
                    .map(|(y, x)| u32::from(image.pixels[3 * (y * image.width + x) + c]));
                let count = near.clone().count() as u32;
                pixels.push((near.sum::<u32>() / count) as u8);
            }
        }
    }
    Image { width: image.width, height: image.height, pixels }
}

#[test]
fn half_the_emoji_are_nearer_to_the_others_than_to_altered_ones() {
    let folder = tempfile::tempdir().unwrap();
    sets(folder.path());
    let weights = inception();
    let weights = weights.to_str().unwrap();
    for extractor in [&["--extractor", "fashion-cnn"][..], &["--layer", "64", "--weights", weights]]
    {
        let sets = ["score", "a", "b", "blurred", "recolored", "-r", "a", "-m", "fid"];
        let cache = ["--cache", "cache", "--json", "-", "-q"];
        let mut command = ganscope(&[&sets[..], extractor, &cache].concat());
        let output = command.current_dir(folder.path()).assert().success();
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let rows = report["scores"].as_array().unwrap().iter();
        let values: Vec<f64> = rows.map(|row| row["value"].as_f64().unwrap()).collect();
        let [itself, half, blurred, recolored] = values[..] else { panic!("{values:?}") };
        assert!(itself.abs() < NOTHING, "{itself}");
        assert!(half < blurred && half < recolored, "{extractor:?}: {values:?}");
    }
}
