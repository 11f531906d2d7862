//! Where one file is.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Where one file is: on the hub or behind a plain address.
///
/// Written as `hub:OWNER/REPO/FILE`, with `@REVISION` behind it where that is not `main`, or as
/// an address that starts with `https://` or `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file of a model repository on the hub.
    Hub {
        /// `OWNER/REPO`.
        repo: String,
        /// Path in the repository.
        file: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// Any other address.
    Url(String),
}

impl Source {
    /// The address to download from, for a hub at `endpoint`.
    pub fn url(&self, endpoint: &str) -> String {
        match self {
            Self::Hub { repo, file, revision } => {
                let endpoint = endpoint.trim_end_matches('/');
                let revision = revision.replace('/', "%2F");
                format!("{endpoint}/{repo}/resolve/{revision}/{file}")
            }
            Self::Url(url) => url.clone(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repo, file, revision } if revision == "main" => {
                write!(f, "hub:{repo}/{file}")
            }
            Self::Hub { repo, file, revision } => write!(f, "hub:{repo}/{file}@{revision}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::UnknownId { id: text.to_owned() };
        if text.starts_with("https://") || text.starts_with("http://") {
            // A file needs a name.
            let name = text.split(['?', '#']).next().and_then(|url| url.rsplit('/').next());
            let is_name = name.is_some_and(|name| !name.is_empty() && !name.starts_with('.'));
            return if is_name { Ok(Self::Url(text.to_owned())) } else { Err(unknown()) };
        }
        let rest = text.strip_prefix("hub:").ok_or_else(unknown)?;
        let (path, revision) = rest.rsplit_once('@').unwrap_or((rest, "main"));
        // The parts become folders and pieces of an address.
        let plain = |part: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.+=".contains(&b);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
        };
        if !path.split('/').chain(revision.split('/')).all(plain) {
            return Err(unknown());
        }
        let Some((slash, _)) = path.match_indices('/').nth(1) else { return Err(unknown()) };
        let (repo, file) = (path[..slash].to_owned(), path[slash + 1..].to_owned());
        Ok(Self::Hub { repo, file, revision: revision.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "hub:owner/repo/model.bin",
            "hub:owner/repo/folder/model.bin@refs/pr/15",
            "https://example.org/a/b.pth?download=1",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        let source: Source = "hub:owner/repo/folder/model.bin@refs/pr/15".parse().unwrap();
        assert_eq!(
            source.url("https://hub/"),
            "https://hub/owner/repo/resolve/refs%2Fpr%2F15/folder/model.bin"
        );
    }

    #[test]
    fn what_leads_out_of_the_cache_is_refused() {
        for text in [
            "",
            "model.bin",
            "hub:owner/repo",
            "hub:owner/repo/",
            "hub:owner/repo/../../x",
            "hub:owner/repo/x@../y",
            "hub:../repo/x",
            "hub:owner/repo/a b",
            "https://example.org/",
            "https://example.org/..",
            "file:///etc/passwd",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
