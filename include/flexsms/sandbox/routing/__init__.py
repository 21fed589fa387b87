"""From a request to a route: templates, parameters, pages, rate limits."""
