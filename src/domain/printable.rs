//! Makes names and lines from outside safe to show: no control characters, no bidirectional marks, bounded length.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::borrow::Cow;
use std::path::Path;

/// Maximum length of a name or line quoted in a message, in characters.
const NAME_CHARS: usize = 200;

/// Maximum line length of a whole message, in characters.
const LINE_CHARS: usize = 4000;

/// Prepares a name, word or line from a file for a message: escapes control characters, line ends and bidirectional marks, and truncates
/// long text with a note of its length.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(cut(text, NAME_CHARS), |_| false)
}

/// [`printable`] for a path, without truncation.
pub fn printable_path(path: &Path) -> String {
    escaped(path.to_string_lossy(), |_| false).into_owned()
}

/// [`printable`] for a one-line message, truncated only if extremely long.
pub fn printable_line(text: &str) -> Cow<'_, str> {
    escaped(cut(text, LINE_CHARS), |_| false)
}

/// [`printable`] for a whole message: keeps line breaks and truncates only extremely long lines.
pub fn printable_message(text: &str) -> Cow<'_, str> {
    let kept = if text.lines().any(|line| line.len() > LINE_CHARS) {
        Cow::Owned(text.lines().map(|line| cut(line, LINE_CHARS)).collect::<Vec<_>>().join("\n"))
    } else {
        Cow::Borrowed(text)
    };
    escaped(kept, |c| matches!(c, '\n' | '\t'))
}

/// Escapes the same characters in JSON with JSON escapes, so that the value is unchanged.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(|c| is_unsafe(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let escape = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if is_unsafe(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    Cow::Owned(json.chars().map(escape).collect())
}

/// Prepares text for a cell of a table: an apostrophe before what a spreadsheet would take for a formula, and control characters escaped,
/// which would reach the terminal when the table is printed. Line breaks and tabs stay.
pub fn cell_text(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    let is_escaped = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(is_escaped) { escaped(text, |c| !is_escaped(c)).into_owned().into() } else { text }
}

/// Formats text as a CSV field: [`cell_text`], quoted if necessary.
pub fn csv_text(text: &str) -> String {
    let text = cell_text(text);
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into_owned() }
}

/// Returns why `name` cannot be stored on a line of its own in a list and read back unchanged; `None` if it can.
pub fn list_problem(name: &str) -> Option<&'static str> {
    if name.contains(['\n', '\r']) {
        return Some("it has a line break in it");
    }
    if name.is_empty() {
        return Some("it is empty");
    }
    (name.trim() != name || name.starts_with('\u{feff}')).then_some("it begins or ends with a space")
}

fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        Some((end, _)) => Cow::Owned(format!("{}… ({} bytes in all)", text.get(..end).unwrap_or(""), text.len())),
        None => Cow::Borrowed(text),
    }
}

fn escaped(text: Cow<'_, str>, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_unsafe(c) && !is_kept(c);
    if !text.contains(is_escaped) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether a character changes a terminal's state or the reading order: control characters, line and paragraph separators, bidirectional
/// marks and overrides.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_text_direction_are_escaped() {
        for (text, expected) in [
            ("Grüße/a b.jpg", "Grüße/a b.jpg"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("gpj.\u{202e}exe\u{2066}", "gpj.\\u{202e}exe\\u{2066}"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(printable_message("a\n\tb\u{1b}c"), "a\n\tb\\u{1b}c");
        let json = serde_json::to_string_pretty(&["a\u{9b}\u{202e}\u{1b}"]).unwrap();
        assert!(printable_json(&json).chars().all(|c| c == '\n' || !is_unsafe(c)));
        assert_eq!(serde_json::from_str::<Vec<String>>(&printable_json(&json)).unwrap(), ["a\u{9b}\u{202e}\u{1b}"]);
    }

    #[test]
    fn what_is_long_is_cut_with_its_length() {
        let long = "é".repeat(1_000_000);
        let short = printable(&long);
        assert!(short.chars().count() < 250 && short.ends_with("… (2000000 bytes in all)"), "{short}");
        assert!(printable_message(&format!("a\n{long}\nb")).len() < 2 * LINE_CHARS + 100);
        assert_eq!(printable(&"x".repeat(NAME_CHARS)), "x".repeat(NAME_CHARS));
    }

    #[test]
    fn no_field_of_a_table_is_a_formula() {
        for (text, expected) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=1+2", "'=1+2"),
            ("@x", "'@x"),
            ("-1", "'-1"),
            ("+1", "'+1"),
            ("\t1", "'\t1"),
            ("\r1", "\"'\r1\""),
            ("a\nb", "\"a\nb\""),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("=\u{9b}31m,", "\"'=\\u{9b}31m,\""),
            ("\u{202e}a", "\u{202e}a"),
        ] {
            assert_eq!(csv_text(text), expected);
        }
    }

    #[test]
    fn names_that_a_list_cannot_hold_are_told() {
        for (name, holds) in [("a b", true), ("a\nb", false), ("a\r", false), (" a", false), ("", false)] {
            assert_eq!(list_problem(name).is_none(), holds, "{name:?}");
        }
    }
}
