//! Servers that lie: whatever they answer, a download ends soon, keeps within bounds, and leaves
//! nothing that looks whole.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ganscope_hub::{Error, Hub, Source};

/// The file that an honest server would send.
static CONTENT: [u8; 300_000] = [7; 300_000];
/// More requests than this for one file are a loop.
const MOST_REQUESTS: usize = 12;
/// Longest that one download may take: all pauses together are less than a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server answers to the `n`-th request, whose range begins at a byte if there is one.
type Answer = fn(&mut TcpStream, usize, Option<u64>) -> std::io::Result<()>;

/// A request as it arrived.
struct Asked {
    method: String,
    /// How many came before.
    n: usize,
    /// Where its range begins, if it has one.
    range: Option<u64>,
}

/// Starts a server and returns the address of a file there, and the number of requests so far.
fn serve(
    answer: impl Fn(&mut TcpStream, &Asked) -> std::io::Result<()> + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/model.bin", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut range, mut method) = (None, String::new());
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if method.is_empty() {
                    line.split(' ').next().unwrap_or_default().clone_into(&mut method);
                } else if let Some(from) = line.to_lowercase().strip_prefix("range: bytes=") {
                    range = from.trim_end_matches('-').parse().ok();
                }
            }
            let n = count.fetch_add(1, Ordering::SeqCst);
            // The client goes away when it has seen enough.
            let _gone = answer(&mut stream, &Asked { method, n, range });
        }
    });
    (url, seen)
}

/// A client with empty caches in `folder`, for the server of `url`.
fn hub(url: &str, folder: &Path) -> Hub {
    Hub {
        endpoint: url.trim_end_matches("/model.bin").to_owned(),
        cache: folder.join("hub"),
        downloads: folder.join("files"),
        token: None,
        offline: false,
        pause: Duration::from_millis(1),
    }
}

fn head(to: &mut TcpStream, status: &str, headers: &[(&str, String)]) -> std::io::Result<()> {
    write!(to, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    headers.iter().try_for_each(|(name, value)| write!(to, "{name}: {value}\r\n"))?;
    to.write_all(b"\r\n")
}

fn length(n: usize) -> (&'static str, String) {
    ("Content-Length", n.to_string())
}

/// The outcome of a download, the requests it took, and the bytes in the cache afterwards.
fn fetch(answer: Answer, sha256: Option<&str>) -> (Result<PathBuf, Error>, usize, u64) {
    let (url, seen) = serve(move |to, asked| answer(to, asked.n, asked.range));
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&url, folder.path());
    let source: Source = url.parse().unwrap();
    let began = Instant::now();
    let outcome = hub.fetch_source(&source, sha256, &mut |_, _| {});
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    if outcome.is_err() {
        assert_eq!(hub.cached(&url), None, "what failed does not look whole");
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder.path().join("files/downloads")).unwrap().flatten() {
        let files = std::fs::read_dir(entry.path()).unwrap().flatten();
        bytes += files.map(|file| file.metadata().unwrap().len()).sum::<u64>();
    }
    (outcome, seen.load(Ordering::SeqCst), bytes)
}

#[test]
fn a_body_without_end_is_cut_where_it_was_announced_to_end() {
    let wrong = "0".repeat(64);
    let endless: Answer = |to, n, _| {
        // The first answer is cut, the second has no end.
        let total = ("Content-Range", format!("bytes 200000-299999/{}", CONTENT.len()));
        if n == 0 {
            head(to, "200 OK", &[length(CONTENT.len())])?;
            return to.write_all(&CONTENT[..200_000]);
        }
        head(to, "206 Partial Content", &[total])?;
        loop {
            to.write_all(&CONTENT)?;
        }
    };
    let (outcome, requests, bytes) = fetch(endless, Some(&wrong));
    assert!(matches!(outcome, Err(Error::Checksum { .. })), "{outcome:?}");
    assert_eq!((requests, bytes), (2, 0));
}

/// A server that lies, and what the error of a download says.
struct Lie {
    what: &'static str,
    answer: Answer,
    error: &'static str,
}

const fn lie(what: &'static str, answer: Answer, error: &'static str) -> Lie {
    Lie { what, answer, error }
}

/// A whole answer with the content, and these headers.
fn ok(to: &mut TcpStream, headers: &[(&str, String)]) -> std::io::Result<()> {
    head(to, "200 OK", headers)?;
    to.write_all(&CONTENT)
}

/// The lies of a server behind a plain address, about a file of which the digest is not known.
const LIES: &[Lie] = &[
    lie("silence", |_, _, _| Ok(()), "cannot download"),
    lie("a server error", |to, _, _| head(to, "500 No", &[length(0)]), "answers 500"),
    lie("not found", |to, _, _| head(to, "404 No", &[length(0)]), "answers 404"),
    lie("forbidden", |to, _, _| head(to, "403 No", &[length(0)]), "answers 403"),
    lie(
        "come back in 30 years",
        |to, _, _| head(to, "429 Wait", &[("Retry-After", "999999999".into()), length(0)]),
        "answers 429",
    ),
    lie("no content", |to, _, _| head(to, "204 No Content", &[]), "nothing"),
    lie("not modified", |to, _, _| head(to, "304 Not Modified", &[length(0)]), "cannot download"),
    lie("another protocol", |to, _, _| to.write_all(b"220 ftp.example.org\r\n"), "cannot download"),
    lie("no protocol", |to, _, _| to.write_all(&CONTENT), "cannot download"),
    lie(
        "an unknown version",
        |to, _, _| to.write_all(b"HTTP/9.9 200 OK\r\n\r\nx"),
        "cannot download",
    ),
    lie("two lengths", |to, _, _| head(to, "200 OK", &[length(10), length(20)]), "cannot download"),
    lie(
        "a negative length",
        |to, _, _| head(to, "200 OK", &[("Content-Length", "-5".into())]),
        "cannot download",
    ),
    lie(
        "a length of 20 digits",
        |to, _, _| ok(to, &[("Content-Length", "99999999999999999999".into())]),
        "cannot download",
    ),
    lie(
        "an exabyte",
        |to, _, _| ok(to, &[("Content-Length", (1_u64 << 60).to_string())]),
        "are offered",
    ),
    lie(
        "a body that is short",
        |to, _, _| {
            head(to, "200 OK", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT[..1000])
        },
        "ended after 1000 bytes|disconnected",
    ),
    lie(
        "a redirection to itself",
        |to, _, _| head(to, "302 Found", &[("Location", "/model.bin".into()), length(0)]),
        "cannot download",
    ),
    lie(
        "ever new redirections",
        |to, n, _| head(to, "302 Found", &[("Location", format!("/{n}/model.bin")), length(0)]),
        "cannot download",
    ),
    lie(
        "a redirection to a file",
        |to, _, _| head(to, "302 Found", &[("Location", "file:///etc/passwd".into()), length(0)]),
        "cannot download",
    ),
    lie(
        "a redirection to nowhere",
        |to, _, _| head(to, "302 Found", &[length(0)]),
        "cannot download",
    ),
    lie(
        "a redirection to nonsense",
        |to, _, _| head(to, "302 Found", &[("Location", "http://[".into()), length(0)]),
        "cannot download",
    ),
    lie(
        "a header of 2 MB",
        |to, _, _| head(to, "200 OK", &[("X", "x".repeat(2_000_000)), length(10)]),
        "cannot download",
    ),
    lie(
        "100,000 headers",
        |to, _, _| {
            to.write_all(b"HTTP/1.1 200 OK\r\n")?;
            to.write_all("X: y\r\n".repeat(100_000).as_bytes())?;
            to.write_all(b"\r\n")
        },
        "cannot download",
    ),
    lie(
        "a chunk of an absurd size",
        |to, _, _| {
            head(to, "200 OK", &[("Transfer-Encoding", "chunked".into())])?;
            to.write_all(b"ffffffffffffffffff\r\nx")
        },
        "cannot download",
    ),
    lie(
        "a chunk without an end",
        |to, _, _| {
            head(to, "200 OK", &[("Transfer-Encoding", "chunked".into())])?;
            to.write_all(b"10\r\nx")
        },
        "cannot download",
    ),
    lie(
        "a part that nobody asked for",
        |to, _, _| {
            head(
                to,
                "206 Partial Content",
                &[length(10), ("Content-Range", "bytes 5-14/20".into())],
            )?;
            to.write_all(&CONTENT[..10])
        },
        "another part",
    ),
    lie(
        "a part without a place",
        |to, _, _| {
            head(to, "206 Partial Content", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT)
        },
        "another part",
    ),
    lie(
        "a page",
        |to, _, _| {
            let text = b"\n <html>log in</html>";
            head(to, "200 OK", &[length(text.len())])?;
            to.write_all(text)
        },
        "answers with a page, not with weights",
    ),
    lie(
        "a message",
        |to, _, _| {
            let text = br#"{"error": "quota exceeded"}"#;
            head(to, "200 OK", &[length(text.len())])?;
            to.write_all(text)
        },
        "answers with a message, not with weights",
    ),
    lie(
        "a pointer",
        |to, _, _| {
            let text = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 300000\n";
            head(to, "200 OK", &[length(text.len())])?;
            to.write_all(text)
        },
        "a pointer of Git LFS",
    ),
    lie("nothing", |to, _, _| head(to, "200 OK", &[length(0)]), "answers with nothing"),
    lie(
        "a refusal to resume",
        |to, _, range| {
            if range.is_some() {
                return head(to, "416 Range Not Satisfiable", &[length(0)]);
            }
            head(to, "200 OK", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT[..200_000])
        },
        "less than is here|ended after",
    ),
    lie(
        "a part from elsewhere",
        |to, _, range| {
            if range.is_none() {
                head(to, "200 OK", &[length(CONTENT.len())])?;
                return to.write_all(&CONTENT[..200_000]);
            }
            let place = ("Content-Range", format!("bytes 0-299999/{}", CONTENT.len()));
            head(to, "206 Partial Content", &[length(CONTENT.len()), place])?;
            to.write_all(&CONTENT)
        },
        "another part|ended after",
    ),
    lie(
        "a few bytes at a time",
        |to, n, range| {
            let from = range.unwrap_or(0);
            let place = ("Content-Range", format!("bytes {from}-299999/{}", CONTENT.len()));
            let status = if n == 0 { "200 OK" } else { "206 Partial Content" };
            head(to, status, &[length(CONTENT.len() - from as usize), place])?;
            to.write_all(&CONTENT[..100])
        },
        "ended after|disconnected",
    ),
    lie(
        "a file that grows with each part",
        |to, _, range| {
            let (from, total) = (range.unwrap_or(0), range.unwrap_or(0) + 200);
            let place = ("Content-Range", format!("bytes {from}-{}/{total}", total - 1));
            let status = if from == 0 { "200 OK" } else { "206 Partial Content" };
            head(to, status, &[length(200), place])?;
            to.write_all(&CONTENT[..100])
        },
        "ended after|disconnected",
    ),
];

#[test]
fn whatever_a_server_answers_a_download_ends_and_leaves_nothing_that_looks_whole() {
    assert!(LIES.len() >= 30);
    // Most of the time they pause, so they do it together.
    std::thread::scope(|scope| {
        for lie in LIES {
            scope.spawn(|| {
                let (outcome, requests, bytes) = fetch(lie.answer, None);
                let error = outcome.expect_err(lie.what).to_string();
                let is_told = lie.error.split('|').any(|part| error.contains(part));
                assert!(is_told, "{}: {error}", lie.what);
                assert!(requests <= MOST_REQUESTS, "{}: {requests} requests", lie.what);
                assert!(bytes <= CONTENT.len() as u64, "{}: {bytes} bytes", lie.what);
            });
        }
    });
}

/// What a server tells of a file of the hub, the length of the body that it sends (none: it has no end),
/// and the error.
struct HubLie {
    what: &'static str,
    told: &'static [(&'static str, &'static str)],
    length: Option<usize>,
    error: &'static str,
}

const COMMIT: (&str, &str) = ("X-Repo-Commit", "abc");
/// The tag of a large file is its SHA-256.
const DIGEST: (&str, &str) =
    ("ETag", "0000000000000000000000000000000000000000000000000000000000000000");
const WHOLE: Option<usize> = Some(CONTENT.len());

const HUB_LIES: &[HubLie] = &[
    HubLie { what: "no tag", told: &[COMMIT], length: WHOLE, error: "answer as a hub does" },
    HubLie { what: "no commit", told: &[DIGEST], length: WHOLE, error: "answer as a hub does" },
    HubLie {
        what: "a tag that leads out of the cache",
        told: &[("ETag", "../../x"), COMMIT],
        length: WHOLE,
        error: "strangely",
    },
    HubLie {
        what: "a commit that leads out of the cache",
        told: &[DIGEST, ("X-Repo-Commit", "../..")],
        length: WHOLE,
        error: "strangely",
    },
    HubLie {
        what: "another size",
        told: &[DIGEST, COMMIT, ("X-Linked-Size", "10")],
        length: WHOLE,
        error: "300000 bytes are offered in place of 10",
    },
    HubLie {
        what: "another content",
        told: &[DIGEST, COMMIT, ("X-Linked-Size", "300000")],
        length: WHOLE,
        error: "has the SHA-256",
    },
    HubLie {
        what: "a body without end",
        told: &[DIGEST, COMMIT, ("X-Linked-Size", "300000")],
        length: None,
        error: "has the SHA-256",
    },
    HubLie {
        what: "a file of an exabyte",
        told: &[DIGEST, COMMIT, ("X-Linked-Size", "1152921504606846976")],
        length: None,
        error: "are offered",
    },
];

#[test]
fn whatever_a_hub_tells_of_a_file_it_is_not_believed() {
    for lie in HUB_LIES {
        let (url, seen) = serve(|to, asked| {
            if asked.method == "HEAD" {
                let told = lie.told.iter().map(|(name, value)| (*name, (*value).to_owned()));
                return head(to, "200 OK", &told.collect::<Vec<_>>());
            }
            head(to, "200 OK", &lie.length.map(length).into_iter().collect::<Vec<_>>())?;
            to.write_all(&CONTENT)?;
            while lie.length.is_none() {
                to.write_all(&CONTENT)?;
            }
            Ok(())
        });
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(&url, folder.path());
        let source: Source = "hub:owner/repo/model.bin".parse().unwrap();
        let began = Instant::now();
        let error =
            hub.fetch_source(&source, None, &mut |_, _| {}).expect_err(lie.what).to_string();
        assert!(error.contains(lie.error), "{}: {error}", lie.what);
        assert!(began.elapsed() < PATIENCE, "{}: {:?}", lie.what, began.elapsed());
        assert!(seen.load(Ordering::SeqCst) <= MOST_REQUESTS, "{}", lie.what);
        assert_eq!(hub.cached(&source.to_string()), None, "{}", lie.what);
    }
}

#[test]
fn a_hub_that_is_busy_is_asked_again() {
    let (url, seen) = serve(|to, asked| match (asked.method.as_str(), asked.n) {
        ("HEAD", 0 | 1) => head(to, "503 Busy", &[length(0)]),
        ("HEAD", _) => {
            let size = ("X-Linked-Size", CONTENT.len().to_string());
            head(to, "200 OK", &[("ETag", "abc".into()), ("X-Repo-Commit", "abc".into()), size])
        }
        _ => ok(to, &[length(CONTENT.len())]),
    });
    let folder = tempfile::tempdir().unwrap();
    let source: Source = "hub:owner/repo/model.bin".parse().unwrap();
    let path = hub(&url, folder.path()).fetch_source(&source, None, &mut |_, _| {}).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

#[test]
fn after_a_lie_an_honest_server_is_believed() {
    // The first answer is cut, then the server lies, and only the next run meets an honest one.
    let (url, _) = serve(|to, asked| match (asked.n, asked.range) {
        (0, _) => {
            head(to, "200 OK", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT[..200_000])
        }
        (1, _) => head(to, "404 No", &[length(0)]),
        (_, range) => {
            let from = range.unwrap_or(0) as usize;
            let place = ("Content-Range", format!("bytes {from}-299999/{}", CONTENT.len()));
            head(to, "206 Partial Content", &[length(CONTENT.len() - from), place])?;
            to.write_all(&CONTENT[from..])
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (hub, source) = (hub(&url, folder.path()), url.parse::<Source>().unwrap());
    let mut began = Vec::new();
    assert!(hub.fetch_source(&source, None, &mut |_, _| {}).is_err());
    let path = hub.fetch_source(&source, None, &mut |done, _| began.push(done)).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
    assert_eq!(began[0], 200_000, "what was there is not downloaded again");
}

#[test]
fn an_honest_server_that_is_busy_is_asked_again() {
    let busy: Answer = |to, n, range| match (n, range) {
        (0, _) => head(to, "503 Service Unavailable", &[length(0)]),
        (_, None) => {
            head(to, "200 OK", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT[..150_000])
        }
        (_, Some(from)) => {
            let part = &CONTENT[from as usize..];
            let range = format!("bytes {from}-299999/{}", CONTENT.len());
            head(to, "206 Partial Content", &[length(part.len()), ("Content-Range", range)])?;
            to.write_all(part)
        }
    };
    let (outcome, requests, _) = fetch(busy, None);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(requests, 3);
}
