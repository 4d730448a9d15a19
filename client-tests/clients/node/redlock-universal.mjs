// redlock-universal 0.6 and 0.8, each on every library that it takes: locks on one server and on three, and a service with them.

import { runAll } from './harness.mjs';
import { IOREDIS, LIBRARIES, open, withAllAtOnce, withEvery } from './libraries.mjs';
import { batches, service } from './lock-service.mjs';
import { extendedLocks, locks, locksOnThree } from './locks.mjs';

const VERSIONS = ['redlock-universal-0.6', 'redlock-universal-0.8'];

/** At four fifths of this a lock is extended; shorter ones may be extended again and again, without a pause. */
const EXTENDED_MS = 2000;

const packages = Object.fromEntries(await Promise.all(VERSIONS.map(async (name) => [name, await import(name)])));

const start = ({ library = LIBRARIES[0], ...settings }) => open(library, settings);

function adapterOf(version, library, client, options) {
  const { IoredisAdapter, NodeRedisAdapter } = packages[version];
  const Adapter = IOREDIS.includes(library) ? IoredisAdapter : NodeRedisAdapter;
  return new Adapter(client.redis, { timeout: 1000, ...options });
}

/** What the scenarios of every lock package call; `makeLock` makes the package's lock, which knows its key and time to live. */
function lockPackage(makeLock) {
  const lockOf = (key, ttl, { attempts = 1, delayMs = 0 } = {}) => (
    makeLock({ key, ttl, retryAttempts: attempts - 1, retryDelay: delayMs })
  );
  return {
    extendedMs: EXTENDED_MS,
    isRefusal: (error) => error.code === 'LOCK_ACQUISITION_FAILED',
    acquire: async (key, ms, retries) => {
      const lock = lockOf(key, ms, retries);
      return { lock, handle: await lock.acquire() };
    },
    extend: ({ lock, handle }, ms) => lock.extend(handle, ms),
    release: ({ lock, handle }) => lock.release(handle),
    using: (key, ms, work) => lockOf(key, ms).using(work),
  };
}

function toolsOf(version, library, { connect, ownServers, ...tools }) {
  const { createLock, createRedlock } = packages[version];
  const adapter = async (settings, options) => adapterOf(version, library, await connect({ library, ...settings }), options);
  const onEveryServer = (open) => Promise.all(ownServers().map(({ port }) => open({ port, impatient: true })));
  return {
    ...tools,
    ownServers,
    connect: () => connect({ library }),
    onEach: () => onEveryServer((settings) => connect({ library, ...settings })),
    onOne: async () => {
      const one = await adapter();
      return lockPackage((config) => createLock({ adapter: one, ...config }));
    },
    onThree: async () => {
      const adapters = await onEveryServer(adapter);
      return lockPackage((config) => createRedlock({ adapters, ...config }));
    },
    adapter: (options) => adapter({}, options),
    redlock: packages[version],
  };
}

const kindsOf = (versions) => Object.fromEntries(versions.flatMap((version) => LIBRARIES.map((library) => (
  [`${version.replace(/-(?=\d)/, ' ')} on ${library}`, (tools) => toolsOf(version, library, tools)]
))));

await runAll({ start }, {
  ...withEvery(kindsOf(VERSIONS), { ...locks, ...service, ...locksOnThree }),
  ...withEvery(kindsOf(['redlock-universal-0.8']), batches),
  ...withAllAtOnce(`redlock-universal on ${LIBRARIES.join(', ')}`, kindsOf(VERSIONS), extendedLocks),
});
