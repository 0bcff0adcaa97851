//! Porter's stemmer ("An algorithm for suffix stripping", 1980) with the changes of NLTK's default mode, which `rouge-score` uses.
//!
//! Each step looks for the first ending of its list that the word has, and is over with that one, whether its condition holds or not.
//! NLTK's changes: twelve irregular words; `ies` and `ied` of four-letter words become `ie`; a final `y` becomes `i` after any consonant but a
//! lone first one; `bli` and `alli` and `fulli` and `logi` in the second step; two letters, vowel and consonant, count as a short syllable.

/// Words that no rule treats well.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Endings of the second step and what they become after a stem of positive measure.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// The same for the third step.
const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Endings that the fourth step takes from stems of measure 2 or more.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// A word without its ending. Takes words of ASCII letters in lower case and digits; of others, only what no rule touches is as NLTK has it.
///
/// ```
/// assert_eq!(rlhf_rouge::stem("summaries"), "summari");
/// assert_eq!(rlhf_rouge::stem("relational"), "relat");
/// ```
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 || !word.is_ascii() {
        return word.to_owned();
    }
    let word = step_1a(word);
    let word = step_1b(&word);
    let word = step_1c(word);
    let word = step_2(word);
    let word = replaced(word, &STEP_3, |stem| measure(stem) > 0);
    let word = step_4(word);
    let word = step_5a(word);
    step_5b(word)
}

/// For each letter, whether it is a consonant; a y is one at the beginning and after a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        flags.push(match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// How many times a vowel is followed by a consonant: Porter's m.
fn measure(stem: &str) -> usize {
    let pairs = consonants(stem);
    pairs.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

/// Porter's *d.
fn ends_in_double_consonant(word: &str) -> bool {
    let letters = word.as_bytes();
    match letters {
        [.., a, b] if a == b => consonants(word).last() == Some(&true),
        _ => false,
    }
}

/// Porter's *o: consonant, vowel, consonant, the last not w, x or y; or nothing but vowel and consonant.
fn ends_in_short_syllable(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

/// What the first ending of a list that the word has becomes, if the rest of the word is as it should be.
fn replaced(word: String, rules: &[(&str, &str)], condition: impl Fn(&str) -> bool) -> String {
    let found = rules
        .iter()
        .find_map(|(ending, new)| Some((word.strip_suffix(ending)?, new)));
    match found {
        Some((stem, new)) if condition(stem) => format!("{stem}{new}"),
        _ => word,
    }
}

/// Plurals.
fn step_1a(word: &str) -> String {
    if word.len() == 4 && word.ends_with("ies") {
        return word[..3].to_owned();
    }
    let rules = [("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];
    replaced(word.to_owned(), &rules, |_| true)
}

/// Past tense and present participle.
fn step_1b(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ied") {
        return format!("{stem}{}", if word.len() == 4 { "ie" } else { "i" });
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 {
            format!("{stem}ee")
        } else {
            word.to_owned()
        };
    }
    let stem = ["ed", "ing"].iter().find_map(|ending| word.strip_suffix(ending));
    let Some(stem) = stem.filter(|stem| has_vowel(stem)) else {
        return word.to_owned();
    };
    if stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz") {
        format!("{stem}e")
    } else if ends_in_double_consonant(stem) {
        let keeps = stem.ends_with(['l', 's', 'z']);
        stem[..stem.len() - usize::from(!keeps)].to_owned()
    } else if measure(stem) == 1 && ends_in_short_syllable(stem) {
        format!("{stem}e")
    } else {
        stem.to_owned()
    }
}

/// A final y.
fn step_1c(word: String) -> String {
    let after_consonant = |stem: &str| stem.len() > 1 && consonants(stem).last() == Some(&true);
    replaced(word, &[("y", "i")], after_consonant)
}

fn step_2(word: String) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        return step_2(format!("{stem}al"));
    }
    // No other ending has this one; the stem is measured with the l that remains.
    match word.strip_suffix("logi") {
        Some(stem) if measure(&word[..stem.len() + 1]) > 0 => format!("{stem}log"),
        _ => replaced(word, &STEP_2, |stem| measure(stem) > 0),
    }
}

fn step_4(word: String) -> String {
    let found = STEP_4
        .iter()
        .find_map(|ending| Some((*ending, word.strip_suffix(ending)?)));
    match found {
        Some(("ion", stem)) if !stem.ends_with(['s', 't']) => word,
        Some((_, stem)) if measure(stem) > 1 => stem.to_owned(),
        _ => word,
    }
}

/// A final e.
fn step_5a(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_in_short_syllable(stem)) => stem.to_owned(),
        _ => word,
    }
}

/// A final double l.
fn step_5b(word: String) -> String {
    let is_long = |word: &str| measure(&word[..word.len() - 1]) > 1;
    if word.ends_with("ll") && is_long(&word) {
        word[..word.len() - 1].to_owned()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) {
        for (word, expected) in pairs {
            assert_eq!(stem(word), *expected, "{word}");
        }
    }

    /// Examples of Porter's paper, as far as they survive the steps after theirs.
    #[test]
    fn endings_go_step_by_step() {
        check(&[
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("feed", "feed"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("bled", "bled"),
            ("motoring", "motor"),
            ("sing", "sing"),
            ("conflated", "conflat"),
            ("troubled", "troubl"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("hissing", "hiss"),
            ("filing", "file"),
            ("happy", "happi"),
            ("conditional", "condit"),
            ("hesitancy", "hesit"),
            ("vietnamization", "vietnam"),
            ("triplicate", "triplic"),
            ("hopefulness", "hope"),
            ("adoption", "adopt"),
            ("replacement", "replac"),
            ("cease", "ceas"),
            ("controlling", "control"),
            ("rolling", "roll"),
        ]);
    }

    #[test]
    fn what_nltk_changed_is_changed() {
        check(&[
            ("ties", "tie"),
            ("died", "die"),
            ("spied", "spi"),
            ("enjoy", "enjoy"),
            ("fly", "fli"),
            ("by", "by"),
            ("skies", "sky"),
            ("innings", "inning"),
            ("succeed", "succeed"),
            ("possibly", "possibl"),
            ("radically", "radic"),
            ("hopefully", "hope"),
            ("geology", "geolog"),
            ("apology", "apolog"),
            ("using", "use"),
        ]);
    }

    #[test]
    fn a_y_is_a_vowel_after_a_consonant() {
        assert_eq!(consonants("syzygy"), [true, false, true, false, true, false]);
        assert_eq!(consonants("toyy"), [true, false, true, false]);
        assert_eq!(consonants("yy1"), [true, false, true]);
        let of = |words: &[&str]| -> Vec<usize> { words.iter().map(|word| measure(word)).collect() };
        assert_eq!(
            of(&["tree", "by", "trouble", "oats", "troubles", "private", ""]),
            [0, 0, 1, 1, 2, 2, 0]
        );
    }
}
