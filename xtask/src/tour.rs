//! `cargo xtask tour`: the line numbers of `docs/tour.md`, written anew when the code that it shows has moved.
//!
//! The tour shows pieces of code. Each has a link with file and line, and the first block of code behind the link holds the lines
//! that begin there; a line `…` in it stands for any number of lines of the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process::{Failure, Result, root};

/// The page.
const PAGE: &str = "docs/tour.md";
/// Stands for lines of the file that are not shown.
const SKIP: &str = "…";
/// Opens and closes a block of code.
const FENCE: &str = "```";

/// A link with file and line, and the code that it says is there.
#[derive(Debug, PartialEq, Eq)]
struct Stop {
    /// Line of the link in the page, from 1.
    page_line: usize,
    /// Path from the root of the workspace.
    file: String,
    /// Line of the code in the file, from 1.
    line: usize,
    /// The lines of the block, without the indentation that they have in common.
    code: Vec<String>,
}

/// Writes the line numbers anew.
pub(crate) fn run() -> Result<()> {
    let path = root().join(PAGE);
    let page = read(&path)?;
    let new = renumbered(&page, &sources(&page)?)?;
    if new == page {
        eprintln!("{PAGE}: every line is where it says");
        return Ok(());
    }
    fs::write(&path, new).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    eprintln!("{PAGE}: line numbers written anew");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// The text of every file that the page shows code of.
fn sources(page: &str) -> Result<BTreeMap<String, String>> {
    let files = stops(page)?.into_iter().map(|stop| stop.file);
    files
        .map(|file| Ok((file.clone(), read(&root().join(&file))?)))
        .collect()
}

/// The page with the line numbers at which its code is found.
///
/// # Errors
/// Code that is not in its file any more, all of it.
fn renumbered(page: &str, sources: &BTreeMap<String, String>) -> Result<String> {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut lost = Vec::new();
    for stop in stops(page)? {
        match stop.found_in(&sources[&stop.file]) {
            Some(found) => {
                let line = &mut lines[stop.page_line - 1];
                *line = line.replace(&link(&stop.file, stop.line), &link(&stop.file, found));
            }
            None => lost.push(stop.lost()),
        }
    }
    if !lost.is_empty() {
        return Err(Failure::new(lost.join("\n")));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// A link as the page writes it.
fn link(file: &str, line: usize) -> String {
    format!("[{file}:{line}](../{file}#L{line})")
}

/// Target of the link with a line number in a line of the page, if there is one.
fn numbered_link(text: &str) -> Option<(String, usize)> {
    let (_, target) = text.split_once("](../")?;
    let (file, rest) = target.split_once("#L")?;
    let (line, _) = rest.split_once(')')?;
    Some((file.to_owned(), line.parse().ok()?))
}

/// The links with a line number, each with the block of code behind it.
///
/// # Errors
/// A link whose text is not its target, or one without code before the next link or heading.
fn stops(page: &str) -> Result<Vec<Stop>> {
    let mut stops = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((text, page_line)) = lines.next() {
        if text.starts_with(FENCE) {
            // Code that no link stands before.
            lines.by_ref().find(|(text, _)| text.starts_with(FENCE));
        }
        let Some((file, line)) = numbered_link(text) else {
            continue;
        };
        let expected = link(&file, line);
        if !text.contains(&expected) {
            return Err(Failure::new(format!(
                "{PAGE}:{page_line}: expected `{expected}`, found `{text}`"
            )));
        }
        let ends = |text: &str| text.starts_with(FENCE) || text.starts_with('#') || numbered_link(text).is_some();
        let next = lines.by_ref().map(|(text, _)| text).find(|text| ends(text));
        if !next.is_some_and(|text| text.starts_with(FENCE)) {
            return Err(Failure::new(format!("{PAGE}:{page_line}: no code behind {expected}")));
        }
        let code: Vec<&str> = lines
            .by_ref()
            .map(|(text, _)| text)
            .take_while(|text| !text.starts_with(FENCE))
            .collect();
        stops.push(Stop {
            page_line,
            file,
            line,
            code: dedented(&code),
        });
    }
    Ok(stops)
}

/// Lines without the indentation that they have in common.
fn dedented(lines: &[&str]) -> Vec<String> {
    let says_something = |text: &&&str| !text.trim().is_empty() && text.trim() != SKIP;
    let common = lines.iter().filter(says_something).map(|text| indentation(text)).min();
    let cut = |text: &&str| {
        text.get(common.unwrap_or(0)..)
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    };
    let skip_or_cut = |text: &&str| {
        if text.trim() == SKIP {
            SKIP.to_owned()
        } else {
            cut(text)
        }
    };
    lines.iter().map(skip_or_cut).collect()
}

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

impl Stop {
    /// The line, from 1, at which the code begins in its file: the one nearest to where it was.
    fn found_in(&self, source: &str) -> Option<usize> {
        let lines: Vec<&str> = source.lines().collect();
        let begins = |&line: &usize| {
            let indent =
                indentation(lines[line - 1]).checked_sub(self.code.first().map_or(0, |text| indentation(text)));
            indent.is_some_and(|indent| is_at(&self.code, &lines[line - 1..], indent))
        };
        let found = (1..=lines.len()).filter(begins);
        found.min_by_key(|line| line.abs_diff(self.line))
    }

    fn lost(&self) -> String {
        let first = self.code.first().map_or("", String::as_str);
        format!(
            "{PAGE}:{}: {} has no lines like those from `{first}` on",
            self.page_line, self.file
        )
    }

    /// The fault of the link, if there is one, given the text of its file.
    #[cfg(test)]
    fn fault(&self, source: &str) -> Option<String> {
        match self.found_in(source) {
            Some(line) if line == self.line => None,
            Some(line) => Some(format!(
                "{PAGE}:{}: the code of {}:{} is at line {line} now; `cargo xtask tour` writes the numbers anew",
                self.page_line, self.file, self.line
            )),
            None => Some(self.lost()),
        }
    }
}

/// The lines of a file begin with those of `code`, indented by `indent`.
fn is_at(code: &[String], lines: &[&str], indent: usize) -> bool {
    let Some((first, rest)) = code.split_first() else {
        return true;
    };
    if first == SKIP {
        return (0..=lines.len()).any(|skipped| is_at(rest, &lines[skipped..], indent));
    }
    let Some((line, others)) = lines.split_first() else {
        return false;
    };
    let is_same = if first.is_empty() {
        line.trim().is_empty()
    } else {
        line.get(indent..) == Some(first) && indentation(line) >= indent
    };
    is_same && is_at(rest, others, indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "fn one() {\n    let a = 1;\n\n    let b = 2;\n}\n\nfn two() {\n    let a = 1;\n    let c = 3;\n}\n";

    fn page(line: usize, code: &str) -> String {
        format!(
            "# Tour\n\nSee {}.\n\n```rust\n{code}\n```\n\nEnd.\n",
            link("a.rs", line)
        )
    }

    fn of_file() -> BTreeMap<String, String> {
        BTreeMap::from([("a.rs".to_owned(), SOURCE.to_owned())])
    }

    fn faults(page: &str) -> Vec<String> {
        let stops = stops(page).expect("a page");
        stops.iter().filter_map(|stop| stop.fault(SOURCE)).collect()
    }

    #[test]
    fn code_is_found_whatever_its_indentation_and_lines_may_be_skipped() {
        let none: [String; 0] = [];
        assert_eq!(faults(&page(2, "let a = 1;\n\nlet b = 2;")), none);
        assert_eq!(faults(&page(2, "    let a = 1;\n\n    let b = 2;")), none);
        assert_eq!(faults(&page(1, "fn one() {\n    …\n    let b = 2;\n}")), none);
        assert_eq!(faults(&page(7, "fn two() {\n    let a = 1;\n    …")), none);
    }

    #[test]
    fn code_that_moved_is_said_to_be_where_it_is_and_the_number_is_written_anew() {
        let moved = page(4, "let a = 1;\nlet c = 3;");
        let said = faults(&moved);
        assert!(
            said[0].starts_with("docs/tour.md:3: the code of a.rs:4 is at line 8 now"),
            "{said:?}"
        );
        let new = renumbered(&moved, &of_file()).expect("it is there");
        assert_eq!(new, page(8, "let a = 1;\nlet c = 3;"));
        assert_eq!(renumbered(&new, &of_file()).as_ref(), Ok(&new));
    }

    #[test]
    fn of_two_places_the_nearer_is_meant() {
        assert_eq!(
            faults(&page(3, "let a = 1;"))[0].split(" now").next(),
            Some("docs/tour.md:3: the code of a.rs:3 is at line 2")
        );
        assert!(faults(&page(8, "let a = 1;")).is_empty());
    }

    #[test]
    fn code_that_is_gone_links_that_lie_and_links_without_code_are_faults() {
        // An indentation that is not the file's is another text.
        for gone in ["let d = 4;", "let a = 1;\n  let c = 3;", "fn two() {\n…\nlet b = 2;"] {
            assert!(faults(&page(8, gone))[0].contains("has no lines like"), "{gone}");
            assert!(renumbered(&page(8, gone), &of_file()).is_err());
        }
        assert!(stops("[a.rs:3](../a.rs#L4)\n```\nx\n```\n").is_err());
        assert!(stops("[a.rs:4](../a.rs#L4)\n\n## Next\n```\nx\n```\n").is_err());
        assert!(stops("[a.rs:4](../a.rs#L4)").is_err());
        assert_eq!(
            stops("```\n[a.rs:3](../a.rs#L4)\n```\n[a](../a.rs)\n").expect("no stop"),
            []
        );
    }

    #[test]
    fn every_stop_of_the_tour_is_where_it_says() {
        let page = read(&root().join(PAGE)).expect("the tour");
        let sources = sources(&page).expect("files of the workspace");
        let stops = stops(&page).expect("links with code");
        assert!(stops.len() >= 10, "{} stops", stops.len());
        let faults: Vec<String> = stops
            .iter()
            .filter_map(|stop| stop.fault(&sources[&stop.file]))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
