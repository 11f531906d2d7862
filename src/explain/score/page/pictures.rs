//! The sections of copies and of pixels.

use ganscope_images::grid;

use super::super::ExplainedScore;
use super::super::causes::percent;
use super::super::copies::{CopyPair, CopyReport};
use super::super::looks::Look;
use super::{COLUMNS, GAP, PAPER, strip};
use crate::error::Result;
use crate::figures::page::{Page, TableCell};
use crate::figures::{Cell, number};

impl ExplainedScore {
    pub(super) fn add_copies(&self, page: &mut Page) -> Result<()> {
        page.section("copies", "Copies: are reference images memorized?");
        let Some(report) = &self.copies else {
            page.paragraph("Not known: the reference contains no features of single images.");
            return Ok(());
        };
        page.paragraph(&report.verdict());
        let row = |name: &str, values: [f64; 3]| -> Vec<TableCell> {
            let values = values.map(|value| TableCell::from(number(value)));
            std::iter::once(name.into()).chain(values).collect()
        };
        let real =
            if report.has_held_out { "held-out images" } else { "reference images, to the rest" };
        let head =
            ["distance to the nearest reference image", "least", "first percentile", "median"];
        page.table(
            &head.map(str::to_owned),
            &[
                row("generated images", report.generated_distances),
                row(real, report.real_distances),
            ],
        );
        let [generated, reference] = &self.members;
        if !(generated.album.has_pictures() && reference.album.has_pictures()) {
            return Ok(());
        }
        let (shown, near) = (report.nearest.len(), report.near_copies.len());
        let of = if near > shown { format!(" of {near}") } else { String::new() };
        page.subheading(&format!("The {shown} nearest pairs{of}: generated left, reference right"));
        let cell = |pair: &CopyPair| -> Result<Cell> {
            let mut tiles = generated.album.tiles(std::slice::from_ref(&pair.generated))?;
            tiles.extend(reference.album.tiles(std::slice::from_ref(&pair.reference))?);
            let names = format!("{} and {}", pair.generated.name, pair.reference.name);
            let cell = Cell::new(grid(&tiles, 2, GAP, PAPER)).caption(&names);
            let (distance, spacing) = (number(pair.distance), number(pair.spacing));
            let note = format!("distance {distance}; the next reference image is {spacing} away");
            Ok(cell.note(note))
        };
        page.gallery(&report.nearest.iter().map(cell).collect::<Result<Vec<_>>>()?)?;
        Ok(())
    }

    pub(super) fn add_pixels(&self, page: &mut Page) -> Result<()> {
        page.section("pixels", "Pixels: how pictures look, and which pixels raise the distance");
        self.add_looks(page)?;
        let Some(sheet) = self.images.heat_sheet()? else { return Ok(()) };
        let title = &self.title;
        page.subheading(&format!("The pixels of the worst images that raise {title}"));
        page.paragraph(&format!(
            "The gradient of {title} with respect to the features of an image, carried back to the \
             last map (Grad-CAM) and to the pixels (relevance, gradient)."
        ));
        page.sheet(&sheet)?;
        Ok(())
    }

    fn add_looks(&self, page: &mut Page) -> Result<()> {
        if self.looks.is_empty() {
            page.paragraph("Not measured: both sets must have pictures.");
            return Ok(());
        }
        let row = |look: &Look| -> Vec<TableCell> {
            let verdict = match (look.differs, look.tail_differs.contains(&true)) {
                (true, _) => "differs",
                (false, true) => "some pictures differ",
                (false, false) => "alike",
            };
            let tails = look.tails.map(|share| TableCell::from(percent(share)));
            let [a, b] = look.medians.map(|median| TableCell::from(format!("{median:.3}")));
            let [low, high] = tails;
            vec![look.measure.into(), a, b, low, high, verdict.into()]
        };
        let head =
            ["measure", "generated", "reference", "less than 99 %", "more than 99 %", "verdict"];
        page.table(&head.map(str::to_owned), &self.looks.iter().map(row).collect::<Vec<_>>());
        page.paragraph(
            "Medians, and the shares of generated pictures that have less, or more, than 99 % of the \
             reference, where 1 % is usual. Brightness and contrast are of the luminance, 0 to 255; sharpness is \
             the difference of neighboring pixels over the contrast.",
        );
        for look in &self.looks {
            for (images, end) in look.tail_images.iter().zip(["least", "most"]) {
                if !images.is_empty() {
                    let caption = format!("{end} {}", look.measure);
                    page.gallery(&[strip(&self.members[0], images, COLUMNS, caption)?])?;
                }
            }
        }
        Ok(())
    }
}

impl CopyReport {
    /// What was found, in a sentence.
    fn verdict(&self) -> String {
        let [near, all] = self.among_real;
        let real = if self.has_held_out { "held-out images" } else { "reference images" };
        let count = self.near_copies.len();
        let same = self.near_copies.iter().filter(|pair| pair.distance == 0.0).count();
        let nearly = count - same;
        let mut found = Vec::new();
        if same > 0 {
            found.push(format!(
                "{same} generated images have exactly the features of a reference image."
            ));
        }
        if nearly > 0 || same == 0 {
            found.push(format!(
                "{nearly} generated images are nearly copies: four times nearer to a reference image than \
                 the reference image next to that is."
            ));
        }
        let verdict = if self.is_suspicious {
            "That is more than chance: look at the pairs."
        } else {
            "No sign of memorized images."
        };
        format!("{} Of {all} {real}, {near} are so near to another one. {verdict}", found.join(" "))
    }
}
