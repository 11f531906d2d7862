//! `project`: latents of given pictures.

use ganscope::weights::npz;
use serde_json::Value;

use crate::setup::{ganscope, picture, place, run};

#[test]
fn a_projected_picture_is_what_its_latent_draws() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    run(folder.path(), &["generate", "fashion-stylegan2", "--seeds", "3", "-o", "a", "-q"]);
    let words =
        ["project", "fashion-stylegan2", "a/seed0003.png", "--space", "w+", "--steps", "60"];
    let more = ["--start-seeds", "5-20", "--optimizer", "lbfgs", "--outdir", "p", "-q"];
    assert!(run(folder.path(), &[&words[..], &more].concat()).contains("seed0003"));
    let record = std::fs::read_to_string(path("p/project.json")).unwrap();
    let found: Value = serde_json::from_str(&record).unwrap();
    let of = |field: &str| found["images"][0][field].as_f64().unwrap();
    assert!(of("distance") < 0.5 * of("start"), "{found}");
    let w = npz::read(&path("p/projected_w.npz")).unwrap();
    assert_eq!(w["w"].shape(), [1, 8, 64]);
    let again = ["generate", "fashion-stylegan2", "--ws", "p/projected_w.npz", "-o", "b", "-q"];
    run(folder.path(), &again);
    let projected = picture(&path("p/proj.png"));
    assert_eq!(picture(&path("b/w0000.png")), projected);
    assert_eq!(picture(&path("p/target.png")), picture(&path("a/seed0003.png")));
    assert!(place(&picture(&path("p/steps.png")), &projected.enlarged(2)).is_some());
    assert!(path("p/loss.png").is_file());
}

#[test]
fn pictures_that_are_not_there_and_losses_that_do_not_exist_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = |words: &[&str]| {
        let all = [&["project", "fashion-stylegan2"], words, &["-o", "p"]].concat();
        let output = ganscope(&all).current_dir(folder.path()).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error(&["none.png"]).contains("none.png"));
    assert!(error(&["none.png", "--steps", "fast"]).contains("quick, standard, best"));
    assert!(error(&["none.png", "--space", "z"]).contains("expected w or w+"));
    assert!(error(&["none.png", "--optimizer", "sgd"]).contains("expected adam or lbfgs"));
    let both = error(&["none.png", "--optimizer", "lbfgs", "--noise-maps"]);
    assert!(both.contains("leave `--noise-maps` or `--optimizer NAME` out"), "{both}");
    assert!(!folder.path().join("p").exists());
}

#[test]
fn style_inputs_of_a_file_stand_for_their_seeds_in_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let call = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let verb = if words[0] == "explain" { 2 } else { 1 };
        let (verb, rest) = words.split_at(verb);
        run(folder.path(), &[verb, &["fashion-stylegan2"], rest, &["-q"]].concat())
    };
    call("generate --seeds 3,8 --ws-output w.npz -o seeds");
    call("interpolate --seeds 3,8 --spaces w --steps 5 -o a.png");
    call("interpolate --ws w.npz --spaces w --steps 5 -o b.png");
    assert_eq!(picture(&path("a.png")), picture(&path("b.png")));
    call("video --seeds 3,8 --w-frames 2 -o video-a");
    call("video --ws w.npz --w-frames 2 -o video-b");
    for frame in 0..4 {
        let [a, b] = ["a", "b"].map(|v| picture(&path(&format!("video-{v}/frame000{frame}.png"))));
        assert_eq!(a, b);
    }
    call("mix --rows 3 --cols 8 --styles 0-2 -o mix-a");
    call("mix --rows-ws w.npz --cols 8 --styles 0-2 -o mix-b");
    assert_eq!(picture(&path("mix-a/3-8.png")), picture(&path("mix-b/w0-8.png")));
    let sweep = "-r fashion-test --num 20 --metrics is --is-splits 2 --psi 0.5,1 --no-cache";
    call(&format!("sweep {sweep} --extractor fashion-cnn --ws w.npz -o sweep"));
    let seed = picture(&path("seeds/seed0008.png"));
    let grid = picture(&path("sweep/grid.png"));
    assert!((1..=4).any(|zoom| place(&grid, &seed.enlarged(zoom)).is_some()));
    let found = call("explain latent --ws w.npz --space w --class 9 --steps 3 -o latent.png");
    assert!(found.contains("ankle-boot (9)"), "{found}");
}
