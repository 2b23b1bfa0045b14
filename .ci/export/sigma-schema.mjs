// By hand: holds exported Sigma documents against the official JSON schemas, which
// are in no package registry, and checks what the schemas leave open: that a
// correlation names rules of its file and compares whole numbers.
//
//   sandtable rules export --to sigma --approximate DIR
//   node .ci/export/sigma-schema.mjs DIR HOME    HOME holds node_modules (ajv, ajv-formats, js-yaml) and the two schemas
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

const dir = path.resolve(process.argv[2]), home = path.resolve(process.argv[3]);
const require = createRequire(path.join(home, "package.json"));
const Ajv = require("ajv/dist/2020"), formats = require("ajv-formats"), yaml = require("js-yaml");
const schema = (part) => JSON.parse(readFileSync(path.join(home, readdirSync(home).find((n) => n.includes(part) && n.endsWith("schema.json")))));
const ajv = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true, validateFormats: true });
(formats.default ?? formats)(ajv);
const rule = ajv.compile(schema("detection")), correlation = ajv.compile(schema("correlation"));
let bad = 0, docs = 0;
for (const name of readdirSync(dir).filter((n) => n.endsWith(".yml"))) {
  const all = yaml.loadAll(readFileSync(path.join(dir, name), "utf8"), null, { schema: yaml.JSON_SCHEMA });
  const names = all.map((d) => d.name).filter(Boolean);
  for (const doc of all) {
    docs++;
    const check = doc.correlation ? correlation : rule;
    const fail = (why) => { bad++; console.log(`FAIL ${name}: ${why}`); };
    if (!check(doc)) fail(JSON.stringify(check.errors.slice(0, 3)));
    for (const r of doc.correlation?.rules ?? []) if (!names.includes(r)) fail(`correlation names ${r}, which is not in the file`);
    for (const [k, v] of Object.entries(doc.correlation?.condition ?? {})) if (k !== "field" && !Number.isInteger(v)) fail(`${k}: ${v} is no whole number`);
  }
}
console.log(`${docs} documents, ${bad} faults`);
process.exit(bad || !docs ? 1 : 0);
