//! Downloading one file: resumed where it was cut, verified, then renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use ureq::{Agent, Body, http::Response};

use crate::error::Failure;
use crate::{Error, Progress, Result};

/// Ending of a download that is not whole.
pub(crate) const PART: &str = ".part";

/// Attempts in a row without many new bytes.
pub(crate) const MAX_FAILURES: u32 = 5;
/// Attempts in all.
const MAX_ATTEMPTS: u32 = 200;
/// Times that a download is begun anew.
const MAX_RESTARTS: u32 = 3;
/// Bytes by which an attempt has to bring a download on to count as none in vain.
const PROGRESS: u64 = 1 << 16;

/// Bytes of the largest file that is downloaded: more than any published network has.
const MAX_BYTES: u64 = 1 << 34;

/// Time in which [`PROGRESS`] bytes have to come, so that a server that sends single bytes is left.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes that are read between two calls of the watcher.
const CHUNK: usize = 1 << 17;

/// One file on a server.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    pub(crate) token: Option<&'a str>,
    /// The SHA-256, or its first digits.
    pub(crate) sha256: Option<&'a str>,
    /// Bytes of the whole file.
    pub(crate) bytes: Option<u64>,
    /// Half the pause after the first attempt in vain; it doubles each time.
    pub(crate) pause: Duration,
}

impl Request<'_> {
    /// The error of this request.
    fn failed(&self, failure: Failure) -> Fault {
        Fault::Told(failure.of(self.url, self.sha256))
    }
}

/// The outcome of one attempt.
enum Outcome {
    Whole,
    /// The connection ended early, or the server asked to come back.
    Cut(Failure),
    /// What is here does not go with what the server has: it is thrown away.
    Anew(Failure),
}

/// An error of the download, or of the file that it is written to.
enum Fault {
    Told(Error),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Downloads to `target`, by way of `target` with `.part` behind its name.
///
/// Of several processes one downloads and the others wait for it.
pub(crate) fn download(
    agent: &Agent,
    request: &Request<'_>,
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(PART);
    let part = target.with_file_name(name);
    let mut work = || {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&part)?;
        match file.lock() {
            // Some network file systems have no locks.
            Err(e) if e.kind() == ErrorKind::Unsupported => {}
            locked => locked?,
        }
        if target.is_file() {
            return Ok(());
        }
        transfer(agent, request, &mut file, progress)?;
        if let Some(found) = no_weights(&mut file, request.url)? {
            std::fs::remove_file(&part)?;
            let reason = format!("the server answers with {found}, not with weights");
            return Err(request.failed(Failure::new(reason)));
        }
        if let Some(expected) = request.sha256 {
            file.rewind()?;
            let found = digest(&mut file)?;
            if !matches(&found, expected) {
                std::fs::remove_file(&part)?;
                let (what, expected) = (request.url.to_owned(), expected.to_owned());
                return Err(Fault::Told(Error::Checksum { what, expected, found }));
            }
        }
        file.sync_all()?;
        Ok(std::fs::rename(&part, target)?)
    };
    work().map_err(|fault| match fault {
        Fault::Told(error) => error,
        Fault::Io(error) => Error::writing(target)(error),
    })
}

/// Fills `file` with the whole content.
fn transfer(
    agent: &Agent,
    request: &Request<'_>,
    file: &mut File,
    progress: &mut Progress<'_>,
) -> Result<(), Fault> {
    let (mut failures, mut restarts) = (0, 0);
    for attempts in 1.. {
        let before = file.metadata()?.len();
        let failure = match attempt(agent, request, file, progress)? {
            Outcome::Whole => return Ok(()),
            Outcome::Cut(failure) => failure,
            Outcome::Anew(failure) => {
                file.set_len(0)?;
                restarts += 1;
                failure
            }
        };
        let grown = file.metadata()?.len().saturating_sub(before) >= PROGRESS;
        failures = if grown { 0 } else { failures + 1 };
        if failures == MAX_FAILURES || restarts > MAX_RESTARTS || attempts == MAX_ATTEMPTS {
            return Err(request.failed(failure));
        }
        std::thread::sleep(request.pause * 2u32.pow(failures));
    }
    Ok(())
}

/// What a file is that cannot be what was asked for: nothing, a page of a web site, a message in JSON, or
/// a pointer to a large file in its place.
fn no_weights(file: &mut File, url: &str) -> io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    file.rewind()?;
    (&*file).take(64).read_to_end(&mut start)?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match first {
        None if start.len() < 64 => Some("nothing"),
        Some(b'<') => Some("a page"),
        Some(b'{' | b'[') if !url.contains(".json") => Some("a message"),
        _ if start.starts_with(b"version https://git-lfs") => Some("a pointer of Git LFS"),
        _ => None,
    })
}

/// Requests the missing part and appends it.
fn attempt(
    agent: &Agent,
    request: &Request<'_>,
    file: &mut File,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Fault> {
    let start = file.metadata()?.len();
    if start > 0 && request.bytes == Some(start) {
        return Ok(Outcome::Whole);
    }
    // A packed transfer could not be resumed.
    let mut get = agent.get(request.url).header("Accept-Encoding", "identity");
    // An address that is secure is not left for one that is not.
    get = get.config().https_only(request.url.starts_with("https://")).build();
    if start > 0 {
        get = get.header("Range", format!("bytes={start}-"));
    }
    if let Some(token) = request.token {
        get = get.header("Authorization", format!("Bearer {token}"));
    }
    let response = match get.call() {
        Ok(response) => response,
        // The part is longer than the file, or as long but of unknown size: start again.
        Err(ureq::Error::StatusCode(416)) => {
            return Ok(Outcome::Anew(Failure::new("the server has less than is here")));
        }
        Err(e) => {
            let failure = Failure::from(e);
            let may_pass = failure.may_pass();
            return if may_pass { Ok(Outcome::Cut(failure)) } else { Err(request.failed(failure)) };
        }
    };
    let resumed = response.status() == 206;
    if resumed && range_start(&response) != Some(start) {
        let reason = format!("the server sends another part than that from byte {start} on");
        return Ok(Outcome::Anew(Failure::new(reason)));
    }
    let total = total(&response, resumed).or(request.bytes);
    if let Some(total) = total.filter(|&total| total > MAX_BYTES) {
        let reason = format!("{total} bytes are offered, more than {MAX_BYTES}");
        return Err(request.failed(Failure::new(reason)));
    }
    if let (Some(total), Some(bytes)) = (total, request.bytes)
        && total != bytes
    {
        let reason = format!("{total} bytes are offered in place of {bytes}");
        return Err(request.failed(Failure::new(reason)));
    }
    if !resumed {
        // The server sends the whole file, whichever part was requested.
        file.set_len(0)?;
    }
    append(response, file, total, progress)
}

/// Appends the body of `response` until it ends, or is as long as announced.
fn append(
    response: Response<Body>,
    file: &mut File,
    total: Option<u64>,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Fault> {
    let mut done = file.metadata()?.len();
    let mut body = response.into_body().into_reader();
    let mut chunk = vec![0; CHUNK];
    progress(done, total);
    let (mut since, mut from) = (Instant::now(), done);
    loop {
        if total.is_some_and(|total| done >= total) {
            file.set_len(total.unwrap_or(done))?;
            return Ok(Outcome::Whole);
        }
        if done > MAX_BYTES {
            let reason = format!("more than {MAX_BYTES} bytes without an end");
            return Ok(Outcome::Anew(Failure::new(reason)));
        }
        if since.elapsed() >= PATIENCE {
            if done - from < PROGRESS {
                return Ok(Outcome::Cut(Failure::new("the server sends hardly anything")));
            }
            (since, from) = (Instant::now(), done);
        }
        match body.read(&mut chunk) {
            Ok(0) if total.is_none() => return Ok(Outcome::Whole),
            Ok(0) => {
                let reason = format!("the connection ended after {done} bytes");
                return Ok(Outcome::Cut(Failure::new(reason)));
            }
            Ok(n) => {
                file.write_all(&chunk[..n])?;
                done += n as u64;
                progress(done, total);
            }
            Err(e) => return Ok(Outcome::Cut(Failure::new(e.to_string()))),
        }
    }
}

/// Where the part that a response contains begins.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.trim().parse().ok()
}

/// Size of the whole file in bytes, according to the response.
fn total(response: &Response<Body>, resumed: bool) -> Option<u64> {
    let header = |name| response.headers().get(name)?.to_str().ok();
    if resumed {
        header("content-range")?.rsplit('/').next()?.trim().parse().ok()
    } else {
        header("content-length")?.trim().parse().ok()
    }
}

/// Compares the SHA-256 of the file `path` with `expected`, or with its first digits.
pub(crate) fn verify(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if matches(&found, expected) {
        return Ok(());
    }
    let (what, expected) = (path.display().to_string(), expected.to_owned());
    Err(Error::Checksum { what, expected, found })
}

pub(crate) fn matches(found: &str, expected: &str) -> bool {
    !expected.is_empty() && found.starts_with(&expected.to_ascii_lowercase())
}

/// SHA-256 of the file `path`, in hexadecimal digits.
///
/// # Errors
/// [`Error::File`] if it cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let read = || digest(&mut File::open(path)?);
    read().map_err(Error::reading(path))
}

fn digest(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&chunk[..n]),
        }
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[half as usize]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
