//! Training and validation rows, parted by a hash of the prompt.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// The side of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Used for training.
    Train,
    /// Held out.
    Validation,
}

/// The side of a prompt: `fraction` of all prompts are held out.
///
/// It depends on nothing but the text, so a prompt stands on the same side in every file, stage and run, whatever
/// other rows there are. Case and the length of white space do not count.
pub fn split_by_hash(text: &str, fraction: f64) -> Split {
    let head = u64::from_be_bytes(*digest(text).first_chunk().expect("the digest has 32 bytes"));
    if (head as f64) < fraction * 2.0_f64.powi(64) {
        Split::Validation
    } else {
        Split::Train
    }
}

/// The part of a prompt among `parts`, from 0: the same in every file and run, and independent of [`split_by_hash`].
///
/// # Panics
/// If there are no parts.
pub fn part_by_hash(text: &str, parts: usize) -> usize {
    assert!(parts > 0, "nothing can be in one of no parts");
    let number = u64::from_be_bytes(*digest(text)[8..].first_chunk().expect("the digest has 32 bytes"));
    (number % parts as u64) as usize
}

/// True of the half of all prompts that are kept for the last measurement, where they are held out; the other half serves every choice
/// before it. The same in every file and run, and independent of [`split_by_hash`] and [`part_by_hash`].
pub fn is_test(text: &str) -> bool {
    digest(text)[16] % 2 == 1
}

/// The digest of a text, whatever its case and the length of its white space.
fn digest(text: &str) -> [u8; 32] {
    let normal = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    Sha256::digest(normal.as_bytes()).into()
}

/// Parts rows into those to train on and those held out, in their order, by [`split_by_hash`] of `key`. A row that a
/// weight repeats is held out once: repeated, it would make a measurement look surer than it is.
///
/// ```
/// use rlhf_data::{Message, Prompt, split_rows};
///
/// let prompt = |n: usize| Prompt { id: n.to_string(), messages: vec![Message::user(format!("What is {n}?"))], task: None, origin: Default::default() };
/// let (train, validation) = split_rows((0..1000).map(prompt).collect(), 0.1, Prompt::key);
/// assert_eq!(train.len() + validation.len(), 1000);
/// assert!((70..130).contains(&validation.len()));
/// ```
pub fn split_rows<T: PartialEq>(rows: Vec<T>, fraction: f64, key: impl Fn(&T) -> &str) -> (Vec<T>, Vec<T>) {
    let (mut train, mut validation) = (Vec::new(), Vec::<T>::new());
    let mut held_out: HashMap<String, Vec<usize>> = HashMap::new();
    for row in rows {
        if split_by_hash(key(&row), fraction) == Split::Train {
            train.push(row);
            continue;
        }
        let same_key = held_out.entry(key(&row).to_owned()).or_default();
        if same_key.iter().all(|&other| validation[other] != row) {
            same_key.push(validation.len());
            validation.push(row);
        }
    }
    (train, validation)
}

/// Documents longer than this many bytes are cut in two rather than held out whole.
const LONG_DOCUMENT: usize = 16 * 1024;

/// Parts documents: short ones by [`split_by_hash`], while of long ones, such as books, the last `fraction` is held
/// out, from the next paragraph on. A document that a weight repeats is held out once.
pub fn split_documents(documents: Vec<String>, fraction: f64) -> (Vec<String>, Vec<String>) {
    let (mut train, mut validation) = (Vec::new(), Vec::<String>::new());
    for mut document in documents {
        if document.len() <= LONG_DOCUMENT || fraction <= 0.0 {
            match split_by_hash(&document, fraction) {
                Split::Train => train.push(document),
                Split::Validation => validation.push(document),
            }
            continue;
        }
        let wanted = document.floor_char_boundary((document.len() as f64 * (1.0 - fraction.min(1.0))) as usize);
        let paragraph = document[wanted..]
            .find("\n\n")
            .or_else(|| document[wanted..].find('\n'));
        let tail = document
            .split_off(wanted + paragraph.unwrap_or(0))
            .trim_start()
            .to_owned();
        train.extend(Some(document).filter(|text| !text.is_empty()));
        validation.extend(Some(tail).filter(|text| !text.is_empty()));
    }
    let mut seen = HashSet::new();
    validation.retain(|text| seen.insert(text.clone()));
    (train, validation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fixed_for_ever() {
        // sha256("abc") starts with ba7816bf, sha256("") with e3b0c442: 0.7284 and 0.8894 of the range.
        assert_eq!(split_by_hash("abc", 0.728), Split::Train);
        assert_eq!(split_by_hash("abc", 0.729), Split::Validation);
        assert_eq!(split_by_hash("", 0.889), Split::Train);
        assert_eq!(split_by_hash("", 0.890), Split::Validation);
    }

    #[test]
    fn the_ends_of_the_range_take_nothing_and_everything() {
        for n in 0..100 {
            let text = n.to_string();
            assert_eq!(split_by_hash(&text, 0.0), Split::Train);
            assert_eq!(split_by_hash(&text, 1.0), Split::Validation);
        }
    }

    #[test]
    fn parts_are_about_equal_on_either_side_of_the_split() {
        for side in [Split::Train, Split::Validation] {
            let texts = (0..2000).map(|n| format!("what is {n}"));
            let parts: Vec<usize> = texts
                .filter(|text| split_by_hash(text, 0.5) == side)
                .map(|text| part_by_hash(&text, 2))
                .collect();
            let second: usize = parts.iter().sum();
            let share = second as f64 / parts.len() as f64;
            assert!((0.45..0.55).contains(&share), "{share}");
        }
        assert_eq!(part_by_hash("Why?", 7), part_by_hash(" why? ", 7));
        assert_eq!(part_by_hash("Why?", 1), 0);
    }

    #[test]
    fn half_of_what_is_held_out_and_of_each_part_is_for_the_test() {
        let texts: Vec<String> = (0..8000).map(|n| format!("why is {n}")).collect();
        for side in [Split::Train, Split::Validation] {
            for part in [0, 1] {
                let here = |text: &&String| split_by_hash(text, 0.5) == side && part_by_hash(text, 2) == part;
                let found: Vec<bool> = texts.iter().filter(here).map(|text| is_test(text)).collect();
                let share = found.iter().filter(|&&test| test).count() as f64 / found.len() as f64;
                assert!((0.46..0.54).contains(&share), "{share}");
            }
        }
        // sha256("abc"): byte 16 is 0xb0, that of "": 0x27.
        assert_eq!([is_test("abc"), is_test("")], [false, true]);
        assert_eq!(is_test("  Why\n IS 3 "), is_test("why is 3"));
    }

    #[test]
    fn case_and_white_space_do_not_count() {
        for n in 0..50 {
            let [plain, shouted] = [format!("why is {n}"), format!("  Why\n is  {n} ")];
            assert_eq!(split_by_hash(&plain, 0.5), split_by_hash(&shouted, 0.5));
        }
    }

    #[test]
    fn what_a_weight_repeats_is_held_out_once_and_trained_on_as_often_as_it_stands() {
        let rows: Vec<String> = (0..200).chain(0..200).map(|n| format!("row {n}")).collect();
        let once = |n: usize| split_by_hash(&format!("row {n}"), 0.3) == Split::Validation;
        let held_out: Vec<String> = (0..200).filter(|&n| once(n)).map(|n| format!("row {n}")).collect();
        for (train, validation) in [
            split_rows(rows.clone(), 0.3, |row| row),
            split_documents(rows.clone(), 0.3),
        ] {
            assert_eq!(validation, held_out);
            assert_eq!(train.len(), 2 * (200 - held_out.len()));
        }
        // The same prompt with another answer is another row.
        let rows = vec![("a", 1), ("a", 2), ("a", 1)];
        let (_, validation) = split_rows(rows, 1.0, |row| row.0);
        assert_eq!(validation, [("a", 1), ("a", 2)]);
    }

    #[test]
    fn a_book_gives_its_last_paragraphs() {
        let book: String = (0..2000).map(|n| format!("This is paragraph {n}.\n\n")).collect();
        let (train, validation) = split_documents(vec![book.trim().to_owned()], 0.1);
        assert_eq!((train.len(), validation.len()), (1, 1));
        assert!(
            train[0].ends_with('.') && validation[0].starts_with("This is paragraph 18"),
            "{}",
            &validation[0][..40]
        );
        let share = validation[0].len() as f64 / book.len() as f64;
        assert!((0.09..0.11).contains(&share), "{share}");
    }
}
