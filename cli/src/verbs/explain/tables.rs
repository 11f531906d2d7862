//! Tables of what maps say in numbers, with the meaning of their columns.

use ganscope::explain::Explained;

use crate::table::Table;

/// What the columns mean.
pub(super) const KEY: &str = "\
sum, positive, negative: of the map's values; not comparable between methods
lost: share of the answer that did not reach the pixels; the gap of Shapley values
noise: standard errors as a share of the map
R²: share of the answer's variance that the parts of LIME explain";
/// What the columns of the measures mean.
pub(super) const MEASURES: &str = "\
positive: share of positive values
change: of the map by that of the image; lower is steadier
deletion, ROAD: lower is better; a good map is below random order, and in ROAD
below elsewhere, which is the same map moved
insertion: higher is better";

/// One line per method: sums, then measures.
pub(super) fn print(found: &Explained) -> String {
    let report = &found.report;
    let number = |value: f64| format!("{value:.4}");
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    let mut table = Table::new();
    table.row(["method", "sum", "positive", "negative", "lost", "R²", "noise"]);
    for map in &report.maps {
        let sums = [map.sum, map.positive, map.negative].map(number);
        let lost = map.conservation_error.map_or(String::new(), share);
        let r_squared = map.r_squared.map_or(String::new(), |r| format!("{r:.2}"));
        let noise = map.noise.map_or(String::new(), |noise| format!("{:.0} %", 100.0 * noise));
        table.row([map.method.to_owned()].into_iter().chain(sums).chain([lost, r_squared, noise]));
    }
    let mut text = format!("{}: {}\n", report.image, found.heading()) + &table.right(1..7).print();
    if report.maps.iter().any(|map| map.randomization.is_some()) {
        text += &forgetting(found);
    }
    if let Some(random) = &report.random_order {
        let mut table = Table::new();
        table.row(["method", "positive", "change", "deletion", "insertion", "ROAD", "elsewhere"]);
        for map in &report.maps {
            let Some(m) = map.measures else { continue };
            let effects = [m.deletion, m.insertion, m.road, m.road_elsewhere];
            let values = [m.positivity, m.continuity].into_iter().chain(effects).map(number);
            table.row(std::iter::once(map.method.to_owned()).chain(values));
        }
        let values = [random.deletion, random.insertion, random.road].map(number);
        table.row(["random order", "", ""].map(str::to_owned).into_iter().chain(values));
        text += &table.right(1..7).print();
    }
    text
}

/// How alike maps stay when the highest layer, half of the layers and all have forgotten.
fn forgetting(found: &Explained) -> String {
    let mut table = Table::new();
    table.row(["likeness with random layers", "the highest", "half", "all"]);
    for map in &found.report.maps {
        let Some(curve) = &map.randomization else { continue };
        let last = curve.len() - 1;
        let at = |i: usize| format!("{:.2}", curve[i].likeness);
        table.row([map.method.to_owned(), at(last.min(1)), at(last / 2), at(last)]);
    }
    table.right(1..4).print()
}
