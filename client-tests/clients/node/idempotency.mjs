// A service that handles every message once: SET key NX EX before the work, SET key EX after it, and on without the server.

import assert from 'node:assert/strict';
import { deadPort, eventually, otherDb, Skip, target } from './harness.mjs';

const TTL_SECONDS = 86_400;

class IdempotencyService {
  errors = [];

  constructor(client) {
    this.client = client;
  }

  /** True for a duplicate. Without a server every message is new: handling one twice is better than not at all. */
  async checkAndMarkProcessing(id) {
    try {
      const marked = await this.client.lock(id, JSON.stringify({ status: 'processing' }), TTL_SECONDS);
      return marked === null;
    } catch (error) {
      this.errors.push(error);
      return false;
    }
  }

  async markCompleted(id) {
    const value = JSON.stringify({ status: 'completed', processed_at: new Date().toISOString() });
    return this.client.setFor(id, value, TTL_SECONDS);
  }

  async isRedisHealthy() {
    try {
      return (await this.client.ping()) === 'PONG';
    } catch {
      return false;
    }
  }
}

/** The server's words may reach the application in any way: a failed connect, an error event, a rejected command. */
async function assertRefused(client, words) {
  const told = [];
  await client.connected().catch((error) => told.push(error.message));
  await assert.rejects(client.get('any'), (error) => told.push(error.message) > 0);
  told.push(...client.errors.map((error) => error.message));
  if (client.tellsRefusal) assert.match(told.join(' | '), words);
}

/** The server goes and comes back; the service goes on meanwhile, and deduplicates again afterwards, in its database. */
async function outage({ connect, key, ownServer }, end) {
  const server = ownServer();
  const client = await connect({ name: 'outbound' });
  const service = new IdempotencyService(client);
  const [before, during, after] = ['before', 'during', 'after'].map((when) => key(`idempotency:outbound:${when}`));
  assert.equal(await service.checkAndMarkProcessing(before), false);
  assert.equal(await service.checkAndMarkProcessing(before), true);

  end(server);
  assert.equal(await service.checkAndMarkProcessing(during), false);
  assert.equal(await service.checkAndMarkProcessing(during), false);
  assert.equal(await service.isRedisHealthy(), false);
  assert.ok(service.errors.length > 0);

  server.start();
  await eventually('healthy again', () => service.isRedisHealthy());
  assert.equal(await service.checkAndMarkProcessing(after), false);
  assert.equal(await service.checkAndMarkProcessing(after), true);
  const [same, other] = [await connect(), await connect({ db: otherDb })];
  assert.notEqual(await same.get(after), null, 'the reconnected client is in another database');
  assert.equal(await other.get(after), null);
  if (client.keepsName) assert.equal(await client.command('CLIENT', 'GETNAME'), 'outbound');
}

export const idempotency = {
  async 'idempotency: new once, then a duplicate'({ connect, key }) {
    const client = await connect();
    const service = new IdempotencyService(client);
    const [one, two] = [key('idempotency:outbound:one'), key('idempotency:outbound:two')];
    assert.equal(await service.checkAndMarkProcessing(one), false);
    assert.equal(await service.checkAndMarkProcessing(one), true);
    assert.equal(await service.checkAndMarkProcessing(two), false);
    assert.equal(await client.get(one), '{"status":"processing"}');
    assert.equal(await client.ttl(one), TTL_SECONDS);
    assert.deepEqual(service.errors, []);
  },

  async 'idempotency: of ten instances one handles the message'({ connect, key }) {
    const id = key('idempotency:outbound:race');
    const services = await Promise.all(Array.from({ length: 10 }, async () => new IdempotencyService(await connect())));
    const duplicates = await Promise.all(services.map((service) => service.checkAndMarkProcessing(id)));
    assert.equal(duplicates.filter((duplicate) => !duplicate).length, 1);
    assert.deepEqual(services.flatMap((service) => service.errors), []);
  },

  async 'idempotency: completion rewrites the value and the 24 hours'({ connect, key }) {
    const client = await connect();
    const service = new IdempotencyService(client);
    const id = key('idempotency:outbound:completed');
    await service.checkAndMarkProcessing(id);
    assert.equal(await client.expire(id, 100), 1);
    assert.equal(await client.ttl(id), 100);
    assert.equal(await service.markCompleted(id), 'OK');
    assert.equal(await client.ttl(id), TTL_SECONDS);
    const value = JSON.parse(await client.get(id));
    assert.equal(value.status, 'completed');
    assert.ok(Date.parse(value.processed_at) <= Date.now());
    assert.equal(await service.checkAndMarkProcessing(id), true);
  },

  async 'idempotency: healthy'({ connect }) {
    assert.equal(await new IdempotencyService(await connect()).isRedisHealthy(), true);
  },

  async 'idempotency: the user default with the password'({ connect, key }) {
    if (!target.password) throw new Skip('only on a server with a password');
    const client = await connect({ username: target.username ?? 'default' });
    assert.equal(await new IdempotencyService(client).checkAndMarkProcessing(key('idempotency:outbound:user')), false);
  },

  async 'idempotency: a wrong password is refused'({ start }) {
    if (!target.password) throw new Skip('only on a server with a password');
    await assertRefused(start({ password: 'wrong' }), /WRONGPASS invalid username-password pair or user is disabled/);
  },

  async 'idempotency: a missing password is refused'({ start }) {
    if (!target.password) throw new Skip('only on a server with a password');
    await assertRefused(start({ password: undefined, username: undefined }), /NOAUTH/);
  },

  async 'idempotency: databases are apart'({ connect, key }) {
    const [here, there] = [await connect(), await connect({ db: otherDb })];
    const id = key('idempotency:outbound:database');
    const [serviceHere, serviceThere] = [new IdempotencyService(here), new IdempotencyService(there)];
    assert.equal(await serviceHere.checkAndMarkProcessing(id), false);
    assert.equal(await there.get(id), null);
    assert.equal(await serviceThere.checkAndMarkProcessing(id), false);
    assert.equal(await there.del(id), 1);
    assert.equal(await serviceHere.checkAndMarkProcessing(id), true);
  },

  async 'idempotency: a dead server lets messages through'({ start, key }) {
    const service = new IdempotencyService(start({ port: deadPort }));
    const id = key('idempotency:outbound:dead');
    assert.equal(await service.checkAndMarkProcessing(id), false);
    assert.equal(await service.checkAndMarkProcessing(id), false);
    assert.equal(await service.isRedisHealthy(), false);
    assert.equal(service.errors.length, 2);
  },

  'idempotency: the server crashes and comes back': (tools) => outage(tools, (server) => server.kill()),

  'idempotency: the server is stopped and comes back': (tools) => outage(tools, (server) => server.stop()),

  async 'idempotency: the service boots before the server'({ start, key, ownServer }) {
    const server = ownServer();
    server.stop();
    const service = new IdempotencyService(start());
    assert.equal(await service.isRedisHealthy(), false);
    server.start();
    await eventually('healthy', () => service.isRedisHealthy());
    const id = key('idempotency:outbound:boot');
    assert.equal(await service.checkAndMarkProcessing(id), false);
    assert.equal(await service.checkAndMarkProcessing(id), true);
  },

  async 'idempotency: a graceful end leaves no connection'({ connect, key }) {
    const name = `ending-${Math.random().toString(36).slice(2)}`;
    const [leaving, watching] = [await connect({ name }), await connect()];
    const connected = async () => (await watching.command('CLIENT', 'LIST')).includes(`name=${name} `);
    await eventually('the name is listed', connected);
    const id = key('idempotency:outbound:last');
    const last = new IdempotencyService(leaving).checkAndMarkProcessing(id);
    const ended = leaving.quit();
    assert.equal(await last, false);
    assert.ok(['OK', undefined].includes(await ended));
    await eventually('the connection is gone', async () => !(await connected()));
    assert.notEqual(await watching.get(id), null, 'what was sent before the end was lost');
  },
};
