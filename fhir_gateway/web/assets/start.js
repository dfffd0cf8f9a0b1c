// Shows the OpenAPI document of this server. Nothing is fetched from elsewhere.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#interface",
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
});
