//! Charts, drawn as SVG. Each fits a phone and a desktop.

pub(super) mod axis;
pub(super) mod distribution;
pub(super) mod rows;

/// A place between 0 and 1 in percent.
fn percent(place: f64) -> String {
    format!("{:.2}%", place * 100.0)
}
