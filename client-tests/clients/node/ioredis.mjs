// ioredis, on Node or Bun: `ioredis.mjs PACKAGE`.

import { cache } from './cache.mjs';
import { bytes, channels, commandsWhileListening, patterns, refusedWhileListening, shards } from './channels.mjs';
import { connection, trouble } from './connection.mjs';
import { definedCommands } from './defined-commands.mjs';
import { delivery, streamInfo } from './delivery.mjs';
import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { keeping, keptWatch } from './keeping.mjs';
import { mutex } from './mutex.mjs';
import { queue, resubscription } from './jobs.mjs';
import { goneMessages, retries, trimming } from './retries.mjs';
import { functionDumps, functions, scripts } from './scripts.mjs';
import { streamsByWords } from './stream-words.mjs';
import { announcements, chains, transactions } from './transactions.mjs';

const { Redis } = await import(process.argv[2]);
const speaksResp3 = process.argv[2] === 'ioredis6';

const RETRY_MS = 50;

// What the library calls as the scenarios do.
const SAME_CALLS = [
  'get', 'del', 'setnx', 'expire', 'ttl', 'pttl', 'ping', 'incr', 'mget', 'keys', 'quit', 'watch', 'unwatch',
  'lpush', 'rpush', 'lpop', 'rpop', 'lmove', 'rpoplpush', 'lrem', 'llen', 'lrange', 'blmove',
  'sadd', 'srem', 'smembers', 'scard', 'publish', 'spublish', 'unsubscribe', 'punsubscribe', 'sunsubscribe',
];

const EVENTS = ['connect', 'ready', 'reconnecting', 'end'];

function start({ url, host, port, username, password, db, name, patient, attempts }) {
  const options = {
    connectionName: name,
    maxRetriesPerRequest: patient ? null : 1,
    retryStrategy: (attempt) => (attempt > attempts ? null : RETRY_MS),
  };
  const redis = url ? new Redis(url, options) : new Redis({ ...options, host, port, username, password, db });
  const [errors, events] = [[], []];
  redis.on('error', (error) => errors.push(error));
  for (const event of EVENTS) redis.on(event, () => events.push(event));
  return {
    ...Object.fromEntries(SAME_CALLS.map((call) => [call, (...words) => redis[call](...words)])),
    ...subscriptions(redis),
    ...transactionsOf(redis),
    ...scriptsOf(redis),
    ...streamsByWords(redis),
    redis,
    errors, events,
    keepsName: true,
    tellsRefusal: true,
    connected: () => connected(redis),
    lock: (key, value, seconds) => redis.set(key, value, 'EX', seconds, 'NX'),
    lockMs: (key, value, ms) => redis.set(key, value, 'PX', ms, 'NX'),
    setFor: (key, value, seconds) => redis.set(key, value, 'EX', seconds),
    setForGood: (key, value) => redis.set(key, value),
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

const transactionsOf = (redis) => ({
  transaction: async (build) => {
    const pairs = await build(redis.multi()).exec();
    return pairs && pairs.map(([error, reply]) => error ?? reply);
  },
  queueWords: (chain, ...commands) => commands.reduce((chain, words) => chain.call(...words), chain),
});

const scriptsOf = (redis) => ({
  evaluate: (script, keys = [], words = []) => redis.eval(script, keys.length, ...keys, ...words),
  evaluateReadOnly: (script, keys = [], words = []) => redis.eval_ro(script, keys.length, ...keys, ...words),
  evaluateSha: (sha, keys = [], words = []) => redis.evalsha(sha, keys.length, ...keys, ...words),
  scriptLoad: (script) => redis.script('LOAD', script),
  scriptExists: (shas) => redis.script('EXISTS', ...shas),
  fcall: (name, keys = [], words = []) => redis.fcall(name, keys.length, ...keys, ...words),
  fcallReadOnly: (name, keys = [], words = []) => redis.fcall_ro(name, keys.length, ...keys, ...words),
  functionLoad: (code, { replace } = {}) => redis.function('LOAD', ...(replace ? ['REPLACE'] : []), code),
  functionDelete: (library) => redis.function('DELETE', library),
  functionNames: async (library) => {
    const [listed] = await redis.function('LIST', 'LIBRARYNAME', library);
    return listed ? fieldOf(listed, 'functions').map((entry) => fieldOf(entry, 'name')) : [];
  },
  functionDump: () => redis.functionBuffer('DUMP'),
  functionRestore: (dump, ...policy) => redis.function('RESTORE', dump, ...policy),
});

/** A map comes as names and values in turn. */
const fieldOf = (pairs, name) => pairs[pairs.indexOf(name) + 1];

async function scan(redis, match) {
  const found = [];
  for await (const keys of redis.scanStream({ match, count: 50 })) found.push(...keys);
  return found;
}

await runAll({ start }, {
  ...mutex, ...idempotency, ...queue, ...resubscription, ...channels, ...patterns, ...shards, ...bytes,
  ...(speaksResp3 ? commandsWhileListening : refusedWhileListening),
  ...connection, ...trouble, ...cache, ...keeping, ...keptWatch,
  ...delivery, ...streamInfo, ...retries, ...goneMessages, ...trimming,
  ...transactions, ...announcements, ...chains, ...scripts, ...functions, ...functionDumps, ...definedCommands,
});
