//! What a server survives: a kill in the middle of work, and ten thousand requests at once.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use ganscope::features::Cache;
use ganscope::score::map::{MapRequest, map};
use ganscope_web::ServeRequest;
use serde_json::json;
use tokio::net::TcpStream;

use crate::attacks::is_well;
use crate::browser::{painted, settle};
use crate::chromium::Page;
use crate::client::{Client, generated, request, samples};

/// All files below a folder, by their path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(here) = pending.pop() {
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_server_that_is_killed_leaves_nothing_half_done_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [killed, clean] = ["killed", "clean"].map(|name| folder.path().join(name));
    let mut serves = request();
    serves.features.cache = Cache::Folder(killed.clone());
    let (generated, reference) = (generated(), samples());
    let asked = json!({ "generated": generated, "reference": reference });
    let mut features = serves.features.clone();
    features.cache = Cache::Folder(clean.clone());
    let wanted = MapRequest { generated, reference, features, ..MapRequest::default() };
    let expected = map(&wanted, &mut ()).unwrap();

    for wait in [0, 30, 60, 120, 240, 480] {
        let server = Client::alone(&serves);
        assert_eq!(server.post("/api/map", &asked).status, 202);
        std::thread::sleep(Duration::from_millis(wait));
        server.kill();
    }
    let server = Client::alone(&serves);
    is_well(&server);
    let (id, state) = server.work("/api/map", &asked);
    assert_eq!(state["phase"], "done", "{state}");
    let found = server.ask("GET", &format!("/api/work/{id}"), b"").json();
    assert_eq!(found["result"]["distance"].as_f64(), Some(expected.distance));
    // The features that are kept are those of a run that nobody killed, and nothing lies beside them.
    assert_eq!(files(&killed), files(&clean));
    assert_eq!(server.kill(), [""; 0]);
}

#[test]
fn an_address_has_its_state_after_the_server_was_killed() {
    let serves = ServeRequest::default();
    let server = Client::alone(&serves);
    let Some(mut page) = Page::open(&server.url) else { return };
    page.look(1280, 900, false);
    settle(&mut page);
    let (x, y) = page.middle("#plane");
    page.drag((x, y), (x - 41.0, y + 23.0));
    let before = (settle(&mut page), painted(&mut page));
    let state = page.value("location.hash");
    let port = server.host.rsplit_once(':').unwrap().1.parse().unwrap();
    server.kill();
    // Without a server the page says so.
    page.drag((x, y), (x - 20.0, y));
    page.wait(
        "document.getElementById('problem').textContent.startsWith('the server does not answer')",
    );

    let server = Client::alone(&ServeRequest { port, ..serves });
    page.call("Page.navigate", &json!({ "url": "about:blank" }));
    let url = format!("{}{}", server.url, state.as_str().unwrap());
    page.call("Page.navigate", &json!({ "url": url }));
    page.wait("document.getElementById('picture')?.dataset.place");
    assert!((settle(&mut page), painted(&mut page)) == before);
    assert_eq!(page.value("location.hash"), state);
    assert_eq!(page.value("location.search"), "", "the token stays out of the address");
}

/// Requests that are on their way at once.
const REQUESTS: usize = 10_000;
/// Most memory of the server meanwhile: its models, a body for each of its 256 connections, and pictures.
const MEMORY: u64 = 512 << 20;

/// Sends a request and returns the status of the answer; none where the connection is refused or cut.
async fn status(host: &str, request: &[u8]) -> Option<u16> {
    let stream = loop {
        match TcpStream::connect(host).await {
            Ok(stream) => break stream,
            // No file handle is left on this side, or no room in the queue of the system.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let mut rest = request;
    while !rest.is_empty() {
        stream.writable().await.ok()?;
        match stream.try_write(rest) {
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break, // A server that refuses need not read all.
        }
    }
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 1 << 14]);
    loop {
        stream.readable().await.ok()?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => answer.extend_from_slice(&buffer[..got]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

#[test]
fn ten_thousand_requests_at_once_are_answered_or_refused_in_bounded_memory() {
    let server = Client::alone(&request());
    is_well(&server);
    let (host, cookie) = (server.host.clone(), server.cookie());
    let message = |method: &str, path: &str, cookie: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}Connection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let place = json!({ "drawing": { "model": "fashion-stylegan2" }, "x": 0.5, "y": 0.5 });
    // 100 pictures of four megabytes, 500 places, strangers, and what the page asks for.
    let large = "x".repeat(4 << 20);
    let kinds = [
        message("POST", "/api/picture", &cookie, &large),
        message("POST", "/api/place", &cookie, &place.to_string()),
        message("GET", "/api/served", "", ""),
        message("GET", "/main.js", &cookie, ""),
        message("GET", "/api/served", &cookie, ""),
    ];
    let kind = |i: usize| match i % 100 {
        0 => 0,
        1..6 => 1,
        6..36 => 2,
        36..66 => 3,
        _ => 4,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut counts = BTreeMap::<(usize, Option<u16>), usize>::new();
    runtime.block_on(async {
        let kinds = std::sync::Arc::new(kinds);
        let tasks: Vec<_> = (0..REQUESTS)
            .map(|i| {
                let (host, kinds) = (host.clone(), kinds.clone());
                tokio::spawn(async move { (kind(i), status(&host, &kinds[kind(i)]).await) })
            })
            .collect();
        for task in tasks {
            *counts.entry(task.await.unwrap()).or_default() += 1;
        }
    });
    assert_eq!(counts.values().sum::<usize>(), REQUESTS);
    for (&(kind, status), count) in &counts {
        let expected: &[u16] = [&[400, 503][..], &[200, 503], &[401], &[200], &[200]][kind];
        // A body that is refused is not read, so that its sender may not get to read why.
        let fits = status.map_or(kind == 0, |status| expected.contains(&status));
        assert!(fits, "{count} times {status:?} for a request of kind {kind}");
    }
    is_well(&server);
    if cfg!(target_os = "linux") {
        let peak = server.peak().expect("the server is there");
        assert!(peak < MEMORY, "{} MiB", peak >> 20);
    }
}
