//! Rust source as words: identifiers, `::` and single signs. Comments, strings and characters are left out.

/// The words of a source file. A raw identifier is its name; of a lifetime or a character nothing is left.
pub(crate) fn words(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let mut words = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        if c == '/' && at(i + 1) == '/' {
            while i < text.len() && text[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_comment(&text, i);
        } else if let Some(end) = after_raw_string(&text, i) {
            words.push("\"\"".to_owned());
            i = end;
        } else if c == '"' || (matches!(c, 'b' | 'c') && at(i + 1) == '"') {
            i += if c == '"' { 1 } else { 2 };
            let start = i;
            while i < text.len() && text[i] != '"' {
                i += if text[i] == '\\' { 2 } else { 1 };
            }
            // What a string says matters for `#[path = "..."]`.
            let said: String = text[start..i.min(text.len())].iter().collect();
            words.push(format!("\"{said}\""));
            i += 1;
        } else if c == '\'' {
            i = after_quote(&text, i);
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = text[start..i].iter().collect();
            if word == "r" && at(i) == '#' {
                i += 1;
            } else {
                words.push(word);
            }
        } else if c == ':' && at(i + 1) == ':' {
            words.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
            i += 1;
        }
    }
    words
}

/// Comments of this kind nest.
fn after_comment(text: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < text.len() {
        match (text[i], text.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// Where a raw string that begins here ends.
fn after_raw_string(text: &[char], start: usize) -> Option<usize> {
    let inside = start > 0 && (text[start - 1].is_alphanumeric() || text[start - 1] == '_');
    let mut i = start + usize::from(matches!(text[start], 'b' | 'c'));
    if inside || text.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = text[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if text.get(i) != Some(&'"') {
        return None;
    }
    i += 1;
    while i < text.len() {
        let closing = text[i + 1..].iter().take_while(|c| **c == '#').count();
        if text[i] == '"' && closing >= hashes {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(i)
}

/// Past a character, or the quote and the name of a lifetime.
fn after_quote(text: &[char], i: usize) -> usize {
    match (text.get(i + 1), text.get(i + 2)) {
        (Some('\\'), _) => {
            let mut end = i + 3;
            while end < text.len() && text[end] != '\'' {
                end += 1;
            }
            end + 1
        }
        (Some(_), Some('\'')) => i + 3,
        _ => {
            let name = &text[i + 1..];
            i + 1
                + name
                    .iter()
                    .take_while(|c| c.is_alphanumeric() || **c == '_')
                    .count()
        }
    }
}
