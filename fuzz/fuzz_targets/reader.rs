//! One reader, or each in turn by the first byte.
#![no_main]

use ganscope_hostile::TARGETS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let chosen = std::env::var("GANSCOPE_TARGETS").ok();
    let named = TARGETS.iter().find(|target| Some(target.name) == chosen.as_deref());
    match (named, data) {
        (Some(target), data) => drop((target.read)(data)),
        (None, [first, rest @ ..]) => drop((TARGETS[*first as usize % TARGETS.len()].read)(rest)),
        (None, []) => {}
    }
});
