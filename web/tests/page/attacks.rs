//! Requests of those who should not get in, or want too much. The next good request is answered.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use crate::client::Client;

/// Fails unless the server answers the next good request.
pub(crate) fn is_well(client: &Client) {
    let place = json!({ "drawing": { "model": "fashion-stylegan2" }, "x": 3.0, "y": 0.0 });
    let answer = client.post("/api/place", &place);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert!(answer.body.starts_with(b"\x89PNG"));
}

#[test]
fn only_the_token_lets_in_and_becomes_a_cookie_of_this_site() {
    let client = Client::start();
    let host = format!("Host: {}\r\n", client.host);
    for path in ["/", "/main.js", "/api/served", "/?token=", "/?token=00", "/nowhere"] {
        assert_eq!(client.with("GET", path, &host, b"").status, 401, "{path}");
    }
    let wrong = format!("{host}Cookie: ganscope={}\r\n", "0".repeat(48));
    assert_eq!(client.with("GET", "/", &wrong, b"").status, 401);
    let path = client.url.split_once(&client.host).unwrap().1;
    let let_in = client.with("GET", path, &host, b"");
    assert_eq!(let_in.status, 303);
    let head = let_in.head.to_lowercase();
    assert!(head.contains("httponly; samesite=strict"), "{head}");
    assert!(head.contains("location: /\r\n"), "the token stays out of the address: {head}");
    assert_eq!(client.ask("GET", "/", b"").status, 200);
    is_well(&client);
}

#[test]
fn other_hosts_and_origins_are_refused_on_every_route() {
    let client = Client::start();
    let cookie = client.cookie();
    let routes =
        [("GET", "/"), ("GET", "/api/served"), ("POST", "/api/place"), ("DELETE", "/api/work/1")];
    for (method, path) in routes {
        for host in ["evil.example", "localhost", "127.0.0.1:1", ""] {
            let headers = format!("Host: {host}\r\n{cookie}");
            let status = client.with(method, path, &headers, b"").status;
            assert!([400, 421].contains(&status), "{method} {path} of host `{host}`: {status}");
        }
        for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"] {
            let headers = format!("Host: {}\r\nOrigin: {origin}\r\n{cookie}", client.host);
            assert_eq!(client.with(method, path, &headers, b"").status, 403, "{origin}");
        }
    }
    let own = format!("Host: {0}\r\nOrigin: http://{0}\r\n{cookie}", client.host);
    assert_eq!(client.with("GET", "/api/served", &own, b"").status, 200);
    is_well(&client);
}

#[test]
fn every_answer_forbids_foreign_content() {
    let client = Client::start();
    for path in ["/", "/api/served", "/nowhere"] {
        let head = client.ask("GET", path, b"").head.to_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
}

#[test]
fn paths_lead_nowhere() {
    let client = Client::start();
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/api/work/1/../../../etc/passwd",
        "/api/work/1/..%2f..%2fetc%2fpasswd",
        "/api/map/1/generated/..%2f1",
        "/api/map/1/etc/1",
    ] {
        let status = client.ask("GET", path, b"").status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    let models = ["/etc/passwd", "../Cargo.toml", "file:///etc/passwd", "hub:a/b/c", ""];
    for model in models {
        let place = json!({ "drawing": { "model": model } });
        assert_eq!(client.post("/api/place", &place).status, 404, "{model}");
        let drawing = json!({ "model": model });
        assert_eq!(client.post("/api/model", &drawing).status, 404, "{model}");
        let map = json!({ "generated": model, "reference": "fashion-test" });
        assert_eq!(client.post("/api/map", &map).status, 404, "{model}");
    }
    let config = json!({ "drawing": { "model": "fashion-stylegan2", "config": "/etc/passwd" } });
    let answer = client.post("/api/place", &config);
    assert_eq!(answer.status, 400);
    assert!(!String::from_utf8_lossy(&answer.body).contains("root:"));
    let file = "/etc/passwd";
    for (request, names) in [
        (json!({ "classifier": { "model": "fashion-cnn" }, "than": file }), "the explanation"),
        (json!({ "classifier": { "model": "fashion-cnn", "head": file } }), "the classifier"),
        (
            json!({ "classifier": { "model": "fashion-cnn", "model_config": file } }),
            "the classifier",
        ),
    ] {
        let asked = json!({ "subject": { "picture": 1 }, "request": request });
        let answer = client.post("/api/explain", &asked);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 400 && text.contains(names), "{request}: {text}");
    }
    is_well(&client);
}

#[test]
fn bodies_are_bounded_and_read_as_json() {
    let client = Client::start();
    let cookie = client.cookie();
    for (path, announced) in [("/api/place", 1 << 30), ("/api/picture", 1 << 30)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{cookie}Content-Length: {announced}\r\n\r\n",
            client.host
        );
        let answer = client.raw(&[head.as_bytes(), &vec![0; 64 << 20]].concat());
        if let Some(answer) = answer {
            assert_eq!(answer.status, 413, "{path}");
        }
    }
    for body in ["", "{", "[]", "{\"x\": 1e999}", "{\"unknown\": 1}", "\u{0}", "{\"x\":{\"x\":{}}}"]
    {
        let answer = client.ask("POST", "/api/place", body.as_bytes());
        assert!([400, 404].contains(&answer.status), "{body}: {}", answer.status);
        assert!(answer.json()["error"].is_string());
    }
    let deep = "[".repeat(500_000);
    assert_eq!(client.ask("POST", "/api/place", deep.as_bytes()).status, 400);
    let far = json!({ "drawing": { "model": "fashion-stylegan2" }, "x": 1e300 });
    assert_eq!(client.post("/api/place", &far).status, 400);
    is_well(&client);
}

#[test]
fn a_picture_that_would_take_the_machine_is_refused() {
    let client = Client::start();
    // A PNG of 60,000 by 60,000 pixels in a hundred bytes: the header is enough to refuse it.
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 60_000, 60_000);
    encoder.set_color(png::ColorType::Rgb);
    drop(encoder.write_header().unwrap());
    let answer = client.ask("POST", "/api/picture", &png);
    assert_eq!(answer.status, 400);
    assert_eq!(client.ask("POST", "/api/picture", b"not a picture").status, 400);
    is_well(&client);
}

#[test]
fn thousands_of_requests_and_visitors_who_wait_for_ever_leave_room_for_others() {
    let client = Client::start();
    let slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&client.host).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    let ask = |count: usize| {
        for _ in 0..count {
            let answer = client.ask("GET", "/api/served", b"");
            assert_eq!(answer.status, 200);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| ask(50));
        }
    });
    let place = json!({ "drawing": { "model": "fashion-stylegan2" }, "x": 0.5, "y": 0.5 });
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let status = client.post("/api/place", &place).status;
                assert!([200, 503].contains(&status), "{status}");
            });
        }
    });
    drop(slow);
    is_well(&client);
}

#[test]
fn the_queue_of_work_is_bounded_and_work_can_be_stopped() {
    let client = Client::start();
    let sweep = json!({
        "drawing": { "model": "fashion-stylegan2" },
        "reference": "fashion-test",
        "metrics": ["fid"],
        "features": { "num": 50_000 },
    });
    let begun: Vec<_> = (0..40).map(|_| client.post("/api/sweep", &sweep)).collect();
    assert_eq!(begun[0].status, 202, "{}", String::from_utf8_lossy(&begun[0].body));
    assert_eq!(begun.last().unwrap().status, 503);
    is_well(&client);
    let running: Vec<u64> =
        begun.iter().filter_map(|answer| answer.json()["work"].as_u64()).collect();
    for id in &running {
        assert_eq!(client.ask("DELETE", &format!("/api/work/{id}"), b"").status, 204);
    }
    for id in running {
        assert_eq!(client.end(id)["phase"], "stopped");
        assert_eq!(client.ask("GET", &format!("/api/work/{id}"), b"").status, 404);
    }
}
