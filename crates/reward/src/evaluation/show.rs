//! Findings about reward models as Markdown.

use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;

use super::{RewardEvaluation, RewardSummary, Slice};

/// A share in percent.
fn share(found: &Interval) -> String {
    let [value, low, high] = [found.value, found.low, found.high].map(|share| 100.0 * share);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}

/// A difference of shares in points.
fn points(found: &Interval) -> String {
    let [value, low, high] = [found.value, found.low, found.high].map(|share| 100.0 * share);
    format!("{value:+.1} points ({low:+.1} to {high:+.1})")
}

fn number(found: &Interval) -> String {
    let Interval { value, low, high, .. } = found;
    format!("{value:+.3} ({low:+.3} to {high:+.3})")
}

impl Display for RewardSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for name in &self.order {
            let Some(found) = self.models.get(name) else { continue };
            writeln!(f, "### {name}\n\n{found}")?;
        }
        Ok(())
    }
}

impl RewardSummary {
    /// A paragraph for a model card.
    pub fn card(&self) -> String {
        format!(
            "## Reward model\n\nOn the comparisons of {}.\n\n{self}",
            self.settings.files.join(", ")
        )
    }
}

impl Display for RewardEvaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let length = &self.length;
        writeln!(
            f,
            "{} pairs of {} rows, {} prompts; {} rows left out. 95 % intervals over prompts.\n",
            length.accuracy.n, self.rows, self.prompts, self.left_out
        )?;
        writeln!(f, "| pairs | of them | model | the longer wins | the shorter wins |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: |")?;
        writeln!(
            f,
            "| all | {} | {} | {} | {} |",
            length.accuracy.n,
            share(&length.accuracy),
            share(&length.longer),
            share(&length.shorter)
        )?;
        for (kind, slices) in &self.slices {
            for Slice {
                name,
                accuracy,
                longer,
                shorter,
                ..
            } in slices
            {
                writeln!(
                    f,
                    "| {kind}: {name} | {} | {} | {:.1} % | {:.1} % |",
                    accuracy.n,
                    share(accuracy),
                    100.0 * longer.value,
                    100.0 * shorter.value
                )?;
            }
        }
        self.write_figures(f)?;
        self.write_bench(f)?;
        self.write_best_of_n(f)
    }
}

impl RewardEvaluation {
    fn write_figures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nbeside \"the longer wins\": {}", points(&self.beside_longer))?;
        writeln!(
            f,
            "where the longer is better {}; where the shorter is {}",
            share(&self.length.on_longer_better),
            share(&self.length.on_shorter_better)
        )?;
        writeln!(
            f,
            "correlation of score and length among answers to a prompt: {}",
            number(&self.length_correlation)
        )?;
        let calibration = &self.calibration;
        let said = match calibration.best_scale {
            scale if scale < 0.0 => "prefers what the labelers do not",
            scale if scale < 1.0 => "too sure",
            _ => "not too sure",
        };
        writeln!(
            f,
            "calibration error {:.1} points; best scale {:.2}: {said}",
            100.0 * calibration.error,
            calibration.best_scale
        )?;
        for bin in calibration.bins.iter().filter(|bin| bin.observed.n > 0) {
            writeln!(
                f,
                "- says {:.0} %, is right on {} of {}",
                100.0 * bin.predicted,
                share(&bin.observed),
                bin.observed.n
            )?;
        }
        if let Some(found) = &self.invariance {
            writeln!(
                f,
                "the same {} answers alone and padded left {:.1e}, padded right {:.1e}, packed {:.1e}, beside others of their prompt {:.1e}: largest \
                 differences, of scores that spread by {:.3}",
                found.answers, found.padded_left, found.padded_right, found.packed, found.shared_prompt, found.spread
            )?;
        }
        if let Some(found) = &self.beside_first {
            writeln!(f, "beside the first model: {}", points(found))?;
        }
        Ok(())
    }

    fn write_bench(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(bench) = &self.reward_bench else {
            return Ok(());
        };
        writeln!(f, "\n| RewardBench | pairs | accuracy |\n| --- | ---: | ---: |")?;
        for (name, found) in &bench.subsets {
            writeln!(f, "| {name} | {} | {} |", found.n, share(found))?;
        }
        for (name, found) in &bench.sections {
            writeln!(f, "| **{name}** | {} | {} |", found.n, share(found))?;
        }
        match &bench.score {
            Some(found) => writeln!(f, "| **score** | {} | {} |", found.n, share(found)),
            None => Ok(()),
        }
    }

    fn write_best_of_n(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.best_of_n.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n| best of n | score | gold | the best by gold |\n| ---: | ---: | ---: | ---: |"
        )?;
        for point in &self.best_of_n {
            writeln!(
                f,
                "| {} | {} | {} | {:+.3} |",
                point.n,
                number(&point.score),
                number(&point.gold),
                point.highest_gold.value
            )?;
        }
        Ok(())
    }
}
