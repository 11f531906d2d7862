//! The view of scores: groups and points of the map, scores, growing sets, many points.
#![expect(clippy::print_stdout, reason = "what is measured is told")]

use std::time::{Duration, Instant};

use ganscope::score::growth::{GrowthRequest, growth};
use ganscope::score::map::{MapRequest, map};
use ganscope::score::{ScoreRequest, score};
use ganscope::stats::Side;
use serde_json::{Value, json};

use crate::browser::{keep, settle, visit, visit_to};
use crate::chromium::Page;
use crate::client::{Client, generated, request, samples};

/// The page with the map of the two sets.
fn laid_out() -> Option<(Client, Page)> {
    let (client, mut page) = visit()?;
    page.look(1280, 900, false);
    settle(&mut page);
    page.click("#tab-scores");
    page.wait("document.getElementById('map-title').dataset.distance");
    Some((client, page))
}

/// The request of that map.
fn wanted() -> MapRequest {
    let (generated, reference) = (generated(), samples());
    MapRequest { generated, reference, features: request().features, ..MapRequest::default() }
}

fn text(page: &mut Page, expression: &str) -> String {
    page.value(expression).as_str().expect("text").to_owned()
}

/// The distance that the page tells for the selected group.
fn told(page: &mut Page) -> f64 {
    page.value("Number(document.getElementById('without').dataset.distance)").as_f64().unwrap()
}

#[test]
fn a_group_on_the_map_is_what_it_costs_and_a_point_is_its_image() {
    let Some((client, mut page)) = laid_out() else { return };
    let expected = map(&wanted(), &mut ()).unwrap();
    page.value("(() => { document.getElementById('map-brush').click(); })()");
    let (x, y) = page.middle("#map");
    let half = page.value("document.getElementById('map').clientWidth / 2").as_f64().unwrap();
    page.drag((x - half + 5.0, y - 250.0), (x - 20.0, y + 250.0));
    page.wait("document.getElementById('without')");
    let words = text(&mut page, "document.getElementById('without').textContent");
    let points = expected.generated.points.len();
    let count: usize = words.split(' ').nth(2).unwrap().parse().unwrap();
    assert!((1..points).contains(&count), "{words}");
    let group = text(&mut page, "document.getElementById('map').dataset.group");
    let group: Vec<usize> = group.split(',').map(|i| i.parse().unwrap()).collect();
    assert_eq!(group.len(), count);
    // The same numbers on both sides of the wire.
    assert_eq!(told(&mut page), expected.without(&group).unwrap(), "{words}");
    keep(&mut page, "scores");
    // Those that add most are selected by a button.
    page.value("document.getElementById('map-worst-count').value = 20");
    page.click("#map-worst");
    page.wait("document.getElementById('without').textContent.startsWith('Without these 20 ')");
    let mut order: Vec<usize> = (0..points).collect();
    order.sort_by(|&a, &b| expected.contributions[b].total_cmp(&expected.contributions[a]));
    assert_eq!(told(&mut page), expected.without(&order[..20]).unwrap());
    keep(&mut page, "worst");
    page.value("document.querySelector('#map-group .tiles button').click()");
    page.wait("document.getElementById('explain-member')");
    page.value("document.getElementById('explain-member').click()");
    page.wait("document.querySelectorAll('#explain-result figure').length > 5");
    assert!(client.ask("GET", "/api/map/1/reference/0", b"").body.starts_with(b"\x89PNG"));
}

/// Places of generated points on the screen, found by their color.
fn places_of_points(page: &mut Page) -> Vec<(f64, f64)> {
    page.middle("#map");
    let found = page.value(
        "(() => { const c = document.getElementById('map'); const r = c.getBoundingClientRect(); \
         const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer); \
         const own = getComputedStyle(document.documentElement).getPropertyValue('--two').trim(); \
         const [red, green, blue] = [1, 3, 5].map((i) => parseInt(own.slice(i, i + 2), 16)); \
         const color = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; const found = []; \
         for (let i = 0; i < d.length && found.length < 40; i += 97) { \
         if (d[i] === color) found.push([r.x + (i % c.width), r.y + Math.floor(i / c.width)]); } \
         return found; })()",
    );
    let number = |v: &Value| v.as_f64().unwrap();
    found.as_array().unwrap().iter().map(|p| (number(&p[0]), number(&p[1]))).collect()
}

#[test]
fn a_point_under_the_pointer_shows_its_picture_and_a_click_what_is_known_of_it() {
    let Some((client, mut page)) = laid_out() else { return };
    let expected = map(&wanted(), &mut ()).unwrap();
    let places = places_of_points(&mut page);
    assert!(!places.is_empty());
    page.hover(places[places.len() / 2]);
    page.wait("!document.getElementById('map-hover').hidden");
    page.wait("document.querySelector('#map-hover img').naturalWidth > 0");
    let shown = text(&mut page, "document.querySelector('#map-hover img').src");
    let (_, path) = shown.split_once(&client.host).unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let side = if parts[4] == "generated" { Side::Generated } else { Side::Reference };
    let image = expected.image(side, parts[5].parse().unwrap()).unwrap();
    let served = ganscope::images::decode(&client.ask("GET", path, b"").body, "it").unwrap();
    assert_eq!(served.image, image);

    // A click: the image, its neighbors, its share, and a map by the method of a tab.
    for place in places {
        page.mouse("mousePressed", place);
        page.mouse("mouseReleased", place);
        std::thread::sleep(Duration::from_millis(200));
        if page.value("Boolean(document.getElementById('explain-member'))") == true {
            break;
        }
    }
    page.wait("document.getElementById('explain-member')");
    let name = text(&mut page, "document.querySelector('#map-image h2').textContent");
    let i = expected.generated.names.iter().position(|known| *known == name).unwrap();
    let words = text(&mut page, "document.querySelector('#map-image p').textContent");
    let adds: f64 = words.split(' ').nth(1).unwrap().parse().unwrap();
    // Five digits are shown.
    assert!((adds / expected.contributions[i] - 1.0).abs() < 1e-4, "{words}");
    let neighbors = page.value(
        "[...document.querySelectorAll('#map-image .maps img')].map((i) => Number(i.src.split('/').pop()))",
    );
    let nearest = expected.nearest(i, 5).unwrap();
    assert_eq!(neighbors, json!(nearest.iter().map(|(image, _)| image).collect::<Vec<_>>()));
    page.value("[...document.querySelectorAll('#map-methods button')].find((b) => b.textContent === 'lrp').click()");
    page.wait("document.querySelector('#map-heat img')?.naturalWidth > 0");
    keep(&mut page, "point");
    // A reload shows the same.
    page.reload();
    page.wait("document.querySelector('#map-heat img')?.naturalWidth > 0");
    assert_eq!(text(&mut page, "document.querySelector('#map-image h2').textContent"), name);
}

#[test]
fn a_reference_of_features_is_on_the_map_and_has_no_pictures() {
    let mut serves = request();
    serves.reference = None;
    let Some((_client, mut page)) = visit_to(&serves) else { return };
    settle(&mut page);
    page.click("#tab-scores");
    page.wait("document.getElementById('map-title').dataset.distance");
    assert_eq!(page.value("document.getElementById('map-reference').value"), "fashion-test");
    let legend = text(&mut page, "document.getElementById('map-legend').textContent");
    assert!(legend.contains("reference"), "{legend}");
    page.click("#map-worst");
    page.wait("document.getElementById('without')");
    page.value("document.querySelector('#map-group .tiles button').click()");
    page.wait("document.getElementById('explain-member')");
    assert_eq!(page.value("document.querySelectorAll('#map-image img').length"), 1);
    let words = text(&mut page, "document.querySelector('#map-image .note').textContent");
    assert!(words.starts_with("At distances "), "{words}");
    // A method that does not suit the network is not offered.
    let methods = text(&mut page, "document.getElementById('map-methods').textContent");
    assert!(methods.contains("grad-cam") && !methods.contains("attn-lrp"), "{methods}");
    keep(&mut page, "features");
}

#[test]
fn scores_and_their_growth_are_those_of_the_library() {
    let Some((_client, mut page)) = laid_out() else { return };
    page.click("#score");
    page.wait("document.querySelector('#measured-scores table')");
    let MapRequest { generated, reference, features, .. } = wanted();
    let whole = ScoreRequest {
        generated: vec![generated.clone()],
        reference: Some(reference.clone()),
        features: features.clone(),
        ..ScoreRequest::default()
    };
    let scores = score(&whole, &mut ()).unwrap().scores;
    let rows = page.value(
        "[...document.querySelectorAll('#measured-scores tr')].slice(1) \
         .map((r) => [...r.children].map((c) => c.textContent))",
    );
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), scores.len());
    for (row, score) in rows.iter().zip(&scores) {
        assert_eq!(row[0], score.title.as_str());
        let shown: f64 = row[1].as_str().unwrap().parse().unwrap();
        // Five digits are shown.
        assert!((shown - score.value).abs() <= 1e-4 * score.value.abs(), "{row} of {score:?}");
    }

    page.click("#growth");
    page.wait("document.querySelector('#measured-growth svg')");
    let reference = Some(reference);
    let wanted = GrowthRequest { generated, reference, features, ..GrowthRequest::default() };
    let grown = growth(&wanted, &mut ()).unwrap();
    let circles = page.value("document.querySelectorAll('#measured-growth circle').length");
    assert_eq!(circles, grown.points.len());
    // The file that the page saves has every digit.
    let file = page.download("#measured-growth .row button:last-child");
    let saved: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(saved["points"], serde_json::to_value(&grown.points).unwrap());
    keep(&mut page, "growth");
}

/// Frames a second that panning has to reach.
const FRAMES: f64 = 30.0;
/// Time of the measurement.
const MEASURED: Duration = Duration::from_secs(3);

/// The real view, with points of the test in the answer of the server.
#[test]
fn a_map_of_a_hundred_thousand_points_is_panned_without_stutter() {
    let Some((_client, mut page)) = laid_out() else { return };
    page.value(
        r"(() => { const real = window.fetch; window.fetch = async (path, options) => {
          const response = await real(path, options);
          if (options?.method || !/^\/api\/work\/\d+$/.test(path)) return response;
          const answer = await response.json(); let seed = 1;
          const random = () => { seed = (seed * 16807) % 2147483647; return seed / 2147483647; };
          const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(6.2831853 * random());
          const side = () => ({ names: Array.from({ length: 50000 }, (_, i) => `${i}.png`),
            labels: new Array(50000).fill(null),
            points: Array.from({ length: 50000 }, () => [normal() * 3, normal()]) });
          const numbers = () => Array.from({ length: 50000 }, random);
          Object.assign(answer.result, { generated: side(), reference: side(),
            contributions: numbers(), realism: numbers() });
          return new Response(JSON.stringify(answer)); }; })()",
    );
    page.value("document.getElementById('map-title').dataset.distance = ''");
    page.click("#map-begin");
    page.wait("document.getElementById('map-title').dataset.distance");
    page.value(
        "(() => { const s = document.getElementById('map-color'); s.value = 'contribution'; \
         s.dispatchEvent(new Event('change')); })()",
    );
    std::thread::sleep(Duration::from_millis(300));
    let (x, y) = page.middle("#map");
    let frames = |page: &mut Page| {
        page.value("Number(document.getElementById('map').dataset.frames)").as_f64().unwrap()
    };
    page.mouse("mousePressed", (x, y));
    let (began, before) = (Instant::now(), frames(&mut page));
    let mut moves = 0;
    while began.elapsed() < MEASURED {
        let turn = f64::from(moves) / 20.0;
        page.mouse("mouseMoved", (x + 120.0 * turn.sin(), y + 80.0 * turn.cos()));
        moves += 1;
    }
    let rate = (frames(&mut page) - before) / began.elapsed().as_secs_f64();
    page.mouse("mouseReleased", (x, y));
    println!("{rate:.0} frames a second while panning, of {moves} moves");
    assert!(rate >= FRAMES, "{rate:.1} frames a second");
    // Among so many, there is one under the pointer.
    page.hover((x, y));
    page.wait("!document.getElementById('map-hover').hidden");
    keep(&mut page, "many");
}
