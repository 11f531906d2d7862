//! Mutated files: no reader panics, takes seconds, or allocates without a reason.
//!
//! A few seconds for each reader; `GANSCOPE_CASES=1000000` for the long run, `GANSCOPE_SEED=N` for
//! other cases, `GANSCOPE_TARGETS=png,jpeg` for some readers, best in release with overflow checks.
//! `GANSCOPE_CASE=FILE` reads one file again that was kept as `READER-SEED-NUMBER`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ganscope_hostile::mutate::{Random, case, seeds};
use ganscope_hostile::{TARGETS, Target, honest};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Time for each reader.
const TIME: Duration = Duration::from_secs(2);
/// Memory that a case may take beside its content.
const FREE: usize = 64 << 20;
/// Memory for each byte of content.
const PER_BYTE: usize = 64;
/// Longest case, by the faster of two tries: the machine does other work meanwhile.
const LONGEST: Duration = Duration::from_secs(2);

/// Seeds that take longer are read once and not changed: the time goes into many cases.
const QUICK: Duration = Duration::from_millis(10);

/// Panics, those that decoders catch included.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is wrong with a case, if anything is, and the time that it takes.
fn problem(target: &Target, bytes: &[u8]) -> (Option<String>, Duration) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let began = Instant::now();
    let outcome = std::panic::catch_unwind(|| (target.read)(bytes));
    let (mut took, peak) = (began.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    if took > LONGEST && outcome.is_ok() {
        let again = Instant::now();
        let _same = (target.read)(bytes);
        took = took.min(again.elapsed());
    }
    let panics = std::mem::take(&mut *PANICS.lock().expect("nothing panics in the hook"));
    let budget = FREE + PER_BYTE * bytes.len() + 4 * honest(bytes);
    let problem = match outcome {
        _ if !panics.is_empty() => Some(panics.join("; ")),
        Err(_) => Some("panicked".into()),
        Ok(_) if took > LONGEST => Some(format!("took {took:?}")),
        Ok(_) if peak > budget => Some(format!("took {peak} bytes of {budget}")),
        Ok(_) => None,
    };
    (problem, took)
}

#[test]
fn mutated_files_do_no_harm() {
    std::panic::set_hook(Box::new(|info| {
        PANICS.lock().expect("nothing panics in the hook").push(info.to_string());
    }));
    let cases = variable("GANSCOPE_CASES").and_then(|cases| cases.parse::<u64>().ok());
    let seed = variable("GANSCOPE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let chosen = variable("GANSCOPE_TARGETS");
    let mut problems = Vec::new();
    for target in TARGETS {
        if chosen.as_ref().is_some_and(|chosen| chosen.split(',').all(|name| name != target.name)) {
            continue;
        }
        let seeds = seeds(target);
        assert!(seeds.len() > 1, "{}: {} seeds", target.name, seeds.len());
        let mut timed = Vec::new();
        for (name, bytes) in seeds {
            let (found, took) = problem(target, &bytes);
            problems.extend(found.map(|problem| format!("{}, {name}: {problem}", target.name)));
            timed.push((took, (name, bytes)));
        }
        // On a busy machine none may be quick; the quickest is changed in any case.
        let quickest = timed.iter().map(|&(took, _)| took).min().unwrap_or_default();
        let quick = timed.into_iter().filter(|&(took, _)| took <= QUICK.max(quickest));
        let quick: Vec<_> = quick.map(|(_, seed)| seed).collect();
        let (began, mut random) = (Instant::now(), Random::new(seed));
        let (mut done, mut slowest) = (0, Duration::ZERO);
        while cases.map_or_else(|| began.elapsed() < TIME, |cases| done < cases) {
            let state = random.clone();
            let bytes = case(&quick, &mut random);
            let (found, took) = problem(target, &bytes);
            if let Some(problem) = found {
                let folder = std::env::temp_dir().join("ganscope-cases");
                let path = folder.join(format!("{}-{seed}-{done}", target.name));
                let kept =
                    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &bytes));
                let place = kept.map_or(format!("{state:?}"), |()| path.display().to_string());
                problems.push(format!("{}, `{place}`: {problem}", target.name));
                if problems.len() > 20 {
                    break;
                }
            }
            slowest = slowest.max(took);
            done += 1;
        }
        println!("{:<12} {done:>9} cases, slowest {slowest:?}, {:?}", target.name, began.elapsed());
    }
    drop(std::panic::take_hook());
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_kept_case_does_no_harm() {
    let Some(path) = variable("GANSCOPE_CASE").map(PathBuf::from) else { return };
    let name = path.file_name().and_then(|name| name.to_str()).expect("a file's name");
    let reader = name.split('-').next().unwrap_or(name);
    let target = TARGETS.iter().find(|target| target.name == reader).expect("a reader's name");
    let (found, took) = problem(target, &std::fs::read(&path).unwrap());
    println!("{name}: {took:?}");
    assert_eq!(found, None);
}

#[test]
fn seeds_of_generators_are_generators() {
    let target = TARGETS.iter().find(|target| target.name == "generator").expect("it is there");
    let seeds = seeds(target);
    assert!(seeds.len() >= 12, "{} seeds", seeds.len());
    for (name, bytes) in seeds {
        assert!((target.read)(&bytes), "{name}");
    }
}
