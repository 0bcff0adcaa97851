//! Every kind on both sides: answers that meet it, and answers that miss it by little.

use std::collections::BTreeSet;

use rlhf_constraints::{Constraint, KINDS};

const REQUEST: &str = "How do tides work?";

struct Case {
    constraint: &'static str,
    met: &'static [&'static str],
    missed: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        constraint: r#"{"kind": "word_used", "word": "moon"}"#,
        met: &["The moon pulls.", "MOON!", "A “moon”, they say"],
        missed: &["The moons pull.", "Honeymoon.", "The moon's pull."],
    },
    Case {
        constraint: r#"{"kind": "word_repeated", "word": "sea", "times": 2}"#,
        met: &["The sea is the sea.", "Sea, sea!", "sea\nSEA sea"],
        missed: &["The sea.", "The sea and the seas.", "Seaside by the sea."],
    },
    Case {
        constraint: r#"{"kind": "two_words", "words": ["sea", "moon"]}"#,
        met: &["The moon and the sea.", "sea moon", "Moon: sea!"],
        missed: &["The sea.", "The moon, moon.", "Moons pull the sea."],
    },
    Case {
        constraint: r#"{"kind": "words_absent", "words": ["the", "sea"]}"#,
        met: &["A moon pulls.", "Then others went overseas.", "Their seas"],
        missed: &["The moon.", "A moon, a Sea.", "the sea"],
    },
    Case {
        constraint: r#"{"kind": "letter_absent", "letter": "m"}"#,
        met: &["The sun pulls.", "A tide is water.", "123 a"],
        missed: &["Moon", "The tides come.", "Seas. M."],
    },
    Case {
        constraint: r#"{"kind": "letter_count", "letter": "p", "at_least": 3}"#,
        met: &["Pop up", "People pull apples.", "p P p"],
        missed: &["Pop", "Pull up", "bbb"],
    },
    Case {
        constraint: r#"{"kind": "alliteration", "letter": "b", "at_least": 3}"#,
        met: &["Big boats bob.", "Bees: bring, be", "a b b b"],
        missed: &["Big boats rob.", "Bobby", "A big tub, abbey, bay"],
    },
    Case {
        constraint: r#"{"kind": "numeral", "language": "German"}"#,
        met: &["There are drei tides.", "ZWÖLF", "Fünf, he said."],
        missed: &["There are three.", "Dreiviertel.", "Trois 3"],
    },
    Case {
        constraint: r#"{"kind": "first_word", "word": "tides"}"#,
        met: &["Tides rise.", "\"tides\" it is", "**Tides**: water"],
        missed: &["The tides rise.", "Tide and time.", "Tidesmen."],
    },
    Case {
        constraint: r#"{"kind": "last_word", "word": "sea"}"#,
        met: &["It is the sea.", "SEA!!", "by the \"sea.\""],
        missed: &["The sea rises.", "It is the seas.", "by the North-sea"],
    },
    Case {
        constraint: r#"{"kind": "start_phrase", "phrase": "In short:"}"#,
        met: &["In short: the moon.", "In short:\nit pulls", "  In short: yes"],
        missed: &[
            "in short: the moon.",
            "In short:",
            "In short, the moon.",
            "So, In short: the moon.",
        ],
    },
    Case {
        constraint: r#"{"kind": "end_phrase", "phrase": "That is all."}"#,
        met: &[
            "It pulls. That is all.",
            "It pulls.\nThat is all.\n",
            "(So) That is all.",
        ],
        missed: &[
            "It pulls. That is all",
            "That is all.",
            "That is all. Bye.",
            "It pulls. That is all!",
        ],
    },
    Case {
        constraint: r#"{"kind": "yes_no"}"#,
        met: &["Yes, they do.", "No, nobody knows.", " Yes, 3"],
        missed: &["Yes. They do.", "yes, they do.", "Yes,", "Well, yes, they do."],
    },
    Case {
        constraint: r#"{"kind": "repeat_request"}"#,
        met: &[
            "How do tides work? The moon pulls.",
            "how do tides work?\n\nBy pull.",
            "\"How do tides work?\" Well.",
        ],
        missed: &[
            "How do tides work?",
            "How do the tides work? The moon.",
            "The moon. How do tides work?",
        ],
    },
    Case {
        constraint: r#"{"kind": "end_question"}"#,
        met: &["They rise. Why?", "\"Why?\"", "They do, right?\n"],
        missed: &["Why? They rise.", "They rise", "Why?!"],
    },
    Case {
        constraint: r#"{"kind": "end_exclamation"}"#,
        met: &["They rise!", "(They rise!)", "Oh! Yes!!"],
        missed: &["Oh! They rise.", "They rise!?", "They rise"],
    },
    Case {
        constraint: r#"{"kind": "postscript"}"#,
        met: &[
            "They rise.\nP.S. Twice.",
            "They rise.\n\nP.S. Ask on.",
            "They rise.\n\n**P.S.** More.",
        ],
        missed: &[
            "They rise. P.S. Twice.",
            "P.S. They rise.",
            "They rise.\nPS: Twice.",
            "They rise.\nP.S.",
        ],
    },
    Case {
        constraint: r#"{"kind": "sentences_exactly", "n": 2}"#,
        met: &[
            "One. Two.",
            "Dr. Lee went, e.g. home. Then he slept...",
            "\"Stop!\" he said. They did.",
        ],
        missed: &["One.", "One. Two. Three.", "At 3.5 p.m. it ends."],
    },
    Case {
        constraint: r#"{"kind": "sentences_at_most", "n": 2}"#,
        met: &["One.", "One. Two!", "Mr. A. Lee met Mrs. Poe vs. her will."],
        missed: &["One. Two. Three.", "- a\n- b\n- c", "Ha! Ha! Ha!"],
    },
    Case {
        constraint: r#"{"kind": "sentences_at_least", "n": 3}"#,
        met: &["A is. B is. C is.", "Why? So. Oh!", "One\n\nTwo\n\nThree"],
        missed: &["One. Two.", "e.g. this, i.e. that. Yes.", "... Two. ... Three."],
    },
    Case {
        constraint: r#"{"kind": "distinct_sentences", "at_least": 2}"#,
        met: &["They rise. They fall.", "Up! Down! Up again!", "a is. b is"],
        missed: &[
            "They rise.",
            "They rise. They rise.",
            "They rise. They fall. They rise!",
        ],
    },
    Case {
        constraint: r#"{"kind": "short_sentences", "words": 4}"#,
        met: &[
            "They rise. They fall again.",
            "Don't go, well-known one.",
            "Four words are here",
        ],
        missed: &[
            "They rise and fall again.",
            "Yes. It is up to you.",
            "One two, three four, five.",
        ],
    },
    Case {
        constraint: r#"{"kind": "questions", "at_least": 2}"#,
        met: &["Why? How?", "\"Why?\" She shrugged. \"And how?\"", "Who? What? When?"],
        missed: &["Why? So.", "Why??", "Why. How."],
    },
    Case {
        constraint: r#"{"kind": "words_at_most", "n": 3}"#,
        met: &["One two three.", "don't well-known 3.5", "- One"],
        missed: &["One two three four.", "a b c d e", "One. Two. Three. Four."],
    },
    Case {
        constraint: r#"{"kind": "words_at_least", "n": 3}"#,
        met: &["One two three", "a, b, c", "1 2 3 4"],
        missed: &["One two", "well-known don't", "One - two !"],
    },
    Case {
        constraint: r#"{"kind": "words_between", "low": 2, "high": 3}"#,
        met: &["One two", "One two three", "e.g. this"],
        missed: &["One", "One two three four", "well-known"],
    },
    Case {
        constraint: r#"{"kind": "one_word"}"#,
        met: &["Paris", "\"Paris.\"", "well-known!"],
        missed: &["Paris, France", "It's Paris.", "The Moon"],
    },
    Case {
        constraint: r#"{"kind": "short_words", "letters": 5}"#,
        met: &["The tides rise.", "can't", "Über naïve"],
        missed: &["The oceans rise.", "A well-known one", "It is 123456."],
    },
    Case {
        constraint: r#"{"kind": "paragraphs", "n": 2}"#,
        met: &["One.\n\nTwo.", "One\nand on.\n \n\nTwo.", "One\r\n\r\nTwo"],
        missed: &["One.\nTwo.", "One.\n\nTwo.\n\nThree.", "One.\n\n***"],
    },
    Case {
        constraint: r#"{"kind": "lines", "n": 2}"#,
        met: &["One\nTwo", "One\n\nTwo\n", "One\r\nTwo"],
        missed: &["One", "One\nTwo\nThree", "One. Two."],
    },
    Case {
        constraint: r#"{"kind": "bullets", "n": 2}"#,
        met: &["- a\n- b", "Here:\n* a\n* b", "  - a\n\n- b\nBye."],
        missed: &["- a", "- a\n- b\n- c", "-a\n-b", "- a - b", "**a**\n- b"],
    },
    Case {
        constraint: r#"{"kind": "numbered", "n": 2}"#,
        met: &["1. a\n2. b", "Here:\n1) a\n2) b", "1. a\n\n2. b"],
        missed: &["1. a", "1. a\n3. b", "2. a\n1. b", "1. a\n2. b\n3. c", "1.a\n2.b"],
    },
    Case {
        constraint: r#"{"kind": "two_parts"}"#,
        met: &["a\n***\nb", "a.\n\n***\n\nb.", "a\n *** \nb"],
        missed: &["a *** b", "a\n***\n", "a\n***\nb\n***\nc", "a\n---\nb"],
    },
    Case {
        constraint: r#"{"kind": "heading"}"#,
        met: &["# Tides\nThey rise.", "# Tides\n\nThey rise.", "They rise.\n# The end"],
        missed: &[
            "#Tides\nThey rise.",
            "## Tides\nThey rise.",
            "# Tides",
            "Tides #\nThey rise.",
        ],
    },
    Case {
        constraint: r#"{"kind": "angle_title"}"#,
        met: &[
            "<<Tides>>\nThey rise.",
            "<<Tides>> They rise.",
            "They rise. <<The end>>",
        ],
        missed: &[
            "<Tides>\nThey rise.",
            "<<Tides>>",
            "<<>> They rise.",
            "<<Tides\nThey rise.>>",
        ],
    },
    Case {
        constraint: r#"{"kind": "code_block"}"#,
        met: &["```\ntides\n```", "```text\na\nb\n```", "```c++\na\n\n```"],
        missed: &[
            "tides",
            "Here:\n```\ntides\n```",
            "```\ntides",
            "```tides```",
            "```\na\n```\n```\nb\n```",
        ],
    },
    Case {
        constraint: r#"{"kind": "json"}"#,
        met: &[r#"{"a": "b"}"#, "[1, 2]", "{\n \"a\": [\"b\"]\n}"],
        missed: &[
            r#"{"a": "b""#,
            r#""a""#,
            "```json\n[1]\n```",
            r#"Here: {"a": 1}"#,
            "{'a': 1}",
            r#"{"a": ""}"#,
        ],
    },
    Case {
        constraint: r#"{"kind": "json_key", "key": "answer"}"#,
        met: &[
            r#"{"answer": "b"}"#,
            r#"{"x": 1, "answer": [2]}"#,
            "{\"answer\":\ntrue}",
        ],
        missed: &[
            r#"{"Answer": "b"}"#,
            r#"["answer"]"#,
            r#"{"answer": null}"#,
            r#"{"a": {"answer": 1}}"#,
        ],
    },
    Case {
        constraint: r#"{"kind": "quoted"}"#,
        met: &["\"They rise.\"", "“They rise.”", "\"They 'rise'.\"\n"],
        missed: &["\"They rise.", "They \"rise\"", "\"They\" and \"rise\"", "'They rise.'"],
    },
    Case {
        constraint: r#"{"kind": "parenthesized"}"#,
        met: &["(They rise.)", "(They (all) rise.)", "(a\n\nb)"],
        missed: &["(They rise).", "(They) and (those)", "[They rise.]", "(They rise."],
    },
    Case {
        constraint: r#"{"kind": "lower_case"}"#,
        met: &["they rise.", "über 3 a", "it's 5 p.m."],
        missed: &["They rise.", "they rise, I say", "ÜBER"],
    },
    Case {
        constraint: r#"{"kind": "upper_case"}"#,
        met: &["THEY RISE.", "ÜBER 3", "I"],
        missed: &["THEY RISe.", "They Rise.", "they", "123"],
    },
    Case {
        constraint: r#"{"kind": "title_case"}"#,
        met: &["They Rise.", "The 3rd Tide", "Don't Go, Well-known One", "Über Alles"],
        missed: &["They rise.", "they Rise", "The Sea of Tides"],
    },
    Case {
        constraint: r#"{"kind": "capital_words", "at_least": 2}"#,
        met: &["The MOON pulls WATER.", "NASA, ESA", "THEY RISE AND FALL"],
        missed: &["The MOON pulls.", "I saw A MOON", "MOONs and SEAs"],
    },
    Case {
        constraint: r#"{"kind": "no_comma"}"#,
        met: &["They rise.", "a; b", "1.5"],
        missed: &["They rise, and fall.", "1,000", "a,"],
    },
    Case {
        constraint: r#"{"kind": "no_full_stop"}"#,
        met: &["They rise", "They rise!", "a, b; c"],
        missed: &["They rise.", "3.5", "Wait... no", "e.g this"],
    },
    Case {
        constraint: r#"{"kind": "commas", "at_least": 2}"#,
        met: &["a, b, c", "1,000, so", "a,,b"],
        missed: &["a, b", "a; b; c", "no"],
    },
    Case {
        constraint: r#"{"kind": "no_digit"}"#,
        met: &["They rise.", "three", "III"],
        missed: &["3 tides", "a1", "half ½", "٣ tides"],
    },
    Case {
        constraint: r#"{"kind": "digit"}"#,
        met: &["3 tides", "a1", "in 1990"],
        missed: &["three", "IV tides", "none"],
    },
    Case {
        constraint: r#"{"kind": "bold", "at_least": 2}"#,
        met: &["**a** and **b**", "**a b**\n**c**", "**a****b**"],
        missed: &["**a** and *b*", "**a b", "** a ** and ** b **", "**a** and **b"],
    },
    Case {
        constraint: r#"{"kind": "placeholders", "at_least": 2}"#,
        met: &["[name] and [date]", "[first name][date]", "Dear [name], on [day]."],
        missed: &["[name]", "[name] and [a](link)", "(name) (date)", "[name] and []"],
    },
    Case {
        constraint: r##"{"kind": "hashtags", "at_least": 2}"##,
        met: &["They rise. #sea #moon", "#a\n#b", "So #tides, and #moon!"],
        missed: &["#sea", "# sea # moon", "#1 #2", "a#b c#d"],
    },
];

fn constraint(case: &Case) -> Constraint {
    serde_json::from_str(case.constraint).expect(case.constraint)
}

#[test]
fn every_kind_is_met_by_what_it_asks_for_and_missed_by_what_is_near() {
    for case in CASES {
        let constraint = constraint(case);
        assert!(case.met.len() >= 3 && case.missed.len() >= 3, "{constraint:?}");
        for answer in case.met {
            let check = constraint.check(REQUEST, answer);
            assert!(check.met, "{constraint:?} is met by {answer:?}: {check:?}");
            assert_eq!(check.degree, 1.0, "{constraint:?} {answer:?}");
        }
        for answer in case.missed {
            let check = constraint.check(REQUEST, answer);
            assert!(!check.met, "{constraint:?} is not met by {answer:?}: {check:?}");
            assert!(
                (0.0..1.0).contains(&check.degree),
                "{constraint:?} {answer:?}: {check:?}"
            );
        }
    }
}

#[test]
fn the_table_has_every_kind_once() {
    let kinds: Vec<&str> = CASES.iter().map(|case| constraint(case).kind()).collect();
    assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len());
    assert_eq!(
        kinds.into_iter().collect::<BTreeSet<_>>(),
        KINDS.iter().copied().collect()
    );
}

#[test]
fn an_answer_without_a_word_meets_nothing() {
    for case in CASES {
        for answer in ["", " \n", "...", "***", "()", "\"\"", "?!", "{}", "[]"] {
            let check = constraint(case).check(REQUEST, answer);
            assert_eq!(
                (check.met, check.degree),
                (false, 0.0),
                "{} {answer:?}",
                case.constraint
            );
        }
    }
}

#[test]
fn white_space_around_an_answer_is_of_no_account() {
    for case in CASES {
        let constraint = constraint(case);
        for answer in case.met.iter().chain(case.missed) {
            let padded = format!("\r\n  {answer} \n\n");
            assert_eq!(
                constraint.check(REQUEST, &padded),
                constraint.check(REQUEST, answer),
                "{constraint:?} {answer:?}"
            );
        }
    }
}

/// Answers each of which is nearer than the one before.
#[test]
fn nearer_answers_have_higher_degrees() {
    for (constraint, answers) in [
        (
            Constraint::WordsAtMost { n: 2 },
            &["a b c d e f", "a b c d", "a b c", "a b"][..],
        ),
        (Constraint::Bullets { n: 3 }, &["a", "- a", "- a\n- b", "- a\n- b\n- c"]),
        (Constraint::LowerCase, &["THE SEA", "The Sea", "the Sea", "the sea"]),
        (
            Constraint::EndQuestion,
            &[
                "They rise.",
                "Why? They rise and fall.",
                "They rise. Why? So.",
                "They rise. Why?",
            ],
        ),
        (
            Constraint::EndPhrase {
                phrase: "That is all.".to_owned(),
            },
            &["They rise.", "It was all.", "This is all.", "Pull. That is all."],
        ),
        (
            Constraint::RepeatRequest,
            &["Moon.", "How so?", "How do tides rise?", "How do tides work? By pull."],
        ),
        (
            Constraint::Json,
            &[
                "text",
                "{text}",
                r#"{"a": be it so}"#,
                r#"{"a": "b""#,
                "```\n[1]\n```",
                r#"{"a": "b"}"#,
            ],
        ),
        (
            Constraint::FirstWord {
                word: "tides".to_owned(),
            },
            &["Water.", "Time.", "So the tides.", "The tides.", "Tides."],
        ),
    ] {
        let degrees: Vec<f64> = answers
            .iter()
            .map(|answer| constraint.check(REQUEST, answer).degree)
            .collect();
        assert!(degrees.is_sorted_by(|a, b| a < b), "{constraint:?}: {degrees:?}");
        assert_eq!(degrees.last(), Some(&1.0));
    }
}
