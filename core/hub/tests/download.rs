//! Downloads from a server on this machine that speaks as the hub does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ganscope_golden::hub::{Behavior, Server};
use ganscope_hub::{Error, Hub, Source, sha256};
use tempfile::TempDir;

/// A checkpoint of 1.3 MB, so that it comes in several pieces.
const CHECKPOINT: &str = "biggan-tiny.bin";
const FILE: &str = "hub:owner/repo/folder/model.bin";

/// A server with the checkpoint, and a client with empty caches.
struct Setup {
    server: Server,
    hub: Hub,
    folder: TempDir,
}

impl Setup {
    fn new(behavior: Behavior) -> Self {
        let content = ganscope_golden::bytes(CHECKPOINT);
        let etag = if behavior.etag.is_empty() { digest() } else { behavior.etag };
        let server = Server::start(Behavior { content, etag, ..behavior });
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let hub = Hub {
            endpoint: server.url(),
            cache: folder.path().join("huggingface/hub"),
            downloads: folder.path().join("ganscope"),
            token: None,
            offline: false,
            pause: Duration::from_millis(1),
        };
        Self { server, hub, folder }
    }

    fn fetch(&self, source: &str, sha256: Option<&str>) -> Result<PathBuf, Error> {
        let source: Source = source.parse()?;
        self.hub.fetch_source(&source, sha256, &mut |_, _| {})
    }

    /// All files in the caches that are not empty, without links.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder is read").flatten() {
                let metadata = entry.metadata().expect("the entry is read");
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.is_file() && metadata.len() > 0 {
                    files.push(entry.path());
                }
            }
        }
        files
    }

    /// The ranges of the bodies that were asked for.
    fn ranges(&self) -> Vec<Option<String>> {
        let bodies = self.server.seen().into_iter().filter(|request| request.method == "GET");
        bodies.map(|request| request.header("range").map(str::to_owned)).collect()
    }
}

fn checkpoint() -> PathBuf {
    ganscope_golden::data().join(CHECKPOINT)
}

fn digest() -> String {
    sha256(&checkpoint()).expect("the checkpoint is read")
}

fn assert_whole(path: &Path) {
    let bytes = std::fs::read(path).expect("the file is read");
    assert_eq!(bytes, ganscope_golden::bytes(CHECKPOINT));
}

#[test]
fn the_digest_is_that_of_sha256sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc");
    std::fs::write(&path, "abc").unwrap();
    // FIPS 180-2, appendix B.1
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(&path).unwrap(), expected);
}

#[test]
fn a_file_of_the_hub_is_downloaded_once_into_the_common_layout() {
    let setup = Setup::new(Behavior::default());
    assert_eq!(setup.hub.cached(FILE), None);
    let mut told = Vec::new();
    let path = setup
        .hub
        .fetch_source(&FILE.parse().unwrap(), Some(&digest()), &mut |done, all| {
            told.push((done, all));
        })
        .unwrap();
    assert_whole(&path);
    let repo = setup.hub.cache.join("models--owner--repo");
    assert_eq!(path, repo.join("snapshots").join(Server::COMMIT).join("folder/model.bin"));
    assert_eq!(setup.files().len(), 2);
    assert!(repo.join("blobs").join(digest()).is_file());
    assert_eq!(std::fs::read_to_string(repo.join("refs/main")).unwrap(), Server::COMMIT);

    let size = std::fs::metadata(checkpoint()).unwrap().len();
    assert!(told.is_sorted() && told.len() > 2);
    assert_eq!(told.last(), Some(&(size, Some(size))));

    let requests = setup.server.seen().len();
    assert_eq!(setup.fetch(FILE, Some(&digest())).unwrap(), path);
    assert_eq!(setup.hub.cached(FILE), Some(path));
    assert_eq!(setup.server.seen().len(), requests, "the cache needs no network");
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let setup = Setup::new(Behavior { cut: Some((500_000, 2)), ..Behavior::default() });
    assert_whole(&setup.fetch(FILE, Some(&digest())).unwrap());
    let resumed = |range: &str| Some(format!("bytes={range}-"));
    assert_eq!(setup.ranges(), [None, resumed("500000"), resumed("1000000")]);
}

#[test]
fn an_interrupted_run_is_continued_by_the_next() {
    let setup = Setup::new(Behavior::default());
    let blobs = setup.hub.cache.join("models--owner--repo/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let start = &ganscope_golden::bytes(CHECKPOINT)[..123_456];
    std::fs::write(blobs.join(digest() + ".part"), start).unwrap();
    assert_eq!(setup.hub.cached(FILE), None);
    assert_whole(&setup.fetch(FILE, Some(&digest())).unwrap());
    assert_eq!(setup.ranges(), [Some("bytes=123456-".to_owned())]);
}

#[test]
fn a_part_that_is_longer_than_the_file_is_thrown_away() {
    let setup = Setup::new(Behavior::default());
    let blobs = setup.hub.cache.join("models--owner--repo/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(digest() + ".part"), vec![7; 2_000_000]).unwrap();
    assert_whole(&setup.fetch(FILE, Some(&digest())).unwrap());
}

#[test]
fn a_server_that_cannot_resume_sends_all_again() {
    let cut = Some((500_000, 1));
    let setup = Setup::new(Behavior { cut, ignores_ranges: true, ..Behavior::default() });
    assert_whole(&setup.fetch(FILE, Some(&digest())).unwrap());
}

#[test]
fn a_server_that_never_finishes_is_given_up_and_nothing_looks_whole() {
    let setup = Setup::new(Behavior { cut: Some((0, usize::MAX)), ..Behavior::default() });
    let error = setup.fetch(FILE, Some(&digest())).unwrap_err();
    assert!(matches!(error, Error::Download { .. }), "{error}");
    assert_eq!(setup.hub.cached(FILE), None);
    assert_eq!(setup.files(), Vec::<PathBuf>::new());
}

#[test]
fn another_file_than_expected_is_refused_and_removed() {
    let setup = Setup::new(Behavior::default());
    let wrong = "0".repeat(64);
    let error = setup.fetch(FILE, Some(&wrong)).unwrap_err();
    let Error::Checksum { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, found), (&wrong, &digest()));
    assert_eq!(setup.hub.cached(FILE), None);
    assert_eq!(setup.files(), Vec::<PathBuf>::new());
}

#[test]
fn the_tag_of_a_large_file_on_the_hub_is_its_digest() {
    let setup = Setup::new(Behavior { etag: "0".repeat(64), ..Behavior::default() });
    assert!(matches!(setup.fetch(FILE, None), Err(Error::Checksum { .. })));
    assert_eq!(setup.files(), Vec::<PathBuf>::new());
    // That of a small file is not.
    let setup = Setup::new(Behavior { etag: "0".repeat(40), ..Behavior::default() });
    assert_whole(&setup.fetch(FILE, None).unwrap());
}

#[test]
fn a_damaged_file_in_the_cache_is_noticed() {
    let setup = Setup::new(Behavior::default());
    let path = setup.fetch(FILE, Some(&digest())).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = setup.fetch(FILE, Some(&digest())).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
}

#[test]
fn the_first_digits_of_a_digest_are_compared_too() {
    let setup = Setup::new(Behavior::default());
    assert!(setup.fetch(FILE, Some(&digest()[..8])).is_ok());
    let setup = Setup::new(Behavior::default());
    let wrong = if digest().starts_with('0') { "10000000" } else { "00000000" };
    assert!(matches!(setup.fetch(FILE, Some(wrong)), Err(Error::Checksum { .. })));
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let needs_token = Some("hf_secret".to_owned());
    let bodies = Setup::new(Behavior::default());
    // Another name, as a port does not make another host.
    let redirect = Some(bodies.server.url().replace("127.0.0.1", "localhost"));
    let mut setup = Setup::new(Behavior { redirect, needs_token, ..Behavior::default() });
    let error = setup.fetch(FILE, None).unwrap_err();
    assert!(error.to_string().contains("the server answers 401"), "{error}");
    assert!(matches!(error, Error::Download { status: Some(401), .. }), "{error:?}");

    setup.hub.token = Some("hf_secret".to_owned());
    assert_whole(&setup.fetch(FILE, None).unwrap());
    let sent = |server: &Server| {
        server.seen().iter().filter(|request| request.header("authorization").is_some()).count()
    };
    assert_eq!(sent(&setup.server), 2);
    let bodies = bodies.server.seen();
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].path.starts_with("/bodies/owner/repo/resolve/"));
    assert_eq!(bodies[0].header("authorization"), None);
}

#[test]
fn a_repository_that_was_renamed_is_followed_with_the_token() {
    let renamed = Some("/new/name".to_owned());
    let needs_token = Some("hf_secret".to_owned());
    let mut setup = Setup::new(Behavior { renamed, needs_token, ..Behavior::default() });
    setup.hub.token = Some("hf_secret".to_owned());
    assert_whole(&setup.fetch(FILE, Some(&digest())).unwrap());
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let behavior = Behavior { status: Some((503, 2)), ..Behavior::default() };
    let setup = Setup::new(behavior);
    let url = format!("{}/files/model.bin", setup.server.url());
    assert_whole(&setup.fetch(&url, Some(&digest())).unwrap());
}

#[test]
fn a_plain_address_is_downloaded_into_the_own_cache() {
    let setup = Setup::new(Behavior { cut: Some((500_000, 1)), ..Behavior::default() });
    let url = format!("{}/files/model.bin?download=1", setup.server.url());
    let path = setup.fetch(&url, None).unwrap();
    assert_whole(&path);
    assert!(path.starts_with(&setup.hub.downloads) && path.ends_with("model.bin"));
    assert_eq!(setup.hub.cached(&url), Some(path.clone()));
    assert_eq!(setup.files().len(), 2, "the file, and its digest");
    // The first use pins the content.
    assert_eq!(setup.fetch(&url, None).unwrap(), path);
    std::fs::write(&path, "another").unwrap();
    assert!(matches!(setup.fetch(&url, None), Err(Error::Checksum { .. })));
    assert!(setup.server.seen().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn errors_name_the_address_and_the_digest() {
    let mut setup = Setup::new(Behavior { status: Some((404, 9)), ..Behavior::default() });
    let url = format!("{}/owner/repo/resolve/main/folder/model.bin", setup.server.url());
    let error = setup.fetch(FILE, Some(&digest())).unwrap_err();
    let expected =
        format!("cannot download `{url}` (SHA-256 {}): the server answers 404", digest());
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, Error::Download { status: Some(404), .. }), "{error:?}");

    setup.hub.offline = true;
    let error = setup.fetch(FILE, None).unwrap_err();
    let expected = format!(
        "cannot download `{url}` (of unknown SHA-256): the network is switched off by HF_HUB_OFFLINE"
    );
    assert_eq!(error.to_string(), expected);

    // A port that nobody listens on
    setup.hub.offline = false;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    setup.hub.endpoint = format!("http://127.0.0.1:{port}");
    let error = setup.fetch(FILE, None).unwrap_err();
    assert!(matches!(error, Error::Download { .. }), "{error}");
}

#[test]
fn names_from_the_server_cannot_leave_the_cache() {
    for etag in ["../../../etc/passwd", "a/b", "..", " "] {
        let setup = Setup::new(Behavior { etag: etag.to_owned(), ..Behavior::default() });
        let error = setup.fetch(FILE, None).unwrap_err();
        assert!(matches!(error, Error::Download { .. }), "{error}");
        assert_eq!(setup.files(), Vec::<PathBuf>::new());
    }
}

#[test]
fn two_downloads_at_once_share_the_work() {
    let setup = Setup::new(Behavior::default());
    std::thread::scope(|scope| {
        let fetches: Vec<_> =
            (0..4).map(|_| scope.spawn(|| setup.fetch(FILE, Some(&digest())))).collect();
        for fetch in fetches {
            assert_whole(&fetch.join().unwrap().unwrap());
        }
    });
    assert_eq!(setup.ranges().len(), 1);
}

#[test]
fn an_unknown_name_is_refused() {
    let setup = Setup::new(Behavior::default());
    let error = setup.hub.fetch("no-such-model", &mut |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "unknown weights `no-such-model`");
    assert_eq!(setup.hub.cached("no-such-model"), None);
}

#[test]
fn known_files_are_taken_from_the_cache_of_other_clients() {
    let mut setup = Setup::new(Behavior::default());
    let repo = setup.hub.cache.join("models--osanseviero--BigGAN-deep-128");
    let snapshot = repo.join("snapshots").join(Server::COMMIT);
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(repo.join("refs/main"), Server::COMMIT).unwrap();
    std::fs::write(snapshot.join("pytorch_model.bin"), "something else").unwrap();
    setup.hub.offline = true;
    let path = setup.hub.cached("biggan-deep-128").unwrap();
    assert_eq!(path, snapshot.join("pytorch_model.bin"));
    let error = setup.hub.fetch("biggan-deep-128", &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
}
