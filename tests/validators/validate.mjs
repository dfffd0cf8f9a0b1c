/*
 * Validate FHIR R4 JSON with validators that this project did not write.
 */

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { resourcesUnder } from './lib/input.mjs';
import { createValidator } from './lib/validator.mjs';

const BROKEN = fileURLToPath(new URL('./broken/', import.meta.url));
const SHOWN = 160;

const HELP = `Usage: node validate.mjs FILE-or-FOLDER... [options]
       node validate.mjs --self-check

Reads FHIR R4 resources and says which of them are not valid.

  x.json      one resource
  x.ndjson    one resource on each line
  a folder    every .json and .ndjson in it, to any depth

Each resource is checked
  json-schema  by HL7's JSON Schema of R4, through ajv
  medplum      by HL7's structure definitions and their invariants, through Medplum; then
               by each profile it names in meta.profile (those of profiles/ are known)
  codes        by the required value sets, from HL7's definitions
  invariants   by the invariants of data types, from HL7's definitions
  claims       that no list or object in it is empty, and that its extensions and
               profiles are defined and stand where they may

A Bundle is checked whole; each resource in it, and each contained one, is checked as if
it stood alone.

Options:
  --require-profiles  every Slot, Schedule, Appointment and HealthcareService must name the
                      profile of this project
  --json              print one JSON object with every fault of every resource
  --self-check        try the resources in broken/: each must be refused, for the fault
                      that its file name tells
  --help              show this text

Output: one line for each invalid resource: where, the path in it, the message, and which
validator found it. Then one line: "N resources valid, M invalid".

Exit code: 0 all valid; 1 some invalid; 2 nothing to validate, or it cannot be read.

Examples:
  node validate.mjs ../../profiles
  curl -s http://localhost:8080/fhir/Slot?start=ge2026-12-01 > slots.json
  node validate.mjs slots.json --require-profiles
`;

function main() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        'require-profiles': { type: 'boolean' },
        'self-check': { type: 'boolean' },
      },
    });
  } catch (error) {
    return usage(error.message);
  }
  const { values: options, positionals: paths } = parsed;
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options['self-check']) {
    return paths.length > 0 ? usage('--self-check takes no files') : selfCheck();
  }
  if (paths.length === 0) {
    return usage('name a file or a folder');
  }
  const absent = paths.find((path) => !statSync(path, { throwIfNoEntry: false }));
  if (absent !== undefined) {
    return usage(`${absent}: no such file or folder`);
  }
  const validate = createValidator({ requireProfiles: options['require-profiles'] });
  const results = [...check(validate, paths)];
  if (results.length === 0) {
    return usage(`no resources in ${paths.join(', ')}`);
  }
  return options.json ? reportJson(results) : report(results);
}

function* check(validate, paths) {
  for (const { place, resource, problem } of resourcesUnder(paths)) {
    const faults = problem
      ? [{ validator: 'claims', path: '', message: problem }]
      : validate(resource);
    yield { place, resourceType: resource?.resourceType, id: resource?.id, faults };
  }
}

function report(results) {
  const invalid = results.filter(({ faults }) => faults.length > 0);
  for (const { place, faults } of invalid) {
    print(`${place}: ${summary(faults)}`);
  }
  print(`${results.length - invalid.length} resources valid, ${invalid.length} invalid`);
  return invalid.length > 0 ? 1 : 0;
}

function reportJson(results) {
  const invalid = results.filter(({ faults }) => faults.length > 0).length;
  const whole = { valid: results.length - invalid, invalid, resources: results };
  print(JSON.stringify(whole, null, 2));
  return invalid > 0 ? 1 : 0;
}

function selfCheck() {
  const validate = createValidator();
  const results = [...check(validate, [BROKEN])];
  let missed = 0;
  for (const { place, faults } of results) {
    const name = basename(place, '.json');
    const where = name.split('__')[0];
    const relevant = faults.filter(
      ({ path }) => path.replace(/\[\d+\]/g, '') === where,
    );
    if (relevant.length > 0) {
      const finders = [...new Set(relevant.map(({ validator }) => validator))];
      print(`refused  ${name}: ${finders.join(', ')}`);
      continue;
    }
    missed += 1;
    print(`MISSED   ${name}: ${faults.length > 0 ? summary(faults) : 'found valid'}`);
  }
  print(`${results.length - missed} broken resources refused, ${missed} missed`);
  return missed > 0 || results.length === 0 ? 1 : 0;
}

function summary(faults) {
  const [{ path, message, validator }] = faults;
  const line = message.replace(/\s+/g, ' ');
  const text = line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more: --json)` : '';
  return `${path}${path && ' '}${text} [${validator}]${more}`;
}

function usage(problem) {
  process.stderr.write(`${problem}\nSee: node validate.mjs --help\n`);
  return 2;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

process.exitCode = main();
