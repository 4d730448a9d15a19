// Transactions: MULTI and EXEC as a library sends them, WATCH for who reads before it writes, and what stops a whole or a part.
//
// An adapter's `transaction(build)` hands over the library's own chain of commands, to which `queueWords` adds what it has no
// call for; it gives the replies, errors in their places, or null when a watched key has changed.

import assert from 'node:assert/strict';
import { eventually, otherDb, sleep } from './harness.mjs';
import { nameOf, untilWaiting } from './jobs.mjs';

/** Long enough for a message to arrive that should not. */
const QUIET_MS = 30;

/** Adds to a number that others add to as well: reads it, and writes it if nobody came between. */
async function addOne(client, counter) {
  for (;;) {
    await client.watch(counter);
    const read = Number(await client.get(counter));
    const replies = await client.transaction((chain) => chain.set(counter, String(read + 1)));
    if (replies) return;
  }
}

export const transactions = {
  async 'transaction: every reply in its place'({ connect, key }) {
    const client = await connect();
    const [name, counter, missing] = [key('user:name'), key('user:visits'), key('none')];
    const build = (chain) => chain.set(name, 'Jürgen').incr(counter).incr(counter).get(name).get(missing).del(counter);
    assert.deepEqual(await client.transaction(build), ['OK', 1, 2, 'Jürgen', null, 1]);
    assert.equal(await client.get(counter), null);
  },

  async 'transaction: nobody sees half of it'({ connect, key }) {
    const [writer, reader] = [await connect(), await connect()];
    const [debit, credit] = [key('account:debit'), key('account:credit')];
    const writing = Promise.all(Array.from({ length: 100 }, () => writer.transaction((chain) => chain.incr(debit).incr(credit))));
    for (let round = 0; round < 50; round++) {
      const [one, other] = await reader.mget(debit, credit);
      assert.equal(one, other);
    }
    assert.deepEqual((await writing).at(-1), [100, 100]);
  },

  async 'transaction: a watched key that somebody changes stops it'({ connect, key }) {
    const [client, other] = [await connect(), await connect()];
    const [watched, written] = [key('stock'), key('orders')];
    const changes = {
      set: () => other.setFor(watched, '9', 60),
      'set to the same': () => other.setFor(watched, '9', 60),
      'given a time to live': () => other.expire(watched, 30),
      deleted: () => other.del(watched),
      'made again': () => other.incr(watched),
      'changed by the client itself': () => client.incr(watched),
    };
    for (const [what, change] of Object.entries(changes)) {
      await client.watch(watched);
      await change();
      assert.equal(await client.transaction((chain) => chain.set(written, what)), null, what);
    }
    assert.equal(await client.get(written), null);
    // The end of a transaction is the end of watching.
    await other.incr(watched);
    assert.deepEqual(await client.transaction((chain) => chain.set(written, 'done')), ['OK']);
  },

  async 'transaction: what leaves the watched keys alone does not stop it'({ connect, key }) {
    const [client, other] = [await connect(), await connect()];
    const [watched, missing, written] = [key('stock'), key('missing'), key('orders')];
    await other.incr(watched);
    const attempts = {
      'others read': () => other.get(watched),
      'others delete what is not there': () => other.del(missing),
      'others write another key': () => other.incr(written),
      unwatched: async () => {
        await other.incr(watched);
        await client.unwatch();
      },
    };
    for (const [what, attempt] of Object.entries(attempts)) {
      await client.watch(watched, missing);
      await attempt();
      assert.deepEqual(await client.transaction((chain) => chain.get(watched)), [what === 'unwatched' ? '2' : '1'], what);
    }
  },

  async 'transaction: a watched key in another database is another key'({ connect, key }) {
    const [client, near, far] = [await connect(), await connect(), await connect({ db: otherDb })];
    const watched = key('stock');
    await client.watch(watched);
    await far.incr(watched);
    assert.deepEqual(await client.transaction((chain) => chain.get(watched)), [null]);
    await client.watch(watched);
    await near.incr(watched);
    assert.equal(await client.transaction((chain) => chain.get(watched)), null);
  },

  async 'transaction: a watched key that has expired stops it'({ connect, key }) {
    const [client, other] = [await connect(), await connect()];
    const watched = key('session');
    await client.lockMs(watched, 'short', 150);
    await client.watch(watched);
    assert.equal(await client.get(watched), 'short');
    await eventually('it has expired', async () => (await other.get(watched)) === null);
    assert.equal(await client.transaction((chain) => chain.set(watched, 'next')), null);
  },

  async 'transaction: six that read before they write lose nothing'({ connect, key }) {
    const counter = key('counter');
    const adder = async () => {
      const client = await connect();
      for (let round = 0; round < 5; round++) await addOne(client, counter);
    };
    await Promise.all(Array.from({ length: 6 }, adder));
    assert.equal(await (await connect()).get(counter), '30');
  },

  async 'transaction: a command that fails does not stop the others'({ connect, key }) {
    const client = await connect();
    const [name, counter] = [key('user:name'), key('user:visits')];
    const [set, refused, counted] = await client.transaction((chain) => chain.set(name, 'ann').incr(name).incr(counter));
    assert.deepEqual([set, counted], ['OK', 1]);
    assert.match(refused.message, /ERR value is not an integer or out of range/);
    assert.equal(await client.get(name), 'ann');
  },

  async 'transaction: one that is refused on its way stops all'({ connect, key }) {
    const client = await connect();
    const [name, counter] = [key('user:name'), key('user:visits')];
    for (const words of [['SET', name], ['NOSUCH', name]]) {
      const build = (chain) => client.queueWords(chain.incr(counter), words).incr(counter);
      await assert.rejects(client.transaction(build), /EXECABORT|wrong number of arguments|unknown command/);
    }
    assert.equal(await client.get(counter), null);
    assert.deepEqual(await client.transaction((chain) => chain.incr(counter)), [1]);
  },

  async 'transaction: word by word, queued and discarded'({ connect, key }) {
    const client = await connect();
    const counter = key('counter');
    assert.equal(await client.command('MULTI'), 'OK');
    assert.equal(await client.command('INCR', counter), 'QUEUED');
    await assert.rejects(client.command('MULTI'), /ERR MULTI calls can not be nested|ERR Command 'multi' not allowed inside/);
    await assert.rejects(client.command('WATCH', counter), /ERR (WATCH inside MULTI is not|Command 'watch' not) allowed/);
    assert.equal(await client.command('DISCARD'), 'OK');
    await assert.rejects(client.command('EXEC'), /ERR EXEC without MULTI/);
    await assert.rejects(client.command('DISCARD'), /ERR DISCARD without MULTI/);
    assert.equal(await client.get(counter), null);
  },

  async 'transaction: a thousand commands'({ connect, key }) {
    const client = await connect();
    const counter = key('counter');
    const replies = await client.transaction((chain) => {
      for (let number = 0; number < 1000; number++) chain.incr(counter);
      return chain;
    });
    assert.deepEqual(replies, Array.from({ length: 1000 }, (_, number) => number + 1));
  },

  async 'transaction: what it pushes serves who waits, in the end'({ connect, key }) {
    const name = nameOf('worker');
    const [producer, worker] = [await connect(), await connect({ name })];
    const [jobs, other] = [key('job_queue'), key('other_queue')];
    const popped = worker.blpop([other, jobs], 5);
    await untilWaiting(producer, name, popped);
    const pushes = [['LPUSH', jobs, 'job 1'], ['LPUSH', jobs, 'job 2'], ['LPUSH', other, 'gone'], ['DEL', other]];
    assert.deepEqual(await producer.transaction((chain) => producer.queueWords(chain, ...pushes)), [1, 2, 1, 1]);
    assert.deepEqual(await popped, [jobs, 'job 2']);
    // Inside, what would wait does not.
    const waiting = ['BLMOVE', other, jobs, 'LEFT', 'LEFT', '5'];
    assert.deepEqual(await producer.transaction((chain) => producer.queueWords(chain, waiting)), [null]);
  },

  async 'transaction: a connection that breaks on its way leaves nothing'({ connect, key }) {
    const [leaving, watcher] = [await connect(), await connect()];
    const counter = key('counter');
    await leaving.command('MULTI');
    await leaving.command('INCR', counter);
    leaving.drop();
    await sleep(QUIET_MS);
    assert.equal(await watcher.get(counter), null);
  },
};

export const announcements = {
  async 'transaction: a status and its message go together'({ connect, key }) {
    const [worker, watcher, reader] = [await connect(), await connect(), await connect()];
    const [channel, status] = [key('job_updates'), key('job:status')];
    const seen = [];
    await watcher.subscribe([channel], async (message) => seen.push([message, await reader.get(status)]));
    const words = [['PUBLISH', channel, 'COMPLETED'], ['SET', status, 'COMPLETED']];
    assert.deepEqual(await worker.transaction((chain) => worker.queueWords(chain, ...words)), [1, 'OK']);
    await eventually('the message', () => seen.length > 0);
    assert.deepEqual(seen, [['COMPLETED', 'COMPLETED']]);
  },
};

/** What node-redis has beside a chain: errors of its own, and connections that nobody else uses meanwhile. */
export const watchErrors = {
  async 'transaction: a WatchError when a watched key has changed'({ connect, key }) {
    const [{ redis, WatchError }, other] = [await connect(), await connect()];
    const watched = key('stock');
    await redis.watch(watched);
    await other.incr(watched);
    await assert.rejects(redis.multi().get(watched).exec(), WatchError);
    assert.deepEqual(await redis.multi().get(watched).exists(watched).exec(), ['1', 1]);
  },

  async 'transaction: an error with all replies when one command failed'({ connect, key }) {
    const { redis, MultiErrorReply } = await connect();
    const [name, counter] = [key('user:name'), key('user:visits')];
    const error = await redis.multi().set(name, 'ann').incr(name).incr(counter).exec().catch((refusal) => refusal);
    assert.ok(error instanceof MultiErrorReply, error);
    assert.deepEqual(error.errorIndexes, [1]);
    assert.deepEqual([error.replies[0], error.replies[2]], ['OK', 1]);
  },

  async 'transaction: on connections of a pool'({ connect, key }) {
    const client = await connect();
    const [stock, orders] = [key('stock'), key('orders')];
    await client.setFor(stock, '3', 60);
    const order = () => client.onOwnConnection(async (own) => {
      await own.watch(stock);
      const left = Number(await own.get(stock));
      if (left === 0) return own.unwatch().then(() => 'sold out');
      return own.multi().decr(stock).incr(orders).exec().then(() => 'ordered', (error) => error.constructor.name);
    });
    const answers = [];
    while (!answers.includes('sold out')) answers.push(...await Promise.all([order(), order(), order()]));
    assert.equal(answers.filter((answer) => answer === 'ordered').length, 3);
    assert.ok(answers.every((answer) => ['ordered', 'WatchError', 'sold out'].includes(answer)), `${answers}`);
    assert.deepEqual(await client.mget(stock, orders), ['0', '3']);
  },
};

/** From version 5 on. */
export const watchesAcrossReconnects = {
  async 'transaction: what was watched before a reconnect stops it'({ connect, key, ownServer }) {
    const server = ownServer();
    const { redis, WatchError, ping } = await connect({ patient: true });
    const counter = key('counter');
    await redis.watch(counter);
    server.kill();
    server.start();
    await eventually('it is connected again', async () => (await ping()) === 'PONG');
    await assert.rejects(redis.multi().incr(counter).exec(), WatchError);
    assert.deepEqual(await redis.multi().incr(counter).exec(), [1]);
  },
};

/** What ioredis has beside a chain: a list of commands, replies in pairs, a transaction in a pipeline, and one word by word. */
export const chains = {
  async 'transaction: a list of commands, and replies in pairs'({ connect, key }) {
    const { redis } = await connect();
    const [name, counter] = [key('user:name'), key('user:visits')];
    const pairs = await redis.multi([['set', name, 'ann'], ['incr', name], ['incr', counter]]).exec();
    assert.deepEqual(pairs.map(([, reply]) => reply), ['OK', undefined, 1]);
    assert.match(pairs[1][0].message, /ERR value is not an integer/);
    const refusal = await redis.multi().set(name).incr(counter).exec().catch((error) => error);
    assert.match(refusal.message, /^EXECABORT Transaction discarded because of previous errors/);
    assert.match(refusal.previousErrors[0].message, /ERR wrong number of arguments for 'set' command/);
  },

  async 'transaction: in a pipeline, between other commands'({ connect, key }) {
    const { redis } = await connect();
    const counter = key('counter');
    const pairs = await redis.pipeline().incr(counter).multi().incr(counter).incr(counter).exec().incr(counter).exec();
    assert.deepEqual(pairs.map(([, reply]) => reply), [1, 'OK', 'QUEUED', 'QUEUED', [2, 3], 4]);
  },

  async 'transaction: without a pipeline every command is answered at once'({ connect, key }) {
    const { redis } = await connect();
    const counter = key('counter');
    await redis.multi({ pipeline: false });
    assert.equal(await redis.incr(counter), 'QUEUED');
    assert.equal(await redis.get(counter), 'QUEUED');
    assert.deepEqual(await redis.exec(), [[null, 1], [null, '1']]);
    await redis.multi({ pipeline: false });
    await redis.incr(counter);
    assert.equal(await redis.discard(), 'OK');
    assert.equal(await redis.get(counter), '1');
  },

  async 'transaction: replies as bytes'({ connect, key }) {
    const { redis } = await connect();
    const blob = key('blob');
    const bytes = Buffer.from([0, 13, 10, 255]);
    const [[, ok], [, read]] = await redis.multi().set(blob, bytes).getBuffer(blob).exec();
    assert.equal(String(ok), 'OK');
    assert.ok(bytes.equals(read), read);
  },
};
