// ioredis, on Node or Bun: `ioredis.mjs PACKAGE`.

import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { mutex } from './mutex.mjs';

const { Redis } = await import(process.argv[2]);

function start({ host, port, username, password, db, name }) {
  const redis = new Redis({
    host, port, username, password, db,
    connectionName: name,
    maxRetriesPerRequest: 1,
    retryStrategy: () => 50,
  });
  const errors = [];
  redis.on('error', (error) => errors.push(error));
  return {
    errors,
    keepsName: true,
    tellsRefusal: true,
    connected: () => connected(redis),
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
    command: (...words) => redis.call(...words),
    quit: () => redis.quit(),
    drop: () => redis.disconnect(),
  };
}

function connected(redis) {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    redis.once('ready', resolve);
    redis.once('error', reject);
  });
}

await runAll({ start }, { ...mutex, ...idempotency });
