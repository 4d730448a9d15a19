"""A service that handles every message once: SET key NX EX before the work, SET key EX after it, and on without the server."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import redis
from harness import DEAD_PORT, OTHER_DB, TARGET, Skip, eventually, scenario

TTL_SECONDS = 86_400


class IdempotencyService:
    def __init__(self, client):
        self.client = client
        self.errors = []

    def check_and_mark_processing(self, message_id):
        """True for a duplicate. Without a server every message is new: handling one twice is better than not at all."""
        try:
            marked = self.client.set(message_id, json.dumps({"status": "processing"}), nx=True, ex=TTL_SECONDS)
            return marked is None
        except redis.RedisError as error:
            self.errors.append(error)
            return False

    def mark_completed(self, message_id):
        value = json.dumps({"status": "completed", "processed_at": time.time()})
        return self.client.set(message_id, value, ex=TTL_SECONDS)

    def is_redis_healthy(self):
        try:
            return self.client.ping() is True
        except redis.RedisError:
            return False


@scenario("idempotency: new once, then a duplicate")
def new_then_duplicate(tools):
    service = IdempotencyService(tools.connect())
    one, two = tools.key("idempotency:outbound:one"), tools.key("idempotency:outbound:two")
    assert service.check_and_mark_processing(one) is False
    assert service.check_and_mark_processing(one) is True
    assert service.check_and_mark_processing(two) is False
    assert json.loads(service.client.get(one)) == {"status": "processing"}
    assert service.client.ttl(one) == TTL_SECONDS
    assert service.errors == []


@scenario("idempotency: of ten instances one handles the message")
def race(tools):
    message = tools.key("idempotency:outbound:race")
    services = [IdempotencyService(tools.connect()) for _ in range(10)]
    with ThreadPoolExecutor(len(services)) as pool:
        duplicates = list(pool.map(lambda service: service.check_and_mark_processing(message), services))
    assert duplicates.count(False) == 1, duplicates
    assert not any(service.errors for service in services)


@scenario("idempotency: completion rewrites the value and the 24 hours")
def completion(tools):
    client = tools.connect()
    service, message = IdempotencyService(client), tools.key("idempotency:outbound:completed")
    service.check_and_mark_processing(message)
    assert client.expire(message, 100) is True
    assert client.ttl(message) == 100
    assert service.mark_completed(message) is True
    assert client.ttl(message) == TTL_SECONDS
    value = json.loads(client.get(message))
    assert value["status"] == "completed" and value["processed_at"] <= time.time()
    assert service.check_and_mark_processing(message) is True


@scenario("idempotency: healthy")
def healthy(tools):
    assert IdempotencyService(tools.connect()).is_redis_healthy()


@scenario("idempotency: the user default with the password")
def user_default(tools):
    need_password()
    service = IdempotencyService(tools.connect(username=TARGET["username"] or "default"))
    assert service.check_and_mark_processing(tools.key("idempotency:outbound:user")) is False
    assert service.errors == []


@scenario("idempotency: a wrong password is refused")
def wrong_password(tools):
    need_password()
    assert "invalid username-password pair or user is disabled" in refusal_of(tools.connect(password="wrong"))


@scenario("idempotency: a missing password is refused")
def missing_password(tools):
    need_password()
    refusal = refusal_of(tools.connect(password=None, username=None))
    assert "Authentication required" in refusal or "HELLO must be called with the client already authenticated" in refusal, refusal


@scenario("idempotency: databases are apart")
def databases(tools):
    here, there = tools.connect(), tools.connect(db=OTHER_DB)
    message = tools.key("idempotency:outbound:database")
    assert IdempotencyService(here).check_and_mark_processing(message) is False
    assert there.get(message) is None
    assert IdempotencyService(there).check_and_mark_processing(message) is False
    assert there.delete(message) == 1
    assert IdempotencyService(here).check_and_mark_processing(message) is True


@scenario("idempotency: a dead server lets messages through")
def dead_server(tools):
    service = IdempotencyService(tools.connect(port=DEAD_PORT))
    assert service.check_and_mark_processing("idempotency:outbound:dead") is False
    assert service.check_and_mark_processing("idempotency:outbound:dead") is False
    assert not service.is_redis_healthy()
    assert all(isinstance(error, redis.ConnectionError) for error in service.errors) and len(service.errors) == 2


@scenario("idempotency: the server crashes and comes back")
def crash(tools):
    outage(tools, tools.own_server().kill)


@scenario("idempotency: the server is stopped and comes back")
def stop(tools):
    outage(tools, tools.own_server().stop)


@scenario("idempotency: the service boots before the server")
def boots_first(tools):
    tools.own_server().stop()
    service = IdempotencyService(tools.connect())
    assert not service.is_redis_healthy()
    tools.own_server().start()
    eventually("healthy", service.is_redis_healthy)
    message = tools.key("idempotency:outbound:boot")
    assert service.check_and_mark_processing(message) is False
    assert service.check_and_mark_processing(message) is True


@scenario("idempotency: a graceful end leaves no connection")
def graceful_end(tools):
    name = f"ending-{uuid.uuid4().hex}"
    leaving, watching = tools.connect(client_name=name), tools.connect()
    message = tools.key("idempotency:outbound:last")
    assert IdempotencyService(leaving).check_and_mark_processing(message) is False
    assert name in [client["name"] for client in watching.client_list()]
    leaving.close()
    eventually("the connection is gone", lambda: name not in [client["name"] for client in watching.client_list()])
    assert watching.get(message) is not None


def outage(tools, end):
    """The server goes and comes back; the service goes on meanwhile, and deduplicates again afterwards, in its database."""
    client = tools.connect(client_name="outbound")
    service = IdempotencyService(client)
    before, during, after = (tools.key(f"idempotency:outbound:{when}") for when in ("before", "during", "after"))
    assert service.check_and_mark_processing(before) is False
    assert service.check_and_mark_processing(before) is True

    end()
    assert service.check_and_mark_processing(during) is False
    assert service.check_and_mark_processing(during) is False
    assert not service.is_redis_healthy()
    assert service.errors

    tools.own_server().start()
    eventually("healthy again", service.is_redis_healthy)
    assert service.check_and_mark_processing(after) is False
    assert service.check_and_mark_processing(after) is True
    assert tools.connect().get(after) is not None, "the reconnected client is in another database"
    assert tools.connect(db=OTHER_DB).get(after) is None
    assert client.client_getname() == "outbound"


def need_password():
    if not TARGET["password"]:
        raise Skip("only on a server with a password")


def refusal_of(client):
    try:
        return f"GET was answered {client.get('any')}"
    except redis.RedisError as error:
        return str(error)
