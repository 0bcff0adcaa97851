//! Decoder transformers in Burn: language model, reward and value heads, KV cache, Hugging Face checkpoints.
