"""A stateful local Twilio: Flex, Chat, Proxy, Conversations, Sync, TaskRouter, Event Streams and more over HTTP.

It imports nothing else of flexsms, so that the two cannot share a mistake. Each room imports only from those above it:

    http.py      requests, answers, errors, authentication and ETags, the same for every product
    state/       one emulated account: tables and rows, clock and timers, settings, deliveries that wait
    routing/     from a request to a route: templates, parameters, pages, rate limits
    products/    a package per Twilio product: `*routes.py` is its HTTP API, the other modules are its behaviour
    control/     the control plane under /_sandbox/: people to simulate, their handsets as a page, faults, bulk loads,
                 histories, the journal
    server/      the process: command line, ASGI application, deliveries to sinks, and who may use the control plane

`client.py` starts a sandbox and talks to its control plane, for tests, the demo and the benchmark. `options.py` has the
options of the command line, which load without anything that a server needs.
"""
