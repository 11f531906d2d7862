//! What a visitor does, in a headless Chromium; skipped with a word where there is none.
//!
//! `GANSCOPE_SCREENSHOTS=DIR` keeps pictures of each view; `GANSCOPE_LATENCY=1` prints how long a drag
//! takes from the event to the painted picture.
#![expect(clippy::print_stdout, reason = "what was skipped or measured is told")]

use std::path::Path;

use ganscope::explain::{ExplainRequest, explain};
use ganscope::images::decode;
use ganscope::latents::DrawingRequest;
use ganscope::latents::pictures::{PicturesRequest, pictures};
use ganscope::models::classifier::ClassifierRequest;
use ganscope::score::map::{MapRequest, map};
use ganscope::weights::{Array, npy};
use serde_json::{Value, json};

use crate::chromium::Page;
use crate::client::{Client, generated as generated_set, samples};

/// The page of a new server, or nothing without a browser.
fn visit() -> Option<(Client, Page)> {
    let client = Client::start();
    let page = Page::open(&client.url);
    if page.is_none() {
        println!("skipped: there is no chromium");
    }
    Some((client, page?))
}

/// Waits until the picture is that of the present place, and returns the request.
fn settle(page: &mut Page) -> Value {
    page.wait("document.getElementById('picture').ariaBusy === 'false'");
    let text = page.value("document.getElementById('picture').dataset.place");
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// The pixels that are painted, (R, G, B) each.
fn painted(page: &mut Page) -> Vec<u8> {
    let values = page.value(
        "(() => { const c = document.getElementById('picture'); \
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; \
         return Array.from(d).filter((_, i) => i % 4 < 3); })()",
    );
    values.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect()
}

/// The picture that `generate` draws of the style inputs of a place.
fn generated(client: &Client, place: &Value) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ws.npz");
    std::fs::write(&file, client.post("/api/place/ws", place).body).unwrap();
    let model = place["drawing"]["model"].as_str().unwrap();
    let drawing = DrawingRequest::of(model);
    let request = PicturesRequest { drawing, ws: Some(file), ..PicturesRequest::default() };
    let mut drawn = Vec::new();
    let mut take = |_, image: ganscope::images::Image| {
        drawn.push(image.pixels);
        Ok(())
    };
    pictures(&request, &mut (), &mut take).unwrap();
    drawn.pop().unwrap()
}

/// Moves a slider.
fn slide(page: &mut Page, selector: &str, value: &str) {
    page.value(&format!(
        "(() => {{ const s = document.querySelector('{selector}'); s.value = '{value}'; \
         s.dispatchEvent(new Event('input')); }})()"
    ));
}

fn keep(page: &mut Page, name: &str) {
    let Ok(folder) = std::env::var("GANSCOPE_SCREENSHOTS") else { return };
    for (width, height) in [(1280, 900), (400, 800)] {
        for dark in [false, true] {
            page.look(width, height, dark);
            std::thread::sleep(std::time::Duration::from_millis(400));
            let theme = if dark { "dark" } else { "light" };
            let file = Path::new(&folder).join(format!("{name}-{width}-{theme}.base64"));
            std::fs::write(file, page.screenshot()).unwrap();
        }
    }
    page.look(1280, 900, false);
}

#[test]
fn the_picture_follows_the_hand_and_is_that_of_the_command_line() {
    let Some((client, mut page)) = visit() else { return };
    page.look(1280, 900, false);
    let first = settle(&mut page);
    assert_eq!(painted(&mut page), generated(&client, &first), "at first");
    let (x, y) = page.middle("#plane");
    page.drag((x, y), (x - 57.0, y + 31.0));
    let dragged = settle(&mut page);
    assert_ne!(dragged["x"], first["x"]);
    assert_eq!(painted(&mut page), generated(&client, &dragged), "after a drag");
    slide(&mut page, "#psi", "1.2");
    slide(&mut page, "[data-move=\"1\"]", "2.5");
    page.click("#mixing");
    page.click("#styles input[value=\"0\"]");
    let changed = settle(&mut page);
    assert_eq!(changed["drawing"]["truncation"], 1.2);
    assert_eq!(changed["moves"], json!([0, 2.5]));
    assert_eq!((&changed["mixed"], &changed["styles"]), (&json!(5), &json!("0")));
    assert_eq!(painted(&mut page), generated(&client, &changed), "with everything");
    keep(&mut page, "latents");
    // The address has the state.
    let before = painted(&mut page);
    page.call("Page.reload", &json!({}));
    page.wait(
        "document.readyState === 'complete' && document.getElementById('picture').dataset.place",
    );
    assert_eq!(settle(&mut page), changed);
    assert_eq!(painted(&mut page), before);
    if std::env::var("GANSCOPE_LATENCY").is_ok() {
        latency(&mut page);
    }
}

/// Prints the time from an event to the painted picture.
fn latency(page: &mut Page) {
    let mut times: Vec<f64> = (0..60)
        .map(|i| {
            let before = page.value("document.getElementById('picture').dataset.place");
            let key = if i % 8 < 4 { "ArrowRight" } else { "ArrowDown" };
            page.value(&format!(
                "document.getElementById('plane').dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }}))"
            ));
            page.wait(&format!("document.getElementById('picture').dataset.place !== {before}"));
            let time = page.value("Number(document.getElementById('picture').dataset.latency)");
            time.as_f64().unwrap()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("median {:.1} ms, 95th percentile {:.1} ms", times[30], times[56]);
}

#[test]
fn walks_and_sweeps_are_begun_followed_and_stopped() {
    let Some((_client, mut page)) = visit() else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    page.click("#anchor");
    slide(&mut page, "#seed", "17");
    page.click("#go");
    page.click("#anchor");
    assert_eq!(page.value("document.getElementById('anchors').textContent"), "403, 17");
    page.click("#walk");
    page.wait("document.querySelectorAll('#walk-result .strip img').length === 24");
    page.wait("[...document.querySelectorAll('#walk-result img')].slice(0, 12).every((i) => i.naturalWidth > 0)");
    page.value("document.getElementById('sweep-num').value = 100");
    page.click("#sweep");
    page.wait("document.querySelectorAll('#sweep-result svg circle').length > 0");
    page.value("document.querySelector('#sweep-result circle[data-point=\"1\"]').dispatchEvent(new MouseEvent('click'))");
    page.wait("document.querySelectorAll('#sweep-result .tiles img').length === 10");
    assert_eq!(page.value("document.getElementById('psi-value').textContent"), "0.40");
    keep(&mut page, "sweep");
    page.value("document.getElementById('sweep-num').value = 50000");
    page.click("#sweep");
    page.wait("!document.getElementById('work').hidden");
    page.click("#work-stop");
    page.wait(
        "document.getElementById('work').hidden && !document.getElementById('sweep').disabled",
    );
    assert_eq!(page.value("document.getElementById('problem').textContent"), "");
}

#[test]
fn a_group_on_the_map_is_what_it_costs_and_a_point_is_its_image() {
    let Some((client, mut page)) = visit() else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    page.click("#tab-scores");
    page.wait("document.getElementById('map-title').dataset.distance");
    let mut request =
        MapRequest { generated: generated_set(), reference: samples(), ..MapRequest::default() };
    request.features.extractor = Some("fashion-cnn".into());
    request.features.cache = ganscope::features::Cache::Off;
    let expected = map(&request, &mut ()).unwrap();
    page.value("(() => { document.getElementById('map-brush').click(); })()");
    let (x, y) = page.middle("#map");
    let half = page.value("document.getElementById('map').clientWidth / 2").as_f64().unwrap();
    page.drag((x - half + 5.0, y - 250.0), (x - 20.0, y + 250.0));
    page.wait("document.getElementById('without')");
    let words = page.value("document.getElementById('without').textContent");
    let points = expected.generated.points.len();
    let count: usize = words.as_str().unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    assert!((1..points).contains(&count), "{words}");
    let group = page.value("document.getElementById('map').dataset.group");
    let group = group.as_str().unwrap().split(',').map(|i| i.parse().unwrap());
    let group: Vec<usize> = group.collect();
    assert_eq!(group.len(), count);
    let told = page.value("Number(document.getElementById('without').dataset.distance)");
    let distance = expected.without(&group).unwrap();
    // The same numbers on both sides of the wire.
    assert_eq!(told.as_f64().unwrap(), distance, "{words}");
    keep(&mut page, "scores");
    page.value("document.querySelector('#map-group .tiles button').click()");
    page.wait("document.getElementById('explain-member')");
    page.value("document.getElementById('explain-member').click()");
    page.wait("document.querySelectorAll('#explain-result figure').length > 5");
    keep(&mut page, "explain");
    assert!(client.ask("GET", "/api/map/1/reference/0", b"").body.starts_with(b"\x89PNG"));
}

#[test]
fn an_explanation_is_that_of_the_command_line() {
    // Without a browser, too: the bytes that a page gets.
    let client = Client::start();
    let image = Path::new(&samples()).join("0-t-shirt-0.png");
    let bytes = std::fs::read(&image).unwrap();
    let brought = client.ask("POST", "/api/picture", &bytes);
    assert_eq!(brought.status, 200);
    let picture = brought.json()["picture"].clone();
    let decoded = decode(&bytes, "image").unwrap().image;
    assert_eq!(brought.json()["width"], decoded.width);
    let classifier =
        ClassifierRequest { model: Some("fashion-cnn".into()), ..ClassifierRequest::default() };
    let asked = json!({
        "subject": { "picture": picture }, "request": { "classifier": { "model": "fashion-cnn" } },
    });
    let (id, state) = client.work("/api/explain", &asked);
    assert_eq!(state["phase"], "done", "{state}");
    let images = vec![image.display().to_string()];
    let request = ExplainRequest { classifier, images, ..ExplainRequest::default() };
    let found = explain(&request, &mut ()).unwrap().swap_remove(0);
    assert!(found.maps.len() > 5);
    for map in &found.maps {
        let shape = map.values.shape;
        let array = Array::from_f32([shape.c, shape.h, shape.w], &map.values.to_nchw()).unwrap();
        let mut expected = Vec::new();
        npy::write_to(&mut expected, &array).unwrap();
        let path = format!("/api/work/{id}/{}.npy", map.method.name());
        assert_eq!(client.ask("GET", &path, b"").body, expected, "{}", map.method.name());
    }
}
