//! Says what is in a data file: `cargo run -p rlhf-data --example inspect -- FILE [TOKENIZER_DIR]`.
//!
//! Without arguments it writes a small file of its own and inspects that.

use std::path::PathBuf;

use rlhf_data::{InspectOptions, Tokenizer, TokenizerConfig, inspect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (path, tokenizer) = match arguments.next() {
        Some(path) => (PathBuf::from(path), arguments.next().map(Tokenizer::load).transpose()?),
        None => {
            let path = std::env::temp_dir().join("rlhf-data-inspect.jsonl");
            let rows = concat!(
                r#"{"prompt":"Name a colour.","completions":["Blue.","I would rather not."],"ranking":[0,1]}"#,
                "\n",
                r#"{"prompt":"What is 2 + 2?","completions":["4","5","Four."],"ranking":[0,1,0]}"#,
                "\n",
            );
            std::fs::write(&path, rows)?;
            (path, Some(Tokenizer::train([rows], &TokenizerConfig::default())?))
        }
    };
    let options = InspectOptions {
        tokenizer: tokenizer.as_ref(),
        ..InspectOptions::default()
    };
    #[expect(clippy::print_stdout, reason = "an example shows its result")]
    {
        println!("{}", inspect(path, &options)?);
    }
    Ok(())
}
