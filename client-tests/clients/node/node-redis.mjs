// node-redis (the package `redis`): `node-redis.mjs PACKAGE`.

import { cache, localCache } from './cache.mjs';
import { bytes, channels, commandsWhileListening, patterns, refusedWhileListening, shards } from './channels.mjs';
import { connection, trouble } from './connection.mjs';
import { definedScripts } from './defined-scripts.mjs';
import { delivery, streamInfo } from './delivery.mjs';
import { runAll } from './harness.mjs';
import { idempotency } from './idempotency.mjs';
import { keeping, keptWatch } from './keeping.mjs';
import { mutex } from './mutex.mjs';
import { queue, resubscription } from './jobs.mjs';
import { retries, trimming } from './retries.mjs';
import { functionDumps, functions, scripts, typedReplies } from './scripts.mjs';
import { streamsByObjects } from './stream-objects.mjs';
import { announcements, transactions, watchErrors, watchesAcrossReconnects } from './transactions.mjs';

const {
  BasicClientSideCache, commandOptions, createClient, defineScript, MultiErrorReply, RESP_TYPES, WatchError,
} = await import(process.argv[2]);
const speaksResp3 = process.argv[2] !== 'node-redis4';
const startsWithResp3 = speaksResp3 && process.argv[2] !== 'node-redis5';

const RETRY_MS = 50;

const EVENTS = ['connect', 'ready', 'reconnecting', 'end'];

function start({ url, host, port, username, password, db, name, patient, attempts, resp3, keepsCopies, definitions }) {
  const copies = keepsCopies && new BasicClientSideCache();
  const redis = createClient({
    ...(url ? { url } : { username, password, database: db }),
    socket: {
      ...(url ? {} : { host, port }),
      reconnectStrategy: (attempt) => (attempt >= attempts ? new Error('no more attempts') : RETRY_MS),
    },
    name,
    disableOfflineQueue: !patient,
    ...(resp3 || copies ? { RESP: 3 } : {}),
    ...(copies ? { clientSideCache: copies } : {}),
    ...definitions?.(defineScript),
  });
  const [errors, events] = [[], []];
  redis.on('error', (error) => errors.push(error));
  for (const event of EVENTS) redis.on(event, () => events.push(event));
  const connecting = redis.connect();
  connecting.catch((error) => errors.push(error));
  return {
    ...strings(redis),
    ...lists(redis),
    ...sets(redis),
    ...subscriptions(redis),
    ...transactionsOf(redis),
    ...scriptsOf(redis),
    ...streamsByObjects(redis),
    redis, WatchError, MultiErrorReply,
    errors, events,
    keepsName: true,
    tellsRefusal: true,
    connected: () => connected(redis, connecting),
    ping: () => redis.ping(),
    command: (...words) => redis.sendCommand(words),
    answeredByCopies: () => copies.stats().hitCount,
    quit: () => redis.quit(),
    drop: () => (redis.destroy ?? redis.disconnect).call(redis),
  };
}

/** The connect promise stays pending while the library retries, so an error event counts as well. */
function connected(redis, connecting) {
  const refused = new Promise((_, reject) => redis.once('error', reject));
  return Promise.race([connecting, refused]);
}

const strings = (redis) => ({
  lock: (key, value, seconds) => redis.set(key, value, { EX: seconds, NX: true }),
  lockMs: (key, value, ms) => redis.set(key, value, { PX: ms, NX: true }),
  setFor: (key, value, seconds) => redis.set(key, value, { EX: seconds }),
  setForGood: (key, value) => redis.set(key, value),
  get: (key) => redis.get(key),
  mget: (...keys) => redis.mGet(keys),
  del: (...keys) => redis.del(keys),
  incr: (key) => redis.incr(key),
  // Version 4 makes booleans of these two integers.
  setnx: async (key, value) => Number(await redis.setNX(key, value)),
  expire: async (key, seconds) => Number(await redis.expire(key, seconds)),
  ttl: (key) => redis.ttl(key),
  pttl: (key) => redis.pTTL(key),
  keys: (pattern) => redis.keys(pattern),
  scan: async (pattern) => {
    const found = [];
    // From version 5 on it gives all keys of a reply together.
    for await (const keys of redis.scanIterator({ MATCH: pattern, COUNT: 50 })) found.push(keys);
    return found.flat();
  },
});

const lists = (redis) => ({
  lpush: (key, ...values) => redis.lPush(key, values),
  rpush: (key, ...values) => redis.rPush(key, values),
  lpop: (key) => redis.lPop(key),
  rpop: (key, count) => (count ? redis.rPopCount(key, count) : redis.rPop(key)),
  lmove: (from, to, end, otherEnd) => redis.lMove(from, to, end, otherEnd),
  rpoplpush: (from, to) => redis.rPopLPush(from, to),
  lrem: (key, count, value) => redis.lRem(key, count, value),
  llen: (key) => redis.lLen(key),
  lrange: (key, first, last) => redis.lRange(key, first, last),
  brpop: async (keys, seconds) => pair(await redis.brPop(keys, seconds)),
  blpop: async (keys, seconds) => pair(await redis.blPop(keys, seconds)),
  blmove: (from, to, end, otherEnd, seconds) => redis.blMove(from, to, end, otherEnd, seconds),
});

const pair = (popped) => popped && [popped.key, popped.element];

const sets = (redis) => ({
  sadd: (key, ...members) => redis.sAdd(key, members),
  srem: (key, ...members) => redis.sRem(key, members),
  smembers: (key) => redis.sMembers(key),
  sismember: async (key, member) => Boolean(await redis.sIsMember(key, member)),
  scard: (key) => redis.sCard(key),
});

const subscriptions = (redis) => ({
  publish: (channel, message) => redis.publish(channel, message),
  spublish: (channel, message) => redis.sPublish(channel, message),
  subscribe: (names, listener) => redis.subscribe(names, listener),
  subscribeBytes: (names, listener) => redis.subscribe(names, listener, true),
  psubscribe: (names, listener) => redis.pSubscribe(names, listener),
  ssubscribe: (names, listener) => redis.sSubscribe(names, listener),
  unsubscribe: (...names) => redis.unsubscribe(names),
  punsubscribe: (...names) => redis.pUnsubscribe(names),
  sunsubscribe: (...names) => redis.sUnsubscribe(names),
});

const transactionsOf = (redis) => ({
  watch: (...keys) => redis.watch(keys),
  unwatch: () => redis.unwatch(),
  transaction: async (build) => {
    try {
      return await build(redis.multi()).exec();
    } catch (error) {
      if (error instanceof WatchError) return null;
      if (error instanceof MultiErrorReply) return error.replies;
      throw error;
    }
  },
  queueWords: (chain, ...commands) => commands.reduce((chain, words) => chain.addCommand(words), chain),
  onOwnConnection: (work) => onOwnConnection(redis, work),
});

/** Version 4 keeps connections apart for this; from version 5 on there is a pool for it. */
async function onOwnConnection(redis, work) {
  if (redis.executeIsolated) return redis.executeIsolated(work);
  const pool = redis.createPool();
  await pool.connect();
  try {
    return await pool.execute(work);
  } finally {
    pool.destroy();
  }
}

const scriptsOf = (redis) => ({
  evaluate: (script, keys = [], words = []) => redis.eval(script, { keys, arguments: words }),
  evaluateReadOnly: (script, keys = [], words = []) => redis.evalRo(script, { keys, arguments: words }),
  evaluateSha: (sha, keys = [], words = []) => redis.evalSha(sha, { keys, arguments: words }),
  scriptLoad: (script) => redis.scriptLoad(script),
  scriptExists: async (shas) => (await redis.scriptExists(shas)).map(Number),
  fcall: (name, keys = [], words = []) => redis.fCall(name, { keys, arguments: words }),
  fcallReadOnly: (name, keys = [], words = []) => redis.fCallRo(name, { keys, arguments: words }),
  functionLoad: (code, { replace } = {}) => redis.functionLoad(code, { REPLACE: replace }),
  functionDelete: (library) => redis.functionDelete(library),
  functionNames: async (library) => {
    const listed = (await redis.functionList()).find((one) => [one.library_name, one.libraryName].includes(library));
    return listed ? listed.functions.map(({ name }) => name) : [];
  },
  functionDump: () => functionDump(redis),
  functionRestore: (dump, mode) => redis.functionRestore(dump, speaksResp3 ? { mode } : mode),
});

/** As bytes, which version 4 is told with the call, and later ones with the client. */
function functionDump(redis) {
  if (commandOptions) return redis.functionDump(commandOptions({ returnBuffers: true }));
  return redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).functionDump();
}

await runAll({ start }, {
  ...mutex, ...idempotency, ...queue, ...resubscription, ...channels, ...patterns, ...shards, ...bytes,
  ...connection, ...trouble, ...cache, ...keeping, ...keptWatch,
  ...delivery, ...streamInfo, ...retries, ...trimming,
  ...(speaksResp3 ? { ...commandsWhileListening, ...localCache } : {}),
  ...(startsWithResp3 ? {} : refusedWhileListening),
  ...transactions, ...announcements, ...watchErrors, ...scripts, ...functions, ...functionDumps, ...definedScripts,
  ...(speaksResp3 ? { ...watchesAcrossReconnects, ...typedReplies } : {}),
});
