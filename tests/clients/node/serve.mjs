// Lets a program use a client: one line of JSON asks, one line answers.
//
// {"verb": "read", "arguments": ["Slot", "…"]} is answered {"value": …}, or, when the
// client throws, {"error": {"text": …, "status": …, "outcome": …}}. The first line says
// which verbs the client has.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export const { BASE_URL, TOKEN } = process.env;

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

/** Serve a client's verbs; `failure` reads status and outcome out of its errors. */
export async function serve(name, verbs, failure) {
  const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ name, version: versionOf(name), verbs: Object.keys(verbs) });
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    try {
      say({ value: await verbs[asked.verb](...asked.arguments) });
    } catch (error) {
      say({ error: { text: String(error.message ?? error).slice(0, 500), ...failure(error) } });
    }
  }
  process.exit(0);
}
