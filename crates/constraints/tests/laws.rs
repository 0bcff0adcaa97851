//! Laws of checking, over texts of every make.

use proptest::prelude::*;
use rlhf_constraints::{Constraint, KINDS, compatible, demonstrate};
use rlhf_tasks::stream;

/// Texts of words, marks and line breaks, as models write them when they are young.
fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "the",
        "Moon",
        "tides",
        "e.g.",
        "3.5",
        "Dr.",
        "I",
        "SEA",
        "über",
        "don't",
        "well-known",
        "Yes,",
        "No",
        "P.S.",
        "drei",
        ".",
        ". ",
        "...",
        "!",
        "? ",
        ", ",
        "\n",
        "\n\n",
        "\r\n",
        "- ",
        "* ",
        "1. ",
        "2. ",
        "# ",
        "#tag ",
        "**",
        "***",
        "```",
        "<<",
        ">>",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "“",
        "”",
        "{\"answer\": ",
        "}",
        "潮",
        "’",
        "  ",
        "\u{301}",
        "🌊",
    ];
    let piece = prop_oneof![
        6 => proptest::sample::select(pieces).prop_map(str::to_owned),
        4 => "[a-zA-Z]{1,9} ",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn constraint() -> impl Strategy<Value = Constraint> {
    (proptest::sample::select(KINDS), any::<u64>(), text()).prop_map(|(kind, seed, request)| {
        Constraint::draw(kind, &request, &mut stream(seed, "constraint", 0)).expect("every kind can be drawn")
    })
}

proptest! {
    #[test]
    fn the_degree_is_1_exactly_when_it_is_met(constraint in constraint(), request in text(), answer in text()) {
        let check = constraint.check(&request, &answer);
        prop_assert!((0.0..=1.0).contains(&check.degree), "{:?}", check);
        prop_assert_eq!(check.met, check.degree == 1.0);
    }

    #[test]
    fn line_breaks_of_either_kind_are_the_same(constraint in constraint(), answer in text()) {
        let answer = answer.replace("\r\n", "\n").replace('\r', "");
        let windows = answer.replace('\n', "\r\n");
        prop_assert_eq!(constraint.check("Why?", &answer), constraint.check("Why?", &windows));
    }

    #[test]
    fn what_is_demonstrated_is_met(kind in proptest::sample::select(KINDS), seed: u64, request in text(), answer in text()) {
        let mut rng = stream(seed, "demonstrate", 0);
        if let Some((constraint, changed)) = demonstrate(kind, &request, &answer, &mut rng) {
            prop_assert_eq!(constraint.kind(), kind);
            prop_assert!(constraint.check(&request, &changed).met, "{:?}: {:?}", constraint, changed);
        }
    }

    #[test]
    fn going_together_is_mutual(a in constraint(), b in constraint()) {
        prop_assert_eq!(compatible(&a, &b), compatible(&b, &a));
        prop_assert!(!compatible(&a, &a));
    }

    #[test]
    fn a_constraint_comes_back_from_a_file_and_asks_the_same(constraint in constraint(), wording in 0_usize..6) {
        let text = serde_json::to_string(&constraint).expect("a constraint is plain data");
        let read: Constraint = serde_json::from_str(&text).expect("it was written so");
        prop_assert_eq!(&read, &constraint);
        prop_assert_eq!(read.instruction(wording), constraint.instruction(wording));
    }
}
