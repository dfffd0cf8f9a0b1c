/*
 * A resource, all that stands inside it and all it claims, through every validator.
 */

import { codeValidator } from './codes.mjs';
import { BASE, indexAll } from './definitions.mjs';
import { dataTypeFaults } from './invariants.mjs';
import { formFaults } from './json-form.mjs';
import { jsonSchemaValidator } from './json-schema.mjs';
import { extensionFaults, medplumFaults } from './medplum.mjs';

const FROM_R5 = 'http://hl7.org/fhir/5.0/StructureDefinition/extension-';

const PROFILED = new Map([
  ['Slot', ['slot']],
  ['Schedule', ['schedule']],
  ['Appointment', ['appointment', 'proposed-appointment']],
  ['HealthcareService', ['healthcare-service']],
]);

/** Index everything once and return a function from a resource to its faults. */
export function createValidator() {
  const definitions = indexAll();
  const bySchema = jsonSchemaValidator();
  const byCodes = codeValidator();

  function validate(resource, { requireProfiles = false } = {}) {
    if (resource === null || typeof resource !== 'object' || Array.isArray(resource)) {
      return [fault('', 'is not a JSON object')];
    }
    const { resourceType } = resource;
    if (typeof resourceType !== 'string') {
      return [fault('resourceType', 'is missing')];
    }
    const found = bySchema(resource);
    found.push(...formFaults(resource));
    if (found.some(({ path }) => path === 'resourceType')) {
      return found; // nobody else knows it either
    }
    found.push(...one(resource, resource, requireProfiles));
    for (const [path, inner, root] of insides(resource)) {
      const type = inner?.resourceType;
      if (!definitions.has(`http://hl7.org/fhir/StructureDefinition/${type}`)) {
        continue; // the schema has said so
      }
      for (const { path: innerPath, ...rest } of one(inner, root, requireProfiles)) {
        found.push({ ...rest, path: path + innerPath.slice(type.length) });
      }
    }
    return distinct(found);
  }

  // What a resource is, apart from the resources inside it.
  function one(resource, root, requireProfiles) {
    const found = [
      ...medplumFaults(resource),
      ...guarded(() => dataTypeFaults(resource, root)),
      ...guarded(() => byCodes(resource)),
    ];
    for (const { path, extension, context } of extensionsOf(resource)) {
      found.push(...checkExtension(path, extension, context));
    }
    const claimed = resource.meta?.profile;
    for (const url of Array.isArray(claimed) ? claimed : []) {
      found.push(...checkProfile(resource, String(url).split('|')[0]));
    }
    const ours = PROFILED.get(resource.resourceType)?.map(
      (name) => `${BASE}/StructureDefinition/${name}`,
    );
    if (requireProfiles && ours && !ours.some((url) => claimed?.includes(url))) {
      const names = ours.join(' or ');
      found.push(fault(`${resource.resourceType}.meta.profile`, `does not name ${names}`));
    }
    return found;
  }

  function checkProfile(resource, url) {
    const profile = definitions.get(url);
    const path = `${resource.resourceType}.meta.profile`;
    if (!profile) {
      return [fault(path, `names ${url}, which nobody here defines`)];
    }
    if (profile.type !== resource.resourceType) {
      return [fault(path, `names ${url}, which is for ${profile.type}`)];
    }
    const own = url.startsWith(BASE);
    return [
      ...medplumFaults(resource, profile),
      ...(own ? guarded(() => byCodes(resource, url)) : []),
    ];
  }

  function checkExtension(path, extension, context) {
    const url = extension?.url;
    if (typeof url !== 'string') {
      return []; // both validators miss it already
    }
    if (url.startsWith(FROM_R5)) {
      return [];
    }
    const definition = definitions.get(url);
    if (!definition) {
      return [fault(path, `extension ${url} is defined by nobody here`)];
    }
    const found = extensionFaults(extension, definition).map((problem) => ({
      ...problem,
      path: path + problem.path.slice('Extension'.length),
    }));
    found.push(...checkValueType(path, extension, definition));
    const places = (definition.context ?? []).map(({ expression }) => expression);
    if (url.startsWith(BASE) && !places.includes(context)) {
      found.push(fault(path, `extension belongs on ${places.join(', ')}`));
    }
    return found;
  }

  return validate;
}

// Medplum takes a value of any type for one of the type that a definition narrows it to.
function checkValueType(path, extension, definition) {
  const { max, type } = definition.snapshot.element.find(
    ({ id }) => id === 'Extension.value[x]',
  );
  const allowed = type.map(({ code }) => `value${code[0].toUpperCase()}${code.slice(1)}`);
  return Object.keys(extension)
    .filter((key) => key.startsWith('value'))
    .filter((key) => max === '0' || !allowed.includes(key))
    .map((key) => fault(`${path}.value[x]`, `${key} is not what the definition allows`));
}

// Every resource inside a resource, at any depth: its path, itself, and the resource that
// its local references are within.
function* insides(resource, path = resource.resourceType) {
  const entries = Array.isArray(resource.entry) ? resource.entry : [];
  const contained = Array.isArray(resource.contained) ? resource.contained : [];
  const inner = [
    ...entries.map((entry, at) => [`${path}.entry[${at}].resource`, entry?.resource]),
    ...contained.map((each, at) => [`${path}.contained[${at}]`, each, resource]),
  ];
  for (const [innerPath, each, root = each] of inner) {
    if (each !== null && typeof each === 'object') {
      yield [innerPath, each, root];
      yield* insides(each, innerPath);
    }
  }
}

// Every extension of a resource except those inside extensions and inner resources.
function* extensionsOf(
  node,
  path = node.resourceType,
  context = node.resourceType,
) {
  for (const [key, value] of Object.entries(node)) {
    for (const [at, item] of (Array.isArray(value) ? value : [value]).entries()) {
      if (item === null || typeof item !== 'object' || item.resourceType) {
        continue;
      }
      const innerPath = `${path}.${key}` + (Array.isArray(value) ? `[${at}]` : '');
      if (key === 'extension' || key === 'modifierExtension') {
        yield { path: innerPath, extension: item, context };
      } else {
        yield* extensionsOf(item, innerPath, `${context}.${key}`);
      }
    }
  }
}

// A shape that no walk survives has been reported by the schema.
function guarded(check) {
  try {
    return check();
  } catch {
    return [];
  }
}

function distinct(faults) {
  const seen = new Map();
  for (const each of faults) {
    seen.set(`${each.path}\n${each.message}`, each);
  }
  return [...seen.values()];
}

function fault(path, message) {
  return { validator: 'claims', path, message };
}
