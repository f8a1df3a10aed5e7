//! What a run leaves behind for people to read.
#![allow(missing_docs)]
pub mod page {
    pub fn render(_: &crate::result::Run) -> String {
        String::new()
    }
}
pub mod goose {
    pub fn offline(html: &str) -> anyhow::Result<String> {
        Ok(html.to_owned())
    }
    pub const ECHARTS: &[u8] = b"";
    pub const ECHARTS_FILE: &str = "echarts.min.js";
}
