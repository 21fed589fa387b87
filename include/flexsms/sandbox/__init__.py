"""A stateful local Twilio: flex-api, chat, proxy, conversations, sync, taskrouter and events over HTTP, with a
control plane.

It imports nothing else of flexsms, so that the two cannot share a mistake. The map of the house:

    server.py    command line, uvicorn, the life of the process
    app.py       ASGI: one request from bytes to bytes (faults, limits, journal)
    wire.py      what is the same for every product: auth, errors, ETag; params.py and paging.py beside it
    products/    one module per Twilio product: routes, parameters, JSON shapes
    world.py     the state of one account; config.py (every switch), store.py, indexes.py, sids.py and clock.py below it
    tasks.py texts.py actors.py                    behaviour: what Twilio does by itself
    channels.py sessions.py                        of Programmable Chat with Proxy
    conversations.py interactions.py inbound.py    of Conversations with Interactions
    streams.py mail.py courier.py                  Event Streams: what is sent, what is on its way, and who carries it
    cloud_events.py webhook.py kinesis.py          in what form, and to where
    control.py   everything under /_sandbox/; seed.py, bulk.py, limits.py and journal.py behind it
    faults.py    which request goes wrong, and how: patterns.py, tamper.py, plays.py; replica.py and contention.py
    guard.py     who may use the control plane
    client.py    start a sandbox and talk to its control plane, for tests, demo and benchmark
"""
