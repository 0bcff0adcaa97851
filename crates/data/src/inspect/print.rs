//! An inspection in words.

use std::collections::BTreeMap;
use std::fmt;

use super::{DataKind, Fit, Inspection, Lengths, ShownRow};
use crate::read::{TOLD, told};

/// `2: 5 rows, 4: 1 row`.
fn counts(counts: &BTreeMap<impl fmt::Display, usize>) -> String {
    let entry = |(key, count): (_, &usize)| format!("{key}: {count}");
    counts.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// ` (lines 2, 5, …)` of rows of which as many are known as are told.
fn told_rows(lines: &[usize]) -> String {
    told(lines, if lines.len() < TOLD { lines.len() } else { usize::MAX })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        writeln!(f, "{}: {kind}", self.file.path.display())?;
        writeln!(f, "rows            {}", self.file.rows)?;
        if self.file.skipped() > 0 {
            writeln!(f, "left out        {}", self.file.reasons())?;
        }
        let what = if self.kind == DataKind::Text {
            "documents"
        } else {
            "opening requests"
        };
        writeln!(
            f,
            "distinct        {} {what}, {} duplicate rows",
            self.distinct_prompts, self.duplicate_rows
        )?;
        if !self.messages_per_row.is_empty() {
            writeln!(f, "messages: rows  {}", counts(&self.messages_per_row))?;
        }
        if self.kind == DataKind::Comparisons {
            writeln!(f, "K: rows         {}", counts(&self.completions_per_row))?;
            writeln!(
                f,
                "pairs           {} decided, {} tied{}",
                self.decided_pairs,
                self.tied_pairs,
                told_rows(&self.tied_lines)
            )?;
        }
        if self.answers_not_learnt > 0 {
            let rows = told_rows(&self.not_learnt_lines);
            writeln!(f, "not learnt      {} answers{rows}", self.answers_not_learnt)?;
        }
        if let Some(share) = self.longer_wins {
            writeln!(f, "longer wins     {:.1} %", 100.0 * share)?;
        }
        if !self.labelers.is_empty() {
            writeln!(f, "labelers: rows  {}", counts(&self.labelers))?;
        }
        self.lost.iter().try_for_each(|lost| write!(f, "{lost}"))?;
        self.lengths.iter().try_for_each(|lengths| write!(f, "{lengths}"))?;
        if let Some(max_seq_len) = self.max_seq_len {
            writeln!(f, "\nat most {max_seq_len} tokens:")?;
            self.fit.iter().try_for_each(|fit| write!(f, "{fit}"))?;
        }
        write!(f, "{}", self.row)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            of,
            count: _,
            min,
            median,
            mean,
            p90,
            p95,
            p99,
            max,
            histogram,
        } = self;
        writeln!(
            f,
            "\n{of}: min {min}, median {median}, mean {mean:.1}, p90 {p90}, p95 {p95}, p99 {p99}, max {max}"
        )?;
        let tallest = histogram.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        for (upper, count) in histogram {
            let bar = "█".repeat((count * 40).div_ceil(tallest));
            writeln!(f, "  up to {upper:>7} {count:>7} {bar}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stages,
            rule,
            whole,
            shortened,
            left_out,
            tokens,
            kept_tokens,
            sequences,
            affected,
        } = self;
        writeln!(
            f,
            "  {stages}: {whole} rows whole, {shortened} shortened, {left_out} left out"
        )?;
        writeln!(f, "    {kept_tokens} of {tokens} tokens stay, in {sequences} sequences")?;
        writeln!(f, "    ({rule})")?;
        if affected.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = affected.iter().map(usize::to_string).collect();
        let more = if shortened + left_out > affected.len() {
            ", …"
        } else {
            ""
        };
        writeln!(f, "    rows {}{more}", told.join(", "))
    }
}

impl fmt::Display for ShownRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |text: &str| text.trim_end().replace('\n', "\n  ");
        write!(f, "\nrow {}:\n  {}", self.number, indented(&self.text))?;
        if let Some(fate) = &self.fate {
            write!(f, "\n  ({fate})")?;
        }
        for part in &self.parts {
            write!(
                f,
                "\n\n{}, {} in [[ ]]:\n  {}",
                part.of,
                part.marks,
                indented(part.tokens.marked_text())
            )?;
            write!(f, "\n\n  {}", indented(&part.tokens.table(part.marks)))?;
        }
        Ok(())
    }
}
