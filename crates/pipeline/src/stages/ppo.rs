//! PPO against the reward model.

use std::path::{Path, PathBuf};

use rlhf_core::atomic;
use rlhf_data::{Prompt, Split, Tokenizer, pack_documents};
use rlhf_judges::Command;
use rlhf_model::{
    CausalLm, ModelConfig, ScalarModel, StorageType, load_causal_lm, load_config, load_scalar_adapter,
    load_scalar_model, save_causal_lm, save_scalar_model,
};
use rlhf_ppo::{
    Episode, Evaluation, Observer, PpoConfig, PpoData, PpoModels, PpoOutcome, PpoPrompt, PpoReport, Scorer, Select,
    ValueInit, memory_forecast, train,
};
use serde_json::{Value, json};

use super::adapters::{self, ADAPTER};
use super::opinions::{Opinion, OutsideModel, TextScorer};
use super::pretrain::save_model;
use super::samples::{keep_model, write_samples};
use super::task::{gold_judge, rows_of_judge};
use super::{REPORT, Reward, Sft, WEIGHTS};
use crate::config::{Config, JudgeSource, RewardSource};
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::memory::Savings;
use crate::rows::{DOCUMENTS, PPO_PROMPTS, RowsRead};
use crate::settings::Settings;
use crate::stage::{Extent, Stage};
use crate::suggest;
use crate::workspace::Workspace;

/// Optimises the SFT model against the reward model.
#[derive(Debug, Clone, Copy)]
pub struct Ppo;

impl Ppo {
    /// The averaged policy, in a folder beside the model's files.
    pub(super) const EMA_MODEL: &str = "ema_model";
    /// The value network.
    const VALUE_MODEL: &str = "value_model";
}

fn reads(config: &Config) -> Vec<RowsRead> {
    let mixed = config.ppo.ptx.is_on().then(|| DOCUMENTS.train());
    let prompts = if config.ppo.evaluate.every > 0 {
        PPO_PROMPTS.both()
    } else {
        PPO_PROMPTS.train()
    };
    [prompts].into_iter().chain(mixed).collect()
}

impl Stage for Ppo {
    fn name(&self) -> &'static str {
        "ppo"
    }

    fn about(&self) -> &'static str {
        "Optimise the SFT model against the reward model (step 3)"
    }

    fn settings(&self, config: &Config) -> Value {
        let settings = Settings::new()
            .section(self.name(), &config.ppo.identity())
            .rows(config, &reads(config))
            .conversations(config, &["long_prompts", "max_seq_len", "chat_date"])
            .keys("ppo_reward", &config.ppo_reward, &["from"]);
        let settings = match config.ppo_judge.from {
            JudgeSource::Nobody => settings,
            JudgeSource::Judge => settings.section("ppo_judge", &config.ppo_judge).task(config),
            JudgeSource::Model => settings.section("ppo_judge", &config.ppo_judge),
        };
        match config.ppo_reward.from {
            RewardSource::Judge => settings.task(config),
            RewardSource::Model => settings.keys("ppo_reward", &config.ppo_reward, &["model"]),
            RewardSource::Command => settings.keys("ppo_reward", &config.ppo_reward, &["command"]),
            RewardSource::Trained => settings,
        }
        .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let config = work.config();
        let inputs = work.inputs().output(&Sft, WEIGHTS)?.rows(&reads(config))?;
        let inputs = match config.ppo_judge.from {
            JudgeSource::Nobody => inputs,
            JudgeSource::Judge => inputs.rows(&rows_of_judge(config.data.source))?,
            JudgeSource::Model => inputs.model(&config.ppo_judge.model, &[WEIGHTS])?,
        };
        match config.ppo_reward.from {
            RewardSource::Judge => inputs.rows(&rows_of_judge(config.data.source)),
            RewardSource::Model => inputs.model(&config.ppo_reward.model, &[WEIGHTS]),
            RewardSource::Command => Ok(inputs),
            RewardSource::Trained => {
                let inputs = inputs.output(&Reward, WEIGHTS)?;
                Ok(match reward_adapter(work) {
                    Some(adapter) => inputs.file(adapter),
                    None => inputs,
                })
            }
        }
    }

    fn extent(&self, config: &Config) -> Option<Extent> {
        let falling = "the learning rate falls towards the last update, so that a longer run is another from its first on; a \
                       run whose ppo.lr.kind and ppo.value_lr.kind are `constant` from the start can go on";
        Some(Extent {
            key: "ppo.episodes",
            unit: "updates",
            asked: config.ppo.updates() as u64,
            obstacle: (!config.ppo.may_grow()).then_some(falling),
        })
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let settings = &work.config().ppo;
        let tokenizer = work.tokenizer(&Sft)?;
        let config = load_config(&work.folder(&Sft))?;
        adapters::check(work, self, settings.lora.as_ref(), &config)?;
        let config = config.with_storage(StorageType::F32);
        let Prompts {
            prompts,
            rows,
            held_out,
        } = Prompts::read(work, &tokenizer, work.max_seq_len(&config))?;
        let documents = if settings.ptx.is_on() {
            work.documents(&[Split::Train])?.train
        } else {
            Vec::new()
        };
        let pretraining = pack_documents(&tokenizer, &documents, work.max_seq_len(&config));
        work.doubt_rates(suggest::parameters_of(&work.folder(&Sft))?);
        let data = PpoData {
            prompts: &prompts,
            held_out,
            pretraining: &pretraining,
            eos_token_id: tokenizer.eos_token_id(),
            stop_token_ids: tokenizer.other_eos_token_ids(),
        };
        // Its own memory is that of the process once it is loaded.
        let judge = judge(work, &tokenizer, &rows)?;
        let models = if work.config().optimises_own_reward_model() {
            models(work, data, &config)?
        } else {
            models_with_opinion(work, data, &config, &tokenizer, rows)?
        };
        let models = PpoModels { judge, ..models };
        let reward_model = models.scorer.model();
        let reward_has_adapters = reward_model.is_some_and(|model| model.transformer.lora().is_some());
        let value_base = match settings.value_init {
            ValueInit::RewardModel if !reward_has_adapters => work.folder(&Reward),
            _ => work.folder(&Sft),
        };
        let mut observer = RolloutSamples {
            work,
            config: &config,
            path: work.dir().samples_path(),
            tokenizer: &tokenizer,
        };
        let outcome = train(models, data, settings, &work.context()?, &mut observer)?;
        work.finish();
        let report = &outcome.report;
        work.note(&format!(
            "score {:+.3} -> {:+.3} at {:.2} nats from the SFT model",
            report.first_score, report.last_score, report.last_kl,
        ));
        for line in of_evaluations(report, settings) {
            work.note(&line);
        }
        write_json(&work.dir().path().join(REPORT), report)?;
        save(work, &outcome, &value_base, &config, &tokenizer)
    }
}

/// The prompts that are answered: those to learn from, then those held out for evaluations.
struct Prompts {
    /// Each with its task.
    prompts: Vec<PpoPrompt>,
    /// Their rows.
    rows: Vec<Prompt>,
    /// So many of the last are held out.
    held_out: usize,
}

impl Prompts {
    fn read(work: &Workspace<'_>, tokenizer: &Tokenizer, max_seq_len: usize) -> Result<Self> {
        let settings = &work.config().ppo;
        let halves = work.ppo_prompts(&[Split::Train])?;
        if halves.validation.is_empty() {
            work.note(
                "no prompt is held out (data.validation_fraction): stage `eval` will have none to compare models on",
            );
        }
        let mut found = Self {
            prompts: Vec::new(),
            rows: Vec::new(),
            held_out: 0,
        };
        let mut add = |prompts: &[Prompt], most: usize| -> Result<usize> {
            let (ids, kept) = work.prompt_ids(tokenizer, prompts, settings.max_new_tokens, max_seq_len)?;
            let mut added = 0;
            for (input_ids, row) in ids.into_iter().zip(kept).take(most) {
                let task = prompts[row].task.clone();
                found.prompts.push(PpoPrompt { input_ids, task });
                found.rows.push(prompts[row].clone());
                added += 1;
            }
            Ok(added)
        };
        add(&halves.train, usize::MAX)?;
        if settings.evaluate.every > 0 {
            found.held_out = add(&work.held_out_prompts()?.validation, settings.evaluate.prompts)?;
        }
        Ok(found)
    }
}

/// Whoever judges the answers to held-out prompts.
fn judge(work: &Workspace<'_>, tokenizer: &Tokenizer, rows: &[Prompt]) -> Result<Option<Box<dyn Scorer>>> {
    let settings = &work.config().ppo_judge;
    if work.config().ppo.evaluate.every == 0 {
        return Ok(None);
    }
    let opinion = match settings.from {
        JudgeSource::Nobody => return Ok(None),
        JudgeSource::Judge => Opinion::Gold(gold_judge(work)?.expect("this judge is refused where no judge is")),
        JudgeSource::Model => Opinion::Model(Box::new(OutsideModel::load(work, &settings.model)?)),
    };
    Ok(Some(Box::new(TextScorer::new(
        opinion,
        tokenizer.clone(),
        rows.to_vec(),
    ))))
}

/// What the evaluations say, and what came of it.
fn of_evaluations(report: &PpoReport, settings: &PpoConfig) -> Vec<String> {
    let Some(first) = report.evaluations.first() else {
        return Vec::new();
    };
    let figures = |evaluation: &Evaluation| {
        let judge = evaluation
            .judge
            .map_or_else(String::new, |judge| format!(", judge {judge:.3}"));
        format!(
            "score {:+.3}{judge}, {:.2} nats, {:.0} % end, {:.1} tokens",
            evaluation.score,
            evaluation.kl,
            100.0 * evaluation.eos_fraction,
            evaluation.length
        )
    };
    let line = |name: &str, evaluation: &Evaluation| {
        format!(
            "{name} update {} on held-out prompts: {}",
            evaluation.update,
            figures(evaluation)
        )
    };
    let last = report.evaluations.last().unwrap_or(first);
    let mut lines = vec![line("before", first)];
    lines.extend((last.update > first.update).then(|| line("after", last)));
    if settings.select != Select::Last
        && let Some(kept) = report
            .evaluations
            .iter()
            .find(|evaluation| evaluation.update == report.selected)
    {
        lines.push(line("kept: after", kept));
    }
    lines.extend(
        report
            .stopped
            .as_ref()
            .map(|why| format!("stopped after update {}: {why}", report.updates)),
    );
    lines
}

/// The SFT model and what scores its answers as text, once it is known that there is memory for them.
fn models_with_opinion(
    work: &Workspace<'_>,
    data: PpoData<'_>,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    prompts: Vec<Prompt>,
) -> Result<PpoModels> {
    let settings = &work.config().ppo;
    let placement = adapters::placement(work.device(), settings.lora.as_ref());
    let outline = CausalLm::outline(config, placement);
    // Its own memory is that of the process once it is loaded.
    let opinion = match work.config().ppo_reward.from {
        RewardSource::Model => {
            let model = OutsideModel::load(work, &work.config().ppo_reward.model)?;
            Opinion::Model(Box::new(model))
        }
        RewardSource::Command => {
            let command = Command::start(&work.config().ppo_reward.command)?;
            Opinion::Command(Box::new(command))
        }
        RewardSource::Judge | RewardSource::Trained => {
            Opinion::Judge(gold_judge(work)?.expect("this reward is refused where no judge is"))
        }
    };
    let scorer = TextScorer::new(opinion, tokenizer.clone(), prompts);
    let outline = PpoModels {
        sft: outline,
        scorer: Box::new(scorer),
        judge: None,
    };
    let forecast = memory_forecast(&outline, data, settings, work.seed())?;
    work.announce_memory(&forecast, savings(&Ppo, settings))?;
    let (sft, _) = load_causal_lm(&work.folder(&Sft), placement)?;
    Ok(PpoModels { sft, ..outline })
}

/// The SFT model and the reward model, once it is known that there is memory for them.
fn models(work: &Workspace<'_>, data: PpoData<'_>, config: &ModelConfig) -> Result<PpoModels> {
    let settings = &work.config().ppo;
    let is_shared = shares_backbone(work)?;
    let placement = adapters::placement(work.device(), settings.lora.as_ref());
    let outline = CausalLm::outline(config, placement);
    let outline = with_reward_model(outline, is_shared, work, |dir| {
        Ok(ScalarModel::outline(&load_config(dir)?, work.device()))
    })?;
    let forecast = memory_forecast(&outline, data, settings, work.seed())?;
    work.announce_memory(&forecast, savings(&Ppo, settings))?;
    drop(outline);
    let (sft, _) = load_causal_lm(&work.folder(&Sft), placement)?;
    with_reward_model(sft, is_shared, work, |dir| Ok(load_scalar_model(dir, work.device())?.0))
}

/// Writes policy, average and value model. The adapters of the value model belong to `value_base`.
fn save(
    work: &Workspace<'_>,
    outcome: &PpoOutcome,
    value_base: &Path,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let base = work.folder(&Sft);
    if let Some(ema) = &outcome.ema {
        atomic::write_dir(work.dir().other_model_dir(Ppo::EMA_MODEL), |dir| -> Result<()> {
            adapters::save_causal(dir, ema, &base)?;
            save_causal_lm(dir, ema, config)?;
            Ok(tokenizer.save(dir)?)
        })?;
    }
    atomic::write_dir(work.dir().other_model_dir(Ppo::VALUE_MODEL), |dir| -> Result<()> {
        adapters::save_scalar(dir, &outcome.value, value_base)?;
        save_scalar_model(dir, &outcome.value, config)?;
        Ok(tokenizer.save(dir)?)
    })?;
    adapters::save_causal(work.dir().model_dir(), &outcome.policy, &base)?;
    save_model(work, &outcome.policy, config, tokenizer)
}

/// The file of the reward model's adapters, if PPO may read them in place of the merged model: where it trains adapters
/// itself, so that no weight of the trunk changes.
fn reward_adapter(work: &Workspace<'_>) -> Option<PathBuf> {
    let adapter = work.folder(&Reward).join(ADAPTER).join("adapter_model.safetensors");
    (work.config().ppo.lora.is_some() && adapter.exists()).then_some(adapter)
}

/// The reward model is adapters on the trunk of the SFT model, trained on this very model, so that all models of PPO can
/// share it.
fn shares_backbone(work: &Workspace<'_>) -> Result<bool> {
    let sft = work.folder(&Sft).join(WEIGHTS);
    let trained_on = work.digest_read_by(&Reward, &sft)?;
    let is_shared =
        reward_adapter(work).is_some() && trained_on.is_some() && trained_on.as_deref() == work.input_digest(&sft);
    if is_shared {
        work.note("policy, reference, reward and value models share one backbone");
    }
    Ok(is_shared)
}

/// The SFT model and the reward model, on its trunk or `alone`, from the folder it is in.
fn with_reward_model(
    sft: CausalLm,
    is_shared: bool,
    work: &Workspace<'_>,
    alone: impl FnOnce(&Path) -> Result<ScalarModel>,
) -> Result<PpoModels> {
    let dir = work.folder(&Reward);
    let reward = if is_shared {
        load_scalar_adapter(&dir.join(ADAPTER), sft.transformer.clone())?
    } else {
        alone(&dir)?
    };
    Ok(PpoModels::with_reward_model(sft, reward, &work.config().ppo))
}

/// Ways to do the stage with less memory.
fn savings(stage: &dyn Stage, settings: &PpoConfig) -> Savings<'static> {
    Savings {
        section: stage.name(),
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters: settings.lora.is_none(),
        generates: true,
    }
}

struct RolloutSamples<'a> {
    work: &'a Workspace<'a>,
    /// Configuration of the policy, for those that are kept whole.
    config: &'a ModelConfig,
    path: PathBuf,
    tokenizer: &'a Tokenizer,
}

impl Observer for RolloutSamples<'_> {
    type Error = Error;

    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<()> {
        let rows = episodes
            .iter()
            .map(|Episode { response, scored, .. }| {
                json!({
                    "score": scored.score,
                    "kl": scored.sequence_kl(),
                    "prompt": self.tokenizer.decode(response.prompt_tokens(), true),
                    "completion": self.tokenizer.decode(response.tokens(), true),
                })
            })
            .collect();
        write_samples(&self.path, update, rows)
    }

    fn kept(&mut self, updates: u64, policy: &CausalLm) -> Result<()> {
        keep_model(self.work, updates, policy, self.config, self.tokenizer)
    }
}
