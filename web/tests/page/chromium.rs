//! A headless Chromium, driven by its own protocol.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Longest that the page may take for one thing.
const PATIENCE: Duration = Duration::from_mins(2);

/// A page in a browser.
pub(crate) struct Page {
    browser: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Opens an address, or nothing where there is no Chromium.
    pub(crate) fn open(url: &str) -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let profile = tempfile::tempdir().expect("a folder");
        let start = |name: &&str| {
            let mut command = Command::new(name);
            command
                .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
                .args(["--disable-dev-shm-usage", "--no-first-run", "--window-size=1280,900"])
                .arg("--remote-debugging-port=0")
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .arg("about:blank");
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
        };
        // A browser that is there has to start; on a busy machine it may need another try.
        let (browser, address) = (0..3)
            .find_map(|_| {
                let Some(mut browser) = names.iter().find_map(start) else { return Some(None) };
                let mut lines = BufReader::new(browser.stderr.take().expect("piped")).lines();
                let address = lines.find_map(|line| {
                    line.ok()?.strip_prefix("DevTools listening on ").map(str::to_owned)
                });
                // A browser that cannot write its messages waits.
                std::thread::spawn(move || lines.for_each(drop));
                address.map(|address| Some((browser, address)))
            })
            .expect("the browser starts")?;
        let (socket, _) = tungstenite::connect(&address).expect("the browser listens");
        let mut page = Self { browser, socket, session: String::new(), next: 0, _profile: profile };
        let target = page.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        page.session = page.call("Target.attachToTarget", &attach)["sessionId"]
            .as_str()
            .expect("a session")
            .into();
        page.call("Page.enable", &json!({}));
        page.call("Runtime.enable", &json!({}));
        page.call("Page.navigate", &json!({ "url": url }));
        Some(page)
    }

    /// Calls a method of the protocol.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser listens");
        loop {
            let answer = self.socket.read().expect("the browser answers");
            let Message::Text(text) = answer else { continue };
            let mut answer: Value = serde_json::from_str(&text).expect("the browser sends JSON");
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut found = self.call("Runtime.evaluate", &asked);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {}", found["exceptionDetails"]);
        found["result"]["value"].take()
    }

    /// Waits until an expression holds.
    pub(crate) fn wait(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(&format!("Boolean({expression})")) != Value::Bool(true) {
            let told = self.value("document.getElementById('problem')?.textContent ?? ''");
            assert!(began.elapsed() < PATIENCE, "`{expression}` never held; the page says {told}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The middle of an element on the screen, scrolled into view.
    pub(crate) fn middle(&mut self, selector: &str) -> (f64, f64) {
        let found = self.value(&format!(
            "(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{ block: 'center' }}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        (found[0].as_f64().expect("a place"), found[1].as_f64().expect("a place"))
    }

    /// An event of the mouse, with the left button.
    pub(crate) fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let pressed = i32::from(kind != "mouseReleased");
        let event = json!({
            "type": kind, "x": x, "y": y, "button": "left", "buttons": pressed, "clickCount": 1,
        });
        self.call("Input.dispatchMouseEvent", &event);
    }

    /// Moves the mouse without a button.
    pub(crate) fn hover(&mut self, (x, y): (f64, f64)) {
        self.call("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Presses and releases a key, by its name.
    pub(crate) fn key(&mut self, name: &str) {
        let text = if name == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                &json!({ "type": kind, "key": name, "text": text }),
            );
        }
    }

    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.middle(selector);
        self.mouse("mousePressed", place);
        self.mouse("mouseReleased", place);
    }

    /// Drags from one place to another, in steps.
    pub(crate) fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.mouse("mousePressed", from);
        for i in 1..=8 {
            let t = f64::from(i) / 8.0;
            self.mouse("mouseMoved", (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)));
        }
        self.mouse("mouseReleased", to);
    }

    /// Clicks what saves a file, and returns the file.
    pub(crate) fn download(&mut self, selector: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let behavior = json!({ "behavior": "allow", "downloadPath": folder.path() });
        self.call("Page.setDownloadBehavior", &behavior);
        // Pictures that arrive move what is below them.
        self.wait("[...document.images].every((image) => image.complete)");
        self.click(selector);
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "`{selector}` saved nothing");
            std::thread::sleep(Duration::from_millis(30));
            let files = std::fs::read_dir(folder.path()).expect("the folder is there");
            let mut files = files.filter_map(|file| Some(file.ok()?.path()));
            // An empty file keeps the name until the whole one gets it.
            let is_whole = |path: &PathBuf| {
                let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
                let is_empty = path.metadata().is_ok_and(|facts| facts.len() == 0);
                !hidden && !is_empty && path.extension() != Some("crdownload".as_ref())
            };
            if let Some(file) = files.find(is_whole) {
                return std::fs::read(file).expect("the file is there");
            }
        }
    }

    /// Gives files to an input.
    pub(crate) fn give(&mut self, selector: &str, files: &[String]) {
        let root = self.call("DOM.getDocument", &json!({}))["root"]["nodeId"].clone();
        let asked = json!({ "nodeId": root, "selector": selector });
        let node = self.call("DOM.querySelector", &asked)["nodeId"].clone();
        self.call("DOM.setFileInputFiles", &json!({ "nodeId": node, "files": files }));
    }

    /// Loads the page again.
    pub(crate) fn reload(&mut self) {
        self.value("window.isOld = true");
        self.call("Page.reload", &json!({}));
        self.wait("!window.isOld && document.readyState === 'complete'");
    }

    /// The size of the window, in pixels, and whether it is dark.
    pub(crate) fn look(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        self.call("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// The whole page as a PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let found = self.call("Page.captureScreenshot", &asked);
        of_base64(found["data"].as_str().expect("a picture"))
    }
}

/// The bytes that base64 stands for.
fn of_base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: u8| digits.iter().position(|&d| d == c);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for part in text.trim_end_matches('=').as_bytes().chunks(4) {
        let all = part.iter().fold(0, |all, &c| all << 6 | digit(c).expect("base64"));
        let all = all << (6 * (4 - part.len()));
        bytes.extend_from_slice(&all.to_be_bytes()[size_of::<usize>() - 3..][..part.len() - 1]);
    }
    bytes
}

#[test]
fn base64_is_read() {
    assert_eq!(of_base64("Zm9vYmFy"), b"foobar");
    assert_eq!(of_base64("Zm9vYg=="), b"foob");
    assert_eq!(of_base64("Zm9vYmE="), b"fooba");
}

impl Drop for Page {
    fn drop(&mut self) {
        let _gone = self.browser.kill();
        let _gone = self.browser.wait();
    }
}
