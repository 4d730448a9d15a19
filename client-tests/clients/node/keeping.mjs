// Servers that keep their data: what a service finds again after its server was stopped, updated, or crashed. And servers whose
// memory is limited. Clients connect once, and find back by themselves.

import assert from 'node:assert/strict';
import { addMessages, GROUP, idsOf, messageOf, openGroup } from './delivery.mjs';
import { eventually, sleep } from './harness.mjs';
import { work } from './jobs.mjs';

const JOURNAL = '--appendonly yes --appendfsync everysec --save 60 1000';
const SNAPSHOTS = '--save 3600 1000000';
const LEAST_RECENTLY_USED = `${JOURNAL} --maxmemory 16mb --maxmemory-policy allkeys-lru`;

/** A crash may cost what is younger, and the file's sync takes its time as well. */
const SYNCED_MS = 1_500;
/** By how much idle times may be wrong. */
const LRU_CLOCK_MS = 1_000;

const HOUR_SECONDS = 3600;
const SESSION = 'x'.repeat(4_000);

const numbered = (count, word) => Array.from({ length: count }, (_, number) => `${word} ${number}`);

/** A restart, with clients that were connected before it. */
async function restart(server, end, ...clients) {
  server[end]();
  server.start();
  await isBack(...clients);
}

const isBack = (...clients) => Promise.all(clients.map((client) => eventually('it is back', () => client.ping())));

/** A line of INFO. */
async function told(client, section, name) {
  const info = await client.command('INFO', section);
  return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
}

const untilTold = (client, name, value) => (
  eventually(`${name} is ${value}`, async () => (await told(client, 'persistence', name)) === value)
);

const setAll = (client, keys) => Promise.all(keys.map((key) => client.setFor(key, SESSION, HOUR_SECONDS)));

const countOf = async (client, keys) => (await client.mget(...keys)).filter((value) => value !== null).length;

export const keeping = {
  async 'queue kept: jobs and what became of them, when the server is stopped'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const at = { port: server.port, patient: true };
    const [producer, worker] = [await connect(at), await connect(at)];
    await producer.lpush('jobs:waiting', ...numbered(10, 'job'));
    assert.equal(await worker.rpop('jobs:waiting'), 'job 0');
    assert.equal(await worker.lmove('jobs:waiting', 'jobs:in_work', 'RIGHT', 'LEFT'), 'job 1');
    await worker.setFor('job:0', JSON.stringify({ status: 'COMPLETED' }), HOUR_SECONDS);
    await restart(server, 'stop', producer, worker);
    assert.deepEqual(await producer.lrange('jobs:waiting', 0, -1), numbered(10, 'job').slice(2).reverse());
    assert.deepEqual(await producer.lrange('jobs:in_work', 0, -1), ['job 1']);
    assert.deepEqual(JSON.parse(await producer.get('job:0')), { status: 'COMPLETED' });
    assert.equal(await producer.lpush('jobs:waiting', 'job 10'), 9);
    assert.equal(await worker.rpop('jobs:waiting'), 'job 2');
  },

  async 'queue kept: a worker that waits gets the jobs that a crash has left'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const at = { port: server.port, patient: true };
    const [producer, worker] = [await connect(at), await connect(at)];
    await producer.lpush('jobs:later', ...numbered(20, 'job'));
    await sleep(SYNCED_MS);
    const done = [];
    const working = work(worker, 'jobs:now', (job) => done.push(job));
    await restart(server, 'kill', producer);
    for (const _ of numbered(20, 'job')) await producer.rpoplpush('jobs:later', 'jobs:now');
    await producer.lpush('jobs:now', 'stop');
    await working;
    assert.deepEqual(done, numbered(20, 'job'));
  },

  async 'queue kept: a crash costs the last second at most'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const [producer, reader] = [await connect({ port: server.port }), await connect({ port: server.port, patient: true })];
    const pushedAt = [];
    const pushing = pushUntilRefused(producer, 'jobs', pushedAt);
    await sleep(SYNCED_MS + 500);
    const crashedAt = Date.now();
    server.kill();
    await pushing;
    server.start();
    await isBack(reader);
    const kept = await reader.lrange('jobs', 0, -1);
    assert.deepEqual(kept, numbered(kept.length, 'job'));
    const synced = pushedAt.filter((time) => time < crashedAt - SYNCED_MS).length;
    assert.ok(synced > 0 && kept.length >= synced, `${kept.length} of ${pushedAt.length} are kept, ${synced} had to be`);
  },

  async 'chat kept: sessions, counters, who is online and locks, for their time'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const client = await connect({ port: server.port, patient: true });
    await client.setFor('session:ann', '{"user":"Zoë"}', HOUR_SECONDS);
    await client.lockMs('typing:ann', '1', 100);
    assert.equal(await client.lock('lock:import', 'holder 1', 30), 'OK');
    await client.setForGood('user:status', 'away');
    for (let count = 0; count < 3; count++) await client.incr('chat:unread');
    await client.expire('chat:unread', 900);
    await client.sadd('user:online', 'ann', 'bob', 'cem');
    await client.srem('user:online', 'bob');
    server.stop();
    await sleep(1_100);
    server.start();
    await isBack(client);
    assert.deepEqual(await client.mget('session:ann', 'typing:ann', 'user:status'), ['{"user":"Zoë"}', null, 'away']);
    const seconds = await client.ttl('session:ann');
    assert.ok(seconds >= HOUR_SECONDS - 15 && seconds < HOUR_SECONDS, `${seconds} s are left`);
    assert.equal(await client.ttl('user:status'), -1);
    assert.equal(await client.lock('lock:import', 'holder 2', 30), null);
    assert.equal(await client.get('lock:import'), 'holder 1');
    assert.equal(await client.incr('chat:unread'), 4);
    assert.ok((await client.ttl('chat:unread')) > 0);
    assert.deepEqual((await client.smembers('user:online')).sort(), ['ann', 'cem']);
  },

  async 'chat kept: messages, and who still has which to handle'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const client = await connect({ port: server.port, patient: true });
    const stream = 'message-delivery-stream';
    await openGroup(client, stream);
    const ids = await addMessages(client, stream, 6);
    assert.deepEqual(idsOf(await client.xreadgroup(GROUP, 'ann', stream, '>', { count: 3 })), ids.slice(0, 3));
    assert.deepEqual(idsOf(await client.xreadgroup(GROUP, 'bob', stream, '>', { count: 1 })), [ids[3]]);
    assert.equal(await client.xack(stream, GROUP, ids[1]), 1);
    assert.equal(await client.xdel(stream, ids[5]), 1);
    for (const end of ['stop', 'kill']) {
      await sleep(end === 'kill' ? SYNCED_MS : 0);
      await restart(server, end, client);
      assert.deepEqual(await client.xpending(stream, GROUP), {
        count: 3, first: ids[0], last: ids[3], consumers: { ann: 2, bob: 1 },
      });
    }
    const again = await client.xreadgroup(GROUP, 'ann', stream, '0');
    assert.deepEqual(again, [0, 2].map((number) => ({ id: ids[number], message: messageOf(number) })));
    assert.deepEqual(idsOf(await client.xreadgroup(GROUP, 'ann', stream, '>')), [ids[4]]);
    await assert.rejects(client.xadd(stream, messageOf(6), { id: ids[5] }), /equal or smaller than the target stream top item/);
  },

  async 'chat kept: messages that came while the journal was rewritten'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const client = await connect({ port: server.port, patient: true });
    await setAll(client, numbered(500, 'session'));
    const adding = addMessages(client, 'messages', 300);
    await client.command('BGREWRITEAOF');
    const ids = await adding;
    await untilTold(client, 'aof_rewrite_in_progress', '0');
    assert.equal(await told(client, 'persistence', 'aof_last_bgrewrite_status'), 'ok');
    await restart(server, 'stop', client);
    assert.deepEqual(idsOf(await client.xrange('messages', '-', '+')), ids);
    assert.equal(await countOf(client, numbered(500, 'session')), 500);
  },

  async 'chat kept: a snapshot without a journal'({ connect, keepingServer }) {
    const server = keepingServer(SNAPSHOTS);
    const client = await connect({ port: server.port, patient: true });
    await client.setForGood('before', '1');
    const [id] = await addMessages(client, 'messages', 1);
    assert.match(await client.command('BGSAVE'), /^Background saving started/);
    await untilTold(client, 'rdb_bgsave_in_progress', '0');
    await client.setForGood('after', '1');
    assert.equal(await told(client, 'persistence', 'rdb_changes_since_last_save'), '1');
    await restart(server, 'kill', client);
    assert.deepEqual(await client.mget('before', 'after'), ['1', null]);
    assert.deepEqual(idsOf(await client.xrange('messages', '-', '+')), [id]);
    await client.setForGood('after', '2');
    await restart(server, 'stop', client);
    assert.deepEqual(await client.mget('before', 'after'), ['1', '2']);
  },

  async 'full memory: what was not used for longest makes room'({ connect, keepingServer }) {
    const server = keepingServer(LEAST_RECENTLY_USED);
    const client = await connect({ port: server.port, patient: true });
    const [old, used] = [numbered(1400, 'session:old'), numbered(100, 'session:used')];
    await setAll(client, [...old, ...used]);
    await sleep(2 * LRU_CLOCK_MS + 100);
    assert.equal(await countOf(client, used), 100);
    const evicted = async () => Number(await told(client, 'stats', 'evicted_keys'));
    for (let batch = 0; batch < 50 && (await evicted()) < 300; batch++) {
      await setAll(client, numbered(100, `session:new:${batch}`));
    }
    assert.ok((await evicted()) >= 300, `${await evicted()} have made room`);
    const [memory, limit] = [await told(client, 'memory', 'used_memory'), await told(client, 'memory', 'maxmemory')];
    assert.ok(Number(memory) <= Number(limit) * 1.02, `${memory} bytes are used, of ${limit}`);
    const keptUsed = await countOf(client, used);
    assert.ok(keptUsed >= 95, `${keptUsed} of 100 that were used are kept`);
    const keptOld = await countOf(client, old);
    await restart(server, 'stop', client);
    const oldAgain = await countOf(client, old);
    assert.ok(oldAgain <= keptOld, `${oldAgain} are there after a restart, of ${keptOld}`);
    assert.ok((await countOf(client, used)) >= 90);
  },

  async 'full memory: without eviction writes are refused, and reads go on'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const client = await connect({ port: server.port });
    await client.setForGood('first', 'here');
    const room = Number(await told(client, 'memory', 'used_memory')) + 1_000_000;
    await client.command('CONFIG', 'SET', 'maxmemory', String(room));
    await assert.rejects(setAll(client, numbered(1000, 'session')), /OOM command not allowed when used memory > 'maxmemory'/);
    assert.equal(await client.get('first'), 'here');
    const kept = await client.keys('session*');
    assert.equal(await client.del(...kept), kept.length);
    assert.equal(await client.lpush('jobs', 'job'), 1);
  },
};

/** Pushes jobs one after the other, and notes when each was in the queue. */
async function pushUntilRefused(producer, queue, pushedAt) {
  for (;;) {
    try {
      await producer.command('RPUSH', queue, `job ${pushedAt.length}`);
    } catch {
      return;
    }
    pushedAt.push(Date.now());
  }
}

export const keptWatch = {
  async 'queue kept: who watches hears of jobs again after a restart'({ connect, keepingServer }) {
    const server = keepingServer(JOURNAL);
    const at = { port: server.port, patient: true };
    const [watcher, worker] = [await connect(at), await connect(at)];
    const seen = [];
    await watcher.subscribe(['job_updates'], (message) => seen.push(message));
    await worker.lpush('jobs', 'job 1');
    await restart(server, 'stop', worker);
    await eventually('somebody watches again', async () => (await worker.publish('job_updates', 'restarted')) === 1);
    assert.equal(await worker.rpop('jobs'), 'job 1');
    await worker.publish('job_updates', 'job 1 is COMPLETED');
    await eventually('the updates are seen', () => seen.length === 2);
    assert.deepEqual(seen, ['restarted', 'job 1 is COMPLETED']);
  },
};
