//! The client: its caches, and downloads of missing files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy as _;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use ureq::Agent;

use crate::error::Failure;
use crate::metadata::{Metadata, metadata};
use crate::transfer::{self, Request};
use crate::{Error, Known, Result, Source, known};

const ENDPOINT: &str = "https://huggingface.co";

/// Called with the bytes downloaded so far and, where known, the bytes of the whole file.
pub type Progress<'a> = dyn FnMut(u64, Option<u64>) + 'a;

/// A client of the hub and of other servers, with its caches.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Base address of the hub.
    pub endpoint: String,
    /// The cache of hub files, which other hub clients use too.
    pub cache: PathBuf,
    /// The cache of files from elsewhere.
    pub downloads: PathBuf,
    /// Access token, which is sent to the hub alone.
    pub token: Option<String>,
    /// Whether to use only what is cached.
    pub offline: bool,
    /// Half the pause before a request that failed is repeated; it doubles each time.
    pub pause: Duration,
}

impl Hub {
    /// The usual pause: all repetitions of a request together wait 6 s.
    pub const PAUSE: Duration = Duration::from_millis(200);

    /// The client with the settings of the environment.
    ///
    /// `HF_ENDPOINT` is the hub; `HF_HOME` contains its cache, by default `~/.cache/huggingface`;
    /// `HF_TOKEN` is the token, by default read from the file that `hf auth login` writes;
    /// `HF_HUB_OFFLINE=1` forbids the network; `GANSCOPE_CACHE` is the folder of other files, by
    /// default `ganscope` in the user's cache folder.
    ///
    /// # Errors
    /// [`Error::NoHome`] if there is no home folder and no variable that replaces it.
    pub fn from_env() -> Result<Self> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = || match etcetera::choose_base_strategy() {
            Ok(home) => Ok(home.cache_dir()),
            Err(_) => Err(Error::NoHome),
        };
        let cache = match set("HF_HOME") {
            Some(folder) => Path::new(&folder).join("hub"),
            None => home()?.join("huggingface").join("hub"),
        };
        let downloads = match set("GANSCOPE_CACHE") {
            Some(folder) => folder.into(),
            None => home()?.join("ganscope"),
        };
        Ok(Self {
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()),
            token: set("HF_TOKEN").or_else(|| Cache::new(cache.clone()).token()),
            cache,
            downloads,
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| value != "0"),
            pause: Self::PAUSE,
        })
    }

    /// The file `id`: an entry of [`KNOWN`](crate::KNOWN), or a [`Source`] in its written form.
    ///
    /// The digest is compared on each call where the table has one, cached or not. The sources of
    /// a known file are tried in turn.
    ///
    /// # Errors
    /// [`Error::UnknownId`], or the error of the first source: [`Error::Download`] with address
    /// and digest, or [`Error::Checksum`].
    pub fn fetch(&self, id: &str, progress: &mut Progress<'_>) -> Result<PathBuf> {
        let Some(known) = known(id) else {
            return self.fetch_source(&id.parse()?, None, progress);
        };
        let placed = self.place(id);
        if placed.is_file() {
            known.sha256.map_or(Ok(()), |expected| transfer::verify(&placed, expected))?;
            return Ok(placed);
        }
        let mut first = None;
        for source in known.sources {
            match self.fetch_source(&source.parse()?, known.sha256, progress) {
                Ok(path) => return Ok(path),
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or_else(|| Error::UnknownId { id: id.to_owned() }))
    }

    /// The path at which a known file that was downloaded by other means is expected.
    pub fn place(&self, id: &str) -> PathBuf {
        self.downloads.join("weights").join(id)
    }

    /// The first address of `known`.
    pub fn url(&self, known: &Known) -> String {
        let source = known.sources.first().map(|source| source.parse::<Source>());
        source.and_then(Result::ok).map_or_else(String::new, |source| source.url(&self.endpoint))
    }

    /// Whether the file `id` is in a cache.
    pub fn is_cached(&self, id: &str) -> bool {
        self.cached(id).is_some()
    }

    /// The path of the file `id` if it is in a cache; complete, but not compared with its digest.
    pub fn cached(&self, id: &str) -> Option<PathBuf> {
        let cached = |source: &str| self.cached_source(&source.parse().ok()?);
        let Some(known) = known(id) else { return cached(id) };
        let placed = Some(self.place(id)).filter(|path| path.is_file());
        placed.or_else(|| known.sources.iter().copied().find_map(cached))
    }

    /// The file at `source`, whose SHA-256 is or starts with `sha256`.
    ///
    /// # Errors
    /// [`Error::Download`] with address and digest, or [`Error::Checksum`], after which the
    /// download is deleted.
    pub fn fetch_source(
        &self,
        source: &Source,
        sha256: Option<&str>,
        progress: &mut Progress<'_>,
    ) -> Result<PathBuf> {
        if let Some(path) = self.cached_source(source) {
            let is_own = matches!(source, Source::Url(_));
            let pinned = pin(&path).filter(|_| is_own);
            match sha256.or(pinned.as_deref()) {
                Some(expected) => transfer::verify(&path, expected)?,
                // The run that downloaded it ended before it was pinned.
                None if is_own => set_pin(&path)?,
                None => {}
            }
            return Ok(path);
        }
        let url = source.url(&self.endpoint);
        if self.offline {
            return Err(
                Failure::new("the network is switched off by HF_HUB_OFFLINE").of(&url, sha256)
            );
        }
        match source {
            Source::Hub { file, .. } => self.download_from_hub(source, file, sha256, progress),
            Source::Url(_) => {
                let path = self.download_path(&url);
                let request =
                    Request { url: &url, token: None, sha256, bytes: None, pause: self.pause };
                transfer::download(&agent(), &request, &path, progress)?;
                if sha256.is_none() {
                    set_pin(&path)?;
                }
                Ok(path)
            }
        }
    }

    pub(crate) fn cached_source(&self, source: &Source) -> Option<PathBuf> {
        let path = match source {
            Source::Hub { file, revision, .. } => {
                let repo = self.repo(source)?;
                // Other clients keep no reference for a revision that is a commit.
                repo.get(file).unwrap_or_else(|| repo.pointer_path(revision).join(file))
            }
            Source::Url(url) => self.download_path(url),
        };
        path.is_file().then_some(path)
    }

    /// One folder per address, so that equal file names do not collide.
    fn download_path(&self, url: &str) -> PathBuf {
        let name = url.split(['?', '#']).next().unwrap_or(url).rsplit('/').next().unwrap_or(url);
        let digest = transfer::hex(&transfer::digest_of(url.as_bytes()));
        self.downloads.join("downloads").join(&digest[..16]).join(name)
    }

    fn repo(&self, source: &Source) -> Option<CacheRepo> {
        Some(Cache::new(self.cache.clone()).repo(hub_repo(source)?))
    }

    fn download_from_hub(
        &self,
        source: &Source,
        file: &str,
        sha256: Option<&str>,
        progress: &mut Progress<'_>,
    ) -> Result<PathBuf> {
        let (agent, url, token) = (agent(), source.url(&self.endpoint), self.token.as_deref());
        let Some(repo) = hub_repo(source) else {
            return Err(Failure::new("not a file of the hub").of(&url, sha256));
        };
        let blobs = self.cache.join(repo.folder_name()).join("blobs");
        let repo = Cache::new(self.cache.clone()).repo(repo);
        let metadata = metadata(&agent, &url, token, self.pause).map_err(|e| e.of(&url, sha256))?;
        let Metadata { etag, commit, bytes } = metadata;
        // The hub's tag of a large file is its digest.
        let is_digest = etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit());
        let sha256 = sha256.or(is_digest.then_some(&etag));
        let blob = blobs.join(&etag);
        let request = Request { url: &url, token, sha256, bytes, pause: self.pause };
        transfer::download(&agent, &request, &blob, progress)?;
        let path = repo.pointer_path(&commit).join(file);
        link(&blob, &path, file).map_err(Error::writing(&path))?;
        repo.create_ref(&commit).map_err(Error::writing(&self.cache))?;
        Ok(path)
    }
}

/// Where the digest of a download without a known one is kept.
pub(crate) fn pin_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".sha256");
    path.with_file_name(name)
}

/// The digest that a download had when it was first used.
pub(crate) fn pin(path: &Path) -> Option<String> {
    std::fs::read_to_string(pin_path(path)).ok().filter(|digest| digest.len() == 64)
}

/// Records the digest of a download: a change is an error from now on.
///
/// A cache that may only be read has no records.
fn set_pin(path: &Path) -> Result<()> {
    let digest = transfer::sha256(path)?;
    let mut name = pin_path(path).into_os_string();
    name.push(transfer::PART);
    let new = PathBuf::from(name);
    let write = || {
        std::fs::write(&new, digest)?;
        std::fs::rename(&new, pin_path(path))
    };
    if write().is_err() {
        let _none = std::fs::remove_file(&new);
    }
    Ok(())
}

fn hub_repo(source: &Source) -> Option<Repo> {
    match source {
        Source::Hub { repo, revision, .. } => {
            Some(Repo::with_revision(repo.clone(), RepoType::Model, revision.clone()))
        }
        Source::Url(_) => None,
    }
}

/// Makes `path`, which ends in `file`, point to `blob` as hub clients do it.
fn link(blob: &Path, path: &Path, file: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    #[cfg(unix)]
    {
        // From `snapshots/COMMIT/FILE` up to the folder of the repository.
        let up = "../".repeat(file.split('/').count() + 1);
        let name = blob.file_name().unwrap_or_default();
        let target = Path::new(&up).join("blobs").join(name);
        match std::os::unix::fs::symlink(target, path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            linked => return linked,
        }
        // A link to a blob that is gone, or a copy that another client left.
        if path.is_file() {
            return Ok(());
        }
        std::fs::remove_file(path)?;
        link(blob, path, file)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        std::fs::copy(blob, path).map(drop)
    }
}

/// The HTTP client of downloads.
fn agent() -> Agent {
    use ureq::config::RedirectAuthHeaders;
    let seconds = |n| Some(Duration::from_secs(n));
    Agent::config_builder()
        .user_agent(concat!("ganscope/", env!("CARGO_PKG_VERSION")))
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .timeout_connect(seconds(20))
        .timeout_recv_response(seconds(60))
        .timeout_per_read(seconds(60))
        .build()
        .into()
}
