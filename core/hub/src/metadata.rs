//! Facts about a file that the hub sends before the download.

use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderMap;

use crate::error::Failure;
use crate::transfer::MAX_FAILURES;

/// Redirections within the hub, as for a repository that was renamed.
const MAX_MOVES: usize = 5;

/// Name of a file in the cache, and its size.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The tag of the content: the SHA-256 of a large file.
    pub(crate) etag: String,
    /// The commit of the revision.
    pub(crate) commit: String,
    /// Bytes of the file.
    pub(crate) bytes: Option<u64>,
}

/// Asks for the file at `url`, with the token, which is not sent to any other server.
///
/// A redirection to another server, where the bodies of large files are, is answer enough: its
/// headers describe the file. A server that is busy is asked again, as for a body, after twice `pause`,
/// which doubles each time.
pub(crate) fn metadata(
    agent: &Agent,
    url: &str,
    token: Option<&str>,
    pause: Duration,
) -> Result<Metadata, Failure> {
    let mut failures = 0;
    loop {
        match ask(agent, url, token) {
            Err(failure) if failure.may_pass() && failures + 1 < MAX_FAILURES => {
                failures += 1;
                std::thread::sleep(pause * 2u32.pow(failures));
            }
            answer => return answer,
        }
    }
}

fn ask(agent: &Agent, url: &str, token: Option<&str>) -> Result<Metadata, Failure> {
    let mut url = url.to_owned();
    for _ in 0..MAX_MOVES {
        let mut head = agent.head(&url).header("Accept-Encoding", "identity");
        if let Some(token) = token {
            head = head.header("Authorization", format!("Bearer {token}"));
        }
        let response = head.config().max_redirects(0).build().call()?;
        let (status, headers) = (response.status(), response.headers());
        if status.is_redirection()
            && let Some(path) = text(headers, "location").filter(|path| path.starts_with('/'))
            && !path.starts_with("//")
        {
            url = format!("{}{path}", origin(&url));
            continue;
        }
        if !status.is_success() && !status.is_redirection() {
            return Err(Failure::of_status(status.as_u16()));
        }
        return parse(headers, status.is_success());
    }
    Err(Failure::new(format!("the file moves more than {MAX_MOVES} times")))
}

fn parse(headers: &HeaderMap, is_body: bool) -> Result<Metadata, Failure> {
    let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
    let (Some(etag), Some(commit)) = (etag, text(headers, "x-repo-commit")) else {
        return Err(Failure::new("the server does not answer as a hub does"));
    };
    let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
    // They become names of files.
    if !is_plain_name(&etag) || !is_plain_name(commit) {
        return Err(Failure::new("the server names the file or its commit strangely"));
    }
    let bytes = text(headers, "x-linked-size");
    let bytes = bytes.or_else(|| text(headers, "content-length").filter(|_| is_body));
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    Ok(Metadata { etag, commit: commit.to_owned(), bytes })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Scheme and server of an address.
fn origin(url: &str) -> &str {
    let server = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[server..].find('/').map_or(url.len(), |slash| server + slash);
    &url[..end]
}

fn is_plain_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 128 && name.bytes().all(plain)
}
