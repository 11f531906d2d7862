//! A generator that takes its time: previews while a hand moves, the whole picture when it rests, and nothing
//! that nobody waits for.
#![expect(clippy::print_stdout, reason = "what is measured is told")]

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ganscope_web::ServeRequest;
use ganscope_weights::write_safetensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{generated, painted, settle, slide, visit_to};
use crate::client::Client;
use crate::newcomer::choose;

#[path = "../../../generators/stylegan/tests/golden/recipe.rs"]
mod recipe;

/// Height of a picture.
const SIZE: u64 = 256;

/// A StyleGAN2 of 25 million parameters, and a server of it.
fn served() -> (TempDir, ServeRequest) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slow.safetensors");
    write_safetensors(&file, &recipe::ffhq256()).unwrap();
    let models = vec![file.display().to_string()];
    (folder, ServeRequest { models, ..ServeRequest::default() })
}

/// Keeps the heights that are painted, and the pictures that are asked for.
const RECORDER: &str = "(() => {
  window.heights = [];
  window.asked = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
    if (this.canvas.id === 'picture') window.heights.push(image.height);
    return draw.call(this, image, ...rest);
  };
  const real = window.fetch;
  window.fetch = async (path, options) => {
    if (path !== '/api/place') return real(path, options);
    const picture = { preview: JSON.parse(options.body).preview ?? null, end: null };
    window.asked.push(picture);
    try {
      const answer = await real(path, options);
      picture.end = 'answered';
      return answer;
    } catch (error) {
      picture.end = error.name;
      throw error;
    }
  };
})()";

#[test]
fn a_drag_shows_previews_and_the_whole_picture_at_its_end() {
    let (_folder, request) = served();
    let Some((client, mut page)) = visit_to(&request) else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    choose(&mut page, "#model", &request.models[0]);
    page.wait("document.querySelectorAll('#styles input').length === 14");
    settle(&mut page);
    page.value(RECORDER);
    let (x, y) = page.middle("#plane");
    page.drag((x, y), (x - 57.0, y + 31.0));
    // The whole picture is under way, and the hand moves on.
    page.wait("window.asked.some((picture) => picture.preview === null)");
    page.drag((x, y), (x - 40.0, y - 20.0));
    slide(&mut page, "#psi", "0.9");
    let place = settle(&mut page);
    assert_eq!(place["drawing"]["truncation"], 0.9);
    assert!(place["preview"].is_null(), "{place}");
    assert!(painted(&mut page) == generated(&client, &place), "the picture of the command line");

    let numbers = |value: Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|height| height.as_u64().unwrap()).collect()
    };
    let heights = numbers(page.value("window.heights"));
    let (last, before) = heights.split_last().unwrap();
    assert_eq!(*last, SIZE);
    assert!(!before.is_empty() && before.iter().all(|height| *height == before[0]), "{heights:?}");
    assert!(before[0] >= 16 && before[0] < SIZE, "{heights:?}");
    // Eighteen events, of which those that came while a picture was on its way were passed over.
    let asked = page.value("window.asked");
    let of = |is_whole: bool, end: &str| {
        let all = asked.as_array().unwrap().iter();
        all.filter(|picture| picture["preview"].is_null() == is_whole && picture["end"] == end)
            .count()
    };
    assert!(of(false, "answered") <= 17, "{asked}");
    assert_eq!(of(false, "answered"), before.len(), "{asked}");
    assert_eq!(of(true, "answered"), 1, "{asked}");
    assert!(of(true, "AbortError") >= 1, "{asked}");
    assert_eq!(page.value("document.getElementById('problem').textContent"), "");
}

#[test]
fn pictures_that_nobody_waits_for_are_not_drawn() {
    /// Visitors who go away, of whom the server would serve eight.
    const GONE: usize = 16;
    /// Pictures that may be drawn in their stead, and for the one who stays.
    const DRAWN: u32 = 4;

    let (_folder, request) = served();
    let client = Client::of(&request);
    let drawing = json!({ "model": request.models[0] });
    let model = client.post("/api/model", &drawing).json();
    println!("the preview is of {}", model["preview"]);
    let mut place = json!({ "drawing": drawing, "x": 0.5, "y": 0.5 });
    let time = |place: &Value| {
        let began = Instant::now();
        assert_eq!(client.post("/api/place", place).status, 200);
        began.elapsed()
    };
    let whole = time(&place).min(time(&place));
    let head = format!(
        "POST /api/place HTTP/1.1\r\nHost: {}\r\n{}Content-Length: {}\r\n\r\n{place}",
        client.host,
        client.cookie(),
        place.to_string().len()
    );
    let visitors: Vec<_> = (0..GONE)
        .map(|_| {
            let mut stream = TcpStream::connect(&client.host).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    // The first ones are being served.
    std::thread::sleep(Duration::from_millis(100));
    drop(visitors);
    let after = time(&place);
    println!("a whole picture takes {whole:.0?}, and {after:.0?} after visitors who went away");
    assert!(after < DRAWN * whole, "{after:.0?} for a picture of {whole:.0?}");
    for preview in [4, 8, 16, 32, 64, 128] {
        place["preview"] = preview.into();
        let fastest = (0..5).map(|_| time(&place)).min().unwrap();
        println!("a preview of {preview}: {fastest:.0?}");
    }
}
