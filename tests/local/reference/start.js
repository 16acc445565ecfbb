// Shows the API description of the local stack. No request leaves this origin: `validatorUrl` would send the address of
// the description to a service of Swagger.
SwaggerUIBundle({
  dom_id: '#reference',
  url: '/docs/openapi.json',
  validatorUrl: 'none',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: 'list',
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
});
