//! Servers that lie: whatever they answer, a download ends soon, keeps within bounds, and leaves
//! nothing that looks whole.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ganscope_hub::{Error, Hub, Source};

/// The file that an honest server would send.
static CONTENT: [u8; 300_000] = [7; 300_000];
/// More requests than this for one file are a loop.
const MOST_REQUESTS: usize = 12;
/// Longest that one download may take: all pauses together are some 12 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answers to the `n`-th request, whose range begins at a byte if there is one.
type Answer = fn(&mut TcpStream, usize, Option<u64>) -> std::io::Result<()>;

/// Starts a server and returns its address and the number of requests so far.
fn serve(answer: Answer) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/model.bin", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut range = None;
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(from) = line.to_lowercase().strip_prefix("range: bytes=") {
                    range = from.trim_end_matches('-').parse().ok();
                }
            }
            let n = count.fetch_add(1, Ordering::SeqCst);
            // The client goes away when it has seen enough.
            let _gone = answer(&mut stream, n, range);
        }
    });
    (url, seen)
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
    let (url, seen) = serve(answer);
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub {
        endpoint: url.clone(),
        cache: folder.path().join("hub"),
        downloads: folder.path().join("files"),
        token: None,
        offline: false,
    };
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

/// The error of a download that must fail, after few requests and with few bytes kept.
fn refused(answer: Answer) -> String {
    let (outcome, requests, bytes) = fetch(answer, None);
    assert!(requests <= MOST_REQUESTS, "{requests} requests");
    assert!(bytes <= 2 * CONTENT.len() as u64, "{bytes} bytes");
    outcome.unwrap_err().to_string()
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

#[test]
fn a_server_that_refuses_to_resume_does_not_hold_one_for_ever() {
    let error = refused(|to, _, range| {
        if range.is_some() {
            return head(to, "416 Range Not Satisfiable", &[length(0)]);
        }
        head(to, "200 OK", &[length(CONTENT.len())])?;
        to.write_all(&CONTENT[..200_000])
    });
    assert!(error.contains("less than is here") || error.contains("ended after"), "{error}");
}

#[test]
fn a_part_from_elsewhere_is_not_appended() {
    let error = refused(|to, _, range| {
        if range.is_none() {
            head(to, "200 OK", &[length(CONTENT.len())])?;
            to.write_all(&CONTENT[..200_000])
        } else {
            let from_start = format!("bytes 0-299999/{}", CONTENT.len());
            head(
                to,
                "206 Partial Content",
                &[length(CONTENT.len()), ("Content-Range", from_start)],
            )?;
            to.write_all(&CONTENT)
        }
    });
    assert!(error.contains("another part") || error.contains("ended after"), "{error}");
}

#[test]
fn a_few_bytes_at_a_time_are_no_progress() {
    let error = refused(|to, n, range| {
        let from = range.unwrap_or(0);
        assert_eq!(from, 100 * n as u64);
        let total = format!("bytes {from}-299999/{}", CONTENT.len());
        let status = if n == 0 { "200 OK" } else { "206 Partial Content" };
        let left = length(CONTENT.len() - from as usize);
        head(to, status, &[left, ("Content-Range", total)])?;
        to.write_all(&CONTENT[..100])
    });
    assert!(error.contains("cannot download"), "{error}");
}

#[test]
fn a_page_or_nothing_is_not_kept_as_weights() {
    let page = refused(|to, _, _| {
        let text = b"\n <html>log in</html>";
        head(to, "200 OK", &[length(text.len())])?;
        to.write_all(text)
    });
    assert!(page.contains("answers with a page, not with weights"), "{page}");
    let nothing = refused(|to, _, _| head(to, "200 OK", &[length(0)]));
    assert!(nothing.contains("answers with nothing"), "{nothing}");
}

#[test]
fn silence_errors_and_nonsense_end() {
    for answer in [
        (|_, _, _| Ok(())) as Answer,
        |to, _, _| head(to, "500 Internal Server Error", &[length(0)]),
        |to, _, _| to.write_all(b"220 ftp.example.org ready\r\n"),
        |to, _, _| head(to, "200 OK", &[length(10), length(20)]),
        |to, _, _| head(to, "302 Found", &[("Location", "/model.bin".into()), length(0)]),
        |to, _, _| head(to, "302 Found", &[("Location", "file:///etc/passwd".into()), length(0)]),
        |to, _, _| head(to, "200 OK", &[("X", "x".repeat(2_000_000)), length(10)]),
    ] {
        let (outcome, requests, bytes) = fetch(answer, None);
        assert!(outcome.is_err());
        assert!(requests <= 60 && bytes == 0, "{requests} requests, {bytes} bytes");
    }
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
