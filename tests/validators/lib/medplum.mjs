/*
 * The second validator: Medplum's, from the structure definitions.
 *
 * Sees: cardinality, types, patterns of primitives, fixed values, invariants (FHIRPath) of
 * a resource and of its elements, how many elements a slice has. Does not see: codes, what
 * stands inside a slice or an extension, a profile's rules inside a backbone element
 * (write those as invariants on the element itself), invariants of a resource that stands
 * inside another (so each is handed to it alone as well).
 */

import { validateResource, validateTypedValue } from '@medplum/core';

// It takes the first part of an absolute reference for the type of its target.
const ABSOLUTE = /^Invalid reference: got "(https?|urn):/;

/** Return the faults of a resource, by the base definition or by a profile. */
export function medplumFaults(resource, profile) {
  return faults(() => validateResource(resource, profile ? { profile } : undefined));
}

/** Return the faults of an extension by its definition. */
export function extensionFaults(extension, definition) {
  const value = { type: 'Extension', value: extension };
  return faults(() => validateTypedValue(value, { profile: definition }));
}

function faults(validate) {
  let issues;
  try {
    issues = validate(); // what it calls warnings are faults by R4
  } catch (error) {
    issues = error.outcome?.issue;
    if (!issues) {
      return [fault('', `could not be read: ${error.message}`)];
    }
  }
  return issues
    .map(({ expression, details }) =>
      fault(expression?.[0] ?? '', details?.text ?? 'invalid'),
    )
    .filter(({ message }) => !ABSOLUTE.test(message));
}

function fault(path, message) {
  return { validator: 'medplum', path, message };
}
