// The Node libraries side by side, for programs in which another package brings its scenarios to each of them.

/** Aliases of package.json. */
export const IOREDIS = ['ioredis5', 'ioredis6'];
const NODE_REDIS = ['node-redis4', 'node-redis5', 'node-redis6'];
export const LIBRARIES = [...IOREDIS, ...NODE_REDIS];

const imported = async (names) => Object.fromEntries(await Promise.all(names.map(async (name) => [name, await import(name)])));

const ioredis = await imported(IOREDIS);
const nodeRedis = await imported(NODE_REDIS);

/** A client that never connects, for others to be made after: node-redis takes long to make one from nothing. */
const models = Object.fromEntries(NODE_REDIS.map((name) => [name, nodeRedis[name].createClient()]));

/**
 * A connection of a library: `redis` is its own client, the rest the few calls that a program makes itself.
 * An impatient one fails while its server is away, and does not keep what it was asked.
 */
export function open(library, settings) {
  return IOREDIS.includes(library) ? openIoredis(ioredis[library], settings) : openNodeRedis(models[library], settings);
}

function openIoredis({ Redis }, { host, port, username, password, db, name, impatient }) {
  const redis = new Redis({
    host, port, username, password, db,
    connectionName: name,
    retryStrategy: () => 50,
    ...(impatient ? { maxRetriesPerRequest: 0, enableOfflineQueue: false } : {}),
  });
  redis.on('error', () => {});
  const drop = () => redis.disconnect();
  return { ...calls(redis), connected: () => untilReady(redis), command: (...words) => redis.call(...words), drop };
}

function openNodeRedis(model, { host, port, username, password, db, name, impatient }) {
  const redis = model.duplicate({
    socket: { host, port, reconnectStrategy: () => 50 },
    username, password, name,
    database: db,
    disableOfflineQueue: impatient,
  });
  redis.on('error', () => {});
  const connecting = redis.connect();
  connecting.catch(() => {});
  const drop = () => (redis.destroy ?? redis.disconnect).call(redis);
  return { ...calls(redis), connected: () => connecting, command: (...words) => redis.sendCommand(words), drop };
}

const calls = (redis) => ({ redis, del: (key) => redis.del(key) });

async function untilReady(redis) {
  if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve));
}

/** Every scenario with every kind of client; `kinds` are their names, and what makes a kind's tools out of the harness's. */
export function withEvery(kinds, scenarios) {
  const whole = Object.entries(kinds).flatMap(([kind, toolsOf]) => Object.entries(scenarios).map(([name, scenario]) => (
    [`${kind}: ${name}`, (tools) => scenario(toolsOf(tools))]
  )));
  return Object.fromEntries(whole);
}

/** The same for scenarios that mostly wait: all kinds at once, under the name given. */
export function withAllAtOnce(together, kinds, scenarios) {
  const atOnce = (scenario) => (tools) => Promise.all(Object.entries(kinds).map(([kind, toolsOf]) => (
    scenario(toolsOf(tools)).catch((error) => { throw new Error(`${kind}: ${error.message}`, { cause: error }); })
  )));
  return Object.fromEntries(Object.entries(scenarios).map(([name, scenario]) => [`${together}: ${name}`, atOnce(scenario)]));
}
