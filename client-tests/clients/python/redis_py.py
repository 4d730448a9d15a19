"""redis-py: `redis_py.py PROTOCOL`, the RESP version that the connection asks for."""

import sys

import redis
from harness import run_all
from redis.backoff import ConstantBackoff
from redis.retry import Retry

# Importing a module registers its scenarios.
import mutex  # noqa: F401, I001
import idempotency  # noqa: F401


def connect(**settings):
    return redis.Redis(
        **settings,
        protocol=int(sys.argv[1]),
        decode_responses=True,
        socket_connect_timeout=2,
        socket_timeout=5,
        retry=Retry(ConstantBackoff(0.02), 1),
    )


run_all(connect)
