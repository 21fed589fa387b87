"""One file per DAG: wiring and docs, no logic. :mod:`flexsms.bundle` brings them."""
