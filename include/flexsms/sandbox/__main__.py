"""`python -m flexsms.sandbox`."""

from .server.main import main

raise SystemExit(main())
