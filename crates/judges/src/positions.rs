//! How often a judge's verdict follows the place of an answer and not the answer.

use serde::{Deserialize, Serialize};

use crate::judge_prompt::Better;

/// What became of pairs that were shown in both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Pairs that have a verdict in both orders.
    pub pairs: usize,
    /// The same answer, or neither, in both.
    pub agree: usize,
    /// The one shown first in both, whichever it was.
    pub first: usize,
    /// The one shown second in both.
    pub second: usize,
}

impl Positions {
    /// Counts a pair by its verdicts, each as the judge was shown it.
    pub(crate) fn count(&mut self, shown: [Better; 2]) {
        self.pairs += 1;
        match shown {
            [Better::A, Better::A] => self.first += 1,
            [Better::B, Better::B] => self.second += 1,
            [there, back] => self.agree += usize::from(there == back.swapped()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Better::{A, B, Tie};

    #[test]
    fn a_verdict_that_follows_the_place_is_told_from_one_that_follows_the_answer() {
        let mut found = Positions::default();
        for shown in [[A, B], [B, A], [Tie, Tie], [A, A], [A, A], [B, B], [A, Tie]] {
            found.count(shown);
        }
        let expected = Positions {
            pairs: 7,
            agree: 3,
            first: 2,
            second: 1,
        };
        assert_eq!(found, expected);
    }
}
