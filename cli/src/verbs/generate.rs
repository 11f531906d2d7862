//! `ganscope generate`: pictures of seeds.

use ganscope::latents::pictures::{PictureFiles, PicturesRequest, write_pictures};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let request: PicturesRequest = given.request()?;
    let files: PictureFiles = given.request()?;
    let found = write_pictures(&request, &files, terminal)?;
    let count = request.seeds.len();
    let pictures = if count == 1 { "picture" } else { "pictures" };
    let grid = found.grid.map(|path| format!(", grid in `{}`", path.display())).unwrap_or_default();
    terminal.note(&format!("{count} {pictures} in `{}`{grid}", files.outdir.display()));
    Ok(())
}
