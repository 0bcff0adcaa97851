//! Steps of SFT.

use rlhf_core::LrSchedule;
use rlhf_core::stage::Quiet;
use rlhf_data::TokenSequence;
use rlhf_sft::{Selection, SftConfig, SftData, train};

use super::{Line, STEP_METRICS, Setting, step_line};
use crate::error::Result;

/// Steps on sequences of the whole context.
pub(super) fn measure(setting: &Setting) -> Result<Line> {
    let shape = &setting.shape;
    let lens = vec![shape.context; (setting.warmup + setting.steps) * shape.batch];
    measure_lens(setting, "sft", &lens, shape.batch)
}

/// Steps on sequences of these lengths, `batch` at a time, every token but the first supervised.
pub(super) fn measure_lens(setting: &Setting, bench: &'static str, lens: &[usize], batch: usize) -> Result<Line> {
    let shape = &setting.shape;
    let supervised = |ids: Vec<u32>| TokenSequence {
        loss_mask: (0..ids.len()).map(|t| t > 0).collect(),
        input_ids: ids,
    };
    let of_lens = |seed, lens: &[usize]| -> Vec<TokenSequence> {
        shape.sequences(seed, lens).into_iter().map(supervised).collect()
    };
    let (rows, watched) = (of_lens(1, lens), of_lens(2, &[8]));
    let config = SftConfig {
        epochs: 1,
        batch_size: batch,
        lr: LrSchedule {
            peak_lr: 3e-4,
            ..LrSchedule::default()
        },
        eval_every: usize::MAX,
        select: Selection::Last,
        checkpoint_every: usize::MAX,
        ..SftConfig::default()
    };
    let measured = setting.steps_of(&STEP_METRICS, |context| {
        let data = SftData {
            train: &rows,
            validation: &watched,
        };
        let model = shape.language_model(1, &setting.device);
        Ok(train(model, data, &config, context, &mut Quiet)?)
    })?;
    Ok(step_line(setting, bench, batch, &measured))
}
