// Holds exported Loki expressions against the published grammar of LogQL.
//
//   sandtable rules export --to loki --approximate DIR && (cd DIR && npm install @grafana/lezer-logql@0.4.2 @lezer/lr) && node .ci/export/loki.mjs DIR
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

const dir = path.resolve(process.argv[2]), home = path.resolve(process.argv[3] ?? process.argv[2]);
const { parser } = createRequire(path.join(home, "package.json"))("@grafana/lezer-logql");
let bad = 0, seen = 0;
for (const name of readdirSync(dir).filter((n) => n.endsWith(".yaml"))) {
  const line = readFileSync(path.join(dir, name), "utf8").split("\n").find((l) => l.trim().startsWith("expr: "));
  const expr = JSON.parse(line.trim().slice("expr: ".length));
  seen++;
  let at = -1;
  parser.parse(expr).iterate({ enter: (n) => { if (n.type.isError && at < 0) at = n.from; } });
  if (at >= 0) {
    bad++;
    console.log(`FAIL ${name} at ${at}: ...${expr.slice(Math.max(0, at - 60), at)} >>> ${expr.slice(at, at + 60)}`);
  }
}
console.log(`${seen} expressions, ${bad} outside the grammar`);
process.exit(bad || !seen ? 1 : 0);
