//! The crate's promises about files, tokenizers and conversations, a module per subject.

mod bad_input;
mod chat;
mod chat_golden;
mod chat_tokens;
mod fit;
mod folders;
mod golden;
mod measure;
mod parquet;
mod readers;
mod reasoning;
mod seams;
mod sentencepiece;
mod shorten;
mod tokenizer;
mod tokenizer_files;
mod trim;
mod troubles;
