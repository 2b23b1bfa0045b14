// Holds exported Datadog rules to the vendor's own client: each document is read
// into its model of a rule to be created, and written back without loss.
//
//   sandtable rules export --to datadog --approximate DIR
//   node .ci/export/datadog.mjs DIR HOME    HOME holds node_modules (@datadog/datadog-api-client)
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

const dir = path.resolve(process.argv[2]), home = path.resolve(process.argv[3]);
const require = createRequire(path.join(home, "package.json"));
const { ObjectSerializer } = require("@datadog/datadog-api-client/dist/packages/datadog-api-client-v2/models/ObjectSerializer.js");
const type = "SecurityMonitoringRuleCreatePayload";

// unread names the first part that the model could not take.
function unread(x, at = "") {
  if (x === null || typeof x !== "object") return "";
  if (x.constructor?.name === "UnparsedObject" || x._unparsed) return at || "the document";
  for (const [k, v] of Object.entries(x)) {
    const bad = unread(v, `${at}.${k}`);
    if (bad) return bad;
  }
  return "";
}

// lost names the first value that does not come back.
function lost(a, b, at = "") {
  if (a === null || typeof a !== "object") return a === b ? "" : at;
  for (const k of Object.keys(a)) {
    const bad = lost(a[k], b?.[k], `${at}.${k}`);
    if (bad) return bad;
  }
  return "";
}

let bad = 0, seen = 0;
for (const name of readdirSync(dir).filter((n) => n.endsWith(".json"))) {
  const doc = JSON.parse(readFileSync(path.join(dir, name), "utf8"));
  const model = ObjectSerializer.deserialize(doc, type);
  const fault = unread(model) || lost(doc, ObjectSerializer.serialize(model, type));
  seen++;
  if (fault) {
    bad++;
    console.log(`FAIL ${name}: ${fault}`);
  }
}
// The check itself: a window that does not exist must not pass.
const wrong = { type: "log_detection", name: "x", message: "x", isEnabled: true, cases: [], queries: [], options: { evaluationWindow: 7 } };
if (!unread(ObjectSerializer.deserialize(wrong, type))) {
  bad++;
  console.log("FAIL: the client takes anything");
}
console.log(`${seen} rules, ${bad} not taken by the client's model`);
process.exit(bad || !seen ? 1 : 0);
