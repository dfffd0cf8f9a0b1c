/*
 * Validate FHIR R4 JSON with validators that this project did not write.
 */

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { resourcesUnder } from './lib/input.mjs';
import { createValidator } from './lib/validator.mjs';

const BROKEN = fileURLToPath(new URL('./broken/', import.meta.url));
const SHOWN = 160;

const HELP = `Usage: node validate.mjs FILE-or-FOLDER... [options]
       node validate.mjs --self-check
       node validate.mjs --serve

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
  --serve             answer one call after another: each line of standard input is a JSON
                      list of arguments, each line of standard output a JSON object with
                      what that call writes (stdout, stderr) and its exit code (code)
  --help              show this text

Output: one line for each invalid resource: where, the path in it, the message, and which
validator found it. Then one line: "N resources valid, M invalid".

Exit code: 0 all valid; 1 some invalid; 2 nothing to validate, or it cannot be read.

Examples:
  node validate.mjs ../../profiles
  curl -s http://localhost:8080/fhir/Slot?start=ge2026-12-01 > slots.json
  node validate.mjs slots.json --require-profiles
`;

// It takes seconds to index R4: only when there is a resource to validate, and once.
let validator;
const validate = (resource, options) =>
  (validator ??= createValidator())(resource, options);

function main(args, out) {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        'require-profiles': { type: 'boolean' },
        'self-check': { type: 'boolean' },
      },
    });
  } catch (error) {
    return usage(out, error.message);
  }
  const { values: options, positionals: paths } = parsed;
  if (options.help) {
    out.stdout(HELP);
    return 0;
  }
  if (options['self-check']) {
    return paths.length > 0
      ? usage(out, '--self-check takes no files')
      : selfCheck(out);
  }
  if (paths.length === 0) {
    return usage(out, 'name a file or a folder');
  }
  const absent = paths.find((path) => !statSync(path, { throwIfNoEntry: false }));
  if (absent !== undefined) {
    return usage(out, `${absent}: no such file or folder`);
  }
  const results = [...check(paths, { requireProfiles: options['require-profiles'] })];
  if (results.length === 0) {
    return usage(out, `no resources in ${paths.join(', ')}`);
  }
  return options.json ? reportJson(out, results) : report(out, results);
}

function* check(paths, options) {
  for (const { place, resource, problem } of resourcesUnder(paths)) {
    const faults = problem
      ? [{ validator: 'claims', path: '', message: problem }]
      : validate(resource, options);
    yield { place, resourceType: resource?.resourceType, id: resource?.id, faults };
  }
}

function report(out, results) {
  const invalid = results.filter(({ faults }) => faults.length > 0);
  for (const { place, faults } of invalid) {
    print(out, `${place}: ${summary(faults)}`);
  }
  print(out, `${results.length - invalid.length} resources valid, ${invalid.length} invalid`);
  return invalid.length > 0 ? 1 : 0;
}

function reportJson(out, results) {
  const invalid = results.filter(({ faults }) => faults.length > 0).length;
  const whole = { valid: results.length - invalid, invalid, resources: results };
  print(out, JSON.stringify(whole, null, 2));
  return invalid > 0 ? 1 : 0;
}

function selfCheck(out) {
  const results = [...check([BROKEN])];
  let missed = 0;
  for (const { place, faults } of results) {
    const name = basename(place, '.json');
    const where = name.split('__')[0];
    const relevant = faults.filter(
      ({ path }) => path.replace(/\[\d+\]/g, '') === where,
    );
    if (relevant.length > 0) {
      const finders = [...new Set(relevant.map(({ validator }) => validator))];
      print(out, `refused  ${name}: ${finders.join(', ')}`);
      continue;
    }
    missed += 1;
    print(out, `MISSED   ${name}: ${faults.length > 0 ? summary(faults) : 'found valid'}`);
  }
  print(out, `${results.length - missed} broken resources refused, ${missed} missed`);
  return missed > 0 || results.length === 0 ? 1 : 0;
}

function summary(faults) {
  const [{ path, message, validator }] = faults;
  const line = message.replace(/\s+/g, ' ');
  const text = line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more: --json)` : '';
  return `${path}${path && ' '}${text} [${validator}]${more}`;
}

function usage(out, problem) {
  out.stderr(`${problem}\nSee: node validate.mjs --help\n`);
  return 2;
}

function print(out, line) {
  out.stdout(`${line}\n`);
}

async function serve() {
  for await (const line of createInterface({ input: process.stdin })) {
    const written = { stdout: '', stderr: '' };
    const out = {
      stdout: (text) => (written.stdout += text),
      stderr: (text) => (written.stderr += text),
    };
    const code = main(JSON.parse(line), out);
    process.stdout.write(`${JSON.stringify({ ...written, code })}\n`);
  }
}

const [, , ...args] = process.argv;
if (args.length === 1 && args[0] === '--serve') {
  await serve();
} else {
  process.exitCode = main(args, {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  });
}
