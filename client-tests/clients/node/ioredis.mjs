// ioredis, on Node or Bun: `ioredis.mjs PACKAGE`.

import { cache } from './cache.mjs';
import { bytes, channels, commandsWhileListening, patterns, shards } from './channels.mjs';
import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { mutex } from './mutex.mjs';
import { queue, resubscription } from './jobs.mjs';

const { Redis } = await import(process.argv[2]);
const speaksResp3 = process.argv[2] === 'ioredis6';

// What the library calls as the scenarios do.
const SAME_CALLS = [
  'get', 'del', 'setnx', 'expire', 'ttl', 'pttl', 'ping', 'incr', 'mget', 'keys', 'quit',
  'lpush', 'rpush', 'lpop', 'rpop', 'lmove', 'rpoplpush', 'lrem', 'llen', 'lrange', 'blmove',
  'sadd', 'srem', 'smembers', 'scard', 'publish', 'spublish', 'unsubscribe', 'punsubscribe', 'sunsubscribe',
];

function start({ host, port, username, password, db, name, patient }) {
  const redis = new Redis({
    host, port, username, password, db,
    connectionName: name,
    maxRetriesPerRequest: patient ? null : 1,
    retryStrategy: () => 50,
  });
  const errors = [];
  redis.on('error', (error) => errors.push(error));
  return {
    ...Object.fromEntries(SAME_CALLS.map((call) => [call, (...words) => redis[call](...words)])),
    ...subscriptions(redis),
    errors,
    keepsName: true,
    tellsRefusal: true,
    connected: () => connected(redis),
    lock: (key, value, seconds) => redis.set(key, value, 'EX', seconds, 'NX'),
    lockMs: (key, value, ms) => redis.set(key, value, 'PX', ms, 'NX'),
    setFor: (key, value, seconds) => redis.set(key, value, 'EX', seconds),
    command: (...words) => redis.call(...words),
    brpop: (keys, seconds) => redis.brpop(...keys, seconds),
    blpop: (keys, seconds) => redis.blpop(...keys, seconds),
    sismember: async (key, member) => (await redis.sismember(key, member)) === 1,
    scan: (pattern) => scan(redis, pattern),
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

/** Messages of all channels are one event: each listener picks its own. */
function subscriptions(redis) {
  const listen = (event, names, listener, nameOf) =>
    redis.on(event, (...words) => names.includes(String(nameOf(words))) && listener(words));
  return {
    subscribe: (names, listener) => {
      listen('message', names, ([channel, message]) => listener(message, channel), ([channel]) => channel);
      return redis.subscribe(...names);
    },
    subscribeBytes: (names, listener) => {
      listen('messageBuffer', names, ([channel, message]) => listener(message, channel), ([channel]) => channel);
      return redis.subscribe(...names);
    },
    psubscribe: (names, listener) => {
      listen('pmessage', names, ([, channel, message]) => listener(message, channel), ([pattern]) => pattern);
      return redis.psubscribe(...names);
    },
    ssubscribe: (names, listener) => {
      listen('smessage', names, ([channel, message]) => listener(message, channel), ([channel]) => channel);
      return redis.ssubscribe(...names);
    },
  };
}

async function scan(redis, match) {
  const found = [];
  for await (const keys of redis.scanStream({ match, count: 50 })) found.push(...keys);
  return found;
}

await runAll({ start }, {
  ...mutex, ...idempotency, ...queue, ...resubscription, ...channels, ...patterns, ...shards, ...bytes,
  ...(speaksResp3 ? commandsWhileListening : {}),
  ...cache,
});
