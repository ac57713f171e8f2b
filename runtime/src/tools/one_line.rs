//! Names that come from files (labels, pictures) as text that stays on its line.

use std::borrow::Cow;

/// `text` with what would break a line, move a cursor or turn the reading direction written out: a newline as
/// `\n`, an escape as `\u{1b}`.
///
/// Labels are kept as the checkpoint has them, and JSON has its own escapes; this is for lines, tables and
/// pictures.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(disturbs) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match disturbs(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// Control characters, Unicode's line and paragraph separators, and the marks of reading direction.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::one_line;
    use std::borrow::Cow;

    #[test]
    fn an_ordinary_label_is_itself() {
        for label in ["T-shirt/top", "na\u{ef}ve \u{4f60}\u{597d}", "C:\\new", ""] {
            assert!(matches!(one_line(label), Cow::Borrowed(same) if same == label));
        }
    }

    #[test]
    fn what_breaks_a_line_is_written_out() {
        assert_eq!(one_line("tabby\ncat\r\t"), "tabby\\ncat\\r\\t");
        assert_eq!(one_line("\u{1b}[31mred"), "\\u{1b}[31mred");
        for c in [
            '\u{85}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{0}',
        ] {
            let line = one_line(&format!("a{c}b")).into_owned();
            assert!(line.is_ascii() && line.starts_with("a\\u{"), "{line}");
        }
    }
}
