"""Writes cases.json: ROUGE of rouge-score and stems of NLTK for made-up texts and words, and fragments by an implementation of its own.

    pip install rouge-score==0.1.2 nltk==3.10.4
    python make.py
"""

import json
import random
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer, tokenize

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]

TEXTS = [
    "",
    "...!?",
    "Tariff",
    "The mill owner sold his mill to the tailor.",
    "The tailor's selling the mill, sold by its owner!\nNobody had owned it longer.",
    "A ferry ran aground near Oslo; 3.5 tonnes of herring were lost.\n\nDivers are searching.",
    "Divers searched for herring.\nThe ferries running near Oslo were grounded.\n",
    "the the the a a ferry ferry",
    "a the ferry a the ferry the",
    "Skies were dying, she lied: relational databases, conditionally rationalised, are possibly hopefully archaeology.",
    "sky died lying relate database condition rationale possible hope archaeologies",
    "Caf\u00e9 na\u00efve \u2014 Z\u00dcRICH \u212aelvin \u0130stanbul \u6771\u4eac r2d2_c3po",
    "cafe naive zurich kelvin istanbul tokyo r2d2 c3po",
    "one two three four five six seven eight nine ten",
    "ten nine eight\nseven six five four three two one",
    "one three two five\nfour seven six\nnine eight ten one",
]

STEMS = "sk d fl tr pl s be rel hop fil fall fizz agr caress poni confl troubl siz operat commun vietnam triplic electr form good ra toy syzyg arch ge"
ENDINGS = """ s ss sses ies ied eed ed ing ated bling ized y ly ational tional enci ency anci izer bli ably alli ally entli ently eli ely ousli ously ization
ation ator alism iveness fulness ousness aliti ality iviti bility biliti fulli fully logi logy icate ative alize iciti ical ful ness al ance ence er ic able ible
ant ement ment ent ion sion tion ou ism ate iti ous ive ize e ll lle 1 9s""".split(" ")
IRREGULAR = "sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed yyyy syzygy yields".split()


def fragments(article, summary):
    """Lengths of the extractive fragments, as figure 3 of Grusky et al. 2018 describes."""
    found, i = [], 0
    while i < len(summary):
        best, j = 0, 0
        while j < len(article):
            if summary[i] == article[j]:
                a, b = i, j
                while a < len(summary) and b < len(article) and summary[a] == article[b]:
                    a, b = a + 1, b + 1
                best, j = max(best, a - i), b
            else:
                j += 1
        if best:
            found.append(best)
        i += max(best, 1)
    return found


def copied(article, summary):
    article, summary = tokenize.tokenize(article, None), tokenize.tokenize(summary, None)
    if not summary:
        return None
    grams = lambda words, n: [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    ngrams = []
    for n in range(1, 5):
        own, there = grams(summary, n), set(grams(article, n))
        ngrams.append(sum(g in there for g in own) / len(own) if own else None)
    joined = " " + " ".join(article) + " "
    runs = [n for n in range(1, len(summary) + 1) if any(f" {g} " in joined for g in grams(summary, n))]
    lengths = fragments(article, summary)
    return {
        "ngrams": ngrams,
        "longest_run": max(runs, default=0),
        "coverage": sum(lengths) / len(summary),
        "density": sum(n * n for n in lengths) / len(summary),
    }


def random_texts(rng):
    """Few different words, so that there are many subsequences of the same length."""
    words = "alpha beta gammas delta deltas".split()
    for _ in range(40):
        lines = [[rng.choice(words) for _ in range(rng.randrange(0, 7))] for _ in range(rng.randrange(1, 5))]
        yield "\n".join(map(" ".join, lines))


def main():
    rng = random.Random(20)
    drawn = list(random_texts(rng))
    pairs = [(a, b) for a in TEXTS for b in TEXTS] + list(zip(drawn, drawn[1:]))
    scorers = [rouge_scorer.RougeScorer(TYPES, use_stemmer=stem) for stem in (False, True)]
    cases = []
    for reference, summary in pairs:
        plain, stemmed = (scorer.score(reference, summary) for scorer in scorers)
        cases.append(
            {
                "reference": reference,
                "summary": summary,
                "plain": {kind: list(plain[kind]) for kind in TYPES},
                "stemmed": {kind: list(stemmed[kind]) for kind in TYPES},
                "copied": copied(reference, summary),
            }
        )
    stemmer = PorterStemmer()
    words = sorted({stem + ending.strip() for stem in STEMS.split() for ending in ENDINGS} | set(IRREGULAR))
    stems = {word: stemmer.stem(word) for word in words}
    lines = ",\n".join(json.dumps(case) for case in cases)
    stems = json.dumps(stems)
    text = f'{{"cases": [\n{lines}\n],\n"stems": {stems}}}\n'
    Path(__file__).with_name("cases.json").write_text(text)
    print(len(cases), "pairs,", len(words), "words")


main()
