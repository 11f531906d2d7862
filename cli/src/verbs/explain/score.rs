//! `ganscope explain fid`: which images make a distance what it is, and which of their pixels.

use ganscope::files::make_folder;
use ganscope::score::leave_one_out::{LeaveOneOutRequest, leave_one_out};
use ganscope::{Result, Watch as _};

use crate::given::Given;
use crate::terminal::Terminal;

pub(in super::super) fn run(given: Given<'_>, terminal: &mut Terminal) -> Result<()> {
    let (request, output) = (given.request::<LeaveOneOutRequest>()?, given.path("output"));
    make_folder(&output)?;
    let found = leave_one_out(&request, terminal)?;
    found.write(&output)?;
    let (title, top) = (&found.title, found.top);
    let (all, rest) = (found.distance, found.without_worst);
    terminal.data(&format!("{title} {all:.6}, without the {top} worst {rest:.6}\n"))?;
    for (rank, i) in found.worst().into_iter().take(top).enumerate() {
        let image = &found.images[i];
        terminal.data(&format!("{:4} {:+.6} {}\n", rank + 1, image.distance, image.name))?;
    }
    terminal.note(&format!("see `{}`", output.join("report.html").display()));
    Ok(())
}
