// Runs the exported queries on a real ClickHouse and compares the moments of
// their alerts with those of our engine. Exact ones must agree to the
// nanosecond; approximate ones must run, and their difference is printed.
import { createRequire } from "node:module";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";

const dir = path.resolve(process.argv[2]);
const require = createRequire(path.join(dir, "package.json"));
const { Session } = require("chdb");
rmSync(path.join(dir, "db"), { recursive: true, force: true });
const db = new Session(path.join(dir, "db"));
db.query(`CREATE TABLE otel_logs (Timestamp DateTime64(9, 'UTC'), ServiceName String, LogAttributes Map(LowCardinality(String), String),
  ResourceAttributes Map(LowCardinality(String), String)) ENGINE = MergeTree ORDER BY (ServiceName, Timestamp)`);
db.query(`INSERT INTO otel_logs SELECT * FROM file('${path.join(dir, "rows.jsonl")}', JSONEachRow,
  'Timestamp DateTime64(9, \\'UTC\\'), ServiceName String, LogAttributes Map(String, String), ResourceAttributes Map(String, String)')`);
console.log("rows in the table:", db.query("SELECT count() FROM otel_logs", "TSV").trim());

let bad = 0;
for (const want of JSON.parse(readFileSync(path.join(dir, "clickhouse", "expected.json")))) {
  const sql = readFileSync(path.join(dir, "clickhouse", want.rule + ".sql"), "utf8");
  let got;
  try {
    got = db.query(sql, "JSONEachRow").trim().split("\n").filter(Boolean).map((l) => String(JSON.parse(l, (k, v, c) => (k === "alert_ns" ? (c?.source ?? String(v)) : v)).alert_ns));
  } catch (e) {
    bad++;
    console.log(`FAIL ${want.rule}: ${String(e.message ?? e).slice(0, 600)}`);
    continue;
  }
  const a = [...want.alerts].sort(), b = [...got].sort();
  const missing = a.filter((x) => !b.includes(x)).length, extra = b.filter((x) => !a.includes(x)).length;
  const same = missing === 0 && extra === 0 && a.length === b.length;
  if (!same && want.level === "exact") bad++;
  console.log(`${same ? "same" : want.level === "exact" ? "FAIL" : "differs"}  ${want.rule} (${want.level}): ${a.length} alerts of the engine, ${b.length} of the query; ${missing} missing, ${extra} more`);
}
process.exit(bad ? 1 : 0);
