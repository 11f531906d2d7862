//! Lists, a curve and heat maps of what each image adds to a score.

use ganscope_explain::heat::Palette;

use super::Contributions;
use crate::error::Result;
use crate::explain::distance::PixelMaps;
use crate::explain::figures::{end, over};
use crate::figures::page::{Page, TableCell};
use crate::figures::{Cell, Curve, Point, Row, Sheet, number, thumbnail};

/// Pictures of lists have about so many pixels a side.
const SIDE: usize = 128;
/// Pictures with heat maps have at least so many pixels a side.
const LARGE: usize = 224;
/// Images beyond which a curve shows only some of those in the middle.
const POINTS: usize = 200;
/// Rows of the table on the page.
const ROWS: usize = 1000;

/// Images in an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Gallery {
    /// Heading.
    pub title: String,
    /// What it shows.
    pub about: &'static str,
    /// The images, the first ones of the order.
    pub cells: Vec<Cell>,
}

/// What an image does to a score: `raises it by 0.0123`.
fn change(value: f64) -> String {
    let verb = if value < 0.0 { "lowers" } else { "raises" };
    format!("{verb} it by {}", number(value.abs()))
}

impl Contributions {
    fn gallery(
        &self,
        title: String,
        about: &'static str,
        order: impl Iterator<Item = usize>,
        note: impl Fn(usize) -> String,
    ) -> Result<Gallery> {
        let cell = |(rank, i): (usize, usize)| {
            let caption = format!("{}. {}", rank + 1, self.images[i].name);
            let picture = self.image(i)?.map(|image| thumbnail(&image, SIDE));
            let cell = picture.map_or_else(Cell::empty, Cell::new);
            Ok(cell.caption(caption).note(note(i)))
        };
        // As many as are listed, also where fewer can be left out.
        let cells = order.take(self.listed).enumerate().map(cell).collect::<Result<_>>()?;
        Ok(Gallery { title, about, cells })
    }

    /// The worst and the best images by each score.
    ///
    /// # Errors
    /// If an image cannot be read any more.
    pub fn galleries(&self) -> Result<Vec<Gallery>> {
        let title = &self.title;
        let worst = self.worst();
        let distance = |i: usize| change(self.images[i].distance);
        let mut galleries = vec![
            self.gallery(
                format!("The images that raise {title} most"),
                "Without any one of them the set would lie nearer to the reference.",
                worst.iter().copied(),
                distance,
            )?,
            self.gallery(
                format!("The images that lower {title} most"),
                "Without them the set would lie farther from the reference.",
                worst.iter().rev().copied(),
                distance,
            )?,
        ];
        if let Some(order) = self.worst_by_score() {
            let note = |i: usize| change(self.images[i].inception_score.unwrap_or_default());
            galleries.push(self.gallery(
                format!("The images that lower {} most", self.inception_score_title),
                "The classifier is unsure about them, or sure of a class that is frequent.",
                order.into_iter(),
                note,
            )?);
        }
        if let Some(order) = self.least_realistic() {
            let note = |i: usize| {
                format!("realism {}", number(self.images[i].realism.unwrap_or_default()))
            };
            galleries.push(self.gallery(
                "The least realistic images".into(),
                "Realism compares the distance to reference images with their distances to each \
                 other; at least 1 is inside the reference manifold.",
                order.into_iter(),
                note,
            )?);
        }
        if let Some(order) = self.rarest() {
            let note =
                |i: usize| format!("rarity {}", number(self.images[i].rarity.unwrap_or_default()));
            galleries.push(self.gallery(
                "The rarest images inside the reference manifold".into(),
                "Where real images are few: neither wrong nor copied.",
                order.into_iter(),
                note,
            )?);
        }
        Ok(galleries)
    }

    /// The worst images with their heat maps; none if there are no maps.
    ///
    /// # Errors
    /// If a map does not fit its image.
    pub fn heat_sheet(&self) -> Result<Option<Sheet>> {
        if self.maps.is_empty() {
            return Ok(None);
        }
        let row = |(rank, (i, maps)): (usize, &(usize, PixelMaps))| -> Result<Row> {
            let image = &self.images[*i];
            let times = (LARGE / maps.picture.width.max(1)).max(1);
            let picture = Cell::new(maps.picture.enlarged(times));
            let caption = format!("{}. {}", rank + 1, image.name);
            let mut cells = vec![picture.caption(caption).note(change(image.distance))];
            for (name, map, palette) in [
                ("Grad-CAM", &maps.grad_cam, Palette::Signed),
                ("relevance", &maps.relevance, Palette::Signed),
                ("gradient", &maps.gradient, Palette::Positive),
            ] {
                let end = end(map);
                let heat = over(&maps.picture, map, palette, end)?;
                cells.push(Cell::new(heat).caption(name).scale(palette, end));
            }
            Ok(Row { cells, ..Row::default() })
        };
        let rows = self.maps.iter().enumerate().map(row).collect::<Result<_>>()?;
        let legend = format!(
            "Red raises {}, blue lowers it, to first order. The gradient shows which pixels would \
             change it, from violet, none, to yellow, most. Each map has its own scale.",
            self.title
        );
        Ok(Some(Sheet { legend, rows, columns: 4, ..Sheet::default() }))
    }

    /// Positions in the order of ranks that the curve shows: all, or both ends and every `k`-th
    /// between them, and `k`.
    fn shown(&self) -> (Vec<usize>, usize) {
        let count = self.images.len();
        let step = count.div_ceil(POINTS).max(1);
        let ends = POINTS / 8;
        let is_shown =
            |rank: &usize| *rank < ends || rank + ends >= count || rank.is_multiple_of(step);
        ((0..count).filter(is_shown).collect(), step)
    }

    /// What each image adds to the distance, over its rank.
    pub fn curve(&self) -> Curve {
        let order = self.worst();
        let point = |rank: usize| Point {
            x: (rank + 1) as f64,
            y: self.images[order[rank]].distance,
            ..Point::default()
        };
        Curve {
            title: "What each image adds, the worst first".into(),
            x: "rank".into(),
            y: format!("contribution to {}", self.title),
            points: self.shown().0.into_iter().map(point).collect(),
        }
    }

    /// Adds the numbers, the curve and the lists to a page.
    pub(in super::super) fn add_to(&self, page: &mut Page) -> Result<()> {
        let title = &self.title;
        let count = self.images.len();
        let mut scores: Vec<Vec<TableCell>> = vec![
            vec![title.as_str().into(), format!("{:.4}", self.distance).into()],
            vec![
                format!("{title} without the {} worst images", self.top).into(),
                format!("{:.4}", self.without_worst).into(),
            ],
        ];
        if let Some(score) = self.inception_score {
            let name = format!("{} of all images at once", self.inception_score_title);
            scores.push(vec![name.into(), format!("{score:.4}").into()]);
        }
        page.table(&[], &scores);
        page.paragraph(
            "The contribution of an image is the score of the whole set minus that of the set \
             without the image. A smaller set has a larger distance by chance alone, which lowers \
             every contribution to it a little. Contributions do not add up: leaving out many images \
             changes the shape of the set, and can raise the distance though each alone lowers it.",
        );
        page.curves(&[&self.curve()])?;
        let (shown, step) = self.shown();
        if step > 1 {
            page.paragraph(&format!(
                "The curve shows {} of {count} images: both ends, and one of {step} between them.",
                shown.len()
            ));
        }
        if self.album.has_pictures() {
            for gallery in self.galleries()? {
                page.subheading(&gallery.title).paragraph(gallery.about).gallery(&gallery.cells)?;
            }
        }
        Ok(())
    }

    /// Adds the table of images, the worst first.
    pub(in super::super) fn add_table(&self, page: &mut Page) {
        let count = self.images.len();
        page.heading("All images");
        let rest = if count > ROWS {
            format!("The {ROWS} worst of {count}; ")
        } else {
            "The worst first; ".to_owned()
        };
        page.paragraph(&format!("{rest}contributions.csv has all of them in full precision."));
        let mut head = vec!["image".to_owned(), "rank".to_owned(), self.title.clone()];
        let first = self.images.first();
        if first.is_some_and(|image| image.inception_score.is_some()) {
            head.push(self.inception_score_title.clone());
        }
        if first.is_some_and(|image| image.realism.is_some()) {
            head.extend(["realism", "rarity"].map(str::to_owned));
        }
        let row = |(rank, i): (usize, usize)| -> Vec<TableCell> {
            let image = &self.images[i];
            let distance = format!("{:+.6}", image.distance).into();
            let mut row = vec![image.name.as_str().into(), (rank + 1).to_string().into(), distance];
            row.extend(image.inception_score.map(|value| format!("{value:+.6}").into()));
            let neighbors = [image.realism, image.rarity].into_iter().flatten();
            row.extend(neighbors.map(|value| format!("{value:.4}").into()));
            row
        };
        let rows: Vec<_> = self.worst().into_iter().take(ROWS).enumerate().map(row).collect();
        page.table(&head, &rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_without_double_negatives() {
        assert_eq!(change(-0.0075), "lowers it by 0.0075");
        assert_eq!(change(0.5), "raises it by 0.5");
    }

    #[test]
    fn a_page_has_titles_and_every_image_of_a_small_set() {
        let mut found = super::super::tests::contributions();
        found.title = "FD (x)".into();
        found.inception_score_title = "Inception Score (x)".into();
        let mut page = Page::new("x");
        found.add_to(&mut page).unwrap();
        found.add_table(&mut page);
        let html = page.html();
        for text in [
            "FD (x) without the 6 worst",
            "Inception Score (x) of all images at once",
            "lower Inception Score (x) most",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert_eq!(html.matches("<circle").count(), 60);
        // Five lists of six, and the table.
        assert_eq!(html.matches("<figcaption>").count(), 30);
        assert_eq!(html.matches("<tr>").count(), 3 + 1 + 60);
        assert!(!html.contains("adds -") && !html.contains("src=\"http"));
    }
}
