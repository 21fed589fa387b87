"""What random schedules have to notice: mutations of sending, tracking and cleaning up."""

from __future__ import annotations

from collections.abc import Sequence

from .broadcast_mutations import BROADCASTS
from .mutation import Mutation

CHAT, CONVERSATIONS = ("chat",), ("conversations",)
STEPS = "twilio.cleanup.retire:CleanupSteps"

MUTATIONS: Sequence[Mutation] = (
    # Sending
    Mutation(
        "text repeated blindly",
        "the client repeats the POST of a message whose answer was lost",
        [("twilio.client.endpoints:is_repeatable", 'method in ("GET", "DELETE")', "True")],
    ),
    Mutation(
        "no look-up",
        "a text whose answer was lost is taken for one that did not leave",
        [
            (
                "twilio.sending.sender:Sender._post",
                "sid = await self._texts.find(claim, message)",
                "sid = None",
            )
        ],
    ),
    Mutation(
        "no look-up on a retry",
        "a later try does not look for the text of the one before",
        [("twilio.sending.sender:Sender._send", "progress.claim.stage is Stage.POSTING", "False")],
    ),
    Mutation(
        "text not marked",
        "the text does not bear the digest of its key",
        [
            ("twilio.stacks.chat.channels:ChatChannels.post", "{DIGEST_ATTRIBUTE: digest}", "{}"),
            ("twilio.stacks.conversations.stack:ConversationsStack.post", "{DIGEST_ATTRIBUTE: digest}", "{}"),
        ],
    ),
    Mutation(
        "key written too late",
        "the ledger learns of the text only when it has left",
        [
            (
                "twilio.sending.sender:Sender._post",
                "await self._ledger.advance(progress.about_to_post())",
                "progress.about_to_post()",
            )
        ],
    ),
    Mutation(
        "lease of a key ignored",
        "a second task under a key goes on while the first one is at work, and does not mind what it wrote",
        [
            ("twilio.sending.idempotency:SendLedger.take", "held.lease_until_ms > self._now_ms()", "False"),
            ("twilio.sending.idempotency:SendLedger._write", "revision=claim.revision", 'revision=""'),
        ],
    ),
    Mutation(
        "key held for good",
        "a send that has failed for good keeps its key until the lease is over",
        [("twilio.sending.sender:Sender.send", "await self._ledger.give_back(progress.claim)", "pass")],
    ),
    Mutation(
        "failure says nothing",
        "the error of a failed send does not tell whether a text has left",
        [("twilio.sending.sender:Sender.send", "progress.tell(error)", "pass")],
    ),
    Mutation(
        "no look after the text",
        "a send does not look whether its channel was retired under the text",
        [("twilio.sending.sender:Sender._after", "relay is Relay.MISSING", "False")],
        CHAT,
    ),
    Mutation(
        "no lock",
        "whoever adds a task or a flow does not wait for its turn",
        [
            (
                "twilio.sync.lock:SyncLock._take",
                "except AlreadyExists:\n        pass",
                "except AlreadyExists:\n        return Lease(channel_sid, '', is_first=True, inherited=False)",
            )
        ],
        CONVERSATIONS,
    ),
    Mutation(
        "flow not detached",
        "an agent's task leaves the Studio flow on the conversation",
        [
            (
                "twilio.stacks.conversations.studio_flow:ConversationFlow.detach",
                "await webhooks(str(webhook.sid)).delete_async()",
                "pass",
            )
        ],
        CONVERSATIONS,
    ),
    Mutation(
        "empty conversation kept",
        "a conversation whose customer was refused is not taken back",
        [
            (
                "twilio.stacks.conversations.address_pairs:ConversationPairs._discard",
                "await conversation.delete_async(",
                "await conversation.fetch_async() if True else await conversation.delete_async(",
            )
        ],
        CONVERSATIONS,
    ),
    # Tracking
    Mutation(
        "cursor before the states",
        "the cursor moves before what was read is stored",
        [
            (
                "twilio.tracking.tracker:track",
                "            absorb(page, pending, report, recorder.ends)\n",
                "            absorb(page, pending, report, recorder.ends)\n"
                "                if page.cursor is not None:\n"
                "                    await save_cursor(page.cursor)\n",
            )
        ],
    ),
    Mutation(
        "states overwritten",
        "what is learnt replaces what is known",
        [("twilio.sync.channel_states:SyncStore.learn", "stored.state.merge(learnt)", "learnt")],
    ),
    Mutation(
        "canceled tasks never end",
        "only a completed task counts as ended",
        [("core.task_events:TaskEvent.ends_task", "self.type in ENDING", "self.type == 'task.completed'")],
    ),
    # Cleaning up
    Mutation(
        "half a window",
        "a channel is due after half of its window",
        [("core.retention:judge", ">= window_ms", ">= window_ms / 2")],
    ),
    Mutation(
        "no second check",
        "nobody looks again between suspending and marking as retired",
        [(f"{STEPS}.run", "await self._restorer.restore_what_became_live()", "pass")],
    ),
    Mutation(
        "no third check",
        "nobody looks for who wrote right before a conversation was closed",
        [(f"{STEPS}.run", "await self._restorer.let_late_customers_go_on(finished)", "pass")],
        CONVERSATIONS,
    ),
    Mutation(
        "closed before the second check",
        "conversations are closed as soon as they are suspended",
        [
            (
                f"{STEPS}.run",
                "    if self._group.being_retired():\n",
                "    await self._group.each(self._group.being_retired(), self._close)\n"
                "    if self._group.being_retired():\n",
            )
        ],
        CONVERSATIONS,
    ),
    Mutation(
        "age of a check ignored",
        "a try goes on by an old check, and after its lease",
        [
            ("twilio.cleanup.attempt:Attempt.refuse_if_older", "instant.age > self.lease", "False"),
            ("twilio.cleanup.live_channels:LiveChannels.recent", "self._newest.began.age > max_age", "False"),
            (
                "twilio.cleanup.attempt:Attempt._refuse_if_replaced",
                'newest["number"] > self._number',
                "False",
            ),
        ],
    ),
    Mutation(
        "put back as usual",
        "a channel is put back with the usual attributes, not with those it had",
        [
            (
                "twilio.stacks.short_lived:restored",
                "marks(before) if isinstance(before, Mapping) else usual",
                "usual",
            )
        ],
        CHAT,
    ),
    Mutation(
        "put back without its session",
        "a channel that came alive gets its attributes back, and not its customer",
        [
            (
                "twilio.stacks.chat.stack:ChatStack._put_back",
                "await self._reconnect(current, links, message)",
                "True",
            )
        ],
        CHAT,
    ),
    Mutation(
        "session left open",
        "a channel is made inactive with its session open",
        [
            (
                "twilio.stacks.chat.stack:ChatStack.suspend",
                "await self._sessions.close(",
                "await self._sessions.is_closed(snapshot.channel_sid) if True else await self._sessions.close(",
            )
        ],
        CHAT,
    ),
    Mutation(
        "inactive before its session is closed",
        "for a moment the channel is inactive with its session open",
        [
            (
                "twilio.stacks.chat.stack:ChatStack.suspend",
                "    await self._sessions.close(",
                "    await self._channels.write(snapshot, retired(snapshot.attributes, self.usual))\n"
                "    await self._sessions.close(",
            )
        ],
        CHAT,
    ),
    Mutation(
        "attributes replaced",
        "retiring writes its two attributes and nothing else",
        [
            (
                "twilio.stacks.short_lived:retired",
                "{**_of_others(attributes), **RETIRED, **noted}",
                "{**RETIRED, **noted}",
            ),
        ],
    ),
    Mutation(
        "retired whatever was written",
        "the state is marked as retired although somebody wrote to it since the scan",
        [
            (
                "twilio.cleanup.bookkeeping:Bookkeeping.mark_retired",
                "if not gone and self._is_in_use(state, channel):",
                "if False:",
            )
        ],
    ),
    Mutation(
        "ledger after the states",
        "the ledger is written when the states are marked already",
        [
            (
                "twilio.cleanup.ledger:CleanupLedger.announce",
                "return await self._add(lines, run_id, finished=False)",
                "return []",
            )
        ],
    ),
    Mutation(
        "retired again and again",
        "what is retired is due once more",
        [("core.retention:judge", "if state.is_retired:", "if False:")],
    ),
    *BROADCASTS,
    # Words
    Mutation(
        "number in the log",
        "the log names the customer's whole number",
        [("operators.send:_sentence", "mask_number(message.to_number)", "message.to_number")],
    ),
    Mutation(
        "odd answers leave as they are",
        "what nobody foresaw is no error of the tree",
        [
            (
                "twilio.client.unexpected_errors:contained",
                "except KINDS as error:",
                "except ZeroDivisionError as error:",
            ),
            ("twilio.client.http_client:TwilioTransport._send", "if problem:", "if False:"),
        ],
    ),
)
