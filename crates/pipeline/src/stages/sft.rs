//! Supervised fine-tuning on demonstrations.

use rlhf_data::{
    Demonstration, Error as DataError, Prompt, Split, TokenSequence, mixed_in, pack_documents, prompt_tokens, trimmed,
};
use rlhf_hub::Want;
use rlhf_model::{CausalLm, ScalarModel, StorageType, load_causal_lm, load_config, load_scalar_model};
use rlhf_sft::{Selection, SftConfig, SftData, SftOutcome, memory_forecast, train};
use serde_json::Value;

use super::adapters;
use super::pretrain::save_model;
use super::samples::{self, SampleObserver};
use super::{Pretrain, REPORT, WEIGHTS, tokenizer};
use crate::config::Config;
use crate::error::Result;
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::memory::Savings;
use crate::rows::{BOTH, DEMONSTRATIONS, DOCUMENTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Fine-tunes the pretrained model on demonstrations.
#[derive(Debug, Clone, Copy)]
pub struct Sft;

/// Tokens of a window of text among demonstrations, at least where the context allows it: shorter ones teach little of text.
const SHORTEST_WINDOW: usize = 256;
/// Validation prompts that are answered at each evaluation.
const SAMPLES: usize = 8;

fn reads(config: &Config) -> Vec<RowsRead> {
    if !config.has_demonstrations() {
        return Vec::new();
    }
    let mixed = (config.sft_mix.pretrain_fraction > 0.0).then(|| DOCUMENTS.train());
    [DEMONSTRATIONS.both()].into_iter().chain(mixed).collect()
}

/// The weights kept depend on what the model says at each evaluation.
fn selects_by_score(config: &Config) -> bool {
    config.sft.select == Selection::RewardScore
}

impl Stage for Sft {
    fn name(&self) -> &'static str {
        "sft"
    }

    fn about(&self) -> &'static str {
        "Fine-tune it on demonstrations (step 1)"
    }

    fn settings(&self, config: &Config) -> Value {
        if !config.has_demonstrations() {
            return Settings::new().keys("data", &config.data, &["demonstrations"]).into();
        }
        let settings = Settings::new()
            .section(self.name(), &config.sft.identity())
            .section("sft_mix", &config.sft_mix)
            .rows(config, &reads(config))
            .conversations(config, &["max_seq_len", "chat_date"]);
        if !selects_by_score(config) {
            return settings.into();
        }
        settings
            .section("sft_selection", &config.sft_selection)
            .keys("sample", &config.sample, &["max_new_tokens"])
            .keys("eval", &config.eval, &["sampling"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let config = work.config();
        let inputs = work
            .inputs()
            .output(&tokenizer::Tokenizer, tokenizer::Tokenizer::FILE)?
            .output(&Pretrain, WEIGHTS)?
            .output_if_there(&tokenizer::Tokenizer, tokenizer::Tokenizer::CHAT_TEMPLATE)
            .rows(&reads(config))?;
        if config.has_demonstrations() && selects_by_score(config) {
            inputs.model(&config.sft_selection.reward_model, &[WEIGHTS])
        } else {
            Ok(inputs)
        }
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let (config, settings) = (work.config(), &work.config().sft);
        let tokenizer = work.tokenizer(&tokenizer::Tokenizer)?;
        let base = work.folder(&Pretrain);
        if !config.has_demonstrations() {
            work.note("there are no demonstrations (data.demonstrations): the model goes on as it is");
            let (model, model_config) = load_causal_lm(&base, work.device())?;
            return save_model(work, &model, &model_config, &tokenizer);
        }
        let model_config = load_config(&base)?;
        adapters::check(work, self, settings.lora.as_ref(), &model_config)?;
        // What training adds may be less than a step of the type that the base came in.
        let model_config = model_config.with_storage(StorageType::F32);
        let max_seq_len = work.max_seq_len(&model_config);
        let demonstrations = work.demonstrations(BOTH)?;
        let mut train_rows = work.supervised(&tokenizer, &demonstrations.train, max_seq_len)?;
        train_rows.extend(pretraining_mix(work, &tokenizer, &train_rows, max_seq_len)?);
        let validation = work.supervised(&tokenizer, &demonstrations.validation, max_seq_len)?;
        let max_new_tokens = config.sample.max_new_tokens;
        let room = max_seq_len.saturating_sub(max_new_tokens);
        let prompts = sample_prompts(work, &tokenizer, &demonstrations.validation, room)?;
        let data = SftData {
            train: &train_rows,
            validation: &validation,
        };
        let placement = adapters::placement(work.device(), settings.lora.as_ref());
        let outline = CausalLm::outline(&model_config, placement);
        work.doubt_rates(rlhf_core::count_parameters(&outline));
        let sampled = samples::forecast(&outline, &prompts, max_new_tokens);
        let forecast = memory_forecast(&outline, data, settings, work.seed(), sampled)?;
        work.announce_memory(&forecast, savings(self, settings, settings.lora.is_none()))?;
        let (model, _) = load_causal_lm(&base, placement)?;
        let mut observer = SampleObserver {
            work,
            config: &model_config,
            path: work.dir().samples_path(),
            tokenizer: &tokenizer,
            prompts,
            shown: SAMPLES,
            max_new_tokens,
            sampling: config.eval.sampling.clone(),
            seed: work.seed(),
            purpose: "sft.samples",
            reward_model: reward_model(work)?,
        };
        let SftOutcome { model, report } = train(model, data, settings, &work.context()?, &mut observer)?;
        work.finish();
        work.note(&format!(
            "validation loss {:.3} -> {:.3} (step {} of {})",
            report.initial.loss, report.selected.loss, report.selected_step, report.steps,
        ));
        write_json(&work.dir().path().join(REPORT), &report)?;
        adapters::save_causal(work.dir().model_dir(), &model, &base)?;
        save_model(work, &model, &model_config, &tokenizer)
    }
}

/// Windows of pretraining text that make up the configured share of the stage's tokens.
fn pretraining_mix(
    work: &Workspace<'_>,
    tokenizer: &rlhf_data::Tokenizer,
    demonstrations: &[TokenSequence],
    context: usize,
) -> Result<Vec<TokenSequence>> {
    let fraction = work.config().sft_mix.pretrain_fraction;
    if fraction == 0.0 {
        return Ok(Vec::new());
    }
    // A window is one sequence of a step, as a demonstration is: as long as the longest of them, it does not drown the others.
    let longest = demonstrations.iter().map(TokenSequence::len).max().unwrap_or(0);
    let window = context.min(longest.max(SHORTEST_WINDOW));
    let windows = pack_documents(tokenizer, &work.documents(&[Split::Train])?.train, window);
    if windows.is_empty() {
        work.note("no text is mixed in: there is none to learn from");
    }
    Ok(mixed_in(&windows, demonstrations, fraction, work.seed()))
}

/// Validation prompts to answer while the model learns, those of at most `room` tokens without their oldest exchanges.
fn sample_prompts(
    work: &Workspace<'_>,
    tokenizer: &rlhf_data::Tokenizer,
    demonstrations: &[Demonstration],
    room: usize,
) -> Result<Vec<Vec<u32>>> {
    let prompts = demonstrations.iter().map(|row| {
        let prompt = Prompt {
            id: row.id.clone(),
            messages: row.prompt().to_vec(),
            task: None,
            origin: row.origin.clone(),
        };
        let max_tokens = work.config().data.max_prompt_tokens.unwrap_or(usize::MAX);
        prompt_tokens(tokenizer, trimmed(tokenizer, &prompt, max_tokens)?.as_ref(), room, 0).map(|fitted| fitted.value)
    });
    let fitting = prompts.filter(|ids| !matches!(ids, Err(DataError::PromptTooLong { .. })));
    let wanted = work.config().sft_selection.prompts.max(SAMPLES);
    Ok(fitting.take(wanted).collect::<Result<Vec<_>, _>>()?)
}

/// The reward model of an earlier round, if there is one.
fn reward_model(work: &Workspace<'_>) -> Result<Option<ScalarModel>> {
    let location = &work.config().sft_selection.reward_model;
    if location.as_os_str().is_empty() {
        return Ok(None);
    }
    let dir = work.locations().model(location, Want::Model)?;
    Ok(Some(load_scalar_model(&dir, work.device())?.0))
}

/// Ways to do next-token training with less memory.
pub(super) fn savings(stage: &dyn Stage, settings: &SftConfig, could_have_adapters: bool) -> Savings<'static> {
    Savings {
        section: stage.name(),
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters,
        generates: false,
    }
}
