//! Templates are rewritten where minijinja reads otherwise than Jinja: `{% generation %}` blocks, which transformers adds
//! and minijinja does not know, and the escapes of string literals.
//!
//! A block becomes a scope around a filter of ours. Only the words inside the tags change, so white space control,
//! trimming and line numbers stay what they were:
//!
//! ```text
//! {%- generation -%}…{%- endgeneration -%}
//! {%- with %}{% filter FILTER -%}…{%- endfilter %}{% endwith -%}
//! ```

use super::literal;

/// The filter that the body of a block goes through.
pub(super) const FILTER: &str = "rlhf_generation_block";

/// A template in plain Jinja.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) source: String,
    /// Number of generation blocks.
    pub(super) blocks: usize,
}

/// A block that does not close, or closes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the template, counted from 1.
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Rewrites the generation blocks and the string literals of a template; text, comments and raw blocks stay.
pub(super) fn rewrite(source: &str) -> Result<Rewritten, Fault> {
    let mut scan = Scan {
        source,
        at: 0,
        written: 0,
        out: String::with_capacity(source.len()),
        open: Vec::new(),
        blocks: 0,
    };
    while let Some(found) = source[scan.at..].find('{') {
        let start = scan.at + found;
        match source.as_bytes().get(start + 1) {
            Some(b'#') => scan.at = after(source, start + 2, "#}"),
            Some(b'{') => scan.code(start + 2, "}}"),
            Some(b'%') => scan.tag(start)?,
            _ => scan.at = start + 1,
        }
    }
    if let Some(block) = scan.open.last() {
        return Err(Fault {
            line: line_of(source, block.start),
            reason: "a generation block begins here and has no endgeneration",
        });
    }
    scan.out.push_str(&source[scan.written..]);
    Ok(Rewritten {
        source: scan.out,
        blocks: scan.blocks,
    })
}

struct Scan<'a> {
    source: &'a str,
    at: usize,
    /// Bytes of the source that have been taken over.
    written: usize,
    out: String,
    open: Vec<Open>,
    blocks: usize,
}

/// A generation block whose end has not come.
struct Open {
    start: usize,
    /// Loops that began inside it and have not ended.
    loops: usize,
}

impl Scan<'_> {
    /// Handles the tag that starts at `start` and goes on after it.
    fn tag(&mut self, start: usize) -> Result<(), Fault> {
        let source = self.source;
        let inside = start + 2;
        let signed = inside + usize::from(matches!(source.as_bytes().get(inside), Some(b'-' | b'+')));
        let rest = source[signed..].trim_start();
        let name_at = source.len() - rest.len();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let fault = |reason| Fault {
            line: line_of(source, start),
            reason,
        };
        match name {
            "generation" => {
                self.open.push(Open { start, loops: 0 });
                self.blocks += 1;
                self.replace(name_at, name, &format!("with %}}{{% filter {FILTER}"));
            }
            "endgeneration" => {
                self.open
                    .pop()
                    .ok_or_else(|| fault("endgeneration without a generation block"))?;
                self.replace(name_at, name, "endfilter %}{% endwith");
            }
            "for" => self.innermost(|block| block.loops += 1),
            "endfor" => self.innermost(|block| block.loops = block.loops.saturating_sub(1)),
            "break" | "continue" if self.open.last().is_some_and(|block| block.loops == 0) => {
                return Err(fault("a loop cannot be left from inside a generation block"));
            }
            _ => {}
        }
        self.code(name_at + name.len(), "%}");
        if name == "raw" {
            self.at = end_of_raw(source, self.at);
        }
        Ok(())
    }

    /// Goes from `from` to after the `end` that closes the code there: not one in a string or in brackets.
    fn code(&mut self, from: usize, end: &str) {
        let source = self.source;
        let mut depth = 0_usize;
        self.at = from;
        while let Some(c) = source[self.at..].chars().next() {
            if depth == 0 && source[self.at..].starts_with(end) {
                self.at += end.len();
                return;
            }
            match c {
                '\'' | '"' => self.string(c),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += source[self.at..].chars().next().map_or(0, char::len_utf8);
        }
    }

    /// Goes from the quote that opens a string to the one that closes it.
    fn string(&mut self, quote: char) {
        let source = self.source;
        let start = self.at + quote.len_utf8();
        let mut escaped = false;
        let closes = |c: char| {
            let is_end = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        };
        let Some(length) = source[start..].find(closes) else {
            self.at = source.len();
            return;
        };
        self.at = start + length;
        let content = &source[start..self.at];
        if let Some(translated) = literal::translate(content) {
            self.replace(start, content, &translated);
            // Lines that went come back behind the string, so that later ones keep their numbers.
            let lines = |text: &str| text.matches('\n').count();
            let gone = lines(content).saturating_sub(lines(&translated));
            self.replace(
                self.at,
                &source[self.at..self.at + 1],
                &format!("{quote}{}", "\n".repeat(gone)),
            );
        }
    }

    fn innermost(&mut self, change: impl FnOnce(&mut Open)) {
        if let Some(block) = self.open.last_mut() {
            change(block);
        }
    }

    fn replace(&mut self, at: usize, part: &str, by: &str) {
        self.out.push_str(&self.source[self.written..at]);
        self.out.push_str(by);
        self.written = at + part.len();
    }
}

/// The place after the next `end`, or the end of the source.
fn after(source: &str, from: usize, end: &str) -> usize {
    source[from..]
        .find(end)
        .map_or(source.len(), |found| from + found + end.len())
}

/// The place after the tag `endraw`.
fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = source[at..].find("{%") {
        let inside = at + found + 2;
        let signed = inside + usize::from(matches!(source.as_bytes().get(inside), Some(b'-' | b'+')));
        if source[signed..].trim_start().starts_with("endraw") {
            return after(source, signed, "%}");
        }
        at = inside;
    }
    source.len()
}

fn line_of(source: &str, at: usize) -> usize {
    1 + source[..at].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(source: &str, expected: &str, blocks: usize) {
        let expected = expected.replace("FILTER", FILTER);
        assert_eq!(
            rewrite(source),
            Ok(Rewritten {
                source: expected,
                blocks
            })
        );
    }

    #[test]
    fn blocks_keep_their_white_space_control() {
        check(
            "a {%- generation -%}\n b {% endgeneration +%}",
            "a {%- with %}{% filter FILTER -%}\n b {% endfilter %}{% endwith +%}",
            1,
        );
        check(
            "{%\n  generation\n%}é{%endgeneration%}",
            "{%\n  with %}{% filter FILTER\n%}é{%endfilter %}{% endwith%}",
            1,
        );
    }

    #[test]
    fn strings_comments_raw_blocks_and_other_words_are_left_alone() {
        for source in [
            "{# {% generation %} #}",
            "{{ '{% generation %}' }}{{ \"\\\"}} {% generation %}\" }}",
            "{% raw %}{% generation %}{%- endraw %}",
            "{% set x = '%} {% generation %}' %}",
            "{{ {'a': {'b': '}}'}} }}{% if generation %}{% endif %}",
            "{% generations %}{ % generation %}",
            "text generation { {",
        ] {
            check(source, source, 0);
        }
    }

    fn check_fault(source: &str, line: usize, reason: &'static str) {
        assert_eq!(rewrite(source), Err(Fault { line, reason }));
    }

    #[test]
    fn lines_keep_their_numbers_when_a_string_loses_one() {
        check("{{ 'a\\\nb' + \"\\\"\" }}", "{{ 'ab'\n + \"\\\"\" }}", 0);
    }

    #[test]
    fn blocks_that_do_not_match_are_faults_with_their_line() {
        check_fault(
            "\n{% generation %}\n",
            2,
            "a generation block begins here and has no endgeneration",
        );
        check_fault(
            "a\n\n{% endgeneration %}",
            3,
            "endgeneration without a generation block",
        );
        check_fault(
            "{% for m in x %}{% generation %}\n{% break %}{% endgeneration %}{% endfor %}",
            2,
            "a loop cannot be left from inside a generation block",
        );
    }

    #[test]
    fn a_loop_inside_a_block_can_be_left() {
        let source = "{% generation %}{% for m in x %}{% break %}{% endfor %}{% endgeneration %}";
        assert_eq!(rewrite(source).unwrap().blocks, 1);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_lines_stay(parts in prop::collection::vec(
            "\\{%-?|-?%\\}|generation|endgeneration|raw|endraw|'|\"|\\\\|\\{\\{|\\}\\}|\\{#|#\\}|\n| |é|for|break", 0..24,
        )) {
            let source = parts.concat();
            match rewrite(&source) {
                Ok(rewritten) => prop_assert_eq!(rewritten.source.matches('\n').count(), source.matches('\n').count()),
                Err(fault) => prop_assert!(fault.line <= 1 + source.matches('\n').count()),
            }
        }
    }
}
