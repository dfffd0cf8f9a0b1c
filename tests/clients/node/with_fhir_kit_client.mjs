// fhir-kit-client, a client for Node and browsers.

import { Client } from "fhir-kit-client";
import { BASE_URL, TOKEN, serve } from "./serve.mjs";

const client = new Client({ baseUrl: BASE_URL, bearerToken: TOKEN });
const ifMatch = (version) => ({ headers: { "If-Match": `W/"${version}"` } });

await serve(
  "fhir-kit-client",
  {
    metadata: () => client.capabilityStatement(),
    search: (resourceType, searchParams) => client.search({ resourceType, searchParams }),
    next: (bundle) => client.nextPage({ bundle }),
    read: (resourceType, id) => client.read({ resourceType, id }),
    vread: (resourceType, id, version) => client.vread({ resourceType, id, version }),
    ask: (resourceType, name, input) => client.operation({ name, resourceType, method: "GET", input }),
    call: (resourceType, name, input) => client.operation({ name, resourceType, method: "POST", input }),
    create: (body) => client.create({ resourceType: body.resourceType, body }),
    createIfNone: (body, condition) =>
      client.create({ resourceType: body.resourceType, body, options: { headers: { "If-None-Exist": condition } } }),
    update: (body) => client.update({ resourceType: body.resourceType, id: body.id, body }),
    updateIf: (body, version) =>
      client.update({ resourceType: body.resourceType, id: body.id, body, options: ifMatch(version) }),
    patch: (resourceType, id, jsonPatch) => client.patch({ resourceType, id, jsonPatch }),
    batch: (body) => client.batch({ body }),
  },
  (error) => ({ status: error.response?.status, outcome: error.response?.data }),
);
