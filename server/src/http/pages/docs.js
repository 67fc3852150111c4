// Without `validatorUrl: null` the viewer would ask another origin whether the document is valid.
SwaggerUIBundle({ dom_id: "#viewer", url: "/openapi.json", deepLinking: true, validatorUrl: null });
