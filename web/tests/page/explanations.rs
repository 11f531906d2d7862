//! The view of explanations: maps, classes, layers, measures, units, and the numbers that are saved.

use std::path::Path;

use ganscope::explain::maximize::{MaximizeRequest, maximize};
use ganscope::explain::measuring::Measuring;
use ganscope::explain::target::TargetRequest;
use ganscope::explain::units::{UnitRequest, unit_patches};
use ganscope::explain::{ExplainRequest, Explained, explain};
use ganscope::images::{Image, decode};
use ganscope::models::classifier::ClassifierRequest;
use serde_json::json;

use crate::browser::{keep, settle, visit};
use crate::chromium::Page;
use crate::client::{Client, generated, samples};

fn image() -> String {
    let path = Path::new(&samples()).join("0-t-shirt-0.png");
    // Chromium reads no file whose path has dots.
    path.canonicalize().unwrap().display().to_string()
}

fn classifier() -> ClassifierRequest {
    ClassifierRequest { model: Some("fashion-cnn".into()), ..ClassifierRequest::default() }
}

/// The `.npy` files of an explanation, as the command line writes them, by the names of the methods.
fn arrays(found: &Explained) -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    found.write(folder.path(), false).unwrap();
    let array = |name| std::fs::read(folder.path().join(format!("{name}.npy"))).unwrap();
    found.maps.iter().map(|map| map.method.name()).map(|name| (name, array(name))).collect()
}

fn explained(change: impl FnOnce(&mut ExplainRequest)) -> Explained {
    let mut request = ExplainRequest {
        classifier: classifier(),
        images: vec![image()],
        ..ExplainRequest::default()
    };
    change(&mut request);
    explain(&request, &mut ()).unwrap().swap_remove(0)
}

#[test]
fn an_explanation_is_that_of_the_command_line() {
    // Without a browser, too: the bytes that a page gets.
    let client = Client::start();
    let bytes = std::fs::read(image()).unwrap();
    let brought = client.ask("POST", "/api/picture", &bytes);
    assert_eq!(brought.status, 200);
    let picture = brought.json()["picture"].clone();
    assert_eq!(brought.json()["width"], decode(&bytes, "image").unwrap().image.width);
    let asked = json!({
        "subject": { "picture": picture }, "request": { "classifier": { "model": "fashion-cnn" } },
    });
    let (id, state) = client.work("/api/explain", &asked);
    assert_eq!(state["phase"], "done", "{state}");
    let found = arrays(&explained(|_| ()));
    assert!(found.len() > 5);
    for (method, expected) in found {
        let path = format!("/api/work/{id}/{method}.npy");
        assert!(client.ask("GET", &path, b"").body == expected, "{method}");
    }
}

/// The page with the explanations of an image that was chosen as a file.
fn explains() -> Option<(Client, Page)> {
    let (client, mut page) = visit()?;
    page.look(1280, 900, false);
    settle(&mut page);
    page.click("#tab-explain");
    page.wait("document.getElementById('unit-layer').value");
    page.give("#file", &[image()]);
    page.wait("document.querySelectorAll('#explain-result figure').length > 5");
    Some((client, page))
}

#[test]
fn what_a_visitor_saves_are_the_arrays_of_the_command_line() {
    let Some((_client, mut page)) = explains() else { return };
    let found = arrays(&explained(|_| ()));
    // Of one page, Chromium saves ten files without asking.
    for (method, expected) in found.iter().step_by(3) {
        let saved = page.download(&format!("a[download=\"{method}.npy\"]"));
        assert!(saved == *expected, "{method}");
    }
    keep(&mut page, "explain");

    // Another class, a contrast, a layer, measures.
    page.value(
        "(() => { document.getElementById('explain-class').value = 'shirt'; \
         document.getElementById('explain-against').value = 'dress'; \
         const l = document.getElementById('explain-layer'); l.value = l.options[1].value; \
         document.getElementById('explain-measure').checked = true; \
         document.querySelector('#explain-result section').remove(); })()",
    );
    let layer = page.value("document.getElementById('explain-layer').value");
    let layer = layer.as_str().map(str::to_owned);
    assert!(layer.is_some());
    page.click("#explain-begin");
    page.wait("document.querySelector('#explain-result table:last-child')");
    let found = explained(|request| {
        request.class = Some("shirt".into());
        request.against = Some("dress".into());
        request.measure = Measuring::Maps;
        request.options.layer = layer;
    });
    let heading = page.value("document.querySelector('#explain-result h2').textContent");
    assert_eq!(heading, found.heading());
    for (method, expected) in arrays(&found).iter().skip(1).step_by(3) {
        let saved = page.download(&format!("a[download=\"{method}.npy\"]"));
        assert!(saved == *expected, "{method}");
    }
    let rows = page.value(
        "[...document.querySelectorAll('#explain-result .wide tr')].slice(1) \
         .map((r) => [...r.children].map((c) => c.textContent))",
    );
    let rows = rows.as_array().unwrap();
    // One row for each method, and one for random order.
    assert_eq!(rows.len(), found.report.maps.len() + 1);
    for (row, map) in rows.iter().zip(&found.report.maps) {
        assert_eq!(row[0], map.method);
        assert_eq!(row[3], format!("{:.3}", map.measures.unwrap().deletion));
    }
    keep(&mut page, "measures");
}

/// The picture that the page loaded from an address.
fn loaded(client: &Client, page: &mut Page, selector: &str) -> Image {
    page.wait(&format!("document.querySelector('{selector}')?.naturalWidth > 0"));
    let address = page.value(&format!("document.querySelector('{selector}').src"));
    let (_, path) = address.as_str().unwrap().split_once(&client.host).unwrap();
    decode(&client.ask("GET", path, b"").body, "it").unwrap().image
}

#[test]
fn a_unit_is_looked_at_by_its_picture_and_by_patches_of_a_set() {
    let Some((client, mut page)) = explains() else { return };
    let layer = page.value("document.getElementById('unit-layer').value");
    let layer = layer.as_str().unwrap().to_owned();
    page.value("document.getElementById('unit').value = 1");
    page.click("#unit-maximize");
    let shown = loaded(&client, &mut page, "#unit-result .unit img");
    let target = TargetRequest { class: None, unit: Some(1), layer: Some(layer.clone()) };
    let wanted = MaximizeRequest { target, classifier: classifier(), ..MaximizeRequest::default() };
    assert_eq!(shown, maximize(&wanted, &mut ()).unwrap()[0].picture);

    page.click("#unit-search");
    let shown = loaded(&client, &mut page, "#unit-result .boxed img");
    let images = vec![generated()];
    let wanted =
        UnitRequest { images, classifier: classifier(), layer, unit: 1, ..UnitRequest::default() };
    let found = unit_patches(&wanted, &mut ()).unwrap();
    assert_eq!(shown, found.patches[0].picture);
    let count = page.value("document.querySelectorAll('#unit-result .boxed').length");
    assert_eq!(count, found.patches.len());
    keep(&mut page, "unit");
}
