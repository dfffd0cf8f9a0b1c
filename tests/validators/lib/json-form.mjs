/*
 * What FHIR's JSON form forbids anywhere and neither validator sees everywhere: empty
 * lists and empty objects (http://hl7.org/fhir/R4/json.html).
 */

/** Return the faults of a resource's form. */
export function formFaults(resource) {
  const found = [];
  const walk = (value, path) => {
    if (value === null || typeof value !== 'object') {
      return;
    }
    const inside = Object.entries(value);
    if (inside.length === 0) {
      const what = Array.isArray(value) ? 'list' : 'object';
      found.push({ validator: 'claims', path, message: `is an empty ${what}` });
    }
    for (const [key, item] of inside) {
      walk(item, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
    }
  };
  walk(resource, resource.resourceType);
  return found;
}
