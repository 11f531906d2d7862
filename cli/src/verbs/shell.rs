//! `ganscope completions` and `ganscope man`: what a shell and `man` read.

use clap_complete::Shell;
use ganscope::files::make_folder;
use ganscope::{Error, Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn completions(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let shell: Shell = given.text("shell").unwrap_or_default().parse().map_err(Error::request)?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::program(), "ganscope", &mut script);
    terminal.data(&String::from_utf8_lossy(&script))
}

pub(super) fn man(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let folder = given.path("folder");
    make_folder(&folder)?;
    clap_mangen::generate_to(super::program(), &folder)?;
    terminal.note(&format!("man pages in `{}`", folder.display()));
    Ok(())
}
