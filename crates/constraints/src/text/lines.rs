//! Lines, their markers, and paragraphs.

use super::words::has_word;

/// Paragraphs that have a word: what stands between blank lines.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in text.lines() {
        match found.last_mut() {
            Some(open) if !line.trim().is_empty() => {
                if !open.is_empty() {
                    open.push('\n');
                }
                open.push_str(line);
            }
            _ => found.push(String::new()),
        }
    }
    found.retain(|paragraph| has_word(paragraph));
    found
}

/// True of a line that is an item of a list, with a word.
pub(crate) fn is_bullet(line: &str) -> bool {
    let line = line.trim_start();
    let item = ["- ", "* ", "• "].iter().find_map(|marker| line.strip_prefix(marker));
    item.is_some_and(has_word)
}

/// The number that a line of a numbered list begins with, if a word follows.
pub(crate) fn number_of(line: &str) -> Option<usize> {
    let (number, rest) = numbered(line.trim_start())?;
    has_word(rest).then_some(number)
}

fn numbered(line: &str) -> Option<(usize, &str)> {
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let rest = line[end..].strip_prefix(['.', ')'])?;
    let number = line[..end].parse().ok()?;
    rest.starts_with(' ').then(|| (number, rest.trim_start()))
}

/// A trimmed line without the marker of a list, a heading or a quotation.
pub(crate) fn without_marker(line: &str) -> &str {
    if let Some((_, rest)) = numbered(line) {
        return rest;
    }
    let rest = line.trim_start_matches('#');
    if rest.len() < line.len() && rest.starts_with(' ') {
        return rest.trim_start();
    }
    let markers = ["- ", "* ", "• ", "> "];
    let rest = markers.iter().find_map(|marker| line.strip_prefix(marker));
    rest.map_or(line, str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_stand_between_blank_lines() {
        assert_eq!(paragraphs("a\nb\n\n\n c\n \t\nd"), ["a\nb", " c", "d"]);
        assert_eq!(paragraphs("a\n\n***\n\nb").len(), 2);
    }

    #[test]
    fn markers_are_told_from_text() {
        for (line, marked) in [
            ("- a", true),
            ("* a", true),
            ("**a** b", false),
            ("-a", false),
            ("- ", false),
        ] {
            assert_eq!(is_bullet(line), marked, "{line}");
        }
        for (line, number) in [
            ("2. a", Some(2)),
            ("10) a", Some(10)),
            ("2.5 a", None),
            ("2.", None),
            ("a 2. b", None),
        ] {
            assert_eq!(number_of(line), number, "{line}");
        }
        for (line, text) in [
            ("## A b", "A b"),
            ("#tag", "#tag"),
            ("3. a", "a"),
            ("> a", "a"),
            ("a", "a"),
        ] {
            assert_eq!(without_marker(line), text, "{line}");
        }
    }
}
