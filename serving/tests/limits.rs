//! The limits that the README shows are the limits that hold.

use serving::limits::Limits;

#[test]
fn the_readme_shows_every_limit_with_its_value_and_reason() {
    let readme = include_str!("../README.md");
    for (name, value, reason) in Limits::default().table() {
        let row = format!("| {name} | {value} | {reason} |");
        assert!(readme.contains(&row), "the README lacks this row:\n{row}");
    }
}
