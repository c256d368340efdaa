#!/usr/bin/env python3
"""The agent `research` in plain Python: an agent needs no kit, only the protocol (docs/protocol.md) and a queue.

It does research.digest {"text": "…"} or {"url": "http…"}: counts lines, words and characters and names the commonest
words. One piece of work at a time, in a thread; this thread keeps the connection to RabbitMQ and the leases alive.
"""
import collections
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import sys
import threading
import time
import urllib.request

import pika
import pika.exceptions
from protocol import cancel_on_deletion, checker, declare, declare_copies, is_uuid, message_about, process_name, uuid7
from signature import Signer, Trust

NAME = "research"
URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672")
PREFIX = os.environ.get("RABBITMQ_PREFIX", "")
DATA = pathlib.Path(os.environ.get("WAYBILL_AGENT_DATA", ".waybill/agents"))
GRACE_SECONDS = float(os.environ.get("AGENT_GRACE_SECONDS", "8"))
API_URL = os.environ.get("WAYBILL_API_URL", "")
API_KEY = os.environ.get("WAYBILL_API_KEY", "")
CONTROL_PLANE_KEYS = os.environ.get("CONTROL_PLANE_KEYS", "")
PRESENCE_SECONDS = float(os.environ.get("AGENT_PRESENCE_EVERY_SECONDS", "60"))
MOST_BYTES = 5_000_000
# How long a thread that is told to stop may still end by itself.
SETTLE_SECONDS = 0.5


def log(event, **fields):
    print(json.dumps({"event": event, "agent": NAME, **fields}), file=sys.stderr, flush=True)


# --- the work

def digest(parameters, step):
    """Tells two steps; answers the metrics. What it raises becomes a failed result."""
    step(1, "read", "running")
    if "url" in parameters:
        with urllib.request.urlopen(parameters["url"], timeout=60) as page:
            text = page.read(MOST_BYTES).decode("utf-8", "replace")
    else:
        text = parameters["text"]
    words = re.findall(r"\w+", text.lower())
    counts = {"lines": len(text.splitlines()), "words": len(words), "characters": len(text)}
    step(1, "read", "completed", summary=f"{len(text)} characters")
    common = collections.Counter(words).most_common(10)
    table = "".join(f"{count} {word}\n" for word, count in common)
    output = {"chunk_number": 0, "encoding": "utf8", "text": table}
    step(2, "count", "completed", summary=f"{len(words)} words", output=output)
    return counts


def fault_of(parameters):
    """Why these are no parameters of research.digest, or None."""
    if len(parameters) != 1 or not parameters.keys() <= {"text", "url"}:
        return "give either text or url, and nothing else"
    (value,) = parameters.values()
    if not isinstance(value, str) or ("url" in parameters and not re.match("https?://", value)):
        return "text must be a text, url one that begins with http:// or https://"
    return None


class Work:
    """A piece of work in hand. `said` is all that was said of it, in payloads without the attempt; `sent` of them are out."""

    def __init__(self, request, tag, kept=None):
        self.request, self.tags, self.sent = request, [tag], 0
        self.said, self.over = ([], False) if kept is None else (kept["said"], True)
        self.open, self.last_words = {}, self.said  # its running steps, by number; what ended it
        self.state = "done" if kept is None else kept["state"]  # what was stopped is no answer to a later attempt
        self.saying = threading.RLock()
        self.start_id = uuid7() if kept is None else kept["start_id"]
        payload = request["payload"]
        self.task_id, self.attempt, self.token = payload["task_id"], payload["attempt"], payload.get("lease_token")
        self.timeout, self.deadline = payload["timeout_seconds"], float("inf")
        self.every, self.beat = payload["lease_seconds"] / 3, 0.0
        self.thread, self.cancelled_at = None, None

    def known(self):
        """What every message about it says: its attempt, the token that proves it, and which start of it this is."""
        return {"attempt": self.attempt, "lease_token": self.token, "start_id": self.start_id}

    def is_about(self, payload):
        start_id = payload.get("start_id")
        return self.task_id == payload["task_id"] if start_id is None else self.start_id == start_id

    def run(self):
        def step(number, action, status, **more):
            told = {"step_number": number, "action": action, "status": status, **more}
            self.say("work_status", {"status": "executing", "step": told})
        try:
            self.end("work_result", {"status": "completed", "metrics": digest(self.request["payload"]["parameters"], step)})
        except Exception as error:  # whatever it is, the caller must hear of it
            self.end("work_result", {"status": "failed", "error_message": f"{type(error).__name__}: {error}"[:5000]})

    def say(self, kind, payload):
        with self.saying:
            if self.over:
                return
            self.said.append((kind, {"task_id": self.task_id, **payload}))
            step = payload.get("step")
            if step is not None and step["status"] == "running":
                self.open[step["step_number"]] = step["action"]
            elif step is not None:
                self.open.pop(step["step_number"], None)

    def ends_with(self, kind, payload, reason):
        """The words that end it: its open steps fail for this reason, then the last."""
        steps = [{"step_number": number, "action": action, "status": "failed", "summary": reason[:500]}
                 for number, action in self.open.items()]
        words = [("work_status", {"status": "executing", "step": step}) for step in steps] + [(kind, payload)]
        return [(kind, {"task_id": self.task_id, **said}) for kind, said in words]

    def end(self, kind, payload, state="done"):
        """Its last words, unless it has ended already: its thread and the agent may both come to it."""
        with self.saying:
            if not self.over:
                handed_back = f"handed back: {payload.get('message')}"
                reason = handed_back if payload["status"] == "approved" else payload.get("error_message", payload["status"])
                self.last_words = self.ends_with(kind, payload, reason)
                self.said.extend(self.last_words)
                self.over, self.state = True, state

    def died(self):
        """What is to be said of it if this process ends now."""
        with self.saying:
            reason = f"its process ended in the middle of attempt {self.attempt}"
            return self.ends_with("work_result", {"status": "failed", "error_message": reason, "retryable": True}, reason)


class Agent:
    def __init__(self):
        self.signer = Signer(API_KEY)
        if not API_URL and not CONTROL_PLANE_KEYS:
            raise ValueError("WAYBILL_API_URL must be set, or CONTROL_PLANE_KEYS: it acts on nothing but what the control plane has signed")
        self.trust = Trust(CONTROL_PLANE_KEYS, API_URL)
        DATA.mkdir(parents=True, exist_ok=True)
        self.kept = sqlite3.connect(DATA / f"{NAME}-python.sqlite")
        self.kept.execute("create table if not exists answers (request_id text primary key, said text not null)")
        for column in ("start_id text", "attempt integer", "state text not null default 'done'", "lease_token text"):
            if column.split()[0] not in [row[1] for row in self.kept.execute("pragma table_info(answers)")]:
                self.kept.execute(f"alter table answers add column {column}")
        self.faults = checker()
        self.work, self.waiting, self.cancelled = None, [], {}
        self.stopping = None

    def connect(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(URL))
        channel = self.channel = self.connection.channel()
        channel.confirm_delivery()
        queue = declare(channel, PREFIX, NAME)
        # What came over an earlier connection comes again; work in hand goes on, and meets its message then.
        self.waiting = []
        if self.work is not None:
            self.work.tags = []
        channel.basic_qos(prefetch_count=20)
        self.consumer = channel.basic_consume(queue, self.on_message)
        channel.basic_consume(declare_copies(channel, PREFIX, NAME), self.on_copy, auto_ack=True)
        cancel_on_deletion(self.connection, channel)
        log("agent started")

    def on_message(self, _channel, method, _properties, body):
        tag = method.delivery_tag
        message = None
        try:
            message = json.loads(body)
            faults = self.faults(message) if isinstance(message, dict) else ["it is no JSON object"]
        except (ValueError, RecursionError) as error:
            faults = [f"it cannot be read: {error}"]
        if not faults and message["to_agent"] != NAME:
            faults = [f"to_agent is {message['to_agent']}; this is {NAME}"]
        if faults:
            self.refuse(message if isinstance(message, dict) else {}, "; ".join(faults))
            return self.channel.basic_nack(tag, requeue=False)
        if (why := self.why_not(message)) is not None:
            # What it says of work is not repeated: it may be a lie.
            self.send({}, "error", {"error_code": 5008, "error_message": why, "failed_message_id": message["message_id"]})
            log("message refused", reason=why)
            return self.channel.basic_nack(tag, requeue=False)
        if message["type"] == "work_request":
            return self.take(message, tag)
        if message["type"] != "work_status" or self.answer(message):
            return self.channel.basic_ack(tag)
        # Another process of this agent may know of it: to all of them, this one too.
        self.channel.basic_publish(f"{PREFIX}waybill.passed", NAME, body)
        self.channel.basic_ack(tag)

    def why_not(self, message):
        """Why a message is not what it says, or None. Where the keys cannot be asked for it raises: then all comes again."""
        return self.trust.why_not(message) if message["from_agent"] == "orchestrator" else None

    def on_copy(self, _channel, _method, _properties, body):
        message = json.loads(body)
        if self.why_not(message) is None:
            self.answer(message)

    def answer(self, message):
        """Stops what is to stop, or says what has become of it. False where another process may know more."""
        payload = message["payload"]
        status, attempt, start_id = payload["status"], payload["attempt"], payload.get("start_id")
        if message["from_agent"] != "orchestrator" or status not in ("cancelled", "executing"):
            return True
        if status == "cancelled" and start_id is None:
            self.cancelled[payload["task_id"]] = max(attempt, self.cancelled.get(payload["task_id"], 0))
        found = [work for work in self.in_hand() if work.is_about(payload)]
        for work in found:
            work.beat = 0.0
            if status == "cancelled" and work.attempt <= attempt:
                work.cancelled_at = work.cancelled_at or time.monotonic()
        if found:  # what is kept of running work is the answer of a process that died
            return any(start_id is not None or work.attempt == attempt for work in found)
        kept = self.kept_of("start_id" if start_id else "request_id", start_id or message["request_id"])
        if kept is None:
            return False
        is_it = start_id is not None or kept["attempt"] in (attempt, None)
        if is_it or kept["state"] == "done":
            known = {"attempt": attempt if kept["attempt"] is None else kept["attempt"]}
            known |= {name: kept[name] for name in ("start_id", "lease_token")}
            for kind, said in kept["said"]:
                self.tell({**message, "request_id": kept["request_id"]}, kind, {**said, **known})
        return is_it

    def in_hand(self):
        return [self.work, *self.waiting] if self.work else self.waiting

    def kept_of(self, column, value):
        """How a run ended, as it is on disk, or None."""
        names = ("request_id", "start_id", "attempt", "state", "lease_token", "said")
        row = self.kept.execute(f"select {', '.join(names)} from answers where {column} = ?", (value,)).fetchone()
        return None if row is None else {**dict(zip(names, row)), "said": json.loads(row[5])}

    def take(self, request, tag):
        busy = [work for work in self.in_hand() if work.request["request_id"] == request["request_id"]]
        attempt = request["payload"]["attempt"]
        if not busy:
            kept = self.kept_of("request_id", request["request_id"])
            if kept is not None and attempt < (kept["attempt"] or 0):
                return self.channel.basic_ack(tag)
            if kept is not None and kept["state"] == "stopped" and attempt > kept["attempt"]:
                kept = None
            return self.waiting.append(Work(request, tag, kept))
        busy[0].tags.append(tag)
        if attempt > busy[0].attempt:  # all is said again, under the later attempt
            busy[0].attempt, busy[0].sent, busy[0].beat = attempt, 0, 0.0
            busy[0].token = request["payload"].get("lease_token")

    def refuse(self, message, reason):
        if message.get("from_agent") != "orchestrator" or message.get("type") == "error":
            return log("message refused", reason=reason)
        payload = message.get("payload") if isinstance(message.get("payload"), dict) else {}
        known = {"failed_message_id": message.get("message_id"), "task_id": payload.get("task_id")}
        report = {name: value for name, value in known.items() if is_uuid(value)}
        if re.fullmatch("[0-9a-f]{64}", str(payload.get("lease_token"))):
            report["lease_token"] = payload["lease_token"]
        self.send(message, "error", {"error_code": 5003, "error_message": reason[:5000], **report})

    def send(self, request, kind, payload):
        """Answers when the broker has it on disk in a queue; raises where it has not. All but ASCII is escaped."""
        message = self.signer.sign(message_about(request, NAME, kind, payload))
        properties = pika.BasicProperties(
            content_type="application/json", delivery_mode=2, message_id=message["message_id"], type=kind,
            correlation_id=message["trace_id"], headers={"trace_id": message["trace_id"]}, timestamp=int(time.time()))
        body = json.dumps(message).encode()
        self.channel.basic_publish(f"{PREFIX}waybill.results", NAME, body, properties, mandatory=True)

    def tell(self, request, kind, payload):
        """Says something about a run: what it says names the start and the token, if they are known, and this process."""
        known = {name: value for name, value in payload.items() if name not in ("start_id", "lease_token") or value is not None}
        self.send(request, kind, {**known, "process": process_name()})

    # --- one piece of work after the other

    def tick(self):
        """Called some times a second: starts, beats, stops and answers. The connection may be lost anywhere in it."""
        if self.work is None and self.waiting and self.stopping is None:
            self.start(self.waiting[0])
            self.work = self.waiting.pop(0)
        for work in list(self.waiting):
            if self.is_cancelled(work):
                work.end("work_status", {"status": "cancelled", "message": "cancelled before it started"}, "stopped")
                self.conclude(work)
                self.waiting.remove(work)
            elif not work.over:
                self.renew(work, "held")
        work = self.work
        if work is None:
            return
        now = time.monotonic()
        if not work.over and self.is_cancelled(work):
            work.cancelled_at = work.cancelled_at or now
            if not work.thread or not work.thread.is_alive() or now > work.cancelled_at + SETTLE_SECONDS:
                work.end("work_status", {"status": "cancelled"}, "stopped")
        if not work.over and now > work.deadline:
            work.end("work_result", {"status": "failed", "error_message": "5006 timed_out: it took longer than timeout_seconds"})
        if not work.over and self.stopping is not None and now > self.stopping:
            work.end("work_status", {"status": "approved", "message": "this agent is shutting down"}, "stopped")
        if work.over:
            self.conclude(work)
            self.work = None
            return log("work ended", task_id=work.task_id)
        self.tell_new(work)
        self.renew(work, "executing")

    def is_cancelled(self, work):
        return work.cancelled_at is not None or work.attempt <= self.cancelled.get(work.task_id, 0)

    def renew(self, work, status):
        """Says three times a lease, and whenever it is asked, that this process has the work."""
        now = time.monotonic()
        if now > work.beat:
            self.tell(work.request, "work_status", {"task_id": work.task_id, **work.known(), "status": status})
            work.beat = now + work.every

    def tell_new(self, work, last=False):
        """What is new of it; its end only once that is on disk, for its thread may come to it at any moment."""
        with work.saying:
            new, died = work.said[work.sent:], work.died()
            if work.over and not last:
                return
        if new and not last:
            self.keep(work, died, "stopped")
        for kind, payload in new:
            self.tell(work.request, kind, {**payload, **work.known()})
            work.sent += 1

    def conclude(self, work):
        """On disk before its end is said: a request that comes again, and a question, are answered from there."""
        self.keep(work, work.said if work.state == "done" else work.last_words, work.state)
        self.tell_new(work, last=True)
        for tag in work.tags:
            self.channel.basic_ack(tag)

    def keep(self, work, said, state):
        row = (work.request["request_id"], json.dumps(said), work.start_id, work.attempt, state, work.token)
        names = "request_id, said, start_id, attempt, state, lease_token"
        self.kept.execute(f"insert or replace into answers ({names}) values (?, ?, ?, ?, ?, ?)", row)
        self.kept.commit()

    def begin(self, work):
        """Before the work runs: the broker has its sign of life, or this raises, and the answer is kept for a process that dies of it."""
        work.beat = 0.0
        self.renew(work, "executing")
        self.keep(work, work.died(), "stopped")

    def start(self, work):
        if work.over or work.attempt <= self.cancelled.get(work.task_id, 0):
            return
        payload = work.request["payload"]
        if payload["work_type"] != "research.digest":
            work.end("work_result", {"status": "failed", "error_message": f"5002 unknown_work_type: {NAME} does research.digest"})
        elif (fault := fault_of(payload["parameters"])) is not None:
            work.end("work_result", {"status": "failed", "error_message": f"5004 invalid_parameters: {fault}"})
        else:
            self.begin(work)
            log("work started", task_id=work.task_id)
            work.deadline = time.monotonic() + work.timeout
            work.thread = threading.Thread(target=work.run, daemon=True)
            work.thread.start()

    def stop(self, *_):
        self.stopping = self.stopping or time.monotonic() + GRACE_SECONDS
        log("agent stopping")

    def listens(self):
        """False once the broker has cancelled the consumer, since its queue was deleted: connecting again makes it anew."""
        return self.consumer in (None, *self.channel.consumer_tags)

    def give_back(self):
        """Takes no more; what has not started goes back to the queue at once."""
        self.channel.basic_cancel(self.consumer)
        for tag in (tag for work in self.waiting for tag in work.tags):
            self.channel.basic_nack(tag, requeue=True)
        self.waiting, self.consumer = [], None

    def run(self):
        wait = 0.25
        while self.stopping is None or self.work is not None:
            try:
                if self.trust.keys is None:
                    self.trust.ask()
                self.connect()
                wait = 0.25
                while self.listens() and (self.stopping is None or self.work is not None):
                    self.connection.process_data_events(time_limit=0.1)
                    if self.stopping is not None and self.consumer is not None:
                        self.give_back()
                    self.tick()
                if self.consumer is not None:
                    self.give_back()
                self.connection.close()
            except (pika.exceptions.AMQPError, OSError) as error:
                log("broker or API not reachable", error=str(error) or type(error).__name__, wait=wait)
                if self.stopping is not None and time.monotonic() > self.stopping:
                    break
                time.sleep(wait)
                wait = min(10, wait * 2)
        log("agent stopped")


def stay_present():
    """Says again and again that the agent is there, so that the router chooses it. An API that is away keeps it from nothing."""
    if not API_URL:
        log("agent not registered", todo="set WAYBILL_API_URL, so that the router knows it is there")
        return
    call = urllib.request.Request(
        f"{API_URL.rstrip('/')}/agents/{NAME}/presence",
        data=json.dumps({"instance": f"{socket.gethostname()}:{os.getpid()}"}).encode(),
        headers={"content-type": "application/json", **({"authorization": f"Bearer {API_KEY}"} if API_KEY else {})},
    )
    heard = None
    while True:
        try:
            urllib.request.urlopen(call, timeout=10).close()
            now, why = True, {}
        except (OSError, ValueError, http.client.HTTPException) as error:
            now, why = False, {"error": str(error), "url": API_URL}
        if now != heard:
            log("agent present" if now else "agent not registered", **why)
        heard = now
        time.sleep(PRESENCE_SECONDS if now else min(5, PRESENCE_SECONDS))


if __name__ == "__main__":
    try:
        agent = Agent()
    except ValueError as error:
        sys.exit(f"The agent {NAME} did not start. {error}.")
    threading.Thread(target=stay_present, daemon=True).start()
    signal.signal(signal.SIGTERM, agent.stop)
    signal.signal(signal.SIGINT, agent.stop)
    agent.run()
