//! `rlhf stages`.

use rlhf_pipeline::STAGES;

use super::output::Output;
use crate::error::Result;

pub(super) fn run() -> Result<()> {
    let mut output = Output::open();
    for stage in STAGES {
        output.text(&format!("{}\n", stage.name()))?;
    }
    output.flush()
}
