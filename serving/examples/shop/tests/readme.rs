//! Every block that the README of `serving` shows of the shop stands in its files, word for word.

#[test]
fn the_readme_shows_the_shop_as_it_is() {
    let section = include_str!("../../../README.md").split("\n## ");
    let mut section = section.filter(|section| section.starts_with("Your service on serving"));
    let section = section.next().expect("the README has it");
    let files = [
        include_str!("../src/lib.rs"),
        include_str!("../src/main.rs"),
        include_str!("../src/grpc.rs"),
        include_str!("../src/rest.rs"),
        include_str!("../src/store.rs"),
        include_str!("../proto/shop/v1/shop.proto"),
        include_str!("../build.rs"),
    ];
    let mut shown = 0;
    for kind in ["```rust\n", "```proto\n"] {
        for block in section.split(kind).skip(1) {
            let block = block.split("```").next().expect("a block ends");
            let is_there = files.iter().any(|file| file.contains(block));
            assert!(is_there, "no file of the shop has:\n{block}");
            shown += 1;
        }
    }
    assert!(shown >= 5, "only {shown} blocks were found");
}
