//! Base, SFT, best-of-n, PPO and its average on the same held-out prompts.

use std::cell::Cell;
use std::path::Path;

use rlhf_core::{StopFlag, atomic};
use rlhf_data::{Prompt, load_demonstrations, pack_documents};
use rlhf_eval::{
    Answers, BASE, BEST_OF_N, Exam, PPO, PPO_EMA, Rouge, RougeJudge, SFT, SecondJudge, Summary, n_of_equal_kl,
};
use rlhf_model::{CausalLm, load_causal_lm, load_scalar_model};
use serde_json::Value;

use super::opinions::OutsideModel;
use super::task::{gold_judge, rows_of_judge};
use super::{Label, Ppo, Pretrain, REPORT, Reward, Sft, WEIGHTS};
use crate::card::model_card;
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
/// Models of a comparison at most.
const STEPS: u64 = 5;

fn reads(config: &Config) -> Vec<RowsRead> {
    let own = [PPO_PROMPTS.validation(), DOCUMENTS.validation()];
    own.into_iter().chain(rows_of_judge(config.data.source)).collect()
}

impl Eval {
    /// What the run's model is, how it was made and what was measured, for whoever is given it.
    const CARD: &str = "model_card.md";

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
            .conversations(config, &["long_prompts", "max_seq_len", "chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let inputs = work.inputs().output(&Pretrain, WEIGHTS)?.output(&Sft, WEIGHTS)?;
        let inputs = if work.config().trains_reward_model() {
            let inputs = inputs.output(&Label, REPORT)?.output(&Reward, WEIGHTS)?;
            inputs.output(&Reward, REPORT)?
        } else {
            inputs
        };
        let inputs = inputs
            .output(&Ppo, WEIGHTS)?
            .output_if_there(&Ppo, &format!("{}/{WEIGHTS}", Ppo::EMA_MODEL))
            .rows(&reads(work.config()))?;
        let settings = &work.config().eval;
        let inputs = inputs.sources(&settings.references)?;
        let mut judges = settings.judges.values();
        judges.try_fold(inputs, |inputs, judge| inputs.model(judge, &[WEIGHTS]))
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let settings = &work.config().eval;
        let tokenizer = work.tokenizer(&Sft)?;
        let (sft, config) = load_causal_lm(&work.folder(&Sft), work.device())?;
        let reward = if work.config().trains_reward_model() {
            Some(load_scalar_model(&work.folder(&Reward), work.device())?.0)
        } else {
            None
        };
        let prompts = work.held_out_prompts()?.test;
        let (mut prompt_ids, mut kept) =
            work.prompt_ids(&tokenizer, &prompts, settings.max_new_tokens, work.max_seq_len(&config))?;
        prompt_ids.truncate(settings.prompts);
        kept.truncate(settings.prompts);
        let prompts: Vec<Prompt> = kept.into_iter().map(|row| prompts[row].clone()).collect();
        let text = pack_documents(&tokenizer, &work.documents(&[])?.validation, work.max_seq_len(&config));
        let judge = gold_judge(work)?;
        let second = second_judges(work)?;
        let model = Cell::new((0, SFT));
        let exam = Exam {
            tokenizer: &tokenizer,
            prompts: &prompts,
            prompt_ids: &prompt_ids,
            text: &text,
            reference: &sft,
            reward: reward.as_ref(),
            judge: judge.as_deref(),
            second: &second,
            max_new_tokens: settings.max_new_tokens,
            sampling: &settings.sampling,
            batch_size: settings.batch_size,
            seed: work.seed(),
            stop: StopFlag::process(),
            told: &|what| work.report(model.get().0, STEPS, &format!("{}: {what}", model.get().1)),
        };
        say_who_judges(work, &exam);
        let answers = AllAnswers::new(work, &exam, &model)?;
        say_who_is_silent(work, &answers.sft);
        let (summary, side_by_side) = (answers.summary(work, &exam)?, exam.side_by_side(&answers.by_name()));
        write_rows(&work.dir().samples_path(), &side_by_side)?;
        let card = model_card(&work.run_name(), work.config(), &summary, &side_by_side);
        atomic::write_file(work.dir().path().join(Self::CARD), card.as_bytes())?;
        write_json(&work.dir().path().join(SUMMARY), &summary)
    }

    fn findings(&self, work: &Workspace<'_>) -> Result<Option<String>> {
        let summary = self.summary(work)?;
        Ok(Some(format!(
            "\n{summary}{} prompts of the test; answers side by side in {}, the model card in {}\n",
            summary.prompts,
            work.dir().samples_path().display(),
            work.dir().path().join(Self::CARD).display()
        )))
    }
}

/// Warns where win rates are by what was optimised.
fn say_who_judges(work: &Workspace<'_>, exam: &Exam<'_>) {
    if exam.reward.is_none() || exam.judge.is_some() || !work.config().optimises_own_reward_model() {
        return;
    }
    let others = if exam.second.is_empty() {
        "nobody else judges (eval.judges, eval.references)"
    } else {
        "the second judges do that"
    };
    work.note(&format!(
        "win rates are by the reward model that PPO optimised: they say how far PPO went, not how good the answers are; {others}"
    ));
}

/// Names the second judges who had nothing to say of any answer.
fn say_who_is_silent(work: &Workspace<'_>, answers: &Answers) {
    for (name, scores) in &answers.second {
        if scores.iter().all(Option::is_none) {
            let prompts = scores.len();
            work.note(&format!(
                "{name} has no opinion on any of the {prompts} held-out prompts: eval.references holds none of them"
            ));
        }
    }
}

/// Those who score the answers beside the judge of the task, by name.
fn second_judges(work: &Workspace<'_>) -> Result<Vec<(String, Box<dyn SecondJudge>)>> {
    let settings = &work.config().eval;
    let mut judges: Vec<(String, Box<dyn SecondJudge>)> = Vec::new();
    for (name, location) in &settings.judges {
        judges.push((name.clone(), Box::new(OutsideModel::load(work, location)?)));
    }
    let sources = work.locations().sources(&settings.references)?;
    if !sources.is_empty() {
        let references = load_demonstrations(&sources, &work.config().data.root, work.seed())?.rows;
        for (name, rouge) in [
            ("ROUGE-1", Rouge::N(1)),
            ("ROUGE-2", Rouge::N(2)),
            ("ROUGE-L", Rouge::L),
        ] {
            judges.push((name.to_owned(), Box::new(RougeJudge::new(rouge, &references))));
        }
    }
    Ok(judges)
}

/// The answers of every model.
struct AllAnswers {
    base: Answers,
    sft: Answers,
    /// The best of so many answers of the SFT model.
    best: Option<(usize, Answers)>,
    ppo: Answers,
    averaged: Option<Answers>,
}

impl AllAnswers {
    /// Has every model of the run sit the exam; `model` is told which one does.
    fn new(work: &Workspace<'_>, exam: &Exam<'_>, model: &Cell<(u64, &'static str)>) -> Result<Self> {
        let begin = |step, name| {
            model.set((step, name));
            work.report(step, STEPS, name);
        };
        let load = |dir: &Path| Ok::<CausalLm, Error>(load_causal_lm(dir, work.device())?.0);
        begin(0, SFT);
        let sft = exam.sit(exam.reference)?;
        begin(1, BASE);
        // Without demonstrations the one is the other.
        let base = if work.config().has_demonstrations() {
            exam.sit(&load(&work.folder(&Pretrain))?)?
        } else {
            sft.clone()
        };
        begin(2, PPO);
        let ppo = exam.sit(&load(&work.folder(&Ppo))?)?;
        begin(3, PPO_EMA);
        let averaged = work.folder(&Ppo).join(Ppo::EMA_MODEL);
        let averaged = if averaged.exists() {
            Some(exam.sit(&load(&averaged)?)?)
        } else {
            None
        };
        begin(4, BEST_OF_N);
        let best = match work.config().eval.best_of_n_max {
            0 => None,
            max => {
                let n = ppo.kl.map_or(max, |kl| n_of_equal_kl(kl, max));
                exam.best_of_n(n, &sft)?.map(|answers| (n, answers))
            }
        };
        Ok(Self {
            base,
            sft,
            best,
            ppo,
            averaged,
        })
    }

    /// Those that there are, by the names of their models.
    fn by_name(&self) -> Vec<(&'static str, &Answers)> {
        let all = [
            (BASE, Some(&self.base)),
            (SFT, Some(&self.sft)),
            (BEST_OF_N, self.best.as_ref().map(|(_, answers)| answers)),
            (PPO, Some(&self.ppo)),
            (PPO_EMA, self.averaged.as_ref()),
        ];
        let there = |(name, answers)| Some((name, answers?));
        all.into_iter().filter_map(there).collect()
    }

    /// The figures of every model.
    fn summary(&self, work: &Workspace<'_>, exam: &Exam<'_>) -> Result<Summary> {
        let figures = |(name, answers): (&'static str, &Answers)| {
            let mut figures = exam.summarise(answers, &self.sft);
            figures.gains = exam.gains(answers, &self.base);
            figures.second = exam.opinions(answers, &self.base, &self.sft);
            (name.to_owned(), figures)
        };
        let report_of = |stage: &dyn Stage| {
            if work.config().trains_reward_model() {
                read_json(&work.output(stage, REPORT)?)
            } else {
                Ok(Value::Null)
            }
        };
        Ok(Summary {
            prompts: exam.prompts.len(),
            models: self.by_name().into_iter().map(figures).collect(),
            matrices: exam.matrices(&self.by_name()),
            best_of_n_samples: self.best.as_ref().map_or(0, |(n, _)| *n),
            reward: report_of(&Reward)?,
            labeler_agreement: report_of(&Label)?,
        })
    }
}
