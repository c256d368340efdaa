"""What an agent on RabbitMQ has to know of Waybill: how messages look (docs/protocol.schema.json), and the queues' names."""
import json
import os
import pathlib
import re
import socket
import time
import uuid
from datetime import datetime, timezone

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "docs" / "protocol.schema.json"


def checker():
    """A function that lists what is wrong with a message: by the JSON Schema, or roughly where jsonschema is missing."""
    try:
        import jsonschema
    except ImportError:
        return roughly
    schema = json.loads(SCHEMA.read_text())
    kinds = {}
    for name in (choice["$ref"].rsplit("/", 1)[1] for choice in schema["oneOf"]):
        kind = {**schema["$defs"][name], "$defs": schema["$defs"]}
        kinds[kind["properties"]["type"]["const"]] = jsonschema.Draft202012Validator(kind)

    def faults(message):
        kind = kinds.get(str(message.get("type")))
        if kind is None:
            return ["type is not known"]
        found = kind.iter_errors(message)
        return [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message[:200]}" for fault in found]
    return faults


TEXTS = ("message_id", "from_agent", "to_agent", "timestamp", "trace_id", "request_id", "type")
STATUS = {"task_id": str, "attempt": int, "status": str}
REQUEST = {"task_id": str, "attempt": int, "work_type": str, "parameters": dict, "lease_seconds": int, "timeout_seconds": int}
PAYLOADS = {"work_request": REQUEST, "work_status": STATUS, "work_result": STATUS, "error": {"error_message": str}}


def roughly(message):
    """What is wrong with a message, as far as an agent would stumble over it."""
    faults = [f"{name} must be a text" for name in TEXTS if not isinstance(message.get(name), str)]
    payload, needed = message.get("payload"), PAYLOADS.get(str(message.get("type")))
    if needed is None or not isinstance(payload, dict):
        return [*faults, "type must be known, and payload an object"]
    return faults + [f"payload.{name} must be {kind.__name__}" for name, kind in needed.items() if not isinstance(payload.get(name), kind)]


def is_uuid(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None


def uuid7():
    """A new UUIDv7: the time in milliseconds, then what is random."""
    rest = uuid.uuid4().int & ~(0xF << 76) & ((1 << 80) - 1)
    return str(uuid.UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | rest))


def process_name():
    """Which process this is, in words for people."""
    return f"{socket.gethostname()[:180]}:{os.getpid()}"


latest = 0


def time_of_sending():
    """Now, in milliseconds, and later than that of any message before: by that they are told from copies."""
    global latest
    latest = max(int(time.time() * 1000), latest + 1)
    return datetime.fromtimestamp(latest / 1000, timezone.utc).isoformat(timespec="milliseconds")


def message_about(request, name, kind, payload):
    """What the agent `name` tells the orchestrator of a request, of which any field may be missing."""
    known = (request.get(field) for field in ("trace_id", "request_id"))
    trace_id, request_id = (value if is_uuid(value) else str(uuid.uuid4()) for value in known)
    return {
        "protocol_version": "1.0",
        "message_id": str(uuid.uuid4()),
        "from_agent": name,
        "to_agent": "orchestrator",
        "timestamp": time_of_sending(),
        "trace_id": trace_id,
        "request_id": request_id,
        "type": kind,
        "payload": payload,
        **({"x_custom_fields": request["x_custom_fields"]} if isinstance(request.get("x_custom_fields"), dict) else {}),
    }


def declare(channel, prefix, name):
    """Makes the agent's queue and that of the results, as lib/agent-kit/transports/amqp-topology.ts does: whoever is first. Answers the first."""
    work, results, passed, dead = (f"{prefix}waybill.{part}" for part in ("work", "results", "passed", "dlx"))
    for exchange, kind in ((work, "topic"), (results, "topic"), (passed, "direct"), (dead, "direct")):
        channel.exchange_declare(exchange, kind, durable=True)
    own, everything = f"{prefix}agent.{name}", f"{prefix}results"
    for queue, source, key, limit in ((own, work, name, 4), (everything, results, "#", 1_000_000_000)):
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare(f"{queue}.dlq", durable=True, arguments={**quorum, "x-message-ttl": 1_209_600_000})
        channel.queue_bind(f"{queue}.dlq", dead, queue)
        limits = {"x-delivery-limit": limit, "x-overflow": "reject-publish"}
        letters = {"x-dead-letter-exchange": dead, "x-dead-letter-routing-key": queue, "x-dead-letter-strategy": "at-least-once"}
        channel.queue_declare(queue, durable=True, arguments={**quorum, **limits, **letters})
        channel.queue_bind(queue, source, key)
    return own


def declare_copies(channel, prefix, name):
    """A queue of this process alone, for what another process of the agent had no use for."""
    copies = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(copies, f"{prefix}waybill.passed", name)
    return copies


def cancel_on_deletion(connection, channel):
    """Makes RabbitMQ cancel the channel's consumers when their queue is deleted: as lib/agent-kit/transports/amqp-deletion.ts does, and why."""
    # A BlockingConnection has no public name for what the broker says of itself.
    version = connection._impl.server_properties["version"]
    if int(version.split(".")[0]) < 4:
        channel.basic_qos(prefetch_count=65_535, global_qos=True)
