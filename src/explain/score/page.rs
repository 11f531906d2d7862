//! The page of reasons, and the files of a report.

mod pictures;

use std::path::Path;

use ganscope_images::grid;

use super::ExplainedScore;
use super::causes::{MAIN, percent};
use super::classes::{ClassReport, LabelDistance};
use super::directions::DirectionFound;
use super::modes::{ModeFound, ModeReport};
use super::sets::{Kind, Member, Shown};
use crate::error::Result;
use crate::figures::page::{Page, TableCell};
use crate::figures::{Cell, number};
use crate::files::{make_folder, write_text};

/// Pictures of a row at an end of a direction.
const END: usize = 10;
/// Pictures per line of the sheet of a mode.
const COLUMNS: usize = 5;
/// Pixels between pictures.
const GAP: usize = 2;
const PAPER: [u8; 3] = [255; 3];
/// Classes of the table.
const CLASSES: usize = 30;
/// Names that stand for pictures where there are none.
const NAMES: usize = 8;

/// Names of the sections, by their ids.
const SECTIONS: &[(&str, &str)] = &[
    ("classes", "Classes"),
    ("copies", "Copies"),
    ("directions", "Directions"),
    ("modes", "Modes"),
    ("pixels", "Pixels"),
];

fn name_of(id: &str) -> &'static str {
    SECTIONS.iter().find(|section| section.0 == id).map_or("", |section| section.1)
}

/// `mostly trouser (24 of 25)`.
fn mostly(kind: Option<&Kind>) -> String {
    kind.map_or(String::new(), |kind| {
        format!("mostly {} ({} of {})", kind.title, kind.count, kind.of)
    })
}

/// Images side by side as one picture; their names where there are no pictures.
fn strip(member: &Member, images: &[Shown], columns: usize, caption: String) -> Result<Cell> {
    let tiles = member.album.tiles(images)?;
    if tiles.is_empty() {
        let names: Vec<&str> = images.iter().take(NAMES).map(|shown| shown.name.as_str()).collect();
        return Ok(Cell::empty().caption(format!("{caption}: {}", names.join(", "))));
    }
    Ok(Cell::new(grid(&tiles, columns, GAP, PAPER)).caption(caption))
}

/// Adds pictures beside each other; lines of text where there are none.
fn show(page: &mut Page, cells: &[Cell]) -> Result<()> {
    let (pictures, texts): (Vec<Cell>, Vec<Cell>) =
        cells.iter().cloned().partition(|cell| cell.picture.width > 0);
    if !pictures.is_empty() {
        page.gallery(&pictures)?;
    }
    for Cell { caption, note, .. } in &texts {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        page.paragraph(&format!("{caption}{note}"));
    }
    Ok(())
}

impl ExplainedScore {
    /// A page that shows everything and needs no other file.
    ///
    /// # Errors
    /// If an image cannot be read any more.
    pub fn page(&self) -> Result<Page> {
        let mut page = Page::new(&format!("Why {} is {}", self.title, number(self.distance)));
        let count = |facts: &crate::features::SetFacts| {
            facts.images.map_or("images".to_owned(), |n| format!("{n} images"))
        };
        let (generated, reference) = (&self.generated, &self.reference);
        page.paragraph(&format!(
            "{} of {} against {} of {}.",
            count(generated),
            generated.path,
            count(reference),
            reference.path
        ));
        self.add_causes(&mut page);
        for warning in &self.warnings {
            page.warning(&warning.text);
        }
        self.add_classes(&mut page);
        self.add_copies(&mut page)?;
        self.add_directions(&mut page)?;
        self.add_modes(&mut page)?;
        self.add_pixels(&mut page)?;
        page.section("images", "Images: which ones raise the distance");
        self.images.add_to(&mut page)?;
        self.images.add_table(&mut page);
        let convention =
            self.convention.as_ref().map_or("unknown features".into(), ToString::to_string);
        page.footer(&[format!(
            "{convention}; seed {}; ganscope {}; report.json has all numbers, contributions.csv all images.",
            self.request.seed, self.ganscope
        )]);
        Ok(page)
    }

    fn add_causes(&self, page: &mut Page) {
        let title = &self.title;
        page.heading("Main causes");
        let items: Vec<(&str, &str, &str)> = self
            .causes
            .iter()
            .take(MAIN)
            .map(|cause| (cause.text.as_str(), name_of(cause.section), cause.section))
            .collect();
        if items.is_empty() {
            page.paragraph("Nothing differs by more than chance.");
        } else {
            page.list(&items);
            let more = self.causes.len() - items.len();
            if more > 0 {
                page.paragraph(&format!("{more} more in the sections below."));
            }
            page.paragraph(
                "Each section looks at the same difference from its own side: the same pictures may count \
                 in several, and their shares do not add up.",
            );
        }
        page.paragraph(&match self.by_chance {
            Some(chance) => format!(
                "Two sets of these sizes that differ by nothing but chance have a {title} of about {}: \
                 so large is it when the images of both sets are mixed and dealt out anew.",
                number(chance)
            ),
            None => {
                "The reference consists of moments: what chance does is not known, and nothing \
                     is called a cause that only chance could be compared with."
                    .to_owned()
            }
        });
    }

    fn add_directions(&self, page: &mut Page) -> Result<()> {
        let (title, found) = (&self.title, &self.directions);
        page.section("directions", "Directions: where in the features the distance lies");
        page.paragraph(&format!(
            "{title} is the sum of the parts of {} orthogonal directions, those of the optimal \
             transport from the reference to the generated set. None is negative.",
            found.features
        ));
        if found.rank < found.features {
            page.warning(&format!(
                "The reference varies in {} of {} dimensions only; in the others all variety of the \
                 generated images counts as too much.",
                found.rank, found.features
            ));
        }
        let row = |name: &str, part: f64| -> Vec<TableCell> {
            let share = if self.distance > 0.0 { part / self.distance } else { 0.0 };
            vec![name.into(), number(part).into(), percent(share).into()]
        };
        let mut rows = vec![
            row("the whole lies elsewhere", found.shift),
            row("too little variety", found.too_little),
            row("too much variety", found.too_much),
        ];
        if found.outside > 0.0 {
            rows.push(row("variety where the reference has none", found.outside));
        }
        page.table(&["kind of difference".into(), title.clone(), "share".into()], &rows);
        if let Some(chance) = &found.chance {
            let limit = number(chance.limit);
            page.paragraph(&format!(
                "A direction with up to {limit} may be chance: when the images of both sets are mixed and \
                 dealt out anew, the largest direction has more in one of a hundred cases. It has as much \
                 as the first one here with a probability of {:.3} at most.",
                chance.p_value
            ));
        }
        if self.members[0].album.has_pictures() {
            page.paragraph(&format!(
                "Each direction has two ends: the {END} pictures of each set that lie farthest there are shown."
            ));
        }
        let (shown, others): (Vec<_>, Vec<_>) = found
            .directions
            .iter()
            .enumerate()
            .partition(|(i, direction)| *i == 0 || direction.beyond_chance != Some(false));
        for (i, direction) in shown {
            self.add_direction(page, i + 1, direction)?;
        }
        if !others.is_empty() {
            let other = |(i, direction): &(usize, &DirectionFound)| {
                format!("direction {} ({})", i + 1, percent(direction.share))
            };
            let others: Vec<String> = others.iter().map(other).collect();
            page.paragraph(&format!("What may be chance is not shown: {}.", others.join(", ")));
        }
        Ok(())
    }

    fn add_direction(&self, page: &mut Page, rank: usize, found: &DirectionFound) -> Result<()> {
        page.subheading(&format!(
            "{rank}. {} of {}: {}",
            percent(found.share),
            self.title,
            found.variety()
        ));
        let chance = match found.beyond_chance {
            Some(true) => " This is more than chance.",
            Some(false) => " This may be chance.",
            None => "",
        };
        page.paragraph(&format!(
            "{} from the means, {} from the variety.{chance}",
            number(found.shift),
            number(found.spread)
        ));
        let [of_generated, of_reference] = &self.members;
        let mut cells = Vec::new();
        for (end, name) in found.ends.iter().zip(["low end", "high end"]) {
            let sides = [
                (of_generated, &end.generated, &end.generated_kind, "generated"),
                (of_reference, &end.reference, &end.reference_kind, "reference"),
            ];
            for (member, images, kind, side) in sides {
                if !images.is_empty() {
                    let few = &images[..images.len().min(END)];
                    let cell = strip(member, few, COLUMNS, format!("{name}, {side}"))?;
                    cells.push(cell.note(mostly(kind.as_ref())));
                }
            }
        }
        show(page, &cells)
    }

    fn add_modes(&self, page: &mut Page) -> Result<()> {
        page.section("modes", "Modes: kinds of pictures that are missing or too many");
        if self.modes.is_empty() {
            page.paragraph("Not known: the reference contains no features of single images.");
            return Ok(());
        }
        page.paragraph(
            "Kinds of pictures that are more frequent in one set, by two ways to compare features. An \
             excess of 5 % says that at least 5 % of all pictures of the set are of this kind and have no \
             counterpart in the other set.",
        );
        for report in &self.modes {
            self.add_kernel(page, report)?;
        }
        Ok(())
    }

    fn add_kernel(&self, page: &mut Page, report: &ModeReport) -> Result<()> {
        let (kernel, limit) = (report.kernel, percent(report.limit()));
        let [generated, reference] = &self.members;
        let sides = [
            ("Missing", "the reference", &report.missing, reference),
            ("Over-represented", "the generated set", &report.over_represented, generated),
        ];
        for (name, whose, modes, member) in sides {
            page.subheading(&format!("{name}, {kernel} kernel"));
            page.paragraph(&format!(
                "The pictures are of {whose}. An excess up to {limit} may be chance; the largest here has a \
                 probability of {:.3} at most.",
                report.chance.p_value
            ));
            if modes.is_empty() {
                page.paragraph("None.");
            }
            let cell = |mode: &ModeFound| -> Result<Cell> {
                let chance = if mode.beyond_chance { "" } else { ", may be chance" };
                let caption = format!("excess {}{chance}", percent(mode.excess));
                let cell = strip(member, &mode.images, COLUMNS, caption)?;
                Ok(cell.note(mostly(mode.kind.as_ref())))
            };
            show(page, &modes.iter().map(cell).collect::<Result<Vec<_>>>()?)?;
        }
        Ok(())
    }

    fn add_classes(&self, page: &mut Page) {
        page.section("classes", "Classes: how much is the mix of classes");
        match &self.classes {
            None => {
                page.paragraph("Not known: the features come without the classes of a classifier.");
            }
            Some(report) => self.add_histogram(page, report),
        }
        if self.labels.is_empty() {
            page.paragraph("No distance by class: the sets share no labels.");
            return;
        }
        page.subheading(&format!("{} by label", self.title));
        page.paragraph(
            "Gray: fewer images than features, so the distance is far too large; compare such \
             distances only with those of equally many images.",
        );
        let row = |found: &LabelDistance| -> Vec<TableCell> {
            let distance = found.distance.map_or("too few".to_owned(), |d| format!("{d:.4}"));
            let distance = if found.is_small || found.distance.is_none() {
                TableCell { detail: distance, ..TableCell::default() }
            } else {
                distance.into()
            };
            let count = |count: usize| TableCell::from(count.to_string());
            vec![
                found.label.as_str().into(),
                distance,
                count(found.generated),
                count(found.reference),
            ]
        };
        let head = ["label", &self.title, "generated", "reference"].map(str::to_owned);
        page.table(&head, &self.labels.iter().map(row).collect::<Vec<_>>());
    }

    fn add_histogram(&self, page: &mut Page, report: &ClassReport) {
        let title = &self.title;
        let unlike: Vec<&str> = report.unlike().iter().map(|class| class.title.as_str()).collect();
        let verdict = match unlike.len() {
            0 => "No class differs by more than chance.".to_owned(),
            1..=5 => format!("By more than chance: {}.", unlike.join(", ")),
            n => format!("By more than chance: {n} classes, bold below."),
        };
        page.paragraph(&format!(
            "By the extractor's own classifier, {} of the generated images would have to be of another \
             class for both sets to have the same mix. {verdict}",
            percent(report.difference)
        ));
        let weighted = |whose: &str, other: &str, distance: f64| {
            format!(
                "With images of the {whose} weighted so that classes are as frequent as in the \
                 {other}, {title} is {} instead of {}.",
                number(distance),
                number(self.distance)
            )
        };
        let distance = report.distance_at_reference_histogram;
        page.paragraph(&weighted("generated set", "reference", distance));
        if report.lost > 0.0 {
            page.warning(&format!(
                "No generated image is of classes that are {} of the reference: weights cannot \
                 bring them back.",
                percent(report.lost)
            ));
        }
        if let Some(distance) = report.distance_at_generated_histogram {
            page.paragraph(&weighted("reference", "generated set", distance));
        }
        page.paragraph(&format!(
            "So {} of {title} is the mix of classes.",
            percent(report.part.max(0.0))
        ));
        let mut classes: Vec<_> = report.histogram.iter().collect();
        let size = |class: &super::classes::ClassCount| class.deviations.map_or(0.0, f64::abs);
        classes.sort_by(|a, b| size(b).total_cmp(&size(a)));
        let shown = classes.len().min(CLASSES);
        if shown < classes.len() {
            page.paragraph(&format!("The {shown} of {} that differ most:", classes.len()));
        }
        let row = |class: &&super::classes::ClassCount| -> Vec<TableCell> {
            let cell = |text: String| {
                if class.deviations.is_some() {
                    TableCell { is_best: class.differs(), ..text.into() }
                } else {
                    TableCell { detail: text, ..TableCell::default() }
                }
            };
            let deviations = class.deviations.map_or("too few".to_owned(), |z| format!("{z:+.1}"));
            vec![
                class.title.as_str().into(),
                cell(percent(class.shares[0])),
                cell(percent(class.shares[1])),
                cell(deviations),
            ]
        };
        let head = ["class", "generated", "reference", "deviations"].map(str::to_owned);
        page.table(&head, &classes[..shown].iter().map(row).collect::<Vec<_>>());
    }

    /// Writes `report.html`, `report.json` and `contributions.csv` into `folder`.
    ///
    /// # Errors
    /// If a file cannot be written, or an image cannot be read any more.
    pub fn write(&self, folder: &Path) -> Result<()> {
        make_folder(folder)?;
        write_text(&folder.join("contributions.csv"), &self.images.csv())?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        write_text(&folder.join("report.json"), &json)?;
        write_text(&folder.join("report.html"), &self.page()?.html())
    }
}
