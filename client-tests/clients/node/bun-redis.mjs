// The client that is built into Bun.

import { RedisClient } from 'bun';
import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { mutex } from './mutex.mjs';

function start({ host, port, username, password, db, name }) {
  const user = password === undefined ? '' : `${username ?? ''}:${encodeURIComponent(password)}@`;
  const redis = new RedisClient(`redis://${user}${host}:${port}/${db}`, {
    connectionTimeout: 2000,
    enableOfflineQueue: false,
    maxRetries: 1000,
  });
  const errors = [];
  redis.onclose = (error) => error && errors.push(error);
  const connecting = redis.connect();
  connecting.catch((error) => errors.push(error));
  return {
    errors,
    // It sets no name of its own, and says of any refusal only that the connection was closed.
    keepsName: false,
    tellsRefusal: false,
    connected: async () => {
      await connecting;
      if (name) await redis.send('CLIENT', ['SETNAME', name]);
    },
    lock: (key, value, seconds) => redis.set(key, value, 'EX', seconds, 'NX'),
    lockMs: (key, value, ms) => redis.set(key, value, 'PX', ms, 'NX'),
    setFor: (key, value, seconds) => redis.set(key, value, 'EX', seconds),
    get: (key) => redis.get(key),
    del: (key) => redis.del(key),
    setnx: (key, value) => redis.setnx(key, value),
    expire: (key, seconds) => redis.expire(key, seconds),
    ttl: (key) => redis.ttl(key),
    pttl: (key) => redis.pttl(key),
    ping: () => redis.ping(),
    command: (name, ...words) => redis.send(name, words),
    // There is no graceful end but to wait for what was sent.
    quit: async () => {
      await redis.ping();
      redis.close();
    },
    drop: () => redis.close(),
  };
}

await runAll({ start }, { ...mutex, ...idempotency });
