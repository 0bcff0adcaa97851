//! The ways in which each kind is asked for, in words.

/// Number of ways in which each kind is asked for.
pub const WORDINGS: usize = 3;

/// The ways in which each kind is asked for. A field's name in braces stands for its value; behind a colon stands what is
/// counted.
pub(crate) const TEMPLATES: &[(&str, [&str; WORDINGS])] = &[
    (
        "word_used",
        [
            "Use the word \"{word}\".",
            "The word \"{word}\" must occur in your answer.",
            "Make sure to include the word \"{word}\".",
        ],
    ),
    (
        "word_repeated",
        [
            "Use the word \"{word}\" at least {times:time}.",
            "The word \"{word}\" must occur {times:time} or more.",
            "Include the word \"{word}\" no fewer than {times:time}.",
        ],
    ),
    (
        "two_words",
        [
            "Use the words {words}.",
            "Both {words} must occur in your answer.",
            "Include these two words: {words}.",
        ],
    ),
    (
        "words_absent",
        [
            "Do not use the words {words}.",
            "Avoid these words: {words}.",
            "Your answer must do without the words {words}.",
        ],
    ),
    (
        "letter_absent",
        [
            "Do not use the letter \"{letter}\".",
            "No word of your answer may contain the letter \"{letter}\".",
            "Write without the letter \"{letter}\".",
        ],
    ),
    (
        "letter_count",
        [
            "Use the letter \"{letter}\" at least {at_least:time}.",
            "The letter \"{letter}\" must occur {at_least:time} or more.",
            "Let your answer contain the letter \"{letter}\" no fewer than {at_least:time}.",
        ],
    ),
    (
        "alliteration",
        [
            "Use at least {at_least:word} that begin with \"{letter}\".",
            "Let {at_least:word} or more begin with the letter \"{letter}\".",
            "The letter \"{letter}\" must begin at least {at_least:word}.",
        ],
    ),
    (
        "numeral",
        [
            "Use at least one {language} number word.",
            "A number written as a {language} word must occur.",
            "Put in a number word of the {language} language.",
        ],
    ),
    (
        "first_word",
        [
            "Begin with the word \"{word}\".",
            "The first word of your answer must be \"{word}\".",
            "Let \"{word}\" be the very first word.",
        ],
    ),
    (
        "last_word",
        [
            "End with the word \"{word}\".",
            "The last word of your answer must be \"{word}\".",
            "Let \"{word}\" be the very last word.",
        ],
    ),
    (
        "start_phrase",
        [
            "Begin your answer with exactly this: {phrase}",
            "Your answer must start with these words: {phrase}",
            "Open with this phrase: {phrase}",
        ],
    ),
    (
        "end_phrase",
        [
            "End your answer with exactly this: {phrase}",
            "Your answer must close with these words: {phrase}",
            "Finish with this phrase and add nothing after it: {phrase}",
        ],
    ),
    (
        "yes_no",
        [
            "Begin with \"Yes,\" or \"No,\" and then go on.",
            "Start your answer with \"Yes,\" or with \"No,\".",
            "The answer must open with either \"Yes,\" or \"No,\".",
        ],
    ),
    (
        "repeat_request",
        [
            "First repeat the request above word for word, then answer it.",
            "Before you answer, say the request again without changing a word.",
            "Copy the request exactly, and give your answer after it.",
        ],
    ),
    (
        "end_question",
        [
            "End with a question mark.",
            "Finish your answer with a question.",
            "The last character of your answer must be a question mark.",
        ],
    ),
    (
        "end_exclamation",
        [
            "End with an exclamation mark.",
            "Finish your answer with an exclamation.",
            "The last character of your answer must be an exclamation mark.",
        ],
    ),
    (
        "postscript",
        [
            "Add a postscript that begins with P.S. on a line of its own.",
            "At the end, on a new line, write a postscript starting with P.S.",
            "Close with a line that starts with P.S.",
        ],
    ),
    (
        "sentences_exactly",
        [
            "Answer in exactly {n:sentence}.",
            "Your answer must have {n:sentence}, no more and no fewer.",
            "Write {n:sentence} exactly.",
        ],
    ),
    (
        "sentences_at_most",
        [
            "Answer in at most {n:sentence}.",
            "Use no more than {n:sentence}.",
            "Keep your answer to {n:sentence} or fewer.",
        ],
    ),
    (
        "sentences_at_least",
        [
            "Answer in at least {n:sentence}.",
            "Use no fewer than {n:sentence}.",
            "Write {n:sentence} or more.",
        ],
    ),
    (
        "distinct_sentences",
        [
            "Write at least {at_least:sentence} and do not repeat any.",
            "Use {at_least:sentence} or more, all of them different.",
            "No sentence may occur twice, and there must be at least {at_least:sentence}.",
        ],
    ),
    (
        "short_sentences",
        [
            "No sentence may have more than {words:word}.",
            "Keep every sentence to {words:word} or fewer.",
            "Use short sentences of at most {words:word} each.",
        ],
    ),
    (
        "questions",
        [
            "Include at least {at_least:question}.",
            "Ask {at_least:question} or more in your answer.",
            "Your answer must contain no fewer than {at_least:question}.",
        ],
    ),
    (
        "words_at_most",
        [
            "Use at most {n:word}.",
            "Keep your answer to {n:word} or fewer.",
            "Do not write more than {n:word}.",
        ],
    ),
    (
        "words_at_least",
        [
            "Use at least {n:word}.",
            "Your answer must have {n:word} or more.",
            "Do not write fewer than {n:word}.",
        ],
    ),
    (
        "words_between",
        [
            "Use between {low} and {high:word}.",
            "Your answer must have at least {low} and at most {high:word}.",
            "Write {low} to {high:word}.",
        ],
    ),
    (
        "one_word",
        [
            "Answer with exactly one word.",
            "Your whole answer must be a single word.",
            "Give one word and nothing else.",
        ],
    ),
    (
        "short_words",
        [
            "Use no word of more than {letters:letter}.",
            "Every word must have {letters:letter} or fewer.",
            "Write with short words only, of at most {letters:letter}.",
        ],
    ),
    (
        "paragraphs",
        [
            "Write exactly {n:paragraph} with a blank line between them.",
            "Your answer must have {n:paragraph}, kept apart by blank lines.",
            "Split your answer into {n:paragraph} by blank lines.",
        ],
    ),
    (
        "lines",
        [
            "Write exactly {n:line}.",
            "Your answer must stand on {n:line}.",
            "Spread your answer over {n:line}, no more and no fewer.",
        ],
    ),
    (
        "bullets",
        [
            "Give exactly {n:bullet point}, each on a line that begins with \"- \".",
            "Answer with a list of {n:bullet point} that start with \"- \".",
            "Your answer must contain {n:bullet point} (lines starting with \"- \").",
        ],
    ),
    (
        "numbered",
        [
            "Give a numbered list of exactly {n:item}.",
            "Number your points from 1 to {n}, one to a line.",
            "Your answer must be a list of {n:item} that begin with 1., 2. and so on.",
        ],
    ),
    (
        "two_parts",
        [
            "Write two parts and put a line of three asterisks (***) between them.",
            "Split your answer into two parts by a line that is just ***.",
            "Use the line *** exactly once, to part your answer in two.",
        ],
    ),
    (
        "heading",
        [
            "Put a heading above your answer, on a line that begins with \"# \".",
            "Your answer must have a heading line that starts with \"# \".",
            "Give your answer a Markdown heading of the first level.",
        ],
    ),
    (
        "angle_title",
        [
            "Give your answer a title in double angular brackets, such as <<a title>>.",
            "Put a title between << and >> above your answer.",
            "Your answer must have a title, written like <<this>>.",
        ],
    ),
    (
        "code_block",
        [
            "Put your whole answer in a code block fenced with ```.",
            "Wrap the entire answer between two lines of three backticks.",
            "Your answer must be a single fenced code block (```) and nothing besides.",
        ],
    ),
    (
        "json",
        [
            "Answer in JSON and write nothing besides.",
            "Your whole answer must be a valid JSON object or list.",
            "Format the entire answer as JSON.",
        ],
    ),
    (
        "json_key",
        [
            "Answer with a JSON object that has the key \"{key}\", and nothing besides.",
            "Your whole answer must be JSON with the key \"{key}\".",
            "Format the entire answer as a JSON object and use \"{key}\" as a key.",
        ],
    ),
    (
        "quoted",
        [
            "Put your whole answer in double quotation marks.",
            "Your answer must begin and end with a double quotation mark and have none inside.",
            "Wrap the entire answer in double quotes.",
        ],
    ),
    (
        "parenthesized",
        [
            "Put your whole answer in parentheses.",
            "Your answer must begin with an opening and end with a closing parenthesis.",
            "Wrap the entire answer in round brackets.",
        ],
    ),
    (
        "lower_case",
        [
            "Use small letters only.",
            "Your whole answer must be in lower case, without capital letters.",
            "Do not use any capital letter.",
        ],
    ),
    (
        "upper_case",
        [
            "Use capital letters only.",
            "Your whole answer must be in upper case.",
            "Write everything IN CAPITALS.",
        ],
    ),
    (
        "title_case",
        [
            "Begin every word with a capital letter.",
            "Every Word Must Start With A Capital.",
            "Capitalize the first letter of each word of your answer.",
        ],
    ),
    (
        "capital_words",
        [
            "Write at least {at_least:word} all in capitals.",
            "Let {at_least:word} or more stand in CAPITALS.",
            "Your answer must contain no fewer than {at_least:word} with every letter capital.",
        ],
    ),
    (
        "no_comma",
        [
            "Do not use any comma.",
            "Your answer must not contain a comma.",
            "Write without commas.",
        ],
    ),
    (
        "no_full_stop",
        [
            "Do not use any full stop.",
            "The character \".\" must not occur in your answer.",
            "Write without a single period.",
        ],
    ),
    (
        "commas",
        [
            "Use at least {at_least:comma}.",
            "Your answer must contain {at_least:comma} or more.",
            "Put in no fewer than {at_least:comma}.",
        ],
    ),
    (
        "no_digit",
        [
            "Do not use any digit.",
            "Your answer must not contain digits; write numbers as words.",
            "Write without the digits 0 to 9.",
        ],
    ),
    (
        "digit",
        [
            "Use at least one digit.",
            "Your answer must contain a number written in digits.",
            "Put in a number, as a numeral and not as a word.",
        ],
    ),
    (
        "bold",
        [
            "Put at least {at_least:word or phrase} in bold, like **this**.",
            "Mark {at_least:word or phrase} or more with **double asterisks**.",
            "Your answer must have no fewer than {at_least:part} in **bold**.",
        ],
    ),
    (
        "placeholders",
        [
            "Include at least {at_least:placeholder} in square brackets, such as [name].",
            "Use {at_least:placeholder} or more, written like [address].",
            "Your answer must leave {at_least:blank} or more in square brackets to fill in, such as [date].",
        ],
    ),
    (
        "hashtags",
        [
            "Use at least {at_least:hashtag}, such as #word.",
            "Put in {at_least:hashtag} or more.",
            "Your answer must contain no fewer than {at_least:hashtag} (a # and a word).",
        ],
    ),
];
