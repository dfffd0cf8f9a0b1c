// fhirclient, the client of SMART on FHIR.

import FHIR from "fhirclient";
import { BASE_URL, TOKEN, serve } from "./serve.mjs";

// Its adapter for Node wants a request and a response of a web server; no call uses them.
const client = FHIR({ headers: {}, url: "/", session: {} }, {}).client({
  serverUrl: BASE_URL,
  tokenResponse: { access_token: TOKEN },
});
const post = (url, body) =>
  client.request({
    url,
    method: "POST",
    headers: { "Content-Type": "application/fhir+json" },
    body: JSON.stringify(body),
  });
const ifMatch = (version) => ({ headers: { "If-Match": `W/"${version}"` } });

await serve(
  "fhirclient",
  {
    metadata: () => client.request("metadata"),
    search: (type, query) => client.request(`${type}?${new URLSearchParams(query)}`),
    next: (bundle) => client.request(bundle.link.find((each) => each.relation === "next").url),
    read: (type, id) => client.request(`${type}/${id}`),
    vread: (type, id, version) => client.request(`${type}/${id}/_history/${version}`),
    ask: (type, name, query) => client.request(`${type}/$${name}?${new URLSearchParams(query)}`),
    call: (type, name, body) => post(`${type}/$${name}`, body),
    create: (resource) => client.create(resource),
    createIfNone: (resource, condition) => client.create(resource, { headers: { "If-None-Exist": condition } }),
    update: (resource) => client.update(resource),
    updateIf: (resource, version) => client.update(resource, ifMatch(version)),
    patch: (type, id, operations) => client.patch(`${type}/${id}`, operations),
    batch: (bundle) => post("", bundle),
  },
  // It writes the body into the message.
  (error) => ({ status: error.statusCode, outcome: JSON.parse(error.message.match(/\{.*\}/s)?.[0] ?? "null") }),
);
