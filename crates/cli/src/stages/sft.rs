//! Supervised fine-tuning on demonstrations.

use rlhf_core::hash::Fingerprint;
use rlhf_data::{TokenSequence, Tokenizer, shuffled_order};
use rlhf_hub::Want;
use rlhf_model::{CausalLm, StorageType, load_causal_lm, load_config, load_scalar_model};
use rlhf_sft::{SftConfig, SftData, SftOutcome, memory_forecast, train};

use super::adapters;
use super::dataset::{supervised, text_windows};
use super::pretrain::save_model;
use super::samples::{self, SampleObserver};
use crate::error::Result;
use crate::memory::Savings;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

/// Validation prompts that are answered at each evaluation.
const SAMPLES: usize = 8;

/// How next-token training could do with less memory.
pub(crate) fn savings<'a>(section: &'a str, settings: &SftConfig) -> Savings<'a> {
    Savings {
        section,
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters: settings.lora.is_none() && section != "pretrain",
    }
}

/// Windows of pretraining text that make up the configured share of the stage's tokens.
fn pretraining_mix(
    work: &Workspace,
    tokenizer: &Tokenizer,
    demonstrations: &[TokenSequence],
    context: usize,
) -> Result<Vec<TokenSequence>> {
    let fraction = work.config.sft_mix.pretrain_fraction;
    if fraction == 0.0 {
        return Ok(Vec::new());
    }
    let tokens: usize = demonstrations.iter().map(TokenSequence::len).sum();
    let wanted = tokens as f64 * fraction / (1.0 - fraction);
    let windows = text_windows(tokenizer, &work.documents()?.train, context);
    let mut order = shuffled_order(windows.len(), work.config.seed, 0);
    order.truncate((wanted / context as f64).ceil() as usize);
    Ok(order.into_iter().map(|row| windows[row].clone()).collect())
}

pub(crate) fn run(work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    let tokenizer = work.tokenizer(Stage::Tokenizer)?;
    let base = work.path("pretrain");
    let config = load_config(&base)?;
    adapters::check(Stage::Sft, work.config.sft.lora.as_ref(), &config)?;
    // What training adds may be less than a step of the type that the base came in.
    let config = config.with_storage(StorageType::F32);
    let demonstrations = work.demonstrations()?;
    let max_seq_len = config.max_seq_len();
    let mut train_rows = supervised(&tokenizer, &demonstrations.train, max_seq_len)?;
    train_rows.extend(pretraining_mix(work, &tokenizer, &train_rows, max_seq_len)?);
    let validation = supervised(&tokenizer, &demonstrations.validation, max_seq_len)?;
    let max_new_tokens = work.config.sample.max_new_tokens;
    let prompts = demonstrations
        .validation
        .iter()
        .map(|d| tokenizer.encode_prompt(d.prompt()))
        .filter(|ids| {
            ids.as_ref()
                .map_or(true, |ids| ids.len() + max_new_tokens <= max_seq_len)
        })
        .take(work.config.sft_selection.prompts.max(SAMPLES))
        .collect::<Result<Vec<_>, _>>()?;
    let data = SftData {
        train: &train_rows,
        validation: &validation,
    };
    let settings = &work.config.sft;
    let placement = adapters::placement(&work.device, settings.lora.as_ref());
    let outline = CausalLm::outline(&config, placement);
    let forecast = memory_forecast(
        &outline,
        data,
        settings,
        work.config.seed,
        samples::forecast(&outline, &prompts, max_new_tokens),
    )?;
    work.announce_memory(&forecast, savings("sft", settings))?;
    let (model, _) = load_causal_lm(&base, placement)?;
    let reward_dir = &work.config.sft_selection.reward_model;
    let reward_model = match reward_dir.as_os_str().is_empty() {
        true => None,
        false => Some(load_scalar_model(&work.places.model(reward_dir, Want::Model)?, &work.device)?.0),
    };
    let mut observer = SampleObserver {
        path: work.dir.samples_path(),
        tokenizer: &tokenizer,
        prompts,
        shown: SAMPLES,
        max_new_tokens,
        sampling: work.config.eval.sampling.clone(),
        seed: work.config.seed,
        reward_model,
    };
    let context = work.context(fingerprint)?;
    let SftOutcome { model, report } = train(model, data, settings, &context, &mut observer)?;
    work.bar.finish();
    note(&format!(
        "      sft validation loss {:.3} -> {:.3} (step {} of {})",
        report.initial.loss, report.selected.loss, report.selected_step, report.steps,
    ));
    work.write_json(&work.dir.path().join("report.json"), &report)?;
    adapters::save_causal(work.dir.model_dir(), &model, &base)?;
    save_model(work, &model, &config, &tokenizer)
}
