//! The browser face of ganscope, served from this machine to this machine.
//!
//! Each route turns its body into a request of the library and the result into JSON or a picture. The
//! page is part of the program: it loads nothing from elsewhere.
//!
//! Only one who was given the address with its token gets in (`guard`), names in requests are those
//! of the command line and of the catalog (`allowed`), and work is done one piece after another
//! (`jobs`).

mod allowed;
mod aside;
mod assets;
mod explain;
mod guard;
mod jobs;
mod latents;
mod reply;
mod scores;
mod server;
mod units;
mod work;

pub use server::{Served, serve};

use ganscope::features::FeatureRequest;
use serde::{Deserialize, Serialize};

/// What is served, and to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeRequest {
    /// Generators beside the shipped ones: files or known ids.
    pub models: Vec<String>,
    /// Generated sets.
    pub generated: Vec<String>,
    /// The reference set.
    pub reference: Option<String>,
    /// Classifiers beside the shipped one: names of the catalog.
    pub classifiers: Vec<String>,
    /// Files of directions in W, as `directions` writes them.
    pub directions: Vec<String>,
    /// How images become features.
    pub features: FeatureRequest,
    /// The address that is listened on.
    pub host: String,
    /// The port; any that is free for 0.
    pub port: u16,
    /// Whether an address that other machines reach is allowed.
    pub allow_remote: bool,
}

impl Default for ServeRequest {
    /// The shipped models, on a free port of this machine.
    fn default() -> Self {
        Self {
            models: Vec::new(),
            generated: Vec::new(),
            reference: None,
            classifiers: Vec::new(),
            directions: Vec::new(),
            features: FeatureRequest::default(),
            host: "127.0.0.1".to_owned(),
            port: 0,
            allow_remote: false,
        }
    }
}
