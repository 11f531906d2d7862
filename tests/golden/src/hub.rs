//! A small HTTP server that answers like the Hugging Face hub, and can misbehave.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path of the address.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// The value of the header `name`, in any case of letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct Behavior {
    /// The content of every file.
    pub content: Vec<u8>,
    /// The `ETag`, without quotes.
    pub etag: String,
    /// Bodies end after this many bytes, this many times.
    pub cut: Option<(usize, usize)>,
    /// Whether `Range` is ignored.
    pub ignores_ranges: bool,
    /// Where the bodies are: the base address of another server.
    pub redirect: Option<String>,
    /// The path of the repository that answers; another one is redirected to it.
    pub renamed: Option<String>,
    /// A status to answer with instead, this many times.
    pub status: Option<(u16, usize)>,
    /// A token that each request must carry.
    pub needs_token: Option<String>,
}

/// A server on a free port of this machine.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// The commit of every repository.
    pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A server that behaves like this until the process ends.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let behavior = Arc::new(Mutex::new(behavior));
        // The threads end with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, behavior) = (Arc::clone(&log), Arc::clone(&behavior));
                thread::spawn(move || drop(answer(stream, &log, &behavior)));
            }
        });
        Self { address, seen }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    ///
    /// # Panics
    /// If a thread of the server panicked.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no thread panics").clone()
    }
}

fn answer(
    stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    behavior: &Mutex<Behavior>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let seen = Seen { method, path, headers };
    log.lock().expect("no thread panics").push(seen.clone());
    let response = respond(&seen, &mut behavior.lock().expect("no thread panics"));
    let mut stream = reader.into_inner();
    stream.write_all(&response)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // Closing with unread input would reset the connection.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn respond(seen: &Seen, behavior: &mut Behavior) -> Vec<u8> {
    let head = |status: u16, lines: &[String]| {
        let lines = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
        format!("HTTP/1.1 {status} Some\r\nConnection: close\r\n{lines}\r\n").into_bytes()
    };
    let empty = "Content-Length: 0".to_owned();
    if let Some((status, times)) = &mut behavior.status
        && *times > 0
    {
        *times -= 1;
        return head(*status, &[empty]);
    }
    if let Some(token) = &behavior.needs_token
        && seen.header("authorization") != Some(&format!("Bearer {token}"))
    {
        return head(401, &[empty]);
    }
    if let Some(renamed) = &behavior.renamed
        && !seen.path.starts_with(renamed)
    {
        let rest = seen.path.splitn(4, '/').nth(3).unwrap_or_default();
        return head(307, &[format!("Location: {renamed}/{rest}"), empty]);
    }
    let etag = &behavior.etag;
    let commit = format!("X-Repo-Commit: {}", Server::COMMIT);
    if let Some(elsewhere) = &behavior.redirect {
        let location = format!("Location: {elsewhere}/bodies{}", seen.path);
        let size = format!("X-Linked-Size: {}", behavior.content.len());
        return head(302, &[location, commit, size, format!("X-Linked-ETag: \"{etag}\""), empty]);
    }
    let content = &behavior.content;
    let range = seen.header("range").and_then(|range| range.strip_prefix("bytes="));
    let range = range.and_then(|range| range.split_once('-'));
    let range = range.filter(|_| !behavior.ignores_ranges);
    let (start, end) = range.map_or((0, content.len()), |(start, end)| {
        let end = end.parse().map_or(content.len(), |end: usize| end + 1);
        (start.parse().unwrap_or(0), end.min(content.len()))
    });
    if range.is_some() && start >= content.len() {
        return head(416, &[format!("Content-Range: bytes */{}", content.len()), empty]);
    }
    let mut body = &content[start..end];
    let length = format!("Content-Length: {}", body.len());
    let place = format!("Content-Range: bytes {start}-{}/{}", end - 1, content.len());
    if let Some((after, times)) = &mut behavior.cut
        && *times > 0
        && seen.method == "GET"
    {
        *times -= 1;
        body = &body[..body.len().min(*after)];
    }
    let mut lines = vec![length, commit, format!("ETag: \"{etag}\"")];
    lines.extend(range.map(|_| place));
    let mut response = head(if range.is_some() { 206 } else { 200 }, &lines);
    if seen.method != "HEAD" {
        response.extend(body);
    }
    response
}
