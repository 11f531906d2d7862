//! Sliders: a picture that is moved in the browser is the one of `ganscope edit`.

use ganscope::latents::DrawingRequest;
use ganscope::latents::directions::{
    DirectionFiles, DirectionMethod, DirectionsRequest, write_directions,
};
use ganscope::latents::edit::{EditRequest, Move, edit};
use ganscope::latents::plane::SAMPLES;
use serde_json::{Value, json};

use crate::browser::{generated, painted, settle, slide, visit_to};
use crate::chromium::Page;
use crate::client::request;

/// Chooses a set of directions and waits for its sliders.
fn choose(page: &mut Page, set: &str) {
    page.value(&format!(
        "(() => {{ const s = document.getElementById('direction-set'); s.value = '{set}'; \
         s.dispatchEvent(new Event('change')); }})()"
    ));
    page.wait(&format!("document.querySelector('[data-move=\"{set}:0\"]')"));
}

/// The distance of the last step of a place.
fn last(place: &Value) -> f64 {
    let last = place["direction"].as_array().unwrap().last().unwrap();
    last.as_str().unwrap().rsplit_once('=').unwrap().1.parse().unwrap()
}

#[test]
fn a_slider_moves_the_picture_as_edit_does_and_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let of = |method, styles: Option<&str>, name: &str| {
        let output = folder.path().join(name);
        let wanted = DirectionsRequest {
            drawing: DrawingRequest::of("fashion-stylegan2"),
            method,
            samples: SAMPLES,
            styles: styles.map(|styles| styles.parse().unwrap()),
            ..DirectionsRequest::default()
        };
        let files = DirectionFiles { output: output.clone(), ..DirectionFiles::default() };
        write_directions(&wanted, &files, &mut ()).unwrap();
        output.display().to_string()
    };
    let mine = of(DirectionMethod::Sefa, Some("0-1"), "mine.npz");
    let files = [
        ("pca".to_owned(), of(DirectionMethod::Pca, None, "pca.npz")),
        ("sefa".to_owned(), of(DirectionMethod::Sefa, None, "sefa.npz")),
        (mine.clone(), mine.clone()),
    ];
    let mut serves = request();
    serves.directions = vec![mine];
    let Some((client, mut page)) = visit_to(&serves) else { return };
    page.look(1280, 900, false);
    let first = settle(&mut page);
    let before = painted(&mut page);
    page.wait("document.querySelector('[data-move=\"pca:0\"]')");

    let mut steps: Vec<Move> = Vec::new();
    for (set, file) in &files {
        choose(&mut page, set);
        for (i, amount) in [(0, "2.5"), (3, "-1.4")] {
            slide(&mut page, &format!("[data-move=\"{set}:{i}\"]"), amount);
            steps.push(format!("{file}:{i}={amount}").parse().unwrap());
        }
        let place = settle(&mut page);
        assert_eq!(place["direction"].as_array().unwrap().len(), steps.len(), "{place}");
        let drawing = serde_json::from_value::<DrawingRequest>(first["drawing"].clone()).unwrap();
        let seeds = "403".parse().unwrap();
        let direction = steps.clone();
        let wanted = EditRequest { drawing, seeds, direction, steps: 2, ..EditRequest::default() };
        let edited = edit(&wanted, &mut ()).unwrap().pictures.swap_remove(0);
        assert!(edited[0].pixels == before, "not the picture of the seed");
        assert!(edited[1].pixels == painted(&mut page), "{set}: not the picture of `edit`");
        assert!(generated(&client, &place) == painted(&mut page), "{set}: not that of the ws");
    }
    let moved = (settle(&mut page), painted(&mut page));
    assert!(moved.1 != before);

    // The command that is told finds the directions that are computed, and names the files of others.
    let command = page.value("document.getElementById('command').textContent");
    let lines: Vec<&str> = command.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 3, "{command}");
    let finds = "ganscope directions fashion-stylegan2 --method pca --samples 2000 -o pca.npz";
    assert_eq!(lines[0], finds);
    assert!(lines[2].contains(" --seeds 403 --trunc 0.7 --direction pca.npz:0=2.5 "), "{command}");
    let set = json!({ "drawing": first["drawing"], "set": "pca" });
    let saved = client.post("/api/directions/file", &set).body;
    assert!(saved == std::fs::read(folder.path().join("pca.npz")).unwrap());

    // A reload keeps the moves; undo takes back one gesture at a time.
    page.reload();
    page.wait("document.getElementById('picture').dataset.place");
    assert_eq!(settle(&mut page), moved.0);
    page.wait("document.querySelectorAll('[data-move]').length === 10");
    let set = page.value("document.getElementById('direction-set').value");
    let slider = format!("[data-move=\"{}:5\"]", set.as_str().unwrap());
    slide(&mut page, &slider, "1");
    slide(&mut page, &slider, "3");
    assert_eq!(last(&settle(&mut page)), 3.0);
    page.click("#undo");
    assert_eq!(last(&settle(&mut page)), 1.0);
    page.click("#undo");
    assert_eq!(settle(&mut page), moved.0);
    assert!(painted(&mut page) == moved.1);
    page.click("#reset");
    assert_eq!(settle(&mut page), first);
    assert!(painted(&mut page) == before);
    page.click("#undo");
    assert_eq!(settle(&mut page), moved.0);
    assert!(painted(&mut page) == moved.1);
}
