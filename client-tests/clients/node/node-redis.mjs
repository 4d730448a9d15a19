// node-redis (the package `redis`): `node-redis.mjs PACKAGE`.

import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { mutex } from './mutex.mjs';

const { createClient } = await import(process.argv[2]);

function start({ host, port, username, password, db, name }) {
  const redis = createClient({
    socket: { host, port, reconnectStrategy: () => 50 },
    username, password, name,
    database: db,
    disableOfflineQueue: true,
  });
  const errors = [];
  redis.on('error', (error) => errors.push(error));
  const connecting = redis.connect();
  connecting.catch((error) => errors.push(error));
  return {
    errors,
    keepsName: true,
    tellsRefusal: true,
    connected: () => connected(redis, connecting),
    lock: (key, value, seconds) => redis.set(key, value, { EX: seconds, NX: true }),
    lockMs: (key, value, ms) => redis.set(key, value, { PX: ms, NX: true }),
    setFor: (key, value, seconds) => redis.set(key, value, { EX: seconds }),
    get: (key) => redis.get(key),
    del: (key) => redis.del(key),
    // Version 4 makes booleans of these two integers.
    setnx: async (key, value) => Number(await redis.setNX(key, value)),
    expire: async (key, seconds) => Number(await redis.expire(key, seconds)),
    ttl: (key) => redis.ttl(key),
    pttl: (key) => redis.pTTL(key),
    ping: () => redis.ping(),
    command: (...words) => redis.sendCommand(words),
    quit: () => redis.quit(),
    drop: () => (redis.destroy ?? redis.disconnect).call(redis),
  };
}

/** The connect promise stays pending while the library retries, so an error event counts as well. */
function connected(redis, connecting) {
  const refused = new Promise((_, reject) => redis.once('error', reject));
  return Promise.race([connecting, refused]);
}

await runAll({ start }, { ...mutex, ...idempotency });
