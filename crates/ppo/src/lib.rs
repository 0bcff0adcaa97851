//! PPO with a KL penalty and a pretraining mix (PPO-ptx), as InstructGPT describes it.
