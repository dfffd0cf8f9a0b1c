/*
 * Invariants of data types (a telephone number has a system, a period does not end before
 * it begins, …), which Medplum's validator passes over: it looks at those of resources
 * and of their elements. The definitions, the walk and the FHIRPath are Medplum's.
 */

import { crawlTypedValue, evalFhirPathTyped, toTypedValue } from '@medplum/core';

import { comparingTimes } from './definitions.mjs';

// As R4 defines it, but so that Medplum compares the times as times.
const IN_OTHER_WORDS = {
  'per-1': comparingTimes('start.empty() or end.empty() or start <= end'),
};

/** Return the faults of a resource's data types; `root` is what it is contained in. */
export function dataTypeFaults(resource, root = resource) {
  const found = [];
  const variables = {
    '%resource': toTypedValue(resource),
    '%rootResource': toTypedValue(root),
  };
  let depth = 0;
  const visitor = {
    onEnterResource() {
      depth += 1;
    },
    onExitResource() {
      depth -= 1;
    },
    onEnterObject(path, value, schema) {
      if (depth > 1 || value.value?.resourceType) {
        return; // another resource, looked at by itself
      }
      for (const constraint of schema.constraints ?? []) {
        // ele-1 says that an element is not empty, which is looked at elsewhere.
        if (constraint.severity === 'error' && constraint.key !== 'ele-1') {
          found.push(...check(value.path ?? path, value, constraint));
        }
      }
    },
    visitProperty() {},
  };
  crawlTypedValue(toTypedValue(resource), visitor, { skipMissingProperties: true });
  return found;

  function check(path, value, { key, description, expression }) {
    const result = evalFhirPathTyped(IN_OTHER_WORDS[key] ?? expression, [value], {
      ...variables,
      '%context': value,
    });
    // Nothing is no objection: ref-1 says nothing of a reference without a reference.
    if (result.every((each) => each.value === true)) {
      return [];
    }
    const message = `Constraint ${key} not met: ${description}`;
    return [{ validator: 'invariants', path, message }];
  }
}
