//! Language-model training on text (pretraining) and on demonstrations (SFT).
