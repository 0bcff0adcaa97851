//! Demonstrations: constraints that an answer keeps, or that it keeps after a change which leaves what it says.

mod change;
mod observe;

use rand::Rng;

use crate::constraint::Constraint;

/// A constraint of a kind, and the answer that keeps it: the one given, where parameters can be read off it, or else that
/// answer put into the form asked for. Nothing where neither is possible; whatever is returned has been checked.
///
/// ```
/// use rlhf_constraints::demonstrate;
///
/// let mut rng = rlhf_tasks::stream(1, "example", 0);
/// let answer = "The moon pulls the sea. So the water rises.";
/// let (constraint, changed) = demonstrate("upper_case", "Explain tides.", answer, &mut rng).expect("letters have capitals");
/// assert_eq!(changed, "THE MOON PULLS THE SEA. SO THE WATER RISES.");
/// assert!(constraint.check("Explain tides.", &changed).met);
/// ```
pub fn demonstrate(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<(Constraint, String)> {
    let answer = answer.replace("\r\n", "\n");
    let answer = answer.trim();
    let keeps = |constraint: &Constraint, text: &str| constraint.check(request, text).met;
    let observed = observe::observed(kind, request, answer, rng).filter(|constraint| keeps(constraint, answer));
    if let Some(constraint) = observed {
        return Some((constraint, answer.to_owned()));
    }
    change::changed(kind, request, answer, rng).filter(|(constraint, text)| keeps(constraint, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::KINDS;

    const ANSWERS: [&str; 5] = [
        "The moon pulls the sea, and the water rises, slowly but surely. So the water comes twice a day. Fishers know it \
         well. They plan their mornings by it.",
        "No, the sun pulls less, because it is far away. Is that a surprise? The distance counts most.",
        "First, wash 3 apples.\n\nThen cut them.\n\nAt last bake them.",
        "Paris",
        "Big boats bring bread and butter to the bay.",
    ];

    #[test]
    fn every_kind_can_be_demonstrated_by_some_answer() {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        for kind in KINDS {
            let made = ANSWERS
                .iter()
                .find_map(|answer| demonstrate(kind, "Explain tides of the sea", answer, &mut rng));
            let (constraint, text) = made.unwrap_or_else(|| panic!("nothing demonstrates {kind}"));
            assert_eq!(constraint.kind(), *kind);
            assert!(
                constraint.check("Explain tides of the sea", &text).met,
                "{kind}: {text}"
            );
        }
    }

    fn changed(kind: &str, answer: &str) -> String {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        demonstrate(kind, "Explain tides.", answer, &mut rng).unwrap().1
    }

    #[test]
    fn a_change_leaves_what_is_said() {
        let said = "The moon pulls, say \"sages\". So 1,000 waters rise.";
        for (kind, expected) in [
            ("no_comma", "The moon pulls say \"sages\". So 1000 waters rise."),
            ("bullets", "- The moon pulls, say \"sages\".\n- So 1,000 waters rise."),
            (
                "numbered",
                "1. The moon pulls, say \"sages\".\n2. So 1,000 waters rise.",
            ),
            ("quoted", "\"The moon pulls, say 'sages'. So 1,000 waters rise.\""),
            (
                "two_parts",
                "The moon pulls, say \"sages\".\n***\nSo 1,000 waters rise.",
            ),
            (
                "end_exclamation",
                "The moon pulls, say \"sages\". So 1,000 waters rise!",
            ),
            ("no_full_stop", "The moon pulls, say \"sages\"\nSo 1,000 waters rise"),
            ("title_case", "The Moon Pulls, Say \"Sages\". So 1,000 Waters Rise."),
            (
                "repeat_request",
                "Explain tides.\n\nThe moon pulls, say \"sages\". So 1,000 waters rise.",
            ),
        ] {
            assert_eq!(changed(kind, said), expected, "{kind}");
        }
        let json: serde_json::Value = serde_json::from_str(&changed("json", said)).unwrap();
        assert!(json.as_object().unwrap().values().any(|text| text == said));
    }

    #[test]
    fn an_answer_that_keeps_it_is_left_as_it_is() {
        for kind in [
            "no_comma",
            "sentences_exactly",
            "word_used",
            "words_at_most",
            "no_digit",
            "lower_case",
        ] {
            let said = "the moon pulls the sea. it is far.";
            assert_eq!(changed(kind, said), said, "{kind}");
        }
    }

    #[test]
    fn lists_are_not_taken_apart() {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        let list = "Do this:\n1. Plan.\n2. Rest.\n3. Walk.\n4. Eat.\n5. Sleep.";
        for kind in ["bullets", "sentences_at_most", "two_parts", "no_full_stop"] {
            assert_eq!(demonstrate(kind, "Explain tides.", list, &mut rng), None, "{kind}");
        }
    }

    #[test]
    fn programs_are_not_rearranged() {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        let code = "Run this.\n```\nprint(1, 2)\n```\nIt prints.";
        for kind in ["lower_case", "bullets", "no_comma", "code_block"] {
            if let Some((_, text)) = demonstrate(kind, "Explain tides.", code, &mut rng) {
                assert_eq!(text, code, "{kind}");
            }
        }
    }
}
