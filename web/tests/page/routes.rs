//! The page of the documentation lists the routes that there are.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_route_is_documented_and_every_documented_route_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut served = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("src")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for (at, start) in text.match_indices(".route(\"") {
            let rest = &text[at + start.len()..];
            served.insert(names_left_out(rest.split('"').next().unwrap()));
        }
    }
    let page = std::fs::read_to_string(root.join("../docs/browser.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told = rows.filter_map(|route| route.split_once(' ')).map(|(_, path)| names_left_out(path));
    assert_eq!(told.collect::<BTreeSet<_>>(), served);
    assert!(served.len() > 10);
}

/// A path whose parameters have no names.
fn names_left_out(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
