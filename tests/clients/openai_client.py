"""OpenAI's own Python client against `rlhf serve`: whole answers, streams, several choices, stops, log-probabilities, seeds, usage, errors.

    pip install openai
    rlhf serve --model m=DIR --port 8080 &
    python tests/clients/openai_client.py http://127.0.0.1:8080/v1 m [rlhf-binary DIR]

With a binary and the model's folder the log-probabilities are compared with those of `rlhf logprobs`.
"""

import json
import subprocess
import sys
import time

import openai

BASE, MODEL = sys.argv[1:3]
client = openai.OpenAI(base_url=BASE, api_key="none-is-asked-for", max_retries=0)
MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Name three colours."}]


def chat(**more):
    return client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, "max_tokens": 16, "seed": 7, **more})


def check(what, holds):
    print(("ok    " if holds else "FAILED"), what)
    if not holds:
        sys.exit(1)


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        check(f"{kind.__name__} {code}", error.code == code)
    else:
        check(f"{kind.__name__} {code}: nothing was refused", False)


check("models", MODEL in [model.id for model in client.models.list()] and client.models.retrieve(MODEL).id == MODEL)
whole = chat(n=2)
check("two choices", [choice.index for choice in whole.choices] == [0, 1] and whole.usage.completion_tokens > 2)
check("a seed repeats", chat(n=2).choices[1].message.content == whole.choices[1].message.content)
check("another seed differs", chat(seed=8).choices[0].message.content != whole.choices[0].message.content)
said, finish, usage = ["", ""], [None, None], None
for chunk in chat(n=2, stream=True, stream_options={"include_usage": True}):
    for choice in chunk.choices:
        said[choice.index] += choice.delta.content or ""
        finish[choice.index] = choice.finish_reason or finish[choice.index]
    usage = chunk.usage or usage
check("a stream says the same", said == [choice.message.content for choice in whole.choices])
check("and ends the same", finish == [choice.finish_reason for choice in whole.choices])
check("with the same usage", usage.total_tokens == whole.usage.total_tokens)
stop = said[0][4:7]
check("it stops before a stop string", chat(stop=[stop]).choices[0].message.content == said[0].split(stop)[0])
check("bias", set(client.completions.create(model=MODEL, prompt="a", max_tokens=4, logit_bias={"33": 100}).choices[0].text) == {"1"}
      if MODEL == "smol" else True)

prompt = "The capital of France is"
text = client.completions.create(model=MODEL, prompt=prompt, max_tokens=6, temperature=0, logprobs=3).choices[0]
check("completions have log-probabilities", len(text.logprobs.token_logprobs) == 6 and len(text.logprobs.top_logprobs[0]) == 3)
if len(sys.argv) > 3:
    row = json.dumps({"text": prompt + text.text})
    out = subprocess.run([sys.argv[3], "logprobs", "--model", sys.argv[4], "--input", "-"], input=row, text=True, capture_output=True, check=True)
    theirs = json.loads(out.stdout.splitlines()[0])["logprobs"][-6:]
    worst = max(abs(a - b) for a, b in zip(theirs, text.logprobs.token_logprobs))
    check(f"those of rlhf logprobs, to {worst:.1e}", worst < 1e-4)

refused(openai.NotFoundError, "model_not_found", lambda: chat(model="none"))
refused(openai.BadRequestError, "invalid_value", lambda: chat(temperature=-1))
refused(openai.BadRequestError, "unsupported_parameter", lambda: chat(tools=[{"type": "function", "function": {"name": "f"}}]))
refused(openai.BadRequestError, "context_length_exceeded", lambda: chat(max_tokens=10**6))
raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, max_tokens=1, extra_body={"colour": 1})
check("ignored fields are named", raw.headers["x-ignored-fields"] == "colour" and raw.headers["x-request-id"].startswith("req_"))

stream = chat(stream=True, max_tokens=400, extra_body={"min_p": 0.05})
next(iter(stream))
stream.close()
metrics = BASE.removesuffix("/v1") + "/metrics"
import urllib.request

for _ in range(50):
    text = urllib.request.urlopen(metrics).read().decode()
    running = [line for line in text.splitlines() if line.startswith("rlhf_num_requests_running")]
    if running and running[0].endswith(" 0"):
        break
    time.sleep(0.1)
check("whoever goes is not written for", running[0].endswith(" 0"))
print("openai", openai.__version__)
