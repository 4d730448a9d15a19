// How a service is connected: an address in one URL, events, an end to its attempts, and what it asks in trouble.

import assert from 'node:assert/strict';
import { deadPort, eventually, sleep, target } from './harness.mjs';

const MOST_ATTEMPTS = 10;

function urlOf({ host, port, username, password, db }) {
  const user = password === undefined ? '' : `${username ?? ''}:${encodeURIComponent(password)}@`;
  return `redis://${user}${host}:${port}/${db}`;
}

export const connection = {
  async 'connection: everything in a URL'({ connect, key }) {
    const [client, other] = [await connect({ url: urlOf(target) }), await connect()];
    const session = key('session:token');
    await client.setFor(session, 'here', 60);
    assert.equal(await other.get(session), 'here');
  },

  async 'connection: its events, through an outage to its end'({ connect, ownServer }) {
    const server = ownServer();
    const client = await connect();
    await eventually('it is ready', () => client.events.includes('ready'));
    assert.deepEqual(client.events, ['connect', 'ready']);
    server.kill();
    await eventually('it reconnects', () => client.events.includes('reconnecting'));
    server.start();
    await eventually('it is ready again', () => client.events.at(-1) === 'ready');
    await client.quit();
    await eventually('it has ended', () => client.events.at(-1) === 'end');
    assert.deepEqual(client.events.slice(-3), ['connect', 'ready', 'end']);
  },

  async 'connection: after ten attempts it is given up'({ start }) {
    const client = start({ port: deadPort, attempts: MOST_ATTEMPTS, patient: true });
    const attempts = () => client.events.filter((event) => event === 'reconnecting').length;
    await eventually('all attempts are made', () => attempts() === MOST_ATTEMPTS);
    await sleep(60);
    assert.equal(attempts(), MOST_ATTEMPTS);
    assert.ok(client.errors.some((error) => /ECONNREFUSED/.test(`${error.code} ${error.message}`)), `${client.errors}`);
    await assert.rejects(client.get('any'), /closed/i);
  },
};

export const trouble = {
  async 'connection: memory and the slow log, for who looks for trouble'({ connect, key, ownServer }) {
    ownServer();
    const client = await connect();
    const session = key('session:slow');
    const limit = 'slowlog-log-slower-than';
    await client.command('CONFIG', 'SET', limit, '0');
    await client.setFor(session, 'v', 60);
    await client.command('CONFIG', 'SET', limit, '10000');
    const logged = JSON.stringify(await client.command('SLOWLOG', 'GET', '10'));
    assert.ok(logged.includes(session), logged);
    assert.match(await client.command('INFO', 'memory'), /^used_memory:[1-9]\d*\r?$/m);
    assert.equal(await client.ping(), 'PONG');
  },
};
