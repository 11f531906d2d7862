//! `ganscope completions` and `ganscope man`: what a shell and `man` read.

use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use ganscope::files::{make_folder, write_text};
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
    let mut program = super::program().disable_help_subcommand(true);
    program.build();
    pages(&program, &folder)?;
    terminal.note(&format!("man pages in `{}`", folder.display()));
    Ok(())
}

/// Writes the page of a verb and those of the verbs below it.
fn pages(verb: &Command, folder: &Path) -> Result<()> {
    for below in verb.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, folder)?;
    }
    let (page, mut text) = (Man::new(verb.clone()), Vec::new());
    page.render(&mut text)?;
    write_text(&folder.join(page.get_filename()), &String::from_utf8_lossy(&text))
}
