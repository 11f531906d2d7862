//! Moving pictures in a headless Chromium; skipped with a word where there is none.
#![expect(clippy::print_stdout, reason = "what was skipped or measured is told")]

use std::fmt::Write as _;

use ganscope::latents::DrawingRequest;
use ganscope::latents::video::{VideoRequest, write_video};
use serde_json::{Value, json};

use crate::chromium::Page;
use crate::client::Client;

/// Decodes an animation: number, size and time of its frames, how often it repeats, and the root mean squared
/// difference of each frame to the next, at the end to the first.
const DECODE: &str = "(async (type, hex) => {
    const bytes = Uint8Array.from(hex.match(/../g), pair => parseInt(pair, 16));
    const decoder = new ImageDecoder({ data: bytes, type });
    await decoder.tracks.ready;
    await decoder.completed;
    const track = decoder.tracks.selectedTrack;
    const frames = [];
    let time = 0;
    for (let i = 0; i < track.frameCount; i++) {
        const { image } = await decoder.decode({ frameIndex: i });
        const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        time += image.duration;
        image.close();
        frames.push(context.getImageData(0, 0, canvas.width, canvas.height));
    }
    const steps = frames.map(({ data }, i) => {
        const next = frames[(i + 1) % frames.length].data;
        let sum = 0;
        for (let k = 0; k < data.length; k += 4) sum += (data[k] - next[k]) ** 2;
        return Math.sqrt(4 * sum / data.length);
    });
    return {
        frames: frames.length, size: [frames[0].width, frames[0].height], time: time / 1e6,
        forever: track.repetitionCount === Infinity, steps,
    };
})";

#[test]
fn ten_seconds_play_without_a_seam() {
    let client = Client::start();
    let Some(mut page) = Page::open(&client.url) else {
        println!("skipped: there is no chromium");
        return;
    };
    page.wait("document.readyState === 'complete'");
    let folder = tempfile::tempdir().unwrap();
    let request = VideoRequest {
        drawing: DrawingRequest::of("fashion-stylegan2"),
        seeds: (0..=3).into(),
        w_frames: 50,
        fps: 20.0,
        zoom: Some(8),
        ..VideoRequest::default()
    };
    for (name, kind) in [("v.webp", "image/webp"), ("v.apng", "image/png"), ("v.gif", "image/gif")]
    {
        let path = folder.path().join(name);
        assert_eq!(write_video(&request, &path, &mut ()).unwrap(), 200);
        let mut hex = String::new();
        for byte in std::fs::read(&path).unwrap() {
            write!(hex, "{byte:02x}").unwrap();
        }
        let found = page.value(&format!("{DECODE}('{kind}', '{hex}')"));
        let told = |key: &str| found[key].clone();
        assert_eq!((told("frames"), told("size")), (json!(200), json!([256, 256])), "{name}");
        assert_eq!((told("time").as_f64(), told("forever")), (Some(10.0), json!(true)), "{name}");
        let steps: Vec<f64> =
            found["steps"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let (last, inside) = steps.split_last().unwrap();
        let largest = inside.iter().copied().fold(0.0, f64::max);
        println!("{name}: the largest step is {largest:.1}, that to the first frame {last:.1}");
        assert!(*last > 0.0 && *last <= largest, "{name}: {last} of {largest}");
        // On a smooth closed curve the last step is between its neighbors, up to their change.
        let (before, after) = (inside[inside.len() - 1], inside[0]);
        assert!(*last < 2.0 * before.max(after), "{name}: {before}, {last}, {after}");
    }
}
