//! The commented configuration.

use std::fmt::Write;
use std::path::Path;

use rlhf_data::{DataKind, Lengths};
use serde_json::json;

use super::look::{DataSeen, FileSeen, ModelSeen};
use super::plan::{ANSWERS, LengthPlan, PassPlan, TimePlan};
use super::rules::{Rule, rules};
use crate::memory::amount;

/// Everything that the text says.
pub(super) struct Seen<'a> {
    /// The model as the user named it.
    pub(super) base: Option<&'a Path>,
    pub(super) model: Option<&'a ModelSeen>,
    /// The folder as the user named it.
    pub(super) root: Option<&'a Path>,
    pub(super) data: &'a DataSeen,
    pub(super) plan: Option<Plan>,
}

/// Sizes that were worked out for a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) lengths: LengthPlan,
    pub(super) pass: PassPlan,
    /// Memory that is free, in bytes.
    pub(super) memory: u64,
    /// Nothing without a trial.
    pub(super) time: Option<TimePlan>,
}

/// Sections that rules speak of, in the order of the recipe.
const SECTIONS: [&str; 3] = ["sft", "reward", "ppo"];

impl Seen<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.write_str("# Written by `rlhf init`. Keys that are not named have the values that `rlhf config` prints, with their meaning.\n")?;
        if let (Some(base), Some(model)) = (self.base, self.model) {
            let millions = model.parameters as f64 / 1e6;
            let (family, context) = (model.config.family().model_type(), model.config.max_seq_len());
            writeln!(
                out,
                "# Model: {}, {family}, {millions:.2} M parameters, context {context}.",
                base.display()
            )?;
        }
        writeln!(out, "seed = 1\n")?;
        self.write_data(out)?;
        self.write_label(out)?;
        if let Some(plan) = &self.plan {
            let tokens = plan.lengths.max_new_tokens;
            writeln!(out, "\n[sample]\nk_min = 4\nk_max = 4\nmax_new_tokens = {tokens}")?;
        }
        let rules = self.model.map(|model| rules(model.parameters)).unwrap_or_default();
        for section in SECTIONS {
            self.write_section(out, section, &rules)?;
        }
        if let Some(plan) = &self.plan {
            writeln!(
                out,
                "\n[eval]\nprompts = 200\nmax_new_tokens = {}",
                plan.lengths.max_new_tokens
            )?;
            writeln!(
                out,
                "# Best of n costs n times the answers; 0 leaves it out.\nbest_of_n_max = 4"
            )?;
        }
        Ok(())
    }

    fn write_data(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "[data]")?;
        if self.root.is_none() {
            writeln!(
                out,
                "# The built-in world; give --data DIR for files of your own.\nsource = \"world\""
            )?;
        }
        if let Some(base) = self.base {
            // A relative path would start from data.root.
            let base = std::path::absolute(base).ok().filter(|path| path.exists());
            let base = base.as_deref().or(self.base).unwrap_or(Path::new(""));
            writeln!(out, "base = {}", json!(base))?;
        }
        if let Some(root) = self.root {
            // It holds from whatever folder the pipeline is started.
            let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
            writeln!(out, "source = \"files\"\nroot = {}", json!(root))?;
            writeln!(
                out,
                "# Of every list, this share of prompts is kept from training.\nvalidation_fraction = 0.1"
            )?;
            writeln!(
                out,
                "# What is too long is shortened by its oldest exchanges, and left out if that is not enough."
            )?;
            writeln!(out, "long_prompts = \"skip\"")?;
            self.write_lists(out)?;
        }
        if let Some(plan) = &self.plan {
            for (what, lengths) in [
                ("prompts", &self.data.prompts),
                ("conversations", &self.data.conversations),
                ("answers", &self.data.answers),
            ] {
                if let Some(Lengths { median, p95, p99, .. }) = lengths {
                    writeln!(
                        out,
                        "# Tokens of {what}: half have at most {median}, 95 of 100 {p95}, 99 of 100 {p99}."
                    )?;
                }
            }
            writeln!(out, "max_seq_len = {}", plan.lengths.max_seq_len)?;
        }
        for (path, reason) in &self.data.left_out {
            writeln!(out, "# Left out: {}: {}", path.display(), reason.replace('\n', " "))?;
        }
        Ok(())
    }

    fn write_lists(&self, out: &mut String) -> std::fmt::Result {
        let mut list = |name: &str, files: &[&FileSeen], comment: &str| {
            if files.is_empty() {
                return writeln!(out, "# {name} = []  # {comment}");
            }
            writeln!(out, "# {comment}\n{name} = [")?;
            for FileSeen { path, rows, .. } in files {
                let counted = if *rows > 0 {
                    format!("  # {rows} rows")
                } else {
                    String::new()
                };
                writeln!(out, "    {{ path = {} }},{counted}", json!(path))?;
            }
            writeln!(out, "]")
        };
        let of = |kind| self.data.of(kind);
        list(
            "pretrain",
            &of(DataKind::Text),
            "Text: for perplexity, and for ppo.ptx and sft_mix if they are on.",
        )?;
        list(
            "demonstrations",
            &of(DataKind::Demonstrations),
            "Answers to imitate. Without any the model goes on as it is.",
        )?;
        list("comparisons", &of(DataKind::Comparisons), "Answers that were ranked.")?;
        let prompts = self.prompt_files();
        list(
            "ppo_prompts",
            &prompts,
            "Prompts that PPO answers; a part is held out for the evaluation.",
        )?;
        if of(DataKind::Comparisons).is_empty() {
            list("reward_prompts", &prompts, "Prompts whose sampled answers are ranked.")?;
        }
        Ok(())
    }

    /// Files of prompts, or those of other rows, which begin with one.
    fn prompt_files(&self) -> Vec<&FileSeen> {
        let kinds = [DataKind::Prompts, DataKind::Comparisons, DataKind::Demonstrations];
        let mut found = kinds.into_iter().map(|kind| self.data.of(kind));
        found.find(|files| !files.is_empty()).unwrap_or_default()
    }

    fn write_label(&self, out: &mut String) -> std::fmt::Result {
        if self.root.is_none() {
            return Ok(());
        }
        if !self.data.of(DataKind::Comparisons).is_empty() {
            return writeln!(out, "\n[label]\nlabeler = \"files\"");
        }
        out.write_str(
            "\n# There are no comparisons: answers are sampled and written out for people to rank, and the run goes on when the\n\
             # rankings lie there. Others who can rank: `reward_model`, `command`, `openai`; see `rlhf config`.\n\
             [label]\nlabeler = \"export\"\n",
        )?;
        Ok(())
    }

    fn write_section(&self, out: &mut String, section: &str, rules: &[Rule]) -> std::fmt::Result {
        let own = |rule: &&Rule| rule.key.split('.').next() == Some(section);
        let own: Vec<&Rule> = rules.iter().filter(own).collect();
        let Some(plan) = self.plan.as_ref().filter(|_| !own.is_empty()) else {
            return Ok(());
        };
        writeln!(out)?;
        self.write_time(out, section, plan)?;
        writeln!(out, "[{section}]")?;
        let mut said = "";
        for rule in own {
            let key = rule.key.trim_start_matches(section).trim_start_matches('.');
            if rule.why != said {
                writeln!(out, "# {}", capitalised(rule.why))?;
                said = rule.why;
            }
            writeln!(out, "{key} = {}", rule.value)?;
        }
        let PassPlan {
            microbatch_tokens,
            gradient_checkpointing,
            forecast,
            fits,
        } = plan.pass;
        let (forecast, memory) = (amount(forecast), amount(plan.memory));
        let verdict = if fits {
            ""
        } else {
            ", WHICH DOES NOT FIT: take a smaller model"
        };
        if section == "ppo" {
            writeln!(
                out,
                "# With these passes PPO is forecast to take {forecast} of {memory} that are free{verdict}."
            )?;
        }
        writeln!(out, "microbatch_tokens = {microbatch_tokens}")?;
        if gradient_checkpointing {
            writeln!(out, "gradient_checkpointing = true")?;
        }
        match section {
            "sft" => writeln!(out, "epochs = 1")?,
            "ppo" => self.write_ppo(out, plan)?,
            _ => {}
        }
        if section == "sft" && self.data.of(DataKind::Text).is_empty() {
            writeln!(
                out,
                "\n# There is no text to mix in.\n[sft_mix]\npretrain_fraction = 0.0"
            )?;
        }
        Ok(())
    }

    fn write_ppo(&self, out: &mut String, plan: &Plan) -> std::fmt::Result {
        writeln!(out, "max_new_tokens = {}", plan.lengths.max_new_tokens)?;
        out.write_str("# Several answers to a prompt cost its tokens once, and each is measured against the others. The value function\n")?;
        out.write_str("# has little left to say then, and with lambda 1 takes no credit from the first tokens.\n")?;
        writeln!(
            out,
            "samples_per_prompt = {ANSWERS}\nscore_baseline = \"other_answers\"\ngae_lambda = 1.0"
        )?;
        writeln!(out, "lr.kind = \"constant\"\nvalue_lr.kind = \"constant\"")?;
        let episodes = plan.time.map_or(3072, |time| time.episodes);
        writeln!(
            out,
            "# A run whose rates are constant can be asked for more later.\nepisodes = {episodes}"
        )?;
        if self.data.of(DataKind::Text).is_empty() {
            writeln!(
                out,
                "# There is no text to mix in.\nptx.coef = 0.0\nptx.examples_per_episode = 0.0"
            )?;
        }
        Ok(())
    }

    fn write_time(&self, out: &mut String, section: &str, plan: &Plan) -> std::fmt::Result {
        let Some(time) = &plan.time else { return Ok(()) };
        let minutes = |seconds: f64| format!("about {:.0} minutes on this machine", (seconds / 60.0).max(1.0));
        match section {
            "sft" if time.sft > 0.0 => writeln!(out, "# An epoch: {}.", minutes(time.sft)),
            "reward" if time.reward > 0.0 => writeln!(out, "# An epoch: {}.", minutes(time.reward)),
            "ppo" => {
                let updates = time.episodes as f64 / 64.0;
                writeln!(out, "# {updates:.0} updates: {}.", minutes(time.update * updates))
            }
            _ => Ok(()),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
