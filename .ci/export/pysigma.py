"""Holds exported Sigma rules, and the evaluator of sigma.mjs, to pySigma.

    node .ci/export/sigma.mjs DIR && python3 .ci/export/pysigma.py DIR

Every file must be read without error, correlations resolved. Each rule is turned
into SQL by pySigma's own SQLite backend and run over the rows; it must find as many
of them as sigma.mjs did. Needs pySigma and pySigma-backend-sqlite, which are on
PyPI only: where that cannot be reached, exit 3.
"""
import json, os, re, sqlite3, sys

try:
    from sigma.collection import SigmaCollection
    from sigma.rule import SigmaRule
    from sigma.backends.sqlite import sqliteBackend
    from sigma.exceptions import SigmaError
except ImportError as e:
    print("not executed:", e)
    sys.exit(3)


class Backend(sqliteBackend):
    # The backend writes GLOB with an ESCAPE, which SQLite has not (the function
    # below does what is meant), asks for presence with a comparison that is null
    # for what is absent, and leaves quotes in expressions alone.
    case_sensitive_match_expression = "CASED({field}, {value})"
    field_exists_expression = "{field} IS NOT NULL"
    re_escape_char = "'"
    re_escape = ("'",)


def cased(x, pattern):
    if x is None:
        return None  # as every comparison of SQL
    out, i = "", 0
    while i < len(pattern):
        c = pattern[i]
        if c == "\\" and i + 1 < len(pattern):
            i += 1
            out += re.escape(pattern[i])
        else:
            out += {"*": ".*", "?": "."}.get(c) or re.escape(c)
        i += 1
    return re.fullmatch(out, str(x), re.S) is not None


dir = sys.argv[1]
home = os.path.join(dir, "sigma")
rows, seen, columns = [], set(), set()
for line in open(os.path.join(dir, "rows.jsonl")):
    row = json.loads(line)
    if row["ServiceName"] != "cowork":
        continue
    e = {**row["ResourceAttributes"], **row["LogAttributes"]}
    for k in ("tool_parameters", "tool_input"):
        try:
            inner = json.loads(e.get(k, ""))
        except ValueError:
            continue
        for n, v in inner.items():
            if isinstance(v, bool):
                e[k + "." + n] = str(v).lower()
            elif isinstance(v, (str, int, float)):
                e[k + "." + n] = str(v)
    e = {k: v for k, v in e.items() if v != ""}
    key = (e.get("session.id"), e.get("event.sequence"), row["Timestamp"], e.get("event.name"))
    if key in seen:
        continue
    seen.add(key)
    columns |= e.keys()
    rows.append(e)
texts, numbers = [], ("cost_usd_micros", "tool_input_size_bytes", "tool_result_size_bytes", "prompt_length", "event.sequence")
bad = done = skipped = 0
collections = {}
want = json.load(open(os.path.join(home, "matches.json")))
for name in sorted({m["file"] for m in want}):
    text = open(os.path.join(home, name)).read()
    try:
        c = SigmaCollection.from_yaml(text)
        c.resolve_rule_references()
    except SigmaError as e:
        bad += 1
        print("FAIL", name, e)
        continue
    collections[name] = c
    columns |= {key.split("|")[0] for key in re.findall(r'\{"([^"]+)":', text)}
# SQLite takes no more than 2000 columns; only fields that a rule names matter.
named = sorted(c for c in columns if any('"%s' % c in open(os.path.join(home, n)).read() for n in collections))
db = sqlite3.connect(":memory:")
db.create_function("REGEXP", 2, lambda pattern, x: None if x is None else re.search(pattern, str(x)) is not None, deterministic=True)
db.create_function("CASED", 2, cased, deterministic=True)
db.execute("CREATE TABLE logs (%s)" % ", ".join('`%s` %s' % (c, "INTEGER" if c in numbers else "TEXT") for c in named))
db.executemany("INSERT INTO logs VALUES (%s)" % ", ".join("?" * len(named)), ([e.get(c) for c in named] for e in rows))
for m in want:
    c = collections.get(m["file"])
    if c is None:
        continue
    rule = next(r for r in c.rules if str(r.id) == m["id"])
    try:
        [sql] = Backend().convert(SigmaCollection([SigmaRule.from_dict(rule.to_dict())]))
    except Exception as e:
        if "laceholder" in str(e):  # a list that each customer fills
            skipped += 1
            print("skipped", m["file"], "-", e)
            continue
        raise
    sql = sql.replace("<TABLE_NAME>", "logs").replace("SELECT * FROM", "SELECT count(*) FROM", 1)
    got = db.execute(sql).fetchone()[0]
    done += 1
    if got != m["count"]:
        bad += 1
        print("FAIL %s: pySigma finds %d, sigma.mjs %d" % (m["file"], got, m["count"]))
try:
    SigmaCollection.from_yaml(open(os.path.join(home, "session-spend.yml")).read().replace("|gt", "|exceeds"))
    bad += 1
    print("FAIL: pySigma takes anything")
except SigmaError:
    pass
print("%d rules counted alike in SQL over %d rows, %d skipped, %d faults" % (done - bad, len(rows), skipped, bad))
sys.exit(1 if bad or not done else 0)
