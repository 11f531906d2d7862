//! The README, the pages of `docs`, the model cards and the help texts agree with the program.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use clap::Command;
use ganscope::catalog::{self, PresetWeights};
use ganscope::listing::listings;
use ganscope::models::weights::WeightSource;

/// Lines that the README may have.
const LONGEST_README: usize = 140;
/// Tables that some page must have.
const TABLES: &[&str] = &[
    "metrics",
    "scores",
    "presets",
    "presets-dinov2",
    "presets-clip",
    "resizes",
    "extractors",
    "distances",
    "methods",
    "classifiers",
    "crates",
];
/// Beginnings of paths that exist on one machine only.
const MACHINE: &[&str] = &["/home/", "/root/", "/tmp/", "/Users/", "C:\\"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// Lines of the blocks in the language `console`, continued ones joined.
    fn console(&self) -> Vec<String> {
        let mut language = None;
        let mut lines = Vec::new();
        for line in self.text.lines() {
            match (line.strip_prefix("```"), language) {
                (Some(begun), None) => language = Some(begun),
                (Some(_), Some(_)) => language = None,
                (None, Some("console")) => lines.push(line),
                (None, _) => {}
            }
        }
        joined(&lines)
    }

    /// The text outside of blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// Code within the prose, its line breaks as blanks.
    fn spans(&self) -> Vec<String> {
        let prose = self.prose();
        prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
    }

    /// Targets of links and pictures.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.map(str::to_owned).collect()
    }

    /// Headings as the anchors that they become.
    fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    /// The tables that follow `<!-- catalog: KIND -->`: the kind and the rows.
    fn tables(&self) -> Vec<(String, Vec<String>)> {
        let after = self.text.split("\n<!-- catalog: ").skip(1);
        let table = |after: &str| {
            let (kind, rest) = after.split_once(" -->\n").unwrap();
            let rows = rest.lines().take_while(|line| line.starts_with('|')).skip(2);
            (kind.to_owned(), rows.map(str::to_owned).collect())
        };
        after.map(table).collect()
    }
}

fn pages() -> Vec<Page> {
    let root = root();
    let mut paths: Vec<PathBuf> =
        ["README", "CONTRIBUTING", "CHANGELOG", "BENCHMARKS", "training/README"]
            .map(|name| root.join(name).with_extension("md"))
            .to_vec();
    for folder in ["docs", "models"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let entries = entries.map(|entry| entry.unwrap().path());
        paths.extend(entries.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    assert!(paths.len() > 15, "only {} pages were found", paths.len());
    paths.into_iter().map(Page::read).collect()
}

fn readme() -> Page {
    Page::read(root().join("README.md"))
}

/// Lines, those that end in a backslash together with the next.
fn joined(lines: &[&str]) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines {
        let part = line.strip_suffix('\\').unwrap_or(line).trim();
        match whole.last_mut().filter(|_| continues) {
            Some(before) => before.extend([" ", part]),
            None => whole.push(part.to_owned()),
        }
        continues = line.ends_with('\\');
    }
    whole
}

/// The arguments of a call of the program, up to a pipe or a redirection; none for another command.
fn call(line: &str) -> Option<Vec<String>> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = match line.strip_prefix("cargo run --release -- ") {
        Some(arguments) => format!("ganscope {arguments}"),
        None => line.to_owned(),
    };
    let words =
        shlex::split(&line).filter(|words| words.first().is_some_and(|w| w == "ganscope"))?;
    let ends = |word: &String| ["|", "&&", ";", ">", ">>"].contains(&word.as_str());
    Some(words.into_iter().take_while(|word| !ends(word)).collect())
}

/// Why the program would not understand its arguments.
fn refusal(arguments: &[String]) -> Option<String> {
    let error = ganscope_cli::refusal(arguments)?;
    error.use_stderr().then(|| error.to_string())
}

/// Fails with all of `problems` at once.
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn commands_of_the_pages_parse() {
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages() {
        for line in page.console() {
            let Some(arguments) = call(&line) else { continue };
            count += 1;
            let refusal = refusal(&arguments);
            problems.extend(refusal.map(|why| format!("{}: `{line}`: {why}", page.name())));
        }
    }
    none(&problems);
    assert!(count > 30, "only {count} commands were found");
}

/// Whether the words name a verb without its arguments.
fn is_verb(words: &[String]) -> bool {
    let program = ganscope_cli::command();
    let mut below = words.iter().skip(1);
    below.try_fold(&program, |verb, name| verb.find_subcommand(name)).is_some()
}

#[test]
fn commands_and_flags_within_the_prose_exist() {
    let mut flags = BTreeSet::from(["features".to_owned()]);
    for verb in verbs(&ganscope_cli::command()) {
        for argument in verb.get_arguments() {
            let names = argument.get_long_and_visible_aliases().unwrap_or_default();
            flags.extend(names.into_iter().map(str::to_owned));
        }
    }
    let mut problems = Vec::new();
    for page in pages() {
        for span in page.spans() {
            if let Some(arguments) = call(&span).filter(|arguments| !is_verb(arguments)) {
                let refusal = refusal(&arguments);
                problems.extend(refusal.map(|why| format!("{}: `{span}`: {why}", page.name())));
            }
            let of_program = !page.path.starts_with(root().join("training"));
            if let Some(flag) = span.strip_prefix("--").filter(|_| of_program) {
                let flag = flag.split([' ', '=']).next().unwrap();
                if !flags.contains(flag) {
                    problems.push(format!("{}: no verb has `--{flag}`", page.name()));
                }
            }
        }
    }
    none(&problems);
}

/// A verb and all below it.
fn verbs(verb: &Command) -> Vec<Command> {
    let mut all = vec![verb.clone()];
    for below in verb.get_subcommands() {
        all.extend(verbs(below));
    }
    all
}

#[test]
fn examples_of_the_help_parse() {
    let mut problems = Vec::new();
    let mut count = 0;
    for verb in verbs(&ganscope_cli::command()) {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in joined(&help.lines().collect::<Vec<_>>()) {
            // What an example does stands behind two blanks.
            let example = line.split("  ").next().unwrap();
            let Some(arguments) = call(example) else { continue };
            count += 1;
            let refusal = refusal(&arguments);
            problems.extend(refusal.map(|why| format!("{}: `{line}`: {why}", verb.get_name())));
        }
    }
    none(&problems);
    assert!(count > 25, "only {count} examples were found");
}

/// The workspace as cargo describes it.
fn packages() -> Vec<serde_json::Value> {
    let cargo = Process::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn commands_of_cargo_name_packages_and_targets_that_exist() {
    let packages = packages();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let names: BTreeSet<String> = packages.iter().map(|p| text(&p["name"])).collect();
    let targets = packages.iter().flat_map(|p| p["targets"].as_array().unwrap());
    let targets: BTreeSet<(String, String)> =
        targets.map(|t| (text(&t["kind"][0]), text(&t["name"]))).collect();
    let mut problems = Vec::new();
    for page in pages() {
        for line in page.console().into_iter().chain(page.spans()) {
            let words = shlex::split(&line).unwrap_or_default();
            if words.first().is_none_or(|word| word != "cargo") {
                continue;
            }
            for pair in words.windows(2) {
                let exists = match pair[0].as_str() {
                    "--" => break,
                    "-p" => names.contains(&pair[1]),
                    "--example" | "--test" => {
                        targets.contains(&(pair[0].trim_start_matches('-').into(), pair[1].clone()))
                    }
                    "--path" => root().join(&pair[1]).join("Cargo.toml").is_file(),
                    _ => true,
                };
                if !exists {
                    problems.push(format!("{}: `{line}`: no `{}`", page.name(), pair[1]));
                }
            }
        }
    }
    none(&problems);
}

#[test]
fn links_resolve_and_pictures_exist() {
    let mut problems = Vec::new();
    let mut reached = BTreeSet::new();
    for page in pages() {
        for link in page.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let Ok(path) = path.canonicalize() else {
                problems.push(format!("{}: `{link}` does not exist", page.name()));
                continue;
            };
            if !anchor.is_empty() && !Page::read(path.clone()).anchors().contains(&anchor.into()) {
                problems.push(format!("{}: `{link}` has no such heading", page.name()));
            }
            // A palette would draw a color bar in steps.
            let bytes = std::fs::read(&path).unwrap_or_default();
            if path.parent().unwrap().ends_with("docs")
                && bytes.starts_with(b"\x89PNG")
                && bytes[25] != 2
            {
                problems.push(format!("`{}` is no picture of RGB pixels", path.display()));
            }
            reached.insert(path);
        }
    }
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path().canonicalize().unwrap();
        if !reached.contains(&path) {
            problems.push(format!("no page leads to `{}`", path.display()));
        }
    }
    none(&problems);
}

/// Names in the first cell of a row.
fn names_of(row: &str) -> Vec<String> {
    let cell = row.split('|').nth(1).unwrap();
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names that a table of `kind` must have, in order.
fn expected(kind: &str) -> Vec<String> {
    match kind {
        "resizes" => ganscope::images::Resize::ALL.iter().map(|r| r.name().to_owned()).collect(),
        "scores" => scores().into_iter().map(|(name, _)| name).collect(),
        "crates" => packages()
            .iter()
            .map(|package| {
                let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
                let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
                if folder == Path::new("") { "src".into() } else { folder.display().to_string() }
            })
            .collect(),
        kind => {
            let all = listings();
            let found = all.into_iter().find(|listing| listing.kind == kind);
            let entries = found.unwrap_or_else(|| panic!("no kind `{kind}`")).entries;
            entries.into_iter().map(|entry| entry.name).collect()
        }
    }
}

/// The scores of all metrics, and whether higher is better. Those of `sfid`, which needs spatial
/// features, and of `ct`, which needs more images, are called as the metric.
fn scores() -> Vec<(String, bool)> {
    let samples = root().join("models/samples").display().to_string();
    let computed = catalog::METRICS
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !["sfid", "ct"].contains(name));
    let mut request = ganscope::score::ScoreRequest {
        generated: vec![samples],
        reference: Some("fashion-test".into()),
        metrics: Some(computed.map(str::to_owned).collect()),
        ..Default::default()
    };
    request.options.kid_subset_size = 10;
    request.features.extractor = Some("fashion-cnn".into());
    request.features.cache = ganscope::features::Cache::Off;
    let report = ganscope::score::score(&request, &mut ()).unwrap();
    let mut scores: Vec<(String, bool)> =
        report.scores.into_iter().map(|row| (row.name, row.higher_is_better)).collect();
    let fid = scores.iter().position(|(name, _)| name == "fid").unwrap();
    scores.insert(fid + 1, ("sfid".into(), false));
    let mifid = scores.iter().position(|(name, _)| name == "mifid").unwrap();
    scores.insert(mifid, ("ct".into(), true));
    scores
}

#[test]
fn tables_agree_with_the_catalog() {
    let mut problems = Vec::new();
    let mut kinds = BTreeSet::new();
    for page in pages() {
        for (kind, rows) in page.tables() {
            let mut found: Vec<String> = rows.iter().flat_map(|row| names_of(row)).collect();
            let mut expected = expected(&kind);
            if kind == "crates" {
                found.sort();
                expected.sort();
            }
            if found != expected {
                problems.push(format!("{}: {kind}: {found:?}, expected {expected:?}", page.name()));
            }
            for row in &rows {
                problems
                    .extend(wrong_cell(&kind, row).map(|why| format!("{}: {why}", page.name())));
            }
            kinds.insert(kind);
        }
    }
    for kind in TABLES {
        if !kinds.contains(*kind) {
            problems.push(format!("no page has a table of {kind}"));
        }
    }
    none(&problems);
}

/// What is wrong in the further cells of a row.
fn wrong_cell(kind: &str, row: &str) -> Option<String> {
    let name = names_of(row).into_iter().next()?;
    let words: Vec<String> = match kind {
        "presets" => {
            let preset = catalog::PRESETS.iter().find(|preset| preset.name == name)?;
            let metrics: Vec<_> = preset.metrics.iter().map(|m| format!("`{m}`")).collect();
            let (resize, scaling) = (preset.resize.name(), preset.scaling.as_ref());
            vec![
                format!("`{resize}`"),
                scaling.map(|scaling| format!("`{scaling}`")).unwrap_or_default(),
                format!("| {} |", metrics.join(", ")),
            ]
        }
        "presets-dinov2" | "presets-clip" => {
            let extractor = kind.trim_start_matches("presets-");
            let entry = catalog::extractor(extractor).unwrap();
            let preset = entry.preset(Some(&name)).ok()?;
            let weights = match preset.weights {
                PresetWeights::Usual => String::new(),
                PresetWeights::Known(id) => format!("`{id}`"),
                PresetWeights::Given => "`--weights`".to_owned(),
            };
            let layer = preset.layer.map(|layer| format!("`{layer}`")).unwrap_or_default();
            vec![format!("`{}`", preset.resize.name()), weights, layer]
        }
        "classifiers" => {
            let entry = catalog::CLASSIFIERS.iter().find(|entry| entry.name == name)?;
            vec![from_where(entry.weights).into()]
        }
        "extractors" => {
            let entry = catalog::EXTRACTORS.iter().find(|entry| entry.name == name)?;
            vec![from_where(Some(entry.weights)).into()]
        }
        "scores" => {
            let (_, higher) = scores().into_iter().find(|(score, _)| *score == name)?;
            vec![format!("| {} |", if higher { "higher" } else { "lower" })]
        }
        _ => Vec::new(),
    };
    let missing = words.into_iter().find(|word| !row.contains(word.as_str()))?;
    Some(format!("the row of `{name}` lacks {missing}: {row}"))
}

/// What a table says of the weights.
fn from_where(weights: Option<WeightSource>) -> &'static str {
    match weights {
        Some(WeightSource::Known(_)) => "downloaded once",
        Some(WeightSource::Shipped(_)) => "shipped",
        None => "`--weights`",
    }
}

#[test]
fn the_readme_is_short_and_has_the_two_commands() {
    let text = readme().text;
    let lines = text.lines().count();
    assert!(lines <= LONGEST_README, "the README has {lines} lines");
    for (mark, command) in [
        (
            "main",
            "cargo run --release -- sweep fashion-biggan --reference fashion-test --num 5000 --trunc 0.2:1.0:0.2 -o sweep",
        ),
        ("test", "cargo test --workspace"),
    ] {
        let block = format!("<!-- {mark} -->\n```console\n{command}\n```\n<!-- end -->\n");
        assert!(text.contains(&block), "the README lacks the block `{mark}`");
    }
}

#[test]
fn the_readme_tells_size_and_digest_of_the_weights_of_fid() {
    let (text, known) = (readme().text, ganscope::hub::known("inception-fid").unwrap());
    assert!(text.contains(known.sha256.unwrap()), "the digest is {:?}", known.sha256);
    let digits = known.bytes.unwrap().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    assert!(text.contains(&format!("{} bytes", groups.join(","))), "it has {digits} bytes");
}

#[test]
fn no_page_names_a_path_of_one_machine() {
    let mut problems = Vec::new();
    for page in pages() {
        for line in page.text.lines() {
            let found = MACHINE.iter().find(|path| line.contains(**path));
            problems.extend(found.map(|path| format!("{}: `{path}` in: {line}", page.name())));
        }
    }
    none(&problems);
}
