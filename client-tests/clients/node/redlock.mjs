// redlock 4 and 5 on ioredis: locks on one server and on three, and several keys under one lock.

import Bluebird from 'bluebird';
import Redlock4 from 'redlock4';
import Redlock5 from 'redlock5';
import { runAll } from './harness.mjs';
import { IOREDIS, open, withAllAtOnce, withEvery } from './libraries.mjs';
import { extendedLocks, locks, locksOnThree } from './locks.mjs';
import { callbacks, resources, votes } from './resources.mjs';

/** So long before its end version 5 extends a lock. */
const THRESHOLD_MS = 300;

const SETTINGS = { retryCount: 0, retryDelay: 5, retryJitter: 0, automaticExtensionThreshold: THRESHOLD_MS };

const start = ({ library = IOREDIS[0], ...settings }) => open(library, settings);

const retriesOf = ({ attempts = 1, delayMs = 1 } = {}) => ({ retryCount: attempts - 1, retryDelay: delayMs });

function onRedlock4(clients) {
  const redlock = new Redlock4(clients, SETTINGS);
  const isRefusal = (error) => error instanceof Redlock4.LockError;
  return {
    redlock,
    isRefusal,
    acquire: (keys, ms, retries) => redlock.acquireWithOptions(keys, ms, retriesOf(retries)),
    extend: (lock, ms) => trueUnless(isRefusal, lock.extend(ms)),
    release: (lock) => trueUnless(isRefusal, lock.unlock()),
    using: (key, ms, work) => Bluebird.using(redlock.disposer(key, ms), () => work()),
  };
}

function onRedlock5(clients) {
  const redlock = new Redlock5(clients, SETTINGS);
  const isRefusal = (error) => error.name === 'ExecutionError';
  return {
    redlock,
    isRefusal,
    extendedMs: THRESHOLD_MS + 200,
    acquire: async (keys, ms, retries) => ({ lock: await redlock.acquire([keys].flat(), ms, retriesOf(retries)) }),
    // An extended lock is another object.
    extend: (held, ms) => trueUnless(isRefusal, held.lock.extend(ms).then((lock) => { held.lock = lock; })),
    release: ({ lock }) => trueUnless(isRefusal, lock.release()),
    using: (key, ms, work) => redlock.using([key], ms, work),
  };
}

async function trueUnless(isRefusal, promise) {
  try {
    await promise;
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

function toolsOf(lockPackage, library, { connect, ownServers, ...tools }) {
  const onEvery = (settings) => Promise.all(ownServers().map(({ port }) => connect({ library, port, ...settings })));
  return {
    ...tools,
    ownServers,
    connect: () => connect({ library }),
    onEach: () => onEvery({ impatient: true }),
    onOne: async () => lockPackage([(await connect({ library })).redis]),
    onThree: async () => lockPackage((await onEvery({ impatient: true })).map(({ redis }) => redis)),
  };
}

const kindsOf = (version, lockPackage) => Object.fromEntries(IOREDIS.map((library) => (
  [`redlock ${version} on ${library}`, (tools) => toolsOf(lockPackage, library, tools)]
)));

const [version4, version5] = [kindsOf('4', onRedlock4), kindsOf('5', onRedlock5)];

await runAll({ start }, {
  ...withEvery({ ...version4, ...version5 }, { ...locks, ...resources, ...locksOnThree }),
  ...withEvery(version4, callbacks),
  ...withEvery(version5, votes),
  ...withAllAtOnce(`redlock 5 on ${IOREDIS.join(', ')}`, version5, extendedLocks),
});
