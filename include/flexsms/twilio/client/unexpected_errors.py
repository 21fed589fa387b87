"""Turns unforeseen exceptions into errors of the tree, so that one of them fails one channel and not a whole batch."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from twilio.base.exceptions import TwilioException

from flexsms.core.exceptions import FlexSmsError, Unexpected

logger = logging.getLogger(__name__)

# What reading an answer of another shape raises, in the SDK and here. All else (a cancelled task, an error of
# Airflow's, a failed assertion) is nobody's odd answer and goes on as it is.
KINDS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TwilioException,
    TypeError,
    ValueError,
)


@contextmanager
def contained() -> Iterator[None]:
    """Turn an error that comes of an odd answer, or of a defect, into one of ours.

    The log gets the places it went through. Its own text appears nowhere, because it may quote numbers and texts of
    customers.

    :raises Unexpected: in the place of such an error
    """
    try:
        yield
    except FlexSmsError:
        raise
    except KINDS as error:
        unexpected = Unexpected.of(error)
        places = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        logger.error("%s It went through:\n%s", unexpected, places)
        raise unexpected from None
