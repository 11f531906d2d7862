//! `ganscope serve`: the page in a browser.

use std::process::{Command, Stdio};

use ganscope::{Result, Watch as _};
use ganscope_web::{ServeRequest, serve};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let request: ServeRequest = given.request()?;
    let served = serve(&request)?;
    let url = served.url();
    terminal.data(&format!("{url}\n"))?;
    if !given.flag("no-open") && !opened(&url) {
        terminal.note("open this address in a browser");
    }
    terminal.note("it is served until this program is stopped");
    served.run()
}

/// Opens an address in the browser of the desktop, if there is one.
fn opened(url: &str) -> bool {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
