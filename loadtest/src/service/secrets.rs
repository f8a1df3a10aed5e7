//! Values that no file and no terminal may show, and text of strangers made fit to be shown.

/// Shown in the place of a secret.
pub const MASK: &str = "***";

/// The shortest text that is masked wherever it turns up: shorter ones are parts of common words.
const SHORTEST: usize = 4;

/// Characters of a service's text that are shown: enough for its message, too few for a page of HTML.
const SHOWN: usize = 300;

/// Options whose value is a header.
const HEADER_OPTIONS: [&str; 3] = ["--header", "--rest-header", "--grpc-header"];

/// The values of headers. It prints as nothing.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Secrets {
    /// Keeps `value`, and each of its words: a service may answer with the token alone.
    pub fn keep(&mut self, value: &str) {
        let words = value
            .split(|c: char| c.is_whitespace() || ",;=\"".contains(c))
            .chain([value]);
        let long = words.filter(|word| word.chars().count() >= SHORTEST && !is_common(word));
        self.0.extend(long.map(str::to_owned));
        // The longest first: a whole value, and not the words inside of it.
        self.0
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// `text` without secrets.
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        text
    }

    /// `text` of a service on one line: without secrets and control characters, and not long.
    pub fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        for (count, c) in self.mask(text.trim()).chars().enumerate() {
            if count == SHOWN {
                shown.push('…');
                break;
            }
            match c {
                c if c.is_control() || is_invisible(c) => shown.extend(c.escape_default()),
                c => shown.push(c),
            }
        }
        shown
    }
}

/// Words of headers that are no secret, and that would tear holes into any message.
fn is_common(word: &str) -> bool {
    const COMMON: [&str; 7] = [
        "bearer",
        "basic",
        "digest",
        "application/json",
        "true",
        "false",
        "gzip",
    ];
    COMMON.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// Characters that reorder or hide text on a terminal.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Words of a command line without the values of headers.
pub fn masked(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut is_header = false;
    let mask = |word: String| {
        if std::mem::take(&mut is_header) {
            return masked_header(&word);
        }
        if HEADER_OPTIONS.contains(&word.as_str()) {
            is_header = true;
            return word;
        }
        match word.split_once('=') {
            Some((option, header)) if HEADER_OPTIONS.contains(&option) => {
                format!("{option}={}", masked_header(header))
            }
            _ => word,
        }
    };
    words.into_iter().map(mask).collect()
}

/// `name: ***`.
fn masked_header(header: &str) -> String {
    match header.split_once(':') {
        Some((name, _)) => format!("{name}: {MASK}"),
        None => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_whole_and_in_its_words() {
        let mut secrets = Secrets::default();
        secrets.keep("Bearer s3cret-token");
        assert_eq!(secrets.mask("Bearer s3cret-token is bad"), "*** is bad");
        assert_eq!(secrets.mask("no user for s3cret-token"), "no user for ***");
        assert_eq!(secrets.mask("use Bearer"), "use Bearer");
        assert_eq!(format!("{secrets:?}"), "***");
    }

    #[test]
    fn what_a_service_says_is_escaped_and_cut() {
        let secrets = Secrets::default();
        let shown = secrets.shown("\u{1b}[31mred\u{202e}\nnext");
        assert_eq!(shown, "\\u{1b}[31mred\\u{202e}\\nnext");
        assert!(secrets.shown(&"x".repeat(10_000)).chars().count() < 400);
    }

    #[test]
    fn a_command_line_has_no_values_of_headers() {
        let words = [
            "--header",
            "authorization: Bearer abc",
            "--grpc-header=x-key: abc",
            "--rest-header",
            "abc",
            "--data",
            "orders.jsonl",
        ];
        let masked = masked(words.map(str::to_owned));
        assert_eq!(
            masked,
            [
                "--header",
                "authorization: ***",
                "--grpc-header=x-key: ***",
                "--rest-header",
                "***",
                "--data",
                "orders.jsonl"
            ]
        );
    }
}
