// The caches of a chat backend: values with a time to live, counters that are forgotten, sets of who is online,
// and copies in the client that the server takes back.

import assert from 'node:assert/strict';
import { eventually } from './harness.mjs';

const SESSION_SECONDS = 3600;

/** Reads through the cache: what is not there is made, and kept for its time. */
async function getOrSet(client, key, seconds, make) {
  const cached = await client.get(key);
  if (cached !== null) return JSON.parse(cached);
  const made = await make();
  await client.setFor(key, JSON.stringify(made), seconds);
  return made;
}

/** The time to live begins with the first attempt. */
async function attemptsOf(client, key, seconds) {
  const attempts = await client.incr(key);
  if (attempts === 1) await client.expire(key, seconds);
  return attempts;
}

export const cache = {
  async 'cache: what was read once is not made again'({ connect, key }) {
    const [first, second] = [await connect(), await connect()];
    const session = key('session:token');
    let made = 0;
    const make = () => ({ user: 'Zoë', number: ++made });
    assert.deepEqual(await getOrSet(first, session, SESSION_SECONDS, make), { user: 'Zoë', number: 1 });
    assert.deepEqual(await getOrSet(second, session, SESSION_SECONDS, make), { user: 'Zoë', number: 1 });
    assert.equal(await second.ttl(session), SESSION_SECONDS);
    assert.equal(await first.del(session), 1);
    assert.deepEqual(await getOrSet(second, session, SESSION_SECONDS, make), { user: 'Zoë', number: 2 });
  },

  async 'cache: many at once, in the order asked for'({ connect, key }) {
    const client = await connect();
    const [one, missing, three] = ['one', 'missing', 'three'].map((name) => key(`chat:list:${name}`));
    await Promise.all([client.setFor(one, '1', 600), client.setFor(three, '', 600)]);
    assert.deepEqual(await client.mget(three, missing, one, one), ['', null, '1', '1']);
    assert.equal(await client.del(one, missing, three), 2);
    assert.deepEqual(await client.mget(one, three), [null, null]);
  },

  async 'cache: all sessions of a user are found and deleted'({ connect, key }) {
    const client = await connect();
    const prefix = key('session:user[1]');
    const keys = Array.from({ length: 300 }, (_, number) => key(`${prefix}:${number}`)).sort();
    const kept = key('session:user');
    await Promise.all([...keys, kept].map((name) => client.setFor(name, 'v', 600)));
    const pattern = `${prefix.replace(/[[\]]/g, '\\$&')}:*`;
    assert.deepEqual((await client.keys(pattern)).sort(), keys);
    const scanned = await client.scan(pattern);
    assert.deepEqual([...new Set(scanned)].sort(), keys);
    assert.equal(await client.del(...scanned), keys.length);
    assert.deepEqual(await client.keys(pattern), []);
    assert.equal(await client.get(kept), 'v');
  },

  async 'cache: attempts are counted and forgotten'({ connect, key }) {
    const client = await connect();
    const limit = key('ratelimit:login');
    for (const expected of [1, 2, 3]) assert.equal(await attemptsOf(client, limit, 1), expected);
    assert.ok((await client.pttl(limit)) <= 1000);
    await eventually('they are forgotten', async () => (await client.get(limit)) === null);
    assert.equal(await attemptsOf(client, limit, 900), 1);
    assert.equal(await client.ttl(limit), 900);
  },

  async 'cache: kept for good, or for moments'({ connect, key }) {
    const client = await connect();
    const [status, typing] = [key('user:status'), key('typing:chat:user')];
    await client.setFor(status, 'online', 300);
    assert.equal(await client.setForGood(status, 'away'), 'OK');
    assert.equal(await client.ttl(status), -1);
    await client.setFor(typing, 'true', 5);
    assert.equal(await client.ttl(typing), 5);
    await client.setFor(typing, 'true', 1);
    await eventually('nobody types', async () => (await client.get(typing)) === null);
    assert.equal(await client.get(status), 'away');
  },

  async 'cache: who is online is a set'({ connect, key }) {
    const [first, second] = [await connect(), await connect()];
    const online = key('user:online');
    assert.deepEqual(await first.smembers(online), []);
    assert.equal(await first.sadd(online, 'ann', 'bob', 'ann'), 2);
    assert.equal(await second.sadd(online, 'bob', 'cem'), 1);
    assert.equal(await second.scard(online), 3);
    assert.equal(await first.sismember(online, 'cem'), true);
    assert.equal(await first.srem(online, 'cem', 'nobody'), 1);
    assert.equal(await second.sismember(online, 'cem'), false);
    assert.deepEqual((await second.smembers(online)).sort(), ['ann', 'bob']);
    assert.equal(await first.srem(online, 'ann', 'bob'), 2);
    assert.equal(await second.ttl(online), -2);
    await first.setFor(online, 'no set', 60);
    await assert.rejects(first.sadd(online, 'ann'), /WRONGTYPE/);
  },
};

export const localCache = {
  async 'cache: a copy in the client goes when somebody else writes'({ connect, key }) {
    const [reader, writer] = [await connect({ keepsCopies: true }), await connect()];
    const status = key('user:status');
    await writer.setFor(status, 'online', 300);
    for (let reads = 0; reads < 3; reads++) assert.equal(await reader.get(status), 'online');
    assert.equal(reader.answeredByCopies(), 2);
    await writer.setFor(status, 'away', 300);
    await eventually('the new value is read', async () => (await reader.get(status)) === 'away');
    await writer.del(status);
    await eventually('its end is seen', async () => (await reader.get(status)) === null);
  },

  async 'cache: copies do not outlive the connection'({ connect, key, ownServer }) {
    const server = ownServer();
    const reader = await connect({ keepsCopies: true, patient: true });
    const status = key('user:status');
    await reader.setFor(status, 'online', 300);
    for (let reads = 0; reads < 2; reads++) assert.equal(await reader.get(status), 'online');
    server.kill();
    server.start();
    await eventually('the value is gone with the server', async () => (await reader.get(status)) === null);
  },
};
