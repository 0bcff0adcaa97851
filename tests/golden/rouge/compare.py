"""Compares this project's ROUGE and stemmer with rouge-score on rows of real data, which are not kept.

    cargo build -p rlhf-rouge --example score_rows
    python compare.py target/debug/examples/score_rows FILE...

FILE: JSON lines of {"prompt", "completion"}, {"prompt", "chosen", "rejected"} or {"prompt", "completions"}. Every completion is scored beside the one before
it in the file, beside the other answers to its prompt, and beside its prompt, whose words are also what the stemmers are compared on.
"""

import json
import subprocess
import sys

from rouge_score import rouge_scorer, tokenize
from nltk.stem.porter import PorterStemmer

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def pairs(path):
    before = None
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        answers = row.get("completions") or [row[k] for k in ("completion", "chosen", "rejected") if k in row]
        for n, answer in enumerate(answers):
            yield row["prompt"], answer
            if before is not None:
                yield before, answer
            if n:
                yield answers[0], answer
            # Lines, for the summary-level measure.
            yield answer.replace(". ", ".\n"), answers[n - 1].replace(". ", ".\n")
            before = answer


def main():
    program, *files = sys.argv[1:]
    scorers = {
        "plain": rouge_scorer.RougeScorer(TYPES, use_stemmer=False),
        "stemmed": rouge_scorer.RougeScorer(TYPES, use_stemmer=True),
    }
    stemmer = PorterStemmer()
    words = set()
    for path in files:
        rows = list(pairs(path))
        text = "".join(json.dumps({"reference": r, "summary": s}) + "\n" for r, s in rows)
        output = subprocess.run([program], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
        found = [json.loads(line) for line in output.splitlines()]
        assert len(found) == len(rows)
        worst, n = 0.0, 0
        for (reference, summary), ours in zip(rows, found):
            for name, scorer in scorers.items():
                theirs = scorer.score(reference, summary)
                for kind in TYPES:
                    for a, b in zip(ours[name][kind], theirs[kind]):
                        worst, n = max(worst, abs(a - b)), n + 1
            plain = tokenize.tokenize(reference, None)
            stemmed = tokenize.tokenize(reference, stemmer)
            assert ours["plain_words"] == plain, (ours["plain_words"], plain)
            assert ours["stemmed_words"] == stemmed, [p for p in zip(ours["stemmed_words"], stemmed) if p[0] != p[1]]
            words.update(plain)
        print(f"{path}: {len(rows)} pairs, {n} numbers, largest difference {worst:.3g}", flush=True)
        assert worst < 1e-9
    print(f"{len(words)} different words have the same stems")


main()
