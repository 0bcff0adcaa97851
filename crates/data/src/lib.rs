//! Files to rows to tokens: everything of the rlhf workspace that knows text, and nothing that knows tensors.
//!
//! [`read_demonstrations`], [`read_comparisons`], [`read_prompts`] and [`read_text`] turn `.jsonl`, `.json` and
//! `.txt` files, gzipped or not, and `.parquet` files into [`Demonstration`]s, [`Comparison`]s, [`Prompt`]s and documents;
//! [`load_demonstrations`] and its siblings do so for several weighted [`Source`]s. [`split_rows`] holds prompts out
//! by their hash. [`Tokenizer`] is byte-level BPE with tokens for pad, eos and the three roles, or what a model brings, and
//! [`demonstration_sequence`], [`comparison_tokens`], [`prompt_tokens`] and [`pack_documents`] give what each stage
//! trains on; a conversation that is too long loses its oldest exchanges, and [`Fitted`] says how many messages. A model that
//! brings a [`ChatTemplate`] has its conversations written by that. [`shuffled_order`] and [`cyclic_rows`] order rows.
//! [`files_of`] and [`kind_of_file`] say what a folder holds, and [`prompt_lengths`] and its siblings how long the rows are.
//!
//! ```
//! use rlhf_data::{Message, Tokenizer, TokenizerConfig};
//!
//! # fn main() -> rlhf_data::Result<()> {
//! let config = TokenizerConfig { vocab_size: 300, min_frequency: 2 };
//! let tokenizer = Tokenizer::train(["the sea, the sea", "the shore"], &config)?;
//! let prompt = [Message::user("the sea?")];
//! let mut ids = tokenizer.encode_prompt(&prompt)?;
//! ids.extend(tokenizer.encode_completion(&prompt, "the shore")?);
//! assert_eq!(tokenizer.decode(&ids, false), "<|user|>the sea?<|assistant|>the shore<|eos|>");
//! # Ok(())
//! # }
//! ```

mod chat;
mod columns;
mod dialogue;
mod error;
mod inspect;
mod kind;
mod learnt;
mod lengths;
mod lines;
mod marked;
mod order;
mod origin;
mod parquet;
mod read;
mod row;
mod rows;
mod sequence;
mod shorten;
mod source;
mod special;
mod split;
mod text;
mod thumbs;
mod tokenizer;
mod trim;
mod types;

pub use chat::{Chat, ChatTemplate, Clock, Rendered};
pub use columns::Columns;
pub use error::{Error, Result};
pub use inspect::{Fit, InspectOptions, Inspection, LostText, ShownPart, ShownRow, inspect};
pub use kind::{DataKind, files_of, kind_of_file};
pub use lengths::{
    ComparisonLengths, DemonstrationLengths, Lengths, comparison_lengths, demonstration_lengths, prompt_lengths,
};
pub use marked::MarkedTokens;
pub use order::{cyclic_rows, mixed_in, shuffled_order};
pub use origin::Origin;
pub use read::{
    FileReport, LoadReport, Loaded, read_comparisons, read_comparisons_from, read_demonstrations,
    read_demonstrations_from, read_objects, read_objects_from, read_prompts, read_prompts_from, read_text,
    read_text_from,
};
pub use row::{Candidates, Row};
pub use sequence::{
    LossOn, TokenSequence, TokenizedComparison, all_comparison_tokens, answered_tokens, comparison_tokens,
    demonstration_sequence, pack_documents, prompt_tokens,
};
pub use shorten::Fitted;
pub use source::{Source, load_comparisons, load_demonstrations, load_prompts, load_text};
pub use split::{Split, is_test, part_by_hash, split_by_hash, split_documents, split_rows};
pub use text::Documents;
pub use tokenizer::{DecodeStream, EncodedChat, Tokenizer, TokenizerConfig};
pub use trim::{Asks, trimmed};
pub use types::{Comparison, Demonstration, Message, Prompt, Reasoning, Role, decided_pairs, prompt_key};
