"""Renders small templates with transformers, one for each thing that chat templates use.

python generate.py > cases.json
"""

import datetime
import json

import transformers
from transformers.utils import chat_template_utils


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 7, 16, 5, 9)


chat_template_utils.datetime = Fixed

TALK = [
    {"role": "system", "content": " Be brief.\n"},
    {"role": "user", "content": "Who keeps the light?"},
    {"role": "assistant", "content": "The keeper.\n"},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "sea",
        "description": "Größe <b>&'\"</b> \\ \u007f\u2028日本 😀\n\t\u0001",
        "parameters": {"type": "object", "properties": {"b": {"type": "number", "default": 1.0}, "a": {"enum": [1, 2.5, None, True]}}, "required": []},
    },
}
CALL = [
    {"role": "user", "content": [{"type": "text", "text": "Hi "}, {"type": "image"}, {"type": "text", "text": "there"}]},
    {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "sea", "arguments": {"x": 1e-7, "y": [1e16, -0.5]}}}]},
    {"role": "tool", "name": "sea", "content": "{\"ok\": true}"},
]
THOUGHT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"}]


def each(body):
    return "{% for m in messages %}" + body + "{% endfor %}"


CASES = [
    # Values and JSON.
    ("tojson", "{{ tools[0] | tojson }}", TALK, {"tools": [TOOL]}),
    ("tojson_indent", "{{ tools | tojson(indent=4) }}|{{ tools[0].function.parameters | tojson(indent=2) }}", TALK, {"tools": [TOOL]}),
    ("tojson_options", "{{ tools[0] | tojson(ensure_ascii=True, sort_keys=True, separators=(',', ':')) }}", TALK, {"tools": [TOOL]}),
    ("tojson_empty", "{{ [] | tojson }}{{ {} | tojson(indent=2) }}{{ [[], {}] | tojson(indent=1) }}{{ 'é' | tojson }}{{ none | tojson }}", TALK, {}),
    ("tool_call", each("{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}({{ c.function.arguments | tojson }}){% endfor %}{% else %}{{ m.role }}{% endif %};"), CALL, {}),
    ("printed_values", "{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 1e-7 }} {{ 2.50 | string }}{{ 1e-7 | string }} {{ [1, 'a', none] }} {{ {'k': 'v', 'n': 2.5} }} {{ \"it's\" ~ 1 }} {{ ('a', 1) }}", TALK, {}),
    ("undefined", "[{{ nothing }}][{{ messages[0].nothing }}]{% if nothing is not defined %}x{% endif %}{% for x in nothing %}y{% endfor %}[{{ nothing | default('d') }}]", TALK, {}),
    ("none_arguments", "{{ tools is none }}{{ tools is defined }}{{ documents is none }}{% if tools %}t{% endif %}", TALK, {}),
    ("arithmetic", "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2.5 | round }} {{ 3 * 'ab' }} {{ 1 + true }}", TALK, {}),
    ("content_parts", each("{% if m.content is string %}{{ m.content }}{% elif m.content is iterable and m.content is not mapping %}{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% else %}<{{ p['type'] }}>{% endif %}{% endfor %}{% endif %};"), CALL, {}),
    # Methods.
    ("string_methods", "{% set s = ' Ab cB,é ' %}" + "|".join("{{ s." + m + " }}" for m in [
        "strip()", "lstrip()", "rstrip()", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "split()", "split(',')", "split('b', 1)",
        "rsplit(' ', 1)", "rsplit()", "replace('b', 'X')", "replace(' ', '', 1)", "startswith(' A')", "endswith(('x', ' '))", "find('b')", "rfind('B')",
        "index('c')", "count(' ')", "partition(',')", "rpartition(' ')", "removeprefix(' A')", "removesuffix('é ')", "strip(' A')", "center(13, '*')",
        "ljust(11)", "rjust(12, '.')", "splitlines()", "isdigit()", "casefold()", "format()"]) , TALK, {}),
    ("more_string_methods", "{{ '-7'.zfill(4) }}{{ '42'.zfill(5) }}{{ '+'.zfill(3) }}|{{ '{}-{x}'.format(1, x='y') }}|{{ ', '.join(['a', 'b']) }}|{{ 'a b  c'.split(None, 1) }}|{{ 'a b  c'.rsplit(None, 1) }}|{{ 'a,b,c'.split(',', maxsplit=1) }}|{{ 'a,b,c'.rsplit(sep=',', maxsplit=1) }}|{{ 'abc'[1:] }}|{{ 'abc'[-1] }}|{{ 'abc'[::-1] }}|{{ 'a\\n\\nb'.splitlines() }}", TALK, {}),
    ("thinking", each("{% set c = m.content %}{% if '</think>' in c %}{{ c.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}>>{{ c.split('</think>')[-1].lstrip('\\n') }}{% else %}{{ c }}{% endif %};"), THOUGHT, {}),
    ("dict_methods", "{% set d = {'b': 1, 'a': 2} %}{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}{{ d.keys() | list }}{{ d.values() | list }}{{ d.get('b') }}{{ d.get('z') }}{{ d.get('z', 'no') }}{{ messages[0].get('role') }}{{ 'a' in d }}{% for k, v in d | items %}{{ k }}{% endfor %}{{ d | dictsort }}", TALK, {}),
    ("list_methods", "{% set l = ['a', 'b', 'a'] %}{{ l.index('b') }}{{ l.count('a') }}{{ l | length }}{{ l + ['c'] }}{{ l[1:] }}{{ l[::-1] }}{{ l | unique | list }}{{ l | join('-') }}", TALK, {}),
    ("filters", "{{ messages | map(attribute='role') | join(',') }}|{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}|{{ messages | rejectattr('role', '==', 'user') | list | length }}|{{ messages | last | string | length }}|{{ 'a-b' | replace('-', '+') | upper }}|{{ '  x ' | trim }}|{{ '7' | int + 1 }}|{{ [3, 1, 2] | sort }}|{{ [1, 2] | sum }}|{{ 'it\\'s a <b>' | e }}|{{ 'hello world' | title }}|{{ \"they're <3 o'x9y\".title() }}|{{ 'a\\nb' | indent(2) }}", TALK, {}),
    # Statements.
    ("loop_controls", each("{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.role }}{% if loop.index0 == 1 %}{% break %}{% endif %}"), TALK, {}),
    ("loop_variables", each("{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.previtem.role if loop.previtem is defined else '-' }}{{ loop.nextitem.role if not loop.last else '-' }};"), TALK, {}),
    ("namespace", "{% set ns = namespace(found=false, n=0) %}" + each("{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% set ns.n = ns.n + 1 %}") + "{{ ns.found }}{{ ns.n }}", TALK, {}),
    ("scopes", "{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}{% generation %}{% set x = 4 %}{{ x }}{% endgeneration %}{{ x }}", TALK, {}),
    ("macro", "{% macro turn(m, close='</s>') %}<{{ m.role }}>{{ m.content | trim }}{{ close }}{% endmacro %}" + each("{{ turn(m) }}{{ turn(m, close='') }}"), TALK, {}),
    ("set_block", "{% set text %}\n  {{ messages[0].content }}\n{% endset %}[{{ text }}][{{ text | trim }}]", TALK, {}),
    ("for_else_filter", "{% for m in messages if m.role == 'nobody' %}x{% else %}none{% endfor %}{% for m in messages[::-1] if m.role != 'user' %}{{ m.role }}{% endfor %}{% for i in range(2, 8, 3) %}{{ i }}{% endfor %}", TALK, {}),
    ("conditional_expression", "{{ 'a' if messages | length > 2 else 'b' }}{{ 'x' if false }}{{ (messages[0].role == 'system') and 'yes' or 'no' }}{{ 1 if none is none and 1 in [1, 2] and 3 not in (1, 2) }}", TALK, {}),
    ("raise", "{% if messages[0].role == 'system' %}{{ raise_exception('No system, ' + messages[0].role + ' \"here\"') }}{% endif %}", TALK, {}),
    ("date", "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%A %-d %B %Y, %H:%M:%S %p %j') }}{% if strftime_now is defined %}!{% endif %}", TALK, {}),
    ("extra_variables", "{{ enable_thinking is defined and enable_thinking is false }}{{ custom.a[1] }}{{ bos_token }}", TALK, {"enable_thinking": False, "custom": {"a": [1, "z"]}, "bos_token": "<s>"}),
    ("escapes", "{{ 'a\\\nb' }}|{{ 'tab\\tnl\\nq\\'q\\\"b\\\\\\\\' }}|{{ '\\x41\\u00e9\\U0001f600' }}|{{ 'multi\nline' }}|{{ \"it's\" + '\"' }}", TALK, {}),
    ("unknown_escapes", "{{ '\\d\\s+\\/' }}|{{ '\\101' }}|{{ '\\a\\0' }}", TALK, {}),
    ("membership", "{{ 'tool_calls' in messages[-1] }}{{ 'role' in messages[0] }}{{ messages[-1] == messages[2] }}{{ messages[0].content.content is defined }}{{ (messages[0].nothing | default('', true)).replace('a', 'b') }}{{ (none | default('x', true)) }}{{ not messages[0].get('tool_calls') }}", TALK, {}),
    ("rebinding", "{% set messages = messages[1:] if messages[0]['role'] == 'system' else messages %}{{ messages | length }}{% set rest = messages[:-1] %}{% for m in rest %}{% set rest = rest + [m] %}{% endfor %}{{ rest | length }}{% set out = messages[0] | tojson %}{{ out[:-1] }}{{ messages[0].content[-6:] }}", TALK, {}),
    ("loop_scope_and_macros", "{% macro text(c) -%}{% if c is string %}{{ c }}{% elif c is iterable and c is not mapping %}{% for p in c if p.type == 'text' %}{{ p.text }}{% endfor %}{% endif %}{%- endmacro %}{% set ns = namespace(last=-1) %}" + each("{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}") + each("{% set c = text(m.content) %}{{ c }}{{ loop.index0 > ns.last }}{% if messages[loop.index0 - 1].role != 'tool' %}.{% endif %}") + "{% for k, v in tools[0].function.items() if k != 'name' %}{{ k }}{% if not loop.last %},{% endif %}{% endfor %}{{ \"}}\" }}{{- '{\"type\": {' }}", CALL, {"tools": [TOOL]}),
    ("numbers_and_tests", "{{ 1 is number }}{{ '1' is string }}{{ [] is sequence }}{{ {} is mapping }}{{ true is boolean }}{{ 1.5 is float }}{{ 3 is odd }}{{ none is none }}{{ 'a' is eq 'a' }}{{ 5 is divisibleby 5 }}{{ [1,2] is iterable }}{{ 2 > 1 > 0 }}{{ 10 // 3 }}{{ '1' ~ 2 ~ none }}", TALK, {}),
    ("iterables", "{{ none is iterable }}{{ 1 is iterable }}{{ 'a' is iterable }}{{ {} is iterable }}{{ nothing is iterable }}{{ messages is iterable }}", TALK, {}),
    ("reasoning", each("{{ m.reasoning_content }}|{{ m.thinking }}|{{ m | tojson }};"), [{"role": "assistant", "content": "a", "reasoning": "r"}, {"role": "assistant", "thinking": "t", "content": "b"}, {"role": "user", "content": "c", "thinking": None}], {}),
    ("filters_more", "{{ messages | groupby('role') | map('first') | list }}|{{ [1, 2, 3, 4] | batch(2) | list }}|{{ 'a b' | wordcount if false else '' }}|{{ messages | map(attribute='content') | map('trim') | join('/') }}|{{ [3, 1] | min }}{{ [3, 1] | max }}|{{ 'abc' | first }}{{ 'abc' | last }}{{ 'abc' | reverse }}|{{ 'abcdef' | truncate(5) if false else '' }}|{{ {'a': 1} | items | list }}|{{ 'X' | lower }}|{{ 3.7 | int }}{{ -2 | abs }}{{ '3.5' | float }}|{{ ['b', 'A'] | sort }}|{{ 'a' | string | list }}", TALK, {}),
    # White space.
    ("trim_and_lstrip", "a\n  {% if true %}\nb\n    {% endif %}\n{# c #}\nd\n  {{ 'e' }}\nf {% if true %} g {% endif %}\n\n", TALK, {}),
    ("signs", "a \n {%- if true -%} \n b {%+ if true %}\n c{% endif +%}\n{%- endif %}\n {{- ' d ' -}} \n e\n", TALK, {}),
    ("windows_lines", "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n", TALK, {}),
    ("raw_and_comments", "{% raw %}{% generation %}{{ x }}{% endraw %}{# {% generation %} #}{{ '{% generation %}' }}{{ \"}}\" }}{{ '%}' }}", TALK, {}),
    # Generation blocks.
    ("generation_lines", each("\n{{ m.role }}:\n{% if m.role == 'assistant' %}\n{% generation %}\n{{ m.content }}</s>\n{% endgeneration %}\n{% else %}\n{{ m.content }}\n{% endif %}\n"), TALK, {}),
    ("generation_signs", each("{{ m.role }} {%- generation -%} \n {{ m.content }} \n {%- endgeneration +%}\n;"), TALK, {}),
    ("generation_indented", each("\n    {% generation %}\n    {{ m.content }}\n    {% endgeneration %}\n"), TALK, {}),
    ("generation_in_if", each("{% if m.role == 'assistant' %}{% generation %}{% if m.content %}{{ m.content }}{% endif %}{% for x in 'é😀' %}{{ x }}{{ loop.index }}{% endfor %}{% endgeneration %}{% endif %}"), TALK, {}),
    ("generation_empty", "a{% generation %}{% endgeneration %}b{% generation %}é{% endgeneration %}", TALK, {}),
    ("generation_private_characters", each("{% generation %}{{ m.content }}{% endgeneration %}{{ m.role }}"), [{"role": "user", "content": "\U000f0000\U000f0001 {% endgeneration %}\U000f0001"}, {"role": "assistant", "content": "\ue000"}], {}),
]

cases = []
for name, template, messages, variables in CASES:
    case = {"name": name, "template": template, "messages": messages, "variables": variables}
    variables = dict(variables)
    tools = variables.pop("tools", None)
    try:
        rendered, spans = chat_template_utils.render_jinja_template(
            [messages], tools=tools, chat_template=template, return_assistant_tokens_mask="{% generation" in template or "{%- generation" in template, **variables
        )
        case["rendered"] = rendered[0]
        if spans and "generation" in name:
            case["generation_char_spans"] = [list(span) for span in spans[0]]
    except Exception as error:
        case["error"] = str(error)
        case["kind"] = type(error).__name__
    cases.append(case)
print(json.dumps({"transformers": transformers.__version__, "cases": cases}, indent=1, ensure_ascii=False))
