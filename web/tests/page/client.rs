//! A server of the test, and plain requests to it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;

use ganscope::latents::DrawingRequest;
use ganscope::latents::pictures::{PictureFiles, PicturesRequest, write_pictures};
use ganscope_web::{ServeRequest, serve};
use serde_json::Value;
use tempfile::TempDir;

use crate::process;

/// The samples that are shipped.
pub(crate) fn samples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples").to_owned()
}

/// Pictures of a shipped generator, drawn once.
pub(crate) fn generated() -> String {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let drawing = DrawingRequest { truncation: 0.8, ..DrawingRequest::of("fashion-stylegan2") };
        let seeds = "0-199".parse().expect("seeds");
        let request = PicturesRequest { drawing, seeds, ..PicturesRequest::default() };
        let files = PictureFiles { outdir: folder.path().join("generated"), ..Default::default() };
        write_pictures(&request, &files, &mut ()).expect("pictures are drawn");
        folder
    });
    folder.path().join("generated").display().to_string()
}

/// A visitor of a server, which ends with this value if it is a process of its own.
pub(crate) struct Client {
    process: Option<(Child, TempDir)>,
    /// The address with the token.
    pub(crate) url: String,
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    token: String,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// The shipped models, and pictures of one against the shipped samples.
pub(crate) fn request() -> ServeRequest {
    let mut request = ServeRequest {
        generated: vec![generated()],
        reference: Some(samples()),
        ..ServeRequest::default()
    };
    request.features.extractor = Some("fashion-cnn".to_owned());
    request.features.cache = ganscope::features::Cache::Off;
    request
}

impl Client {
    /// Serves [`request`] until the test program ends.
    pub(crate) fn start() -> Self {
        Self::of(&request())
    }

    /// Serves until the test program ends.
    pub(crate) fn of(request: &ServeRequest) -> Self {
        if process::program().is_some() {
            return Self::alone(request);
        }
        let served = serve(request).expect("a port is free");
        let url = served.url();
        std::thread::spawn(move || served.run());
        Self::at(url, None)
    }

    /// Serves in a process of its own.
    pub(crate) fn alone(request: &ServeRequest) -> Self {
        Self::inside(tempfile::tempdir().expect("a folder"), request)
    }

    /// Serves in a process of its own, which runs in a folder and keeps its temporary files there.
    pub(crate) fn inside(folder: TempDir, request: &ServeRequest) -> Self {
        let (process, url) = process::start(request, folder.path());
        Self::at(url, Some((process, folder)))
    }

    fn at(url: String, process: Option<(Child, TempDir)>) -> Self {
        let (host, token) =
            url.trim_start_matches("http://").split_once("/?token=").expect("a token");
        Self { host: host.to_owned(), token: token.to_owned(), url, process }
    }

    /// Ends the process as `kill -9` does, and returns the names of its temporary files.
    pub(crate) fn kill(mut self) -> Vec<OsString> {
        let (mut process, temporary) = self.process.take().expect("a process of its own");
        process.kill().expect("it is killed");
        process.wait().expect("it ended");
        let left = std::fs::read_dir(temporary.path()).expect("the folder is there");
        left.map(|entry| entry.expect("an entry").file_name()).collect()
    }

    /// The most memory that the process had so far, in bytes, where the system tells; none if it is gone.
    pub(crate) fn peak(&self) -> Option<u64> {
        let (process, _) = self.process.as_ref()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// The header of one who was let in.
    pub(crate) fn cookie(&self) -> String {
        format!("Cookie: ganscope={}\r\n", self.token)
    }

    /// Sends bytes as they are, and reads the answer to its end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.host).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_mins(2))).expect("a timeout is set");
        // The server may refuse before it has read all.
        let _refused = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _cut = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut body = answer.split_off(end + 4);
        if head.to_lowercase().contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body })
    }

    /// A request with headers of the test's own.
    pub(crate) fn with(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).expect("an answer")
    }

    /// A request of one who was let in.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = format!("Host: {}\r\n{}", self.host, self.cookie());
        self.with(method, path, &headers, body)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes())
    }

    /// Begins work, waits for its end, and returns its number and its last state.
    pub(crate) fn work(&self, path: &str, body: &Value) -> (u64, Value) {
        let begun = self.post(path, body);
        assert_eq!(begun.status, 202, "{}", String::from_utf8_lossy(&begun.body));
        let id = begun.json()["work"].as_u64().expect("a number");
        (id, self.end(id))
    }

    /// The last state of a piece of work.
    pub(crate) fn end(&self, id: u64) -> Value {
        let events = self.ask("GET", &format!("/api/work/{id}/events"), b"");
        let text = String::from_utf8(events.body).expect("events are text");
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:"));
        serde_json::from_str(last.expect("an event")).expect("the event is JSON")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.process {
            let _gone = process.kill();
            let _gone = process.wait();
        }
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
    whole
}
