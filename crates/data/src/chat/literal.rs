//! String literals: Jinja reads their escapes as Python does, minijinja as JSON does.

/// The content of a literal that says in minijinja what `content` says in Jinja; nothing if it is the same.
///
/// Escapes that both know stay. What Python alone knows becomes the character it means: octal numbers, `\a`, `\v`, `\U` and
/// a backslash before a line break, which stands for nothing. A backslash before any other character is itself.
pub(super) fn translate(content: &str) -> Option<String> {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (length, meant) = meaning(escape);
        match meant {
            Meaning::Same => out.push_str(&rest[at..at + 1 + length]),
            Meaning::Nothing => {}
            Meaning::Backslash => out.push_str("\\\\"),
            Meaning::Character(c) => {
                if matches!(c, '\'' | '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        rest = &escape[length..];
    }
    out.push_str(rest);
    (out != content).then_some(out)
}

enum Meaning {
    /// Both read the escape alike.
    Same,
    Nothing,
    Character(char),
    /// The escape is none.
    Backslash,
}

/// The length of an escape after its backslash, and its meaning.
fn meaning(escape: &str) -> (usize, Meaning) {
    let Some(first) = escape.chars().next() else {
        return (0, Meaning::Same);
    };
    match first {
        '\n' => (1, Meaning::Nothing),
        'a' => (1, Meaning::Character('\u{7}')),
        'v' => (1, Meaning::Character('\u{b}')),
        'n' | 't' | 'r' | 'b' | 'f' | '\\' | '\'' | '"' => (1, Meaning::Same),
        'x' | 'u' => (1, Meaning::Same),
        'U' => match number(escape.get(1..9), 16) {
            Some(c) => (9, Meaning::Character(c)),
            None => (0, Meaning::Backslash),
        },
        '0'..='7' => {
            let is_octal = |c: &char| c.is_digit(8);
            let length = escape.chars().take(3).take_while(is_octal).count();
            match number(escape.get(..length), 8) {
                Some(c) => (length, Meaning::Character(c)),
                None => (0, Meaning::Backslash),
            }
        }
        _ => (0, Meaning::Backslash),
    }
}

fn number(digits: Option<&str>, radix: u32) -> Option<char> {
    char::from_u32(u32::from_str_radix(digits?, radix).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_say_what_python_reads() {
        for (content, expected) in [
            (r"a\nb\t\'\\d", r"a\nb\t\'\\d"),
            (r"\d\s+\/", r"\\d\\s+\\/"),
            ("a\\\nb", "ab"),
            (r"\101\47\0", "A\\'\0"),
            (r"\U0001f600\U00zz", r"😀\\U00zz"),
            (r"\a\v", "\u{7}\u{b}"),
            (r"é\é", r"é\\é"),
            (r"\x41\u00e9", r"\x41\u00e9"),
        ] {
            assert_eq!(
                translate(content).as_deref().unwrap_or(content),
                expected,
                "{content:?}"
            );
        }
        assert_eq!(translate("nothing to do"), None);
    }
}
