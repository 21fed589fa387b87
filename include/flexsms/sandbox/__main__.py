"""`python -m flexsms.sandbox`."""

from .server import main

raise SystemExit(main())
