use super::*;
use crate::{Annotation, RankedPrompt};
use burn::tensor::Device;
use rlhf_model::{CausalLm, Gpt2Config, ModelConfig, ScalarModel};

/// A row of two answers, of which the first is better, with scores and lengths.
fn row(prompt: usize, scores: [f64; 2], lens: [usize; 2]) -> ScoredComparison {
    ScoredComparison {
        prompt,
        scores: scores.to_vec(),
        lens: lens.to_vec(),
        pairs: vec![(0, 1)],
        labeler: None,
        confidence: None,
        margin: None,
        source: None,
        subset: None,
        gold: None,
    }
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
}

#[test]
fn a_model_of_length_is_no_better_than_length_and_says_so() {
    let rows: Vec<ScoredComparison> = (0..40)
        .map(|i| {
            let lens = if i % 4 == 0 { [10, 20] } else { [20, 10] };
            row(i, lens.map(|len| len as f64 / 10.0), lens)
        })
        .collect();
    let found = RewardEvaluation::new(&rows, 10, 1);
    // Three of four are longer and better.
    near(found.length.accuracy.value, 0.75);
    near(found.length.longer.value, 0.75);
    near(found.length.shorter.value, 0.25);
    assert_eq!(
        (
            found.length.on_longer_better.value,
            found.length.on_shorter_better.value
        ),
        (1.0, 0.0)
    );
    let beside = found.beside_longer;
    assert_eq!((beside.value, beside.low, beside.high, beside.n), (0.0, 0.0, 0.0, 40));
    near(found.length_correlation.value, 1.0);
    // It says sigmoid(1) = 0.731 everywhere and is right on 0.75; ln 3 = 1.0986 would say 0.75.
    near(found.calibration.error, 0.75 - 1.0 / (1.0 + (-1.0_f64).exp()));
    assert!((found.calibration.best_scale - 3f64.ln()).abs() < 1e-6);
    let names: Vec<(&str, usize, f64)> = found.slices["length"]
        .iter()
        .map(|slice| (slice.name.as_str(), slice.accuracy.n, slice.accuracy.value))
        .collect();
    assert_eq!(
        names,
        [
            ("shorter by a tenth to a half", 10, 0.0),
            ("longer by a tenth to a half", 30, 1.0)
        ]
    );
    assert_eq!(found.slices.len(), 1, "nothing else is known of these rows");
}

#[test]
fn prompts_that_ask_for_more_make_no_correlation() {
    // Longer answers score lower within each prompt, and long prompts' answers higher than short ones'.
    let rows = [row(0, [1.0, 2.0], [12, 10]), row(1, [51.0, 52.0], [112, 110])];
    near(RewardEvaluation::new(&rows, 2, 1).length_correlation.value, -1.0);
}

#[test]
fn slices_are_those_of_what_rows_tell() {
    let mut rows: Vec<ScoredComparison> = (0..12).map(|i| row(i, [1.0, 0.0], [5, 5])).collect();
    for (i, row) in rows.iter_mut().enumerate() {
        row.labeler = Some(if i < 9 { "anna" } else { "bert" }.to_owned());
        row.margin = Some(i as f64);
        row.confidence = (i < 4).then_some(if i == 0 { 0.5 } else { 1.0 });
    }
    // Wrong on the three of bert, which are those of the largest margins, and undecided on one.
    for row in &mut rows[9..] {
        row.scores = vec![0.0, 1.0];
    }
    rows[0].scores = vec![1.0, 1.0];
    let found = RewardEvaluation::new(&rows, 4, 1).slices;
    let told = |kind: &str| -> Vec<(String, usize, f64)> {
        let told = found[kind].iter();
        told.map(|s| (s.name.clone(), s.accuracy.n, s.accuracy.value)).collect()
    };
    let named = |name: &str, n, value| (name.to_owned(), n, value);
    assert_eq!(told("labeler"), [named("anna", 9, 8.5 / 9.0), named("bert", 3, 0.0)]);
    assert_eq!(told("confidence"), [named("0.5", 1, 0.5), named("1", 3, 1.0)]);
    // Twelve numbers: quarters of three.
    assert_eq!(
        told("margin"),
        [
            named("0 to 2", 3, 2.5 / 3.0),
            named("3 to 5", 3, 1.0),
            named("6 to 8", 3, 1.0),
            named("9 to 11", 3, 0.0)
        ]
    );
    assert!(found["labeler"].iter().all(|slice| slice.longer.value == 0.5));
}

#[test]
fn very_many_names_are_told_together_and_none_is_lost() {
    let rows: Vec<ScoredComparison> = (0..100)
        .map(|i| ScoredComparison {
            labeler: Some(format!("w{}", i % 40)),
            ..row(i, [1.0, 0.0], [2, 1])
        })
        .collect();
    let slices = &RewardEvaluation::new(&rows, 4, 1).slices["labeler"];
    assert_eq!((slices.len(), slices[31].name.as_str()), (32, "others"));
    assert_eq!(slices.iter().map(|slice| slice.accuracy.n).sum::<usize>(), 100);
}

#[test]
fn sections_of_reward_bench_are_weighted_as_it_weights_them() {
    let in_subset = |prompt: usize, subset: &str, right: bool| ScoredComparison {
        subset: Some(subset.to_owned()),
        ..row(prompt, if right { [1.0, 0.0] } else { [0.0, 1.0] }, [3, 3])
    };
    let mut rows = vec![
        in_subset(0, "math-prm", true),
        in_subset(1, "hep-rust", false),
        in_subset(2, "hep-go", true),
        in_subset(3, "of my own", false),
    ];
    let found = RewardEvaluation::new(&rows, 4, 1).reward_bench.expect("subsets");
    // (984 * 1 + 164 * 0 + 164 * 1) / (984 + 2 * 164) = 1148 / 1312.
    near(found.sections["Reasoning"].value, 0.875);
    assert_eq!((found.sections["Reasoning"].n, found.sections.len()), (3, 1));
    assert_eq!((found.subsets["of my own"].value, found.score), (0.0, None));
    rows.extend([
        in_subset(4, "mt-bench-med", true),
        in_subset(5, "donotanswer", false),
        in_subset(6, "llmbar-natural", true),
    ]);
    let score = RewardEvaluation::new(&rows, 4, 1)
        .reward_bench
        .expect("subsets")
        .score
        .expect("all four");
    near(score.value, (0.875 + 1.0 + 0.0 + 1.0) / 4.0);
    assert!(
        RewardEvaluation::new(&[row(0, [1.0, 0.0], [1, 1])], 4, 1)
            .reward_bench
            .is_none()
    );
}

#[test]
fn two_models_are_compared_on_rows_that_both_read_alike() {
    let own: Vec<Option<ScoredComparison>> = (0..4).map(|i| Some(row(i, [1.0, 0.0], [1, 1]))).collect();
    let mut other = own.clone();
    other[0].as_mut().expect("a row").scores = vec![0.0, 1.0];
    other[1].as_mut().expect("a row").pairs = vec![(1, 0)];
    other[3] = None;
    // Rows 0 and 2 are left: 1 - 0 and 1 - 1.
    let found = accuracy_beside(&own, &other, 1).expect("two rows");
    assert_eq!((found.value, found.n), (0.5, 2));
    assert!(accuracy_beside(&own[3..], &other[3..], 1).is_none());
}

#[test]
fn what_is_said_ten_times_makes_no_interval_narrower() {
    let rows = |times: usize| -> Vec<ScoredComparison> {
        let scores = |i: usize| if i.is_multiple_of(3) { [0.0, 1.0] } else { [1.0, 0.0] };
        (0..90 * times)
            .map(|i| row(i / times, scores(i / times), [4, 3]))
            .collect()
    };
    let [one, ten] = [1, 10].map(|times| RewardEvaluation::new(&rows(times), 4, 1));
    for of in [
        |found: &RewardEvaluation| found.length.accuracy,
        |found: &RewardEvaluation| found.beside_longer,
    ] {
        let (one, ten) = (of(&one), of(&ten));
        assert!((one.low - ten.low).abs() < 1e-9 && (one.high - ten.high).abs() < 1e-9);
        assert_eq!(10 * one.n, ten.n);
        assert!(one.high > one.low);
    }
}

fn model() -> ScalarModel {
    let config: ModelConfig = Gpt2Config {
        vocab_size: 40,
        n_positions: 32,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        ..Gpt2Config::default()
    }
    .into();
    let trunk = CausalLm::init(&config, 1, &Device::flex()).transformer;
    ScalarModel::from_decoder(trunk, 2, &Device::flex())
}

#[test]
fn scores_owe_nothing_to_padding_and_neighbours() {
    let answer = |group: usize, len: usize| -> Vec<u32> {
        let own = (0..len).map(|at| ((group * 7 + at * 5 + len) % 39 + 1) as u32);
        [1, 2, 3].into_iter().chain(own).collect()
    };
    let groups: Vec<Vec<Vec<u32>>> = (0..6)
        .map(|group| (1..4).map(|k| answer(group, 3 * k + group)).collect())
        .collect();
    let found = invariance(&model(), &groups).expect("answers");
    assert_eq!(found.answers, 18);
    assert!(found.spread > 1e-3, "{found:?}");
    assert!(found.largest() < 1e-4 * found.spread.max(0.1), "{found:?}");
    assert!(invariance(&model(), &[]).is_none());
}

#[test]
fn a_summary_begins_with_its_schema_is_read_back_and_shown() {
    let mut evaluation = RewardEvaluation::new(&[row(0, [1.0, 0.0], [4, 2]), row(1, [0.0, 0.5], [4, 2])], 2, 1);
    evaluation.best_of_n = vec![BestOfNPoint::new(2, &[[1.0, 0.5, 0.75], [2.0, 0.25, 0.75]], 1)];
    let summary = RewardSummary {
        schema: REWARD_SCHEMA.to_owned(),
        order: vec!["rm".to_owned()],
        models: [("rm".to_owned(), evaluation)].into(),
        settings: RewardEvaluationSettings {
            files: vec!["c.jsonl".to_owned()],
            limit: None,
            bins: 2,
            seed: 1,
        },
        versions: BTreeMap::new(),
    };
    let text = serde_json::to_string(&summary).expect("plain data");
    assert!(text.starts_with(r#"{"schema":"rlhf-eval-reward/1""#));
    assert!(text.contains(r#""calibration":{"bins":[{"#), "{text}");
    let back: RewardSummary = serde_json::from_str(&text).expect("what was written");
    assert_eq!(back.models["rm"].length.accuracy, summary.models["rm"].length.accuracy);
    let card = summary.card();
    for part in [
        "### rm",
        "| all | 2 | 50.0 %",
        "the longer wins",
        "calibration error",
        "| 2 | +1.500",
    ] {
        assert!(card.contains(part), "{part}:\n{card}");
    }
}

#[test]
fn rows_and_ranked_prompts_say_the_same_of_length() {
    let ranked = RankedPrompt {
        sequences: vec![vec![9, 1, 2, 3], vec![9, 4]],
        prompt_len: 1,
        annotations: vec![Annotation {
            labeler: None,
            pairs: vec![(0, 1)],
            margin: 0.0,
            confidence: None,
        }],
        source: None,
    };
    let by_prompt = LengthReport::new([&ranked], [&[0.0, 1.0][..]], 1);
    assert_eq!(
        RewardEvaluation::new(&[row(0, [0.0, 1.0], [3, 1])], 2, 1).length.longer,
        by_prompt.longer
    );
}
