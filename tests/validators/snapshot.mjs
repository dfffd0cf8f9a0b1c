/*
 * Write the snapshots of this project's profiles, or check that they are up to date.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { hl7, own, PROFILES } from './lib/definitions.mjs';
import { snapshotElements } from './lib/snapshot.mjs';

const HELP = `Usage: node snapshot.mjs [--check]

A profile in profiles/ is written by hand as a differential: what it changes. Validators
want a snapshot too: every element of the base with those changes made. This computes the
snapshots and writes them into the same files.

  --check    write nothing; exit code 1 if a snapshot is not what its differential says
  --help     show this text
`;

let options;
try {
  options = parseArgs({
    options: { check: { type: 'boolean' }, help: { type: 'boolean' } },
  }).values;
} catch (error) {
  process.stderr.write(`${error.message}\n\n${HELP}`);
  process.exit(2);
}
if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const known = new Map(
  [...hl7('profiles-types'), ...hl7('profiles-resources')].map((resource) => [
    resource.url,
    resource,
  ]),
);
let stale = 0;
for (const { file, resource } of own()) {
  if (resource.resourceType !== 'StructureDefinition') {
    continue;
  }
  const { snapshot, differential, ...head } = resource;
  const element = snapshotElements(resource, (url) => known.get(url));
  if (JSON.stringify(snapshot?.element) === JSON.stringify(element)) {
    continue;
  }
  stale += 1;
  if (options.check) {
    process.stdout.write(`${file}: stale snapshot; run: node snapshot.mjs\n`);
  } else {
    const whole = { ...head, snapshot: { element }, differential };
    writeFileSync(PROFILES + file, `${JSON.stringify(whole, null, 2)}\n`);
    process.stdout.write(`${file}: snapshot written\n`);
  }
}
process.exit(options.check && stale > 0 ? 1 : 0);
