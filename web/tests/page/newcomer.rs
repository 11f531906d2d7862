//! The three minutes of a newcomer, as `docs/three-minutes.md` tells them: with 1,000 images where pictures
//! are kept, with fewer otherwise.
#![expect(clippy::print_stdout, reason = "the numbers of the page of the book are told")]

use ganscope::features::Cache;
use ganscope::latents::DrawingRequest;
use ganscope::latents::pictures::{PictureFiles, PicturesRequest, write_pictures};
use ganscope_web::ServeRequest;
use serde_json::Value;

use crate::browser::{keep, settle, slide};
use crate::chromium::Page;
use crate::client::Client;

pub(crate) fn choose(page: &mut Page, selector: &str, value: &str) {
    page.value(&format!(
        "(() => {{ const s = document.querySelector('{selector}'); s.value = '{value}'; \
         s.dispatchEvent(new Event('change')); }})()"
    ));
}

/// The values of the lines of the sweep, by the names in the titles of their points.
fn values(page: &mut Page, name: &str) -> Vec<f64> {
    let titles = page.value(
        "[...document.querySelectorAll('#sweep-result circle title')].map((t) => t.textContent)",
    );
    let titles = titles.as_array().unwrap().iter().filter_map(Value::as_str);
    let of_name = titles.filter(|title| title.starts_with(name));
    of_name
        .map(|title| {
            println!("{title}");
            let (before, _) = title.split_once(" at ").unwrap();
            before.rsplit_once(' ').unwrap().1.parse().unwrap()
        })
        .collect()
}

#[test]
fn three_minutes_of_a_newcomer() {
    let count = if std::env::var_os("GANSCOPE_SCREENSHOTS").is_some() { 1000 } else { 200 };
    let folder = tempfile::tempdir().unwrap();
    let wanted = PicturesRequest {
        drawing: DrawingRequest::of("fashion-stylegan2"),
        seeds: (0..=count - 1).into(),
        ..PicturesRequest::default()
    };
    let files = PictureFiles { outdir: folder.path().join("samples"), ..PictureFiles::default() };
    write_pictures(&wanted, &files, &mut ()).unwrap();
    let mut serves = ServeRequest { generated: vec!["samples".into()], ..ServeRequest::default() };
    serves.features.cache = Cache::Off;
    let client = Client::inside(folder, &serves);
    let Some(mut page) = Page::open(&client.url) else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    page.wait("document.querySelector('[data-move]')");
    keep(&mut page, "newcomer-first");

    // Truncation buys precision with recall.
    choose(&mut page, "#model", "fashion-biggan");
    page.wait("document.getElementById('class-row').hidden === false");
    page.value(&format!("document.getElementById('sweep-num').value = {count}"));
    page.click("#sweep");
    page.wait("document.querySelectorAll('#sweep-result svg').length === 2");
    let [precision, recall] = ["precision", "recall"].map(|name| values(&mut page, name));
    assert_eq!((precision.len(), recall.len()), (5, 5));
    assert!(precision[0] > precision[4] + 0.02, "{precision:?}");
    assert!(recall[0] + 0.3 < recall[4], "{recall:?}");
    keep(&mut page, "newcomer-sweep");

    // Twenty pictures of a thousand and what they cost; of fewer pictures the same share.
    page.click("#tab-scores");
    page.wait("document.getElementById('map-title').dataset.distance");
    page.value(&format!("document.getElementById('map-worst-count').value = {}", count / 50));
    page.click("#map-worst");
    page.wait("document.getElementById('without')");
    let [title, cost] = ["map-title", "without"]
        .map(|id| page.value(&format!("document.getElementById('{id}').textContent")));
    println!("{title}\n{cost}");
    assert!(cost.as_str().unwrap().contains(" (-"), "{cost}");
    choose(&mut page, "#map-color", "contribution");
    keep(&mut page, "newcomer-scores");
    page.click("#growth");
    page.wait("document.querySelector('#measured-growth svg')");
    keep(&mut page, "newcomer-growth");

    // What the classifier looked at.
    page.click("#tab-latents");
    choose(&mut page, "#model", "fashion-stylegan2");
    page.wait("document.getElementById('class-row').hidden");
    slide(&mut page, "#psi", "1");
    page.value("document.getElementById('seed').value = 103");
    page.click("#go");
    settle(&mut page);
    page.click("#explain-place");
    page.wait("document.querySelectorAll('#explain-result figure').length > 5");
    let heading = page.value("document.querySelector('#explain-result h2').textContent");
    println!("{heading}");
    assert!(heading.as_str().unwrap().starts_with("ankle-boot (9), 96"), "{heading}");
    keep(&mut page, "newcomer-explain");
    page.reload();
    page.wait("document.querySelectorAll('#explain-result figure').length > 5");
    assert_eq!(page.value("document.querySelector('#explain-result h2').textContent"), heading);
}
