/*
 * Resources from files: one a file in .json, one a line in .ndjson, folders to any depth.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Yield { place, resource } or { place, problem } for everything under the paths. */
export function* resourcesUnder(paths) {
  for (const path of paths) {
    for (const file of filesUnder(path)) {
      const text = readFileSync(file, 'utf8');
      if (!file.endsWith('.ndjson')) {
        yield { place: file, ...parse(text) };
        continue;
      }
      for (const [at, line] of text.split('\n').entries()) {
        if (line.trim() !== '') {
          yield { place: `${file}:${at + 1}`, ...parse(line) };
        }
      }
    }
  }
}

function* filesUnder(path) {
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  const entries = readdirSync(path, { withFileTypes: true });
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.isDirectory() && entry.name !== 'node_modules') {
      yield* filesUnder(join(path, entry.name));
    } else if (/\.(nd)?json$/.test(entry.name)) {
      yield join(path, entry.name);
    }
  }
}

function parse(text) {
  try {
    return { resource: JSON.parse(text) };
  } catch (error) {
    return { problem: `is not JSON: ${error.message}` };
  }
}
