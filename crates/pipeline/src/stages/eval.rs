//! Base, SFT, best-of-n, PPO and its average on the same held-out prompts.

use std::path::Path;

use rlhf_core::StopFlag;
use rlhf_data::{Prompt, Split, pack_documents};
use rlhf_eval::{Answers, BASE, BEST_OF_N, Exam, PPO, PPO_EMA, SFT, Summary, n_of_equal_kl};
use rlhf_model::{CausalLm, load_causal_lm, load_scalar_model};
use serde_json::Value;

use super::task::{gold_judge, rows_of_judge};
use super::{Label, Ppo, Pretrain, REPORT, Reward, Sft, WEIGHTS};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{read_json, write_json, write_rows};
use crate::inputs::Inputs;
use crate::rows::{DOCUMENTS, PPO_PROMPTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Compares the models of the run.
#[derive(Debug, Clone, Copy)]
pub struct Eval;

const SUMMARY: &str = "summary.json";

fn reads(config: &Config) -> Vec<RowsRead> {
    let own = [PPO_PROMPTS.validation(), DOCUMENTS.validation()];
    own.into_iter().chain(rows_of_judge(config.data.source)).collect()
}

impl Eval {
    /// Findings of the finished stage.
    pub(crate) fn summary(self, work: &Workspace<'_>) -> Result<Summary> {
        read_json(&work.output(&self, SUMMARY)?)
    }
}

impl Stage for Eval {
    fn name(&self) -> &'static str {
        "eval"
    }

    fn about(&self) -> &'static str {
        "Compare base, SFT, best-of-n and PPO on held-out prompts"
    }

    fn settings(&self, config: &Config) -> Value {
        Settings::new()
            .section(self.name(), &config.eval)
            .task(config)
            .rows(config, &reads(config))
            .keys("data", &config.data, &["long_prompts", "max_seq_len", "chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        work.inputs()
            .output(&Pretrain, WEIGHTS)?
            .output(&Sft, WEIGHTS)?
            .output(&Label, REPORT)?
            .output(&Reward, WEIGHTS)?
            .output(&Reward, REPORT)?
            .output(&Ppo, WEIGHTS)?
            .output_if_there(&Ppo, &format!("{}/{WEIGHTS}", Ppo::EMA_MODEL))
            .rows(&reads(work.config()))
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let settings = &work.config().eval;
        let tokenizer = work.tokenizer(&Sft)?;
        let (sft, config) = load_causal_lm(&work.folder(&Sft), work.device())?;
        let (reward, _) = load_scalar_model(&work.folder(&Reward), work.device())?;
        let mut prompts = work.ppo_prompts(&[Split::Validation])?.validation;
        prompts.truncate(settings.prompts);
        let (prompt_ids, kept) =
            work.prompt_ids(&tokenizer, &prompts, settings.max_new_tokens, work.max_seq_len(&config))?;
        let prompts: Vec<Prompt> = kept.into_iter().map(|row| prompts[row].clone()).collect();
        let text = pack_documents(&tokenizer, &work.documents(&[])?.validation, work.max_seq_len(&config));
        let judge = gold_judge(work)?;
        let exam = Exam {
            tokenizer: &tokenizer,
            prompts: &prompts,
            prompt_ids: &prompt_ids,
            text: &text,
            reference: &sft,
            reward: &reward,
            judge: judge.as_deref(),
            max_new_tokens: settings.max_new_tokens,
            sampling: &settings.sampling,
            seed: work.seed(),
            stop: StopFlag::process(),
        };
        let (summary, side_by_side) = compare(work, &exam)?;
        write_rows(&work.dir().samples_path(), &side_by_side)?;
        write_json(&work.dir().path().join(SUMMARY), &summary)
    }

    fn findings(&self, work: &Workspace<'_>) -> Result<Option<String>> {
        let summary = self.summary(work)?;
        Ok(Some(format!(
            "\n{summary}{} held-out prompts; answers side by side in {}\n",
            summary.prompts,
            work.dir().samples_path().display()
        )))
    }
}

/// The figures of every model, and its answers beside those of the others.
fn compare(work: &Workspace<'_>, exam: &Exam<'_>) -> Result<(Summary, Vec<Value>)> {
    const STEPS: u64 = 5;
    let load = |dir: &Path| Ok::<CausalLm, Error>(load_causal_lm(dir, work.device())?.0);
    work.report(0, STEPS, BASE);
    let base = exam.sit(&load(&work.folder(&Pretrain))?)?;
    work.report(1, STEPS, SFT);
    let sft = exam.sit(exam.reference)?;
    work.report(2, STEPS, PPO);
    let ppo = exam.sit(&load(&work.folder(&Ppo))?)?;
    work.report(3, STEPS, PPO_EMA);
    let averaged = work.folder(&Ppo).join(Ppo::EMA_MODEL);
    let averaged = if averaged.exists() {
        Some(exam.sit(&load(&averaged)?)?)
    } else {
        None
    };
    let n = n_of_equal_kl(ppo.kl, work.config().eval.best_of_n_max);
    work.report(4, STEPS, &format!("best of {n}"));
    let best = exam.best_of_n(n, &sft)?;

    let mut all = vec![(BASE, &base), (SFT, &sft), (BEST_OF_N, &best), (PPO, &ppo)];
    all.extend(averaged.as_ref().map(|averaged| (PPO_EMA, averaged)));
    let figures = |(name, answers): &(&str, &Answers)| ((*name).to_owned(), exam.summarise(answers, &sft));
    let summary = Summary {
        prompts: exam.prompts.len(),
        models: all.iter().map(figures).collect(),
        best_of_n_samples: n,
        reward: read_json(&work.output(&Reward, REPORT)?)?,
        labeler_agreement: read_json(&work.output(&Label, REPORT)?)?,
    };
    Ok((summary, exam.side_by_side(&all)))
}
