// Executes exported Sigma rules: reads them as the specification 2.1 says, runs
// them over the rows of a played stream, and compares the moments of their alerts
// with those of our engine. Exact ones must agree to the nanosecond; approximate
// ones must run, and their difference is printed.
//
// No engine for Sigma is in a package registry that Go, npm or Debian users reach,
// so this is one: it shares no code with the exporter, takes no more than the
// specification allows, and is itself held to spoilt rules that it must refuse.
//
//	go run ./.ci/export DIR && (cd DIR && npm install js-yaml@4.1.0) && node .ci/export/sigma.mjs DIR
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const dir = path.resolve(process.argv[2]);
const yaml = createRequire(path.join(dir, "package.json"))("js-yaml");

class Refused extends Error {}
const refuse = (why) => { throw new Refused(why); };
const isMap = (x) => x !== null && typeof x === "object" && !Array.isArray(x);

// --- reading a rule -------------------------------------------------------

const statuses = ["stable", "test", "experimental", "deprecated", "unsupported"];
const levels = ["informational", "low", "medium", "high", "critical"];
const ruleKeys = ["title", "id", "name", "taxonomy", "related", "status", "license", "description", "references", "author", "date", "modified", "logsource", "detection", "fields", "falsepositives", "level", "tags", "scope", "correlation"];

function meta(d) {
  if (!isMap(d)) refuse("a document is no map");
  for (const k of Object.keys(d)) if (!ruleKeys.includes(k)) refuse(`unknown key ${k}`);
  if (typeof d.title !== "string" || d.title === "" || d.title.length > 256) refuse("title is missing or too long");
  if (d.id !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(d.id)) refuse("id is no UUID");
  if (d.status !== undefined && !statuses.includes(d.status)) refuse(`status ${d.status}`);
  if (d.level !== undefined && !levels.includes(d.level)) refuse(`level ${d.level}`);
  for (const k of ["description", "author", "name"]) if (d[k] !== undefined && typeof d[k] !== "string") refuse(`${k} is no text`);
  if (d.falsepositives !== undefined && !(Array.isArray(d.falsepositives) && d.falsepositives.every((x) => typeof x === "string"))) refuse("falsepositives is no list of texts");
}

// glob turns a value with wildcards and escapes into an expression.
function glob(v, before, after, cased) {
  let out = "";
  const literal = (c) => c.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  for (let i = 0; i < v.length; i++) {
    const c = v[i];
    if (c === "\\" && ["*", "?", "\\"].includes(v[i + 1])) out += literal(v[++i]);
    else if (c === "*") out += "[^]*";
    else if (c === "?") out += "[^]";
    else out += literal(c);
  }
  return new RegExp("^" + before + out + after + "$", cased ? "u" : "iu");
}

const compare = { lt: (a, b) => a < b, lte: (a, b) => a <= b, gt: (a, b) => a > b, gte: (a, b) => a >= b };

// item reads one line of a selection: a field, its modifiers and values.
function item(key, raw, lists) {
  const [field, ...mods] = key.split("|");
  if (field === "") refuse("a line of a selection has no field");
  const values = Array.isArray(raw) ? raw : [raw];
  if (values.length === 0) refuse(`${field} has no value`);
  const has = (m) => { const i = mods.indexOf(m); if (i >= 0) mods.splice(i, 1); return i >= 0; };
  const all = has("all"), cased = has("cased"), expand = has("expand");
  if (all && values.length < 2) refuse(`${field}: all needs several values`);
  const number = Object.keys(compare).find(has);
  let tests;
  if (has("exists")) {
    if (values.length !== 1 || typeof values[0] !== "boolean") refuse(`${field}: exists takes true or false`);
    if (mods.length) refuse(`${field}: exists stands alone`);
    return (e) => (e[field] !== undefined) === values[0];
  } else if (number) {
    tests = values.map((v) => {
      if (typeof v !== "number") refuse(`${field}: ${number} takes a number`);
      return (x) => x !== "" && Number.isFinite(Number(x)) && compare[number](Number(x), v);
    });
  } else if (has("re")) {
    const flags = ["i", "m", "s"].filter(has).join("");
    tests = values.map((v) => {
      if (typeof v !== "string") refuse(`${field}: an expression is no text`);
      // What the flavour leaves out: classes by letter, boundaries, groups with a flag or a name, back references.
      if (/\\[A-Za-z0-9]/.test(v.replace(/\\\\/g, "")) || /\(\?/.test(v)) refuse(`${field}: the expression ${v} leaves Sigma's subset`);
      let re;
      try { re = new RegExp(v, flags); } catch (e) { refuse(`${field}: ${e.message}`); }
      return (x) => re.test(x);
    });
  } else {
    const before = has("contains") ? "both" : has("startswith") ? "after" : has("endswith") ? "before" : "";
    tests = values.flatMap((v) => {
      if (typeof v === "boolean") v = String(v);
      if (expand) {
        const name = /^%([a-z_]+)%$/.exec(v)?.[1] ?? refuse(`${field}: ${v} is no placeholder`);
        return (lists[name] ?? refuse(`${field}: nobody fills %${name}%`)).map((x) => (y) => y.toLowerCase().startsWith(x.toLowerCase()));
      }
      if (typeof v === "number") return [(x) => x !== "" && Number(x) === v];
      if (typeof v !== "string") refuse(`${field}: a value is no text`);
      const re = glob(v, before === "both" || before === "before" ? "[^]*" : "", before === "both" || before === "after" ? "[^]*" : "", cased);
      return [(x) => re.test(x)];
    });
  }
  if (mods.length) refuse(`${field}: unknown modifier ${mods.join("|")}`);
  return (e) => {
    const x = e[field];
    return x !== undefined && (all ? tests.every((t) => t(x)) : tests.some((t) => t(x)));
  };
}

function selection(s, lists) {
  if (Array.isArray(s) && s.length && s.every(isMap)) {
    const any = s.map((m) => selection(m, lists));
    return (e) => any.some((t) => t(e));
  }
  if (!isMap(s) || Object.keys(s).length === 0) refuse("a selection is neither a map nor a list of maps");
  const every = Object.entries(s).map(([k, v]) => item(k, v, lists));
  return (e) => every.every((t) => t(e));
}

// condition reads: or binds weakest, then and, then not.
function conditionOf(text, names) {
  if (typeof text !== "string") refuse("condition is missing");
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const next = () => tokens[at++];
  const or = () => {
    const parts = [and()];
    while (tokens[at] === "or") { at++; parts.push(and()); }
    return parts.length > 1 ? (m) => parts.some((p) => p(m)) : parts[0];
  };
  const and = () => {
    const parts = [not()];
    while (tokens[at] === "and") { at++; parts.push(not()); }
    return parts.length > 1 ? (m) => parts.every((p) => p(m)) : parts[0];
  };
  const not = () => {
    if (tokens[at] === "not") { at++; const p = not(); return (m) => !p(m); }
    const t = next();
    if (t === "(") {
      const p = or();
      if (next() !== ")") refuse("a bracket is not closed in the condition");
      return p;
    }
    if (!names.includes(t)) refuse(`the condition names ${t}, which is no selection`);
    return (m) => m(t);
  };
  const p = or();
  if (at < tokens.length) refuse(`the condition goes on after its end: ${tokens[at]}`);
  return p;
}

function detection(d, lists) {
  meta(d);
  if (!isMap(d.logsource) || !Object.keys(d.logsource).length) refuse("logsource is missing");
  for (const k of Object.keys(d.logsource)) if (!["category", "product", "service", "definition"].includes(k)) refuse(`logsource has ${k}`);
  if (d.logsource.product !== "claude" || d.logsource.service !== "cowork_otel") refuse("a log source nobody here maps");
  if (!isMap(d.detection)) refuse("detection is missing");
  const { condition, ...sels } = d.detection;
  const names = Object.keys(sels);
  if (!names.length) refuse("no selection");
  const tests = Object.fromEntries(names.map((n) => [n, selection(sels[n], lists)]));
  const c = conditionOf(condition, names);
  for (const n of names) if (!new RegExp(`(^|[\\s(])${n}($|[\\s)])`).test(condition)) refuse(`selection ${n} is not used`);
  return { d, test: (e) => c((n) => tests[n](e)) };
}

const counted = ["event_count", "value_count", "value_sum"];

function correlation(d, rules) {
  meta(d);
  const c = d.correlation;
  if (!isMap(c)) refuse("correlation is no map");
  if (![...counted, "temporal_ordered"].includes(c.type)) refuse(`correlation type ${c.type}`);
  if (!Array.isArray(c.rules) || !c.rules.length) refuse("a correlation without rules");
  const parts = c.rules.map((n) => rules.find((r) => r.d.name === n || r.d.id === n) ?? refuse(`the correlation names ${n}, which is not in the file`));
  if (!Array.isArray(c["group-by"]) || !c["group-by"].length) refuse("group-by is missing");
  const [, n, unit] = /^(\d+)([smhd])$/.exec(c.timespan) ?? refuse(`timespan ${c.timespan}`);
  const span = BigInt(n) * { s: 1n, m: 60n, h: 3600n, d: 86400n }[unit] * 1_000_000_000n;
  let limit;
  if (counted.includes(c.type)) {
    if (parts.length !== 1 || !parts[0].test) refuse(`${c.type} over anything but one rule`);
    if (!isMap(c.condition)) refuse(`${c.type} needs a condition`);
    const { field, ...ops } = c.condition;
    if ((c.type === "event_count") !== (field === undefined)) refuse(`${c.type}: field`);
    const tests = Object.entries(ops).map(([op, v]) => {
      if (!compare[op] || !Number.isInteger(v)) refuse(`condition ${op}: ${v}`);
      return (x) => compare[op](x, v);
    });
    if (!tests.length) refuse("an empty condition");
    limit = (x) => tests.every((t) => t(x));
  } else if (parts.length < 2) refuse("an order of one rule");
  return { d, c, parts, span, limit };
}

// load reads a file: rules, then at most one correlation over them.
function load(text, lists) {
  const docs = yaml.loadAll(text, null, { schema: yaml.JSON_SCHEMA });
  const rules = docs.filter((d) => !d?.correlation).map((d) => detection(d, lists)), parts = [...rules];
  const ids = docs.map((d) => d.id).filter(Boolean);
  if (new Set(ids).size !== ids.length) refuse("an id stands twice");
  const joins = docs.filter((d) => d?.correlation).map((d) => { const j = correlation(d, parts); parts.push(j); return j; });
  for (const j of joins.slice(0, -1)) if (!joins.at(-1).parts.includes(j)) refuse("a correlation stands beside the last one and not under it");
  if (!joins.length && rules.length !== 1) refuse("several rules and nothing that joins them");
  return { rules, join: joins.at(-1) };
}

// --- running it over events -----------------------------------------------

const keyOf = (fields, e) => fields.map((f) => e[f] ?? "").join("\u0000");

// fires tells whether a part, a rule or a correlation, holds with event e; g has
// what correlations remember of the group.
function fires(part, e, g) {
  if (part.test) return part.test(e);
  const { c, span, limit, parts } = part;
  if (!g.has(part)) g.set(part, { seen: [], chain: [] });
  const m = g.get(part);
  if (c.type === "temporal_ordered") {
    const holds = parts.map((p) => fires(p, e, g)); // every part looks at every event
    for (let k = parts.length - 1; k >= 0; k--) { // downwards: one event is one step
      if (!holds[k]) continue;
      const begun = k > 0 ? m.chain[k - 1] : parts[0].test ? e.ts : g.get(parts[0]).seen[0].ts;
      if (begun === undefined || e.ts - begun > span) continue;
      if (m.chain[k] === undefined || begun > m.chain[k]) m.chain[k] = begun;
      return k === parts.length - 1;
    }
    return false;
  }
  if (!parts[0].test(e)) return false;
  m.seen.push(e);
  while (e.ts - m.seen[0].ts > span) m.seen.shift();
  const f = c.condition.field;
  return limit(c.type === "event_count" ? m.seen.length : c.type === "value_count" ? new Set(m.seen.map((x) => x[f])).size : m.seen.reduce((s, x) => s + Number(x[f]), 0));
}

// moments returns, in order, every match that counts and whether the rule fires
// with it. Windows slide; both ends belong to them.
function moments(rule, incident, events) {
  const fields = rule.join ? rule.join.c["group-by"] : incident;
  const groups = new Map(), out = [];
  for (const e of events) {
    const hit = rule.rules.map((r) => r.test(e));
    if (!hit.some(Boolean) || fields.some((f) => e[f] === undefined)) continue;
    const key = keyOf(fields, e);
    if (!groups.has(key)) groups.set(key, new Map());
    const g = groups.get(key);
    out.push({ key, ts: e.ts, fires: !rule.join || fires(rule.join, e, g) });
  }
  return out;
}

// alerts joins matches of one key that lie no further apart than suppress.
function alerts(hits, suppress) {
  const live = new Map(), out = [];
  for (const h of hits) {
    let run = live.get(h.key);
    if (!run || h.ts - run.last > suppress) live.set(h.key, (run = { raised: false }));
    run.last = h.ts;
    if (h.fires && !run.raised) { run.raised = true; out.push(String(h.ts)); }
  }
  return out.sort();
}

// --- the stream -------------------------------------------------------------

const nanos = (t) => {
  const [, sec, frac] = /^(.*)\.(\d{9})$/.exec(t);
  return BigInt(Date.parse(sec.replace(" ", "T") + "Z")) * 1_000_000n + BigInt(frac);
};
// flat does what the notes of the export ask of an ingest step.
function flat(row) {
  const e = { ...row.ResourceAttributes, ...row.LogAttributes };
  for (const k of ["tool_parameters", "tool_input"]) {
    let inner;
    try { inner = JSON.parse(e[k]); } catch { continue; } // absent, or cut off
    for (const [n, v] of Object.entries(inner)) if (v !== null && typeof v !== "object") e[`${k}.${n}`] = String(v);
  }
  for (const k of Object.keys(e)) if (e[k] === "") delete e[k];
  e.ts = nanos(row.Timestamp);
  return e;
}
const seen = new Set(), events = [], roots = new Set();
for (const line of readFileSync(path.join(dir, "rows.jsonl"), "utf8").split("\n").filter(Boolean)) {
  const row = JSON.parse(line);
  if (row.ServiceName !== "cowork") continue;
  const e = flat(row), id = [e["session.id"], e["event.sequence"], e.ts, e["event.name"]].join("|");
  if (seen.has(id)) continue;
  seen.add(id);
  events.push(e);
  if (e["workspace.host_paths"]) for (const p of JSON.parse(e["workspace.host_paths"])) roots.add(p);
}
events.sort((a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0)); // stable: ties keep the order of the file
console.log(`${events.length} records`);

// --- comparison -----------------------------------------------------------------

const words = { session: "session.id", member: "user.account_uuid", organisation: "organization.id", device: "user.id", mcp_server: "tool_parameters.mcp_server_name", plugin_hash: "plugin_id_hash", tool_name: "tool_name", tool: "tool_name" };
const lists = { sandtable_roots: [...roots].map((r) => r.replace(/[\\/]?$/, r.includes("\\") ? "\\" : "/")) };
let bad = 0, exact = 0, fired = 0;
const fail = (text) => { bad++; console.log("FAIL " + text); };
const files = new Map(), matches = [];
const wanted = JSON.parse(readFileSync(path.join(dir, "sigma", "expected.json")));
for (const want of wanted) {
  const text = readFileSync(path.join(dir, "sigma", want.rule + ".yml"), "utf8");
  files.set(want.rule, text);
  let rule;
  try { rule = load(text, lists); } catch (e) { fail(`${want.rule}: ${e.message}`); continue; }
  for (const r of rule.rules) matches.push({ file: want.rule + ".yml", id: r.d.id, count: events.filter(r.test).length });
  const keys = want.key.map((k) => words[k] ?? refuse(`no field for ${k}`));
  const got = alerts(moments(rule, keys, events), BigInt(want.suppress_ns));
  const a = [...want.alerts].sort();
  const missing = a.filter((x) => !got.includes(x)).length, extra = got.filter((x) => !a.includes(x)).length;
  const same = missing === 0 && extra === 0 && a.length === got.length;
  if (want.level === "exact") { exact++; fired += a.length; }
  if (!same && want.level === "exact") bad++;
  console.log(`${same ? "same" : want.level === "exact" ? "FAIL" : "differs"}  ${want.rule} (${want.level}): ${a.length} alerts of the engine, ${got.length} of the rule; ${missing} missing, ${extra} more`);
}

// For pysigma.py, which counts the same with pySigma where it can be installed.
writeFileSync(path.join(dir, "sigma", "matches.json"), JSON.stringify(matches));

// The check itself: each of these must be refused, and a rule with another meaning
// must not give the same alerts.
const spoilt = {
  "no title": ["repeated-rejections", (t) => t.replace(/^title:.*\n/m, "")],
  "a misspelt key": ["repeated-rejections", (t) => t.replace("detection:", "detections:")],
  "an unknown status": ["repeated-rejections", (t) => t.replace(/^status: .*$/m, "status: released")],
  "no log source": ["repeated-rejections", (t) => t.replace(/logsource:\n {2}product: .*\n {2}service: .*\n/, "")],
  "a condition that names nothing": ["repeated-rejections", (t) => t.replace("condition: s1", "condition: s99")],
  "an open bracket": ["repeated-rejections", (t) => t.replace(/(condition: s1.*)\)$/m, "$1")],
  "an unknown modifier": ["repeated-rejections", (t) => t.replace("|cased", "|exactly")],
  "a rule that is not there": ["repeated-rejections", (t) => t.replace(/rules: \[.*\]/, "rules: [elsewhere]")],
  "a timespan in words": ["repeated-rejections", (t) => t.replace("timespan: 10m", "timespan: 10min")],
  "half a count": ["repeated-rejections", (t) => t.replace("gte: 3", "gte: 2.5")],
  "a sum without its field": ["session-spend", (t) => t.replace(/field: "[^"]*", /, "")],
  "letters outside the flavour": ["card-number", (t) => t.replace(/\[0-9\]/, "\\\\d")],
  "a list nobody fills": ["file-outside-scope", (t) => t.replaceAll("sandtable_roots", "other_roots")],
};
for (const [what, [rule, spoil]] of Object.entries(spoilt)) {
  const before = files.get(rule), after = spoil(before);
  if (before === after) { fail(`the check is stale: ${rule} holds nothing to spoil for ${what}`); continue; }
  try { load(after, lists); fail(`taken: ${what}`); } catch (e) { if (!(e instanceof Refused || e instanceof yaml.YAMLException)) throw e; }
}
for (const [rule, change] of [["subagent-storm", (t) => t.replace("gte: 25", "gte: 60")], ["cloud-session-while-off", (t) => t.replace('"remote"', '"local"')]]) {
  const want = wanted.find((w) => w.rule === rule), text = change(files.get(rule));
  const got = alerts(moments(load(text, lists), want.key.map((k) => words[k]), events), BigInt(want.suppress_ns));
  if (text === files.get(rule) || JSON.stringify(got) === JSON.stringify([...want.alerts].sort())) fail(`${rule} changed its meaning and gives the same alerts`);
}
if (!exact || !fired) fail("nothing exact fired: the comparison is empty");
console.log(`${wanted.length} rules executed, ${exact} exact with ${fired} alerts; ${Object.keys(spoilt).length} spoilt rules refused; ${bad} faults`);
process.exit(bad ? 1 : 0);
