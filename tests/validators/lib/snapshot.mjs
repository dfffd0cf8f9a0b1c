/*
 * A profile's snapshot: its base's, changed by its differential.
 *
 * As much of http://hl7.org/fhir/R4/profiling.html as this project's profiles use:
 * narrowing an element, slicing one, and going into the data type of one. Mappings are
 * left out.
 */

/** Return the elements of the snapshot; `find` gives a definition by URL or type. */
export function snapshotElements(definition, find) {
  const elements = bare(find(definition.baseDefinition).snapshot.element);
  for (const change of definition.differential.element) {
    apply(elements, change, definition.url, find);
  }
  return elements;
}

function apply(elements, change, source, find) {
  const target = locate(elements, change.id, find);
  for (const [name, value] of Object.entries(change)) {
    if (name === 'constraint') {
      target.constraint = [
        ...(target.constraint ?? []),
        ...value.map((constraint) => ({ ...constraint, source })),
      ];
    } else {
      target[name] = structuredClone(value);
    }
  }
}

function locate(elements, id, find) {
  const existing = elements.find((element) => element.id === id);
  if (existing) {
    return existing;
  }
  const last = id.slice(id.lastIndexOf('.') + 1);
  if (last.includes(':')) {
    return addSlice(elements, id, find);
  }
  const parent = locate(elements, id.slice(0, id.lastIndexOf('.')), find);
  if (elements.some((element) => element.id.startsWith(`${parent.id}.`))) {
    throw new Error(`${id}: its parent has no such element`);
  }
  unfold(elements, parent, find);
  const found = elements.find((element) => element.id === id);
  if (!found) {
    throw new Error(`${id}: the type of its parent has no such element`);
  }
  return found;
}

function addSlice(elements, id, find) {
  const colon = id.lastIndexOf(':');
  const sliced = locate(elements, id.slice(0, colon), find);
  const slice = structuredClone(sliced);
  delete slice.slicing;
  Object.assign(slice, { id, min: 0 });
  const within = (element) =>
    element.id === sliced.id ||
    element.id.startsWith(`${sliced.id}.`) ||
    element.id.startsWith(`${sliced.id}:`);
  const after = elements.findLastIndex(within);
  elements.splice(after + 1, 0, slice);
  return slice;
}

function unfold(elements, parent, find) {
  if (parent.type?.length !== 1) {
    throw new Error(`${parent.id}: has not one type to go into`);
  }
  const type = find(`http://hl7.org/fhir/StructureDefinition/${parent.type[0].code}`);
  const children = bare(type.snapshot.element.slice(1)).map((child) => ({
    ...child,
    id: parent.id + child.id.slice(type.type.length),
    path: parent.path + child.path.slice(type.type.length),
  }));
  elements.splice(elements.indexOf(parent) + 1, 0, ...children);
}

function bare(elements) {
  return elements.map((element) => {
    const copy = structuredClone(element);
    delete copy.mapping;
    return copy;
  });
}
