// @medplum/core, Medplum's client.

import { BASE_URL, TOKEN, serve } from "./serve.mjs";

// It names WebSocket when it is loaded; Node has one from version 22 on.
globalThis.WebSocket ??= class {};
const { MedplumClient, OperationOutcomeError } = await import("@medplum/core");

const [, origin, path] = BASE_URL.match(/^(https?:\/\/[^/]+)\/(.*)$/);
const client = new MedplumClient({ baseUrl: origin, fhirUrlPath: path, cacheTime: 0 });
client.setAccessToken(TOKEN);
const operation = (type, name, query) => {
  const url = client.fhirUrl(type, `$${name}`);
  url.search = new URLSearchParams(query);
  return url;
};

await serve(
  "@medplum/core",
  {
    metadata: () => client.get(client.fhirUrl("metadata")),
    search: (type, query) => client.search(type, new URLSearchParams(query)),
    next: (bundle) => client.get(bundle.link.find((each) => each.relation === "next").url),
    read: (type, id) => client.readResource(type, id),
    vread: (type, id, version) => client.readVersion(type, id, version),
    ask: (type, name, query) =>
      name === "expand" ? client.valueSetExpand(query) : client.get(operation(type, name, query)),
    call: (type, name, body) => client.post(operation(type, name, {}), body, "application/fhir+json"),
    create: (resource) => client.createResource(resource),
    createIfNone: (resource, condition) => client.createResourceIfNoneExist(resource, condition),
    update: (resource) => client.updateResource(resource),
    updateIf: (resource, version) =>
      client.updateResource(resource, { headers: { "If-Match": `W/"${version}"` } }),
    patch: (type, id, operations) => client.patchResource(type, id, operations),
    batch: (bundle) => client.executeBatch(bundle),
  },
  (error) => (error instanceof OperationOutcomeError ? { outcome: error.outcome } : {}),
);
