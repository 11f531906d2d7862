//! Lists as they are typed: seeds `0,1,4-6` and truncations `0.1:1.0:0.1`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::{Error, Result};

/// No network has more style inputs than that, and a typo must not fill the memory.
const MOST_STYLES: u32 = 1 << 16;
/// A typo in the step must not fill the memory.
const MOST_TRUNCATIONS: f64 = 10_000.0;

/// Seeds in the order they were written, as the StyleGAN tools read them: `0,1,4-6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds {
    ranges: Vec<RangeInclusive<u32>>,
}

impl Seeds {
    /// How many seeds there are, repetitions included.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|r| (r.end() - r.start()) as usize + 1).sum()
    }

    /// Whether it is empty; a parsed list never is.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The seeds one by one.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// The seeds as a list.
    pub fn to_vec(&self) -> Vec<u32> {
        self.iter().collect()
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl From<RangeInclusive<u32>> for Seeds {
    fn from(range: RangeInclusive<u32>) -> Self {
        let ranges = if range.is_empty() { Vec::new() } else { vec![range] };
        Self { ranges }
    }
}

impl FromStr for Seeds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ranges = parse_ranges("seeds", "0,1,4-6", text)?;
        Ok(Self { ranges })
    }
}

/// Rows of `ws` in the order they were written: `0-6` or `0,1,4-6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Styles(pub Vec<usize>);

impl FromStr for Styles {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ranges = parse_ranges("styles", "0-6", text)?;
        if let Some(range) = ranges.iter().find(|r| *r.end() >= MOST_STYLES) {
            let problem = format!("style {} is beyond every generator", range.end());
            return Err(Error::List { what: "styles", text: text.into(), problem, form: "0-6" });
        }
        Ok(Self(ranges.into_iter().flatten().map(|s| s as usize).collect()))
    }
}

impl fmt::Display for Styles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, run) in self.0.chunk_by(|style, next| style + 1 == *next).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match run {
                [style] => write!(f, "{comma}{style}")?,
                _ => write!(f, "{comma}{}-{}", run[0], run[run.len() - 1])?,
            }
        }
        Ok(())
    }
}

/// Truncations in the order they were written: `0.5,0.7,1` or `START:STOP:STEP`, both ends
/// included.
#[derive(Debug, Clone, PartialEq)]
pub struct Truncations(pub Vec<f64>);

impl FromStr for Truncations {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |problem: String| Error::List {
            what: "truncations",
            text: text.into(),
            problem,
            form: "0.1:1.0:0.1` or `0.5,0.7,1",
        };
        let mut values = Vec::new();
        for part in text.split(',').map(str::trim) {
            let numbers: Vec<&str> = part.split(':').map(str::trim).collect();
            match numbers[..] {
                [one] => values.push(finite(one).map_err(fail)?),
                [start, stop, step] => values.extend(steps(start, stop, step).map_err(fail)?),
                _ => return Err(fail(format!("`{part}` is neither a number nor START:STOP:STEP"))),
            }
        }
        Ok(Self(values))
    }
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("`{text}` is not a finite number")),
    }
}

/// `start + i step` up to `stop`, rounded to the decimals that were typed: 0.3, not 0.30000000000000004.
fn steps(start: &str, stop: &str, step: &str) -> Result<Vec<f64>, String> {
    let decimals =
        [start, step].iter().map(|t| t.split_once('.').map_or(0, |(_, d)| d.len())).max();
    let (start, stop, step) = (finite(start)?, finite(stop)?, finite(step)?);
    if step == 0.0 || (stop - start) / step < 0.0 {
        return Err(format!("{stop} cannot be reached from {start} in steps of {step}"));
    }
    let count = ((stop - start) / step + 1e-9).floor();
    if count > MOST_TRUNCATIONS {
        return Err(format!("steps of {step} make more than {MOST_TRUNCATIONS} values"));
    }
    let unit = 10f64.powi(decimals.unwrap_or(0).min(15) as i32);
    Ok((0..=count as usize).map(|i| ((start + i as f64 * step) * unit).round() / unit).collect())
}

fn parse_ranges(
    what: &'static str,
    form: &'static str,
    text: &str,
) -> Result<Vec<RangeInclusive<u32>>> {
    let fail = |problem: String| Error::List { what, text: text.into(), problem, form };
    let number = |part: &str| -> Result<u32> {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match part.parse::<u32>() {
            Ok(value) if digits => Ok(value),
            Err(_) if digits => Err(fail(format!("{part} is above {}", u32::MAX))),
            _ if part.is_empty() => Err(fail("a number is missing".into())),
            _ => Err(fail(format!("`{part}` is not a number"))),
        }
    };
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first.trim())?, number(last.trim())?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(fail(format!("the range {first}-{last} runs backwards")));
        }
        ranges.push(first..=last);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(text: &str) -> Vec<u32> {
        text.parse::<Seeds>().unwrap().to_vec()
    }

    fn refusal<T: FromStr<Err = Error>>(text: &str) -> String {
        text.parse::<T>().err().unwrap().to_string()
    }

    #[test]
    fn seeds_are_numbers_and_inclusive_ranges_in_order() {
        assert_eq!(seeds("0,1,4-6"), [0, 1, 4, 5, 6]);
        assert_eq!(seeds(" 9 - 10, 3"), [9, 10, 3]);
        assert_eq!(seeds("4294967295"), [u32::MAX]);
        assert_eq!("0-4294967295".parse::<Seeds>().unwrap().len(), 1 << 32);
    }

    #[test]
    fn a_typo_in_seeds_is_named_with_the_right_form() {
        let expected = "seeds `0,1,4-`: a number is missing; write them as `0,1,4-6`";
        assert_eq!(refusal::<Seeds>("0,1,4-"), expected);
        assert!(refusal::<Seeds>("0,,1").contains("missing"));
        assert!(refusal::<Seeds>("").contains("missing"));
        assert!(refusal::<Seeds>("1;2").contains("`1;2` is not a number"));
        assert!(refusal::<Seeds>("+1").contains("`+1` is not a number"));
        assert!(refusal::<Seeds>("6-4").contains("6-4 runs backwards"));
        assert!(refusal::<Seeds>("4294967296").contains("above 4294967295"));
    }

    #[test]
    fn styles_beyond_every_generator_are_refused() {
        assert_eq!("0-2,5".parse::<Styles>().unwrap().0, [0, 1, 2, 5]);
        assert!(refusal::<Styles>("0-4000000000").contains("beyond every generator"));
    }

    #[test]
    fn truncations_are_the_decimals_that_were_typed() {
        let sweep: Truncations = "0.1:1.0:0.1".parse().unwrap();
        assert_eq!(sweep.0, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
        assert_eq!("0:1:0.4".parse::<Truncations>().unwrap().0, [0.0, 0.4, 0.8]);
        assert_eq!("1:0:-0.5".parse::<Truncations>().unwrap().0, [1.0, 0.5, 0.0]);
        assert_eq!("0.5, 0.7,1".parse::<Truncations>().unwrap().0, [0.5, 0.7, 1.0]);
        assert_eq!("0.7".parse::<Truncations>().unwrap().0, [0.7]);
        assert_eq!("2:2:1".parse::<Truncations>().unwrap().0, [2.0]);
    }

    #[test]
    fn a_typo_in_truncations_is_named() {
        assert!(refusal::<Truncations>("0.1:1.0").contains("`0.1:1.0` is neither"));
        assert!(refusal::<Truncations>("0.1:1.0:0").contains("cannot be reached"));
        assert!(refusal::<Truncations>("1:0.1:0.1").contains("cannot be reached"));
        assert!(refusal::<Truncations>("0:1:1e-9").contains("more than 10000"));
        assert!(refusal::<Truncations>("nan").contains("`nan` is not a finite number"));
        assert!(refusal::<Truncations>("0,5;1").contains("`5;1`"));
    }
}
