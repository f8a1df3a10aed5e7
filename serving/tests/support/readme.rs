//! The commands that a README shows. The test files of other crates include it by path, as they do with
//! `program.rs`.

/// A command, and what it prints there.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) command: String,
    /// The lines after it, until the next command or the end of the block. None if it stands in a block
    /// that shows commands alone.
    #[allow(dead_code, reason = "some tests read the commands alone")]
    pub(crate) printed: Vec<String>,
}

/// The commands of the ```` ```console ```` and ```` ```sh ```` blocks of `text`, in their order. A command
/// that goes on after a backslash is one line.
pub(crate) fn commands(text: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut block = "";
    let mut goes_on = false;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            // The end of a block has no kind.
            block = kind;
            goes_on = false;
            continue;
        }
        let command = match block {
            "sh" => Some(line),
            "console" => line.strip_prefix("$ "),
            _ => continue,
        };
        match (command, shown.last_mut()) {
            (Some(part), Some(last)) if goes_on => last.command.push_str(part.trim_start()),
            (Some(command), _) if !command.is_empty() => shown.push(Shown {
                command: command.to_owned(),
                printed: Vec::new(),
            }),
            (None, Some(last)) => last.printed.push(line.to_owned()),
            _ => {}
        }
        goes_on = false;
        if let Some(last) = shown.last_mut()
            && command.is_some()
            && last.command.ends_with('\\')
        {
            last.command.pop();
            goes_on = true;
        }
    }
    shown
}

/// The words of a command, as a shell takes them: quotes are taken off, and a comment is left out.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The rest of `command` after `prefix`, word for word; none if it begins otherwise.
#[allow(dead_code, reason = "some tests know no prefix")]
pub(crate) fn after(prefix: &str, command: &str) -> Option<Vec<String>> {
    let (prefix, all) = (words(prefix), words(command));
    let rest = all.strip_prefix(&prefix[..])?;
    let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
    Some(rest.to_vec())
}
