"""redis-py: `redis_py.py PROTOCOL`, the RESP version that the connection asks for."""

import sys

import redis
from harness import run_all
from redis.backoff import ConstantBackoff
from redis.retry import Retry

# Importing a module registers its scenarios.
import mutex  # noqa: F401, I001
import idempotency  # noqa: F401
import jobs  # noqa: F401
import channels  # noqa: F401
import cache  # noqa: F401
import connection  # noqa: F401
import transactions  # noqa: F401
import scripts  # noqa: F401
import locks  # noqa: F401
import delivery  # noqa: F401
import retries  # noqa: F401
import keeping  # noqa: F401
import asynchronous  # noqa: F401

PROTOCOL = int(sys.argv[1])

if PROTOCOL == 3:
    import resp3  # noqa: F401
else:
    import resp2  # noqa: F401


def connect(**settings):
    usual = {
        "decode_responses": True,
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "retry": Retry(ConstantBackoff(0.02), 1),
    }
    return redis.Redis(**{**usual, **settings}, protocol=PROTOCOL)


run_all(connect)
