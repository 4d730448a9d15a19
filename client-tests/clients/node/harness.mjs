// Runs scenarios one after the other and prints a line for each: `pass|fail|skip <tab> scenario <tab> reason`, then `done`.
//
// An adapter turns one client library into the few calls that the scenarios make; see ioredis.mjs for its shape.

import { execFileSync } from 'node:child_process';

const SECONDS_PER_SCENARIO = 20;

const env = process.env;

/** How the server under test is reached; `password` and `username` are undefined where it has none. */
export const target = {
  host: env.TARGET_HOST,
  port: Number(env.TARGET_PORT),
  username: env.TARGET_USER || undefined,
  password: env.TARGET_PASSWORD || undefined,
  db: Number(env.TARGET_DB),
};

export const otherDb = Number(env.TARGET_OTHER_DB);
export const deadPort = Number(env.TARGET_DEAD_PORT);

const ports = [env.TARGET_PORT, ...env.TARGET_OTHER_PORTS.split(' ')].filter(Boolean).map(Number);

/** The server under test, and the others of its kind that a client of several servers has; none when they are somebody else's. */
const servers = env.TARGET_CONTROL ? ports.map((port) => serverOn(port)) : [];

/** Takes the server away and brings it back on the same port; a start of what runs does nothing. */
function serverOn(port, parameters) {
  return {
    port,
    start: () => control('start', [port], parameters),
    stop: () => control('stop', [port]),
    kill: () => control('kill', [port]),
  };
}

function control(verb, ports, parameters = '') {
  execFileSync(env.TARGET_CONTROL, [verb, ...ports], { env: { ...env, SERVER_PARAMETERS: parameters } });
}

/** A server besides the others, which starts empty and keeps its data as its parameters say. */
function startKeeping(parameters) {
  ownServers();
  const server = serverOn(Number(env.TARGET_KEEPING_PORT), parameters);
  server.start();
  return server;
}

/** Leaves all servers as scenarios expect them: one of each runs, and nobody keeps anything. */
function tidyServers() {
  if (servers.length === 0) return;
  control('clear', [env.TARGET_KEEPING_PORT]);
  control('start', ports);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `attempt` returns something true; its errors count as "not yet". */
export async function eventually(what, attempt) {
  const deadline = Date.now() + 10_000;
  let lastError;
  while (Date.now() < deadline) {
    try {
      if (await attempt()) return;
    } catch (error) {
      lastError = error;
    }
    await sleep(25);
  }
  throw new Error(`not within 10 s: ${what}${lastError ? ` (${lastError.message})` : ''}`);
}

/** A reason to skip that only shows once the scenario runs. */
export class Skip extends Error {}

/** Skips what servers before this version of Redis do in another way; redlet and Valkey tell the version that they follow. */
export async function onlySince(version, client, what) {
  const [, told] = /redis_version:(\d+\.\d+)/.exec(await client.command('INFO', 'server'));
  if (told.localeCompare(version, 'en', { numeric: true }) < 0) throw new Skip(`before Redis ${version} ${what}`);
}

export async function runAll(adapter, scenarios) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    const outcome = await runOne(adapter, scenario);
    console.log([outcome[0], name, ...outcome.slice(1)].join('\t').replaceAll('\n', ' '));
  }
  console.log('done');
  process.exit(0);
}

async function runOne(adapter, scenario) {
  const opened = [];
  const keys = [];
  try {
    await within(SECONDS_PER_SCENARIO, scenario(toolsOf(adapter, opened, keys)));
    await removeKeys(adapter, opened, keys);
    return ['pass'];
  } catch (error) {
    return error instanceof Skip ? ['skip', error.message] : ['fail', String(error.stack ?? error).slice(0, 600)];
  } finally {
    for (const client of opened) drop(client);
    tidyServers();
  }
}

/** Some libraries throw when what is dropped is already closed. */
function drop(client) {
  try {
    client.drop();
  } catch {}
}

function toolsOf(adapter, opened, keys) {
  const start = (settings = {}) => {
    const client = adapter.start({ ...target, ...settings });
    opened.push(client);
    return client;
  };
  return {
    /** A client that begins to connect, as a service does while it boots. */
    start,
    /** A client that is connected. */
    connect: async (settings) => {
      const client = start(settings);
      await client.connected();
      return client;
    },
    /** A key that no other scenario and no earlier run uses; it is removed at the end. */
    key: (text) => {
      keys.push(`${text}:${Date.now()}${Math.random().toString().slice(2, 8)}`);
      return keys.at(-1);
    },
    ownServer: () => ownServers()[0],
    ownServers,
    keepingServer: startKeeping,
  };
}

function ownServers() {
  if (servers.length === 0) throw new Skip('only on a server that the tests may end');
  return servers;
}

async function removeKeys(adapter, opened, keys) {
  if (keys.length === 0) return;
  for (const db of [target.db, otherDb]) {
    const client = adapter.start({ ...target, db });
    opened.push(client);
    await client.connected();
    for (const key of keys) await client.del(key);
  }
}

async function within(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A client whose promises nobody awaits any more must not end the whole program.
process.on('unhandledRejection', () => {});
