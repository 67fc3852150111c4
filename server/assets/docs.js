// Starts the viewer of the REST API. Without `validatorUrl: null` it would send the document to
// another origin for validation.
SwaggerUIBundle({
  dom_id: "#viewer",
  url: "/openapi.json",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
