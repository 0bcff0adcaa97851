//! TensorBoard reads our event files, of a run that was interrupted too; where `RLHF_PYTHON` names a Python with `tensorboard`.

use std::ops::RangeInclusive;
use std::path::Path;

use rlhf_core::MetricWriter;

use crate::python;

/// Rows of two kinds, as a stage writes them; `attempt` is what differs when a step is done again.
fn log(metrics: &mut MetricWriter, steps: RangeInclusive<u64>, attempt: f64) {
    for step in steps {
        let x = step as f64;
        let values = [("loss/train", 1.0 / x), ("time/step_s", attempt), ("lr", 3e-6 * x)];
        metrics.log(step, &values).expect("a row");
        if step % 3 == 0 {
            let value = if step == 6 { f64::NAN } else { x.sqrt() };
            metrics.log(step, &[("loss/validation", value)]).expect("a row");
        }
    }
}

fn write(run: &Path) {
    let mut metrics = MetricWriter::create(run.join("sft")).expect("a folder");
    log(&mut metrics, 1..=40, 0.5);
    // Killed after step 17, with a checkpoint of step 10; and once more.
    let stage = run.join("ppo");
    log(&mut MetricWriter::create(&stage).expect("a folder"), 1..=17, 0.5);
    log(&mut MetricWriter::resume(&stage, 10).expect("its rows"), 11..=21, 0.25);
    log(&mut MetricWriter::resume(&stage, 20).expect("its rows"), 21..=30, 0.125);
}

#[test]
fn tensorboard_shows_what_the_rows_say() {
    let run = tempfile::tempdir().expect("a temporary folder");
    write(run.path());
    python::run("tensorboard/check.py", &[run.path().to_path_buf()]);
}
