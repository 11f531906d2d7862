//! The page without a mouse.

use ganscope_web::ServeRequest;

use crate::browser::{settle, visit, visit_to};

#[test]
fn arrows_lead_from_view_to_view() {
    let Some((_client, mut page)) = visit() else { return };
    settle(&mut page);
    page.value("document.getElementById('tab-latents').focus()");
    for (key, view) in
        [("ArrowRight", "scores"), ("ArrowLeft", "latents"), ("ArrowLeft", "explain")]
    {
        page.key(key);
        page.wait(&format!("!document.getElementById('{view}').hidden"));
        assert_eq!(page.value("document.activeElement.id"), format!("tab-{view}"));
        // One of the tabs is reached by the tabulator.
        assert_eq!(page.value("document.querySelectorAll('[role=tab][tabindex=\"0\"]').length"), 1);
    }
}

#[test]
fn a_seed_is_gone_to_and_the_points_of_a_sweep_are_chosen_by_enter() {
    let Some((_client, mut page)) = visit_to(&ServeRequest::default()) else { return };
    settle(&mut page);
    page.value("(() => { const s = document.getElementById('seed'); s.value = 17; s.focus(); })()");
    page.key("Enter");
    let place = settle(&mut page);
    assert_eq!((place["x"].as_f64(), place["y"].as_f64()), (Some(17.0), Some(0.0)));
    page.value("document.getElementById('sweep-num').value = 100");
    page.value("document.getElementById('sweep').focus()");
    page.key("Enter");
    page.wait("document.querySelectorAll('#sweep-result svg').length === 2");
    page.wait("document.activeElement.id === 'sweep'");
    page.value("document.querySelector('#sweep-result circle[data-point=\"1\"]').focus()");
    page.key("Enter");
    page.wait("document.getElementById('psi-value').textContent === '0.40'");
    // One on each line.
    assert_eq!(
        page.value("document.querySelectorAll('#sweep-result [aria-pressed=true]').length"),
        3
    );
    // The curves are as wide as there is room.
    for width in [1280, 400] {
        page.look(width, 900, false);
        page.wait(
            "[...document.querySelectorAll('#sweep-result svg')].every((s) => \
             s.clientWidth === Math.min(640, s.parentElement.clientWidth))",
        );
        assert_eq!(page.value("document.documentElement.scrollWidth <= window.innerWidth"), true);
    }
}

#[test]
fn enter_shows_the_image_in_the_middle_of_the_map() {
    let Some((_client, mut page)) = visit() else { return };
    settle(&mut page);
    page.click("#tab-scores");
    page.wait("document.getElementById('map-title').dataset.distance");
    page.value("document.getElementById('map').focus()");
    page.key("Enter");
    page.wait("document.querySelectorAll('#map-image .maps img').length === 5");
    let name = page.value("document.querySelector('#map-image h2').textContent");
    assert!(name.as_str().unwrap().starts_with("seed"), "{name}");
}
