"""What random schedules have to notice of broadcasts and opt-outs."""

from __future__ import annotations

from collections.abc import Sequence

from .mutation import Mutation

BATCH = "twilio.broadcast.batch:BatchSender"
HOURS = "twilio.broadcast.rules:HoursWatch"

BROADCASTS: Sequence[Mutation] = (
    Mutation(
        "key of a run",
        "each run of a campaign has keys of its own",
        [
            (
                f"{BATCH}._send",
                "self._campaign.key(text.to_number),",
                "self._campaign.key(text.to_number) + self._owner,",
            )
        ],
    ),
    Mutation(
        "key without the campaign",
        "all campaigns share the keys of their recipients",
        [("twilio.broadcast.campaign:Campaign.key", "broadcast/{self.digest}/", "broadcast/")],
    ),
    Mutation(
        "unsent taken for texted",
        "who got no text is written down as texted",
        [
            (
                "twilio.broadcast.outcomes:BatchOutcomes.failed",
                "    self.counts[outcome] += 1\n",
                "    self.counts[outcome] += 1\n    self._texted.append(self._campaign.digest_of(text.to_number))\n",
            )
        ],
    ),
    Mutation(
        "unsent forgotten",
        "a batch whose texts have not left is through",
        [(f"{BATCH}.send", "if self._unsent:", "if False:")],
    ),
    Mutation(
        "hours of the beginning",
        "nobody looks at the hour again once a batch sends",
        [
            (
                f"{HOURS}.is_open",
                "    self.opens = None if is_open else window.opens\n",
                "    self.opens = None\n    return True\n",
            ),
            (f"{HOURS}.refuse_late", "if self._ends is None or self._now() >= self._ends:", "if False:"),
        ],
    ),
    Mutation(
        "not_after ignored",
        "a text leaves from not_after on",
        [("twilio.broadcast.rules:BroadcastRules.window", "if self.not_after:", "if False:")],
    ),
    Mutation(
        "opt-outs of the check",
        "nobody looks at the opt-outs right before a text",
        [
            (
                "twilio.sending.sender:Sender._send",
                "await self._suppressions.refuse(message.to_number)",
                "pass",
            )
        ],
    ),
    Mutation(
        "the last to come counts",
        "what is learnt last takes the place of what a customer said later",
        [
            (
                "core.opt_out:OptOut.merge",
                "max(self, other, key=lambda one: (one.at_ms, one.out, one.why))",
                "other",
            )
        ],
    ),
    Mutation(
        "START unheard",
        "who opts in again stays out",
        [("twilio.tracking.opt_outs:LearningSource._learn", "out=word.out", "out=True")],
    ),
    Mutation(
        "refusals forgotten",
        "who was refused as opted out is not kept",
        [("sensors.broadcast_delivery:look", "in fates.opted_out():", "in ():")],
    ),
    Mutation(
        "texts of others",
        "what another run has sent is told as sent by this one",
        [
            (
                "twilio.broadcast.outcomes:BatchOutcomes.sent",
                'if result.duplicate and not str(result.sent_by).startswith(f"{self._run}/"):',
                "if False:",
            )
        ],
    ),
    Mutation(
        "silence taken for failure",
        "a text of whose batch nobody heard is told as stopped",
        [
            (
                "operators.broadcast_report:FlexBroadcastReportOperator.execute",
                "(Outcome.UNKNOWN, SILENT)",
                "(Outcome.STOPPED, SILENT)",
            )
        ],
    ),
    Mutation(
        "a pace for each worker",
        "workers write over the slots of each other",
        [("twilio.broadcast.pace:SharedPace._write", "revision=known.revision", 'revision=""')],
    ),
    Mutation(
        "no pace",
        "every text begins at once",
        [("core.time_slots:Lanes.reserve", "free_from[lane] = at + ceil(MICROSECONDS / per_second)", "pass")],
    ),
    Mutation(
        "number in the log of a batch",
        "the log names whole numbers of texts that have not left",
        [
            (
                f"{BATCH}._one",
                'logger.info("Row %d has not left: %s", text.row, error)',
                'logger.info("%s: %s", text.to_number, error)',
            )
        ],
    ),
    Mutation(
        "replaced check",
        "a check that was replaced writes its files when it wakes up",
        [
            (
                "operators.broadcast_check:FlexBroadcastCheckOperator.execute",
                "newest.refuse_if_replaced()",
                "pass",
            )
        ],
    ),
    Mutation(
        "one refusal believed",
        "an opt-out is given up when Twilio does not tell at once whose it is",
        [
            (
                "twilio.sending.suppressions:Suppressions.sender_of",
                "await twice(self._texts(message_sid).fetch_async, PermanentError)",
                "await self._texts(message_sid).fetch_async()",
            )
        ],
    ),
    Mutation(
        "a text of the same moment",
        "a text of another broadcast to the same person is taken for the own one",
        [("recipients.fates:_distance", "seconds + FAR_S if", "seconds if")],
    ),
    Mutation(
        "looked up when it is over",
        "a delivery that is cleared when the work list is gone fails",
        [
            (
                "sensors.broadcast_delivery:FlexBroadcastDeliverySensor.poke",
                "if all_over(folder, batches):",
                "if False:",
            )
        ],
    ),
)
