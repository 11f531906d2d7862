//! What of the maps is measured.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::{Error, Result};

/// What of the maps is measured. In requests `true` stands for [`Maps`](Self::Maps), `false` for
/// [`None`](Self::None).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Measuring {
    /// Nothing.
    #[default]
    None,
    /// How good they are: [`ganscope_explain::Measures`].
    Maps,
    /// What becomes of them when the network forgets:
    /// [`Randomization`](ganscope_explain::randomization::Randomization).
    Randomization,
    /// Both.
    All,
}

impl Measuring {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::None, Self::Maps, Self::Randomization, Self::All];

    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Maps => "maps",
            Self::Randomization => "randomization",
            Self::All => "all",
        }
    }

    /// Whether maps are measured.
    pub fn maps(self) -> bool {
        matches!(self, Self::Maps | Self::All)
    }

    /// Whether the network forgets.
    pub fn randomization(self) -> bool {
        matches!(self, Self::Randomization | Self::All)
    }
}

impl fmt::Display for Measuring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Measuring {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|measuring| measuring.name() == name);
        found.ok_or_else(|| {
            let expected = "expected none, maps, randomization or all";
            Error::request(format!("`{name}` is nothing to measure, {expected}"))
        })
    }
}

impl Serialize for Measuring {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Measuring {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// A flag, or a name.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Flag(bool),
            Name(String),
        }
        match Given::deserialize(from)? {
            Given::Flag(false) => Ok(Self::None),
            Given::Flag(true) => Ok(Self::Maps),
            Given::Name(name) => name.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_and_a_name_say_what_is_measured() {
        let read = |json: &str| serde_json::from_str::<Measuring>(json);
        assert_eq!(read("true").unwrap(), Measuring::Maps);
        assert_eq!(read("false").unwrap(), Measuring::None);
        for measuring in Measuring::ALL {
            let json = serde_json::to_string(&measuring).unwrap();
            assert_eq!(read(&json).unwrap(), measuring);
        }
        let error = read("\"road\"").unwrap_err().to_string();
        assert!(error.contains("road") && error.contains("randomization"), "{error}");
    }
}
