/*
 * The first validator: HL7's JSON Schema of R4, through ajv.
 *
 * Sees: unknown elements, wrong JSON types, patterns of primitives, codes of most required
 * bindings. Does not see: required primitives, invariants, profiles.
 */

import Ajv from 'ajv';
import { createRequire } from 'node:module';

import { jsonSchema } from './definitions.mjs';

const draft6 = createRequire(import.meta.url)('ajv/dist/refs/json-schema-draft-06.json');

/** Return a function from a resource to its faults. */
export function jsonSchemaValidator() {
  const { definitions, types } = jsonSchema();
  const ajv = new Ajv.default({
    allErrors: true,
    discriminator: true,
    inlineRefs: false,
    logger: false,
    strict: false,
    verbose: true,
  });
  ajv.addMetaSchema(draft6);
  ajv.addSchema({ $id: 'r4', $schema: draft6.$id, definitions });
  const valid = ajv.compile({ $ref: 'r4#/definitions/ResourceList' });
  const known = new Set(types);
  return (resource) => {
    if (!known.has(resource.resourceType)) {
      return [fault('resourceType', `${resource.resourceType} is not an R4 resource`)];
    }
    if (valid(resource)) {
      return [];
    }
    return valid.errors.map((error) => explain(resource.resourceType, error));
  };
}

function explain(root, { instancePath, keyword, params, message }) {
  let path = root;
  for (const step of instancePath.split('/').slice(1)) {
    path += /^\d+$/.test(step) ? `[${step}]` : `.${step}`;
  }
  switch (keyword) {
    case 'additionalProperties':
      return fault(`${path}.${params.additionalProperty}`, 'R4 has no such element');
    case 'required':
      return fault(`${path}.${params.missingProperty}`, 'is missing');
    case 'enum':
      return fault(path, `must be one of ${params.allowedValues.join(', ')}`);
    default:
      return fault(path, message);
  }
}

function fault(path, message) {
  return { validator: 'json-schema', path, message };
}
