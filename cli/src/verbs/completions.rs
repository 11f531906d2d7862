//! `ganscope completions` and `ganscope man`: what a shell and `man` read.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;
use ganscope::files::make_folder;
use ganscope::{Result, Watch as _};

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  ganscope completions bash > ~/.local/share/bash-completion/completions/ganscope
  ganscope completions zsh > ~/.zfunc/_ganscope
  ganscope completions fish > ~/.config/fish/completions/ganscope.fish";

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Write the man pages into a folder
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Folder to write
    folder: PathBuf,
}

pub(super) fn run(args: &Args, mut command: Command, terminal: &mut Terminal) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ganscope", &mut script);
    terminal.data(&String::from_utf8_lossy(&script))
}

pub(super) fn man(args: &ManArgs, command: Command, terminal: &mut Terminal) -> Result<()> {
    make_folder(&args.folder)?;
    clap_mangen::generate_to(command, &args.folder)?;
    terminal.note(&format!("man pages in `{}`", args.folder.display()));
    Ok(())
}
