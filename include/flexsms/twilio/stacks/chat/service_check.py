"""Whether a 404 means that a resource is missing, or its whole service.

Programmable Chat for Flex has passed its published end of life, and what its endpoints answer since is unverified. Nor
is it certain which code a missing channel has: 50300 is documented, 20404 is what Twilio says of anything. So no code
is relied on. When something is not found, its service is asked for, once: if that is there, the thing is gone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from flexsms.core.exceptions import MIGRATE, NotFound, ProductGone


class ServiceCheck:
    """Tells a missing thing from a missing service.

    :param service: the SDK's context of the service
    :param field: the connection field that names it
    """

    def __init__(self, service: Any, field: str) -> None:
        self._service = service
        self._field = field
        self._is_there = False
        self._asking = asyncio.Lock()

    async def confirm(self, missing: NotFound) -> None:
        """Make sure that it is the thing that is gone.

        :param missing: what was answered about the thing
        :raises ProductGone: when its service is gone
        """
        async with self._asking:
            if self._is_there:
                return
            try:
                await self._service.fetch_async()
            except NotFound as error:
                raise ProductGone(
                    f"Connection field {self._field}: Twilio finds no such service ({error.code}); check it, and "
                    f"{MIGRATE}.",
                    status=error.status,
                    code=error.code,
                    endpoint=missing.endpoint,
                ) from missing
            self._is_there = True
