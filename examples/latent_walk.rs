//! Walks between two seeds in Z and in W and writes both rows of pictures.
//!
//! `cargo run --release --example latent_walk -- walk.png`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use ganscope::Result;
use ganscope::latent::Space;
use ganscope::latents::DrawingRequest;
use ganscope::latents::walk::{Walk, WalkRequest, WalkStyle, write_walk};

fn walk(output: &Path) -> Result<Walk> {
    let request = WalkRequest {
        drawing: DrawingRequest::of("fashion-stylegan2"),
        seeds: (4..=5).into(),
        spaces: vec![Space::Z, Space::W],
        ..WalkRequest::default()
    };
    write_walk(&request, &WalkStyle::default(), output, &mut ())
}

fn main() -> Result<()> {
    let output = std::env::args().nth(1).unwrap_or_else(|| "walk.png".into());
    let found = walk(Path::new(&output))?;
    for row in &found.rows {
        println!("{}: longest step {:.1}, {}", row.name(), row.summary().longest, found.meter);
    }
    Ok(())
}

#[test]
fn both_walks_are_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let found = walk(&folder.path().join("walk.png")).unwrap();
    assert_eq!(found.rows.len(), 2);
    assert!(found.rows.iter().all(|row| row.lengths.len() == 8));
    assert!(folder.path().join("walk.png").is_file());
}
