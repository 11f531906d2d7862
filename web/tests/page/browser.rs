//! What a visitor does, in a headless Chromium; skipped with a word where there is none.
//!
//! `GANSCOPE_SCREENSHOTS=DIR` keeps pictures of each view.
#![expect(clippy::print_stdout, reason = "what was skipped or measured is told")]

use std::path::Path;

use ganscope::latents::DrawingRequest;
use ganscope::latents::pictures::{PicturesRequest, pictures};
use ganscope_web::ServeRequest;
use serde_json::{Value, json};

use crate::chromium::Page;
use crate::client::{Client, request};

/// The page of a new server, or nothing without a browser.
pub(crate) fn visit() -> Option<(Client, Page)> {
    visit_to(&request())
}

/// The page of a new server of this, or nothing without a browser.
pub(crate) fn visit_to(request: &ServeRequest) -> Option<(Client, Page)> {
    let client = Client::of(request);
    let page = Page::open(&client.url);
    if page.is_none() {
        println!("skipped: there is no chromium");
    }
    Some((client, page?))
}

/// Waits until the picture is that of the present place, and returns the request.
pub(crate) fn settle(page: &mut Page) -> Value {
    page.wait("document.getElementById('picture')?.ariaBusy === 'false'");
    let text = page.value("document.getElementById('picture').dataset.place");
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// The pixels that are painted, (R, G, B) each.
pub(crate) fn painted(page: &mut Page) -> Vec<u8> {
    let values = page.value(
        "(() => { const c = document.getElementById('picture'); \
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; \
         return Array.from(d).filter((_, i) => i % 4 < 3); })()",
    );
    values.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect()
}

/// The picture that `generate` draws of the style inputs of a place.
pub(crate) fn generated(client: &Client, place: &Value) -> Vec<u8> {
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
pub(crate) fn slide(page: &mut Page, selector: &str, value: &str) {
    page.value(&format!(
        "(() => {{ const s = document.querySelector('{selector}'); s.value = '{value}'; \
         s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); }})()"
    ));
}

/// Keeps pictures of a view, where they are asked for.
pub(crate) fn keep(page: &mut Page, name: &str) {
    let Ok(folder) = std::env::var("GANSCOPE_SCREENSHOTS") else { return };
    for (width, height) in [(1280, 900), (400, 800)] {
        for dark in [false, true] {
            page.look(width, height, dark);
            std::thread::sleep(std::time::Duration::from_millis(400));
            let theme = if dark { "dark" } else { "light" };
            let file = Path::new(&folder).join(format!("{name}-{width}-{theme}.png"));
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
    page.wait("document.querySelector('[data-move=\"pca:1\"]')");
    slide(&mut page, "[data-move=\"pca:1\"]", "2.5");
    page.click("#mixing");
    page.click("#styles input[value=\"0\"]");
    let changed = settle(&mut page);
    assert_eq!(changed["drawing"]["truncation"], 1.2);
    assert_eq!(changed["direction"], json!(["pca:1=2.5"]));
    assert_eq!((&changed["mixed"], &changed["styles"]), (&json!(5), &json!("0")));
    assert_eq!(painted(&mut page), generated(&client, &changed), "with everything");
    keep(&mut page, "latents");
    // The address has the state.
    let before = painted(&mut page);
    page.reload();
    page.wait("document.getElementById('picture').dataset.place");
    assert_eq!(settle(&mut page), changed);
    assert_eq!(painted(&mut page), before);
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
