"use strict";

// All addresses are relative: the page works under whatever prefix a proxy gives it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null, // no outside service is asked whether the document is valid
});
