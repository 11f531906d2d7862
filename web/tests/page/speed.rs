//! How fast the page is there and follows the hand.
#![expect(clippy::print_stdout, reason = "what is measured is told")]

use std::time::{SystemTime, UNIX_EPOCH};

use ganscope_web::ServeRequest;
use serde_json::json;

use crate::browser::{settle, visit};
use crate::chromium::Page;
use crate::client::Client;

/// From the start of the program to the first paint, in milliseconds.
const FIRST_PAINT: f64 = 1000.0;

#[test]
fn the_page_is_painted_a_second_after_the_program_was_started() {
    let Some(mut page) = Page::open("about:blank") else { return };
    let paint = "performance.getEntriesByName('first-contentful-paint')";
    let mut time = || {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3;
        let client = Client::alone(&ServeRequest::default());
        page.call("Page.navigate", &json!({ "url": client.url }));
        page.wait(&format!("location.protocol === 'http:' && {paint}.length"));
        let painted = page.value(&format!("performance.timeOrigin + {paint}[0].startTime"));
        page.call("Page.navigate", &json!({ "url": "about:blank" }));
        painted.as_f64().unwrap() - began
    };
    let times = [time(), time(), time()];
    println!("first paint after {times:.0?} ms");
    // Other work on the machine may delay one of them.
    assert!(times.iter().any(|&time| time > 0.0 && time < FIRST_PAINT), "{times:.0?} ms");
}

/// Prints the time from an event of the pointer to the painted picture, where that is asked for.
#[test]
fn the_time_from_a_drag_to_its_picture_is_measured() {
    if std::env::var_os("GANSCOPE_LATENCY").is_none() {
        return;
    }
    let Some((_client, mut page)) = visit() else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    page.wait("document.querySelector('[data-move]')");
    let (x, y) = page.middle("#plane");
    page.mouse("mousePressed", (x, y));
    let mut times: Vec<f64> = (1..=100)
        .map(|i| {
            page.value("delete document.getElementById('picture').dataset.latency");
            let turn = f64::from(i) / 8.0;
            page.mouse("mouseMoved", (x + 90.0 * turn.sin(), y + 60.0 * turn.cos()));
            page.wait("document.getElementById('picture').dataset.latency");
            let time = page.value("Number(document.getElementById('picture').dataset.latency)");
            time.as_f64().unwrap()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("median {:.1} ms, 95th percentile {:.1} ms", times[50], times[95]);
}
