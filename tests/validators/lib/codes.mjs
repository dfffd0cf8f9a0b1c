/*
 * Required bindings, which neither validator knows wholly: is the code in the value set?
 *
 * The definitions and the walk are Medplum's. A value set whose content is not at hand
 * (languages, media types, UCUM, SNOMED CT) is passed over.
 */

import { crawlTypedValue, getDataType, tryGetProfile } from '@medplum/core';

import { hl7, own } from './definitions.mjs';

/** Return a function from a resource, and maybe a profile's URL, to its faults. */
export function codeValidator() {
  const expand = expander();
  return (resource, profileUrl) => {
    const found = [];
    const visitor = {
      visitProperty(_parent, key, _path, groups, schema) {
        const binding = schema.elements[key].binding;
        if (binding?.strength !== 'required') {
          return;
        }
        const allowed = expand(binding.valueSet);
        if (!allowed) {
          return;
        }
        for (const value of groups.flat()) {
          if (value?.value !== undefined && !isAllowed(value, allowed)) {
            found.push({
              validator: 'codes',
              path: value.path,
              message: `has no code of the value set ${binding.valueSet.split('|')[0]}`,
            });
          }
        }
      },
    };
    const value = { type: resource.resourceType, value: resource };
    const schema = profileUrl
      ? tryGetProfile(profileUrl)
      : getDataType(resource.resourceType);
    crawlTypedValue(value, visitor, { schema, skipMissingProperties: false });
    return found;
  };
}

function isAllowed({ type, value }, allowed) {
  switch (type) {
    case 'Coding':
      return allowed.has(`${value.system}|${value.code}`);
    case 'CodeableConcept':
      return (value.coding ?? []).some((coding) =>
        isAllowed({ type: 'Coding', value: coding }, allowed),
      );
    case 'code':
    case 'string':
    case 'uri':
      return typeof value !== 'string' || allowed.codes.has(value);
    default:
      return true;
  }
}

function expander() {
  const valueSets = new Map();
  const codeSystems = new Map();
  const all = [
    ...hl7('v2-tables'),
    ...hl7('v3-codesystems'),
    ...hl7('valuesets'),
    ...own().map(({ resource }) => resource),
  ];
  for (const resource of all) {
    if (resource.resourceType === 'ValueSet') {
      valueSets.set(resource.url, resource);
    } else if (resource.resourceType === 'CodeSystem' && resource.content === 'complete') {
      codeSystems.set(resource.url, resource);
    }
  }
  const known = new Map();

  const expand = (canonical) => {
    const url = canonical?.split('|')[0];
    if (!known.has(url)) {
      known.set(url, undefined); // a value set that includes itself is not known
      known.set(url, expandOnce(valueSets.get(url)));
    }
    return known.get(url);
  };

  const expandOnce = (valueSet) => {
    const includes = valueSet?.compose?.include;
    if (!includes || valueSet.compose.exclude) {
      return undefined;
    }
    const pairs = new Set();
    for (const include of includes) {
      const part = expandInclude(include);
      if (!part) {
        return undefined;
      }
      part.forEach((pair) => pairs.add(pair));
    }
    pairs.codes = new Set([...pairs].map((pair) => pair.slice(pair.indexOf('|') + 1)));
    return pairs;
  };

  const expandInclude = ({ system, concept, filter, valueSet }) => {
    if (filter || (system && valueSet)) {
      return undefined;
    }
    if (valueSet) {
      const parts = valueSet.map(expand);
      return parts.length === 1 ? parts[0] : undefined;
    }
    const concepts = concept ?? codeSystems.get(system)?.concept;
    return concepts && flatten(system, concepts);
  };

  const flatten = (system, concepts) =>
    concepts.flatMap(({ code, concept }) => [
      `${system}|${code}`,
      ...flatten(system, concept ?? []),
    ]);

  return expand;
}
