// The client that is built into Bun. It has no patterns, no sharded channels and no messages in bytes,
// and does not subscribe again when its connection broke.

import { RedisClient } from 'bun';
import { cache } from './cache.mjs';
import { channels } from './channels.mjs';
import { trouble } from './connection.mjs';
import { delivery, streamInfo } from './delivery.mjs';
import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { keeping } from './keeping.mjs';
import { mutex } from './mutex.mjs';
import { queue } from './jobs.mjs';
import { goneMessages, retries, trimming } from './retries.mjs';
import { functions, scripts } from './scripts.mjs';
import { streamsByWords } from './stream-words.mjs';
import { transactions } from './transactions.mjs';

// What the library calls as the scenarios do.
const SAME_CALLS = [
  'get', 'del', 'setnx', 'expire', 'ttl', 'pttl', 'ping', 'incr', 'mget', 'keys',
  'lpush', 'rpush', 'lpop', 'rpop', 'lmove', 'rpoplpush', 'lrem', 'llen', 'lrange', 'blmove',
  'sadd', 'srem', 'smembers', 'sismember', 'scard', 'publish',
];

function start({ host, port, username, password, db, name, patient }) {
  const user = password === undefined ? '' : `${username ?? ''}:${encodeURIComponent(password)}@`;
  const redis = new RedisClient(`redis://${user}${host}:${port}/${db}`, {
    connectionTimeout: 2000,
    enableOfflineQueue: Boolean(patient),
    maxRetries: 1000,
  });
  const errors = [];
  redis.onclose = (error) => error && errors.push(error);
  const connecting = redis.connect();
  connecting.catch((error) => errors.push(error));
  return {
    ...Object.fromEntries(SAME_CALLS.map((call) => [call, (...words) => redis[call](...words)])),
    errors,
    // It sets no name of its own, and says of any refusal only that the connection was closed.
    keepsName: false,
    tellsRefusal: false,
    connected: async () => {
      await connecting;
      if (name) await redis.send('CLIENT', ['SETNAME', name]);
    },
    ...transactionsOf(redis),
    ...scriptsOf(redis),
    ...streamsByWords(redis),
    lock: (key, value, seconds) => redis.set(key, value, 'EX', seconds, 'NX'),
    lockMs: (key, value, ms) => redis.set(key, value, 'PX', ms, 'NX'),
    setFor: (key, value, seconds) => redis.set(key, value, 'EX', seconds),
    setForGood: (key, value) => redis.set(key, value),
    command: (name, ...words) => redis.send(name, words),
    brpop: (keys, seconds) => redis.brpop(...keys, seconds),
    blpop: (keys, seconds) => redis.blpop(...keys, seconds),
    scan: (pattern) => scan(redis, pattern),
    subscribe: (names, listener) => redis.subscribe(names, listener),
    unsubscribe: (...names) => redis.unsubscribe(names),
    // There is no graceful end but to wait for what was sent.
    quit: async () => {
      await redis.ping();
      redis.close();
    },
    drop: () => redis.close(),
  };
}

/** It has no transactions of its own: what a chain is asked for goes between MULTI and EXEC. */
const transactionsOf = (redis) => ({
  watch: (...keys) => redis.send('WATCH', keys),
  unwatch: () => redis.send('UNWATCH', []),
  queueWords: (chain, ...commands) => commands.reduce((chain, [name, ...words]) => chain[name](...words), chain),
  transaction: async (build) => {
    const asked = [];
    const chain = new Proxy({}, { get: (_, name) => (...words) => asked.push([name, words]) && chain });
    build(chain);
    const sent = [['MULTI', []], ...asked, ['EXEC', []]].map(([name, words]) => redis.send(name.toUpperCase(), words));
    return (await Promise.all(sent)).at(-1);
  },
});

/** Nor has it calls for scripts. */
function scriptsOf(redis) {
  const run = (name) => (text, keys = [], words = []) => redis.send(name, [text, String(keys.length), ...keys, ...words]);
  return {
    evaluate: run('EVAL'),
    evaluateReadOnly: run('EVAL_RO'),
    evaluateSha: run('EVALSHA'),
    scriptLoad: (script) => redis.send('SCRIPT', ['LOAD', script]),
    scriptExists: (shas) => redis.send('SCRIPT', ['EXISTS', ...shas]),
    fcall: run('FCALL'),
    fcallReadOnly: run('FCALL_RO'),
    functionLoad: (code, { replace } = {}) => redis.send('FUNCTION', ['LOAD', ...(replace ? ['REPLACE'] : []), code]),
    functionDelete: (library) => redis.send('FUNCTION', ['DELETE', library]),
    functionNames: async (library) => {
      const [listed] = await redis.send('FUNCTION', ['LIST', 'LIBRARYNAME', library]);
      return listed ? listed.functions.map(({ name }) => name) : [];
    },
  };
}

async function scan(redis, pattern) {
  const found = [];
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 50);
    found.push(...keys);
    cursor = next;
  } while (cursor !== '0');
  return found;
}

await runAll({ start }, {
  ...mutex, ...idempotency, ...queue, ...channels, ...trouble, ...cache, ...keeping,
  ...delivery, ...streamInfo, ...retries, ...goneMessages, ...trimming,
  ...transactions, ...scripts, ...functions,
});
